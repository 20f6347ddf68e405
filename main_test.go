package sailpoint_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine outlives the tests: the client has no Close, so nothing of it may go on by itself.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

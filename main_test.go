package sailpoint_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine outlives the tests. A client has no Close, so
// nothing may keep running.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

package sailpoint_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine outlives the tests. A client has no Close, so
// nothing may keep running.
func TestMain(m *testing.M) {
	// Many parallel tests wait for a connection or a backoff instead of a CPU.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

package sailpoint_test

import (
	"flag"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"testing"
)

var seed = flag.Uint64("seed", rand.Uint64(), "chooses the cases of the tests that run only a sample of them by default")

// exhaustive reports whether every case of every test runs, and not only a
// sample.
func exhaustive() bool { return os.Getenv("SAILPOINT_TEST_EXHAUSTIVE") == "1" }

// sample returns which cases of a test run: the first one, and then every
// step-th. All of them run if SAILPOINT_TEST_EXHAUSTIVE is 1. Otherwise the
// seed and the test's name choose the first one.
func sample(t *testing.T, every int) (first, step int) {
	t.Helper()
	if exhaustive() {
		return 0, 1
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("To repeat this sample: go test -run '^%s$' -seed %d, in the folder of the package.", t.Name(), *seed)
		}
	})
	name := fnv.New64a()
	_, _ = name.Write([]byte(t.Name()))
	return rand.New(rand.NewPCG(*seed, name.Sum64())).IntN(every), every
}

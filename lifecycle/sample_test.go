package lifecycle_test

import (
	"flag"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"testing"
)

var seed = flag.Uint64("seed", rand.Uint64(), "selects the cases of tests that run a sample by default")

// exhaustive reports whether to run every case instead of a sample.
func exhaustive() bool { return os.Getenv("SAILPOINT_TEST_EXHAUSTIVE") == "1" }

// sample returns the cases to run, which are the first and every step-th after
// it. If SAILPOINT_TEST_EXHAUSTIVE is 1, all of them run. Otherwise the seed
// and the test's name select the first one.
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

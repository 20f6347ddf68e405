// Package sampletest lets a test with many cases run a sample of them by
// default, so that all tests together stay fast.
package sampletest

import (
	"flag"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"testing"
)

var seed = flag.Uint64("seed", rand.Uint64(), "selects the cases of tests that run a sample by default")

// Seed returns what the flag -seed says. By default it is random.
func Seed() uint64 { return *seed }

// Exhaustive reports whether to run every case instead of a sample. Set
// SAILPOINT_TEST_EXHAUSTIVE to 1 for that.
func Exhaustive() bool { return os.Getenv("SAILPOINT_TEST_EXHAUSTIVE") == "1" }

// Choose returns the cases to run, which are the first and every step-th after
// it. The seed and the test's name select the first one of the sample.
func Choose(t *testing.T, every int) (first, step int) {
	t.Helper()
	if Exhaustive() {
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

//go:build race

package sailpoint_test

// raceDetector lets tests without concurrency skip long repetitions. The race
// detector makes them ten times as slow.
const raceDetector = true

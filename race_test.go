//go:build race

package sailpoint_test

// raceDetector makes tests that are a matter of counting, not of concurrency,
// count less: it costs ten times the time.
const raceDetector = true

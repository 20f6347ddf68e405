//go:build race

package sailpoint_test

// raceDetector reports whether the race detector is on. It makes tests ten
// times as slow, and empties a sync.Pool at random.
const raceDetector = true

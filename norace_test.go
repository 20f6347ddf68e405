//go:build !race

package sailpoint_test

const raceDetector = false

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestMeasure counts requests of a log, whose order is not that of the times.
func TestMeasure(t *testing.T) {
	const tokens = "/v2024/personal-access-tokens"
	at := func(seconds float64) time.Time { return time.Unix(0, int64(seconds*1e9)) }
	log := []request{
		{at(0), "/oauth/token", "worker-0", 200},
		{at(0), "/oauth/token", "worker-1", 429},
		{at(12), tokens, "worker-0", 200},
		{at(1), tokens, "worker-0", 200},
		{at(2.5), tokens, "worker-1", 429},
		{at(11), tokens, "worker-1", 200},
		{at(12.4), tokens, "worker-0", 0},
	}
	assert.Equal(t, measured{requests: 5, successful: 3, status429: 1, window: 4, fetches: 2}, measure(log))
	assert.Equal(t, measured{}, measure(nil))
}

func TestMostInWindow(t *testing.T) {
	for name, test := range map[string]struct {
		seconds []int
		want    int
	}{
		"no requests":                  {nil, 0},
		"one":                          {[]int{5}, 1},
		"a window ends before 10 s":    {[]int{0, 9, 10}, 2},
		"the fullest is in the middle": {[]int{0, 20, 21, 22, 40}, 3},
		"simultaneous":                 {[]int{7, 7, 7, 7}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			var times []time.Time
			for _, s := range test.seconds {
				times = append(times, time.Unix(int64(s), 0))
			}
			assert.Equal(t, test.want, mostInWindow(times, 10*time.Second))
		})
	}
}

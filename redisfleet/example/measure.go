package main

import (
	"net/http"
	"slices"
	"time"
)

// The rate limit of the API.
const (
	limitRequests = 100
	limitWindow   = 10 * time.Second
)

// request is one of the tenant's log.
type request struct {
	At        time.Time `json:"at"` // by the tenant's clock
	Path      string    `json:"path"`
	UserAgent string    `json:"userAgent"`
	Status    int       `json:"status"`
}

func (r request) fetchesBearer() bool { return r.Path == "/oauth/token" }

// measured is what the tenant's log shows.
type measured struct {
	requests   int // to the API, without those for bearers
	successful int
	status429  int
	window     int // the most requests to the API in any window
	fetches    int // of bearers
}

func measure(log []request) measured {
	var m measured
	var times []time.Time
	for _, r := range log {
		if r.fetchesBearer() {
			m.fetches++
			continue
		}
		times = append(times, r.At)
		switch r.Status {
		case http.StatusOK:
			m.successful++
		case http.StatusTooManyRequests:
			m.status429++
		}
	}
	m.requests, m.window = len(times), mostInWindow(times, limitWindow)
	return m
}

// mostInWindow returns the largest number of times in any window.
func mostInWindow(times []time.Time, window time.Duration) (most int) {
	times = slices.SortedFunc(slices.Values(times), time.Time.Compare)
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

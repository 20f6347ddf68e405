package redisfleet

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// BenchmarkGrant measures grants that need no wait, over loopback. It reports
// the median, and that of a PING for comparison.
func BenchmarkGrant(b *testing.B) {
	s := newServer(b).warm(b)
	rdb := s.client(b)
	quotas := 0
	newLimiter := func() *limiter {
		quotas++
		cfg := joined(b, s, sailpointtest.NewTenant().Config(), Options{Redis: rdb, Fleet: fmt.Sprint("fleet-", quotas), Slack: time.Minute})
		return cfg.Limiter.(*limiter) //nolint:forcetypeassert // Join's own
	}
	l, left := newLimiter(), 100
	var grants, pings []time.Duration
	for b.Loop() {
		if left--; left < 0 {
			l, left = newLimiter(), 99
		}
		started := time.Now()
		require.NoError(b, l.Wait(b.Context()))
		grants = append(grants, time.Since(started))
	}
	for range grants {
		started := time.Now()
		require.NoError(b, rdb.Ping(b.Context()).Err())
		pings = append(pings, time.Since(started))
	}
	b.ReportMetric(float64(median(grants).Microseconds()), "p50-µs")
	b.ReportMetric(float64(median(pings).Microseconds()), "ping-p50-µs")
}

// BenchmarkCall compares calls to a tenant in memory with and without a fleet.
func BenchmarkCall(b *testing.B) {
	s := newServer(b).warm(b)
	for _, name := range []string{"alone", "fleet"} {
		b.Run(name, func(b *testing.B) {
			cfg := sailpointtest.NewTenant().Config()
			if name == "fleet" {
				cfg = joined(b, s, cfg, Options{Limit: maxLimit, Window: minWindow, Slack: time.Second})
			}
			client, err := sailpoint.NewClient(cfg)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, list(b.Context(), client))
			}
		})
	}
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

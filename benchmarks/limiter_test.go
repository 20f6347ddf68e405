package main

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// TestLimiterThatKeepsToTheRateLimit checks the comment of Config.Limiter with
// 500 calls of 20 workers in virtual time.
func TestLimiterThatKeepsToTheRateLimit(t *testing.T) {
	for name, test := range map[string]struct {
		burst    int
		rejected bool
	}{
		"rate.NewLimiter(10, 100)": {100, true},
		"rate.NewLimiter(10, 1)":   {1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant := sailpointtest.NewTenant(sailpointtest.WithRateLimit())
				cfg := tenant.Config()
				cfg.Limiter = rate.NewLimiter(10, test.burst)
				client, err := sailpoint.NewClient(cfg)
				require.NoError(t, err)
				var workers sync.WaitGroup
				for range 20 {
					workers.Go(func() {
						for range 25 {
							_, err := client.PersonalAccessTokens.Self(t.Context())
							assert.NoError(t, err)
						}
					})
				}
				workers.Wait()
				rejected := 0
				for _, req := range tenant.Requests() {
					if req.Status == http.StatusTooManyRequests {
						rejected++
					}
				}
				t.Logf("%d of 500 requests were rejected with 429", rejected)
				require.Equal(t, test.rejected, rejected > 0, "%d requests", rejected)
			})
		})
	}
}

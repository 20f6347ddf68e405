package sailpoint_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// TestTransportThatSendsOtherRequests covers a transport that makes a request
// of its own before each attempt, with the attempt's context. Such requests are
// not counted as replays, which the client limits, or as attempts.
func TestTransportThatSendsOtherRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, signer := scripted(response{status: 503}, response{status: 503}, ok(`[]`)), &network{}
		client := n.client(t, func(cfg *sailpoint.Config) {
			cfg.MaxRetries = 2
			cfg.HTTPClient = &http.Client{Transport: transportFunc(func(req *http.Request) (*http.Response, error) {
				for range 3 {
					own, err := http.NewRequestWithContext(req.Context(), http.MethodGet, "https://signer.example/key", nil)
					require.NoError(t, err)
					_, err = signer.RoundTrip(own)
					require.NoError(t, err)
				}
				return n.RoundTrip(req)
			})}
		})
		require.NoError(t, list(t.Context(), client))
		require.Len(t, n.calls, 3)
		require.Len(t, signer.calls, 4*3)

		n.api = always(response{status: 503})
		require.Equal(t, 3, requireOneError(t, list(t.Context(), client)).Attempts)
	})
}

// slow reads one byte a second, without end, until its context ends.
type slow struct{ ctx context.Context }

func (s slow) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-s.ctx.Done():
		return 0, context.Cause(s.ctx)
	}
}

func dripping(status int) response {
	return response{status: status, stream: func(ctx context.Context) io.Reader { return slow{ctx} }}
}

func TestOneByteASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(dripping(200))
		client := n.client(t, withoutRetries)
		for _, op := range operations[:6] {
			started := time.Now()
			err := op.call(t.Context(), client)
			require.ErrorIs(t, err, sailpoint.ErrInvalidResponse, op.name)
			if op.name == "delete" {
				assert.Equal(t, time.Second, time.Since(started), "one byte is already an error")
				continue
			}
			assert.Equal(t, 30*time.Second, time.Since(started), op.name)
			require.ErrorContains(t, err, "no complete response within 30s")
		}
		n = &network{token: always(dripping(200))}
		require.ErrorContains(t, list(t.Context(), n.client(t, withoutRetries)), "no complete response within 30s")
	})
}

func TestErrorBodyThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(dripping(503))
		started := time.Now()
		err := list(t.Context(), n.client(t, withoutRetries))
		requireMatches(t, err, sailpoint.ErrServer)
		assert.Equal(t, 30*time.Second, time.Since(started))
	})
}

// silence is no response for longer than any call waits.
var silence = response{after: 24 * time.Hour}

func TestAttemptTimeout(t *testing.T) {
	for _, op := range slices.Concat(operations[:6], bulkOperations) {
		t.Run(op.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := scripted(silence).client(t, inV1, func(cfg *sailpoint.Config) {
					cfg.AttemptTimeout, cfg.MaxRetries = 5*time.Second, -1
				})
				started := time.Now()
				err := op.call(t.Context(), client)
				require.Equal(t, 5*time.Second, time.Since(started))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.NotErrorIs(t, err, context.Canceled)
				require.ErrorContains(t, err, "no complete response within 5s")
			})
		})
	}
}

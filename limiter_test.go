package sailpoint_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// sharedLimiter returns an error while a reported 429 lasts.
type sharedLimiter struct {
	mu       sync.Mutex
	until    time.Time
	asked    int
	reported []time.Duration
	contexts []context.Context
	left     []time.Duration // time left in these contexts
}

func (l *sharedLimiter) Wait(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if left := time.Until(l.until); left > 0 {
		return fmt.Errorf("the fleet: %w", &sailpoint.Error{StatusCode: http.StatusTooManyRequests, RetryAfter: left})
	}
	return nil
}

func (l *sharedLimiter) RateLimited(ctx context.Context, retryAfter time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Now().Add(retryAfter)
	l.reported = append(l.reported, retryAfter)
	l.contexts = append(l.contexts, ctx)
	deadline, _ := ctx.Deadline()
	l.left = append(l.left, time.Until(deadline))
}

func withLimiter(limiter sailpoint.Limiter) func(*sailpoint.Config) {
	return func(cfg *sailpoint.Config) { cfg.Limiter = limiter }
}

// TestSharedLimiterHoldsBackTheOthers shows that a 429 to one client spares the
// others one.
func TestSharedLimiterHoldsBackTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &sharedLimiter{}
		limited := scripted(response{status: 429, header: map[string]string{"Retry-After": "20"}}, ok(`[]`))
		other := &network{}
		first := limited.client(t, withLimiter(limiter))
		second := other.client(t, withLimiter(limiter), withoutRetries)
		started := time.Now()
		var calls sync.WaitGroup
		calls.Go(func() { _ = list(t.Context(), first) })
		synctest.Wait()
		require.Equal(t, []time.Duration{20 * time.Second}, limiter.reported)

		require.NoError(t, list(t.Context(), second), "the wait is not a retry")
		calls.Wait()
		other.requireCounts(t, 1, 1)
		require.GreaterOrEqual(t, other.calls[0].at.Sub(started), 20*time.Second)
		limited.requireCounts(t, 2, 1)
		require.Equal(t, 4, limiter.asked, "once for each request, and once for the error")
	})
}

func TestSharedLimiterThatFailsForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &sharedLimiter{until: time.Now().Add(5 * time.Minute)}
		n := &network{}
		client := n.client(t, withLimiter(limiter))
		for range 2 {
			err := list(t.Context(), client)
			requireMatches(t, err, sailpoint.ErrRateLimited)
			require.Equal(t, 5*time.Minute, requireOneError(t, err).RetryAfter)
		}
		require.Equal(t, 1, limiter.asked, "the client's own pause holds back the second call")
		n.requireCounts(t, 0, 1)
	})
}

// TestSharedLimiterThatAlwaysFails shows that the call waits after each error,
// and ends.
func TestSharedLimiterThatAlwaysFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &failingLimiter{retryAfter: time.Nanosecond}
		n := &network{}
		err := list(t.Context(), n.client(t, withLimiter(limiter)))
		requireMatches(t, err, sailpoint.ErrRateLimited)
		require.Less(t, limiter.asked, 500, "in 2 minutes")
		n.requireCounts(t, 0, 1)
	})
}

type failingLimiter struct {
	retryAfter time.Duration
	asked      int
}

func (l *failingLimiter) Wait(context.Context) error {
	l.asked++
	return &sailpoint.Error{RetryAfter: l.retryAfter}
}

func (*failingLimiter) RateLimited(context.Context, time.Duration) {}

// TestRateLimitedHasAContextOfItsOwn shows that a 429 is shared even after its
// call has ended.
func TestRateLimitedHasAContextOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		limiter := &sharedLimiter{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "kept"))
		n := &network{api: func(arrival) response {
			return response{status: 429, stream: func(context.Context) io.Reader { cancel(); return strings.NewReader("") }}
		}}
		require.ErrorIs(t, list(ctx, n.client(t, withLimiter(limiter))), context.Canceled)
		require.Len(t, limiter.reported, 1)
		require.Positive(t, limiter.reported[0], "the backoff, if the response asks for no wait")
		require.Equal(t, []time.Duration{time.Second}, limiter.left)
		require.Equal(t, "kept", limiter.contexts[0].Value(key{}))
		require.ErrorIs(t, limiter.contexts[0].Err(), context.Canceled, "released after the report")
	})
}

func TestRateLimitedIsCalledForTheAPIOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &sharedLimiter{}
		n := &network{token: inTurn(response{status: 429}, issued("bearer", 600)), api: inTurn(response{status: 503}, ok(`[]`))}
		require.NoError(t, list(t.Context(), n.client(t, withLimiter(limiter))))
		n.requireCounts(t, 2, 2)
		require.Empty(t, limiter.reported)
	})
}

// TestBearerIsFetchedBeforeTheLimiterIsAsked matters because a fetch may
// outlast the limiter's permission.
func TestBearerIsFetchedBeforeTheLimiterIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{token: always(response{after: 3 * time.Second, body: issued("bearer-1", 600).body})}
		var consented time.Time
		client := n.client(t, withLimiter(limiterFunc(func(context.Context) error { consented = time.Now(); return nil })))
		require.NoError(t, list(t.Context(), client))
		require.Equal(t, consented, n.calls[0].at)
	})
}

// slowSharedLimiter gives its consent after 8 s.
type slowSharedLimiter struct {
	sharedLimiter
	consented time.Time
}

func (l *slowSharedLimiter) Wait(ctx context.Context) error {
	<-time.After(8 * time.Second)
	l.consented = time.Now()
	return l.sharedLimiter.Wait(ctx)
}

// TestFetchThatOutlastsTheConsentOfASharedLimiter shows that the request isn't
// sent with that consent. A bearer that is still valid then needs no other.
func TestFetchThatOutlastsTheConsentOfASharedLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{token: func(a arrival) response {
			r := issued(fmt.Sprintf("bearer-%d", a.n), 15)
			r.after = time.Duration(a.n-1) * 3 * time.Second
			return r
		}}
		limiter := &slowSharedLimiter{}
		client := n.client(t, withLimiter(limiter))
		for i, asked := range []int{1, 3} {
			require.NoError(t, list(t.Context(), client))
			require.Equal(t, asked, limiter.asked)
			require.Equal(t, limiter.consented, n.calls[i].at)
		}
		require.Equal(t, []string{"bearer-1", "bearer-2"}, n.bearersSent())
	})
}

// TestBearerThatExpiresDuringTheLimitersWait shows that the bearer is replaced
// without asking the limiter again.
func TestBearerThatExpiresDuringTheLimitersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{token: func(a arrival) response { return issued(fmt.Sprintf("bearer-%d", a.n), 15) }}
		asked := 0
		client := n.client(t, withLimiter(limiterFunc(func(context.Context) error {
			asked++
			<-time.After(time.Duration(asked) * 8 * time.Second)
			return nil
		})))
		require.NoError(t, list(t.Context(), client))
		require.NoError(t, list(t.Context(), client))
		require.Equal(t, []string{"bearer-1", "bearer-2"}, n.bearersSent())
		require.Equal(t, 2, asked)
	})
}

func TestLimiterIsAskedBeforeEveryRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{status: 503}, response{status: 401}, ok(`[]`))
		asked := 0
		client := n.client(t, func(cfg *sailpoint.Config) {
			cfg.Limiter = limiterFunc(func(context.Context) error { asked++; return nil })
		})
		_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
		require.NoError(t, err)
		require.Len(t, n.calls, 3)
		require.Equal(t, 3, asked)
	})
}

func TestLimiterErrorIsReturned(t *testing.T) {
	broken := errors.New("not today")
	n := scripted(ok(created))
	client := n.client(t, func(cfg *sailpoint.Config) {
		cfg.Limiter = limiterFunc(func(context.Context) error { return broken })
	})
	_, err := client.PersonalAccessTokens.Create(t.Context(), inAYear)
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
	require.EqualError(t, err, "sailpoint: POST /v2024/personal-access-tokens: limiter: not today")
	require.Empty(t, n.calls)
}

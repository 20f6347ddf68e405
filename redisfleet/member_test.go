package redisfleet

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// share is a Fallback that lets a request through every interval.
type share struct {
	mu       sync.Mutex
	interval time.Duration
	next     time.Time
	asked    int
	err      error
}

func (s *share) Wait(ctx context.Context) error {
	s.mu.Lock()
	s.asked++
	now := time.Now()
	at := s.next
	if at.Before(now) {
		at = now
	}
	s.next = at.Add(s.interval)
	err := s.err
	s.mu.Unlock()
	return errors.Join(err, sleep(ctx, time.Until(at)))
}

// TestWithoutRedisNothingIsSent is about members that have no Fallback.
func TestWithoutRedisNothingIsSent(t *testing.T) {
	t.Parallel()
	tenant := sailpointtest.NewTenant()
	s := newServer(t).warm(t)
	first, second := clientOf(t, s, tenant.Config(), short), clientOf(t, s, tenant.Config(), short)
	require.NoError(t, list(t.Context(), first))
	sent := len(tenant.Requests())
	s.Kill()
	for _, client := range []*sailpoint.Client{first, second} { // with and without a bearer
		err := list(t.Context(), client)
		require.ErrorContains(t, err, "redisfleet: Redis failed: ")
		require.ErrorContains(t, err, "connection refused")
	}
	require.Len(t, tenant.Requests(), sent)

	s.Restart(t)
	require.NoError(t, list(t.Context(), second))
}

// TestFallback shows when a member without Redis asks its Fallback, and that
// each request for a bearer counts as a request.
func TestFallback(t *testing.T) {
	t.Parallel()
	tenant := sailpointtest.NewTenant()
	n := &network{}
	fallback := &share{}
	var log strings.Builder
	cfg := tenant.Config()
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	opts := Options{Limit: 5, Window: time.Second, Fallback: fallback}
	opts.Redis = serverAt("").client(t, via(n))
	client := clientOf(t, nil, cfg, opts)
	started := time.Now()
	require.ErrorIs(t, list(within(t, 500*time.Millisecond), client), context.DeadlineExceeded)
	require.Zero(t, fallback.asked)
	require.NoError(t, list(t.Context(), client))
	require.GreaterOrEqual(t, time.Since(started), 1050*time.Millisecond, "Window and Slack")
	require.Equal(t, 2, fallback.asked, "a bearer and a list")
	started = time.Now()
	require.NoError(t, list(t.Context(), client))
	require.Less(t, time.Since(started), time.Second, "only the first call waits for the window")
	require.Equal(t, 3, fallback.asked)
	require.Len(t, requests(tenant, true), 1)

	fallback.err = errors.New("the share is used up")
	require.ErrorContains(t, list(t.Context(), client), "limiter: redisfleet: Fallback: the share is used up")
	require.Len(t, requests(tenant, false), 2)
	require.Equal(t, 1, strings.Count(log.String(), `level=WARN msg="redisfleet: Redis fails, so this member will use its Fallback"`), log.String())

	n.connect(newServer(t).Address)
	require.NoError(t, list(t.Context(), client))
	require.Contains(t, log.String(), `level=INFO msg="redisfleet: Redis works again"`)
}

// TestFallbackOfCallsWithShortDeadlines shows that a Redis that doesn't respond
// is noticed although each call ends before it would time out.
func TestFallbackOfCallsWithShortDeadlines(t *testing.T) {
	t.Parallel()
	fallback := &share{}
	l := limiterOf(t, silent(t), sailpointtest.NewTenant().Config(), Options{Window: time.Second, Fallback: fallback})
	require.Eventually(t, func() bool {
		return l.Wait(within(t, time.Second)) == nil
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, 1, fallback.asked)
}

// TestShortFailureOfRedis shows that a member with a Fallback soon uses Redis
// again.
func TestShortFailureOfRedis(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	n := &network{}
	fallback := &share{}
	l := limiterOf(t, s, sailpointtest.NewTenant().Config(), Options{Redis: s.client(t, via(n)), Fallback: fallback, Window: time.Minute})
	waited := make(chan error)
	go func() { waited <- l.Wait(t.Context()) }()
	require.NoError(t, sleep(t.Context(), 300*time.Millisecond))
	n.connect(s.Address)
	started := time.Now()
	require.NoError(t, <-waited)
	require.Less(t, time.Since(started), 30*time.Second)
	require.Zero(t, fallback.asked)
}

// TestFallbacksAndRedisTogetherKeepToTheLimit cuts all members off from a Redis
// that keeps running, so that it doesn't know of the Fallbacks' requests.
func TestFallbacksAndRedisTogetherKeepToTheLimit(t *testing.T) {
	t.Parallel()
	const members = 3
	s := newServer(t).warm(t)
	n := &network{address: s.Address}
	opts := Options{Limit: 2 * members, Window: 600 * time.Millisecond, Slack: 400 * time.Millisecond}
	var (
		sent, alone moments
		callers     sync.WaitGroup
	)
	end := within(t, 9*time.Second)
	cfg := sailpointtest.NewTenant().Config()
	for range members {
		opts.Redis = s.client(t, via(n))
		fallback := &share{interval: (opts.Window + opts.Slack/2) / 2}
		opts.Fallback = fallback
		l := limiterOf(t, s, cfg, opts)
		callers.Go(func() {
			for {
				before := fallback.asked
				if l.Wait(end) != nil {
					return
				}
				sent.add()
				if fallback.asked > before {
					alone.add()
				}
			}
		})
	}
	for range 2 {
		require.NoError(t, sleep(t.Context(), 1500*time.Millisecond))
		n.connect("")
		require.NoError(t, sleep(t.Context(), 2500*time.Millisecond))
		n.connect(s.Address)
	}
	callers.Wait()
	t.Logf("%d sent, %d of them by Fallbacks", len(sent.list), len(alone.list))
	require.Greater(t, len(alone.list), members)
	require.Greater(t, len(sent.list)-len(alone.list), 2*members)
	require.LessOrEqual(t, mostIn(opts.Window, sent.list), opts.Limit)
}

// TestRequestsOfTheFallbackAreReportedOnce shows that one report holds back the
// fleet, and that it doesn't cover later requests.
func TestRequestsOfTheFallbackAreReportedOnce(t *testing.T) {
	t.Parallel()
	m := &member{window: time.Minute, fallback: &share{}, failingSince: time.Now().Add(-time.Hour), failedLast: time.Now()}
	require.Zero(t, m.unrecorded())
	require.NoError(t, m.withoutRedis(t.Context(), redisError{redis.ErrClosed}))
	first := m.unrecorded()
	require.NotZero(t, first)
	require.NoError(t, m.withoutRedis(t.Context(), redisError{redis.ErrClosed}))
	second := m.unrecorded()
	m.setRecorded(first)
	require.Equal(t, second, m.unrecorded())
	m.setRecorded(second)
	require.Zero(t, m.unrecorded())
}

// TestOutagesFarApartAreSeparate shows that each begins with a window in which
// nothing is sent, even if the member didn't use Redis between them.
func TestOutagesFarApartAreSeparate(t *testing.T) {
	t.Parallel()
	m := &member{window: 300 * time.Millisecond, fallback: &share{}}
	failure := redisError{redis.ErrClosed}
	require.ErrorIs(t, m.withoutRedis(t.Context(), failure), errRetry)
	require.NoError(t, m.withoutRedis(t.Context(), failure))
	require.NoError(t, m.withoutRedis(t.Context(), failure))
	require.NoError(t, sleep(t.Context(), 2*m.window+time.Millisecond))
	require.ErrorIs(t, m.withoutRedis(t.Context(), failure), errRetry)
	m.setWorking()
	require.ErrorIs(t, m.withoutRedis(t.Context(), failure), errRetry)
}

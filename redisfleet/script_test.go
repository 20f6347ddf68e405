package redisfleet

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// silent is a server that accepts connections and never responds.
func silent(t *testing.T) *server {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		var conns []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		accepting.Wait()
	})
	return serverAt(listener.Addr().String())
}

// TestHungRedisDoesNotHoldACallBeyondItsContext is about a call that waits for
// the limiter, and about one that waits for a bearer.
func TestHungRedisDoesNotHoldACallBeyondItsContext(t *testing.T) {
	t.Parallel()
	for name, hang := range map[string]func(*testing.T) (*server, func()){
		"a stopped process": func(t *testing.T) (*server, func()) {
			s := newServer(t)
			return s, func() { s.pause(t) }
		},
		"a silent listener": func(t *testing.T) (*server, func()) { return silent(t), func() {} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, stop := hang(t)
			cfg := sailpointtest.NewTenant().Config()
			client := clientOf(t, s, cfg, Options{})
			l := limiterOf(t, s, cfg, Options{})
			stop()
			for _, wait := range []func(context.Context) error{l.Wait, func(ctx context.Context) error { return list(ctx, client) }} {
				requirePrompt(t, func() time.Duration {
					ctx, cancel := context.WithCancelCause(t.Context())
					var cancelled time.Time
					time.AfterFunc(200*time.Millisecond, func() { cancelled = time.Now(); cancel(errCancelled) })
					requireEnded(t, wait(ctx))
					return time.Since(cancelled)
				})
				requirePrompt(t, func() time.Duration {
					ctx := within(t, 200*time.Millisecond)
					deadline, _ := ctx.Deadline()
					require.ErrorIs(t, wait(ctx), context.DeadlineExceeded)
					return time.Since(deadline)
				})
			}
		})
	}
}

// TestCancelledWaitEndsAtOnceWithoutRedis is about a call that waits for its
// turn, and can't give it back.
func TestCancelledWaitEndsAtOnceWithoutRedis(t *testing.T) {
	t.Parallel()
	requirePrompt(t, func() time.Duration {
		s := newServer(t).warm(t)
		l := limiterOf(t, s, sailpointtest.NewTenant().Config(), Options{Limit: 1, Window: time.Minute})
		require.NoError(t, l.Wait(t.Context()))
		ctx, cancel := context.WithCancelCause(t.Context())
		var cancelled time.Time
		time.AfterFunc(200*time.Millisecond, func() {
			s.pause(t)
			cancelled = time.Now()
			cancel(errCancelled)
		})
		requireEnded(t, l.Wait(ctx))
		return time.Since(cancelled)
	})
}

var errCancelled = errors.New("the test cancels the call")

// requireEnded requires an error that matches both the end of a context and its
// cause.
func requireEnded(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, errCancelled)
	require.ErrorIs(t, err, context.Canceled)
}

// TestCancelledWaitHasTheCauseInItsError is about a call that waits for its turn,
// and about one that has ended before.
func TestCancelledWaitHasTheCauseInItsError(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	l := limiterOf(t, s, sailpointtest.NewTenant().Config(), Options{Limit: 1, Window: time.Minute})
	l.giveBackTimeout = time.Minute // the machine may be busy
	require.NoError(t, l.Wait(t.Context()))
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(200*time.Millisecond, func() { cancel(errCancelled) })
	requireEnded(t, l.Wait(ctx))
	require.Equal(t, 3, s.scriptCalls(t), "it waited, and gave its turn back")
	requireEnded(t, l.Wait(ctx))
	require.Equal(t, 3, s.scriptCalls(t))
}

// requirePrompt requires that a call once ends within 50 ms of its context. More
// than one call is late only if the machine is busy.
func requirePrompt(t *testing.T, lateness func() time.Duration) {
	t.Helper()
	late := lateness()
	for range 4 {
		if late > 50*time.Millisecond {
			late = min(late, lateness())
		}
	}
	require.LessOrEqual(t, late, 50*time.Millisecond)
}

// TestHungRedisFailsACallWithoutADeadline shows that such a call doesn't wait
// for all retries of go-redis.
func TestHungRedisFailsACallWithoutADeadline(t *testing.T) {
	t.Parallel()
	l := limiterOf(t, silent(t), sailpointtest.NewTenant().Config(), Options{})
	started := time.Now()
	require.EqualError(t, l.Wait(t.Context()), "redisfleet: Redis failed: no response within 3s")
	require.GreaterOrEqual(t, time.Since(started), redisTimeout)
}

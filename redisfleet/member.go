package redisfleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sailpoint-go/sailpoint"
)

// member is what the limiter and the bearers of one member share. It decides
// what the member does while Redis fails.
type member struct {
	redis    redis.UniversalClient
	fallback sailpoint.Limiter // nil to fail closed
	window   time.Duration     // after it, an earlier request no longer counts
	logger   *slog.Logger

	mu           sync.Mutex
	failingSince time.Time // zero while Redis works
	failedLast   time.Time
	fellBackLast time.Time // when the fallback last let a request through
}

const (
	retryInterval  = time.Second // in the first window of a failure
	redisTimeout   = 3 * time.Second
	failingTimeout = 500 * time.Millisecond // while Redis fails
)

// redisError is a failure of Redis, or of the way to it.
type redisError struct{ error }

func (e redisError) Error() string { return "redisfleet: Redis failed: " + e.error.Error() }

func (e redisError) Unwrap() error { return e.error }

var errUnexpectedResponse = redisError{errors.New("a script returned an unexpected response")}

// run runs a script. Its error is that of ended or a redisError.
//
// run returns when ctx ends. go-redis ignores a cancellation while it waits for
// a response, so its goroutine ends only after its own timeouts.
func (m *member) run(ctx context.Context, s script, keys []string, args ...any) (*redis.Cmd, error) {
	timeout, started := m.timeout(), time.Now()
	timed, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	responded := make(chan *redis.Cmd, 1)
	go func() { responded <- s.run(timed, m.redis, keys, args) }()
	var response *redis.Cmd
	select {
	case response = <-responded:
	case <-timed.Done():
	}
	noResponse := redisError{fmt.Errorf("no response within %s", timeout)}
	switch {
	case ctx.Err() != nil:
		if m.fallback != nil && time.Since(started) > failingTimeout { // all calls may have deadlines before the timeout
			m.setFailing(noResponse)
		}
		return nil, ended(ctx)
	case response == nil, response.Err() != nil && timed.Err() != nil:
		return nil, noResponse
	case response.Err() != nil:
		return nil, redisError{response.Err()}
	}
	return response, nil
}

// timeout returns how long to wait for one response of Redis.
func (m *member) timeout() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failingSince.IsZero() {
		return redisTimeout
	}
	return failingTimeout
}

// setWorking is called after a response that was of use.
func (m *member) setWorking() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.failingSince.IsZero() {
		m.log(slog.LevelInfo, "Redis works again")
	}
	m.failingSince = time.Time{}
}

// withoutRedis asks the fallback. It returns nil if a request may be sent. In
// the first window it returns errRetry after a while, because the fleet's last
// requests still count. The caller should then try Redis again.
func (m *member) withoutRedis(ctx context.Context, failure redisError) error {
	if m.fallback == nil {
		return failure
	}
	if left := time.Until(m.setFailing(failure).Add(m.window)); left > 0 {
		if err := sleep(ctx, min(left, retryInterval)); err != nil {
			return err
		}
		return errRetry
	}
	if err := m.fallback.Wait(ctx); err != nil {
		return fmt.Errorf("redisfleet: Fallback: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fellBackLast = time.Now()
	return nil
}

var errRetry = errors.New("redisfleet: try Redis again")

// setFailing returns since when Redis fails. Failures that are far apart are
// separate ones, because this member may not have called Redis between them.
func (m *member) setFailing(failure redisError) (since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.failingSince.IsZero() || now.Sub(m.failedLast) > 2*m.window {
		m.failingSince = now
		m.log(slog.LevelWarn, "Redis fails, so this member will use its Fallback", slog.Any("error", failure))
	}
	m.failedLast = now
	return m.failingSince
}

// unrecorded returns when the fallback last let a request through, or zero if
// no such request counts any more. Redis doesn't know of them.
func (m *member) unrecorded() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.fellBackLast) >= m.window {
		return time.Time{}
	}
	return m.fellBackLast
}

// setRecorded is called when Redis holds back the fleet because of requests
// until last.
func (m *member) setRecorded(last time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fellBackLast.Equal(last) {
		m.fellBackLast = time.Time{}
	}
}

func (m *member) log(level slog.Level, message string, attrs ...slog.Attr) {
	if m.logger != nil {
		m.logger.LogAttrs(context.Background(), level, "redisfleet: "+message, attrs...)
	}
}

package redisfleet

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

//go:embed limiter.lua
var limiterLua string

var limiterScript = newScript(limiterLua)

const (
	longestWait  = 24 * time.Hour // if the context has no deadline
	maxLateSends = 5              // of one call, before Redis counts as too slow
)

var _ sailpoint.SharedLimiter = (*limiter)(nil)

// limiter is the SharedLimiter of a member. Redis keeps a ring of the fleet's
// last grants. A grant that is due later must be confirmed when it is due,
// because a 429 or a failover may have made it void.
type limiter struct {
	member *member
	script script
	key    string
	limit  int
	window time.Duration
	slack  time.Duration
}

// The verdicts of limiter.lua.
const (
	verdictSend     = iota // the request may be sent now
	verdictConfirm         // it is due later, and must then be confirmed
	verdictHeld            // another member received a 429
	verdictTooLong         // it would be due after the deadline
	verdictMismatch        // the members of the fleet have different settings
)

// grant is when a request is due, by the clock of Redis and by this member's.
type grant struct {
	due, epoch int64
	at         time.Time
}

// late returns how long ago the request was due.
func (g grant) late() time.Duration {
	if g.due == 0 {
		return 0
	}
	return max(time.Since(g.at), 0)
}

// verdict is the response of limiter.lua.
type verdict struct {
	kind  int64
	wait  time.Duration
	grant grant
}

// Wait implements [sailpoint.Limiter].
func (l *limiter) Wait(ctx context.Context) error {
	for {
		err := l.awaitGrant(ctx)
		if failure, ok := errors.AsType[redisError](err); ok {
			err = l.member.withoutRedis(ctx, failure)
		}
		if !errors.Is(err, errRetry) {
			return err
		}
	}
}

// awaitGrant waits until Redis lets a request through.
func (l *limiter) awaitGrant(ctx context.Context) error {
	var reserved grant
	for late := 0; late < maxLateSends; {
		asked := time.Now()
		v, err := l.ask(ctx, reserved)
		if err != nil {
			return err
		}
		isLate := time.Since(asked) > l.tolerance()
		if !isLate {
			l.member.setWorking()
		}
		switch {
		case v.kind == verdictConfirm:
			reserved = v.grant
			if err := sleep(ctx, v.wait); err != nil {
				return err
			}
		case v.kind == verdictSend && isLate: // Redis or this process stood still, so the grant may be outdated
			reserved = v.grant
			late++
		case v.kind == verdictSend:
			return nil
		default:
			return l.refusal(v)
		}
	}
	return redisError{errors.New("it responds too slowly to keep to the quota: make Options.Slack longer")}
}

// ask asks Redis to confirm a reserved grant, or for another if that is void.
func (l *limiter) ask(ctx context.Context, reserved grant) (verdict, error) {
	if ctx.Err() != nil {
		return verdict{}, ended(ctx)
	}
	patience := longestWait
	if deadline, ok := ctx.Deadline(); ok {
		patience = max(time.Until(deadline), 0)
	}
	return l.run(ctx, patience, reserved, 0)
}

// run runs limiter.lua. Without a hold it asks for a grant.
func (l *limiter) run(ctx context.Context, patience time.Duration, reserved grant, hold time.Duration) (verdict, error) {
	unrecorded := l.member.unrecorded()
	started := time.Now()
	response, err := l.member.run(ctx, l.script, l.key,
		l.limit, l.ringWindow().Microseconds(), l.interval().Microseconds(), l.tolerance().Microseconds(),
		patience.Microseconds(), reserved.due, reserved.epoch, reserved.late().Microseconds(), hold.Microseconds(), !unrecorded.IsZero())
	if err != nil {
		return verdict{}, err
	}
	numbers, err := response.Int64Slice()
	if err != nil || len(numbers) != 4 {
		return verdict{}, errUnexpectedResponse
	}
	if numbers[0] != verdictMismatch {
		l.member.setRecorded(unrecorded)
	}
	wait := time.Duration(numbers[1]) * time.Microsecond
	return verdict{numbers[0], wait, grant{numbers[2], numbers[3], started.Add(wait)}}, nil
}

// ringWindow is the time in which at most limit requests are due. It is longer
// than Window, because requests take different times to the API.
func (l *limiter) ringWindow() time.Duration { return l.window + l.slack }

// interval is the time between the requests of members that wait.
func (l *limiter) interval() time.Duration { return l.window / time.Duration(l.limit) }

// tolerance is how late a grant may be confirmed, and how long the response
// may take. Both together are half of the slack. The request has the other half.
func (l *limiter) tolerance() time.Duration { return l.slack / 4 }

// refusal returns the error of a verdict that lets no request through.
func (l *limiter) refusal(v verdict) error {
	switch v.kind {
	case verdictHeld:
		return &sailpoint.Error{StatusCode: http.StatusTooManyRequests, RetryAfter: v.wait}
	case verdictTooLong:
		return fmt.Errorf("redisfleet: the fleet's next free request is in %s, after the call's deadline: %w", v.wait.Round(time.Millisecond), context.DeadlineExceeded)
	case verdictMismatch:
		return invalidArgument("Limit is %d in %s (Window and Slack), but another member of the fleet has %d in %s: give all members the same",
			l.limit, l.ringWindow(), v.grant.due, v.wait)
	}
	return redisError{fmt.Errorf("a script returned the unknown verdict %d", v.kind)}
}

// RateLimited implements [sailpoint.SharedLimiter].
func (l *limiter) RateLimited(ctx context.Context, retryAfter time.Duration) {
	if retryAfter < time.Microsecond {
		return
	}
	if _, err := l.run(ctx, 0, grant{}, retryAfter); err != nil {
		l.member.log(slog.LevelWarn, "the other members don't know of a 429", slog.Any("error", err))
	}
}

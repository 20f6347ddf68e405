package redisfleet

import (
	"context"
	"crypto/rand"
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
	longestWait     = 24 * time.Hour        // if the context has no deadline
	maxLateSends    = 5                     // of one call, before Redis counts as too slow
	giveBackTimeout = 20 * time.Millisecond // because a cancelled call should end at once
)

var _ sailpoint.SharedLimiter = (*limiter)(nil)

// limiter is the SharedLimiter of a member. Redis keeps the turns of the
// fleet's calls. A turn that is due later must be confirmed when it is due,
// because a 429 or a failover may have made it void.
type limiter struct {
	member *member
	script script
	keys   []string
	limit  int
	window time.Duration
	slack  time.Duration

	giveBackTimeout time.Duration
}

// The verdicts of limiter.lua.
const (
	verdictSend     = iota // the request may be sent now
	verdictConfirm         // it is due later, and must then be confirmed
	verdictHeld            // another member received a 429
	verdictTooLong         // it would be due after the deadline
	verdictMismatch        // the members of the fleet have different settings
)

// verdict is the response of limiter.lua.
type verdict struct {
	kind  int64
	wait  time.Duration
	due   int64 // when the request is due, by the clock of Redis
	epoch int64
	at    time.Time // when the request is due, by this member's clock
}

// Wait implements [sailpoint.Limiter].
func (l *limiter) Wait(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return ended(ctx)
		}
		id := rand.Text()
		err := l.awaitTurn(ctx, id)
		if failure, ok := errors.AsType[redisError](err); ok {
			err = l.member.withoutRedis(ctx, failure)
		} else if err != nil && ctx.Err() != nil {
			l.giveBack(ctx, id)
		}
		if !errors.Is(err, errRetry) {
			return err
		}
	}
}

// awaitTurn waits until Redis lets a request through.
func (l *limiter) awaitTurn(ctx context.Context, id string) error {
	var last verdict
	for late := 0; late < maxLateSends; {
		patience := longestWait
		if deadline, ok := ctx.Deadline(); ok {
			patience = max(time.Until(deadline), 0)
		}
		asked := time.Now()
		v, err := l.run(ctx, patience, id, last, 0)
		if err != nil {
			return err
		}
		last = v
		isLate := time.Since(asked) > l.tolerance()
		if !isLate {
			l.member.setWorking()
		}
		switch {
		case v.kind == verdictConfirm:
			if err := sleep(ctx, v.wait); err != nil {
				return err
			}
		case v.kind == verdictSend && isLate: // Redis or this process stood still, so the turn may be over
			late++
		case v.kind == verdictSend:
			return nil
		default:
			return l.refusal(v)
		}
	}
	return redisError{errors.New("it responds too slowly to keep to the quota: make Options.Slack longer")}
}

// giveBack returns the turn of a call that was cancelled. The call waits for it,
// but only shortly.
func (l *limiter) giveBack(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.giveBackTimeout)
	defer cancel()
	_, _ = l.run(ctx, -time.Microsecond, id, verdict{}, 0)
}

// run runs limiter.lua. The last verdict is that of the same id.
func (l *limiter) run(ctx context.Context, patience time.Duration, id string, last verdict, hold time.Duration) (verdict, error) {
	unrecorded := l.member.unrecorded()
	expected := last.due + time.Since(last.at).Microseconds()
	started := time.Now()
	response, err := l.member.run(ctx, l.script, l.keys,
		l.limit, l.longWindow().Microseconds(), l.interval().Microseconds(), l.tolerance().Microseconds(),
		patience.Microseconds(), id, expected, last.epoch, hold.Microseconds(), !unrecorded.IsZero())
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
	return verdict{numbers[0], wait, numbers[2], numbers[3], started.Add(wait)}, nil
}

// longWindow is the time in which at most limit requests are due. It is longer
// than Window, because requests take different times to the API.
func (l *limiter) longWindow() time.Duration { return l.window + l.slack }

// interval is the time between the requests of members that wait.
func (l *limiter) interval() time.Duration { return l.window / time.Duration(l.limit) }

// tolerance is how late a turn may be confirmed, and how long the response
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
			l.limit, l.longWindow(), v.due, v.wait)
	}
	return redisError{fmt.Errorf("a script returned the unknown verdict %d", v.kind)}
}

// RateLimited implements [sailpoint.SharedLimiter].
func (l *limiter) RateLimited(ctx context.Context, retryAfter time.Duration) {
	if retryAfter < time.Microsecond {
		return
	}
	if _, err := l.run(ctx, 0, "", verdict{}, retryAfter); err != nil {
		l.member.log(slog.LevelWarn, "the other members don't know of a 429", slog.Any("error", err))
	}
}

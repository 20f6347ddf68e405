package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

const day = 24 * time.Hour

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ended(ctx) // it may have ended as well
	case <-ctx.Done():
		return ended(ctx)
	}
}

// ended returns nil if ctx has not ended, or else an error that matches
// ctx.Err() and its cause. It leaves out the error of another call, such as the
// one that ended the context of an errgroup, because that says nothing about
// this one.
func ended(ctx context.Context) error {
	switch err, cause := ctx.Err(), context.Cause(ctx); {
	case err == nil || errors.As(cause, new(*sailpoint.Error)):
		return err
	case errors.Is(cause, err):
		return cause
	default:
		return errors.Join(err, cause)
	}
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// span returns a duration in its largest unit, rounded down.
func span(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := d / unit.length; n > 1 {
			return fmt.Sprintf("%d %ss", n, unit.name)
		} else if n == 1 {
			return "1 " + unit.name
		}
	}
	return fmt.Sprintf("%d seconds", d/time.Second)
}

func sameTime(a, b *time.Time) bool {
	return a == b || a != nil && b != nil && a.Equal(*b)
}

// sameSecond reports whether a and b differ by less than a second. The API may
// cut or round a time.
func sameSecond(a, b time.Time) bool { return a.Sub(b).Abs() < time.Second }

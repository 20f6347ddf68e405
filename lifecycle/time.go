package lifecycle

import (
	"context"
	"fmt"
	"time"
)

const day = 24 * time.Hour

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return context.Cause(ctx) // both may have come
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// span returns a duration as people say it, in its largest unit, cut down to the whole.
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

// sameSecond reports whether a is less than a second from b: the API may cut or round what it was sent.
func sameSecond(a, b time.Time) bool { return a.Sub(b).Abs() < time.Second }

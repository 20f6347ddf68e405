package lifecycle

import (
	"context"
	"fmt"
	"time"
)

const day = 24 * time.Hour

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return context.Cause(ctx) // ctx may have ended as well
	case <-ctx.Done():
		return context.Cause(ctx)
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

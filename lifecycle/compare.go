package lifecycle

import (
	"slices"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

func sameTime(a, b *time.Time) bool {
	return a == b || a != nil && b != nil && a.Equal(*b)
}

// sameSecond reports whether a is less than a second from b: the API may cut or round what it was sent.
func sameSecond(a, b time.Time) bool { return a.Sub(b).Abs() < time.Second }

// sameScope compares scopes as sets: the API promises no order.
func sameScope(a, b []string) bool { return containsAll(a, b) && containsAll(b, a) }

// sameRights compares what scopes allow: ScopeAll includes every other.
func sameRights(a, b []string) bool {
	all := slices.Contains(a, sailpoint.ScopeAll)
	return all && slices.Contains(b, sailpoint.ScopeAll) || sameScope(a, b)
}

func containsAll(set, members []string) bool {
	return !slices.ContainsFunc(members, func(member string) bool { return !slices.Contains(set, member) })
}

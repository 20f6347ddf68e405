package lifecycle

import (
	"context"
	"errors"

	"github.com/sailpoint-go/sailpoint"
)

// Status is what happened to one token in [Prune] or [Renew].
type Status string

// The statuses.
const (
	StatusPlanned  Status = "planned" // would be changed if Apply were set
	StatusDeleted  Status = "deleted"
	StatusRenewed  Status = "renewed"
	StatusGone     Status = "gone"     // the token no longer exists
	StatusSkipped  Status = "skipped"  // must stay unchanged; see Reason
	StatusDeferred Status = "deferred" // not tried, so another call may change it; see Reason
	StatusFailed   Status = "failed"   // not changed, or not as requested; see Err
	StatusUnknown  Status = "unknown"  // perhaps changed; repeating is safe
)

// Change is what happened to one token.
type Change struct {
	Token  sailpoint.PersonalAccessToken // as last seen
	Status Status
	Reason string // why it was skipped or deferred
	Err    error  // set if it failed or is unknown, or was deferred because the context ended
}

// fail sets the status of a token whose change failed with err.
func (c *Change) fail(ctx context.Context, err error) {
	c.Err = err
	switch {
	case errors.Is(err, sailpoint.ErrOutcomeUnknown):
		c.Status = StatusUnknown
	case isGone(err):
		c.Status, c.Err = StatusGone, nil
	case ctx.Err() != nil:
		c.postpone("the context ended")
	default:
		c.Status = StatusFailed
	}
}

func (c *Change) skip(reason string) { c.Status, c.Reason = StatusSkipped, reason }

func (c *Change) postpone(reason string) {
	c.Status, c.Reason = StatusDeferred, "not tried, because "+reason
}

// concernsAll reports whether err would also fail every other call.
func concernsAll(err error) bool {
	return errors.Is(err, sailpoint.ErrInvalidCredentials) || errors.Is(err, sailpoint.ErrUnauthorized)
}

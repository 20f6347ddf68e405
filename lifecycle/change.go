package lifecycle

import (
	"context"
	"errors"

	"github.com/sailpoint-go/sailpoint"
)

// Status is what happened to one token in [Prune] or [Renew].
type Status string

// The statuses. A token is StatusGone if it is no longer listed, or if its change
// gets a 404 from the API. A 404 without detailCode and trackingId is
// StatusFailed, because a proxy may have sent it.
const (
	StatusPlanned  Status = "planned" // would be changed if Apply were set
	StatusDeleted  Status = "deleted"
	StatusRenewed  Status = "renewed"
	StatusGone     Status = "gone"     // the token no longer exists
	StatusSkipped  Status = "skipped"  // must stay unchanged; see Reason
	StatusDeferred Status = "deferred" // not tried, so another call may change it; see Reason
	StatusFailed   Status = "failed"   // not changed, or not as requested; see Err
	StatusUnknown  Status = "unknown"  // perhaps changed, for example because the response was lost or was a 5xx; repeating is safe
)

// Change is what happened to one token.
type Change struct {
	Token  sailpoint.PersonalAccessToken // as last seen
	Status Status
	Reason string // why it was skipped or deferred
	// Err is set if the change failed or is unknown. It is also set if the
	// token was deferred because the context ended or because an earlier
	// response asked to wait. It is nil for a token beyond MaxDeletions. It is
	// also nil for a token that was deferred because the tenant rejected the
	// client's credentials, which is the error that Prune or Renew returns.
	Err error
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
	case heldBack(err):
		c.postpone("an earlier response asked to wait")
	default:
		c.Status = StatusFailed
	}
}

func (c *Change) skip(reason string) { c.Status, c.Reason = StatusSkipped, reason }

func (c *Change) postpone(reason string) {
	c.Status, c.Reason = StatusDeferred, "not tried, because "+reason
}

// stop defers a token because of the rejection that Prune or Renew returns.
func (c *Change) stop() {
	c.Err = nil // it may have a 429 of an earlier attempt
	c.postpone("the tenant rejected the client's credentials")
}

// concernsAll reports whether err would also fail every other call.
func concernsAll(err error) bool {
	return errors.Is(err, sailpoint.ErrInvalidCredentials) || errors.Is(err, sailpoint.ErrUnauthorized)
}

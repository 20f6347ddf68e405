package lifecycle

import (
	"context"
	"errors"

	"github.com/sailpoint-go/sailpoint"
)

// Status is what became of one token in [Prune] or [Renew].
type Status string

// What can become of a token.
const (
	StatusPlanned Status = "planned" // by a dry run: nothing was changed
	StatusDeleted Status = "deleted"
	StatusRenewed Status = "renewed"
	StatusGone    Status = "gone"    // it did not exist any more
	StatusSkipped Status = "skipped" // left alone, as Reason says
	StatusFailed  Status = "failed"  // not changed, or not as requested: see Err
	StatusUnknown Status = "unknown" // changed or not: the answer is lost. To do it again is safe.
)

// Change is what became of one token.
type Change struct {
	Token  sailpoint.PersonalAccessToken // as it was seen last
	Status Status
	Reason string // why it was skipped
	Err    error  // of StatusFailed, of StatusUnknown, and of what was skipped because the context ended
}

// fail sets what became of a token whose change ended in err.
func (c *Change) fail(ctx context.Context, err error) {
	c.Err = err
	switch {
	case errors.Is(err, sailpoint.ErrOutcomeUnknown):
		c.Status = StatusUnknown
	case isGone(err):
		c.Status, c.Err = StatusGone, nil
	case ctx.Err() != nil:
		c.skip("not tried: the context ended")
	default:
		c.Status = StatusFailed
	}
}

func (c *Change) skip(reason string) { c.Status, c.Reason = StatusSkipped, reason }

// concernsAll reports whether what went wrong with one call would go wrong with any other.
func concernsAll(err error) bool {
	return errors.Is(err, sailpoint.ErrInvalidCredentials) || errors.Is(err, sailpoint.ErrUnauthorized)
}

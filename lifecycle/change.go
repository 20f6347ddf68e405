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
	Planned Status = "planned" // by a dry run: nothing was changed
	Deleted Status = "deleted"
	Renewed Status = "renewed"
	Gone    Status = "gone"    // it did not exist any more
	Skipped Status = "skipped" // left alone, as Reason says
	Failed  Status = "failed"  // not changed, or not as requested: see Err
	Unknown Status = "unknown" // changed or not: the answer is lost. To do it again is safe.
)

// Change is what became of one token.
type Change struct {
	Token  sailpoint.PersonalAccessToken // as it was seen last
	Status Status
	Reason string // why it was skipped
	Err    error  // of Failed, of Unknown, and of what was skipped because the context ended
}

// fail sets what became of a token whose change ended in err.
func (c *Change) fail(ctx context.Context, err error) {
	c.Err = err
	switch {
	case errors.Is(err, sailpoint.ErrOutcomeUnknown):
		c.Status = Unknown
	case errors.Is(err, sailpoint.ErrNotFound):
		c.Status, c.Err = Gone, nil
	case ctx.Err() != nil:
		c.skip("not tried: the context ended")
	default:
		c.Status = Failed
	}
}

func (c *Change) skip(reason string) { c.Status, c.Reason = Skipped, reason }

// concernsAll reports whether what went wrong with one call would go wrong with any other.
func concernsAll(err error) bool {
	return errors.Is(err, sailpoint.ErrInvalidCredentials) || errors.Is(err, sailpoint.ErrUnauthorized)
}

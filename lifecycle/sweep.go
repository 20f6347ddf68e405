package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

// isOurs reports whether this name and mark belong to a run for the same token.
// Issue compares the final name. Rotate compares the ID of the stored token or
// of the one that it replaced.
func (r *run) isOurs(name string, m mark) bool {
	if m.kind != r.mark.kind {
		return false
	}
	if m.kind == kindNew {
		return baseOf(name) == r.base
	}
	replaced, _ := r.cur.replaces()
	return m.tag == tagFor(r.cur.ID) || replaced != "" && m.tag == tagFor(replaced)
}

// leftBehind returns the tokens that are not stored and belong to this run or
// to earlier runs for the same token.
func (r *run) leftBehind() (list []sailpoint.PersonalAccessToken) {
	for _, t := range r.tokens {
		if _, m, ok := markOf(t.Name); ok && t.ID != r.cur.ID && r.isOurs(t.Name, m) {
			list = append(list, t)
		}
	}
	return list
}

// leaveForeign reports marked tokens that have the same final name but belong
// to another job or an earlier token. It is not known who still needs them.
func (r *run) leaveForeign() {
	for _, t := range r.tokens {
		if base, m, ok := markOf(t.Name); ok && base == r.base && t.ID != r.cur.ID && !r.isOurs(t.Name, m) {
			r.leave(t.ID, t.Name, "another job, or a run for an earlier token, made it; delete it only if no run is active and no store holds it")
		}
	}
}

// sweep deletes what earlier runs left. The secret of such a token is lost,
// unless an active run has not stored it yet.
func (r *run) sweep(ctx context.Context) (swept bool, err error) {
	for _, t := range r.leftBehind() {
		switch {
		case t.Managed:
			r.leave(t.ID, t.Name, "the platform manages it")
			continue
		case strings.EqualFold(t.ID, r.given.ClientID()):
			r.leave(t.ID, t.Name, "the client itself uses it")
			continue
		case t.LastUsed != nil && t.LastUsed.After(t.Created.Add(r.abandonAfter)):
			// A run uses its token right after it made it. This check only ever
			// prevents a deletion.
			r.leave(t.ID, t.Name, "somebody uses it")
			continue
		case t.Created.IsZero() && r.cur.Version == "" && !r.writeOnly && !r.isOwn(t.Name):
			r.leave(t.ID, t.Name, "the tenant does not report its age; delete it if no run is active")
			continue
		}
		r.leave(t.ID, t.Name, "an earlier run left it")
		if err := r.fence(ctx, t); err != nil {
			return swept, err
		}
		if err := r.remove(ctx, t.ID); err != nil {
			return swept, r.fail(StepSweep, err, advice(err))
		}
		swept = true
	}
	return swept, nil
}

// fence makes sure that no run stores the token t after fence returned nil.
//
// The run that made t loaded the store before it created t. So it did before
// the list showed t, and before the load here. The write here makes a new
// version. That run's Save therefore changes nothing, even if it is late, and a
// run never saves again after that. To read the version alone is not enough,
// because the Save could follow.
func (r *run) fence(ctx context.Context, t sailpoint.PersonalAccessToken) error {
	if r.isOwn(t.Name) {
		return nil // the response was lost, so nobody ever had the secret
	}
	if r.writeOnly {
		return r.fail(StepSweep, ErrInProgress, "find out whether its secret was stored; rename the token if so, otherwise delete it, and run it again")
	}
	age := time.Since(t.Created)
	if r.cur.Version == "" && age < r.abandonAfter {
		return r.fail(StepSweep, ErrInProgress, fmt.Sprintf(runAgainAfter, rounded(r.abandonAfter-age)))
	}
	before := r.cur.ID
	if err := r.load(ctx); err != nil {
		return err
	}
	if r.cur.ID != before {
		return errMoved
	}
	if r.cur.Version == "" {
		return nil // see Store: one run at a time, and no write after abandonAfter
	}
	next := rewritten(r.cur)
	switch err := r.write(ctx, next); {
	case errors.Is(err, ErrStoreConflict):
		return errMoved
	case err != nil && !r.holds(ctx, next):
		return r.fail(StepSweep, err, "repair the store and run it again")
	}
	return nil
}

// holds reports whether the store holds c although its write failed. A folder
// that can't be synced must not keep a leftover forever. The Note differs at
// each write.
func (r *run) holds(ctx context.Context, c Credential) bool {
	now, err := r.store.Load(ctx)
	return err == nil && now.ID == c.ID && now.Note == c.Note
}

// rewritten returns c with a new Note, to save it again.
func rewritten(c Credential) Credential {
	replaces, _ := c.replaces()
	c.Note = note(replaces)
	return c
}

func (r *run) isOwn(name string) bool {
	_, m, ok := markOf(name)
	return ok && m == r.mark
}

// recheck lists once more to find late tokens. It never turns a success into a
// failure.
func (r *run) recheck(ctx context.Context) {
	if r.list(ctx) != nil {
		return
	}
	if t, ok := r.listed(r.cur.ID); ok {
		r.token = t
	}
	own := 0
	for _, t := range r.leftBehind() {
		if r.isOwn(t.Name) {
			own++
		}
	}
	if swept, err := r.sweep(ctx); swept && err == nil && own > 0 {
		r.unobserved = max(r.unobserved-own, 0)
	}
	r.leaveForeign()
}

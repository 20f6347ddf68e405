package lifecycle

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

// Outcome is what [Issue] or [Rotate] did.
type Outcome string

// The outcomes.
const (
	Unchanged Outcome = "unchanged" // nothing was due
	Issued    Outcome = "issued"
	Rotated   Outcome = "rotated"
	Finished  Outcome = "finished" // what an earlier run had begun
	Pending   Outcome = "pending"  // the successor is in force, the old token stays valid until RetireAt
)

// Result is a success of [Issue] or [Rotate].
type Result struct {
	Outcome  Outcome
	Token    sailpoint.PersonalAccessToken // whose secret the store holds
	Replaced string                        // id of the token that was retired, or will be
	RetireAt time.Time                     // Pending only
	// Client goes on with: the one given, or, if its own token was rotated, one with the stored credential.
	Client *sailpoint.Client
	Left   []Leftover // not the run's to delete, or could not be deleted, or may still appear
}

// Issue makes sure that store holds the secret of a working token named req.Name.
//
// It returns a nil error only when a bearer was fetched with what the store returned. Otherwise [*Error] says what the
// store holds, which tokens are left, and what to do; calling Issue again is always safe. It deletes only tokens that
// it made itself and whose secret can no longer be stored. If the store already holds a working token of that name
// nothing is created, whatever else req asks for; a stored credential that the tenant refuses is replaced.
//
// Needs sp:my-personal-access-tokens:manage.
func Issue(ctx context.Context, client *sailpoint.Client, req sailpoint.CreatePersonalAccessTokenRequest, store Store) (*Result, error) {
	if err := checkArguments(ctx, client, store); err != nil {
		return nil, err
	}
	switch {
	case strings.TrimSpace(req.Name) == "":
		return nil, refuse("Name %.80q: a token needs a name", req.Name)
	case marked(req.Name):
		return nil, refuse("Name %.80q is a temporary one of this package: choose another", req.Name)
	case len(req.Scope) == 0:
		return nil, refuse("Scope is empty, which would grant every right: name the scopes, or say sailpoint.ScopeAll")
	}
	r := newRun("issue", client, store)
	r.base, r.mark = req.Name, newMark("")
	r.ours = func(t sailpoint.PersonalAccessToken, m mark) bool {
		return m.kind == kindNew && baseOf(t.Name) == r.base
	}
	return r.repeat(ctx, func(ctx context.Context) (*Result, error) { return r.issue(ctx, req) })
}

// checkArguments refuses what Issue and Rotate can't work with. Nothing is sent.
func checkArguments(ctx context.Context, client *sailpoint.Client, store Store) error {
	if _, err := service(client); err != nil {
		return err
	}
	switch {
	case ctx == nil:
		return refuse("the context is nil: use context.Background")
	case store == nil:
		return refuse("no store: use a FileStore, or one of your own")
	}
	if save, ok := store.(SaveFunc); ok && save == nil {
		return refuse("the SaveFunc is nil")
	}
	return nil
}

// issue goes on from whatever it finds.
func (r *run) issue(ctx context.Context, req sailpoint.CreatePersonalAccessTokenRequest) (*Result, error) {
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	if err := r.list(ctx); err != nil {
		return nil, err
	}
	if r.cur.ID != "" {
		found, err := r.findStored(ctx)
		if err != nil {
			return nil, err
		}
		if found {
			return r.keep(ctx)
		}
		// The tenant refuses what is stored: it is replaced.
	}
	if other, ok := r.holder(r.base); ok {
		why := "its secret is not in the store"
		if r.writeOnly {
			why = "its secret may be the stored one"
		}
		r.leave(other.ID, other.Name, why)
		return nil, r.fail(StepList, ErrNameTaken, "delete or rename that token, or choose another name"+unchanged)
	}
	r.nameStale()
	swept, err := r.sweep(ctx)
	if err != nil {
		return nil, err
	}
	if swept {
		return nil, errSwept
	}
	if err := r.replace(ctx, req, ""); err != nil {
		return nil, err
	}
	if !r.writeOnly {
		if err := r.prove(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.rename(ctx); err != nil {
		return nil, err
	}
	r.lookAgain(ctx)
	return r.result(Issued), nil
}

// keep makes sure that the stored token works and has its name.
func (r *run) keep(ctx context.Context) (*Result, error) {
	if baseOf(r.token.Name) != r.base {
		err := because(ErrStored, errors.New("it holds another token, "+r.token.ID))
		return nil, r.fail(StepList, err, "use a store of its own for each token"+unchanged)
	}
	if err := r.prove(ctx); err != nil {
		return nil, err
	}
	outcome := Unchanged
	replaced, _ := r.cur.replaces()
	if old, ok := r.holder(r.base); marked(r.token.Name) && ok && old.ID == replaced {
		r.leave(old.ID, old.Name, "the stored token replaces it: Rotate deletes it and gives the name back")
	} else if marked(r.token.Name) {
		if err := r.rename(ctx); err != nil {
			return nil, err
		}
		outcome = Finished
	}
	r.lookAgain(ctx)
	return r.result(outcome), nil
}

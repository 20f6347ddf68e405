package lifecycle

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sailpoint-go/sailpoint"
)

// Outcome is what [Issue] or [Rotate] did.
type Outcome string

// The outcomes.
const (
	OutcomeUnchanged Outcome = "unchanged" // nothing was due
	OutcomeIssued    Outcome = "issued"
	OutcomeRotated   Outcome = "rotated"
	OutcomeFinished  Outcome = "finished" // what an earlier run had begun
	OutcomePending   Outcome = "pending"  // the successor is in force, the old token stays valid until RetireAt
)

// Result is a success of [Issue] or [Rotate].
type Result struct {
	Outcome  Outcome
	Token    sailpoint.PersonalAccessToken // whose secret the store holds
	Replaced string                        // id of the token that was retired, or will be
	RetireAt time.Time                     // OutcomePending only
	// Client goes on with: the one given, or, if its own token was rotated, one with the stored credential.
	Client *sailpoint.Client
	Left   []Leftover // not the run's to delete, or could not be deleted, or may still appear
	// Warning is a sentence about a new token that the tenant gave an earlier expiry than was requested, else "".
	Warning string
}

// Issue makes sure that store holds the secret of a working token named req.Name.
//
// It returns a nil error only when a bearer was fetched with what the store returned. Otherwise [*Error] says what the
// store holds, which tokens are left, and what to do; calling Issue again is always safe. If the store already holds a
// working token of that name nothing is created, whatever else req asks for.
//
// A stored credential that the tenant refuses is replaced, whether its token is gone, has expired or has another secret.
// Of a token that has not expired Issue believes the refusal only after seven seconds.
//
// Issue deletes tokens that it made itself and whose secret can no longer be stored, and the token that it replaced if
// that has expired. One that has not expired is left, and keeps its name until Rotate deletes it. A new token that is
// not what req asks for, as far as the tenant shows it, is deleted again ([ErrNotAsRequested]); only an earlier expiry is
// accepted, and told in Result.Warning.
//
// Needs sp:my-personal-access-tokens:manage.
func Issue(ctx context.Context, client *sailpoint.Client, req sailpoint.CreatePersonalAccessTokenRequest, store Store) (*Result, error) {
	if err := checkArguments(ctx, client, store); err != nil {
		return nil, err
	}
	switch {
	case strings.TrimSpace(req.Name) == "":
		return nil, invalidArgument("Name %.80q: a token needs a name", req.Name)
	case strings.ContainsRune(req.Name, utf8.RuneError):
		return nil, invalidArgument("Name %.80q holds U+FFFD, which stands for a lost character: choose another", req.Name)
	case marked(req.Name):
		return nil, invalidArgument("Name %.80q is a temporary one of this package: choose another", req.Name)
	case len(req.Scope) == 0:
		return nil, invalidArgument("Scope is empty, which would grant every right: name the scopes, or say sailpoint.ScopeAll")
	}
	r := newRun("issue", client, store)
	r.base, r.mark = req.Name, newToken(newNonce())
	return r.repeat(ctx, func(ctx context.Context) (*Result, error) { return r.issue(ctx, req) })
}

// issue goes on from whatever it finds.
func (r *run) issue(ctx context.Context, req sailpoint.CreatePersonalAccessTokenRequest) (*Result, error) {
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	if err := r.list(ctx); err != nil {
		return nil, err
	}
	replaced := ""
	if r.cur.ID != "" {
		found, err := r.findStored(ctx)
		if err != nil {
			return nil, err
		}
		if found {
			works, err := r.storedWorks(ctx)
			if err != nil {
				return nil, err
			}
			if works {
				return r.keep(ctx)
			}
			replaced = r.cur.ID
		}
		// The tenant refuses what is stored: it is replaced.
	}
	if other, ok := r.holder(r.base); ok {
		why := "its secret is not in the store"
		if r.writeOnly {
			why = "its secret may be the stored one"
		}
		r.leave(other.ID, other.Name, why)
		return nil, r.fail(StepList, ErrNameTaken, "delete or rename that token, or choose another name")
	}
	r.nameStale()
	swept, err := r.sweep(ctx)
	if err != nil {
		return nil, err
	}
	if swept {
		return nil, errSwept
	}
	if err := r.replace(ctx, req, replaced); err != nil {
		return nil, err
	}
	if !r.writeOnly {
		if err := r.verifyStored(ctx); err != nil {
			return nil, err
		}
	}
	return r.giveName(ctx, OutcomeIssued, OutcomeIssued)
}

// storedWorks uses the stored credential of a listed token. One that has not expired is tried again before a refusal is
// believed: a new token may not be known everywhere yet, and what replaces it costs a slot.
func (r *run) storedWorks(ctx context.Context) (bool, error) {
	if baseOf(r.token.Name) != r.base {
		err := wrap(ErrStoredCredential, errors.New("it holds another token, "+r.token.ID))
		return false, r.fail(StepList, err, "use a store of its own for each token")
	}
	times := verifyTimes
	if hasExpired(&r.token) {
		times = times[:1]
	}
	refused, err := r.tryCredentialAt(ctx, times, r.cur)
	if err == nil {
		r.stored.Working = true
		return true, nil
	}
	if !refused {
		r.leaveReplaced("the stored token replaced it")
		return false, r.fail(StepProve, err, advice(err))
	}
	before := r.cur.ID
	if err := r.load(ctx); err != nil {
		return false, err
	}
	if r.cur.ID != before {
		return false, errMoved
	}
	return false, nil
}

func hasExpired(token *sailpoint.PersonalAccessToken) bool {
	return token.ExpirationDate != nil && !token.ExpirationDate.After(time.Now())
}

// keep makes sure that the stored token, which works, has its name.
func (r *run) keep(ctx context.Context) (*Result, error) {
	if !marked(r.token.Name) {
		r.lookAgain(ctx)
		return r.result(OutcomeUnchanged), nil
	}
	return r.giveName(ctx, OutcomeUnchanged, OutcomeFinished)
}

// giveName gives the stored token its name, unless the token that it replaced still has it and may still be used. Which
// of the two outcomes comes about depends on that.
func (r *run) giveName(ctx context.Context, temporary, named Outcome) (*Result, error) {
	replaced, _ := r.cur.replaces()
	switch old, ok := r.listed(replaced); {
	case ok && hasExpired(&old):
		if err := r.retire(ctx, replaced); err != nil {
			return nil, err
		}
	case ok && old.Name == r.base:
		r.leave(old.ID, old.Name, "the stored token replaces it: Rotate deletes it and gives the name back")
		r.lookAgain(ctx)
		return r.result(temporary), nil
	}
	if err := r.rename(ctx); err != nil {
		return nil, err
	}
	r.lookAgain(ctx)
	return r.result(named), nil
}

package lifecycle

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sailpoint-go/sailpoint"
)

// Outcome says what [Issue] or [Rotate] did.
type Outcome string

// The outcomes.
const (
	OutcomeUnchanged Outcome = "unchanged" // nothing had to be done
	OutcomeIssued    Outcome = "issued"    // a new token was created and its secret stored
	OutcomeRotated   Outcome = "rotated"   // a new token is stored, and the old one is deleted
	OutcomeFinished  Outcome = "finished"  // the same, but an earlier run had begun it
	OutcomePending   Outcome = "pending"   // a new token is stored; the old one stays valid during the grace period
)

// Result describes a successful [Issue] or [Rotate].
type Result struct {
	Outcome Outcome
	Token   sailpoint.PersonalAccessToken // the store holds its secret
	// Replaced is the ID of the token that the stored one replaced. It is empty
	// for OutcomeUnchanged, and if the store held no token before or one that
	// was gone.
	Replaced string
	RetireAt time.Time // when to call Rotate again to delete the old token; only for OutcomePending
	// Client is the client to continue with. It is the given one, unless the
	// token that the given one uses was replaced. Then it is a client that uses
	// the stored credential.
	Client *sailpoint.Client
	// Left lists the tokens that Issue or Rotate must not delete or could not
	// delete, and those that may still appear.
	Left []Leftover
	// Warning is a sentence that says that the tenant gave a new token an
	// earlier expiry than requested. It is empty otherwise.
	Warning string
}

// Issue makes sure that store holds the secret of a working token named
// req.Name. It is always safe to call it again. req.Scope must not be empty. To
// grant every right, set [sailpoint.ScopeAll].
//
// If the store already holds a working token of that name, Issue creates
// nothing. It does not compare that token with the rest of req. If the tenant
// rejects the stored credential, Issue replaces it by a new token. The reason
// may be that the token was deleted or has expired, or that the stored secret
// is wrong. If the token has not expired, Issue first retries for seven
// seconds.
//
// If another token has the name and its secret is not in the store, Issue
// returns [ErrNameTaken].
//
// A nil error means that Issue loaded the credential from the store and fetched
// a bearer with it. (With a [SaveFunc] it did so before the secret was stored.)
// For an invalid argument Issue returns an error that matches
// [sailpoint.ErrInvalidArgument], and sends nothing. Every other error is an
// [*Error]. It says what the store holds, which tokens are left, and what to
// do.
//
// Issue deletes its own new token again if its secret is not stored and
// certainly won't be. It does the same if the tenant shows that the token
// differs from req ([ErrNotAsRequested]). The only difference that it accepts
// is an earlier expiry, which it reports in Result.Warning, unless the token
// that it replaces would last longer.
//
// It also deletes the token that it replaced, if that has expired. One that has
// not expired stays, because somebody may still use it. If it has the name
// req.Name, the new token keeps a temporary name. [Rotate] then deletes the old
// token and renames the new one.
//
// Needs sp:my-personal-access-tokens:manage.
func Issue(ctx context.Context, client *sailpoint.Client, req sailpoint.CreatePersonalAccessTokenRequest, store Store) (*Result, error) {
	if err := checkArguments(ctx, client, store); err != nil {
		return nil, err
	}
	switch {
	case strings.TrimSpace(req.Name) == "":
		return nil, invalidArgument("Name %.80q is empty: a token needs a name", req.Name)
	case strings.ContainsRune(req.Name, utf8.RuneError):
		return nil, invalidArgument("Name %.80q holds U+FFFD, which replaces a lost character: choose another name", req.Name)
	case marked(req.Name):
		return nil, invalidArgument("Name %.80q has the form of a temporary name: choose another name", req.Name)
	case len(req.Scope) == 0:
		return nil, invalidArgument("Scope is empty, which would grant every right: list the scopes, or set sailpoint.ScopeAll explicitly")
	}
	r := newRun("issue", client, store)
	r.base, r.mark = req.Name, newToken(newNonce())
	return r.repeat(ctx, func(ctx context.Context) (*Result, error) { return r.issue(ctx, req) })
}

// issue continues from whatever state it finds.
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
		// The tenant rejects the stored credential, so it is replaced.
	}
	if other, ok := r.holder(r.base); ok {
		why := "its secret is not in the store"
		if r.writeOnly {
			why = "its secret may be the stored one"
		}
		r.leave(other.ID, other.Name, why)
		return nil, r.fail(StepList, ErrNameTaken, "delete or rename that token, or choose another name")
	}
	r.leaveForeign()
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

// storedWorks reports whether the stored credential of a listed token works. It
// retries a token that has not expired before it believes a rejection. Some
// servers may not know a new token yet, and replacing it takes a free slot.
func (r *run) storedWorks(ctx context.Context) (bool, error) {
	if baseOf(r.token.Name) != r.base {
		err := wrap(ErrStoredCredential, errors.New("it holds another token, with the ID "+r.token.ID))
		return false, r.fail(StepList, err, "use a separate store for each token, or rename that token")
	}
	times := verifyTimes
	if hasExpired(&r.token) {
		times = times[:1]
	}
	rejected, err := r.tryCredentialAt(ctx, times, r.cur)
	if err == nil {
		r.stored.Working = true
		return true, nil
	}
	if !rejected {
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

// keep keeps the stored token, which works, and makes sure of its name.
func (r *run) keep(ctx context.Context) (*Result, error) {
	if !marked(r.token.Name) {
		r.recheck(ctx)
		return r.result(OutcomeUnchanged), nil
	}
	return r.giveName(ctx, OutcomeUnchanged, OutcomeFinished)
}

// giveName gives the stored token its final name and returns the outcome named.
// If the replaced token still has that name and may still be used, giveName
// changes nothing and returns the outcome temporary.
func (r *run) giveName(ctx context.Context, temporary, named Outcome) (*Result, error) {
	replaced, _ := r.cur.replaces()
	switch old, ok := r.listed(replaced); {
	case ok && hasExpired(&old):
		if err := r.retire(ctx, replaced); err != nil {
			return nil, err
		}
	case ok && old.Name == r.base:
		r.leave(old.ID, old.Name, "the stored token replaces it; a rotation deletes it and frees its name")
		r.recheck(ctx)
		return r.result(temporary), nil
	}
	if err := r.rename(ctx); err != nil {
		return nil, err
	}
	r.recheck(ctx)
	return r.result(named), nil
}

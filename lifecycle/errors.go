package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/origin"
	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// ErrNotAsRequested says that the tenant reported success and did something other than it was asked for: it made a token
// with another name, scope, validity or expiry, or left an expiry as it was. It is matched by the errors of [Issue] and
// [Rotate], which delete such a token again, and by the Change.Err of [Renew].
var ErrNotAsRequested = errors.New("lifecycle: the tenant did not do what was requested")

// Matched by the errors of [Issue] and [Rotate].
var (
	// ErrInProgress says that a token of another run is there which may be at work.
	ErrInProgress = errors.New("lifecycle: another run seems to be at work")
	// ErrNoFreeSlot says that the owner has as many tokens as the API allows.
	ErrNoFreeSlot = errors.New("lifecycle: the owner has no free token slot")
	// ErrNameTaken says that another token has the name that the stored one is to have.
	ErrNameTaken = errors.New("lifecycle: another token has the name")
	// ErrStoredCredential says that the stored credential can't be used: there is none, its token is gone, or it is refused.
	ErrStoredCredential = errors.New("lifecycle: the stored credential is not usable")
	// ErrNotListed says that the stored credential works, but belongs to another owner than the client's.
	ErrNotListed = errors.New("lifecycle: the stored token is not among those of this client's owner")
	// ErrManaged says that the stored token is the platform's own.
	ErrManaged = errors.New("lifecycle: the token is managed by the tenant")
	// ErrStoreUnknown says that nobody can tell which credential the store holds. What it may hold is left alone.
	ErrStoreUnknown = errors.New("lifecycle: can't tell what the store holds")
	// ErrSuperseded says that another run stored its own token meanwhile.
	ErrSuperseded = errors.New("lifecycle: another run was faster")
	// ErrRefused says that the tenant refuses the secret of the token that it has just made.
	ErrRefused = errors.New("lifecycle: the new secret is refused")
	// ErrClientReplaced says that the client was made with a token that has been replaced since.
	ErrClientReplaced = errors.New("lifecycle: the client uses a token that has been replaced")
)

// Step is where [Issue] or [Rotate] failed.
type Step string

// The steps, in their order.
const (
	StepLoad   Step = "load"   // read the store
	StepList   Step = "list"   // look at the owner's tokens
	StepSweep  Step = "sweep"  // delete what an earlier run left
	StepCreate Step = "create" // make the new token
	StepVerify Step = "verify" // use it, before it is stored
	StepSave   Step = "save"   // store it
	StepProve  Step = "prove"  // use what the store returns
	StepRetire Step = "retire" // delete the token that was replaced
	StepRename Step = "rename" // give the new token its name
)

// Error is every error of [Issue] and [Rotate] but the refusal of an argument. It holds none of the secrets that the run
// loaded or made: where an error of the Store repeats a part of one, Err has its text without it, and matches what it
// matched. Each text of a tenant or a Store is cut to 512 bytes.
type Error struct {
	Op     string // issue or rotate
	Step   Step
	Stored Stored
	Left   []Leftover
	Next   string // what to do, one sentence
	Err    error  // wraps one of the variables above where one applies, and the cause
}

// Stored is what the store holds as far as a run knows.
type Stored struct {
	ID      string // "" with Known: nothing
	Known   bool   // false: it may be one of Left, or the store is a SaveFunc
	Working bool   // a bearer was fetched with it in this run
}

// Leftover is a token that a run names and leaves.
type Leftover struct {
	ID, Name string // ID "": a create whose outcome was never observed; it may still appear under Name
	Why      string // one sentence
}

// Error says what failed and what to do.
func (e *Error) Error() string {
	text := "lifecycle: " + e.Op + ": " + string(e.Step)
	if e.Err != nil { // the zero Error prints too
		text += ": " + redact.Line(joined(e.Err))
	}
	for _, l := range e.Left {
		text += "; " + l.String()
	}
	return text + "; " + e.Next
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// String names the token and says why it is left.
func (l Leftover) String() string {
	if l.ID == "" {
		return fmt.Sprintf("left: a token %q: %s", redact.Cut(l.Name), l.Why)
	}
	return fmt.Sprintf("left: %s, %q: %s", redact.Printable(l.ID), redact.Cut(l.Name), l.Why)
}

// storeError is an error of a Store. Its text is on one line and cut, and what it repeats of a secret is replaced.
type storeError struct{ error }

// Error returns the text as it may be shown.
func (e storeError) Error() string { return redact.Printable(joined(e.error)) }

// Unwrap returns the error of the store, or what is left of it without the secret.
func (e storeError) Unwrap() error { return e.error }

// storeError returns err as this run shows it.
func (r *run) storeError(err error) error {
	if err == nil {
		return nil
	}
	redactors := make([]*redact.Redactor, len(r.secrets))
	for i, secret := range r.secrets {
		redactors[i] = redact.New(secret.Reveal())
	}
	return storeError{redact.Join(redactors...).Error(err)}
}

// joined returns the text of err with the texts that errors.Join put on lines of their own on one line.
func joined(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// fail returns the error of this run in a step.
func (r *run) fail(step Step, err error, next string) error {
	if !r.changed {
		next += "; nothing was changed"
	}
	return &Error{Op: r.op, Step: step, Stored: r.stored, Left: r.account(), Next: next, Err: err}
}

// wrap returns an error that matches kind and its cause.
func wrap(kind, cause error) error { return fmt.Errorf("%w: %w", kind, cause) }

// What to do next.
const (
	runAgain      = "run it again"
	othersTurn    = "nothing: the other run goes on"
	runAgainAfter = "run it again after %s, and delete none of these tokens before"
)

// advice returns what to do after a call to the tenant that ended in err. Only what may pass by itself is worth another
// run without a person.
func advice(err error) string {
	switch {
	case errors.Is(err, sailpoint.ErrInvalidArgument):
		return "correct the request, and run it again"
	case errors.Is(err, sailpoint.ErrInvalidCredentials), errors.Is(err, sailpoint.ErrUnauthorized):
		return "give the client credentials that the tenant accepts, and run it again"
	case errors.Is(err, sailpoint.ErrForbidden):
		return "get the missing right granted, or the proxy's block lifted, and run it again"
	case errors.Is(err, sailpoint.ErrBadRequest):
		return "see what the tenant rejects, change it, and run it again"
	case errors.Is(err, ErrNotAsRequested):
		return "choose what the tenant keeps as it is, and run it again"
	}
	return runAgain
}

// credentialRefused reports whether the tenant says that a credential is not valid. That it could not be asked is no
// refusal.
func credentialRefused(ctx context.Context, err error) bool {
	var failure *sailpoint.Error
	switch {
	case ctx.Err() != nil || !errors.As(err, &failure):
		return false
	case errors.Is(err, sailpoint.ErrInvalidCredentials):
		return true
	}
	return errors.Is(err, sailpoint.ErrUnauthorized) && failure.Err == nil // else a later attempt had no answer
}

// bearerAccepted reports whether err shows that the tenant accepted a bearer: there is no error, or the token's scope or
// its owner may not list tokens.
func bearerAccepted(err error) bool {
	var failure *sailpoint.Error
	return err == nil || errors.As(err, &failure) && failure.Err == nil &&
		errors.Is(err, sailpoint.ErrForbidden) && strings.HasPrefix(failure.Op, "GET ")
}

// definitelyRejected reports whether the API says that it did not do what was requested, and would not do it next time.
func definitelyRejected(err error) bool {
	var failure *sailpoint.Error
	return errors.As(err, &failure) && failure.Err == nil && failure.StatusCode/100 == 4 &&
		!errors.Is(err, sailpoint.ErrOutcomeUnknown) && !errors.Is(err, sailpoint.ErrInvalidCredentials) &&
		!errors.Is(err, sailpoint.ErrUnauthorized) && !errors.Is(err, sailpoint.ErrRateLimited)
}

// isGone reports whether the API says that the token of a call doesn't exist. The 404 of a proxy says nothing of it.
func isGone(err error) bool {
	return errors.Is(err, sailpoint.ErrNotFound) && errors.Is(err, origin.ErrAPI)
}

func rounded(d time.Duration) string { return d.Round(time.Second).String() }

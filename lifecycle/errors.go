package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// ErrNotAsRequested says that the tenant reported success but did something
// else. Either it created a token with another name, scope, bearer lifetime or
// expiry, which [Issue] and [Rotate] then delete again. Or it did not change a
// name or an expiry as requested. Errors of Issue and Rotate match it, and so
// does the Change.Err of [Renew].
var ErrNotAsRequested = errors.New("lifecycle: the tenant reported success but did not do what was requested")

// An error of [Issue] or [Rotate] matches one of these, by [errors.Is], if one
// applies. [Error].Next says what to do. Of these variables, an error of a
// [TokenSource] matches only ErrStoredCredential.
var (
	// ErrInProgress says that there is a token with the temporary name of
	// another run. That run may still be active.
	ErrInProgress = errors.New("lifecycle: another run may be active")
	// ErrNoFreeSlot says that the owner has ten tokens, which is the API's
	// limit. Managed tokens don't count.
	ErrNoFreeSlot = errors.New("lifecycle: the owner has no free token slot")
	// ErrNameTaken says that another token has the name that the stored token
	// needs.
	ErrNameTaken = errors.New("lifecycle: another token has the name")
	// ErrStoredCredential says that the stored credential can't be used. It is
	// missing or has no ID, its token is gone, or the tenant rejects it.
	ErrStoredCredential = errors.New("lifecycle: the stored credential is not usable")
	// ErrNotListed says that the stored credential works, but its token is not
	// among those of the client's owner. It belongs to another owner, or the
	// list is not up to date.
	ErrNotListed = errors.New("lifecycle: the stored token is not among those of this client's owner")
	// ErrManaged says that the stored token is a managed one, which the
	// platform itself created and uses.
	ErrManaged = errors.New("lifecycle: the platform manages the stored token")
	// ErrStoreUnknown says that it is not known which credential the store
	// holds. Every token whose secret it may hold is kept.
	ErrStoreUnknown = errors.New("lifecycle: it is not known what the store holds")
	// ErrSuperseded says that another run stored its own token first.
	ErrSuperseded = errors.New("lifecycle: another run stored its token first")
	// ErrNewSecretRejected says that the tenant rejects the secret of the token
	// that it has just made.
	ErrNewSecretRejected = errors.New("lifecycle: the tenant rejects the new secret")
	// ErrClientReplaced says that the client uses a token that Rotate has
	// replaced. Build the client from the store.
	ErrClientReplaced = errors.New("lifecycle: the client uses a token that has been replaced")
)

// Step names the step in which [Issue] or [Rotate] failed.
type Step string

// The steps, in their order.
const (
	StepLoad   Step = "load"   // read the store
	StepList   Step = "list"   // list the owner's tokens
	StepSweep  Step = "sweep"  // delete tokens that an earlier run left
	StepCreate Step = "create" // create the new token
	StepVerify Step = "verify" // call the API with its secret before it is stored
	StepSave   Step = "save"   // store the secret
	StepProve  Step = "prove"  // call the API with the credential that the store returns
	StepRetire Step = "retire" // delete the replaced token
	StepRename Step = "rename" // give the new token its final name
)

// Error describes a failed [Issue] or [Rotate] whose arguments seemed valid. It
// matches [sailpoint.ErrInvalidArgument] if a later check rejected them, for
// example because the options don't suit the stored token.
//
// It never holds a secret that the run loaded or made. If an error of the Store
// or the tenant contains a part of one, Err is a copy without that part. The
// copy matches the same errors by [errors.Is], but does not unwrap to them.
// Each text from the tenant or the Store is cut to 512 bytes.
type Error struct {
	Op     string // "issue" or "rotate"
	Step   Step
	Stored Stored
	Left   []Leftover
	Next   string // what to do, in one sentence
	Err    error  // wraps the cause, and one of the variables above if one applies
}

// Stored describes what the store holds, as far as a run knows.
type Stored struct {
	ID      string // empty if nothing is stored; see Known
	Known   bool   // false if the store can't be read, as a SaveFunc, or may hold one of Left instead
	Working bool   // this run called the API with it
}

// Leftover describes a token that a run left. An empty ID means that the
// request to create it had no response. A token with this Name may still
// appear.
type Leftover struct {
	ID, Name string
	Why      string // one sentence
}

// Error returns what failed and what to do.
func (e *Error) Error() string {
	text := "lifecycle: " + e.Op + ": " + string(e.Step)
	if e.Err != nil { // the zero Error prints as well
		text += ": " + redact.Line(redact.Joined(e.Err))
	}
	for _, l := range e.Left {
		text += "; " + l.String()
	}
	return text + "; " + e.Next
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// String names the token and says why it was left.
func (l Leftover) String() string {
	if l.ID == "" {
		return fmt.Sprintf("left: a token %q: %s", redact.Cut(l.Name), l.Why)
	}
	return fmt.Sprintf("left: %s, %q: %s", redact.Printable(l.ID), redact.Cut(l.Name), l.Why)
}

// storeError wraps an error of a Store. Its text is one line, cut, and without
// secrets.
type storeError struct{ error }

// Error returns the text in a form that may be shown.
func (e storeError) Error() string { return redact.PrintableError(e.error) }

// Unwrap returns the store's error, or its remains without the secret.
func (e storeError) Unwrap() error { return e.error }

// storeError returns err in a form that may be shown.
func (r *run) storeError(err error) error {
	if err == nil {
		return nil
	}
	return storeError{r.redactor().Error(err)}
}

// redactor returns a Redactor of all secrets that the run loaded or made.
func (r *run) redactor() *redact.Redactor { return redactorOf(r.secrets) }

func redactorOf(secrets []sailpoint.Secret) *redact.Redactor {
	redactors := make([]*redact.Redactor, len(secrets))
	for i, secret := range secrets {
		redactors[i] = redact.New(secret.Reveal())
	}
	return redact.Join(redactors...)
}

// fail returns the error of this run in a step.
func (r *run) fail(step Step, err error, next string) error {
	if !r.changed {
		next += "; nothing was changed"
	}
	secrets := r.redactor() // the tenant's texts may repeat them
	left := r.leftovers()
	for i := range left {
		left[i].ID, left[i].Name = secrets.Text(left[i].ID), secrets.Text(left[i].Name)
	}
	return &Error{Op: r.op, Step: step, Stored: r.stored, Left: left, Next: next, Err: secrets.Error(err)}
}

// wrap returns an error that matches kind and its cause.
func wrap(kind, cause error) error {
	if errors.Is(cause, kind) {
		return cause // its text already says so
	}
	return fmt.Errorf("%w: %w", kind, cause)
}

// These are texts for Error.Next.
const (
	runAgain      = "run it again"
	othersTurn    = "do nothing, because the other run continues"
	runAgainAfter = "run it again after %s, and don't delete any of these tokens before"
)

// advice returns what to do after a call to the tenant failed. It suggests just
// another run only if the failure may pass by itself.
func advice(err error) string {
	switch {
	case errors.Is(err, sailpoint.ErrInvalidArgument):
		return "correct the request and run it again"
	case errors.Is(err, sailpoint.ErrInvalidCredentials), errors.Is(err, sailpoint.ErrUnauthorized):
		return "give the client credentials that the tenant accepts and run it again"
	case errors.Is(err, sailpoint.ErrForbidden):
		return "get sp:my-personal-access-tokens:manage granted to the token and its owner, or the proxy's block lifted, and run it again"
	case errors.Is(err, sailpoint.ErrBadRequest):
		return "change what the tenant rejects and run it again"
	case errors.Is(err, ErrNotAsRequested):
		return "choose values that the tenant keeps unchanged and run it again"
	}
	return runAgain
}

// credentialRejected reports whether the tenant rejected a credential. A request
// without a response proves nothing.
func credentialRejected(ctx context.Context, err error) bool {
	var failure *sailpoint.Error
	switch {
	case ctx.Err() != nil || !errors.As(err, &failure):
		return false
	case errors.Is(err, sailpoint.ErrInvalidCredentials):
		return true
	}
	return errors.Is(err, sailpoint.ErrUnauthorized) && failure.Err == nil // otherwise a later attempt had no response
}

// bearerAccepted reports whether err shows that the tenant accepted a bearer.
// That is also so if the token's scope or its owner may not list tokens.
func bearerAccepted(err error) bool {
	var failure *sailpoint.Error
	return err == nil || errors.As(err, &failure) && failure.Err == nil &&
		errors.Is(err, sailpoint.ErrForbidden) && strings.HasPrefix(failure.Op, "GET ")
}

// definitelyRejected reports whether the API rejected a request without effect,
// and would reject it again.
func definitelyRejected(err error) bool {
	var failure *sailpoint.Error
	return errors.As(err, &failure) && failure.Err == nil && failure.StatusCode/100 == 4 &&
		!errors.Is(err, sailpoint.ErrOutcomeUnknown) && !errors.Is(err, sailpoint.ErrInvalidCredentials) &&
		!errors.Is(err, sailpoint.ErrUnauthorized) && !errors.Is(err, sailpoint.ErrRateLimited)
}

// isGone reports whether the API says that a call's token does not exist. A
// proxy's 404 proves nothing.
func isGone(err error) bool {
	var failure *sailpoint.Error
	return errors.As(err, &failure) && errors.Is(err, sailpoint.ErrNotFound) &&
		(failure.DetailCode != "" || failure.TrackingID != "")
}

// heldBack reports whether nothing was sent, because an earlier response asked
// to wait for longer than the call may.
func heldBack(err error) bool {
	var failure *sailpoint.Error
	return errors.As(err, &failure) && failure.Attempts == 0 &&
		(errors.Is(err, sailpoint.ErrRateLimited) || errors.Is(err, sailpoint.ErrServer))
}

func rounded(d time.Duration) string { return d.Round(time.Second).String() }

package lifecycle

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sailpoint-go/sailpoint"
)

// RotateOptions says how [Rotate] replaces a token. The zero value replaces it now, by one that lasts as long.
type RotateOptions struct {
	// Lifetime of the successor. 0: that of the old token. In V3, Beta and V2024 six months at most. If the old one has
	// no expiry, V2025 and later need Lifetime or NeverExpires; before, the tenant sets six months.
	Lifetime time.Duration
	// NeverExpires acknowledges, for V2025 and later, a successor without an expiry.
	NeverExpires bool
	// IfOlderThan leaves a token alone that was created less than this ago. With it a daily job rotates monthly and
	// finishes whatever an earlier day left. 0: rotate now.
	IfOlderThan time.Duration
	// Grace keeps the old token valid for this long after its successor was created, for readers that cache. Rotate
	// does not wait: it returns with OutcomePending, and a call at or after RetireAt finishes.
	Grace time.Duration
	// AbandonAfter is the age at which an unfinished token of another run counts as abandoned, in a store without
	// versions; a run of this call that takes longer than half of it from create to save gives up. 0: 15 minutes.
	AbandonAfter time.Duration
}

// Rotate replaces the token whose secret store holds by a successor with the same name, scope and validity.
//
// From the first call to the last the store holds a secret that the tenant accepts, given that it did so before and
// that nobody else deletes that token. The old token is deleted only after a bearer was fetched with what the store
// returned. Rotate deletes the old token, by its id, and tokens that carry the mark of an earlier run for this very
// token, and nothing else; never a managed one. It needs one free slot.
//
// A successor that the tenant made with another scope or validity, with a later expiry or with none is deleted again,
// and the old token stays ([ErrNotAsRequested]). An earlier expiry is accepted and told in Result.Warning, unless the old
// token would last longer. What the tenant shows neither in its response nor in the list is not compared.
//
// After a crash or an error call it again: it finishes or undoes what was begun. At most one call, with a store without
// versions made AbandonAfter later, leaves one token with the old name and its secret in the store.
//
// It works for the token that client itself uses: see Result.Client. Build the client from the store at each start: one
// made with a credential that has been replaced finishes what was begun, and begins nothing (ErrClientReplaced).
//
// Needs sp:my-personal-access-tokens:manage. Errors are [*Error].
func Rotate(ctx context.Context, client *sailpoint.Client, store Store, opts RotateOptions) (*Result, error) {
	if err := checkArguments(ctx, client, store); err != nil {
		return nil, err
	}
	if err := opts.check(client.APIVersion(), store); err != nil {
		return nil, err
	}
	r := newRun("rotate", client, store)
	if opts.AbandonAfter > 0 {
		r.abandonAfter = opts.AbandonAfter
	}
	nonce := newNonce()
	return r.repeat(ctx, func(ctx context.Context) (*Result, error) { return r.rotate(ctx, nonce, opts) })
}

func (o *RotateOptions) check(version sailpoint.APIVersion, store Store) error {
	if _, ok := store.(SaveFunc); ok {
		return invalidArgument("a SaveFunc can't be read: Rotate needs a store that returns what is stored")
	}
	if min(o.Lifetime, o.IfOlderThan, o.Grace, o.AbandonAfter) < 0 {
		return invalidArgument("Lifetime, IfOlderThan, Grace and AbandonAfter are not negative: leave one at 0 for its default")
	}
	if o.NeverExpires && o.Lifetime > 0 {
		return invalidArgument("Lifetime and NeverExpires exclude each other")
	}
	if limitsLifetime(version) {
		if o.NeverExpires {
			return invalidArgument("NeverExpires: %s knows no token that never expires: use V2025 or later", version)
		}
		if now := time.Now(); now.Add(o.Lifetime).After(sixMonthsAfter(now)) {
			return invalidArgument("Lifetime %s: %s allows six months at most", o.Lifetime, version)
		}
	}
	return nil
}

// limitsLifetime reports whether tokens of this version last six months at most, and by default.
func limitsLifetime(version sailpoint.APIVersion) bool {
	return version == sailpoint.V3 || version == sailpoint.Beta || version == sailpoint.V2024
}

// sixMonthsAfter ends on the last day of a month that is too short.
func sixMonthsAfter(t time.Time) time.Time {
	later := t.AddDate(0, 6, 0)
	if later.Day() != t.Day() {
		later = later.AddDate(0, 0, -later.Day())
	}
	return later
}

// successor returns the request for a token like old.
func (o *RotateOptions) successor(old *sailpoint.PersonalAccessToken, version sailpoint.APIVersion) (sailpoint.CreatePersonalAccessTokenRequest, error) {
	req := sailpoint.CreatePersonalAccessTokenRequest{
		Scope: old.Scope, AccessTokenValiditySeconds: old.AccessTokenValiditySeconds, UserAwareTokenNeverExpires: o.NeverExpires,
	}
	if len(old.Scope) == 0 {
		return req, invalidArgument("the token %s tells no scope, and a successor without one could do everything: patch its scope first", old.ID)
	}
	if strings.ContainsRune(old.Name, utf8.RuneError) {
		return req, invalidArgument("the name of token %s has characters that are lost, so that no successor can be known by it: rename the token first", old.ID)
	}
	lifetime := o.Lifetime
	if lifetime == 0 && !o.NeverExpires && old.ExpirationDate != nil && !old.Created.IsZero() {
		lifetime = old.ExpirationDate.Sub(old.Created)
	}
	now := time.Now()
	switch expiry := now.Add(lifetime); {
	case o.NeverExpires:
	case limitsLifetime(version) && (lifetime <= 0 || expiry.After(sixMonthsAfter(now).AddDate(0, 0, -1))):
		// Left out: the tenant sets six months by its own clock, which may be behind this one.
	case lifetime <= 0:
		return req, invalidArgument("the token %s tells no lifetime that its successor could have: set Lifetime, or NeverExpires", old.ID)
	default:
		req.ExpirationDate = expiry
	}
	return req, nil
}

// rotate goes on from whatever it finds.
func (r *run) rotate(ctx context.Context, nonce string, opts RotateOptions) (*Result, error) {
	if err := r.requireStored(ctx); err != nil {
		return nil, err
	}
	r.base = baseOf(r.token.Name)
	r.mark = successorOf(r.cur.ID, nonce)
	r.nameStale()
	if r.isUnfinished() {
		return r.finish(ctx, opts.Grace, OutcomeFinished)
	}
	swept, err := r.sweep(ctx)
	if err != nil {
		return nil, err
	}
	if swept {
		return nil, errSwept
	}
	if time.Since(r.token.Created) < opts.IfOlderThan {
		return r.result(OutcomeUnchanged), nil
	}
	return r.begin(ctx, opts)
}

// requireStored finds the token that is to be rotated.
func (r *run) requireStored(ctx context.Context) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	if r.cur.ID == "" {
		return r.fail(StepLoad, wrap(ErrStoredCredential, errors.New("nothing is stored")), "run Issue, or store the credential of the token that is to be rotated")
	}
	if err := r.list(ctx); err != nil {
		return err
	}
	found, err := r.findStored(ctx)
	if err == nil && !found {
		err = r.fail(StepList, wrap(ErrStoredCredential, errors.New("its token is not listed, and the tenant refuses its secret")), "run Issue")
	}
	return err
}

// isUnfinished reports whether the stored token is a successor whose rotation has not come to its end.
func (r *run) isUnfinished() bool {
	replaced, _ := r.cur.replaces()
	_, alive := r.listed(replaced)
	return alive || marked(r.token.Name)
}

// begin makes the successor, stores its secret and finishes.
func (r *run) begin(ctx context.Context, opts RotateOptions) (*Result, error) {
	replaced, _ := r.cur.replaces()
	if r.acting != r.given || replaced != "" && strings.EqualFold(r.given.ClientID(), replaced) {
		return nil, r.fail(StepCreate, ErrClientReplaced, "make the client with the stored credential")
	}
	old := r.token
	req, err := opts.successor(&old, r.given.APIVersion())
	if err != nil {
		return nil, r.fail(StepCreate, err, "change the options and run it again")
	}
	if err := r.replace(ctx, req, old.ID); err != nil {
		return nil, err
	}
	return r.finish(ctx, opts.Grace, OutcomeRotated)
}

// finish does what is left when the successor is stored.
func (r *run) finish(ctx context.Context, grace time.Duration, outcome Outcome) (*Result, error) {
	if err := r.verifyStored(ctx); err != nil {
		return nil, err
	}
	replaced, _ := r.cur.replaces()
	// From the successor's creation, so that every run comes to the same instant.
	retireAt := r.token.Created.Add(grace)
	_, alive := r.listed(replaced)
	if alive && grace > 0 && r.token.Created.IsZero() {
		r.leaveReplaced("the stored token replaced it")
		err := errors.New("the tenant does not say when the stored token was created, from where Grace counts")
		return nil, r.fail(StepRetire, err, "run it again; without Grace it deletes the old token at once")
	}
	if alive && time.Now().Before(retireAt) {
		for _, t := range r.leftBehind() {
			r.leave(t.ID, t.Name, "another run left it; the run that finishes deletes it")
		}
		result := r.result(OutcomePending)
		result.RetireAt = retireAt
		return result, nil
	}
	if err := r.retire(ctx, replaced); err != nil {
		return nil, err
	}
	if err := r.rename(ctx); err != nil {
		return nil, err
	}
	r.lookAgain(ctx)
	return r.result(outcome), nil
}

// retire deletes the token that the stored one replaced. Its id is in the store beside the secret that replaced it, so
// that it can't be the stored one, however late this comes.
func (r *run) retire(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	if old, ok := r.listed(id); ok && old.Managed {
		r.leave(old.ID, old.Name, "the platform manages it by now")
		return nil
	}
	own, before := r.given.ClientID(), r.acting
	if own == "" || strings.EqualFold(own, id) {
		stored, err := r.clientOf(r.cur)
		if err != nil {
			return r.fail(StepRetire, err, runAgain)
		}
		r.acting = stored // what the client uses may be what goes
	}
	err := r.remove(ctx, id)
	if own == "" && errors.Is(err, sailpoint.ErrForbidden) {
		// The stored token may not manage tokens. The client's own may, so this is not the one that it was replaced by.
		r.acting = before
		err = r.remove(ctx, id)
	}
	if err != nil {
		r.leaveReplaced("the stored token replaced it")
		return r.fail(StepRetire, err, advice(err))
	}
	return nil
}

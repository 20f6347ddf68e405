package lifecycle

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sailpoint-go/sailpoint"
)

// RotateOptions configures [Rotate]. The zero value rotates now and gives the
// new token, the successor, the old token's lifetime. IfOlderThan and Grace
// compare the token's creation and expiry with the local clock.
type RotateOptions struct {
	// Lifetime is how long the successor lasts from now on. The default is the
	// time from the old token's creation to its expiry. The API versions V3,
	// Beta and V2024 allow at most six months. If the old token has no expiry,
	// they use six months, and later versions require Lifetime or NeverExpires.
	Lifetime time.Duration
	// NeverExpires requests a successor without an expiry. It also sets
	// userAwareTokenNeverExpires, by which the API lets the caller acknowledge
	// the risk. It needs V2025 or later.
	NeverExpires bool
	// IfOlderThan is the age from which a token is rotated. The default of 0
	// rotates it now. A daily job that sets 30 days rotates about once a month.
	// On the other days it only finishes what an earlier run left. If the tenant
	// reports an expiry, the token is rotated before it. It is then rotated as
	// soon as less than 7 days are left, or less than a third of its life if
	// that is shorter.
	IfOlderThan time.Duration
	// Grace is how long the old token stays valid after its successor was
	// created, for programs that cache the secret. Rotate does not wait for it.
	// It returns OutcomePending. Call it again at Result.RetireAt or later,
	// with the same Grace, to delete the old token. The successor can be rotated
	// only after that. Grace must therefore end before the last 7 days of its
	// life, or before the last third if that is shorter. If the tenant gives the
	// successor an earlier expiry than requested, Grace ends earlier as well.
	Grace time.Duration
	// AbandonAfter matters only for a store without versions. It is the age
	// from which another run's unfinished token is treated as abandoned and is
	// deleted. The default is 15 minutes. So that no active run is affected, a
	// run stores no secret if more than half of AbandonAfter has passed since
	// it began to create the token. It then deletes the token and returns an
	// error.
	AbandonAfter time.Duration
}

// Rotate replaces the stored token by a new one, its successor, with the same
// name, scope and bearer lifetime. The store must already hold a credential,
// for example from [Issue]. The client must act for the owner of that token.
// The owner may have at most nine tokens, because the API allows ten and the
// old and the new token exist together for a while.
//
// The stored secret works at any time during a rotation, even between two
// calls. This requires that it worked before and that nobody else deletes its
// token. Rotate deletes the old token only after it has loaded the new
// credential from the store and called the API with it. Apart from the old
// token, it deletes only tokens whose temporary name shows that an earlier run
// made them for this rotation. It never deletes a managed token.
//
// If the tenant creates the successor with another scope or bearer lifetime,
// with a later expiry or without one, Rotate deletes it again and keeps the old
// token ([ErrNotAsRequested]). It does the same if the expiry is earlier than
// requested and the old token would last longer. It accepts any other earlier
// expiry and reports it in Result.Warning. It can't compare values that neither
// the response nor the list shows.
//
// After a crash or an error call Rotate again. It finishes or undoes what an
// earlier call began. One successful call is enough. One token with the old
// name is then left, and its secret is in the store. If the store has no
// versions, wait at least opts.AbandonAfter before that call.
//
// Rotate can replace the token that client itself uses. Afterwards use
// Result.Client, and build the client from the store whenever your program
// starts. A client whose token has been replaced can finish a rotation, but
// can't start one ([ErrClientReplaced]).
//
// Needs sp:my-personal-access-tokens:manage. For an invalid argument Rotate
// returns an error that matches [sailpoint.ErrInvalidArgument], and sends
// nothing. Every other error is an [*Error].
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
		return invalidArgument("a SaveFunc can't be read: give Rotate a store whose Load returns the stored credential")
	}
	if min(o.Lifetime, o.IfOlderThan, o.Grace, o.AbandonAfter) < 0 {
		return invalidArgument("Lifetime, IfOlderThan, Grace and AbandonAfter must not be negative: use 0 for the default")
	}
	if o.NeverExpires && o.Lifetime > 0 {
		return invalidArgument("Lifetime and NeverExpires exclude each other: set only one of them")
	}
	if limitsLifetime(version) {
		if o.NeverExpires {
			return invalidArgument("NeverExpires is not available in %s: use V2025 or later", version)
		}
		if now := time.Now(); now.Add(o.Lifetime).After(sixMonthsAfter(now)) {
			return invalidArgument("Lifetime is %s, but %s allows at most six months", o.Lifetime, version)
		}
	}
	return nil
}

// limitsLifetime reports whether this version limits tokens to six months,
// which is also its default.
func limitsLifetime(version sailpoint.APIVersion) bool {
	return version == sailpoint.V3 || version == sailpoint.Beta || version == sailpoint.V2024
}

// sixMonthsAfter returns the last day of a month that is too short.
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
		return req, invalidArgument("the tenant reports no scope for the token %s, and a successor without a scope would have every right: patch its scope first", old.ID)
	}
	if strings.ContainsRune(old.Name, utf8.RuneError) {
		return req, invalidArgument("the name of the token %s has lost characters, so its successor could not be recognized: rename the token first", old.ID)
	}
	lifetime := o.Lifetime
	if lifetime == 0 && !o.NeverExpires && old.ExpirationDate != nil && !old.Created.IsZero() {
		lifetime = old.ExpirationDate.Sub(old.Created)
	}
	now := time.Now()
	switch expiry := now.Add(lifetime); {
	case o.NeverExpires:
		return req, nil
	case limitsLifetime(version) && (lifetime <= 0 || expiry.After(sixMonthsAfter(now).AddDate(0, 0, -1))):
		// The tenant sets six months by its own clock, which may be behind.
		lifetime = sixMonthsAfter(now).Sub(now)
	case lifetime <= 0:
		return req, invalidArgument("the tenant reports no lifetime for the token %s: set Lifetime or NeverExpires for its successor", old.ID)
	default:
		req.ExpirationDate = expiry
	}
	if most := lifetime - reserve(lifetime); o.Grace > most {
		return req, invalidArgument("Grace is %s, but may be %s at most, so that the successor can be rotated before it expires", rounded(o.Grace), rounded(most))
	}
	return req, nil
}

// reserve is the last part of a token's life. The next run of a job must find
// the token in it, because a client that uses an expired token can't rotate it.
func reserve(life time.Duration) time.Duration { return min(life/3, 7*day) }

// rotate continues from whatever state it finds.
func (r *run) rotate(ctx context.Context, nonce string, opts RotateOptions) (*Result, error) {
	if err := r.requireStored(ctx); err != nil {
		return nil, err
	}
	r.base = baseOf(r.token.Name)
	r.mark = successorOf(r.cur.ID, nonce)
	r.leaveForeign()
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
	if !opts.isDue(&r.token) {
		return r.result(OutcomeUnchanged), nil
	}
	return r.begin(ctx, opts)
}

// isDue reports whether to rotate a token.
func (o *RotateOptions) isDue(token *sailpoint.PersonalAccessToken) bool {
	if by, expires := rotateBy(token); expires && !time.Now().Before(by) {
		return true
	}
	return time.Since(token.Created) >= o.IfOlderThan
}

// rotateBy returns when to rotate a token at the latest, if it expires.
func rotateBy(token *sailpoint.PersonalAccessToken) (by time.Time, expires bool) {
	expiry := token.ExpirationDate
	if expiry == nil {
		return time.Time{}, false
	}
	return expiry.Add(-reserve(expiry.Sub(token.Created))), true
}

// requireStored finds the token to rotate.
func (r *run) requireStored(ctx context.Context) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	if r.cur.ID == "" {
		return r.fail(StepLoad, wrap(ErrStoredCredential, errors.New("nothing is stored")), "issue a token, or store the credential of the token to rotate")
	}
	if err := r.list(ctx); err != nil {
		return err
	}
	found, err := r.findStored(ctx)
	if err == nil && !found {
		err = r.fail(StepList, wrap(ErrStoredCredential, errors.New("its token is not listed, and the tenant rejects its secret")), "issue a new token")
	}
	return err
}

// isUnfinished reports whether the stored token is a successor whose rotation
// has not finished.
func (r *run) isUnfinished() bool {
	replaced, _ := r.cur.replaces()
	_, alive := r.listed(replaced)
	return alive || marked(r.token.Name)
}

// begin creates and stores the successor, then finishes the rotation.
func (r *run) begin(ctx context.Context, opts RotateOptions) (*Result, error) {
	replaced, _ := r.cur.replaces()
	if r.acting != r.given || replaced != "" && strings.EqualFold(r.given.ClientID(), replaced) {
		return nil, r.fail(StepCreate, ErrClientReplaced, "make the client with the stored credential and run it again")
	}
	old := r.token
	req, err := opts.successor(&old, r.given.APIVersion())
	if err != nil {
		return nil, r.fail(StepCreate, err, "correct this and run it again")
	}
	if err := r.replace(ctx, req, old.ID); err != nil {
		return nil, err
	}
	return r.finish(ctx, opts.Grace, OutcomeRotated)
}

// finish completes a rotation whose successor is stored.
func (r *run) finish(ctx context.Context, grace time.Duration, outcome Outcome) (*Result, error) {
	if err := r.verifyStored(ctx); err != nil {
		return nil, err
	}
	replaced, _ := r.cur.replaces()
	retireAt := r.retireAt(grace)
	_, alive := r.listed(replaced)
	if alive && grace > 0 && r.token.Created.IsZero() {
		r.leaveReplaced("the stored token replaced it")
		err := errors.New("the tenant does not report when the stored token was created, which a grace period needs")
		return nil, r.fail(StepRetire, err, "run it again, or without a grace period to delete the old token at once")
	}
	if alive && time.Now().Before(retireAt) {
		for _, t := range r.leftBehind() {
			r.leave(t.ID, t.Name, "another run left it; the run that finishes the rotation will delete it")
		}
		result := r.result(OutcomePending)
		result.RetireAt = retireAt
		return result, nil
	}
	if alive && !r.written && r.cur.Version != "" { // without versions, a late write could undo the next rotation
		if err := r.confirm(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.retire(ctx, replaced); err != nil {
		return nil, err
	}
	if err := r.rename(ctx); err != nil {
		return nil, err
	}
	r.recheck(ctx)
	return r.result(outcome), nil
}

// retireAt returns when the grace period of the replaced token ends. It counts
// from the successor's creation, so every run gets the same time.
func (r *run) retireAt(grace time.Duration) time.Time {
	at := r.token.Created.Add(grace)
	if by, expires := rotateBy(&r.token); expires && by.Before(at) {
		return by // the tenant may have given the successor an earlier expiry
	}
	return at
}

// confirm stores the credential that an earlier run stored once more. That it
// can be read doesn't say that it is on stable storage: the write of that run
// may have failed.
func (r *run) confirm(ctx context.Context) error {
	err := r.write(ctx, rewritten(r.cur))
	if errors.Is(err, ErrStoreConflict) {
		return errMoved
	}
	if err != nil {
		r.leaveReplaced("the stored token replaced it")
		return r.fail(StepSave, err, "repair the store and run it again")
	}
	return nil
}

// retire deletes the token that the stored one replaced. The same write stored
// its ID and the new secret. It can therefore never be the stored token,
// however late this runs.
func (r *run) retire(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	if old, ok := r.listed(id); ok && old.Managed {
		r.leave(old.ID, old.Name, "the platform now manages it")
		return nil
	}
	own, before := r.given.ClientID(), r.acting
	if own == "" || strings.EqualFold(own, id) {
		stored, err := r.clientOf(r.cur)
		if err != nil {
			return r.fail(StepRetire, err, runAgain)
		}
		r.acting = stored // the client may use the token to delete
	}
	err := r.remove(ctx, id)
	if own == "" && errors.Is(err, sailpoint.ErrForbidden) {
		// The stored token may not manage tokens. The client's own may, so the
		// stored token did not replace it.
		r.acting = before
		err = r.remove(ctx, id)
	}
	if err != nil {
		r.leaveReplaced("the stored token replaced it")
		return r.fail(StepRetire, err, advice(err))
	}
	return nil
}

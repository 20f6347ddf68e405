package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

const maxCreates = 3 // per run

// Times of attempts, counted from the first. A list may lag, and the tenant may
// need a moment to accept a new token.
var (
	lookTimes   = []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}
	verifyTimes = lookTimes[:4]
)

// create creates the new token under its temporary name. With a lost response
// the secret is lost as well. create then finds the token by this run's mark
// and deletes it. All creates of a run use the same name. If two take effect,
// the tenant rejects the second.
func (r *run) create(ctx context.Context, req sailpoint.CreatePersonalAccessTokenRequest) (*sailpoint.CreatePersonalAccessTokenResponse, error) {
	if r.countListed() >= maxTokens {
		return nil, r.fail(StepCreate, ErrNoFreeSlot, "delete a token of this owner and run it again")
	}
	req.Name = r.mark.on(r.base)
	var last error
	for range maxCreates {
		r.began = time.Now()
		created, err := r.acting.PersonalAccessTokens.Create(ctx, req)
		var lost *sailpoint.CreateOutcomeError
		isLost := errors.As(err, &lost)
		r.changed = r.changed || err == nil || isLost
		if err == nil {
			r.secrets = append(r.secrets, created.Secret)
			return created, r.inspect(ctx, req, created)
		}
		last = err
		switch {
		case isLost && lost.ID != "":
			r.leave(lost.ID, req.Name, "its secret was lost with the response to its create")
			if err := r.remove(ctx, lost.ID); err != nil {
				return nil, r.fail(StepCreate, errors.Join(last, err), advice(err))
			}
			continue
		case isLost:
			r.unobserved++
		case r.unobserved == 0:
			return nil, r.createError(ctx, err)
		case !definitelyRejected(err):
			return nil, r.fail(StepCreate, wrap(sailpoint.ErrOutcomeUnknown, err), runAgain)
		}
		if err := r.reconcile(ctx); err != nil {
			return nil, r.fail(StepCreate, errors.Join(last, wrap(sailpoint.ErrOutcomeUnknown, err)), runAgain)
		}
	}
	return nil, r.fail(StepCreate, wrap(sailpoint.ErrOutcomeUnknown, last), runAgain)
}

// inspect undoes a new token that differs from the request, as far as the
// response or the list shows. A value that neither shows is no reason to undo.
// The secret is here and can't be fetched again.
func (r *run) inspect(ctx context.Context, req sailpoint.CreatePersonalAccessTokenRequest, created *sailpoint.CreatePersonalAccessTokenResponse) error {
	listed := false
	if !isWhole(req, created) && r.list(ctx) == nil {
		var token sailpoint.PersonalAccessToken
		if token, listed = r.listed(created.ID); listed {
			complete(created, token)
		}
	}
	created.Name = cmp.Or(created.Name, req.Name)
	err := compareCreated(req, created)
	if err == nil {
		r.warning, err = compareExpiry(req, created.ExpirationDate, listed, r.token)
	}
	if err == nil {
		return nil
	}
	err = wrap(ErrNotAsRequested, err)
	return r.fail(StepCreate, r.undo(ctx, created.ID, created.Name, err),
		"choose a name, scope, validity and expiry that the tenant keeps unchanged, and run it again")
}

// createError returns the error of a create that certainly made nothing. The
// API doesn't report which limit was reached.
func (r *run) createError(ctx context.Context, err error) error {
	if definitelyRejected(err) && r.list(ctx) == nil && r.countListed() >= maxTokens {
		return r.fail(StepCreate, wrap(ErrNoFreeSlot, err), "delete a token of this owner and run it again")
	}
	return r.fail(StepCreate, err, advice(err))
}

// countListed returns the least number of tokens that count towards the limit.
// Some may not be listed.
func (r *run) countListed() (n int) {
	for _, t := range r.tokens {
		if !t.Managed {
			n++
		}
	}
	return n
}

// reconcile deletes what a create without a response may have made. It returns
// nil if that is gone, or was not seen for so long that create may try again.
func (r *run) reconcile(ctx context.Context) error {
	var found []sailpoint.PersonalAccessToken
	var err error
	start := time.Now()
	for _, after := range lookTimes {
		if err := sleep(ctx, time.Until(start.Add(after))); err != nil {
			return err
		}
		if err = r.list(ctx); err != nil {
			continue
		}
		for _, t := range r.tokens {
			if r.isOwn(t.Name) {
				found = append(found, t)
			}
		}
		if len(found) > 0 {
			break
		}
	}
	for _, t := range found {
		r.leave(t.ID, t.Name, "its secret was lost with the response to its create")
	}
	switch len(found) {
	case 0:
		return err
	case 1:
		if err := r.remove(ctx, found[0].ID); err != nil {
			return err
		}
		r.unobserved--
		return nil
	}
	return errors.New("lifecycle: two tokens carry the mark of this run")
}

// verifyNew uses the new secret before it is stored. A secret that the tenant
// rejects must never be stored.
func (r *run) verifyNew(ctx context.Context, c Credential) error {
	rejected, err := r.tryCredentialAt(ctx, verifyTimes, c)
	if err == nil {
		return nil
	}
	next := advice(err)
	if rejected {
		err, next = wrap(ErrNewSecretRejected, err), runAgain
	}
	return r.fail(StepVerify, r.undo(ctx, c.ID, r.mark.on(r.base), err), next)
}

// tokenOf returns a new token as a list would.
func tokenOf(c *sailpoint.CreatePersonalAccessTokenResponse) sailpoint.PersonalAccessToken {
	return sailpoint.PersonalAccessToken{
		ID: c.ID, Name: c.Name, Scope: c.Scope, Owner: c.Owner, Created: c.Created,
		ExpirationDate: c.ExpirationDate, AccessTokenValiditySeconds: c.AccessTokenValiditySeconds,
	}
}

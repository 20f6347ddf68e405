package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

const maxFences = 2 // per Save

// checkSave asks the store whether a Save can succeed, if the store can tell.
// There is no token to lose yet.
func (r *run) checkSave(ctx context.Context) error {
	checker, ok := r.store.(SaveChecker)
	if !ok {
		return nil
	}
	if err := checker.CheckSave(ctx); err != nil {
		return r.fail(StepSave, wrap(ErrNotStored, r.storeError(err)), "repair the store and run it again")
	}
	return nil
}

// save replaces the loaded credential by the new one. After an error it finds
// out which one is stored. It deletes the new token only if it certainly is not
// stored and won't be.
func (r *run) save(ctx context.Context, c Credential) error {
	name := r.mark.on(r.base)
	limit := r.abandonAfter / 2
	if took := time.Since(r.began); c.Version == "" && !r.writeOnly && took > limit {
		// Another run may soon treat this token as abandoned and delete it.
		// This run could then still store it.
		err := fmt.Errorf("%w: %s have passed since the create began, more than the limit of %s", ErrNotStored, rounded(took), rounded(limit))
		return r.fail(StepSave, r.undo(ctx, c.ID, name, err), runAgain)
	}
	returned := false
	defer func() {
		if !returned && r.writeOnly { // a panic or Goexit, which continues
			_ = r.undo(ctx, c.ID, name, nil)
		}
	}()
	err := r.write(ctx, c)
	returned = true
	if err == nil {
		r.stored = Stored{ID: c.ID, Known: true}
		return nil
	}
	ctx, cancel := cleanUpContext(ctx)
	defer cancel()
	if r.writeOnly || r.confirmsNotStored(ctx, c, err) {
		return r.fail(StepSave, r.undo(ctx, c.ID, name, err), "repair the store and run it again")
	}
	return r.resolveSave(ctx, c, err)
}

// confirmsNotStored reports whether the store says that it did not store c, and
// then returns something else. A store that wraps every error in ErrNotStored
// would otherwise cost a stored secret its token.
func (r *run) confirmsNotStored(ctx context.Context, c Credential, err error) bool {
	if !errors.Is(err, ErrNotStored) || errors.Is(err, ErrStoreConflict) {
		return false
	}
	now, loadErr := r.read(ctx)
	return loadErr == nil && now.ID != c.ID
}

// resolveSave finds out whether a Save of c that failed with err took effect.
// It returns nil if c is stored.
func (r *run) resolveSave(ctx context.Context, c Credential, err error) error {
	for range maxFences {
		now, loadErr := r.read(ctx)
		if loadErr != nil {
			continue
		}
		versions := c.Version != "" && now.Version != ""
		if now.ID != c.ID && !versions {
			break // the Save may still take effect, and nothing can fence it
		}
		// If c can be read, it may not be on stable storage yet. A successful
		// write proves that it is.
		if r.write(ctx, rewritten(now)) != nil {
			if versions {
				continue
			}
			break // this write may still take effect too
		}
		if now.ID == c.ID {
			r.stored = Stored{ID: c.ID, Known: true}
			return nil
		}
		// Fenced: the credential that Save expected is no longer stored.
		r.stored = Stored{ID: now.ID, Known: true}
		err = r.undo(ctx, c.ID, r.mark.on(r.base), err)
		if errors.Is(err, ErrStoreConflict) {
			return r.fail(StepSave, wrap(ErrSuperseded, err), othersTurn)
		}
		return r.fail(StepSave, err, "repair the store and run it again")
	}
	r.stored = Stored{}
	r.leave(c.ID, r.mark.on(r.base), "the store may hold its secret")
	if r.token.ID != "" {
		r.leave(r.token.ID, r.token.Name, "the store may hold its secret")
	}
	next := "run it again, and don't delete any of these tokens before"
	if c.Version == "" {
		next = fmt.Sprintf(runAgainAfter, rounded(r.abandonAfter))
	}
	return r.fail(StepSave, wrap(ErrStoreUnknown, err), next)
}

// readBack loads the credential that save stored. It never undoes a token whose
// Save returned nil. A lagging read looks the same as another run's write.
func (r *run) readBack(ctx context.Context, c Credential, created *sailpoint.CreatePersonalAccessTokenResponse) error {
	old := r.token
	r.token = tokenOf(created)
	if r.writeOnly {
		r.cur = c
		r.stored.Working = true // verifyNew used it
		return nil
	}
	now, err := r.read(ctx)
	if err != nil {
		r.leaveOld(old, "the stored token replaced it")
		return r.fail(StepLoad, err, runAgain)
	}
	if now.ID == r.cur.ID { // an ID that left the store never returns, so this read lags
		r.leaveOld(old, "the stored token replaced it")
		return r.fail(StepLoad, errors.New("lifecycle: the store returns the credential that it held before"), runAgain)
	}
	r.cur = now
	if now.ID != c.ID {
		r.stored.ID = now.ID
		r.leave(c.ID, created.Name, "it was stored, but the store returns another token")
		r.leaveOld(old, "it was stored before")
		return r.fail(StepSave, ErrSuperseded, "run it again later to continue from whatever is stored")
	}
	replaces, ok := now.replaces()
	wanted, _ := c.replaces()
	if !ok || replaces != wanted || !now.Secret.Equal(c.Secret) {
		r.leaveOld(old, "the store changed the new credential")
		return r.fail(StepSave, wrap(ErrStoredCredential, errors.New("the store changes what is saved, but must return secret and note unchanged")),
			"repair the store; the token that was stored before still works")
	}
	return nil
}

func (r *run) leaveOld(old sailpoint.PersonalAccessToken, why string) {
	if old.ID != "" {
		r.leave(old.ID, old.Name, why)
	}
}

// verifyStored uses the credential that the store returned before the old token
// is deleted. Somebody may have deleted the new token, and a store may have cut
// its secret. It does not restore the old secret. Another run may have verified
// the new one already and may delete the old token.
func (r *run) verifyStored(ctx context.Context) error {
	rejected, err := r.tryCredentialAt(ctx, verifyTimes, r.cur)
	if err == nil {
		r.stored.Working = true
		return nil
	}
	if !rejected {
		r.leaveReplaced("the stored token replaced it")
		return r.fail(StepProve, err, advice(err))
	}
	replaced, _ := r.cur.replaces()
	now, loadErr := r.read(ctx)
	if loadErr == nil && now.ID != r.cur.ID && now.ID != replaced { // otherwise the read lags
		r.stored = Stored{ID: now.ID, Known: true}
		return r.fail(StepProve, ErrSuperseded, othersTurn)
	}
	r.leaveReplaced("it was replaced and still exists, but its secret is no longer stored; somebody may still have it")
	next := "find out why; to start over delete the stored token if it still exists, and issue a new one"
	if len(r.left) > 0 {
		next += "; don't delete the leftover tokens before"
	}
	return r.fail(StepProve, wrap(ErrStoredCredential, err), next)
}

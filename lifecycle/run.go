package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/redact"
)

const (
	defaultAbandonAfter = 15 * time.Minute
	cleanUpTimeout      = time.Minute     // for cleaning up after ctx has ended
	relistPause         = 3 * time.Second // before a second search for a token that should be listed
	maxRestarts         = 3               // after other runs' writes to the store
)

// run is one call of Issue or Rotate. The store is its journal. One write
// stores a credential together with the ID of the token that it replaced. This
// and the tokens' names say how far an earlier run came.
//
// It keeps three rules. The store moves on in one write, and an ID that left it
// never returns. A secret is used before it is stored, and again as the store
// returns it, before the old token is deleted. No token is deleted that any run
// may still store; see fence.
type run struct {
	op           string
	given        *sailpoint.Client
	acting       *sailpoint.Client // given, or a client with the stored credential if given's token was replaced
	store        Store
	writeOnly    bool // the store is a SaveFunc
	abandonAfter time.Duration

	mark mark
	base string // the token's final name

	cur     Credential                      // as last loaded
	secrets []sailpoint.Secret              // all that were loaded or saved
	tokens  []sailpoint.PersonalAccessToken // as last listed
	token   sailpoint.PersonalAccessToken   // the stored token
	stored  Stored

	began      time.Time       // when the create of the new token began
	deleted    map[string]bool // by this run; a lagging list may still show them
	changed    bool            // this run changed something, or may have
	written    bool            // the last Save since load succeeded
	unobserved int             // creates of this run that may still take effect
	warning    string          // about the new token
	left       []Leftover
}

func newRun(op string, client *sailpoint.Client, store Store) *run {
	_, writeOnly := store.(SaveFunc)
	return &run{
		op: op, given: client, acting: client, store: store, writeOnly: writeOnly,
		abandonAfter: defaultAbandonAfter, deleted: map[string]bool{},
	}
}

var (
	errSwept = errors.New("lifecycle: leftovers were deleted")      // start over
	errMoved = errors.New("lifecycle: another run wrote the store") // start over
)

// repeat runs once, and again if the state that it started from changed.
func (r *run) repeat(ctx context.Context, once func(context.Context) (*Result, error)) (*Result, error) {
	for moved := 0; ; {
		r.left = nil
		result, err := once(ctx)
		switch {
		case errors.Is(err, errSwept):
		case errors.Is(err, errMoved):
			if moved++; moved == maxRestarts {
				return nil, r.fail(StepSweep, ErrSuperseded, othersTurn)
			}
		default:
			return result, err
		}
	}
}

// load reads the store.
func (r *run) load(ctx context.Context) error {
	if r.writeOnly {
		r.stored = Stored{}
		return nil
	}
	c, err := r.read(ctx)
	if err != nil {
		r.stored = Stored{}
		if errors.Is(err, errNoID) {
			r.stored.Known = true
			return r.fail(StepLoad, err, "correct or delete what is stored, or the names under which the store keeps it, and run it again")
		}
		return r.fail(StepLoad, wrap(ErrStoreUnknown, err), "repair the store and run it again")
	}
	r.cur, r.written = c, false
	r.stored = Stored{ID: c.ID, Known: true, Working: r.stored.Working && r.stored.ID == c.ID}
	if _, ok := c.replaces(); !ok && laterNote.MatchString(c.Note) {
		// It may name a token that must still be retired. The next write would
		// lose that.
		return r.fail(StepLoad, wrap(ErrStoredCredential, errors.New("a later version of this package wrote the note")),
			"run that later version")
	}
	return nil
}

var errNoID = wrap(ErrStoredCredential, errors.New("it has a secret but no ID"))

func (c Credential) lacksID() bool { return c.ID == "" && !c.Secret.IsZero() }

// read loads the stored credential.
func (r *run) read(ctx context.Context) (Credential, error) {
	c, err := r.store.Load(ctx)
	if err != nil {
		return c, r.storeError(err)
	}
	r.secrets = append(r.secrets, c.Secret)
	if c.lacksID() {
		// The names that the store looks for may be wrong. A write or a deletion
		// could destroy the only copy of a working secret.
		return Credential{}, errNoID
	}
	return c, nil
}

// write saves c.
func (r *run) write(ctx context.Context, c Credential) error {
	r.changed = true
	r.secrets = append(r.secrets, c.Secret)
	err := r.store.Save(ctx, c)
	r.written = err == nil
	return r.storeError(err)
}

// list reads the owner's tokens, without those that this run deleted.
func (r *run) list(ctx context.Context) error {
	tokens, err := listMine(ctx, r.acting)
	if r.acting == r.given && credentialRejected(ctx, err) && r.mayBeReplaced() {
		// An earlier run deleted the client's own token. Its successor
		// continues.
		if stored, storedErr := r.clientOf(r.cur); storedErr == nil {
			if tokens, err = listMine(ctx, stored); err == nil {
				r.acting = stored
			}
		}
	}
	if err != nil {
		return r.fail(StepList, err, advice(err))
	}
	r.tokens = slices.DeleteFunc(tokens, func(t sailpoint.PersonalAccessToken) bool { return r.deleted[t.ID] })
	return nil
}

func listMine(ctx context.Context, client *sailpoint.Client) ([]sailpoint.PersonalAccessToken, error) {
	return client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
}

// mayBeReplaced reports whether the stored token may have replaced the
// client's.
func (r *run) mayBeReplaced() bool {
	replaced, _ := r.cur.replaces()
	own := r.given.ClientID()
	return r.cur.ID != "" && (own == "" || strings.EqualFold(own, replaced))
}

func (r *run) clientOf(c Credential) (*sailpoint.Client, error) {
	return r.given.WithCredentials(c.ID, c.Secret)
}

// listed returns the token with this ID from the last list.
func (r *run) listed(id string) (sailpoint.PersonalAccessToken, bool) {
	i := slices.IndexFunc(r.tokens, func(t sailpoint.PersonalAccessToken) bool { return id != "" && t.ID == id })
	if i < 0 {
		return sailpoint.PersonalAccessToken{}, false
	}
	return r.tokens[i], true
}

// holder returns the token with this name that is not the stored one.
func (r *run) holder(name string) (sailpoint.PersonalAccessToken, bool) {
	i := slices.IndexFunc(r.tokens, func(t sailpoint.PersonalAccessToken) bool { return t.Name == name && t.ID != r.cur.ID })
	if i < 0 {
		return sailpoint.PersonalAccessToken{}, false
	}
	return r.tokens[i], true
}

// findStored sets token to the stored one. It returns false if the token is not
// listed and the tenant rejects its secret.
func (r *run) findStored(ctx context.Context) (found bool, err error) {
	if r.token, found = r.listed(r.cur.ID); !found {
		// The list may lag, and another run may have written the store.
		if err := sleep(ctx, relistPause); err != nil {
			return false, r.fail(StepList, err, runAgain)
		}
		before := r.cur.ID
		if err := r.load(ctx); err != nil {
			return false, err
		}
		if r.cur.ID != before {
			return false, errMoved
		}
		if err := r.list(ctx); err != nil {
			return false, err
		}
		r.token, found = r.listed(r.cur.ID)
	}
	if found {
		if r.token.Managed {
			return false, r.fail(StepList, ErrManaged, "leave the token to the platform, and store another token's secret here")
		}
		return true, nil
	}
	switch rejected, err := r.tryCredential(ctx, r.cur); {
	case rejected:
		return false, nil
	case err != nil:
		return false, r.fail(StepList, err, advice(err))
	}
	r.stored.Working = true
	return false, r.fail(StepList, ErrNotListed, "use a client of that token's owner, or run it again later in case the list lags")
}

// tryCredential uses a credential. It reports rejected only if the tenant says
// so, because a missing response proves nothing. Each attempt has a new client.
// Another one may have kept a bearer, or may repeat an earlier rejection.
func (r *run) tryCredential(ctx context.Context, c Credential) (rejected bool, err error) {
	client, err := r.clientOf(c)
	if err != nil {
		return true, err // it can't be a credential
	}
	if _, err = listMine(ctx, client); bearerAccepted(err) {
		return false, nil
	}
	return credentialRejected(ctx, err), err
}

// tryCredentialAt tries a credential at these times from now on until the
// tenant does not reject it.
func (r *run) tryCredentialAt(ctx context.Context, times []time.Duration, c Credential) (rejected bool, err error) {
	start := time.Now()
	for _, after := range times {
		if err = sleep(ctx, time.Until(start.Add(after))); err != nil {
			return false, err
		}
		if rejected, err = r.tryCredential(ctx, c); !rejected {
			break
		}
	}
	return rejected, err
}

// remove deletes a token by its ID. It succeeds if the token is already gone.
func (r *run) remove(ctx context.Context, id string) error {
	r.changed = true
	if err := r.acting.PersonalAccessTokens.Delete(ctx, id); err != nil && !isGone(err) {
		return err
	}
	r.forget(id)
	return nil
}

// forget removes a deleted token from the run's records.
func (r *run) forget(id string) {
	r.deleted[id] = true
	r.left = slices.DeleteFunc(r.left, func(l Leftover) bool { return l.ID == id })
	r.tokens = slices.DeleteFunc(r.tokens, func(t sailpoint.PersonalAccessToken) bool { return t.ID == id })
}

// leave records a token that this run leaves.
func (r *run) leave(id, name, why string) {
	r.left = slices.DeleteFunc(r.left, func(l Leftover) bool { return l.ID == id })
	r.left = append(r.left, Leftover{id, name, why})
}

// leaveReplaced records the replaced token if it still exists.
func (r *run) leaveReplaced(why string) {
	id, _ := r.cur.replaces()
	if t, ok := r.listed(id); ok {
		r.leave(t.ID, t.Name, why)
	}
}

// leftovers returns every token that this run leaves, and every create that may
// still take effect.
func (r *run) leftovers() []Leftover {
	list := slices.Clone(r.left)
	if r.unobserved > 0 {
		list = append(list, Leftover{
			Name: r.mark.on(r.base), Why: "its create had no response; it may still appear, and the next run of " + r.op + " deletes it",
		})
	}
	return list
}

// replace creates a new token and stores its secret. replaced is the ID of the
// token to retire, or "".
func (r *run) replace(ctx context.Context, req sailpoint.CreatePersonalAccessTokenRequest, replaced string) error {
	if err := r.checkSave(ctx); err != nil {
		return err
	}
	created, err := r.create(ctx, req)
	if err != nil {
		return err
	}
	next := Credential{ID: created.ID, Secret: created.Secret, Note: note(replaced), Version: r.cur.Version}
	if err := r.verifyNew(ctx, next); err != nil {
		return err
	}
	if err := r.save(ctx, next); err != nil {
		return err
	}
	return r.readBack(ctx, next, created)
}

// undo deletes a token whose secret certainly isn't stored and won't be. It
// works after ctx has ended. It returns reason, joined with its own error if it
// fails.
func (r *run) undo(ctx context.Context, id, name string, reason error) error {
	ctx, cancel := cleanUpContext(ctx)
	defer cancel()
	r.leave(id, name, "its secret is not stored anywhere, and it could not be deleted")
	if err := r.remove(ctx, id); err != nil {
		return errors.Join(reason, err)
	}
	return reason
}

// cleanUpContext returns a context for cleaning up that outlives ctx.
func cleanUpContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
}

// rename gives the stored token its final name. It is the last step because the
// name is free only once the old token is deleted. A name without a mark is
// somebody's choice and stays.
func (r *run) rename(ctx context.Context) error {
	if !marked(r.token.Name) {
		return nil
	}
	patched, err := r.acting.PersonalAccessTokens.Patch(ctx, r.cur.ID, sailpoint.NewPersonalAccessTokenPatch().ReplaceName(r.base))
	if err == nil && patched.Name == r.base {
		r.token = *patched
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%w: the token got the name %q instead of %q", ErrNotAsRequested, redact.Cut(patched.Name), r.base)
	}
	if isGone(err) {
		if now, loadErr := r.read(ctx); loadErr == nil && now.ID != r.cur.ID {
			r.stored = Stored{ID: now.ID, Known: true}
			return r.fail(StepRename, ErrSuperseded, othersTurn)
		}
		r.stored.Working = false
		return r.fail(StepRename, wrap(ErrStoredCredential, err), "somebody deleted the stored token: issue a new one")
	}
	if r.list(ctx) == nil {
		if now, ok := r.listed(r.cur.ID); ok && now.Name == r.base {
			r.token = now // it took effect without a response, or was already so
			return nil
		}
		if other, ok := r.holder(r.base); ok {
			r.leave(other.ID, other.Name, "it has the name that the stored token needs")
			return r.fail(StepRename, wrap(ErrNameTaken, err), "rename or delete that token and run it again; the stored token works under its temporary name")
		}
	}
	return r.fail(StepRename, err, advice(err)+"; the stored token works under its present name")
}

// result returns the Result of a success.
func (r *run) result(outcome Outcome) *Result {
	replaced, _ := r.cur.replaces()
	client := r.given
	if own := r.given.ClientID(); own != "" && strings.EqualFold(own, replaced) {
		if stored, err := r.clientOf(r.cur); err == nil {
			client = stored
		}
	}
	result := &Result{Outcome: outcome, Token: r.token, Client: client, Left: r.leftovers(), Warning: r.warning}
	if outcome != OutcomeUnchanged {
		result.Replaced = replaced
	}
	return result
}

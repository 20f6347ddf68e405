package lifecycle

import (
	"cmp"
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
	maxCreates          = 3               // per run
	maxRestarts         = 3               // after other runs' writes to the store
	maxFences           = 2               // per Save
)

// Times of attempts, counted from the first. A list may lag, and the tenant may
// need a moment to accept a new token.
var (
	lookTimes   = []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}
	verifyTimes = lookTimes[:4]
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

// isOurs reports whether this name and mark belong to a run for the same token.
// Issue compares the final name. Rotate compares the ID of the stored token or
// of the one that it replaced.
func (r *run) isOurs(name string, m mark) bool {
	if m.kind != r.mark.kind {
		return false
	}
	if m.kind == kindNew {
		return baseOf(name) == r.base
	}
	replaced, _ := r.cur.replaces()
	return m.tag == tagFor(r.cur.ID) || replaced != "" && m.tag == tagFor(replaced)
}

// leftBehind returns the tokens that are not stored and belong to this run or
// to earlier runs for the same token.
func (r *run) leftBehind() (list []sailpoint.PersonalAccessToken) {
	for _, t := range r.tokens {
		if _, m, ok := markOf(t.Name); ok && t.ID != r.cur.ID && r.isOurs(t.Name, m) {
			list = append(list, t)
		}
	}
	return list
}

// leaveForeign reports marked tokens that have the same final name but belong
// to another job or an earlier token. It is not known who still needs them.
func (r *run) leaveForeign() {
	for _, t := range r.tokens {
		if base, m, ok := markOf(t.Name); ok && base == r.base && t.ID != r.cur.ID && !r.isOurs(t.Name, m) {
			r.leave(t.ID, t.Name, "another job, or a run for an earlier token, made it; delete it only if no run is active and no store holds it")
		}
	}
}

// sweep deletes what earlier runs left. The secret of such a token is lost,
// unless an active run has not stored it yet.
func (r *run) sweep(ctx context.Context) (swept bool, err error) {
	for _, t := range r.leftBehind() {
		switch {
		case t.Managed:
			r.leave(t.ID, t.Name, "the platform manages it")
			continue
		case strings.EqualFold(t.ID, r.given.ClientID()):
			r.leave(t.ID, t.Name, "the client itself uses it")
			continue
		case t.LastUsed != nil && t.LastUsed.After(t.Created.Add(r.abandonAfter)):
			// A run uses its token right after it made it. This check only ever
			// prevents a deletion.
			r.leave(t.ID, t.Name, "somebody uses it")
			continue
		case t.Created.IsZero() && r.cur.Version == "" && !r.writeOnly && !r.isOwn(t.Name):
			r.leave(t.ID, t.Name, "the tenant does not report its age; delete it if no run is active")
			continue
		}
		r.leave(t.ID, t.Name, "an earlier run left it")
		if err := r.fence(ctx, t); err != nil {
			return swept, err
		}
		if err := r.remove(ctx, t.ID); err != nil {
			return swept, r.fail(StepSweep, err, advice(err))
		}
		swept = true
	}
	return swept, nil
}

// fence makes sure that no run stores the token t after fence returned nil.
//
// The run that made t loaded the store before it created t. So it did before
// the list showed t, and before the load here. The write here makes a new
// version. That run's Save therefore changes nothing, even if it is late, and a
// run never saves again after that. To read the version alone is not enough,
// because the Save could follow.
func (r *run) fence(ctx context.Context, t sailpoint.PersonalAccessToken) error {
	if r.isOwn(t.Name) {
		return nil // the response was lost, so nobody ever had the secret
	}
	if r.writeOnly {
		return r.fail(StepSweep, ErrInProgress, "find out whether its secret was stored; rename the token if so, otherwise delete it, and run it again")
	}
	age := time.Since(t.Created)
	if r.cur.Version == "" && age < r.abandonAfter {
		return r.fail(StepSweep, ErrInProgress, fmt.Sprintf(runAgainAfter, rounded(r.abandonAfter-age)))
	}
	before := r.cur.ID
	if err := r.load(ctx); err != nil {
		return err
	}
	if r.cur.ID != before {
		return errMoved
	}
	if r.cur.Version == "" {
		return nil // see Store: one run at a time, and no write after abandonAfter
	}
	next := rewritten(r.cur)
	switch err := r.write(ctx, next); {
	case errors.Is(err, ErrStoreConflict):
		return errMoved
	case err != nil && !r.holds(ctx, next):
		return r.fail(StepSweep, err, "repair the store and run it again")
	}
	return nil
}

// holds reports whether the store holds c although its write failed. A folder
// that can't be synced must not keep a leftover forever. The Note differs at
// each write.
func (r *run) holds(ctx context.Context, c Credential) bool {
	now, err := r.store.Load(ctx)
	return err == nil && now.ID == c.ID && now.Note == c.Note
}

// rewritten returns c with a new Note, to save it again.
func rewritten(c Credential) Credential {
	replaces, _ := c.replaces()
	c.Note = note(replaces)
	return c
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
			Name: r.mark.on(r.base), Why: "its create had no response; it may still appear, and the next run deletes it",
		})
	}
	return list
}

func (r *run) isOwn(name string) bool {
	_, m, ok := markOf(name)
	return ok && m == r.mark
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

// write saves c.
func (r *run) write(ctx context.Context, c Credential) error {
	r.changed = true
	r.secrets = append(r.secrets, c.Secret)
	err := r.store.Save(ctx, c)
	r.written = err == nil
	return r.storeError(err)
}

// read loads the stored credential.
func (r *run) read(ctx context.Context) (Credential, error) {
	c, err := r.store.Load(ctx)
	if err == nil {
		r.secrets = append(r.secrets, c.Secret)
	}
	return c, r.storeError(err)
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

// tokenOf returns a new token as a list would.
func tokenOf(c *sailpoint.CreatePersonalAccessTokenResponse) sailpoint.PersonalAccessToken {
	return sailpoint.PersonalAccessToken{
		ID: c.ID, Name: c.Name, Scope: c.Scope, Owner: c.Owner, Created: c.Created,
		ExpirationDate: c.ExpirationDate, AccessTokenValiditySeconds: c.AccessTokenValiditySeconds,
	}
}

// verifyStored uses the credential that the store returned before the old token
// is deleted. Somebody may have deleted the new token, and a store may have cut
// its secret. It does not restore the old secret. Another run may have verified
// the new one already and may delete the old token.
func (r *run) verifyStored(ctx context.Context) error {
	rejected, err := r.tryCredential(ctx, r.cur)
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
	r.leaveReplaced("it was replaced and still works, but its secret is no longer stored; the caller may still have it")
	next := "find out why; to start over delete the stored token if it still exists, and issue a new one"
	if len(r.left) > 0 {
		next += "; don't delete the leftover tokens before"
	}
	return r.fail(StepProve, wrap(ErrStoredCredential, err), next)
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

// recheck lists once more to find late tokens. It never turns a success into a
// failure.
func (r *run) recheck(ctx context.Context) {
	if r.list(ctx) != nil {
		return
	}
	if t, ok := r.listed(r.cur.ID); ok {
		r.token = t
	}
	own := 0
	for _, t := range r.leftBehind() {
		if r.isOwn(t.Name) {
			own++
		}
	}
	if swept, err := r.sweep(ctx); swept && err == nil && own > 0 {
		r.unobserved = max(r.unobserved-own, 0)
	}
	r.leaveForeign()
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

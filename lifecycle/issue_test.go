package lifecycle_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

const (
	collection = "/v2024/personal-access-tokens"
	oneToken   = collection + "/{id}"
	tokenPath  = "/oauth/token"
)

// wire returns the requests without IDs, as "POST /v2024/personal-access-tokens
// {…}".
func (w *world) wire() (list []string) {
	for _, r := range w.tenant.Requests() {
		line := r.Method + " " + r.Path
		if r.Query != "" {
			line += "?" + r.Query
		}
		if r.Body != "" && r.Path != tokenPath {
			line += " " + r.Body
		}
		for _, t := range w.tenant.Tokens() {
			line = strings.ReplaceAll(line, t.ID, "{id}")
		}
		list = append(list, line)
	}
	return list
}

// issueOnce runs Issue with a new process.
func issueOnce(t *testing.T, w *world) (*lifecycle.Result, error) {
	t.Helper()
	return issueJob(t, &process{w: w})
}

// requireIssued checks that the job has one token, and that its secret is
// stored.
func requireIssued(t *testing.T, w *world) {
	t.Helper()
	made := w.made()
	require.Len(t, made, 1)
	require.Equal(t, jobName, made[0].Name)
	require.Equal(t, w.truth().ID, made[0].ID)
	require.NoError(t, w.works())
	require.Empty(t, w.broken)
	require.Empty(t, w.tenant.Unused())
}

// requireError checks every part of a run's error except its text.
func requireError(t *testing.T, err error, step lifecycle.Step, is ...error) lifecycle.Error {
	t.Helper()
	var failure *lifecycle.Error
	require.ErrorAs(t, err, &failure)
	require.Equal(t, step, failure.Step, "%v", err)
	for _, target := range is {
		require.ErrorIs(t, err, target)
	}
	require.Regexp(t, `^lifecycle: `+failure.Op+`: `+string(step)+`: .+; .+`, err.Error())
	require.NotContains(t, err.Error(), "\n")
	return *failure
}

func TestIssueOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		result, err := issueOnce(t, w)
		require.NoError(t, err)
		wire := w.wire()
		requireIssued(t, w)
		assert.Equal(t, lifecycle.OutcomeIssued, result.Outcome)
		assert.Equal(t, w.made()[0].ID, result.Token.ID)
		assert.Equal(t, jobName, result.Token.Name)
		assert.Empty(t, result.Left)
		assert.Empty(t, result.Replaced)
		assert.Regexp(t, `^v1;replaces=;w=[0-9a-f]{16}$`, w.truth().Note)

		require.Len(t, wire, 9)
		const list = "GET " + collection + "?owner-id=me"
		for i, want := range []string{"POST " + tokenPath, list, "", "POST " + tokenPath, list, "POST " + tokenPath, list, "", list} {
			if want != "" {
				assert.Equal(t, want, wire[i])
			}
		}
		assert.Regexp(t, `^POST `+collection+` {"name":"deploy-new-[0-9a-f]{16}","scope":\["sp:my-personal-access-tokens:manage"\]}$`, wire[2])
		assert.Equal(t, `PATCH `+collection+`/{id} [{"op":"replace","path":"/name","value":"deploy"}]`, wire[7])

		result, err = issueOnce(t, w)
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomeUnchanged, result.Outcome)
		requireIssued(t, w)
	})
}

// These are the faults that a run recovers from, and their tests:
//   - a create whose response is lost, that has no effect, or that takes effect
//     late: TestIssueSucceedsDespiteFaults, TestIssueFails
//   - tokens of others with names that look alike: TestIssueByInitialState
//   - two tokens with the name that one run chose:
//     TestIssueWithTwoTokensOfOneName
//   - lists and deletions that fail during the recovery:
//     TestIssueSucceedsDespiteFaults, TestIssueFails
//   - no free slot because of a token that an earlier run left:
//     TestIssueWithFullSlots
//   - a wrong local clock: TestIssueWithAWrongClock
//   - a Save that fails: TestIssueFails, TestSaveFuncThatFails
//
// TestEveryFaultAndEveryCrash combines them with each call and each crash.

// TestIssueSucceedsDespiteFaults covers faults that Issue recovers from.
func TestIssueSucceedsDespiteFaults(t *testing.T) {
	for name, on := range map[string]map[string]fault{
		"the create's response is lost":               {"POST 1": loses},
		"the create's response is lost twice":         {"POST 1": loses, "POST 2": loses},
		"the create has no effect":                    {"POST 1": fails},
		"the create takes effect late":                {"POST 1": isLate},
		"the create takes effect after the last list": {"POST 1": isMuchLater},
		"the list doesn't show it at once":            {"POST 1": loses, "GET 2": isStale, "GET 3": isStale},
		"the list still shows a deleted token":        {"POST 1": loses, "POST 2": loses, "GET 3": isStale},
		"lists fail meanwhile":                        {"POST 1": loses, "GET 2": fails, "GET 3": rejects, "GET 4": fails},
		"the response ends before the secret":         {"POST 1": cut},
		"the new token is not known at once":          {"token 2": isSlow},
		"another server does not know it at once":     {"token 3": isSlow},
		"the response of the store is lost":           {"Save 1": loses},
		"the store repeats the write":                 {"Save 1": conflicts},
		"the rename's response is lost":               {"PATCH 1": loses},
		"the last list fails":                         {"GET 4": fails},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				p := &process{w: w, on: on}
				result, err := issueJob(t, p)
				require.NoError(t, err, p.trace)
				assert.Equal(t, lifecycle.OutcomeIssued, result.Outcome)
				for _, left := range result.Left { // only tokens that may still appear
					assert.Empty(t, left.ID)
					assert.Regexp(t, `^deploy-new-[0-9a-f]{16}$`, left.Name)
					assert.Contains(t, left.Why, "the next run of issue deletes it", "a rotation doesn't")
					assert.Contains(t, []fault{fails, isMuchLater}, on["POST 1"])
				}
				requireIssued(t, w)
				<-time.After(time.Hour)
				if on["POST 1"] == isMuchLater {
					require.Len(t, w.made(), 2, "Left must report the late token")
					_, err := issueOnce(t, w)
					require.NoError(t, err)
				}
				requireIssued(t, w)
			})
		})
	}
}

// TestIssueUnderARateLimit checks that the client's retry waits for
// Retry-After.
func TestIssueUnderARateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		for range 2 {
			w.tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 429, Header: http.Header{"Retry-After": {"17"}}})
		}
		client, err := sailpoint.NewClient(w.tenant.Config())
		require.NoError(t, err)
		start := time.Now()
		_, err = lifecycle.Issue(t.Context(), client, sailpoint.CreatePersonalAccessTokenRequest{Name: jobName, Scope: jobScope}, &process{w: w})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(start), 34*time.Second)
		requireIssued(t, w)
	})
}

// TestIssueWithAWrongClock checks that Issue does not depend on the clock.
func TestIssueWithAWrongClock(t *testing.T) {
	for _, skew := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(true)
			w.tenant = sailpointtest.NewTenant(sailpointtest.WithClock(func() time.Time { return time.Now().Add(skew) }))
			w.persons = w.tenant.Tokens()
			_, err := issueJob(t, &process{w: w, on: map[string]fault{"POST 1": loses, "GET 2": isStale}, crashAt: 12})
			require.Error(t, err)
			_, err = issueOnce(t, w)
			require.NoError(t, err)
			requireIssued(t, w)
		})
	}
}

// fill adds n tokens for the owner.
func (w *world) fill(n int) {
	for range n {
		w.tenant.Add(sailpoint.PersonalAccessToken{})
	}
	w.persons = w.tenant.Tokens()
}

// orphan kills a process that has not stored its new token yet.
func (w *world) orphan(t *testing.T) (id string) {
	t.Helper()
	_, err := issueJob(t, &process{w: w, crashAt: 5})
	require.Error(t, err)
	require.Len(t, w.made(), 1)
	return w.made()[0].ID
}

// TestIssueWithFullSlots checks that Issue first deletes its own orphan.
func TestIssueWithFullSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		w.fill(5)
		orphan := w.orphan(t)
		require.Len(t, w.tenant.Tokens(), 10)
		_, err := issueOnce(t, w)
		require.NoError(t, err)
		requireIssued(t, w)
		require.NotEqual(t, orphan, w.truth().ID)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		w.fill(6)
		p := &process{w: w}
		_, err := issueJob(t, p)
		failure := requireError(t, err, lifecycle.StepCreate, lifecycle.ErrNoFreeSlot)
		assert.Equal(t, lifecycle.Stored{Known: true}, failure.Stored)
		assert.Zero(t, p.like["POST"], "no create may be sent")
	})
	synctest.Test(t, func(t *testing.T) { // the list omits a token
		w := newWorld(true)
		w.fill(6)
		p := &process{w: w, on: map[string]fault{"GET 1": isStale}}
		_, err := issueJob(t, p)
		requireError(t, err, lifecycle.StepCreate, lifecycle.ErrNoFreeSlot, sailpoint.ErrBadRequest)
		assert.Equal(t, 1, p.like["POST"])
	})
}

// TestIssueFails checks that a failure leaves the store and the tenant
// unchanged, and that the error says so.
func TestIssueFails(t *testing.T) {
	for name, tt := range map[string]struct {
		on   map[string]fault
		step lifecycle.Step
		is   error
		left int
	}{
		"load":                            {map[string]fault{"Load 1": fails}, lifecycle.StepLoad, lifecycle.ErrStoreUnknown, 0},
		"list":                            {map[string]fault{"GET 1": fails}, lifecycle.StepList, sailpoint.ErrServer, 0},
		"list rejected":                   {map[string]fault{"token 1": rejects}, lifecycle.StepList, sailpoint.ErrInvalidCredentials, 0},
		"create rejected":                 {map[string]fault{"POST 1": rejects}, lifecycle.StepCreate, sailpoint.ErrBadRequest, 0},
		"create never responds":           {map[string]fault{"POST 1": fails, "POST 2": fails, "POST 3": fails}, lifecycle.StepCreate, sailpoint.ErrOutcomeUnknown, 1},
		"create denied after a lost one":  {map[string]fault{"POST 1": fails, "POST 2": denies, "POST 3": denies}, lifecycle.StepCreate, sailpoint.ErrOutcomeUnknown, 1},
		"no list succeeds":                {map[string]fault{"POST 1": loses, "GET 2": fails, "GET 3": fails, "GET 4": fails, "GET 5": fails, "GET 6": fails}, lifecycle.StepCreate, sailpoint.ErrOutcomeUnknown, 1},
		"the found token is hidden":       {map[string]fault{"POST 1": loses, "DELETE 1": hides}, lifecycle.StepCreate, sailpoint.ErrOutcomeUnknown, 2},
		"the found token stays":           {map[string]fault{"POST 1": loses, "DELETE 1": fails}, lifecycle.StepCreate, sailpoint.ErrOutcomeUnknown, 2},
		"the name is not kept":            {map[string]fault{"POST 1": renames}, lifecycle.StepCreate, nil, 0},
		"the token in the response stays": {map[string]fault{"POST 1": cut, "DELETE 1": fails}, lifecycle.StepCreate, sailpoint.ErrOutcomeUnknown, 1},
		"verify has no response":          {map[string]fault{"token 2": fails}, lifecycle.StepVerify, sailpoint.ErrServer, 0},
		"verify is rejected":              {map[string]fault{"token 2": rejects, "token 3": rejects, "token 4": rejects, "token 5": rejects}, lifecycle.StepVerify, lifecycle.ErrNewSecretRejected, 0},
		"verify is rejected, undo lost":   {map[string]fault{"token 2": fails, "DELETE 1": fails}, lifecycle.StepVerify, sailpoint.ErrServer, 1},
		"save rejected":                   {map[string]fault{"Save 1": rejects}, lifecycle.StepSave, lifecycle.ErrNotStored, 0},
		"save fails":                      {map[string]fault{"Save 1": fails}, lifecycle.StepSave, errDown, 0},
		"save comes late":                 {map[string]fault{"Save 1": isLate}, lifecycle.StepSave, errDown, 0},
		"save, not known":                 {map[string]fault{"Save 1": fails, "Load 2": fails, "Load 3": fails}, lifecycle.StepSave, lifecycle.ErrStoreUnknown, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				p := &process{w: w, on: tt.on}
				_, err := issueJob(t, p)
				failure := requireError(t, err, tt.step)
				if tt.is != nil {
					require.ErrorIs(t, err, tt.is)
				}
				require.Len(t, failure.Left, tt.left, "%v", err)
				if errors.Is(err, lifecycle.ErrNewSecretRejected) {
					assert.Equal(t, "run it again", failure.Next, "the rejected credentials are not the client's")
				}
				assert.Equal(t, lifecycle.Stored{Known: !errors.Is(err, lifecycle.ErrStoreUnknown)}, failure.Stored)
				if tt.left == 0 {
					assert.Empty(t, w.made())
				}
				<-time.After(time.Minute)
				assert.Empty(t, w.truth().ID)
				_, err = issueOnce(t, w)
				require.NoError(t, err)
				requireIssued(t, w)
			})
		})
	}
}

// TestIssueSaysNothingWasChanged checks that only an error without a change
// says so.
func TestIssueSaysNothingWasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		_, err := issueJob(t, &process{w: w, crashAt: 6})
		require.ErrorIs(t, err, errCrash)
		p := &process{w: w, on: map[string]fault{"GET 1": fails}}
		_, err = issueJob(t, p)
		require.Contains(t, requireError(t, err, lifecycle.StepList, sailpoint.ErrServer).Next, "nothing was changed")
		p = &process{w: w, on: map[string]fault{"GET 2": fails}}
		_, err = issueJob(t, p)
		require.NotContains(t, requireError(t, err, lifecycle.StepList, sailpoint.ErrServer).Next, "nothing was changed")
		require.Equal(t, 1, p.like["DELETE"])
	})
}

// TestIssueByInitialState covers what the store and the tenant may already
// hold.
func TestIssueByInitialState(t *testing.T) {
	type pat = sailpoint.PersonalAccessToken
	store := func(w *world, p pat) {
		id, secret := w.tenant.Add(p)
		_ = w.memory.Save(context.Background(), lifecycle.Credential{ID: id, Secret: secret})
	}
	for name, tt := range map[string]struct {
		there   func(w *world)
		outcome lifecycle.Outcome // empty for an error
		step    lifecycle.Step
		is      error
		left    int
	}{
		"a token of its name, stored": {func(w *world) { store(w, pat{Name: jobName}) }, lifecycle.OutcomeUnchanged, "", nil, 0},
		"one with its temporary name": {func(w *world) { store(w, pat{Name: jobName + "-next-0123abcd89ef4567a8f40d4c"}) }, lifecycle.OutcomeFinished, "", nil, 0},
		"a deleted token":             {func(w *world) { _ = w.memory.Save(context.Background(), credential(1)) }, lifecycle.OutcomeIssued, "", nil, 0},
		"a secret without its ID": {func(w *world) {
			_ = w.memory.Save(context.Background(), lifecycle.Credential{Secret: sailpoint.NewSecret("the only copy")})
		}, "", lifecycle.StepLoad, lifecycle.ErrStoredCredential, 0},
		"half a credential": {func(w *world) { _ = w.memory.Save(context.Background(), lifecycle.Credential{ID: "a"}) }, lifecycle.OutcomeIssued, "", nil, 0},
		"a token with the note of a later version": {func(w *world) {
			id, secret := w.tenant.Add(pat{Name: jobName})
			_ = w.memory.Save(context.Background(), lifecycle.Credential{ID: id, Secret: secret, Note: "v2;replaces=a,b"})
		}, "", lifecycle.StepLoad, lifecycle.ErrStoredCredential, 0},
		"another token, stored": {func(w *world) { store(w, pat{Name: "other"}) }, "", lifecycle.StepList, lifecycle.ErrStoredCredential, 0},
		"a managed one, stored": {func(w *world) { store(w, pat{Name: jobName, Managed: true}) }, "", lifecycle.StepList, lifecycle.ErrManaged, 0},
		"one of another owner, stored": {func(w *world) {
			store(w, pat{Name: jobName, Owner: sailpoint.PersonalAccessTokenOwner{ID: "other"}})
		}, "", lifecycle.StepList, lifecycle.ErrNotListed, 0},
		"a person's token of its name": {func(w *world) { w.tenant.Add(pat{Name: jobName}) }, "", lifecycle.StepList, lifecycle.ErrNameTaken, 1},
		"names that look alike": {func(w *world) {
			w.tenant.Add(pat{Name: jobName + "-new-0123456789abcdee"})
			w.tenant.Add(pat{Name: "x" + jobName + "-new-0123456789abcdee"})
		}, lifecycle.OutcomeIssued, "", nil, 0},
		"a token of a rotation": {func(w *world) { w.tenant.Add(pat{Name: jobName + "-next-0123abcd89ef4567a8f40d4c"}) }, lifecycle.OutcomeIssued, "", nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				tt.there(w)
				before := w.tenant.Tokens()
				truth := w.truth()
				p := &process{w: w}
				result, err := issueJob(t, p)
				left := leftovers(result, err)
				require.Len(t, left, tt.left)
				for _, old := range before {
					found := false
					for _, now := range w.tenant.Tokens() {
						found = found || now.ID == old.ID && (now.Name == old.Name || tt.outcome == lifecycle.OutcomeFinished)
					}
					assert.True(t, found, "%q stays", old.Name)
				}
				if tt.outcome == "" {
					failure := requireError(t, err, tt.step, tt.is)
					assert.Equal(t, truth.ID, failure.Stored.ID)
					assert.True(t, failure.Stored.Known)
					assert.Equal(t, truth.Version, w.truth().Version)
					assert.Zero(t, p.like["POST"])
					return
				}
				require.NoError(t, err)
				assert.Equal(t, tt.outcome, result.Outcome)
				assert.Equal(t, jobName, result.Token.Name)
				require.NoError(t, w.works())
			})
		})
	}
}

// TestIssueReplacesARejectedCredential also covers a token that is still
// listed. Issue does not delete a token that has not expired.
func TestIssueReplacesARejectedCredential(t *testing.T) {
	for name, tt := range map[string]struct {
		left   time.Duration // of the stored token's life
		secret bool          // the stored secret is the token's
		tries  int           // attempts with the stored credential
		made   []string      // the names of the tokens of the job
	}{
		"expired":                           {-time.Second, true, 1, []string{jobName}},
		"expired, with another secret":      {-30 * day, false, 1, []string{jobName}},
		"with another secret":               {30 * day, false, 4, []string{jobName, jobName + "-new-"}},
		"with another secret, for a moment": {30 * day, true, 2, []string{jobName}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				id, secret := w.tenant.Add(sailpoint.PersonalAccessToken{
					Name: jobName, Scope: jobScope, Created: time.Now().Add(-60 * day), ExpirationDate: ptr(time.Now().Add(tt.left)),
				})
				if !tt.secret {
					secret = sailpoint.NewSecret("another")
				}
				require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{ID: id, Secret: secret}))
				p := &process{w: w}
				if tt.tries == 2 {
					p.on = map[string]fault{"token 2": rejects}
				}
				result, err := issueJob(t, p)
				require.NoError(t, err)
				assert.Equal(t, w.truth().ID, result.Token.ID)
				names := []string{}
				for _, token := range w.made() {
					names = append(names, strings.TrimRight(token.Name, "0123456789abcdef"))
				}
				names[0] = w.made()[0].Name
				assert.Equal(t, tt.made, names)
				used := 0
				for _, r := range w.tenant.Requests() {
					if r.Path == tokenPath && strings.Contains(r.Body, "client_id="+id) {
						used++
					}
				}
				assert.Equal(t, tt.tries, used)
				require.NoError(t, w.works())
				if tt.tries == 2 {
					assert.Equal(t, lifecycle.OutcomeUnchanged, result.Outcome)
					assert.Equal(t, id, w.truth().ID)
					return
				}
				assert.Equal(t, lifecycle.OutcomeIssued, result.Outcome)
				assert.Equal(t, id, result.Replaced)
				assert.NotEqual(t, id, w.truth().ID)
				if len(tt.made) == 1 {
					requireIssued(t, w)
					return
				}
				require.Len(t, result.Left, 1)
				assert.Equal(t, id, result.Left[0].ID, "somebody may have its secret")
				result, err = issueOnce(t, w)
				require.NoError(t, err)
				assert.Equal(t, lifecycle.OutcomeUnchanged, result.Outcome)
				require.Len(t, result.Left, 1)
				_, err = rotateJob(daily)(t, &process{w: w})
				require.NoError(t, err)
				requireRotated(t, w, id)
			})
		})
	}
}

// TestIssueKeepsACredentialThatItCantTry checks that a missing response is not
// treated as a rejection.
func TestIssueKeepsACredentialThatItCantTry(t *testing.T) {
	for name, tt := range map[string]struct {
		on   map[string]fault
		step lifecycle.Step
		is   error
	}{
		"no response":            {map[string]fault{"token 2": fails}, lifecycle.StepProve, sailpoint.ErrServer},
		"rejected, not readable": {map[string]fault{"token 2": rejects, "token 3": rejects, "token 4": rejects, "token 5": rejects, "Load 2": fails}, lifecycle.StepLoad, lifecycle.ErrStoreUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				old := w.adopt()
				p := &process{w: w, on: tt.on}
				_, err := issueJob(t, p)
				requireError(t, err, tt.step, tt.is)
				assert.Zero(t, p.like["POST"])
				assert.Equal(t, old, w.truth().ID)
			})
		})
	}
}

// TestIssueFinishesLater checks that the new token is stored even if the expired
// one can't be deleted, and that the next call finishes.
func TestIssueFinishesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		old, secret := w.tenant.Add(sailpoint.PersonalAccessToken{Name: jobName, Scope: jobScope, ExpirationDate: ptr(time.Now().Add(-day))})
		require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{ID: old, Secret: secret}))
		_, err := issueJob(t, &process{w: w, on: map[string]fault{"DELETE 1": fails}})
		failure := requireError(t, err, lifecycle.StepRetire, sailpoint.ErrServer)
		require.Len(t, failure.Left, 1)
		assert.Equal(t, old, failure.Left[0].ID)
		assert.Equal(t, lifecycle.Stored{ID: w.truth().ID, Known: true, Working: true}, failure.Stored)
		require.NoError(t, w.works())
		result, err := issueOnce(t, w)
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomeFinished, result.Outcome)
		assert.Equal(t, old, result.Replaced)
		requireRotated(t, w, old)
	})
}

// TestIssueDeletesALateToken checks that the last list finds a token whose create
// took effect after all.
func TestIssueDeletesALateToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		p := &process{w: w, on: map[string]fault{"POST 1": isMuchLater}}
		p.before = func(int) {
			if p.like["PATCH"] == 1 && p.like["DELETE"] == 0 {
				<-time.After(26 * time.Second)
			}
		}
		result, err := issueJob(t, p)
		require.NoError(t, err)
		assert.Empty(t, result.Left, "nothing may still appear")
		assert.Equal(t, 1, p.like["DELETE"])
		requireIssued(t, w)
	})
}

// TestIssueWhileTheStoreChanges checks that Issue notices when another run
// replaces the rejected credential first.
func TestIssueWhileTheStoreChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		id, secret := w.tenant.Add(sailpoint.PersonalAccessToken{Name: jobName, ExpirationDate: ptr(time.Now().Add(-day))})
		require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{ID: id, Secret: secret}))
		p := &process{w: w}
		p.before = func(int) {
			if p.next == "Load 2" && p.like["Load"] == 1 {
				_, err := issueOnce(t, w)
				require.NoError(t, err)
			}
		}
		result, err := issueJob(t, p)
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomeUnchanged, result.Outcome)
		assert.Zero(t, p.like["POST"])
		requireIssued(t, w)
	})
}

// TestEachAttemptWithANewSecretAsksTheTenant checks that each attempt has a new
// client, because a client may repeat a rejection.
func TestEachAttemptWithANewSecretAsksTheTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		start := time.Now()
		p := &process{w: w, on: map[string]fault{"token 2": isSlow}}
		_, err := issueJob(t, p)
		require.NoError(t, err)
		requireIssued(t, w)
		assert.Equal(t, 1+4+1, p.like["token"], "the client's own, those at 0, 1, 3 and 7 seconds, and the last one")
		assert.GreaterOrEqual(t, time.Since(start), 7*time.Second)
	})
}

// TestIssueOfANameThatTheTenantChanges checks that such a token is not kept. It
// could not be found by the requested name.
func TestIssueOfANameThatTheTenantChanges(t *testing.T) {
	for asked, kept := range map[string]string{
		" deploy": "deploy", "Deploy": "deploy", "de  ploy": "de ploy", "re\u0301sume\u0301": "r\u00e9sum\u00e9",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(true)
			p := &process{w: w, rewrite: func(_, body string) string { return strings.ReplaceAll(body, asked, kept) }}
			req := sailpoint.CreatePersonalAccessTokenRequest{Name: asked, Scope: jobScope}
			_, err := lifecycle.Issue(t.Context(), p.client(t), req, p)
			failure := requireError(t, err, lifecycle.StepCreate, lifecycle.ErrNotAsRequested)
			require.Contains(t, err.Error(), `"`+kept+"-new-")
			assert.Empty(t, failure.Left)
			assert.Empty(t, w.made())
			assert.Empty(t, w.truth().ID)
			assert.Contains(t, failure.Next, "choose a name")
		})
	}
	synctest.Test(t, func(t *testing.T) { // the temporary name ends with the mark
		w := newWorld(true)
		p := &process{w: w, rewrite: func(_, body string) string { return strings.ReplaceAll(body, `"deploy "`, `"deploy"`) }}
		req := sailpoint.CreatePersonalAccessTokenRequest{Name: "deploy ", Scope: jobScope}
		_, err := lifecycle.Issue(t.Context(), p.client(t), req, p)
		failure := requireError(t, err, lifecycle.StepRename, lifecycle.ErrNotAsRequested)
		require.ErrorContains(t, err, `"deploy" instead of "deploy "`)
		assert.Equal(t, lifecycle.Stored{ID: w.truth().ID, Known: true, Working: true}, failure.Stored)
		require.NoError(t, w.works(), "the new token must be stored and not deleted")
	})
}

// without returns a function that omits members from responses to a Create.
func without(members ...string) func(what, body string) string {
	return edit("POST", func(token map[string]any) {
		for _, member := range members {
			delete(token, member)
		}
	})
}

// garbling returns a function that makes members in responses to a Create
// unreadable.
func garbling(members ...string) func(what, body string) string {
	return edit("POST", func(token map[string]any) {
		for _, member := range members {
			token[member] = map[string]any{
				"name": 5, "scope": "every right", "owner": "Ana", "created": "soon", "expirationDate": "never",
				"accessTokenValiditySeconds": "half a day",
			}[member]
		}
	})
}

// edit returns a function that changes the tokens with a temporary name in
// responses to these requests.
func edit(kinds string, change func(token map[string]any)) func(what, body string) string {
	return func(what, body string) string {
		var value any
		if !strings.Contains(kinds, what) || json.Unmarshal([]byte(body), &value) != nil {
			return body
		}
		tokens, ok := value.([]any)
		if !ok {
			tokens = []any{value}
		}
		for _, token := range tokens {
			if token, ok := token.(map[string]any); ok && strings.Contains(fmt.Sprint(token["name"]), "-ne") {
				change(token)
			}
		}
		edited, _ := json.Marshal(value)
		return string(edited)
	}
}

// TestACreateThatShowsLittle checks that ID and secret are enough. Other
// members that can't be read are no reason to delete the token.
func TestACreateThatShowsLittle(t *testing.T) {
	for _, members := range []string{
		"name", "scope", "owner", "created", "expirationDate", "accessTokenValiditySeconds",
		"name scope owner created expirationDate accessTokenValiditySeconds",
	} {
		for name, j := range jobs {
			if name == "after grace" {
				continue // this job creates nothing
			}
			for what, list := range map[string]fault{"left out": none, "garbled": none, "in no list": isStale, "list fails": fails} {
				t.Run(fmt.Sprintf("%s/%s/%s", members, name, what), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(true)
						if j.begin != nil {
							j.begin(t, w)
						}
						before := w.truth().ID
						p := &process{w: w, rewrite: without(strings.Fields(members)...), faults: map[int]fault{}}
						if what == "garbled" {
							p.rewrite = garbling(strings.Fields(members)...)
						}
						p.before = func(call int) {
							if n := len(p.trace); n > 0 && strings.HasSuffix(p.trace[n-1], "POST") && strings.HasPrefix(p.next, "GET") {
								p.faults[call] = list
							}
						}
						result, err := attempt(t, j, p)
						if name == "grace" && list != none && strings.Contains(members, "created") {
							failure := requireError(t, err, lifecycle.StepRetire)
							assert.Equal(t, w.truth().ID, failure.Stored.ID)
							assert.Len(t, w.made(), 2)
						} else {
							require.NoError(t, err)
							require.Equal(t, w.truth().ID, result.Token.ID)
						}
						assert.NotEqual(t, before, w.truth().ID, "the new token is stored")
						asked := members != "owner" && (members != "accessTokenValiditySeconds" || name != "issue")
						assert.Equal(t, asked, len(p.faults) == 1, "Issue must list only if a member is missing")
						mend(t, w, j, strings.Join(p.trace, ", "))
					})
				})
			}
		}
	}
}

// TestNothingIsDeletedIfTheStoreCantBeRead checks the read before a deletion.
func TestNothingIsDeletedIfTheStoreCantBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		orphan := w.orphan(t)
		p := &process{w: w, on: map[string]fault{"Load 2": fails}}
		_, err := issueJob(t, p)
		failure := requireError(t, err, lifecycle.StepLoad, lifecycle.ErrStoreUnknown)
		require.Len(t, failure.Left, 1)
		assert.Equal(t, orphan, failure.Left[0].ID)
		assert.Zero(t, p.like["DELETE"])
	})
}

// TestIssueWithTwoTokensOfOneName checks that neither token is deleted if names
// turn out not to be unique.
func TestIssueWithTwoTokensOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		p := &process{w: w, on: map[string]fault{"POST 1": loses}}
		p.before = func(int) {
			if p.like["POST"] == 1 && p.like["GET"] == 1 && len(w.made()) == 1 {
				w.tenant.Add(sailpoint.PersonalAccessToken{Name: w.made()[0].Name})
			}
		}
		_, err := issueJob(t, p)
		failure := requireError(t, err, lifecycle.StepCreate, sailpoint.ErrOutcomeUnknown)
		assert.Len(t, failure.Left, 3, "both tokens, and one that may still appear")
		assert.Len(t, w.made(), 2, "neither may be deleted")
	})
}

// TestIssueSkipsTokensInUse checks that Issue reports tokens that may be in use
// and does not delete them.
func TestIssueSkipsTokensInUse(t *testing.T) {
	for name, tt := range map[string]struct {
		versions bool
		change   func(*sailpoint.PersonalAccessToken)
		own      bool // the client uses it
		is       error
	}{
		"another run's, in a store without versions": {false, func(*sailpoint.PersonalAccessToken) {}, false, lifecycle.ErrInProgress},
		"the platform's": {true, func(p *sailpoint.PersonalAccessToken) { p.Managed = true }, false, nil},
		"one that somebody uses": {true, func(p *sailpoint.PersonalAccessToken) {
			used := p.Created.Add(16 * time.Minute)
			p.LastUsed = &used
		}, false, nil},
		"the client's own": {true, func(*sailpoint.PersonalAccessToken) {}, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(tt.versions)
				w.orphan(t)
				orphan := w.made()[0]
				tt.change(&orphan)
				id, secret := w.tenant.Add(orphan) // replaces it
				p := &process{w: w}
				client := p.client(t)
				if tt.own {
					client = p.client(t, lifecycle.Credential{ID: id, Secret: secret})
				}
				req := sailpoint.CreatePersonalAccessTokenRequest{Name: jobName, Scope: jobScope}
				result, err := lifecycle.Issue(t.Context(), client, req, p)
				left := leftovers(result, err)
				require.Len(t, left, 1)
				assert.Equal(t, orphan.ID, left[0].ID)
				if tt.is == nil {
					require.NoError(t, err)
					assert.Len(t, w.made(), 2)
					return
				}
				failure := requireError(t, err, lifecycle.StepSweep, tt.is)
				assert.Contains(t, failure.Next, "15m0s")
				assert.Len(t, w.made(), 1)
				<-time.After(15 * time.Minute)
				_, err = issueOnce(t, w)
				require.NoError(t, err)
				requireIssued(t, w)
			})
		})
	}
}

// lateVersions has versions only after something was stored.
type lateVersions struct{ lifecycle.Store }

func (s lateVersions) Load(ctx context.Context) (lifecycle.Credential, error) {
	c, err := s.Store.Load(ctx)
	if c.ID == "" {
		c.Version = ""
	}
	return c, err
}

// TestSaveWithoutAVersionIsNotFenced checks that a later version does not stop
// a Save without one.
func TestSaveWithoutAVersionIsNotFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		p := &process{w: w, on: map[string]fault{"Save 1": isLate}}
		p.before = func(int) {
			if p.next == "Load 2" { // a person stores another token
				id, secret := w.tenant.Add(sailpoint.PersonalAccessToken{Name: "by hand"})
				require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{ID: id, Secret: secret}))
			}
		}
		req := sailpoint.CreatePersonalAccessTokenRequest{Name: jobName, Scope: jobScope}
		_, err := lifecycle.Issue(t.Context(), p.client(t), req, lateVersions{p})
		requireError(t, err, lifecycle.StepSave, lifecycle.ErrStoreUnknown)
		<-time.After(time.Minute)
		require.NoError(t, w.works(), "the late Save took effect")
		require.Empty(t, w.broken)
	})
}

// issueBy runs Issue with a SaveFunc.
func issueBy(t *testing.T, p *process, save lifecycle.SaveFunc) (*lifecycle.Result, error) {
	t.Helper()
	return lifecycle.Issue(t.Context(), p.client(t), sailpoint.CreatePersonalAccessTokenRequest{Name: jobName, Scope: jobScope}, save)
}

func TestIssueWithASaveFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		result, err := issueBy(t, &process{w: w}, w.memory.Save)
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomeIssued, result.Outcome)
		requireIssued(t, w)
		_, err = issueBy(t, &process{w: w}, w.memory.Save)
		requireError(t, err, lifecycle.StepList, lifecycle.ErrNameTaken)
		requireIssued(t, w)
	})
}

// TestSaveFuncThatFails checks that the token is deleted after any failure.
func TestSaveFuncThatFails(t *testing.T) {
	errFull := errors.New("the disk is full")
	for name, save := range map[string]lifecycle.SaveFunc{
		"error":  func(context.Context, lifecycle.Credential) error { return errFull },
		"panic":  func(context.Context, lifecycle.Credential) error { panic(errFull) },
		"Goexit": func(context.Context, lifecycle.Credential) error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				client := (&process{w: w}).client(t)
				var err error
				var recovered any
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { recovered = recover() }()
					_, err = lifecycle.Issue(t.Context(), client, sailpoint.CreatePersonalAccessTokenRequest{Name: jobName, Scope: jobScope}, save)
				}()
				<-done
				assert.Empty(t, w.made())
				assert.Equal(t, name == "panic", recovered != nil)
				if name == "error" {
					requireError(t, err, lifecycle.StepSave, lifecycle.ErrNotStored, errFull)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // the error must not repeat the secret
		w := newWorld(true)
		var secret string
		_, err := issueBy(t, &process{w: w}, func(_ context.Context, c lifecycle.Credential) error {
			secret = c.Secret.Reveal()
			return fmt.Errorf("PUT /%s: %w", secret, lifecycle.ErrStoreConflict)
		})
		requireError(t, err, lifecycle.StepSave, lifecycle.ErrNotStored)
		require.ErrorContains(t, err, "PUT /[REDACTED]: ")
		requireNoSecret(t, "error", err, secret)
	})
	synctest.Test(t, func(t *testing.T) { // both failures are reported
		w := newWorld(true)
		_, err := issueBy(t, &process{w: w, on: map[string]fault{"DELETE 1": fails}}, func(context.Context, lifecycle.Credential) error { return errFull })
		failure := requireError(t, err, lifecycle.StepSave, errFull, sailpoint.ErrServer)
		require.Len(t, failure.Left, 1)
		assert.Equal(t, w.made()[0].ID, failure.Left[0].ID)
	})
}

// TestSaveFuncAfterACrash checks that a token that may be stored is not
// deleted.
func TestSaveFuncAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		_, err := issueBy(t, &process{w: w, on: map[string]fault{"PATCH 1": fails}}, w.memory.Save)
		requireError(t, err, lifecycle.StepRename, sailpoint.ErrServer)
		stored := w.made()[0]
		<-time.After(time.Hour)
		_, err = issueBy(t, &process{w: w}, w.memory.Save)
		failure := requireError(t, err, lifecycle.StepSweep, lifecycle.ErrInProgress)
		require.Len(t, failure.Left, 1)
		assert.Equal(t, stored.ID, failure.Left[0].ID)
		require.NoError(t, w.works(), "the token must not be deleted")
	})
}

func TestIssueRejectsArguments(t *testing.T) {
	w := newWorld(true)
	p := &process{w: w}
	client, store := p.client(t), p
	good := sailpoint.CreatePersonalAccessTokenRequest{Name: jobName, Scope: jobScope}
	issue := func(ctx context.Context, client *sailpoint.Client, store lifecycle.Store, change func(*sailpoint.CreatePersonalAccessTokenRequest)) error {
		req := good
		change(&req)
		_, err := lifecycle.Issue(ctx, client, req, store)
		return err
	}
	same := func(*sailpoint.CreatePersonalAccessTokenRequest) {}
	for want, err := range map[string]error{
		"no client":           issue(t.Context(), nil, store, same),
		"no client: make one": issue(t.Context(), &sailpoint.Client{}, store, same),
		"the context is nil":  issue(nil, client, store, same),
		"no store":            issue(t.Context(), client, nil, same),
		"the SaveFunc is nil: give Issue a function that stores the credential": issue(t.Context(), client, lifecycle.SaveFunc(nil), same),
		"a token needs a name":     issue(t.Context(), client, store, func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.Name = " " }),
		"form of a temporary name": issue(t.Context(), client, store, func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.Name = marked }),
		"choose another name":      issue(t.Context(), client, store, func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.Name = "deplo\ufffd" }),
		"would grant every right":  issue(t.Context(), client, store, func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.Scope = nil }),
	} {
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
		require.ErrorContains(t, err, want)
	}
	assert.Zero(t, p.calls, "nothing may be read or sent")

	_, err := lifecycle.Issue(t.Context(), client, sailpoint.CreatePersonalAccessTokenRequest{Name: jobName, Scope: []string{""}}, store)
	requireError(t, err, lifecycle.StepCreate, sailpoint.ErrInvalidArgument)
}

package lifecycle_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
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

const grace = 2 * time.Hour

var (
	daily     = lifecycle.RotateOptions{IfOlderThan: day}
	withGrace = lifecycle.RotateOptions{IfOlderThan: day, Grace: grace}
)

func rotateJob(opts lifecycle.RotateOptions) func(*testing.T, *process) (*lifecycle.Result, error) {
	return func(t *testing.T, p *process) (*lifecycle.Result, error) {
		t.Helper()
		return lifecycle.Rotate(p.context(t), p.client(t), p, opts)
	}
}

// rotateOwn rotates the token of the client, which is made from the store.
func rotateOwn(t *testing.T, p *process) (*lifecycle.Result, error) {
	t.Helper()
	return lifecycle.Rotate(p.context(t), p.client(t, p.w.truth()), p, lifecycle.RotateOptions{IfOlderThan: day})
}

// requireRotated checks that the job has one token that is not old, and that
// its secret is stored.
func requireRotated(t *testing.T, w *world, old string) {
	t.Helper()
	requireIssued(t, w)
	require.NotEqual(t, old, w.truth().ID)
}

// digest returns a digest as temporary names hold it.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

func TestRotateOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		old := w.adopt()
		result, err := rotateJob(lifecycle.RotateOptions{})(t, &process{w: w})
		require.NoError(t, err)
		wire := w.wire()
		requireRotated(t, w, old)
		assert.Equal(t, lifecycle.OutcomeRotated, result.Outcome)
		assert.Equal(t, old, result.Replaced)
		assert.Equal(t, w.made()[0].ID, result.Token.ID)
		assert.Equal(t, jobName, result.Token.Name)
		assert.Zero(t, result.RetireAt)
		assert.Empty(t, result.Left)
		assert.Regexp(t, `^v1;replaces=`+old+`;w=[0-9a-f]{16}$`, w.truth().Note)

		require.Len(t, wire, 10)
		const list = "GET " + collection + "?owner-id=me"
		for i, want := range []string{"POST " + tokenPath, list, "", "POST " + tokenPath, list, "POST " + tokenPath, list, "DELETE " + collection + "/" + old, "", list} {
			if want != "" {
				assert.Equal(t, want, wire[i])
			}
		}
		assert.Regexp(t, `^POST `+collection+` {"name":"deploy-next-`+digest(old)+`[0-9a-f]{16}","scope":\["sp:my-personal-access-tokens:manage"\],`+
			`"accessTokenValiditySeconds":600,"expirationDate":"2000-04-30T00:00:00.000Z"}$`, wire[2], "120 days, as the old token")
		assert.Equal(t, `PATCH `+collection+`/{id} [{"op":"replace","path":"/name","value":"deploy"}]`, wire[8])
	})
}

// TestRotateOfARestoredCredential restores the old ID and secret but keeps the
// note. The note then says that the stored token was replaced.
func TestRotateOfARestoredCredential(t *testing.T) {
	for _, upper := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(true)
			old := w.adopt()
			putBack := w.truth()
			noted := old
			if upper {
				noted = strings.ToUpper(old)
			}
			putBack.Note = "v1;replaces=" + noted + ";w=0123456789abcdef"
			require.NoError(t, w.memory.Save(t.Context(), putBack))
			result, err := rotateJob(lifecycle.RotateOptions{IfOlderThan: 60 * day})(t, &process{w: w})
			require.NoError(t, err)
			assert.Equal(t, lifecycle.OutcomeUnchanged, result.Outcome)
			assert.Empty(t, result.Replaced)
			require.NoError(t, w.works())

			_, err = rotateJob(lifecycle.RotateOptions{})(t, &process{w: w})
			require.NoError(t, err)
			requireRotated(t, w, old)
		})
	}
}

// TestSuccessor checks that scope and validity come from the old token, and the
// expiry from the options and the version.
func TestSuccessor(t *testing.T) {
	in := func(d time.Duration) *time.Time { return ptr(time.Now().Add(d)) }
	type pat = sailpoint.PersonalAccessToken
	for name, tt := range map[string]struct {
		version sailpoint.APIVersion
		old     func() pat
		opts    lifecycle.RotateOptions
		want    string // in the request
		err     string
	}{
		"as long as the old one":           {sailpoint.V1, func() pat { return pat{Created: *in(-10 * day), ExpirationDate: in(20 * day)} }, lifecycle.RotateOptions{}, `"expirationDate":"2000-01-31T00:00:00.000Z"}`, ""},
		"as long as an expired one":        {sailpoint.V2024, func() pat { return pat{Created: *in(-30 * day), ExpirationDate: in(-day)} }, lifecycle.RotateOptions{}, `"expirationDate":"2000-01-30T00:00:00.000Z"}`, ""},
		"no more than six months":          {sailpoint.V2024, func() pat { return pat{Created: *in(-10 * day), ExpirationDate: in(365 * day)} }, lifecycle.RotateOptions{}, `"accessTokenValiditySeconds":43200}`, ""},
		"six months, as the tenant counts": {sailpoint.V3, func() pat { return pat{Created: *in(-31 * day), ExpirationDate: in(151 * day)} }, lifecycle.RotateOptions{}, `"accessTokenValiditySeconds":43200}`, ""},
		"a year":                           {sailpoint.V2025, func() pat { return pat{Created: *in(-10 * day), ExpirationDate: in(355 * day)} }, lifecycle.RotateOptions{}, `"expirationDate":"2000-12-31T00:00:00.000Z"}`, ""},
		"a lifetime":                       {sailpoint.Beta, func() pat { return pat{} }, lifecycle.RotateOptions{Lifetime: 30 * day}, `"expirationDate":"2000-01-31T00:00:00.000Z"}`, ""},
		"no expiry before V2025":           {sailpoint.V2024, func() pat { return pat{} }, lifecycle.RotateOptions{}, `"accessTokenValiditySeconds":43200}`, ""},
		"no expiry since V2025":            {sailpoint.V2025, func() pat { return pat{} }, lifecycle.RotateOptions{}, "", "set Lifetime or NeverExpires"},
		"no expiry, acknowledged":          {sailpoint.V2026, func() pat { return pat{} }, lifecycle.RotateOptions{NeverExpires: true}, `"accessTokenValiditySeconds":43200,"userAwareTokenNeverExpires":true}`, ""},
		"an expiry removed":                {sailpoint.V1, func() pat { return pat{ExpirationDate: in(day)} }, lifecycle.RotateOptions{NeverExpires: true}, `"userAwareTokenNeverExpires":true}`, ""},
		"an expiry before its creation":    {sailpoint.V1, func() pat { return pat{ExpirationDate: in(-day)} }, lifecycle.RotateOptions{}, "", "set Lifetime"},
		"its scope":                        {sailpoint.V2024, func() pat { return pat{Scope: []string{"a:read", "b"}, AccessTokenValiditySeconds: 77} }, lifecycle.RotateOptions{}, `"scope":["a:read","b"],"accessTokenValiditySeconds":77}`, ""},
		"no scope":                         {sailpoint.V2024, func() pat { return pat{Scope: []string{}} }, lifecycle.RotateOptions{}, "", "reports no scope"},
		"a lost character in its name":     {sailpoint.V2024, func() pat { return pat{Name: "deplo\ufffd"} }, lifecycle.RotateOptions{}, "", "rename the token first"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				old := tt.old()
				old.Name = cmp.Or(old.Name, jobName)
				id, secret := w.tenant.Add(old)
				require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{ID: id, Secret: secret}))
				cfg := w.tenant.Config()
				cfg.APIVersion = tt.version
				client, err := sailpoint.NewClient(cfg)
				require.NoError(t, err)
				result, err := lifecycle.Rotate(t.Context(), client, w.memory, tt.opts)
				if tt.err != "" {
					require.ErrorContains(t, err, tt.err)
					failure := requireError(t, err, lifecycle.StepCreate, sailpoint.ErrInvalidArgument)
					assert.Equal(t, "correct this and run it again; nothing was changed", failure.Next, "not only the options may be wrong")
					require.Len(t, w.made(), 1)
					return
				}
				require.NoError(t, err)
				created := ""
				for _, line := range w.wire() {
					if strings.Contains(line, "-next-") && strings.HasPrefix(line, "POST") {
						created = line
					}
				}
				assert.True(t, strings.HasSuffix(created, tt.want), created)
				requireRotated(t, w, id)
				require.Equal(t, w.made()[0].ExpirationDate, result.Token.ExpirationDate, "the result must have the actual expiry")
			})
		})
	}
}

// TestRotateComparesTheSuccessor compares it with the request. The old token
// has 60 of its 90 days left.
func TestRotateComparesTheSuccessor(t *testing.T) {
	const asked, shorter, early = "2000-03-31T00:00:00Z", "2000-03-10T00:00:00Z", "2000-02-29T00:00:00Z" // the old token expires on 2000-03-01
	set := func(member string, value any) func(map[string]any) {
		return func(token map[string]any) { token[member] = value }
	}
	for name, tt := range map[string]struct {
		scope   []string // of the old token, or nil for a and b
		shown   func(map[string]any)
		in      string // the responses that show it, or "" for the create's
		text    string // of the error, or "" for success
		warning string
	}{
		"as requested":                  {nil, set("managed", false), "", "", ""},
		"scope in another order":        {nil, set("scope", []string{"b", "a", "b"}), "", "", ""},
		"a scope more":                  {nil, set("scope", []string{"a", "b", "c"}), "", `the scope of the token is ["a" "b" "c"] instead of ["a" "b"]`, ""},
		"a scope less":                  {nil, set("scope", []string{"a"}), "", `is ["a"] instead of`, ""},
		"another scope":                 {nil, set("scope", []string{"a", "c"}), "", `is ["a" "c"] instead of`, ""},
		"no scope":                      {nil, set("scope", []string{}), "", `is [] instead of`, ""},
		"every right":                   {nil, set("scope", []string{sailpoint.ScopeAll}), "", `is ["sp:scopes:all"] instead of`, ""},
		"every right, as requested":     {[]string{sailpoint.ScopeAll, "a"}, set("scope", []string{sailpoint.ScopeAll}), "", "", ""},
		"every right with other scopes": {[]string{sailpoint.ScopeAll}, set("scope", []string{"x", sailpoint.ScopeAll}), "", "", ""},
		"scope in the list":             {nil, set("scope", nil), "", "", ""},
		"another validity":              {nil, set("accessTokenValiditySeconds", 601), "", "last 601 seconds instead of 600", ""},
		"another name":                  {nil, set("name", "DEPLOY-next-0123456789abcdef01234567"), "", `"DEPLOY-next-0123456789abcdef01234567" instead of "deploy-next-`, ""},
		"a later expiry":                {nil, set("expirationDate", "2000-03-31T00:00:01Z"), "", "expires on 2000-03-31T00:00:01Z instead of " + asked, ""},
		"in the same second":            {nil, set("expirationDate", "2000-03-31T00:00:00.999Z"), "", "", ""},
		"an earlier expiry":             {nil, set("expirationDate", shorter), "", "", "expires on " + shorter + " instead of " + asked},
		"earlier than the old one's":    {nil, set("expirationDate", early), "", "earlier than the token that it replaces", ""},
		"no expiry":                     {nil, set("expirationDate", nil), "POST GET", "has no expiry", ""},
		"expiry in the list only":       {nil, set("expirationDate", nil), "POST", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				scope := tt.scope
				if scope == nil {
					scope = []string{"a", "b"}
				}
				old, secret := w.tenant.Add(sailpoint.PersonalAccessToken{
					Name: jobName, Scope: scope, Created: time.Now().Add(-30 * day), ExpirationDate: ptr(time.Now().Add(60 * day)), AccessTokenValiditySeconds: 600,
				})
				require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{ID: old, Secret: secret}))
				in := tt.in
				if in == "" {
					in = "POST"
				}
				p := &process{w: w, rewrite: edit(in, tt.shown)}
				result, err := rotateJob(daily)(t, p)
				if tt.text == "" {
					require.NoError(t, err)
					requireRotated(t, w, old)
					assert.Equal(t, tt.warning == "", result.Warning == "")
					assert.Contains(t, result.Warning, tt.warning)
					return
				}
				failure := requireError(t, err, lifecycle.StepCreate, lifecycle.ErrNotAsRequested)
				require.ErrorContains(t, err, tt.text)
				assert.Empty(t, failure.Left)
				assert.Equal(t, lifecycle.Stored{ID: old, Known: true}, failure.Stored)
				require.Len(t, w.made(), 1)
				assert.Equal(t, old, w.made()[0].ID, "the old token must stay")
				assert.Equal(t, old, w.truth().ID)
				assert.Zero(t, p.like["Save"])
				require.NoError(t, w.works())
			})
		})
	}
}

// TestRotateOfATokenThatNeverExpires checks that its successor never expires
// either.
func TestRotateOfATokenThatNeverExpires(t *testing.T) {
	for name, tt := range map[string]struct {
		old     *time.Time
		opts    lifecycle.RotateOptions
		warning bool
		undone  bool
	}{
		"it never expired":        {nil, lifecycle.RotateOptions{NeverExpires: true}, false, true},
		"it was to expire before": {ptr(time.Date(2000, 2, 1, 0, 0, 0, 0, time.UTC)), lifecycle.RotateOptions{NeverExpires: true}, true, false},
		"a lifetime was asked":    {nil, lifecycle.RotateOptions{Lifetime: 300 * day}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				old, secret := w.tenant.Add(sailpoint.PersonalAccessToken{Name: jobName, Scope: jobScope, ExpirationDate: tt.old})
				require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{ID: old, Secret: secret}))
				cfg := w.tenant.Config()
				cfg.APIVersion = sailpoint.V2026
				p := &process{w: w, rewrite: edit("POST", func(token map[string]any) { token["expirationDate"] = "2000-06-01T00:00:00Z" })}
				cfg.HTTPClient = &http.Client{Transport: p}
				client, err := sailpoint.NewClient(cfg)
				require.NoError(t, err)
				result, err := lifecycle.Rotate(t.Context(), client, p, tt.opts)
				if tt.undone {
					requireError(t, err, lifecycle.StepCreate, lifecycle.ErrNotAsRequested)
					require.Len(t, w.made(), 1)
					return
				}
				require.NoError(t, err)
				requireRotated(t, w, old)
				assert.Equal(t, tt.warning, result.Warning != "")
			})
		})
	}
}

// TestRotateWithoutACreationTime checks that Rotate then requires a lifetime,
// and that Grace is an error.
func TestRotateWithoutACreationTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		old := w.adopt()
		cfg := w.tenant.Config()
		cfg.APIVersion = sailpoint.V2025
		client, err := sailpoint.NewClient(cfg)
		require.NoError(t, err)
		w.tenant.Inject(sailpointtest.Fault{
			Method: "GET", Status: 200,
			Body: `[{"id":"` + old + `","name":"deploy","scope":["s"],"expirationDate":"2000-03-31T00:00:00Z"}]`,
		})
		_, err = lifecycle.Rotate(t.Context(), client, w.memory, lifecycle.RotateOptions{})
		requireError(t, err, lifecycle.StepCreate, sailpoint.ErrInvalidArgument)
		require.ErrorContains(t, err, "set Lifetime")

		const id = "0123456789abcdef0123456789abcdef"
		successor, secret := w.tenant.Add(sailpoint.PersonalAccessToken{ID: id, Name: jobName + "-copy", Scope: jobScope})
		require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{
			ID: successor, Secret: secret, Note: "v1;replaces=" + old + ";w=0123456789abcdef",
		}))
		w.tenant.Inject(sailpointtest.Fault{
			Method: "GET", Status: 200, Body: `[{"id":"` + id + `","name":"deploy-copy"},{"id":"` + old + `","name":"deploy"}]`,
		})
		_, err = lifecycle.Rotate(t.Context(), client, w.memory, lifecycle.RotateOptions{Grace: grace})
		left := requireError(t, err, lifecycle.StepRetire).Left
		require.Len(t, left, 1)
		assert.Equal(t, old, left[0].ID)
		assert.Len(t, w.made(), 2, "readers of the old token still need it")
		result, err := lifecycle.Rotate(t.Context(), client, w.memory, lifecycle.RotateOptions{Grace: grace})
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomePending, result.Outcome)
	})
}

// TestSweepWithoutACreationTime checks that such a token stays in a store
// without versions. Another run may be about to store it.
func TestSweepWithoutACreationTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(false)
		old := w.adopt()
		p := &process{w: w}
		name := jobName + "-next-" + digest(old) + "01234567" + digest("next"+digest(old)+"01234567")
		w.tenant.Add(sailpoint.PersonalAccessToken{ID: "leftover", Name: name})
		w.tenant.Inject(sailpointtest.Fault{
			Method: "GET", Status: 200,
			Body: `[{"id":"` + old + `","name":"deploy","created":"2000-01-01T00:00:00Z"},{"id":"leftover","name":"` + name + `"}]`,
		})
		result, err := lifecycle.Rotate(t.Context(), p.client(t), p, daily)
		require.NoError(t, err)
		require.Len(t, result.Left, 1)
		assert.Equal(t, "leftover", result.Left[0].ID)
		assert.Len(t, w.made(), 2)
	})
}

// TestJobsWhoseIDsBeginAlike checks that a rotation leaves the stored token of
// another job alone.
func TestJobsWhoseIDsBeginAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		month := time.Now().Add(-30 * day)
		other := &lifecycle.MemoryStore{}
		for id, store := range map[string]lifecycle.Store{"2c9180867b50d088017b554662fb2801": w.memory, "2c9180867b50d088017b554662fb2802": other} {
			_, secret := w.tenant.Add(sailpoint.PersonalAccessToken{ID: id, Name: "job " + id, Scope: jobScope, Created: month})
			require.NoError(t, store.Save(t.Context(), lifecycle.Credential{ID: id, Secret: secret}))
		}
		p := &process{w: w, on: map[string]fault{"PATCH 1": fails}}
		_, err := lifecycle.Rotate(t.Context(), p.client(t), other, daily)
		requireError(t, err, lifecycle.StepRename)

		result, err := rotateJob(daily)(t, &process{w: w})
		require.NoError(t, err)
		assert.Empty(t, result.Left)
		result, err = lifecycle.Rotate(t.Context(), (&process{w: w}).client(t), other, daily)
		require.NoError(t, err, "the other job's only token must stay")
		assert.Equal(t, lifecycle.OutcomeFinished, result.Outcome)
	})
}

func TestRotateRejectsArguments(t *testing.T) {
	w := newWorld(true)
	p := &process{w: w}
	for want, opts := range map[string]lifecycle.RotateOptions{
		"Lifetime -1ns: negative":                {Lifetime: -1},
		"IfOlderThan: negative":                  {IfOlderThan: -1},
		"Grace: negative":                        {Grace: -1},
		"AbandonAfter: negative":                 {AbandonAfter: -1},
		"exclude each other":                     {Lifetime: 1, NeverExpires: true},
		"NeverExpires is not available in v2024": {NeverExpires: true},
		"v2024 allows at most six months":        {Lifetime: 200 * day},
	} {
		_, err := lifecycle.Rotate(t.Context(), p.client(t), p, opts)
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
		_, words, _ := strings.Cut(want, ": ")
		if words == "" {
			words = want
		}
		require.ErrorContains(t, err, words)
	}
	_, err := lifecycle.Rotate(t.Context(), p.client(t), lifecycle.SaveFunc(w.memory.Save), lifecycle.RotateOptions{})
	require.ErrorContains(t, err, "a SaveFunc can't be read")
	_, err = lifecycle.Rotate(t.Context(), nil, p, lifecycle.RotateOptions{})
	require.ErrorContains(t, err, "no client")
	assert.Zero(t, p.calls)
}

// TestRotateByInitialState covers what the store and the tenant may already
// hold.
func TestRotateByInitialState(t *testing.T) {
	type pat = sailpoint.PersonalAccessToken
	store := func(w *world, p pat) {
		id, secret := w.tenant.Add(p)
		_ = w.memory.Save(context.Background(), lifecycle.Credential{ID: id, Secret: secret})
	}
	month := time.Now().Add(-30 * day)
	for name, tt := range map[string]struct {
		there   func(w *world)
		outcome lifecycle.Outcome // empty for an error
		step    lifecycle.Step
		is      error
		left    int
	}{
		"nothing":         {func(*world) {}, "", lifecycle.StepLoad, lifecycle.ErrStoredCredential, 0},
		"a deleted token": {func(w *world) { _ = w.memory.Save(context.Background(), credential(1)) }, "", lifecycle.StepList, lifecycle.ErrStoredCredential, 0},
		"a managed one":   {func(w *world) { store(w, pat{Name: jobName, Managed: true}) }, "", lifecycle.StepList, lifecycle.ErrManaged, 0},
		"one of another owner": {func(w *world) {
			store(w, pat{Name: jobName, Owner: sailpoint.PersonalAccessTokenOwner{ID: "other"}})
		}, "", lifecycle.StepList, lifecycle.ErrNotListed, 0},
		"a young one":                {func(w *world) { store(w, pat{Name: jobName, Created: time.Now().Add(-day + time.Second)}) }, lifecycle.OutcomeUnchanged, "", nil, 0},
		"an old one":                 {func(w *world) { store(w, pat{Name: jobName, Created: time.Now().Add(-day)}) }, lifecycle.OutcomeRotated, "", nil, 0},
		"one that Issue left":        {func(w *world) { store(w, pat{Name: jobName + "-new-012345673553629c", Created: month}) }, lifecycle.OutcomeFinished, "", nil, 0},
		"one that Rotate left":       {func(w *world) { store(w, pat{Name: marked, Created: month}) }, lifecycle.OutcomeFinished, "", nil, 0},
		"a mark of an earlier token": {func(w *world) { store(w, pat{Name: jobName}); w.tenant.Add(pat{Name: marked}) }, lifecycle.OutcomeUnchanged, "", nil, 1},
		"full slots":                 {func(w *world) { store(w, pat{Name: jobName, Created: month}); w.fill(5) }, "", lifecycle.StepCreate, lifecycle.ErrNoFreeSlot, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				month = time.Now().Add(-30 * day)
				tt.there(w)
				truth, before := w.truth(), len(w.tenant.Tokens())
				p := &process{w: w}
				result, err := rotateJob(daily)(t, p)
				left := leftovers(result, err)
				require.Len(t, left, tt.left)
				require.Len(t, w.tenant.Tokens(), before)
				if tt.outcome == "" {
					failure := requireError(t, err, tt.step, tt.is)
					assert.Equal(t, truth.ID, failure.Stored.ID)
					assert.Equal(t, truth.Version, w.truth().Version)
					assert.Zero(t, p.like["POST"])
					return
				}
				require.NoError(t, err)
				assert.Equal(t, tt.outcome, result.Outcome)
				assert.Equal(t, jobName, result.Token.Name)
				assert.Equal(t, tt.outcome == lifecycle.OutcomeRotated, truth.ID != w.truth().ID)
				require.NoError(t, w.works())
			})
		})
	}
}

// TestRotateBeforeTheTokenExpires checks a daily job whose client uses the
// stored token. It could not repair anything once that has expired.
func TestRotateBeforeTheTokenExpires(t *testing.T) {
	for lifetime, rotations := range map[time.Duration]int{3 * day: 15, 30 * day: 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(true)
			id, secret := w.tenant.Add(sailpoint.PersonalAccessToken{
				Name: jobName, Scope: jobScope, Created: time.Now(), ExpirationDate: ptr(time.Now().Add(lifetime)),
			})
			require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{ID: id, Secret: secret}))
			rotated := 0
			for range 31 {
				<-time.After(day)
				p := &process{w: w}
				result, err := lifecycle.Rotate(t.Context(), p.client(t, w.truth()), p, lifecycle.RotateOptions{IfOlderThan: 30 * day})
				require.NoError(t, err)
				if result.Outcome == lifecycle.OutcomeRotated {
					rotated++
				}
			}
			assert.Equal(t, rotations, rotated, "%s", lifetime)
		})
	}
}

// TestGraceThatEndsTooLate checks that a token that could expire before its own
// rotation is not created.
func TestGraceThatEndsTooLate(t *testing.T) {
	for _, tt := range []struct {
		lifetime, grace time.Duration
		want            string // "" if Rotate accepts it
	}{
		{30 * day, 23 * day, ""},
		{30 * day, 24 * day, "Grace is 576h0m0s, but may be 552h0m0s at most"},
		{3 * day, 2 * day, ""},
		{3 * day, 3 * day, "Grace is 72h0m0s, but may be 48h0m0s at most"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(true)
			id, secret := w.tenant.Add(sailpoint.PersonalAccessToken{
				Name: jobName, Scope: jobScope, Created: time.Now(), ExpirationDate: ptr(time.Now().Add(tt.lifetime)),
			})
			require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{ID: id, Secret: secret}))
			p := &process{w: w}
			result, err := lifecycle.Rotate(t.Context(), p.client(t, w.truth()), p, lifecycle.RotateOptions{Grace: tt.grace})
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, lifecycle.OutcomePending, result.Outcome)
				return
			}
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			require.ErrorContains(t, err, tt.want)
			assert.Equal(t, id, w.truth().ID)
			assert.Zero(t, requests(w.tenant, http.MethodPost, 201), "no successor was created")
		})
	}
}

// TestGraceEndsBeforeTheSuccessorExpires checks a successor that the tenant lets
// expire within the Grace. The job could not rotate it any more.
func TestGraceEndsBeforeTheSuccessorExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		id, secret := w.tenant.Add(sailpoint.PersonalAccessToken{Name: jobName, Scope: jobScope, ExpirationDate: ptr(time.Now().Add(3 * day))})
		require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{ID: id, Secret: secret}))
		cfg := w.tenant.Config()
		cfg.APIVersion = sailpoint.V2026
		cfg.HTTPClient = &http.Client{Transport: &process{w: w, rewrite: edit("POST GET", func(token map[string]any) {
			token["expirationDate"] = "2000-01-10T00:00:00Z" // in 9 days
		})}}
		client, err := sailpoint.NewClient(cfg)
		require.NoError(t, err)
		rotate := func() *lifecycle.Result {
			result, err := lifecycle.Rotate(t.Context(), client, w.memory, lifecycle.RotateOptions{NeverExpires: true, Grace: 30 * day})
			require.NoError(t, err)
			return result
		}
		result := rotate()
		assert.Equal(t, lifecycle.OutcomePending, result.Outcome)
		assert.Equal(t, time.Date(2000, 1, 7, 0, 0, 0, 0, time.UTC), result.RetireAt.UTC())
		<-time.After(time.Until(result.RetireAt))
		assert.Equal(t, lifecycle.OutcomeFinished, rotate().Outcome)
		requireRotated(t, w, id)
	})
}

// TestContextThatEndsDuringAWait checks what is said of its cause. That may be
// the failure of another call, as in an errgroup.
func TestContextThatEndsDuringAWait(t *testing.T) {
	stopping := errors.New("stopping")
	for _, cause := range []error{nil, stopping, &sailpoint.Error{StatusCode: http.StatusNotFound, DetailCode: "404.1"}} {
		synctest.Test(t, func(t *testing.T) {
			tenant, store := sailpointtest.NewTenant(), &lifecycle.MemoryStore{}
			require.NoError(t, store.Save(t.Context(), lifecycle.Credential{ID: "not-listed", Secret: sailpoint.NewSecret("s")}))
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			_, err := lifecycle.Rotate(ctx, clientOf(t, tenant), store, lifecycle.RotateOptions{})
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, sailpoint.ErrNotFound)
			assert.Equal(t, errors.Is(cause, stopping), errors.Is(err, stopping))
			var failure *lifecycle.Error
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, lifecycle.StepList, failure.Step)
			assert.Equal(t, "run it again; nothing was changed", failure.Next)
		})
	}
}

// TestRotateFails checks the step of each error, the stored credential, and the
// leftovers.
func TestRotateFails(t *testing.T) {
	for name, tt := range map[string]struct {
		versions bool
		on       map[string]fault
		step     lifecycle.Step
		is       error
		made     int // tokens of the job
		left     int
		moved    bool // the new secret is stored
	}{
		"load":                      {true, map[string]fault{"Load 1": fails}, lifecycle.StepLoad, lifecycle.ErrStoreUnknown, 1, 0, false},
		"list":                      {true, map[string]fault{"GET 1": fails}, lifecycle.StepList, sailpoint.ErrServer, 1, 0, false},
		"create":                    {true, map[string]fault{"POST 1": rejects}, lifecycle.StepCreate, sailpoint.ErrBadRequest, 1, 0, false},
		"create never responds":     {true, map[string]fault{"POST 1": fails, "POST 2": fails, "POST 3": fails}, lifecycle.StepCreate, sailpoint.ErrOutcomeUnknown, 1, 1, false},
		"verify":                    {true, map[string]fault{"token 2": fails}, lifecycle.StepVerify, sailpoint.ErrServer, 1, 0, false},
		"save":                      {true, map[string]fault{"Save 1": fails}, lifecycle.StepSave, errDown, 1, 0, false},
		"save, not known":           {true, map[string]fault{"Save 1": loses, "Load 2": fails, "Load 3": fails}, lifecycle.StepSave, lifecycle.ErrStoreUnknown, 2, 2, true},
		"save, not fenced":          {true, map[string]fault{"Save 1": fails, "Save 2": fails, "Save 3": fails}, lifecycle.StepSave, lifecycle.ErrStoreUnknown, 2, 2, false},
		"save, never confirmed":     {true, map[string]fault{"Save 1": loses, "Save 2": loses, "Save 3": loses}, lifecycle.StepSave, lifecycle.ErrStoreUnknown, 2, 2, true},
		"save, confirmed by none":   {false, map[string]fault{"Save 1": loses, "Save 2": loses}, lifecycle.StepSave, lifecycle.ErrStoreUnknown, 2, 2, true},
		"save, without versions":    {false, map[string]fault{"Save 1": isLate}, lifecycle.StepSave, lifecycle.ErrStoreUnknown, 2, 2, true},
		"read back":                 {true, map[string]fault{"Load 2": fails}, lifecycle.StepLoad, errDown, 2, 1, true},
		"prove":                     {true, map[string]fault{"token 3": fails}, lifecycle.StepProve, sailpoint.ErrServer, 2, 1, true},
		"prove blocked":             {true, map[string]fault{"token 3": blocks}, lifecycle.StepProve, sailpoint.ErrForbidden, 2, 1, true},
		"prove denied, no response": {true, map[string]fault{"GET 3": denies, "GET 4": loses}, lifecycle.StepProve, io.ErrUnexpectedEOF, 2, 1, true},
		"prove rejected":            {true, map[string]fault{"token 3": rejects, "token 4": rejects, "token 5": rejects, "token 6": rejects}, lifecycle.StepProve, lifecycle.ErrStoredCredential, 2, 1, true},
		"retire":                    {true, map[string]fault{"DELETE 1": fails}, lifecycle.StepRetire, sailpoint.ErrServer, 2, 1, true},
		"retire, not routed":        {true, map[string]fault{"DELETE 1": hides}, lifecycle.StepRetire, sailpoint.ErrNotFound, 2, 1, true},
		"rename, not routed":        {true, map[string]fault{"PATCH 1": hides}, lifecycle.StepRename, sailpoint.ErrNotFound, 1, 0, true},
		"rename":                    {true, map[string]fault{"PATCH 1": rejects}, lifecycle.StepRename, sailpoint.ErrBadRequest, 1, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(tt.versions)
				old := w.adopt()
				_, err := rotateJob(daily)(t, &process{w: w, on: tt.on})
				failure := requireError(t, err, tt.step, tt.is)
				require.Equal(t, errors.Is(tt.is, lifecycle.ErrStoredCredential), errors.Is(err, lifecycle.ErrStoredCredential), "a missing response proves no rejection")
				require.Len(t, failure.Left, tt.left, "%v", err)
				require.Len(t, w.made(), tt.made)
				<-time.After(time.Minute)
				require.Equal(t, tt.moved, w.truth().ID != old)
				require.NoError(t, w.works())
				if failure.Stored.Known {
					assert.Equal(t, w.truth().ID, failure.Stored.ID)
				} else {
					assert.ErrorIs(t, err, lifecycle.ErrStoreUnknown)
				}
				<-time.After(15 * time.Minute)
				_, err = rotateJob(daily)(t, &process{w: w})
				require.NoError(t, err)
				requireRotated(t, w, old)
			})
		})
	}
}

// TestAnUnfinishedRotationIsSavedAgain before the old token is deleted: that the
// successor can be read doesn't say that its write reached stable storage.
func TestAnUnfinishedRotationIsSavedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		old := w.adopt()
		_, err := rotateJob(daily)(t, &process{w: w, on: map[string]fault{"Save 1": loses, "Save 2": loses, "Save 3": loses}})
		requireError(t, err, lifecycle.StepSave, lifecycle.ErrStoreUnknown)

		for _, f := range []fault{fails, rejects, loses} {
			p := &process{w: w, on: map[string]fault{"Save 1": f}}
			_, err := rotateJob(daily)(t, p)
			failure := requireError(t, err, lifecycle.StepSave)
			require.Len(t, failure.Left, 1)
			assert.Equal(t, old, failure.Left[0].ID)
			assert.Len(t, w.made(), 2)
			assert.Zero(t, p.like["DELETE"])
		}

		p := &process{w: w}
		result, err := rotateJob(daily)(t, p)
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomeFinished, result.Outcome)
		assert.Equal(t, 1, p.like["Save"])
		requireRotated(t, w, old)
	})
}

// laggard is a store whose n-th Load returns the result of the first.
type laggard struct {
	lifecycle.Store
	n, loads int
	first    lifecycle.Credential
}

func (s *laggard) Load(ctx context.Context) (lifecycle.Credential, error) {
	c, err := s.Store.Load(ctx)
	if s.loads++; s.loads == 1 {
		s.first = c
	} else if s.loads == s.n {
		c = s.first
	}
	return c, err
}

// TestRotateWithALaggingRead checks that nothing is deleted. An ID that left
// the store never returns, so Rotate can tell that the read lags.
func TestRotateWithALaggingRead(t *testing.T) {
	for name, tt := range map[string]struct {
		n    int
		on   map[string]fault
		step lifecycle.Step
		is   error
	}{
		"after the save":            {2, nil, lifecycle.StepLoad, nil},
		"after a proof that failed": {3, map[string]fault{"token 3": rejects, "token 4": rejects, "token 5": rejects, "token 6": rejects}, lifecycle.StepProve, lifecycle.ErrStoredCredential},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				old := w.adopt()
				p := &process{w: w, on: tt.on}
				_, err := lifecycle.Rotate(t.Context(), p.client(t), &laggard{Store: p, n: tt.n}, lifecycle.RotateOptions{})
				failure := requireError(t, err, tt.step)
				require.NotErrorIs(t, err, lifecycle.ErrSuperseded)
				if tt.is != nil {
					require.ErrorIs(t, err, tt.is)
				}
				assert.Equal(t, lifecycle.Stored{ID: w.truth().ID, Known: true}, failure.Stored)
				require.Len(t, failure.Left, 1)
				assert.Equal(t, old, failure.Left[0].ID)
				assert.Zero(t, p.like["DELETE"])
				_, err = rotateJob(daily)(t, &process{w: w})
				require.NoError(t, err)
				requireRotated(t, w, old)
			})
		})
	}
}

// lossy is a store that changes what is saved.
type lossy struct {
	lifecycle.Store
	lose func(*lifecycle.Credential)
}

func (s lossy) Save(ctx context.Context, c lifecycle.Credential) error {
	s.lose(&c)
	return s.Store.Save(ctx, c)
}

// TestRotateWithALossyStore checks that the old token stays and is reported.
func TestRotateWithALossyStore(t *testing.T) {
	for name, lose := range map[string]func(*lifecycle.Credential){
		"no note":     func(c *lifecycle.Credential) { c.Note = "" },
		"half a note": func(c *lifecycle.Credential) { c.Note = c.Note[:len(c.Note)-1] },
		"half a secret": func(c *lifecycle.Credential) {
			c.Secret = sailpoint.NewSecret(c.Secret.Reveal()[:10])
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				old := w.adopt()
				p := &process{w: w}
				_, err := lifecycle.Rotate(t.Context(), p.client(t), lossy{p, lose}, lifecycle.RotateOptions{})
				failure := requireError(t, err, lifecycle.StepSave, lifecycle.ErrStoredCredential)
				require.Len(t, failure.Left, 1)
				assert.Equal(t, old, failure.Left[0].ID)
				assert.Len(t, w.made(), 2)
				assert.Zero(t, p.like["DELETE"])
			})
		})
	}
}

// TestRotateWhileAPersonChangesTokens covers changes between two calls.
func TestRotateWhileAPersonChangesTokens(t *testing.T) {
	const deleteAt, patchAt = "DELETE", "PATCH"
	successor := func(w *world) sailpoint.PersonalAccessToken { return w.made()[len(w.made())-1] }
	for name, tt := range map[string]struct {
		before string // the first call of this kind
		act    func(t *testing.T, w *world)
		step   lifecycle.Step // empty for success
		is     error
		name   string
	}{
		"the name is taken": {patchAt, func(_ *testing.T, w *world) {
			w.tenant.Add(sailpoint.PersonalAccessToken{Name: jobName})
		}, lifecycle.StepRename, lifecycle.ErrNameTaken, ""},
		"the successor is renamed": {deleteAt, func(_ *testing.T, w *world) {
			w.rename(successor(w).ID, "by hand")
		}, "", nil, jobName},
		"the old token is deleted": {deleteAt, func(t *testing.T, w *world) {
			t.Helper()
			w.revoke(t, w.made()[0].ID)
		}, "", nil, jobName},
		"the successor is deleted before its name": {patchAt, func(t *testing.T, w *world) {
			t.Helper()
			w.revoke(t, successor(w).ID)
		}, lifecycle.StepRename, lifecycle.ErrStoredCredential, ""},
		"the successor is deleted before it is proved": {"Load 2", func(t *testing.T, w *world) {
			t.Helper()
			w.revoke(t, successor(w).ID)
		}, lifecycle.StepProve, lifecycle.ErrStoredCredential, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				old := w.adopt()
				p := &process{w: w}
				done := false
				p.before = func(int) {
					if next := p.next; !done && (next == tt.before+" 1" || next == tt.before) {
						done = true
						tt.act(t, w)
					}
				}
				result, err := rotateJob(daily)(t, p)
				require.True(t, done)
				if tt.step != "" {
					failure := requireError(t, err, tt.step, tt.is)
					if tt.step == lifecycle.StepProve {
						require.Len(t, failure.Left, 1)
						assert.Equal(t, old, failure.Left[0].ID, "the old token must stay")
						assert.Equal(t, old, w.made()[0].ID)
					}
					return
				}
				require.NoError(t, err)
				assert.Equal(t, tt.name, result.Token.Name)
				requireIssued(t, w)
			})
		})
	}
}

// TestRotateIsSuperseded lets another instance finish this rotation and start
// the next one.
func TestRotateIsSuperseded(t *testing.T) {
	for before, tt := range map[string]struct {
		step lifecycle.Step
		left int
	}{
		"Load 2": {lifecycle.StepSave, 2}, "token 3": {lifecycle.StepProve, 0}, "PATCH 1": {lifecycle.StepRename, 0},
	} {
		t.Run(before, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				old := w.adopt()
				p := &process{w: w}
				p.before = func(int) {
					if p.next == before {
						for _, want := range []lifecycle.Outcome{lifecycle.OutcomeFinished, lifecycle.OutcomeRotated} {
							result, err := rotateJob(lifecycle.RotateOptions{})(t, &process{w: w})
							if assert.NoError(t, err) {
								assert.Equal(t, want, result.Outcome)
							}
						}
					}
				}
				_, err := rotateJob(daily)(t, p)
				failure := requireError(t, err, tt.step, lifecycle.ErrSuperseded)
				assert.Len(t, failure.Left, tt.left)
				assert.Equal(t, w.truth().ID, failure.Stored.ID)
				requireRotated(t, w, old)
			})
		})
	}
}

// TestStoredTokenThatIsNotListed checks that a missing response is not treated
// as a rejection.
func TestStoredTokenThatIsNotListed(t *testing.T) {
	for name, tt := range map[string]struct {
		on   map[string]fault
		step lifecycle.Step
		is   error
	}{
		"its bearer has no response": {map[string]fault{"GET 1": isStale, "GET 2": isStale, "token 2": fails}, lifecycle.StepList, sailpoint.ErrServer},
		"the next list fails":        {map[string]fault{"GET 1": isStale, "GET 2": fails}, lifecycle.StepList, sailpoint.ErrServer},
		"the next Load fails":        {map[string]fault{"GET 1": isStale, "Load 2": fails}, lifecycle.StepLoad, lifecycle.ErrStoreUnknown},
	} {
		for _, job := range []func(*testing.T, *process) (*lifecycle.Result, error){rotateJob(daily), issueJob} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(true)
					old := w.adopt()
					p := &process{w: w, on: tt.on}
					w.lists = []string{"[]"}
					_, err := job(t, p)
					requireError(t, err, tt.step, tt.is)
					require.NotErrorIs(t, err, lifecycle.ErrStoredCredential)
					assert.Equal(t, old, w.truth().ID)
					assert.Zero(t, p.like["POST"])
				})
			})
		}
	}
}

// TestARenameByAPersonStays checks that later runs keep that name.
func TestARenameByAPersonStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		old := w.adopt()
		_, err := rotateJob(daily)(t, &process{w: w, on: map[string]fault{"DELETE 1": fails}})
		requireError(t, err, lifecycle.StepRetire)
		w.rename(w.truth().ID, "by hand")
		result, err := rotateJob(daily)(t, &process{w: w})
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomeFinished, result.Outcome)
		assert.Equal(t, old, result.Replaced)
		made := w.made()
		require.Len(t, made, 1)
		assert.Equal(t, "by hand", made[0].Name)
	})
}

// TestAManagedTokenIsNeverDeleted also covers the replaced token.
func TestAManagedTokenIsNeverDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		w.adopt()
		_, err := rotateJob(daily)(t, &process{w: w, on: map[string]fault{"DELETE 1": fails}})
		requireError(t, err, lifecycle.StepRetire)
		old := w.made()[0]
		old.Managed = true
		w.tenant.Add(old)
		p := &process{w: w}
		_, err = rotateJob(daily)(t, p)
		failure := requireError(t, err, lifecycle.StepRename, lifecycle.ErrNameTaken)
		require.Len(t, failure.Left, 1)
		assert.Equal(t, old.ID, failure.Left[0].ID)
		assert.Zero(t, p.like["DELETE"])
		require.NoError(t, w.works())
	})
}

func TestRotateWithGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		old := w.adopt()
		start := time.Now()
		for range 3 { // each run gets the same time
			result, err := rotateJob(withGrace)(t, &process{w: w})
			require.NoError(t, err)
			assert.Equal(t, lifecycle.OutcomePending, result.Outcome)
			assert.True(t, result.RetireAt.Equal(start.Add(grace)))
			assert.Equal(t, old, result.Replaced)
			assert.NotEqual(t, old, result.Token.ID)
			assert.Len(t, w.made(), 2)
			<-time.After(grace/3 - time.Second)
		}
		// Issue finds a working token in between, and changes nothing.
		result, err := issueOnce(t, w)
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomeUnchanged, result.Outcome)
		require.Len(t, result.Left, 1)
		assert.Equal(t, old, result.Left[0].ID)
		assert.Empty(t, result.Replaced, "this call replaced nothing")

		<-time.After(time.Until(start.Add(grace)))
		result, err = rotateJob(withGrace)(t, &process{w: w})
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomeFinished, result.Outcome)
		assert.Zero(t, result.RetireAt)
		assert.Equal(t, old, result.Replaced)
		requireRotated(t, w, old)
	})
}

// TestGraceNamesALeftover checks that the run that finishes the rotation deletes
// what another one left.
func TestGraceNamesALeftover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		old := w.adopt()
		_, err := rotateJob(withGrace)(t, &process{w: w, on: map[string]fault{"POST 1": isMuchLater}, crashAt: 5})
		require.Error(t, err)
		result, err := rotateJob(withGrace)(t, &process{w: w})
		require.NoError(t, err)
		<-time.After(time.Minute)
		require.Len(t, w.made(), 3, "the create of the run that crashed took effect after all")
		retireAt := result.RetireAt
		result, err = rotateJob(withGrace)(t, &process{w: w})
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomePending, result.Outcome)
		require.Len(t, result.Left, 1)
		assert.NotContains(t, []string{old, w.truth().ID}, result.Left[0].ID)
		<-time.After(time.Until(retireAt))
		_, err = rotateJob(withGrace)(t, &process{w: w})
		require.NoError(t, err)
		requireRotated(t, w, old)
	})
}

// TestRotateTheClientsToken rotates the token that the client uses.
func TestRotateTheClientsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		old := w.adopt()
		fixed := w.truth() // an unchanged configuration
		run := func(on map[string]fault) (*lifecycle.Result, error) {
			p := &process{w: w, on: on}
			return lifecycle.Rotate(t.Context(), p.client(t, fixed), p, daily)
		}
		_, err := run(map[string]fault{"PATCH 1": fails}) // this deletes the client's own token
		requireError(t, err, lifecycle.StepRename)
		result, err := run(nil)
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomeFinished, result.Outcome)
		requireRotated(t, w, old)
		_, err = result.Client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
		require.NoError(t, err, "a client with the stored credential must work")
		assert.Equal(t, w.truth().ID, result.Client.ClientID())

		result, err = run(nil)
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomeUnchanged, result.Outcome)
		assert.Empty(t, result.Replaced)
		assert.Equal(t, w.truth().ID, result.Client.ClientID(), "also if nothing was due")
		<-time.After(2 * day)
		_, err = run(nil)
		requireError(t, err, lifecycle.StepCreate, lifecycle.ErrClientReplaced)
		requireRotated(t, w, old)
		_, err = rotateOwn(t, &process{w: w})
		require.NoError(t, err)
	})
}

// TestRotateWithATokenSource checks a client that doesn't know whether it uses
// the rotated token.
func TestRotateWithATokenSource(t *testing.T) {
	for name, tt := range map[string]struct {
		scope []string // of the rotated token
		own   bool     // the source uses that token
	}{
		"its own":                         {jobScope, true},
		"another's":                       {jobScope, false},
		"of one that can't manage itself": {[]string{"sp:my-personal-access-tokens:read"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				id, secret := w.tenant.Add(sailpoint.PersonalAccessToken{Name: jobName, Scope: tt.scope, Created: time.Now().Add(-30 * day)})
				require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{ID: id, Secret: secret}))
				cfg := w.tenant.Config()
				if tt.own {
					cfg.ClientID, cfg.ClientSecret = id, secret
				}
				minted, err := mint(w.tenant, cfg.ClientID, cfg.ClientSecret)
				require.NoError(t, err)
				cfg.TokenSource = func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
					return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(minted)}, nil
				}
				cfg.ClientID, cfg.ClientSecret = "", sailpoint.Secret{}
				client, err := sailpoint.NewClient(cfg)
				require.NoError(t, err)
				result, err := lifecycle.Rotate(t.Context(), client, w.memory, daily)
				require.NoError(t, err)
				assert.Same(t, client, result.Client)
				requireRotated(t, w, id)
			})
		})
	}
}

// TestRotateIsTooSlow checks that a slow run gives up without versions. Another
// run may treat its token as abandoned.
func TestRotateIsTooSlow(t *testing.T) {
	for _, versions := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(versions)
			old := w.adopt()
			p := &process{w: w, on: map[string]fault{"token 2": isSlow}}
			_, err := rotateJob(lifecycle.RotateOptions{AbandonAfter: 10 * time.Second})(t, p)
			if versions {
				require.NoError(t, err)
				requireRotated(t, w, old)
				return
			}
			requireError(t, err, lifecycle.StepSave, lifecycle.ErrNotStored)
			assert.Zero(t, p.like["Save"])
			require.Len(t, w.made(), 1)
			assert.Equal(t, old, w.truth().ID)
		})
	}
}

// stuck is a tenant and a store that take as long as they may once Save has
// failed.
type stuck struct {
	*process
	end    context.CancelFunc // of the job's context
	failed bool
}

func (s *stuck) Save(ctx context.Context, c lifecycle.Credential) error {
	if s.failed {
		return s.process.Save(ctx, c)
	}
	s.failed = true
	s.end()
	return errDown
}

func (s *stuck) Load(ctx context.Context) (lifecycle.Credential, error) {
	if s.failed {
		<-time.After(time.Minute - time.Second)
	}
	return s.process.Load(ctx)
}

func (s *stuck) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.failed {
		<-req.Context().Done()
	}
	return s.process.RoundTrip(req)
}

// TestCleaningUpAfterTheContextEnded is bounded, as the package's documentation
// says.
func TestCleaningUpAfterTheContextEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		old := w.adopt()
		ctx, cancel := context.WithCancel(t.Context())
		s := &stuck{process: &process{w: w}, end: cancel}
		cfg := w.tenant.Config()
		cfg.HTTPClient = &http.Client{Transport: s}
		client, err := sailpoint.NewClient(cfg)
		require.NoError(t, err)
		began := time.Now()
		_, err = lifecycle.Rotate(ctx, client, s, daily)
		failure := requireError(t, err, lifecycle.StepSave, errDown, context.DeadlineExceeded)
		assert.Equal(t, lifecycle.Stored{ID: old, Known: true}, failure.Stored)
		assert.Len(t, failure.Left, 1)
		assert.Greater(t, time.Since(began), time.Minute+30*time.Second)
		assert.LessOrEqual(t, time.Since(began), 2*time.Minute)
	})
}

// nameless is a store that does not find the IDs that it saved.
type nameless struct{ *process }

func (s nameless) Load(ctx context.Context) (lifecycle.Credential, error) {
	c, err := s.process.Load(ctx)
	if s.like["Save"] > 0 {
		c.ID = ""
	}
	return c, err
}

// TestSecretIsStoredWithoutItsID checks that no token is deleted, because the
// store holds the secret of the new one.
func TestSecretIsStoredWithoutItsID(t *testing.T) {
	for on, tt := range map[fault]struct {
		step lifecycle.Step
		is   error
	}{
		"":    {lifecycle.StepLoad, lifecycle.ErrStoredCredential},
		loses: {lifecycle.StepSave, lifecycle.ErrStoreUnknown},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(true)
			w.adopt()
			p := &process{w: w, on: map[string]fault{"Save 1": on}}
			_, err := lifecycle.Rotate(t.Context(), p.client(t), nameless{p}, daily)
			requireError(t, err, tt.step, tt.is)
			assert.Zero(t, p.like["DELETE"])
			assert.Len(t, w.made(), 2)
			require.NoError(t, w.works())
		})
	}
}

// heldUp is a process that pauses after its first Load.
type heldUp struct {
	lifecycle.Store
	meanwhile func()
}

func (s *heldUp) Load(ctx context.Context) (lifecycle.Credential, error) {
	c, err := s.Store.Load(ctx)
	if s.meanwhile != nil {
		s.meanwhile()
		s.meanwhile = nil
	}
	return c, err
}

// TestTheStoreIsReadAfterTheList checks a token that looks abandoned although
// another run has just stored it.
func TestTheStoreIsReadAfterTheList(t *testing.T) {
	for _, versions := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(versions)
			old := w.adopt()
			p := &process{w: w}
			store := &heldUp{Store: p, meanwhile: func() {
				_, err := rotateJob(daily)(t, &process{w: w, on: map[string]fault{"DELETE 1": fails}})
				requireError(t, err, lifecycle.StepRetire)
				<-time.After(time.Minute)
			}}
			result, err := lifecycle.Rotate(t.Context(), p.client(t), store, lifecycle.RotateOptions{IfOlderThan: day, AbandonAfter: time.Minute})
			require.NoError(t, err)
			assert.Equal(t, lifecycle.OutcomeFinished, result.Outcome)
			requireRotated(t, w, old)
		})
	}
}

// TestTheStoreChangesBeforeTheList checks that a token that is no longer listed
// is not treated as the stored one.
func TestTheStoreChangesBeforeTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		old := w.adopt()
		p := &process{w: w}
		store := &heldUp{Store: p, meanwhile: func() {
			_, err := rotateJob(daily)(t, &process{w: w})
			require.NoError(t, err)
		}}
		result, err := lifecycle.Rotate(t.Context(), p.client(t), store, daily)
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomeUnchanged, result.Outcome)
		requireRotated(t, w, old)
	})
}

// TestRotateWhileTheStoreKeepsChanging checks that nothing is deleted without a
// fence.
func TestRotateWhileTheStoreKeepsChanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		w.adopt()
		_, err := rotateJob(daily)(t, &process{w: w, crashAt: 7})
		require.Error(t, err)
		require.Len(t, w.made(), 2)
		p := &process{w: w}
		p.before = func(int) {
			if strings.HasPrefix(p.next, "Save") {
				c := w.truth()
				c.Note = fmt.Sprint("another's ", p.calls)
				require.NoError(t, w.memory.Save(t.Context(), c))
			}
		}
		_, err = rotateJob(daily)(t, p)
		requireError(t, err, lifecycle.StepSweep, lifecycle.ErrSuperseded)
		assert.Len(t, w.made(), 2)
		assert.Zero(t, p.like["DELETE"], "nothing may be deleted without a fence")
	})
}

// TestNoRunLeaksASecret checks the results and the errors of every step.
func TestNoRunLeaksASecret(t *testing.T) {
	for at := 1; at < 16; at++ {
		for _, f := range []fault{none, rejects, fails, loses, cut} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				w.adopt()
				secrets := []string{w.truth().Secret.Reveal(), w.tenant.Config().ClientSecret.Reveal()}
				p := &process{w: w, faults: map[int]fault{at: f}, heard: func(secret string) { secrets = append(secrets, secret) }}
				result, err := rotateOwn(t, p)
				if err != nil {
					requireNoSecret(t, "error", err, secrets...)
					return
				}
				require.Greater(t, len(secrets), 2)
				requireNoSecret(t, "result", result, secrets...)
				requireNoSecret(t, "result", *result, secrets...)
			})
		}
	}
}

// TestTextsOfErrors checks IDs and names, and that no text holds terminal
// commands.
func TestTextsOfErrors(t *testing.T) {
	err := &lifecycle.Error{
		Op: "rotate", Step: lifecycle.StepSave, Err: fmt.Errorf("%w: \x1b[2J", lifecycle.ErrStoreUnknown), Next: "run it again",
		Left: []lifecycle.Leftover{{ID: "86f1", Name: "a\x1bb", Why: "the store may hold its secret"}, {Name: "late", Why: "it may still appear"}},
	}
	assert.Equal(t, `lifecycle: rotate: save: "lifecycle: it is not known what the store holds: \x1b[2J"; `+
		`left: 86f1, "a\x1bb": the store may hold its secret; left: a token "late": it may still appear; run it again`, err.Error())
	assert.ErrorIs(t, err, lifecycle.ErrStoreUnknown)
	assert.Equal(t, "lifecycle: : ; ", (&lifecycle.Error{}).Error())
}

// wronglyNotStored is a store whose first Save returns ErrNotStored although it
// stored the credential. After it some Loads fail.
type wronglyNotStored struct {
	lifecycle.Store
	failLoads int
	saved     bool
}

func (s *wronglyNotStored) Load(ctx context.Context) (lifecycle.Credential, error) {
	if s.saved && s.failLoads > 0 {
		s.failLoads--
		return lifecycle.Credential{}, errors.New("the connection was lost")
	}
	return s.Store.Load(ctx)
}

func (s *wronglyNotStored) Save(ctx context.Context, c lifecycle.Credential) error {
	err := s.Store.Save(ctx, c)
	if s.saved {
		return err
	}
	s.saved = true
	return errors.Join(lifecycle.ErrNotStored, err)
}

// TestRotateBelievesTheStoreMoreThanErrNotStored checks that a store which
// returns a wrong ErrNotStored doesn't lose the secret that it stored.
func TestRotateBelievesTheStoreMoreThanErrNotStored(t *testing.T) {
	for _, failLoads := range []int{0, 1, 1000} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(true)
			old := w.adopt()
			store := &wronglyNotStored{Store: w.memory, failLoads: failLoads}
			_, err := lifecycle.Rotate(t.Context(), (&process{w: w}).client(t), store, lifecycle.RotateOptions{})
			if failLoads < 1000 {
				require.NoError(t, err)
				requireRotated(t, w, old)
				return
			}
			requireError(t, err, lifecycle.StepSave, lifecycle.ErrStoreUnknown)
			assert.NotEqual(t, old, w.truth().ID)
			assert.NoError(t, w.works(), "the stored secret works")
		})
	}
}

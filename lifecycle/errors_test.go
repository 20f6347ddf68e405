package lifecycle_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
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

// talkingStore fails a Save, and each Load after it, with its own errors.
type talkingStore struct {
	lifecycle.Store
	save  func(old, next string) error
	load  error // returned after a Save
	saved bool
	old   string
}

func (s *talkingStore) Load(ctx context.Context) (lifecycle.Credential, error) {
	if s.saved && s.load != nil {
		return lifecycle.Credential{}, s.load
	}
	c, err := s.Store.Load(ctx)
	s.old = c.Secret.Reveal()
	return c, err
}

func (s *talkingStore) Save(_ context.Context, c lifecycle.Credential) error {
	s.saved = true
	return s.save(s.old, c.Secret.Reveal())
}

// TestErrorsOfAStoreAreRedacted covers each secret in each spelling. The errors
// must still match what they matched.
func TestErrorsOfAStoreAreRedacted(t *testing.T) {
	for name, spell := range map[string]func(string) string{
		"plain":      func(s string) string { return s },
		"cut":        func(s string) string { return s[7:20] },
		"upper case": strings.ToUpper,
		"JSON":       func(s string) string { return fmt.Sprintf(`\u%04X%s`, s[0], s[1:]) },
		"HTML":       func(s string) string { return fmt.Sprintf("&#%d;%s", s[0], html.EscapeString(s[1:])) },
		"percent":    func(s string) string { return fmt.Sprintf("%%%02x%s", s[0], url.QueryEscape(s[1:])) },
		"base64":     func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x:" + s)) },
		"hex":        func(s string) string { return hex.EncodeToString([]byte(s)) },
		"lines":      func(s string) string { return s[:5] + " " + s[5:10] + "\n" + s[10:] },
	} {
		for _, kind := range []error{lifecycle.ErrNotStored, lifecycle.ErrStoreConflict, context.Canceled, context.DeadlineExceeded} {
			t.Run(name+" "+kind.Error(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(true)
					w.adopt()
					store := &talkingStore{Store: w.memory}
					var hidden []string
					store.save = func(old, next string) error {
						hidden = []string{old, next, spell(old), spell(next)}
						store.load = errors.New("GET /" + spell(next) + "?was=" + spell(old))
						return fmt.Errorf("PUT /%s?was=%s: %w", spell(next), spell(old), kind)
					}
					_, err := lifecycle.Rotate(t.Context(), (&process{w: w}).client(t), store, lifecycle.RotateOptions{})
					failure := requireError(t, err, lifecycle.StepSave, kind)
					require.Regexp(t, `PUT /.{0,2}\[REDACTED\].{0,2}\?was=.{0,2}\[REDACTED\].{0,2}: `, err.Error())
					requireNoSecret(t, "error", err, hidden...)
					requireNoSecret(t, "cause", failure.Err, hidden...)
				})
			})
		}
	}
}

// TestErrorsRepeatLittle checks the limit of 512 bytes, on one line, for each
// text of a store or a tenant.
func TestErrorsRepeatLittle(t *testing.T) {
	long := strings.Repeat("long ", 20_000)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		store := &talkingStore{Store: w.memory, save: func(string, string) error {
			return errors.Join(lifecycle.ErrNotStored, errors.New(long+"\n"+long))
		}}
		_, err := lifecycle.Issue(t.Context(), (&process{w: w}).client(t), newJob(), store)
		requireError(t, err, lifecycle.StepSave, lifecycle.ErrNotStored)
		require.ErrorContains(t, err, "long long")
		assert.Less(t, len(err.Error()), 1<<10)
	})
	for _, member := range []string{`"name":"`, `"scope":["`} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(true)
			p := &process{w: w, on: map[string]fault{"DELETE 1": fails}, rewrite: func(what, body string) string {
				if what == "POST" {
					body = strings.Replace(body, member, member+long, 1)
				}
				return body
			}}
			_, err := lifecycle.Issue(t.Context(), p.client(t), newJob(), w.memory)
			failure := requireError(t, err, lifecycle.StepCreate, lifecycle.ErrNotAsRequested)
			require.ErrorContains(t, err, "long long")
			require.Len(t, failure.Left, 1)
			assert.Less(t, len(err.Error()), 4<<10)
		})
	}
}

// TestNameThatRepeatsTheSecret checks that a tenant's text can't leak the
// secret.
func TestNameThatRepeatsTheSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		var secret string
		p := &process{w: w, on: map[string]fault{"DELETE 1": fails}, heard: func(s string) { secret = s }}
		p.rewrite = func(what, body string) string {
			if what != "POST" {
				return body
			}
			_, after, _ := strings.Cut(body, `"secret":"`)
			secret, _, _ = strings.Cut(after, `"`)
			return strings.Replace(body, `"name":"`, `"name":"for `+secret+" ", 1)
		}
		_, err := lifecycle.Issue(t.Context(), p.client(t), newJob(), w.memory)
		failure := requireError(t, err, lifecycle.StepCreate, lifecycle.ErrNotAsRequested)
		require.ErrorContains(t, err, `"for [REDACTED] `)
		require.Len(t, failure.Left, 1)
		requireNoSecret(t, "error", err, secret)
	})
}

// TestTenantThatRepeatsTheSecretLater checks the texts of responses to calls
// that did not send the secret themselves.
func TestTenantThatRepeatsTheSecretLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		var secret string
		p := &process{w: w}
		p.rewrite = func(what, body string) string {
			if what == "POST" {
				_, after, _ := strings.Cut(body, `"secret":"`)
				secret, _, _ = strings.Cut(after, `"`)
			}
			if secret == "" || what == "POST" {
				return body
			}
			return strings.ReplaceAll(body, `"name":"`, `"name":"for `+secret+" ")
		}
		_, err := lifecycle.Issue(t.Context(), p.client(t), newJob(), w.memory)
		failure := requireError(t, err, lifecycle.StepRename, lifecycle.ErrNotAsRequested)
		require.ErrorContains(t, err, `"for [REDACTED] `)
		requireNoSecret(t, "error", err, secret)
		requireNoSecret(t, "cause", failure.Err, secret)
	})
}

func newJob() sailpoint.CreatePersonalAccessTokenRequest {
	return sailpoint.CreatePersonalAccessTokenRequest{Name: jobName, Scope: jobScope}
}

// TestErrorsSayWhatToDo checks that only a failure that may pass by itself
// suggests just another run.
func TestErrorsSayWhatToDo(t *testing.T) {
	const create, item = "/v2024/personal-access-tokens", "/v2024/personal-access-tokens/{id}"
	inject := func(faults ...sailpointtest.Fault) func(*sailpointtest.Tenant) {
		return func(tenant *sailpointtest.Tenant) { tenant.Inject(faults...) }
	}
	busy := sailpointtest.Fault{Method: "GET", Status: 429, Header: http.Header{"Retry-After": {"999"}}}
	for name, tt := range map[string]struct {
		prepare func(*sailpointtest.Tenant)
		is      error
		next    string
	}{
		"the name is taken": {
			func(tenant *sailpointtest.Tenant) { tenant.Add(sailpoint.PersonalAccessToken{Name: jobName}) },
			lifecycle.ErrNameTaken, "delete or rename that token, or choose another name",
		},
		"no free slot": {
			func(tenant *sailpointtest.Tenant) {
				for range 9 {
					tenant.Add(sailpoint.PersonalAccessToken{})
				}
			}, lifecycle.ErrNoFreeSlot, "delete a token of this owner and run it again",
		},
		"the client's token has expired": {
			func(tenant *sailpointtest.Tenant) {
				seed, past := tenant.Tokens()[0], time.Now().Add(-time.Hour)
				seed.ExpirationDate = &past
				tenant.Add(seed)
			}, sailpoint.ErrInvalidCredentials, "give the client credentials that the tenant accepts and run it again",
		},
		"the bearer is rejected": {
			inject(sailpointtest.Fault{Method: "GET", Status: 401}, sailpointtest.Fault{Method: "GET", Status: 401}),
			sailpoint.ErrUnauthorized, "give the client credentials that the tenant accepts and run it again",
		},
		"no right": {
			inject(sailpointtest.Fault{Method: "POST", Path: create, Status: 403}),
			sailpoint.ErrForbidden, "get sp:my-personal-access-tokens:manage granted to the token and its owner, or the proxy's block lifted, and run it again",
		},
		"a rejected request": {
			inject(sailpointtest.Fault{Method: "POST", Path: create, Status: 400}),
			sailpoint.ErrBadRequest, "change what the tenant rejects and run it again",
		},
		"a rejected name": {
			inject(sailpointtest.Fault{Method: "PATCH", Path: item, Status: 400}),
			sailpoint.ErrBadRequest, "change what the tenant rejects and run it again; the stored token works under its present name",
		},
		"another scope": {
			inject(sailpointtest.Fault{Method: "POST", Path: create, Body: `{"id":"a1","name":"x","secret":"0123456789","scope":["other"]}`}),
			lifecycle.ErrNotAsRequested, "choose a name, scope, validity and expiry that the tenant keeps unchanged, and run it again",
		},
		"the tenant is rate limited": {inject(busy, busy, busy, busy), sailpoint.ErrRateLimited, "run it again"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant := sailpointtest.NewTenant()
				tt.prepare(tenant)
				client, err := sailpoint.NewClient(tenant.Config())
				require.NoError(t, err)
				_, err = lifecycle.Issue(t.Context(), client, newJob(), &lifecycle.MemoryStore{})
				require.ErrorIs(t, err, tt.is)
				var failure *lifecycle.Error
				require.ErrorAs(t, err, &failure)
				assert.Equal(t, tt.next, strings.TrimSuffix(failure.Next, "; nothing was changed"))
			})
		})
	}
}

// strictStore is a store whose CheckSave fails, as those of this module do.
type strictStore struct{ lifecycle.MemoryStore }

func (*strictStore) CheckSave(context.Context) error {
	return fmt.Errorf("%w: the disk is full", lifecycle.ErrNotStored)
}

// TestAKindOfErrorIsSaidOnce checks that an error that already matches a variable
// of this package doesn't repeat its text.
func TestAKindOfErrorIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := sailpoint.NewClient(sailpointtest.NewTenant().Config())
		require.NoError(t, err)
		notStored := lifecycle.SaveFunc(func(context.Context, lifecycle.Credential) error {
			return fmt.Errorf("%w: the disk is full", lifecycle.ErrNotStored)
		})
		for _, store := range []lifecycle.Store{&strictStore{}, notStored} {
			_, err := lifecycle.Issue(t.Context(), client, newJob(), store)
			require.ErrorIs(t, err, lifecycle.ErrNotStored)
			assert.Regexp(t, `^lifecycle: issue: save: lifecycle: not stored: the disk is full; `, err.Error())
		}
	})
}

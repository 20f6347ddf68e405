package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/sampletest"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// replicatedStore keeps every write and its time. Its replica lags.
type replicatedStore struct {
	contentStore
	times  []time.Time
	writes []lifecycle.Credential
}

func (s *replicatedStore) Save(ctx context.Context, c lifecycle.Credential) error {
	if err := s.contentStore.Save(ctx, c); err != nil {
		return err
	}
	s.times, s.writes = append(s.times, time.Now()), append(s.writes, c)
	return nil
}

// loadFunc is a store that a service only reads.
type loadFunc func(ctx context.Context) (lifecycle.Credential, error)

func (f loadFunc) Load(ctx context.Context) (lifecycle.Credential, error) { return f(ctx) }

func (loadFunc) Save(context.Context, lifecycle.Credential) error {
	return errors.New("a TokenSource must not write")
}

// replica returns the store as it was lag ago.
func (s *replicatedStore) replica(lag *time.Duration) loadFunc {
	return func(context.Context) (lifecycle.Credential, error) {
		for i := len(s.writes) - 1; i > 0; i-- {
			if time.Since(s.times[i]) >= *lag {
				return s.writes[i], nil
			}
		}
		return s.writes[0], nil
	}
}

// serviceOf returns a client that gets its bearers from store.
func serviceOf(t *testing.T, tenant *sailpointtest.Tenant, store lifecycle.Store) *sailpoint.Client {
	t.Helper()
	return clientOf(t, tenant, func(cfg *sailpoint.Config) {
		cfg.APIVersion = sailpoint.V2024
		cfg.TokenSource = lifecycle.TokenSource(clientOf(t, tenant), store)
		cfg.ClientID, cfg.ClientSecret = "", sailpoint.Secret{}
	})
}

func listOwn(t *testing.T, client *sailpoint.Client) error {
	t.Helper()
	_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
	return err
}

// TestAServiceFollowsMonthsOfRotations makes hourly calls, or a sample of them,
// through eight months of daily rotations. The service also calls before each
// step of a rotation. Many rotations crash, the store lags, and some of its
// reads fail. By default the seed chooses whether the rotations have a grace.
func TestAServiceFollowsMonthsOfRotations(t *testing.T) {
	graces := []time.Duration{0, 3 * time.Hour}
	chosen, next := sampletest.Choose(t, len(graces))
	for n := chosen; n < len(graces); n += next {
		grace := graces[n]
		t.Run(fmt.Sprintf("grace %s", grace), func(t *testing.T) {
			first, step := sampletest.Choose(t, 24)
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				store := &replicatedStore{}
				w.memory = store
				expiry := time.Now().AddDate(0, 6, 0)
				id, secret := w.tenant.Add(sailpoint.PersonalAccessToken{
					Name: jobName, Scope: jobScope, Created: time.Now(), ExpirationDate: &expiry, AccessTokenValiditySeconds: 600,
				})
				require.NoError(t, w.memory.Save(t.Context(), lifecycle.Credential{ID: id, Secret: secret}))

				var lag time.Duration
				loads, failing := 0, false
				replica := store.replica(&lag)
				service := serviceOf(t, w.tenant, loadFunc(func(ctx context.Context) (lifecycle.Credential, error) {
					if loads++; failing && loads%2 == 0 {
						return lifecycle.Credential{}, errDown
					}
					return replica(ctx)
				}))
				calls := 0
				call := func() {
					calls++
					if err := listOwn(t, service); err != nil {
						t.Errorf("call %d at %s: %v", calls, time.Now(), err)
					}
				}

				outcomes := map[lifecycle.Outcome]int{}
				end := time.Now().AddDate(0, 8, 0)
				for n := 0; time.Now().Before(end); n++ {
					lag, failing = 6*time.Second, false
					if n%2 == 1 {
						lag, failing = 500*time.Millisecond, true
					}
					today := time.Now()
					p := &process{w: w, crashAt: n % 23, before: func(int) { call() }}
					result, err := lifecycle.Rotate(t.Context(), p.client(t, w.truth()), p, lifecycle.RotateOptions{Grace: grace})
					if err == nil {
						outcomes[result.Outcome]++
					} else {
						require.ErrorIs(t, err, errCrash)
						outcomes["crashed"]++
					}
					for hour := first; hour < 24; hour += step {
						<-time.After(time.Until(today.Add(time.Duration(hour) * time.Hour)))
						call()
					}
					<-time.After(time.Until(today.Add(day)))
				}
				t.Logf("%d calls, %d loads, %v", calls, loads, outcomes)
				assert.Empty(t, w.broken)
				assert.Greater(t, calls, 243*24/step)
				assert.Greater(t, len(store.writes), 90)
				assert.Greater(t, outcomes["crashed"], 90)
				assert.Equal(t, w.truth().ID, service.ClientID())
			})
		})
	}
}

// stored returns a tenant, and a store with the credential of a token in it.
func stored(t *testing.T) (*sailpointtest.Tenant, *lifecycle.MemoryStore, lifecycle.Credential) {
	t.Helper()
	tenant := sailpointtest.NewTenant()
	store := &lifecycle.MemoryStore{}
	return tenant, store, replaceStored(t, tenant, store)
}

// replaceStored stores a new token and deletes the one before, as Rotate does.
func replaceStored(t *testing.T, tenant *sailpointtest.Tenant, store *lifecycle.MemoryStore) lifecycle.Credential {
	t.Helper()
	old, err := store.Load(t.Context())
	require.NoError(t, err)
	id, secret := tenant.Add(sailpoint.PersonalAccessToken{Name: "service " + old.ID, Scope: jobScope})
	c := lifecycle.Credential{ID: id, Secret: secret}
	require.NoError(t, store.Save(t.Context(), c))
	if old.ID != "" {
		require.NoError(t, clientOf(t, tenant).PersonalAccessTokens.Delete(t.Context(), old.ID))
	}
	return c
}

// sent returns the requests since start of clients with these names, as
// "seconds method path name status".
func sent(tenant *sailpointtest.Tenant, start time.Time, names map[string]string) (list []string) {
	for _, r := range tenant.Requests() {
		if name := names[r.ClientID]; name != "" && !r.At.Before(start) {
			list = append(list, fmt.Sprintf("%v %s %s %s %d", r.At.Sub(start).Seconds(), r.Method, r.Path, name, r.Status))
		}
	}
	return list
}

// TestAServiceFollowsARotationWithoutGrace checks each request.
func TestAServiceFollowsARotationWithoutGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, store, a := stored(t)
		service := serviceOf(t, tenant, store)
		require.NoError(t, listOwn(t, service))
		b := replaceStored(t, tenant, store)
		<-time.After(time.Second)
		start := time.Now()
		self, err := service.PersonalAccessTokens.Self(t.Context())
		require.NoError(t, err)
		assert.Equal(t, b.ID, self.ID)
		require.NoError(t, listOwn(t, service))
		assert.Equal(t, b.ID, service.ClientID())
		assert.Equal(t, []string{
			"0 GET " + collection + " a 401", // the bearer of the deleted token
			"0 POST " + tokenPath + " b 200", "0 GET " + collection + " b 200", "0 GET " + collection + " b 200",
		}, sent(tenant, start, map[string]string{a.ID: "a", b.ID: "b"}))
	})
}

// TestARejectedCredentialIsLoadedAgain checks the times of loads and requests,
// and the error.
func TestARejectedCredentialIsLoadedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, store, a := stored(t)
		require.NoError(t, clientOf(t, tenant).PersonalAccessTokens.Delete(t.Context(), a.ID))
		start := time.Now()
		var loads []float64
		source := lifecycle.TokenSource(clientOf(t, tenant), loadFunc(func(ctx context.Context) (lifecycle.Credential, error) {
			loads = append(loads, time.Since(start).Seconds())
			return store.Load(ctx)
		}))
		_, err := source(t.Context(), sailpoint.Secret{})
		require.ErrorIs(t, err, sailpoint.ErrInvalidCredentials)
		require.ErrorIs(t, err, lifecycle.ErrStoredCredential)
		assert.Equal(t, []float64{0, 1, 3, 7}, loads)
		assert.Equal(t, []string{"0 POST " + tokenPath + " a 401", "7 POST " + tokenPath + " a 401"}, sent(tenant, start, map[string]string{a.ID: "a"}),
			"a rejected credential is not sent again for five seconds")

		// A successor in time is used at once.
		time.AfterFunc(2*time.Second, func() {
			id, secret := tenant.Add(sailpoint.PersonalAccessToken{Name: "successor", Scope: jobScope})
			_ = store.Save(context.Background(), lifecycle.Credential{ID: id, Secret: secret})
		})
		loads, start = nil, time.Now()
		token, err := source(t.Context(), sailpoint.Secret{})
		require.NoError(t, err)
		assert.Equal(t, []float64{0, 1, 3}, loads)
		now, err := store.Load(t.Context())
		require.NoError(t, err)
		assert.Equal(t, now.ID, token.ClientID)
		assert.False(t, token.Expiry.IsZero())
	})
}

// TestEveryLoadReturnsAnotherBadCredential checks that the call ends.
func TestEveryLoadReturnsAnotherBadCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		loads := 0
		source := lifecycle.TokenSource(clientOf(t, tenant), loadFunc(func(context.Context) (lifecycle.Credential, error) {
			loads++
			return lifecycle.Credential{ID: fmt.Sprint("id-", loads), Secret: sailpoint.NewSecret("not-the-secret")}, nil
		}))
		_, err := source(t.Context(), sailpoint.Secret{})
		require.ErrorIs(t, err, sailpoint.ErrInvalidCredentials)
		assert.Equal(t, 6, loads)
	})
}

// TestAStoreWithoutAnID checks what the error says.
func TestAStoreWithoutAnID(t *testing.T) {
	for _, tt := range []struct {
		stored lifecycle.Credential
		want   string
	}{
		{lifecycle.Credential{}, "nothing is stored: run Issue"},
		{lifecycle.Credential{Secret: sailpoint.NewSecret("not-the-secret")}, "it has a secret but no ID"},
	} {
		source := lifecycle.TokenSource(clientOf(t, sailpointtest.NewTenant()), loadFunc(func(context.Context) (lifecycle.Credential, error) { return tt.stored, nil }))
		_, err := source(t.Context(), sailpoint.Secret{})
		require.ErrorIs(t, err, lifecycle.ErrStoredCredential)
		assert.ErrorContains(t, err, tt.want)
	}
}

// TestTheStoreIsDown checks that the last credential that worked is used, and
// which error is returned if the tenant rejects it.
func TestTheStoreIsDown(t *testing.T) {
	for name, down := range map[string]func(secret string) (lifecycle.Credential, error){
		"an error": func(secret string) (lifecycle.Credential, error) {
			return lifecycle.Credential{}, fmt.Errorf("can't decode %q: %w", secret, errDown)
		},
		"nothing stored":         func(string) (lifecycle.Credential, error) { return lifecycle.Credential{}, nil },
		"an id without a secret": func(string) (lifecycle.Credential, error) { return lifecycle.Credential{ID: "id"}, nil },
		"a secret with a newline": func(s string) (lifecycle.Credential, error) {
			return lifecycle.Credential{ID: "id", Secret: sailpoint.NewSecret(s + "\n")}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant, store, a := stored(t)
				isDown := true
				service := serviceOf(t, tenant, loadFunc(func(ctx context.Context) (lifecycle.Credential, error) {
					if isDown {
						return down(a.Secret.Reveal())
					}
					return store.Load(ctx)
				}))
				requireStoreError := func(took time.Duration) {
					t.Helper()
					start := time.Now()
					err := listOwn(t, service)
					require.Error(t, err)
					require.NotErrorIs(t, err, sailpoint.ErrInvalidCredentials)
					if name == "an error" {
						require.ErrorIs(t, err, errDown)
					} else {
						require.ErrorIs(t, err, lifecycle.ErrStoredCredential)
					}
					assert.Equal(t, took, time.Since(start))
				}
				requireStoreError(0)
				isDown = false
				require.NoError(t, listOwn(t, service))
				isDown = true
				tenant.ExpireAccessTokens()
				require.NoError(t, listOwn(t, service), "the credential still works")
				require.NoError(t, clientOf(t, tenant).PersonalAccessTokens.Delete(t.Context(), a.ID))
				requireStoreError(7 * time.Second)
				requireNoSecret(t, "error", listOwn(t, service), a.Secret.Reveal())
			})
		})
	}
}

// TestTheTokenEndpointsPauseOutlastsAFetch checks that each credential has one
// client.
func TestTheTokenEndpointsPauseOutlastsAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, store, a := stored(t)
		source := lifecycle.TokenSource(clientOf(t, tenant), store)
		tenant.Inject(sailpointtest.Fault{Path: tokenPath, Status: 429, Header: http.Header{"Retry-After": {"300"}}})
		start := time.Now()
		for range 3 {
			_, err := source(t.Context(), sailpoint.Secret{})
			require.ErrorIs(t, err, sailpoint.ErrRateLimited)
		}
		<-time.After(301 * time.Second)
		for range 3 {
			_, err := source(t.Context(), sailpoint.Secret{})
			require.NoError(t, err)
		}
		assert.Equal(t, []string{"0 POST " + tokenPath + " a 429", "301 POST " + tokenPath + " a 200"}, sent(tenant, start, map[string]string{a.ID: "a"}))
	})
}

// TestAStoreThatHangs checks that no caller waits longer than its context, and
// that the last credential that worked is used after ten seconds.
func TestAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, store, _ := stored(t)
		hangs := false
		source := lifecycle.TokenSource(clientOf(t, tenant), loadFunc(func(ctx context.Context) (lifecycle.Credential, error) {
			if hangs {
				<-ctx.Done()
				return lifecycle.Credential{}, ctx.Err()
			}
			return store.Load(ctx)
		}))
		_, err := source(t.Context(), sailpoint.Secret{})
		require.NoError(t, err)
		hangs = true
		start := time.Now()
		done := make(chan error)
		go func() {
			_, err := source(t.Context(), sailpoint.Secret{})
			done <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = source(ctx, sailpoint.Secret{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
		require.NoError(t, <-done)
		assert.Equal(t, 10*time.Second, time.Since(start))
	})
}

// TestACallerWithADeadline doesn't wait for the next attempt longer than that.
func TestACallerWithADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := loadFunc(func(context.Context) (lifecycle.Credential, error) { return credential(1), nil })
		source := lifecycle.TokenSource(clientOf(t, sailpointtest.NewTenant()), store)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		_, err := source(ctx, sailpoint.Secret{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2*time.Second, time.Since(start))
	})
}

// TestInvalidArgumentsOfTokenSource checks that the first call returns an error
// and sends nothing.
func TestInvalidArgumentsOfTokenSource(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	client, store := clientOf(t, tenant), &lifecycle.MemoryStore{}
	save := lifecycle.SaveFunc(func(context.Context, lifecycle.Credential) error { return nil })
	for name, tt := range map[string]struct {
		source sailpoint.TokenSource
		ctx    context.Context
		want   string
	}{
		"no client":      {lifecycle.TokenSource(nil, store), t.Context(), "NewClient"},
		"zero client":    {lifecycle.TokenSource(&sailpoint.Client{}, store), t.Context(), "NewClient"},
		"no store":       {lifecycle.TokenSource(client, nil), t.Context(), "no store"},
		"a SaveFunc":     {lifecycle.TokenSource(client, save), t.Context(), "a SaveFunc can't be read"},
		"a nil SaveFunc": {lifecycle.TokenSource(client, lifecycle.SaveFunc(nil)), t.Context(), "a SaveFunc can't be read"},
		"no context":     {lifecycle.TokenSource(client, store), nil, "context.Background"},
	} {
		_, err := tt.source(tt.ctx, sailpoint.Secret{})
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument, name)
		require.ErrorContains(t, err, tt.want, name)
	}
	require.Empty(t, tenant.Requests())
}

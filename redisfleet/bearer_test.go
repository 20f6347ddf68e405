package redisfleet

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// unlimited are settings whose quota doesn't matter.
var unlimited = Options{Limit: 10_000, Window: time.Second, Slack: 10 * time.Second}

// listOnEach makes one call of each client at the same time.
func listOnEach(t *testing.T, clients []*sailpoint.Client) {
	t.Helper()
	var calls sync.WaitGroup
	for _, client := range clients {
		calls.Go(func() { assert.NoError(t, list(t.Context(), client)) })
	}
	calls.Wait()
}

func clientsOf(t *testing.T, n int, s *server, cfg sailpoint.Config, opts Options) (clients []*sailpoint.Client) {
	t.Helper()
	for range n {
		clients = append(clients, clientOf(t, s, cfg, opts))
	}
	return clients
}

func TestOneMemberFetchesTheBearer(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	tenant.Inject(sailpointtest.Fault{Path: "/oauth/token", Delay: 300 * time.Millisecond})
	clients := clientsOf(t, 20, s, tenant.Config(), unlimited)
	listOnEach(t, clients)
	listOnEach(t, clients)
	requireStatuses(t, tenant, map[int]int{http.StatusOK: 40})
	require.Len(t, requests(tenant, true), 1)
}

// TestRejectedBearerIsReplacedOnce shows that members that are late keep the new
// one.
func TestRejectedBearerIsReplacedOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	clients := clientsOf(t, 10, s, tenant.Config(), unlimited)
	for round := range 3 {
		listOnEach(t, clients[:6])
		listOnEach(t, clients[6:])
		require.Len(t, requests(tenant, true), round+1)
		tenant.ExpireAccessTokens()
	}
	requireStatuses(t, tenant, map[int]int{http.StatusOK: 30, http.StatusUnauthorized: 20})
}

// TestBearersAreRenewedBeforeTheyExpire uses bearers of 3 s for 8.5 s. With all
// cases it uses those of 24 s for 70 s.
func TestBearersAreRenewedBeforeTheyExpire(t *testing.T) {
	t.Parallel()
	lifetime, duration := 3*time.Second, 8500*time.Millisecond
	if os.Getenv("SAILPOINT_TEST_EXHAUSTIVE") != "" {
		lifetime, duration = 24*time.Second, 70*time.Second
	}
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	cfg := tenant.Config()
	cfg.ClientID, cfg.ClientSecret = tenant.Add(sailpoint.PersonalAccessToken{Name: "short", AccessTokenValiditySeconds: int(lifetime.Seconds())})
	end := within(t, duration)
	var members sync.WaitGroup
	for _, client := range clientsOf(t, 20, s, cfg, unlimited) {
		members.Go(func() {
			for sleep(end, 200*time.Millisecond) == nil {
				assert.NoError(t, list(t.Context(), client))
			}
		})
	}
	members.Wait()
	require.Len(t, requests(tenant, true), 4)
	statuses := make(map[int]bool)
	for _, r := range requests(tenant, false) {
		statuses[r.Status] = true
	}
	require.Equal(t, map[int]bool{http.StatusOK: true}, statuses)
}

// TestBearerThatCannotBeRenewedIsUsed shows that a failed renewal fails no call
// while the old bearer is valid, even of a member that begins then.
func TestBearerThatCannotBeRenewedIsUsed(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	cfg := tenant.Config()
	cfg.ClientID, cfg.ClientSecret = tenant.Add(sailpoint.PersonalAccessToken{Name: "short", AccessTokenValiditySeconds: 9})
	require.NoError(t, list(t.Context(), clientOf(t, s, cfg, unlimited)))
	require.NoError(t, sleep(t.Context(), 6500*time.Millisecond))
	tenant.Inject(sailpointtest.Fault{Path: "/oauth/token", Status: http.StatusForbidden})
	require.NoError(t, list(t.Context(), clientOf(t, s, cfg, unlimited)))
	require.Empty(t, tenant.Unused())
	require.NoError(t, list(t.Context(), clientOf(t, s, cfg, unlimited)))
	require.Len(t, requests(tenant, true), 3, "the next member renews it")
}

// TestFetchThatFailsLetsAnotherMemberFetch shows that nobody waits for the end
// of the lease.
func TestFetchThatFailsLetsAnotherMemberFetch(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	started := time.Now()
	tenant.Inject(sailpointtest.Fault{Path: "/oauth/token", Status: http.StatusForbidden})
	require.Error(t, list(t.Context(), clientOf(t, s, tenant.Config(), unlimited)))

	tenant.Inject(sailpointtest.Fault{Path: "/oauth/token", Delay: time.Minute})
	require.ErrorIs(t, list(within(t, 300*time.Millisecond), clientOf(t, s, tenant.Config(), unlimited)), context.DeadlineExceeded)
	require.NoError(t, list(t.Context(), clientOf(t, s, tenant.Config(), unlimited)))
	require.Less(t, time.Since(started), lease)
	require.Len(t, requests(tenant, true), 3)
}

// TestElectionWhoseResponseIsLost shows that a member learns that it was
// elected when go-redis sends the script again.
func TestElectionWhoseResponseIsLost(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	source := sourceOf(t, s, sailpointtest.NewTenant().Config(), unlimited)
	for range 2 {
		shared, err := source.look(t.Context(), "", "owner")
		require.NoError(t, err)
		require.True(t, shared.elected)
	}
	shared, err := source.look(t.Context(), "", "another")
	require.NoError(t, err)
	require.False(t, shared.elected)
}

// TestFetchThatFailsAfterTheBearerExpired shows that its error is that of the
// fetch.
func TestFetchThatFailsAfterTheBearerExpired(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	tenant.Inject(sailpointtest.Fault{Path: "/oauth/token", Status: http.StatusForbidden})
	source := sourceOf(t, s, tenant.Config(), unlimited)
	expired := sailpoint.AccessToken{Bearer: sailpoint.NewSecret("expired"), Expiry: time.Now()}
	_, err := source.renew(t.Context(), "owner", expired, sailpoint.Secret{})
	require.ErrorIs(t, err, sailpoint.ErrForbidden)
}

// TestBearerThatHasExpiredIsNotStored shows that nobody waits for the end of the
// lease either.
func TestBearerThatHasExpiredIsNotStored(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	source := sourceOf(t, s, sailpointtest.NewTenant().Config(), unlimited)
	_, err := source.look(t.Context(), "", "owner")
	require.NoError(t, err)
	source.store(t.Context(), "owner", sailpoint.AccessToken{Bearer: sailpoint.NewSecret("bearer"), Expiry: time.Now()})
	shared, err := source.look(t.Context(), "", "another")
	require.NoError(t, err)
	require.True(t, shared.elected)
	require.True(t, shared.token.Bearer.IsZero())
}

// TestFetcherThatDies shows how long the others wait for it. After the lease
// they elect another.
func TestFetcherThatDies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		operation string
		after     bool
		fetches   int
		waits     bool
	}{
		"before it is elected":           {"look", false, 1, false},
		"after it is elected":            {"look", true, 1, true},
		"before it stores the bearer":    {"store", false, 2, true},
		"after it has stored the bearer": {"store", true, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t).warm(t)
			tenant := sailpointtest.NewTenant()
			dying := &death{operation: test.operation, after: test.after, died: make(chan struct{}), buried: make(chan struct{})}
			rdb := s.client(t)
			rdb.AddHook(dying)
			opts := unlimited
			opts.Redis = rdb
			first := clientOf(t, s, tenant.Config(), opts)
			var dead sync.WaitGroup
			dead.Go(func() { _ = list(t.Context(), first) })
			<-dying.died

			started := time.Now()
			listOnEach(t, clientsOf(t, 10, s, tenant.Config(), unlimited))
			waited := time.Since(started)
			require.Len(t, requests(tenant, true), test.fetches)
			require.LessOrEqual(t, waited, lease+time.Second)
			require.Equal(t, test.waits, waited > lease/2, "%s", waited)
			close(dying.buried)
			dead.Wait()
		})
	}
}

// death is a redis.Hook with which a member's connection stands still forever,
// before or after an operation of bearer.lua.
type death struct {
	operation    string
	after        bool
	dead         atomic.Bool
	died, buried chan struct{}
}

func (*death) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*death) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (d *death) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		dying := slices.Contains(cmd.Args(), any(d.operation))
		if dying && d.after {
			if err := next(ctx, cmd); err != nil { // the server doesn't have the script yet
				return err
			}
		}
		if dying && d.dead.CompareAndSwap(false, true) {
			close(d.died)
		}
		if d.dead.Load() {
			<-d.buried
			return errors.New("dead")
		}
		if dying {
			return nil
		}
		return next(ctx, cmd)
	}
}

// TestSlowFetcherDoesNotReplaceTheBearerOfAnother shows what happens after a
// fetch that outlasts its lease.
func TestSlowFetcherDoesNotReplaceTheBearerOfAnother(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	source := sourceOf(t, s, tenant.Config(), unlimited)
	look := func(owner string) sharedBearer {
		shared, err := source.look(t.Context(), "", owner)
		require.NoError(t, err)
		return shared
	}
	require.True(t, look("slow").elected)
	require.False(t, look("fast").elected)
	source.release(t.Context(), "fast") // not its own
	require.False(t, look("fast").elected)
	require.NoError(t, s.client(t).HSet(t.Context(), source.sealer.key, "lease", 1).Err())
	require.True(t, look("fast").elected)

	expiry := time.Now().Add(time.Hour)
	source.store(t.Context(), "fast", sailpoint.AccessToken{Bearer: sailpoint.NewSecret("fast"), Expiry: expiry})
	source.store(t.Context(), "slow", sailpoint.AccessToken{Bearer: sailpoint.NewSecret("slow"), Expiry: expiry})
	shared := look("third")
	require.Equal(t, "fast", shared.token.Bearer.Reveal())
	require.False(t, shared.elected)
	require.InDelta(t, expiry.Unix(), shared.token.Expiry.Unix(), 5)
}

// TestLeaseFromBeforeTheClockWasSetBack shows that nobody waits for its end.
func TestLeaseFromBeforeTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	source := sourceOf(t, s, sailpointtest.NewTenant().Config(), unlimited)
	first, err := source.look(t.Context(), "", "first")
	require.NoError(t, err)
	require.True(t, first.elected)
	require.NoError(t, s.client(t).HIncrBy(t.Context(), source.sealer.key, "lease", time.Hour.Milliseconds()).Err())
	second, err := source.look(t.Context(), "", "second")
	require.NoError(t, err)
	require.True(t, second.elected)
}

// TestExpiryAfterTheClockWasSetBack shows that no member uses a bearer for
// longer than its lifetime.
func TestExpiryAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	source := sourceOf(t, s, sailpointtest.NewTenant().Config(), unlimited)
	source.store(t.Context(), "owner", sailpoint.AccessToken{Bearer: sailpoint.NewSecret("bearer"), Expiry: time.Now().Add(10 * time.Minute)})
	require.NoError(t, s.client(t).HIncrBy(t.Context(), source.sealer.key, "expiry", time.Hour.Milliseconds()).Err())
	shared, err := source.look(t.Context(), "", "owner")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(10*time.Minute), shared.token.Expiry, time.Minute)
}

// TestCallThatEndsWhenItsMemberIsElected shows that nobody waits for the end of
// the lease.
func TestCallThatEndsWhenItsMemberIsElected(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	cfg := sailpointtest.NewTenant().Config()
	source := sourceOf(t, s, cfg, unlimited)
	require.NoError(t, s.client(t).ScriptLoad(t.Context(), bearerLua).Err())
	rdb := s.client(t)
	rdb.AddHook(delay(400 * time.Millisecond))
	source.member.redis = rdb
	_, err := source.accessToken(within(t, 200*time.Millisecond), sailpoint.Secret{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	shared, err := sourceOf(t, s, cfg, unlimited).look(t.Context(), "", "another")
	require.NoError(t, err)
	require.True(t, shared.elected)
}

// TestTokenSourceThatKeepsARejectedBearer shows that the call fails, and that
// the fleet neither stores that bearer nor waits for a lease.
func TestTokenSourceThatKeepsARejectedBearer(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	origin, err := sailpoint.NewClient(tenant.Config())
	require.NoError(t, err)
	stuck, err := origin.AccessToken(t.Context(), sailpoint.Secret{})
	require.NoError(t, err)
	cfg := tenant.Config()
	cfg.ClientSecret = sailpoint.Secret{}
	cfg.TokenSource = func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) { return stuck, nil }
	opts := unlimited
	opts.SealKey = sealKey
	client := clientOf(t, s, cfg, opts)
	require.NoError(t, list(t.Context(), client))
	tenant.ExpireAccessTokens()
	started := time.Now()
	for range 2 {
		require.ErrorIs(t, list(t.Context(), client), sailpoint.ErrUnauthorized)
	}
	require.Less(t, time.Since(started), lease)
	require.Empty(t, s.client(t).Keys(t.Context(), "*bearer*").Val())
}

func sourceOf(t *testing.T, s *server, cfg sailpoint.Config, opts Options) *bearerSource {
	t.Helper()
	issuer, err := sailpoint.NewClient(cfg)
	require.NoError(t, err)
	sealer, err := newSealer("test:", sailpoint.NewSecret(strings.Repeat("k", 32)), "fleet", "https://example.com")
	require.NoError(t, err)
	return &bearerSource{member: limiterOf(t, s, cfg, opts).member, issuer: issuer, sealer: sealer}
}

// TestMemberWithAWrongSecret shows that it gets its own error, and that the
// others keep their bearer.
func TestMemberWithAWrongSecret(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	good := clientOf(t, s, tenant.Config(), unlimited)
	require.NoError(t, list(t.Context(), good))

	wrong := tenant.Config()
	wrong.ClientSecret = sailpoint.NewSecret(strings.Repeat("0", 64))
	err := list(t.Context(), clientOf(t, s, wrong, unlimited))
	require.ErrorIs(t, err, sailpoint.ErrInvalidCredentials)
	require.NoError(t, list(t.Context(), good))
	require.Len(t, requests(tenant, true), 2)
}

// TestBearerThatNobodySealedIsReplaced is about damaged data.
func TestBearerThatNobodySealedIsReplaced(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	require.NoError(t, list(t.Context(), clientOf(t, s, tenant.Config(), unlimited)))
	rdb := s.client(t)
	key := onlyKey(t, rdb, "*bearer*")
	require.NoError(t, rdb.HSet(t.Context(), key, "sealed", "damaged").Err())
	listOnEach(t, clientsOf(t, 5, s, tenant.Config(), unlimited))
	require.Len(t, requests(tenant, true), 2)
}

// TestTokenSourceOfTheFleet shows that the elected member calls it, and that
// the others learn the id of its PAT too.
func TestTokenSourceOfTheFleet(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	origin, err := sailpoint.NewClient(tenant.Config())
	require.NoError(t, err)
	var calls atomic.Int32
	cfg := tenant.Config()
	cfg.ClientID, cfg.ClientSecret = "", sailpoint.Secret{}
	cfg.TokenSource = func(ctx context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
		calls.Add(1)
		return origin.AccessToken(ctx, refused)
	}
	opts := unlimited
	opts.Fleet, opts.SealKey = "reports", sealKey
	for _, client := range clientsOf(t, 5, s, cfg, opts) {
		pat, err := client.PersonalAccessTokens.Self(t.Context())
		require.NoError(t, err)
		require.Equal(t, tenant.Config().ClientID, pat.ID)
		require.Equal(t, pat.ID, client.ClientID())
	}
	require.EqualValues(t, 1, calls.Load())
	require.Len(t, requests(tenant, true), 1)

	// The source caches its bearer too, so it must be told of the rejected one.
	tenant.ExpireAccessTokens()
	listOnEach(t, clientsOf(t, 5, s, cfg, opts))
	require.Len(t, requests(tenant, true), 2)
}

// TestFleetWhosePATIsRotated shows members that keep working while another
// program rotates their PAT. They get their bearers from lifecycle.TokenSource.
func TestFleetWhosePATIsRotated(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	admin, err := sailpoint.NewClient(tenant.Config())
	require.NoError(t, err)
	store := &lifecycle.MemoryStore{}
	_, err = lifecycle.Issue(t.Context(), admin, sailpoint.CreatePersonalAccessTokenRequest{Name: "fleet", Scope: []string{sailpoint.ScopeAll}}, store)
	require.NoError(t, err)

	cfg := tenant.Config()
	cfg.ClientID, cfg.ClientSecret = "", sailpoint.Secret{}
	opts := unlimited
	opts.Fleet, opts.SealKey = "reports", sealKey
	var clients []*sailpoint.Client
	for range 5 {
		cfg.TokenSource = lifecycle.TokenSource(admin, store)
		clients = append(clients, clientOf(t, s, cfg, opts))
	}
	ids := make(map[string]bool)
	for range 3 {
		listOnEach(t, clients)
		ids[clients[0].ClientID()] = true
		_, err = lifecycle.Rotate(t.Context(), admin, store, lifecycle.RotateOptions{})
		require.NoError(t, err)
	}
	listOnEach(t, clients)
	ids[clients[0].ClientID()] = true
	require.Len(t, ids, 4, "each rotation gave the fleet another PAT")
}

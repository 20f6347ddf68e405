package redisfleet

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// joined returns the configuration of a new member. Its Redis is a new client of
// the server if opts has none.
func joined(t testing.TB, s *server, cfg sailpoint.Config, opts Options) sailpoint.Config {
	t.Helper()
	if opts.Redis == nil {
		opts.Redis = s.client(t)
	}
	cfg, err := Join(cfg, opts)
	require.NoError(t, err)
	if l, ok := cfg.Limiter.(*limiter); ok && s != nil && s.isWarm {
		s.begin(t, l)
	}
	return cfg
}

// clientOf returns the client of a new member.
func clientOf(t *testing.T, s *server, cfg sailpoint.Config, opts Options) *sailpoint.Client {
	t.Helper()
	client, err := sailpoint.NewClient(joined(t, s, cfg, opts))
	require.NoError(t, err)
	return client
}

// limiterOf returns the limiter of a new member.
func limiterOf(t *testing.T, s *server, cfg sailpoint.Config, opts Options) *limiter {
	t.Helper()
	l, ok := joined(t, s, cfg, opts).Limiter.(*limiter)
	require.True(t, ok)
	return l
}

func list(ctx context.Context, client *sailpoint.Client) error {
	_, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
	return err
}

// requests returns those to the API, or to the token endpoint.
func requests(tenant *sailpointtest.Tenant, fetches bool) []sailpointtest.Request {
	return slices.DeleteFunc(tenant.Requests(), func(r sailpointtest.Request) bool { return (r.Path == "/oauth/token") != fetches })
}

// requireStatuses requires these numbers of responses of the API.
func requireStatuses(t *testing.T, tenant *sailpointtest.Tenant, want map[int]int) {
	t.Helper()
	got := make(map[int]int)
	for _, r := range requests(tenant, false) {
		got[r.Status]++
	}
	require.Equal(t, want, got)
}

// moments are times at which requests were let through.
type moments struct {
	mu   sync.Mutex
	list []time.Time
}

func (m *moments) add() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, time.Now())
}

// mostIn returns the largest number of moments in any window of this length.
func mostIn(window time.Duration, list []time.Time) (most int) {
	list = slices.SortedFunc(slices.Values(list), time.Time.Compare)
	first := 0
	for i, at := range list {
		for at.Sub(list[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// onlyKey returns the only key in Redis that matches.
func onlyKey(t *testing.T, rdb redis.UniversalClient, pattern string) string {
	t.Helper()
	keys, err := rdb.Keys(t.Context(), pattern).Result()
	require.NoError(t, err)
	require.Len(t, keys, 1, pattern)
	return keys[0]
}

// TestFleetOf20SharesQuotaAndBearer runs members as clients of one tenant with
// the API's rate limit.
func TestFleetOf20SharesQuotaAndBearer(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant(sailpointtest.WithRateLimit())
	var members sync.WaitGroup
	for range 20 {
		client := clientOf(t, s, tenant.Config(), Options{})
		members.Go(func() {
			for range 6 {
				if err := list(t.Context(), client); err != nil {
					t.Error(err)
				}
			}
		})
	}
	members.Wait()
	requireStatuses(t, tenant, map[int]int{http.StatusOK: 120})
	require.Len(t, requests(tenant, true), 1, "fetches of bearers")
	var at []time.Time
	for _, r := range requests(tenant, false) {
		at = append(at, r.At)
	}
	require.LessOrEqual(t, mostIn(10*time.Second, at), 100)
}

// TestWithCredentialsWaitsInTheSameQueue also shows that such a client has a
// bearer of its own.
func TestWithCredentialsWaitsInTheSameQueue(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	client := clientOf(t, s, tenant.Config(), Options{Limit: 2, Window: 500 * time.Millisecond})
	id, secret := tenant.Add(sailpoint.PersonalAccessToken{Name: "other"})
	other, err := client.WithCredentials(id, secret)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, list(t.Context(), client))
		require.NoError(t, list(t.Context(), other))
	}
	all := requests(tenant, false)
	require.Len(t, all, 4)
	require.GreaterOrEqual(t, all[2].At.Sub(all[0].At), 500*time.Millisecond)
	require.Len(t, requests(tenant, true), 2)
	require.NotEqual(t, all[0].ClientID, all[1].ClientID)
}

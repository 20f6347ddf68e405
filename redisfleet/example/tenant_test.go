package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// TestTenantWithAFasterClock shows that its rate limit applies to a shorter
// time, and that Retry-After is real time.
func TestTenantWithAFasterClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := newTenant(4)
		tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 429, Header: http.Header{"Retry-After": {"9"}}})
		bearer := bearerOf(t, tenant)
		resp := get(tenant, "/v2024/personal-access-tokens", bearer)
		assert.Equal(t, 429, resp.Code)
		assert.Equal(t, "3", resp.Header().Get("Retry-After"), "9 s of the tenant are 2.25 s")

		statuses := map[int]int{}
		for range 101 {
			statuses[get(tenant, "/v2024/personal-access-tokens", bearer).Code]++
		}
		assert.Equal(t, map[int]int{200: 100, 429: 1}, statuses)
		time.Sleep(2500 * time.Millisecond) // virtual
		assert.Equal(t, 200, get(tenant, "/v2024/personal-access-tokens", bearer).Code)
	})
}

func TestTenantServesItsLog(t *testing.T) {
	tenant := newTenant(1)
	require.Equal(t, 200, get(tenant, "/v2024/personal-access-tokens", bearerOf(t, tenant)).Code)
	var log []request
	require.NoError(t, json.Unmarshal(get(tenant, logPath, sailpoint.Secret{}).Body.Bytes(), &log))
	assert.Equal(t, measured{requests: 1, successful: 1, window: 1, fetches: 1}, measure(log))
	assert.Equal(t, "worker-7", log[1].UserAgent)
}

func get(tenant http.Handler, path string, bearer sailpoint.Secret) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	req.Header.Set("Authorization", "Bearer "+bearer.Reveal())
	req.Header.Set("User-Agent", "worker-7")
	resp := httptest.NewRecorder()
	tenant.ServeHTTP(resp, req)
	return resp
}

func bearerOf(t *testing.T, tenant *tenant) sailpoint.Secret {
	t.Helper()
	client, err := sailpoint.NewClient(tenant.Config())
	require.NoError(t, err)
	token, err := client.AccessToken(t.Context(), sailpoint.Secret{})
	require.NoError(t, err)
	return token.Bearer
}

// This file tests the program with a tenant in memory. Nothing is sent over a
// network, and waiting takes no real time.
package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newTenant returns a tenant with two expired tokens and one in use. The
// client's own token is its first.
func newTenant() *sailpointtest.Tenant {
	tenant := sailpointtest.NewTenant()
	yesterday := time.Now().AddDate(0, 0, -1)
	tenant.Add(sailpoint.PersonalAccessToken{ID: "old-1", Name: "old laptop", ExpirationDate: &yesterday})
	tenant.Add(sailpoint.PersonalAccessToken{ID: "old-2", Name: "trial", ExpirationDate: &yesterday})
	tenant.Add(sailpoint.PersonalAccessToken{ID: "used", Name: "nightly-export", LastUsed: &yesterday})
	return tenant
}

func TestDryRunDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := newTenant()
		var out bytes.Buffer
		require.NoError(t, cleanUp(t.Context(), tenant.Config(), false, &out))
		require.Equal(t, "planned\told-1\t\"old laptop\"\t\"Support\"\t\nplanned\told-2\t\"trial\"\t\"Support\"\t\n", out.String())
		require.Len(t, tenant.Tokens(), 4)
	})
}

func TestFaults(t *testing.T) {
	const tokens = "/v2024/personal-access-tokens"
	for name, tt := range map[string]struct {
		fault   sailpointtest.Fault
		err     error // nil if the client repairs the fault by itself
		deleted int
	}{
		"a server that is busy once": {sailpointtest.Fault{Method: "DELETE", Status: 503}, nil, 2},
		"a lost response":            {sailpointtest.Fault{Method: "DELETE", Committed: true}, nil, 2},
		"a list that is cut":         {sailpointtest.Fault{Method: "GET", Path: tokens, CutAfter: 600}, sailpoint.ErrInvalidResponse, 0},
		"no right to one token":      {sailpointtest.Fault{Method: "DELETE", Path: tokens + "/{id}", Status: 403}, sailpoint.ErrForbidden, 1},
		"rejected credentials":       {sailpointtest.Fault{Path: "/oauth/token", Status: 401}, sailpoint.ErrInvalidCredentials, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant := newTenant()
				tenant.Inject(tt.fault)
				require.ErrorIs(t, cleanUp(t.Context(), tenant.Config(), true, new(bytes.Buffer)), tt.err)
				require.Len(t, tenant.Tokens(), 4-tt.deleted)
				require.Empty(t, tenant.Unused(), "the fault was met")
			})
		})
	}
}

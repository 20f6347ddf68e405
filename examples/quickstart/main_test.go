package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint/examples/internal/targettest"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// steps returns the first word of each line.
func steps(output string) (list []string) {
	for line := range strings.Lines(output) {
		word, _, _ := strings.Cut(line, " ")
		list = append(list, word)
	}
	return list
}

var quickstartSteps = []string{"tenant", "created", "listed", "listed", "patched", "deleted", "error", ""}

func TestQuickstartInMemory(t *testing.T) {
	targettest.Serve(t, nil)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, quickstartSteps, steps(out.String()))
	assert.Regexp(t, `listed    1 of your tokens were never used\nlisted    0 of`, out.String())
	assert.Regexp(t, `secret \[REDACTED\]\n`, out.String())
	assert.Regexp(t, `404 Not Found: .*tracking id [0-9a-f]{32}`, out.String())
}

func TestQuickstartWithATenantFromTheEnvironment(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	targettest.Serve(t, tenant)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, quickstartSteps, steps(out.String()))
	require.Len(t, tenant.Tokens(), 1, "only the client's token is left")
}

// TestQuickstartDeletesItsToken checks that the token is deleted after a
// failure too.
func TestQuickstartDeletesItsToken(t *testing.T) {
	const tokens = "/v2024/personal-access-tokens"
	for name, fault := range map[string]sailpointtest.Fault{
		"lost response to the create": {Method: "POST", Path: tokens, Committed: true},
		"forbidden list":              {Method: "GET", Path: tokens, Status: 403},
		"rejected patch":              {Method: "PATCH", Path: tokens + "/{id}", Status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			targettest.Serve(t, tenant)
			tenant.Inject(fault)
			require.Error(t, run(t.Context(), new(bytes.Buffer)))
			require.Empty(t, tenant.Unused())
			require.Len(t, tenant.Tokens(), 1)
		})
	}
}

func TestQuickstartWithAnIncompleteEnvironment(t *testing.T) {
	targettest.Serve(t, nil)
	t.Chdir(t.TempDir()) // no config.json
	t.Setenv("SAIL_BASE_URL", "https://tenant.api.identitynow.com")
	require.ErrorContains(t, run(context.Background(), new(bytes.Buffer)), "SAIL_CLIENT_SECRET")
}

package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve makes tenant the one that the environment names; nil: none.
func serve(t *testing.T, tenant *sailpointtest.Tenant) {
	t.Helper()
	values := []string{"", "", ""}
	if tenant != nil {
		server := httptest.NewServer(tenant)
		t.Cleanup(server.Close)
		values = []string{server.URL, tenant.Config().ClientID, tenant.Config().ClientSecret.Reveal()}
	}
	for i, name := range []string{"SAIL_BASE_URL", "SAIL_CLIENT_ID", "SAIL_CLIENT_SECRET"} {
		t.Setenv(name, values[i])
	}
}

// command runs the program.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, notes bytes.Buffer
	code = run(t.Context(), args, &out, &notes)
	return code, out.String(), notes.String()
}

func TestAuditInMemory(t *testing.T) {
	serve(t, nil)
	code, stdout, stderr := command(t)
	require.Zero(t, code, stderr)
	assert.Regexp(t, `(?m)^expired +"Ana Lima" +"old laptop" +It expired on \d{4}-\d\d-\d\d, 220 days ago\.$`, stdout)
	assert.Contains(t, stdout, "\ntokens: 9, owners: 3, findings: 2 never-used, 2 stale, 2 expired, 3 expiring-soon, 2 no-expiry, 3 every-right, 1 admin-scope, 1 managed\n")

	_, stdout, _ = command(t, "-owner", "me")
	assert.Contains(t, stdout, "\ntokens: 2, owners: 1, ")
}

func TestAuditFormats(t *testing.T) {
	serve(t, nil)
	code, stdout, _ := command(t, "-json")
	require.Zero(t, code)
	var found struct {
		Tokens int `json:"tokens"`
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &found))
	assert.Equal(t, 9, found.Tokens)

	code, stdout, _ = command(t, "-csv")
	require.Zero(t, code)
	lines, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
	require.NoError(t, err)
	assert.Len(t, lines, 1+16)

	name := filepath.Join(t.TempDir(), "audit.html")
	code, stdout, _ = command(t, "-html", name)
	require.Zero(t, code)
	assert.Empty(t, stdout)
	page, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Contains(t, string(page), "<bdi>&lt;b&gt;test&lt;/b&gt;</bdi>")
	code, _, stderr := command(t, "-html", filepath.Join(name, "below a file"))
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "audit: open")
}

func TestAuditExitCodes(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	tenant.Add(sailpoint.PersonalAccessToken{Name: "\x1b[2J", Scope: []string{"s"}})
	serve(t, tenant)
	for args, want := range map[string]int{
		"": 0, "-fail-on expired": 0, "-fail-on expired,every-right": 3, "-fail-on all": 2, "-unknown": 2, "-help": 0,
	} {
		code, stdout, _ := command(t, strings.Fields(args)...)
		assert.Equal(t, want, code, args)
		assert.NotContains(t, stdout, "\x1b")
	}
	tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 403})
	code, stdout, stderr := command(t, "-json")
	assert.Equal(t, 1, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "audit: sailpoint: GET /v2024/personal-access-tokens: 403 Forbidden")
}

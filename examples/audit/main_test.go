package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/examples/internal/targettest"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAuditInMemory(t *testing.T) {
	targettest.Serve(t, nil)
	code, stdout, stderr := targettest.Run(t, run)
	require.Zero(t, code, stderr)
	assert.Regexp(t, `(?m)^expired +"Ana Lima" +"old laptop" +It expired on \d{4}-\d\d-\d\d, 220 days ago\.$`, stdout)
	assert.Contains(t, stdout, "\ntokens: 9, owners: 3, findings: 2 never-used, 2 stale, 2 expired, 3 expiring-soon, 2 no-expiry, 3 every-right, 1 admin-scope, 1 managed\n")

	_, stdout, _ = targettest.Run(t, run, "-owner", "me")
	assert.Contains(t, stdout, "\ntokens: 2, owners: 1, ")
}

func TestAuditFormats(t *testing.T) {
	targettest.Serve(t, nil)
	code, stdout, _ := targettest.Run(t, run, "-json")
	require.Zero(t, code)
	var found struct {
		Tokens int `json:"tokens"`
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &found))
	assert.Equal(t, 9, found.Tokens)

	code, stdout, _ = targettest.Run(t, run, "-csv")
	require.Zero(t, code)
	lines, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
	require.NoError(t, err)
	assert.Len(t, lines, 1+16)

	name := filepath.Join(t.TempDir(), "audit.html")
	code, stdout, _ = targettest.Run(t, run, "-html", name)
	require.Zero(t, code)
	assert.Empty(t, stdout)
	page, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Contains(t, string(page), "<bdi>&lt;b&gt;test&lt;/b&gt;</bdi>")
	code, _, stderr := targettest.Run(t, run, "-html", filepath.Join(name, "below a file"))
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "audit: open")
}

func TestAuditExitCodes(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	tenant.Add(sailpoint.PersonalAccessToken{Name: "\x1b[2J", Scope: []string{"s"}})
	targettest.Serve(t, tenant)
	for args, want := range map[string]int{
		"": 0, "-fail-on expired": 0, "-fail-on expired,every-right": 3, "-fail-on all": 2, "-unknown": 2, "expired": 2, "-help": 0,
	} {
		code, stdout, _ := targettest.Run(t, run, strings.Fields(args)...)
		assert.Equal(t, want, code, args)
		assert.NotContains(t, stdout, "\x1b")
	}
	tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 403})
	code, stdout, stderr := targettest.Run(t, run, "-json")
	assert.Equal(t, 1, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "audit: sailpoint: GET /v2024/personal-access-tokens: 403 Forbidden")
}

package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

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

func TestPruneInMemory(t *testing.T) {
	serve(t, nil)
	code, stdout, stderr := command(t)
	require.Zero(t, code, stderr)
	assert.Regexp(t, `(?m)^planned  [0-9a-f]{32} "old laptop" of "Ana Lima"$`, stdout)
	assert.Contains(t, stdout, "\n4 chosen: 4 planned, 0 deleted, 0 gone, 0 skipped, 0 failed, 0 unknown\nnothing was deleted: say -apply\n")

	code, stdout, _ = command(t, "-apply")
	require.Zero(t, code)
	assert.Contains(t, stdout, "\n4 chosen: 0 planned, 4 deleted,")

	_, stdout, _ = command(t, "-kinds", "every-right", "-owner", "me")
	assert.Contains(t, stdout, "it is the client's own\n1 chosen: 0 planned, 0 deleted, 0 gone, 1 skipped,")
}

func TestPruneExitCodes(t *testing.T) {
	const item = "/v2024/personal-access-tokens/{id}"
	for name, tt := range map[string]struct {
		args  string
		fault sailpointtest.Fault
		code  int
		left  int // of two tokens that have expired
		out   string
	}{
		"a dry run":      {"", sailpointtest.Fault{}, 0, 2, "2 planned"},
		"all deleted":    {"-apply", sailpointtest.Fault{}, 0, 0, "2 deleted"},
		"a ceiling":      {"-apply -max 1", sailpointtest.Fault{}, 0, 1, "1 deleted, 0 gone, 1 skipped"},
		"one failed":     {"-apply", sailpointtest.Fault{Path: item, Status: 403}, 3, 1, "1 deleted, 0 gone, 0 skipped, 1 failed"},
		"no list":        {"-apply", sailpointtest.Fault{Method: "GET", Status: 403}, 1, 2, ""},
		"unknown kind":   {"-apply -kinds all", sailpointtest.Fault{}, 2, 2, ""},
		"forbidden kind": {"-apply -kinds managed", sailpointtest.Fault{}, 2, 2, ""},
		"help":           {"-help", sailpointtest.Fault{}, 0, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			past := time.Now().Add(-time.Hour)
			for range 2 {
				tenant.Add(sailpoint.PersonalAccessToken{ExpirationDate: &past})
			}
			serve(t, tenant)
			if tt.fault.Status != 0 {
				tenant.Inject(tt.fault)
			}
			code, stdout, _ := command(t, strings.Fields(tt.args)...)
			assert.Equal(t, tt.code, code)
			assert.Len(t, tenant.Tokens(), 1+tt.left)
			assert.Contains(t, stdout, tt.out)
			assert.Equal(t, tt.out == "", stdout == "")
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	serve(t, sailpointtest.NewTenant())
	assert.Equal(t, 1, run(ctx, []string{"-apply"}, new(bytes.Buffer), new(bytes.Buffer)), "interrupted")
}

func TestBar(t *testing.T) {
	assert.Equal(t, "\r[#"+strings.Repeat(".", 39)+"] 1/40", bar(1, 40))
	assert.Equal(t, "\r["+strings.Repeat("#", 40)+"] 7/7\n", bar(7, 7))
	file, err := os.Create(t.TempDir() + "/file")
	require.NoError(t, err)
	defer file.Close()
	assert.False(t, isTerminal(file))
	assert.False(t, isTerminal(new(bytes.Buffer)))
}

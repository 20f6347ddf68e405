package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/examples/internal/targettest"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPruneInMemory(t *testing.T) {
	targettest.Serve(t, nil)
	code, stdout, stderr := targettest.Run(t, run)
	require.Zero(t, code, stderr)
	assert.Regexp(t, `(?m)^planned  [0-9a-f]{32} "old laptop" of "Ana Lima", expiry \d{4}-\d\d-\d\d$`, stdout)
	assert.Contains(t, stdout, "\n4 chosen, 4 planned\nnothing was changed; to make the changes, add -apply\n")

	code, stdout, _ = targettest.Run(t, run, "-apply")
	require.Zero(t, code)
	assert.Contains(t, stdout, "\n4 chosen, 4 deleted\n")

	_, stdout, _ = targettest.Run(t, run, "-kinds", "every-right", "-owner", "me")
	assert.Contains(t, stdout, "it is the client's own token\n1 chosen, 1 skipped\n")
}

func TestPruneExitCodes(t *testing.T) {
	const item = "/v2024/personal-access-tokens/{id}"
	for name, tt := range map[string]struct {
		args  string
		fault sailpointtest.Fault
		code  int
		left  int // of the two expired tokens
		out   string
	}{
		"a dry run":      {"", sailpointtest.Fault{}, 0, 2, "2 planned"},
		"all deleted":    {"-apply", sailpointtest.Fault{}, 0, 0, "2 deleted"},
		"maximum":        {"-apply -max 1", sailpointtest.Fault{}, 0, 1, "2 chosen, 1 deleted, 1 skipped\n"},
		"one failed":     {"-apply", sailpointtest.Fault{Path: item, Status: 403}, 3, 1, "2 chosen, 1 deleted, 1 failed\n"},
		"list fails":     {"-apply", sailpointtest.Fault{Method: "GET", Status: 403}, 1, 2, ""},
		"unknown kind":   {"-apply -kinds all", sailpointtest.Fault{}, 2, 2, ""},
		"extra argument": {"-apply false -kinds expired", sailpointtest.Fault{}, 2, 2, ""},
		"forbidden kind": {"-apply -kinds managed", sailpointtest.Fault{}, 2, 2, ""},
		"help":           {"-help", sailpointtest.Fault{}, 0, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			past := time.Now().Add(-time.Hour)
			for range 2 {
				tenant.Add(sailpoint.PersonalAccessToken{ExpirationDate: &past})
			}
			targettest.Serve(t, tenant)
			if tt.fault.Status != 0 {
				tenant.Inject(tt.fault)
			}
			code, stdout, _ := targettest.Run(t, run, strings.Fields(tt.args)...)
			assert.Equal(t, tt.code, code)
			assert.Len(t, tenant.Tokens(), 1+tt.left)
			assert.Contains(t, stdout, tt.out)
			assert.Equal(t, tt.out == "", stdout == "")
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	targettest.Serve(t, sailpointtest.NewTenant())
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

package main

import (
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

func TestRenewInMemory(t *testing.T) {
	targettest.Serve(t, nil)
	code, stdout, stderr := targettest.Run(t, run)
	require.Zero(t, code, stderr)
	assert.Regexp(t, `(?m)^planned  [0-9a-f]{32} "terraform" of "Bo Larsson", expiry \d{4}-\d\d-\d\d$`, stdout)
	assert.Contains(t, stdout, "\n3 chosen, 3 planned\nnothing was changed; to make the changes, add -apply\n")

	code, stdout, _ = targettest.Run(t, run, "-apply", "-within", "11", "-days", "90")
	require.Zero(t, code)
	assert.Contains(t, stdout, `of "Bo Larsson", expiry `+time.Now().Add(90*24*time.Hour).UTC().Format(time.DateOnly))
	assert.Contains(t, stdout, "\n2 chosen, 2 renewed\n")

	_, stdout, _ = targettest.Run(t, run, "-apply", "-never-expires", "-owner", "me")
	assert.Contains(t, stdout, `"weekly-report" of "Support", expiry not reported`)
	assert.Contains(t, stdout, "\n1 chosen, 1 renewed\n")
}

func TestRenewExitCodes(t *testing.T) {
	for name, tt := range map[string]struct {
		args  string
		fault sailpointtest.Fault
		code  int
		out   string
	}{
		"a dry run":      {"", sailpointtest.Fault{}, 0, "2 planned"},
		"all renewed":    {"-apply", sailpointtest.Fault{}, 0, "2 renewed"},
		"no token shown": {"-apply", sailpointtest.Fault{Method: "PATCH", Status: 200, Body: "[]"}, 3, "2 unknown"},
		"list fails":     {"-apply", sailpointtest.Fault{Method: "GET", Status: 403}, 1, ""},
		"negative":       {"-apply -days -1", sailpointtest.Fault{}, 2, ""},
		"extra argument": {"-apply false", sailpointtest.Fault{}, 2, ""},
		"too long":       {"-apply -days 213504", sailpointtest.Fault{}, 2, ""},
		"too far ahead":  {"-apply -within 213504", sailpointtest.Fault{}, 2, ""},
		"unknown flag":   {"-unknown", sailpointtest.Fault{}, 2, ""},
		"help":           {"-help", sailpointtest.Fault{}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			soon := time.Now().Add(time.Hour)
			for range 2 {
				tenant.Add(sailpoint.PersonalAccessToken{ExpirationDate: &soon})
			}
			targettest.Serve(t, tenant)
			if tt.fault.Status != 0 {
				tenant.Inject(tt.fault)
			}
			code, stdout, _ := targettest.Run(t, run, strings.Fields(tt.args)...)
			assert.Equal(t, tt.code, code)
			assert.Contains(t, stdout, tt.out)
			assert.Equal(t, tt.out == "", stdout == "")
			assert.Equal(t, name == "all renewed", tenant.Tokens()[1].ExpirationDate.After(soon))
		})
	}
}

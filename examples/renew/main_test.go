package main

import (
	"bytes"
	"net/http/httptest"
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

func TestRenewInMemory(t *testing.T) {
	serve(t, nil)
	code, stdout, stderr := command(t)
	require.Zero(t, code, stderr)
	assert.Regexp(t, `(?m)^planned  [0-9a-f]{32} "terraform" of "Bo Larsson" expires \d{4}-\d\d-\d\d$`, stdout)
	assert.Contains(t, stdout, "\n3 chosen: 3 planned, 0 renewed, 0 gone, 0 skipped, 0 failed, 0 unknown\nnothing was renewed: say -apply\n")

	code, stdout, _ = command(t, "-apply", "-within", "11", "-days", "90")
	require.Zero(t, code)
	assert.Contains(t, stdout, `of "Bo Larsson" expires `+time.Now().Add(90*24*time.Hour).UTC().Format(time.DateOnly))
	assert.Contains(t, stdout, "\n2 chosen: 0 planned, 2 renewed,")

	_, stdout, _ = command(t, "-apply", "-never-expires", "-owner", "me")
	assert.Contains(t, stdout, `"weekly-report" of "Support" expires never`)
	assert.Contains(t, stdout, "\n1 chosen: 0 planned, 1 renewed,")
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
		"none shown":     {"-apply", sailpointtest.Fault{Method: "PATCH", Status: 200, Body: "[]"}, 3, "2 failed"},
		"no list":        {"-apply", sailpointtest.Fault{Method: "GET", Status: 403}, 1, ""},
		"negative":       {"-apply -days -1", sailpointtest.Fault{}, 2, ""},
		"an unknown one": {"-unknown", sailpointtest.Fault{}, 2, ""},
		"help":           {"-help", sailpointtest.Fault{}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			soon := time.Now().Add(time.Hour)
			for range 2 {
				tenant.Add(sailpoint.PersonalAccessToken{ExpirationDate: &soon})
			}
			serve(t, tenant)
			if tt.fault.Status != 0 {
				tenant.Inject(tt.fault)
			}
			code, stdout, _ := command(t, strings.Fields(tt.args)...)
			assert.Equal(t, tt.code, code)
			assert.Contains(t, stdout, tt.out)
			assert.Equal(t, tt.out == "", stdout == "")
			assert.Equal(t, name == "all renewed", tenant.Tokens()[1].ExpirationDate.After(soon))
		})
	}
}

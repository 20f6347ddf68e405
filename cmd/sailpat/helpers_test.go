package main

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// invocation is one call of run.
type invocation struct {
	env       map[string]string
	transport http.RoundTripper
	in        io.Reader
	terminal  bool // all three streams
	width     int
}

// settings are those of the tenant, as the environment has them.
func settings(tenant *sailpointtest.Tenant) map[string]string {
	config := tenant.Config()
	return map[string]string{
		"SAIL_BASE_URL": "https://acme.api.identitynow.com", "SAIL_CLIENT_ID": config.ClientID, "SAIL_CLIENT_SECRET": config.ClientSecret.Reveal(),
	}
}

// on returns an invocation with the settings of a tenant, without a terminal.
func on(tenant *sailpointtest.Tenant) invocation {
	return invocation{env: settings(tenant), transport: tenant}
}

func (i invocation) with(name, value string) invocation {
	i.env = maps.Clone(i.env)
	i.env[name] = value
	return i
}

// run calls run with a command line, in which no argument has a space, and more
// arguments.
func (i invocation) run(ctx context.Context, line string, more ...string) (code int, stdout, stderr string) {
	var out, notes bytes.Buffer
	s := streams{in: i.in, out: &out, err: &notes, inTerminal: i.terminal, outTerminal: i.terminal, errTerminal: i.terminal, width: i.width}
	if s.in == nil {
		s.in = strings.NewReader("")
	}
	code = run(ctx, append(strings.Fields(line), more...), func(name string) string { return i.env[name] }, s, i.transport)
	return code, out.String(), notes.String()
}

// outside is a transport of a test in which nothing may be sent.
type outside struct{ t *testing.T }

func (o outside) RoundTrip(request *http.Request) (*http.Response, error) {
	o.t.Errorf("sent %s %s", request.Method, request.URL)
	return nil, io.EOF
}

// demoNote is on standard error with --demo.
const demoNote = "DEMO: this is an invented tenant in memory\n"

// pathOfToken returns the path of a file that holds the credential of a token of
// the tenant.
func pathOfToken(t *testing.T, tenant *sailpointtest.Tenant, token sailpoint.PersonalAccessToken) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pat.json")
	id, secret := tenant.Add(token)
	require.NoError(t, lifecycle.FileStore{Path: path}.Save(t.Context(), lifecycle.Credential{ID: id, Secret: secret}))
	return path
}

// inDays returns the time in n days.
func inDays(n int) *time.Time {
	at := time.Now().Add(time.Duration(n) * day)
	return &at
}

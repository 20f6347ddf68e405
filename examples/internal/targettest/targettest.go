// Package targettest runs the examples in tests.
package targettest

import (
	"bytes"
	"context"
	"io"
	"net/http/httptest"
	"testing"

	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// Serve serves tenant and sets the environment to it. If tenant is nil, it
// clears the environment.
func Serve(t *testing.T, tenant *sailpointtest.Tenant) {
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

// Run runs a program and returns its exit code and its output.
func Run(
	t *testing.T, run func(ctx context.Context, args []string, stdout, stderr io.Writer) int, args ...string,
) (code int, stdout, stderr string) {
	t.Helper()
	var out, notes bytes.Buffer
	code = run(t.Context(), args, &out, &notes)
	return code, out.String(), notes.String()
}

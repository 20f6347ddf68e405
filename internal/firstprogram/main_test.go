package main

import (
	"io"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestFirstProgramOfTheREADME runs it against a tenant. Another test compares it
// with the README.
func TestFirstProgramOfTheREADME(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	server := httptest.NewServer(tenant)
	defer server.Close()
	cfg := tenant.Config()
	t.Setenv("SAIL_BASE_URL", server.URL)
	t.Setenv("SAIL_CLIENT_ID", cfg.ClientID)
	t.Setenv("SAIL_CLIENT_SECRET", cfg.ClientSecret.Reveal())

	output, err := os.Create(t.TempDir() + "/output")
	require.NoError(t, err)
	defer output.Close()
	stdout := os.Stdout
	os.Stdout = output
	defer func() { os.Stdout = stdout }()
	main()

	_, err = output.Seek(0, io.SeekStart)
	require.NoError(t, err)
	printed, err := io.ReadAll(output)
	require.NoError(t, err)
	require.Equal(t, "tenant [sp:scopes:all]\n", string(printed))
}

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trusting returns a client that trusts only the CA in a file.
func trusting(t *testing.T, caFile string) *http.Client {
	t.Helper()
	caPEM, err := os.ReadFile(caFile)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(caPEM))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestTLS(t *testing.T) {
	for _, args := range [][]string{{"-tls"}, {"-tls", "-ca", filepath.Join(t.TempDir(), "ca.pem")}} {
		stdout, stop := start(t, args...)
		printed, err := io.ReadAll(stdout) // it ends after the settings
		require.NoError(t, err)
		lines := strings.Split(string(printed), "\n")
		require.Len(t, lines, 5)
		baseURL, id, secret := readSettings(t, strings.NewReader(string(printed)))
		assert.Regexp(t, `^https://127\.0\.0\.1:`, baseURL)
		caFile, ok := strings.CutPrefix(lines[3], "FAKETENANT_CA_FILE=")
		require.True(t, ok, lines[3])

		client := trusting(t, caFile)
		status, _ := fetchBearer(t, client, baseURL, id, secret)
		assert.Equal(t, 200, status)
		resp, err := client.Get(strings.Replace(baseURL, "127.0.0.1", "localhost", 1) + "/faketenant/health")
		require.NoError(t, err)
		assert.NoError(t, resp.Body.Close())
		_, err = newClient(t).Get(baseURL)
		var unknown x509.UnknownAuthorityError
		assert.ErrorAs(t, err, &unknown)

		assert.Equal(t, exitOK, stop())
		_, err = os.Stat(caFile)
		assert.Equal(t, len(args) > 1, err == nil, "only a file of the user's choice stays")
	}
}

func TestCAFileCannotBeWritten(t *testing.T) {
	folder := t.TempDir()
	for _, args := range [][]string{{"-tls", "-ca", folder}, {"-tls"}} {
		for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
			t.Setenv(name, filepath.Join(folder, "missing"))
		}
		var stdout, stderr bytes.Buffer
		assert.Equal(t, exitFailed, run(t.Context(), args, &stdout, &stderr))
		assert.Empty(t, stdout.String())
		assert.Contains(t, stderr.String(), "faketenant: open ")
	}
}

// TestCertificateHosts checks by which hosts a client may reach the server.
func TestCertificateHosts(t *testing.T) {
	now := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	for requested, tt := range map[string]struct {
		ip    string
		hosts []string
	}{
		"127.0.0.1:0":       {"127.0.0.1", []string{"127.0.0.1", "::1", "localhost"}},
		":0":                {"::", []string{"127.0.0.1", "::1", "localhost"}},
		"192.0.2.7:0":       {"192.0.2.7", []string{"127.0.0.1", "192.0.2.7", "localhost"}},
		"tenant.example:80": {"192.0.2.7", []string{"127.0.0.1", "192.0.2.7", "tenant.example"}},
	} {
		config, caPEM, err := newCertificate(requested, &net.TCPAddr{IP: net.ParseIP(tt.ip)}, now)
		require.NoError(t, err)
		pool := x509.NewCertPool()
		require.True(t, pool.AppendCertsFromPEM(caPEM))
		server, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
		require.NoError(t, err)
		assert.False(t, server.IsCA)
		for _, host := range tt.hosts {
			_, err := server.Verify(x509.VerifyOptions{DNSName: host, Roots: pool, CurrentTime: now})
			assert.NoError(t, err, host)
		}
		_, err = server.Verify(x509.VerifyOptions{DNSName: "other.example", Roots: pool, CurrentTime: now})
		assert.Error(t, err)
		_, err = server.Verify(x509.VerifyOptions{DNSName: "localhost", Roots: pool, CurrentTime: now.AddDate(1, 0, 1)})
		assert.Error(t, err, "it expires after a year")
	}
}

package sailpoint_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// requireMemory checks that f allocates no more than limit in all.
func requireMemory(t *testing.T, limit uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, limit)
}

// TestGzipBomb sends 1 MiB that unpacks to 1 GiB, for each operation and
// status.
func TestGzipBomb(t *testing.T) {
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	_, err := w.Write(bytes.Repeat([]byte(" "), 1<<20))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	bomb := bytes.Repeat(member.Bytes(), 1024)
	for _, status := range []int{200, 400, 503} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(status)
			_, _ = w.Write(bomb)
		}))
		t.Cleanup(server.Close)
		requireBounded(t, server.URL)
	}
}

// requireBounded checks that each call to baseURL fails, and keeps little of
// the response.
func requireBounded(t *testing.T, baseURL string) {
	t.Helper()
	for _, op := range operations {
		transport := sailpoint.NewTransport()
		cfg := (&network{}).config()
		cfg.BaseURL, cfg.HTTPClient, cfg.MaxRetries, cfg.MaxListBytes = baseURL, &http.Client{Transport: transport}, -1, 1<<20
		if op.name != "fetch" {
			withSource(bearers("the-bearer").ask)(&cfg)
		}
		client, err := sailpoint.NewClient(cfg)
		require.NoError(t, err)
		requireMemory(t, 16<<20, func() { err = op.call(t.Context(), client) })
		require.Error(t, err, op.name)
		_ = requireOneError(t, err)
		transport.CloseIdleConnections()
	}
}

func TestEndlessBody(t *testing.T) {
	for _, status := range []int{200, 400} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			for line := bytes.Repeat([]byte(" "), 32<<10); ; {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}))
		t.Cleanup(server.Close)
		requireBounded(t, server.URL)
	}
}

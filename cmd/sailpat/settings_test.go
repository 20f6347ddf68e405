package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// TestStoreThatIsACommand issues and rotates with a shell script as the store.
func TestStoreThatIsACommand(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("The store is a shell script.")
	}
	folder := t.TempDir()
	script := filepath.Join(folder, "store")
	require.NoError(t, os.WriteFile(script, []byte(`#!/bin/sh
case $2 in
load) cat "$1" 2>/dev/null || echo '{}' ;;
save) cat >"$1.next" && mv "$1.next" "$1" ;;
esac
`), 0o700))
	tenant := sailpointtest.NewTenant()
	kept := filepath.Join(folder, "kept")
	store := []string{"--store", "exec:" + script + " " + kept}
	code, _, stderr := on(tenant).run(t.Context(), "issue --name deploy --scope sp:my-personal-access-tokens:manage", store...)
	assert.Equal(t, 0, code, stderr)
	code, stdout, stderr := on(tenant).run(t.Context(), "rotate --if-older-than 0s", store...)
	assert.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, "rotated: ")
	content, err := os.ReadFile(kept)
	require.NoError(t, err)
	assert.Contains(t, string(content), tenant.Tokens()[1].ID)
}

// TestTimeoutOfAStore shows that an error names the flag whose time has passed.
func TestTimeoutOfAStore(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("The store is a shell script.")
	}
	script := filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\nexec sleep 60\n"), 0o700))
	code, _, stderr := on(sailpointtest.NewTenant()).run(t.Context(), "list --timeout 100ms --store exec:"+script)
	assert.Equal(t, 1, code)
	assert.Equal(t, "sailpat list: the time of --timeout has passed: read the store: "+script+" load: context deadline exceeded\n", stderr)
}

// TestStoreInVault shows which settings go where. Package vaultstore has the
// other tests.
func TestStoreInVault(t *testing.T) {
	var seen []string
	vault := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Vault-Token")+" "+r.Header.Get("X-Vault-Namespace"))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer vault.Close()
	i := on(sailpointtest.NewTenant()).with("VAULT_ADDR", vault.URL).with("VAULT_TOKEN", "hvs.token").with("VAULT_NAMESPACE", "team")
	code, _, stderr := i.run(t.Context(), "rotate --store vault:secret/ci/pat")
	assert.Equal(t, 3, code)
	assert.Contains(t, stderr, "sailpat rotate: read the store: ")
	assert.NotContains(t, stderr, "hvs.token")
	assert.Equal(t, []string{"GET /v1/secret/data/ci/pat hvs.token team"}, seen[:1])

	vault.Close()
	code, _, stderr = i.run(t.Context(), "rotate -q --store vault:secret/ci/pat")
	assert.Equal(t, 1, code, "the network may come back")
	assert.Empty(t, stderr)
}

package stores_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/storetest"
	"github.com/sailpoint-go/sailpoint/lifecycle/vaultstore"
)

const policy = `path "kv/data/*" { capabilities = ["read", "create", "update"] }`

// vault is a server of Vault with a KV version 2 engine at kv and one of
// version 1 at one.
type vault struct {
	program, folder, address, root string
	process                        *process
	client                         *http.Client
	paths                          int
}

func newVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{
		program: fromEnvironment(t, "SAILPOINT_TEST_VAULT", "a program built from tools/vaultserver"),
		folder:  t.TempDir(), address: "127.0.0.1:0", client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	v.start(t)
	t.Cleanup(func() { v.process.kill() })
	for mount, version := range map[string]string{"kv": "2", "one": "1"} {
		v.must(t, "POST", "sys/mounts/"+mount, map[string]any{"type": "kv", "options": map[string]string{"version": version}})
	}
	waitFor(t, "the engine prepares itself", func() bool { return v.call(t, "GET", "kv/config", nil, nil) == 200 })
	v.must(t, "POST", "sys/policies/acl/deploy", map[string]any{"policy": policy})
	return v
}

func (v *vault) start(t *testing.T) {
	t.Helper()
	log := filepath.Join(v.folder, "log")
	require.NoError(t, os.WriteFile(log, nil, 0o600))
	v.process = start(t, nil, log, v.program, "-dir", v.folder, "-address", v.address)
	waitFor(t, "the server starts", func() bool {
		content, err := os.ReadFile(log)
		for line := range strings.Lines(string(content)) {
			var started struct{ Address, Root string }
			if err == nil && strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &started) == nil {
				v.address, v.root = started.Address, started.Root
				return true
			}
		}
		return false
	})
}

func (v *vault) restart(t *testing.T) {
	t.Helper()
	v.process.kill()
	v.start(t)
}

// call sends a request with the root token.
func (v *vault) call(t *testing.T, method, path string, in, out any) (status int) {
	t.Helper()
	body, err := json.Marshal(in)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, "http://"+v.address+"/v1/"+path, bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("X-Vault-Token", v.root)
	response, err := v.client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	if out != nil {
		require.NoError(t, json.Unmarshal(text, out), string(text))
	}
	return response.StatusCode
}

func (v *vault) must(t *testing.T, method, path string, in any) {
	t.Helper()
	require.Equal(t, 2, v.call(t, method, path, in, nil)/100, path)
}

// token returns a new token with the policy.
func (v *vault) token(t *testing.T) string {
	t.Helper()
	var created struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		} `json:"auth"`
	}
	v.call(t, "POST", "auth/token/create-orphan", map[string]any{"policies": []string{"deploy"}, "ttl": "1h"}, &created)
	require.NotEmpty(t, created.Auth.ClientToken)
	return created.Auth.ClientToken
}

func (v *vault) open(t *testing.T, address, mount, path string, token func() string) *vaultstore.Store {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s, err := vaultstore.New(vaultstore.Config{
		Address: "http://" + address, Mount: mount, Path: path, HTTPClient: &http.Client{Transport: transport},
		Token: func(context.Context) (sailpoint.Secret, error) { return sailpoint.NewSecret(token()), nil },
	})
	require.NoError(t, err)
	return s
}

// place is a path of its own with a token of its own. Deny revokes the token.
func (v *vault) place(t *testing.T) storetest.Place {
	t.Helper()
	v.paths++
	path := fmt.Sprint("ci/p", v.paths)
	token := v.token(t)
	current := func() string { return token }
	return storetest.Place{
		Address: v.address,
		Open:    func() lifecycle.Store { return v.open(t, v.address, "kv", path, current) },
		OpenAt:  func(address string) lifecycle.Store { return v.open(t, address, "kv", path, current) },
		Restart: func() { v.restart(t) },
		Clear:   func() { v.must(t, "DELETE", "kv/data/"+path, nil) },
		Spoil: func() {
			v.must(t, "POST", "kv/data/"+path, map[string]any{"data": map[string]any{"id": 1, "secret": []string{"5ecf00d1"}}})
		},
		Deny: func() func() {
			v.must(t, "POST", "auth/token/revoke", map[string]any{"token": token})
			return func() { token = v.token(t) }
		},
	}
}

// TestVault runs storetest, and Issue and Rotate with faults, against a real
// server.
func TestVault(t *testing.T) {
	v := newVault(t)
	t.Run("Store", func(t *testing.T) { storetest.Run(t, v.place) })
	t.Run("PolicyWithdrawn", func(t *testing.T) {
		p := v.place(t)
		s := p.Open()
		require.NoError(t, save(t, s, "id-1"))
		v.must(t, "POST", "sys/policies/acl/deploy", map[string]any{"policy": `path "kv/data/*" { capabilities = ["read"] }`})
		assert.ErrorContains(t, checkSave(t, s), `may only ["read"]`)
		assert.ErrorIs(t, save(t, s, "id-2"), lifecycle.ErrNotStored)
		v.must(t, "POST", "sys/policies/acl/deploy", map[string]any{"policy": policy})
		require.NoError(t, checkSave(t, s))
		require.NoError(t, save(t, s, "id-2"))
	})
	t.Run("KindsOfNothing", func(t *testing.T) {
		root := func() string { return v.root }
		for mount, says := range map[string]string{"none": "no KV version 2 engine is there", "one": "is not KV version 2"} {
			s := v.open(t, v.address, mount, "x", root)
			_, err := s.Load(t.Context())
			assert.ErrorContains(t, err, says)
			err = s.Save(t.Context(), lifecycle.Credential{ID: "id-1", Note: "n", Version: "0/"})
			assert.ErrorContains(t, err, says)
			assert.ErrorIs(t, err, lifecycle.ErrNotStored)
		}
		v.paths++
		path := fmt.Sprint("ci/p", v.paths)
		s := v.open(t, v.address, "kv", path, root)
		require.NoError(t, save(t, s, "id-1"))
		before, err := s.Load(t.Context())
		require.NoError(t, err)
		v.must(t, "DELETE", "kv/metadata/"+path, nil)
		gone, err := s.Load(t.Context())
		require.NoError(t, err)
		assert.Equal(t, lifecycle.Credential{Version: "0/"}, gone)
		require.NoError(t, save(t, s, "id-2"))
		before.ID = "late"
		assert.ErrorIs(t, s.Save(t.Context(), before), lifecycle.ErrStoreConflict, "version 1 of the history before is not version 1 of this one")
		v.must(t, "POST", "kv/data/"+path, map[string]any{"data": map[string]any{"id": "id-3", "owner": map[string]any{"phone": 7}}})
		require.NoError(t, save(t, s, "id-4"))
		var got struct {
			Data struct{ Data map[string]any }
		}
		v.call(t, "GET", "kv/data/"+path, nil, &got)
		assert.Equal(t, "id-4", got.Data.Data["id"])
		assert.Equal(t, map[string]any{"phone": 7.0}, got.Data.Data["owner"], "members of others stay")
	})
	t.Run("Faults", func(t *testing.T) { testFaults(t, v.place) })
}

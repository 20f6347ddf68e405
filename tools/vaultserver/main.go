// Command vaultserver is the core, the HTTP API and the KV engine of Vault
// 1.14.1, for tests. It leaves out the plug-ins and storage engines of the
// whole program. It initializes and unseals itself, and prints its address and
// root token as one line of JSON. Version 1.14.1 is the last one under the MPL.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/helper/namespace"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/vault"
)

// registry has no plug-ins: the KV engine is compiled in.
type registry struct{}

func (registry) Contains(name string, _ consts.PluginType) bool { return name == "kv" }

func (registry) Get(string, consts.PluginType) (func() (any, error), bool) { return nil, false }

func (registry) Keys(consts.PluginType) []string { return nil }

func (registry) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, true
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

// keys is what a restarted server needs to unseal itself.
type keys struct {
	Unseal []string `json:"unseal"`
	Root   string   `json:"root"`
}

func main() {
	dir := flag.String("dir", "", "folder of the data")
	address := flag.String("address", "127.0.0.1:0", "address to listen on")
	flag.Parse()
	if err := serve(*dir, *address); err != nil {
		log.Fatal(err)
	}
}

func serve(dir, address string) error {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr})
	storage, err := file.NewFileBackend(map[string]string{"path": filepath.Join(dir, "data")}, logger)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:        storage,
		LogicalBackends: map[string]logical.Factory{"kv": kv.Factory},
		BuiltinRegistry: registry{},
		DisableMlock:    true,
		Logger:          logger,
		RedirectAddr:    "http://" + listener.Addr().String(),
	})
	if err != nil {
		return err
	}
	k, err := unseal(core, filepath.Join(dir, "keys.json"))
	if err != nil {
		return err
	}
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}})
	fmt.Printf("{\"address\":%q,\"root\":%q}\n", listener.Addr(), k.Root)
	return http.Serve(listener, handler)
}

// unseal unseals the core with the keys in a file. If there are none, it
// initializes the core and writes them.
func unseal(core *vault.Core, path string) (k keys, err error) {
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if k, err = initialize(core); err != nil {
			return k, err
		}
		if content, err = json.Marshal(k); err != nil {
			return k, err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return k, err
		}
	case err != nil:
		return k, err
	default:
		if err := json.Unmarshal(content, &k); err != nil {
			return k, err
		}
	}
	for _, share := range k.Unseal {
		raw, err := hex.DecodeString(share)
		if err != nil {
			return k, err
		}
		if _, err := core.Unseal(raw); err != nil {
			return k, err
		}
	}
	return k, nil
}

func initialize(core *vault.Core) (k keys, err error) {
	one := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	result, err := core.Initialize(namespace.RootContext(context.Background()), &vault.InitParams{BarrierConfig: one, RecoveryConfig: one})
	if err != nil {
		return k, err
	}
	k.Root = result.RootToken
	for _, share := range result.SecretShares {
		k.Unseal = append(k.Unseal, hex.EncodeToString(share))
	}
	return k, nil
}

package stores_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/commandstore"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/storetest"
	"github.com/sailpoint-go/sailpoint/tools/stores/etcdstore"
)

// commandFile is the variable that makes this test the program of a
// commandstore, which keeps its credential in a file.
const commandFile = "SAILPOINT_TEST_COMMAND_FILE"

func runCommand(path, verb string) (status int) {
	file := lifecycle.FileStore{Path: path}
	var m struct {
		ID      string `json:"id"`
		Secret  string `json:"secret"`
		Note    string `json:"note"`
		Version string `json:"version"`
	}
	if verb == "load" {
		c, err := file.Load(context.Background())
		if err != nil {
			return 1
		}
		m.ID, m.Secret, m.Note, m.Version = c.ID, c.Secret.Reveal(), c.Note, c.Version
		if json.NewEncoder(os.Stdout).Encode(m) != nil {
			return 1
		}
		return 0
	}
	if json.NewDecoder(os.Stdin).Decode(&m) != nil {
		return 4
	}
	err := file.Save(context.Background(), lifecycle.Credential{ID: m.ID, Secret: sailpoint.NewSecret(m.Secret), Note: m.Note, Version: m.Version})
	switch {
	case err == nil:
		return 0
	case errors.Is(err, lifecycle.ErrStoreConflict):
		return 3
	case errors.Is(err, lifecycle.ErrNotStored):
		return 4
	}
	return 1
}

// TestCommand runs storetest with this program as the external command.
func TestCommand(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	storetest.Run(t, func(t *testing.T) storetest.Place {
		path := filepath.Join(t.TempDir(), "deploy.json")
		return storetest.Place{
			Open: func() lifecycle.Store {
				return commandstore.Store{Command: []string{"/usr/bin/env", commandFile + "=" + path, program}}
			},
			Clear: func() { require.NoError(t, os.Remove(path)) },
			Spoil: func() { require.NoError(t, os.WriteFile(path, []byte(`{"id":1,"secret":"5ecf00d1"`), 0o600)) },
		}
	})
}

// TestEtcd runs storetest against a real etcd.
func TestEtcd(t *testing.T) {
	program, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("Install etcd (Debian: etcd-server) to run this test. The gate does.")
	}
	folder, address, peerAddress := t.TempDir(), freeAddress(t), freeAddress(t)
	endpoint, peer := "http://"+address, "http://"+peerAddress
	run := func() *process {
		return start(t, nil, filepath.Join(folder, "log"), program, "--data-dir="+filepath.Join(folder, "data"), "--listen-client-urls="+endpoint,
			"--advertise-client-urls="+endpoint, "--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)
	}
	server := run()
	t.Cleanup(func() { server.kill() })
	client := func(t *testing.T, address string) *clientv3.Client {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + address}, DialTimeout: 2 * time.Second})
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	admin := client(t, address)
	ready := func() {
		waitFor(t, "etcd starts", func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_, err := admin.Get(ctx, "none")
			return err == nil
		})
	}
	ready()
	storetest.Run(t, func(t *testing.T) storetest.Place {
		key := "/deploy/" + t.Name()
		open := func(address string) lifecycle.Store { return etcdstore.Store{KV: client(t, address), Key: key} }
		return storetest.Place{
			Address: address,
			Open:    func() lifecycle.Store { return open(address) },
			OpenAt:  open,
			Restart: func() {
				server.kill()
				server = run()
				ready()
			},
			Clear: func() {
				_, err := admin.Delete(t.Context(), key)
				require.NoError(t, err)
			},
			Spoil: func() {
				_, err := admin.Put(t.Context(), key, `{"id":1,"secret":"5ecf00d1`)
				require.NoError(t, err)
			},
		}
	})
}

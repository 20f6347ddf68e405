package main

import (
	"context"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/cmd/sailpat/internal/commandstore"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/kubestore"
	"github.com/sailpoint-go/sailpoint/lifecycle/vaultstore"
)

// openStore returns the store that the flag --store names. It sends nothing.
func (a *app) openStore(spec string) (lifecycle.Store, error) {
	kind, place, _ := strings.Cut(spec, ":")
	first, rest, _ := strings.Cut(place, "/")
	switch {
	case kind == "file" && place != "":
		return lifecycle.FileStore{Path: place}, nil
	case kind == "vault" && first != "" && rest != "":
		return a.openVault(first, rest)
	case kind == "kubernetes" && first != "" && rest != "":
		return openKubernetes(first, rest)
	case kind == "exec" && len(strings.Fields(place)) > 0:
		return openCommand(strings.Fields(place))
	}
	return nil, usageError("--store must be file:PATH, vault:MOUNT/PATH, kubernetes:NAMESPACE/NAME or exec:COMMAND")
}

func (a *app) openVault(mount, path string) (lifecycle.Store, error) {
	if a.env("VAULT_ADDR") == "" || a.env("VAULT_TOKEN") == "" {
		return nil, usageError("the store is in Vault: set VAULT_ADDR and VAULT_TOKEN in the environment")
	}
	config := vaultstore.Config{
		Address: a.env("VAULT_ADDR"), Namespace: a.env("VAULT_NAMESPACE"), Mount: mount, Path: path,
		Token: func(context.Context) (sailpoint.Secret, error) { return sailpoint.NewSecret(a.env("VAULT_TOKEN")), nil },
	}
	if a.transport != nil {
		config.HTTPClient = &http.Client{Transport: a.transport, Timeout: 30 * time.Second}
	}
	return vaultstore.New(config)
}

func openKubernetes(namespace, name string) (lifecycle.Store, error) {
	config, err := kubestore.InCluster()
	if err != nil {
		return nil, usageError("the store kubernetes: works only in a pod: " + err.Error())
	}
	config.Namespace, config.Name = namespace, name
	return kubestore.New(config)
}

func openCommand(command []string) (lifecycle.Store, error) {
	if _, err := exec.LookPath(command[0]); err != nil {
		return nil, usageError("the store's command can't be run: " + err.Error())
	}
	return commandstore.Store{Command: command}, nil
}

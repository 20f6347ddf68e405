package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/commandstore"
	"github.com/sailpoint-go/sailpoint/internal/seed"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/kubestore"
	"github.com/sailpoint-go/sailpoint/lifecycle/vaultstore"
)

// session is the tenant that a command works with.
type session struct {
	client *sailpoint.Client
	store  lifecycle.Store // nil without --store
	tenant string
	at     time.Time
}

// connect returns a session with the credential in the store, or else with that
// of the settings. It sends nothing to the tenant.
func (a *app) connect(ctx context.Context) (*session, error) {
	if a.demo {
		return a.connectDemo(ctx)
	}
	var store lifecycle.Store
	var stored lifecycle.Credential
	if a.store != "" {
		var err error
		if store, err = a.openStore(); err != nil {
			return nil, err
		}
		if stored, err = store.Load(ctx); err != nil {
			return nil, fmt.Errorf("read the store: %w", err)
		}
		switch {
		case (stored.ID == "") != stored.Secret.IsZero():
			return nil, usageError("the store holds only an id or only a secret: put the other of the same token into it")
		case stored.ID == "" && a.needsStored:
			return nil, usageError(`the store holds no credential: run "sailpat issue", or put a token's id and secret into it`)
		}
	}
	cfg, err := a.config(stored)
	if err != nil {
		return nil, err
	}
	s, err := a.newSession(cfg, store, cfg.BaseURL)
	if stored.ID != "" && errors.Is(err, sailpoint.ErrInvalidArgument) {
		err = fmt.Errorf("with the credential in the store: %w", err)
	}
	return s, err
}

//go:embed demo.json
var demoJSON []byte

// connectDemo returns a session with a tenant in memory, which has the tokens
// of demo.json. For a command that needs a stored credential, the store holds the
// last of them.
func (a *app) connectDemo(ctx context.Context) (*session, error) {
	content, err := seed.Parse(demoJSON, "")
	if err != nil {
		return nil, err
	}
	tenant, store, last := content.NewTenant(), &lifecycle.MemoryStore{}, content.Tokens[len(content.Tokens)-1]
	if a.needsStored {
		_ = store.Save(ctx, lifecycle.Credential{ID: last.ID, Secret: sailpoint.NewSecret(last.Secret)}) // can't fail in memory
	}
	a.transport = tenant
	fmt.Fprintln(a.err, "DEMO: this is an invented tenant in memory")
	return a.newSession(tenant.Config(), store, "DEMO")
}

// config returns the settings. With a stored credential, only the tenant's
// address has to be set.
func (a *app) config(stored lifecycle.Credential) (sailpoint.Config, error) {
	cfg, err := sailpoint.LoadConfigFrom(a.env)
	base := cmp.Or(a.env("SAIL_BASE_URL"), cfg.BaseURL)
	switch {
	case stored.ID != "" && base != "":
		return sailpoint.Config{BaseURL: base, ClientID: stored.ID, ClientSecret: stored.Secret}, nil
	case stored.ID != "":
		return cfg, usageError("the store holds a credential, but the tenant is not known: set SAIL_BASE_URL in the environment")
	case err != nil && a.store != "":
		return cfg, fmt.Errorf("the store holds no credential yet: %w", err)
	case err != nil:
		return cfg, fmt.Errorf("%w, or try --demo", err)
	}
	return cfg, nil
}

func (a *app) newSession(cfg sailpoint.Config, store lifecycle.Store, tenant string) (*session, error) {
	if !(a.rate > 0) { // also not a number
		return nil, usageError("--rate must be more than 0")
	}
	cfg.APIVersion = cmp.Or(a.version, sailpoint.V2024)
	cfg.Limiter = limiter{rate.NewLimiter(rate.Limit(a.rate), 1)} // the API rejects some requests of a burst
	cfg.Logger = a.logger()
	cfg.UserAgent = "sailpat/" + buildVersion()
	if a.transport != nil {
		cfg.HTTPClient = &http.Client{Transport: a.transport}
	}
	client, err := sailpoint.NewClient(cfg)
	return &session{client, store, strings.TrimSuffix(tenant, "/"), time.Now().UTC()}, err
}

// limiter fails only when the context ends. If a turn comes after the deadline,
// rate.Limiter fails before that, and with an error of its own.
type limiter struct{ *rate.Limiter }

func (l limiter) Wait(ctx context.Context) error {
	if l.Limiter.Wait(ctx) != nil {
		<-ctx.Done()
	}
	return ctx.Err()
}

// buildVersion returns the version of this module, or "devel".
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		return info.Main.Version
	}
	return "devel"
}

// openStore returns the store of --store. It sends nothing.
func (a *app) openStore() (lifecycle.Store, error) {
	kind, place, _ := strings.Cut(a.store, ":")
	first, rest, _ := strings.Cut(place, "/")
	command := strings.Fields(place)
	switch {
	case kind == "file" && place != "":
		return lifecycle.FileStore{Path: place}, checkFolder("--store", place)
	case kind == "vault" && first != "" && rest != "":
		if a.env("VAULT_ADDR") == "" || a.env("VAULT_TOKEN") == "" {
			return nil, usageError("the store is in Vault: set VAULT_ADDR and VAULT_TOKEN in the environment")
		}
		return vaultstore.New(vaultstore.Config{
			Address: a.env("VAULT_ADDR"), Namespace: a.env("VAULT_NAMESPACE"), Mount: first, Path: rest,
			Token: func(context.Context) (sailpoint.Secret, error) { return sailpoint.NewSecret(a.env("VAULT_TOKEN")), nil },
		})
	case kind == "kubernetes" && first != "" && rest != "":
		config, err := kubestore.InCluster()
		if err != nil {
			return nil, usageError("the store kubernetes: works only in a pod: " + err.Error())
		}
		config.Namespace, config.Name = first, rest
		return kubestore.New(config)
	case kind == "exec" && len(command) > 0:
		if _, err := exec.LookPath(command[0]); err != nil {
			return nil, usageError("the store's command can't be run: " + err.Error())
		}
		return commandstore.Store{Command: command}, nil
	}
	return nil, usageError("--store must be file:PATH, vault:MOUNT/PATH, kubernetes:NAMESPACE/NAME or exec:COMMAND")
}

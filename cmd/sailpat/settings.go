package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// session is the tenant that a command works with.
type session struct {
	client *sailpoint.Client
	store  lifecycle.Store // nil without --store
	header
}

// tokens returns the calls of the API.
func (s *session) tokens() *sailpoint.PersonalAccessTokensService {
	return s.client.PersonalAccessTokens
}

// header is what every output begins with.
type header struct {
	Tenant string    `json:"tenant"`
	Demo   bool      `json:"demo"`
	At     time.Time `json:"at"`
}

// connect returns a session with the credential in the store, or else with that
// of the settings. It sends nothing to the tenant.
func (a *app) connect(ctx context.Context) (*session, error) {
	if a.demo {
		return a.connectDemo(ctx)
	}
	s := &session{}
	var stored lifecycle.Credential
	if a.store != "" {
		var err error
		if s.store, err = a.openStore(a.store); err != nil {
			return nil, err
		}
		if stored, err = s.store.Load(ctx); err != nil {
			return nil, fmt.Errorf("read the store: %w", err)
		}
	}
	cfg, err := a.config(stored)
	if err != nil {
		return nil, err
	}
	return s, a.complete(s, cfg)
}

// config returns the settings. With a stored credential, it needs only the
// tenant's address.
func (a *app) config(stored lifecycle.Credential) (sailpoint.Config, error) {
	base := a.env("SAIL_BASE_URL")
	if stored.ID != "" && base != "" {
		return sailpoint.Config{BaseURL: base, ClientID: stored.ID, ClientSecret: stored.Secret}, nil
	}
	cfg, err := sailpoint.LoadConfigFrom(a.env)
	switch {
	case err != nil && stored.ID != "":
		return cfg, usageError("the store holds a credential, but the tenant is not known: set SAIL_BASE_URL in the environment")
	case err != nil && a.store != "":
		return cfg, fmt.Errorf("the store holds no credential yet: %w", err)
	case stored.ID != "":
		cfg.ClientID, cfg.ClientSecret = stored.ID, stored.Secret
	}
	return cfg, err
}

// complete makes the session's client.
func (a *app) complete(s *session, cfg sailpoint.Config) (err error) {
	if a.rate <= 0 {
		return usageError("--rate must be more than 0")
	}
	cfg.APIVersion = cmp.Or(a.version, sailpoint.V2024)
	cfg.Limiter = rate.NewLimiter(rate.Limit(a.rate), 1) // the API rejects requests of a burst
	cfg.Logger = a.logger()
	cfg.UserAgent = "sailpat/" + buildVersion()
	if a.transport != nil {
		cfg.HTTPClient = &http.Client{Transport: a.transport}
	}
	if s.client, err = sailpoint.NewClient(cfg); err != nil {
		return err
	}
	s.header = header{Tenant: strings.TrimSuffix(cfg.BaseURL, "/"), Demo: a.demo, At: time.Now().UTC()}
	return nil
}

// buildVersion returns the version of this module, or "devel".
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || strings.HasPrefix(info.Main.Version, "(") || info.Main.Version == "" {
		return "devel"
	}
	return info.Main.Version
}

package main

import (
	"context"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

const (
	demoTenant = "DEMO"
	day        = 24 * time.Hour
)

// connectDemo returns a session with a tenant in memory that nobody has audited
// for a while. Its store holds a token that is 40 days old.
func (a *app) connectDemo(ctx context.Context) (*session, error) {
	if a.store != "" {
		return nil, usageError("--demo has a store of its own: leave out --store or --demo")
	}
	tenant := sailpointtest.NewTenant()
	seed(tenant, time.Now())
	store := &lifecycle.MemoryStore{}
	expiry := time.Now().Add(140 * day)
	id, secret := tenant.Add(sailpoint.PersonalAccessToken{
		Name: "deploy", Scope: []string{"sp:my-personal-access-tokens:manage"}, Created: time.Now().Add(-40 * day), ExpirationDate: &expiry,
	})
	if err := store.Save(ctx, lifecycle.Credential{ID: id, Secret: secret}); err != nil {
		return nil, err
	}
	s := &session{store: store}
	a.transport = tenant
	err := a.complete(s, tenant.Config())
	s.Tenant = demoTenant
	return s, err
}

func seed(tenant *sailpointtest.Tenant, now time.Time) {
	days := func(n int) *time.Time { // from now
		t := now.Add(time.Duration(n) * day)
		return &t
	}
	read := []string{"sp:my-personal-access-tokens:read"}
	all := []string{sailpoint.ScopeAll}
	admin := []string{"sp:all-personal-access-tokens:manage"}
	for _, pat := range []struct {
		owner, name      string
		created          int // in days from now, like the other dates
		lastUsed, expiry *time.Time
		scope            []string
		managed          bool
	}{
		{"", "weekly-report", -100, days(-1), days(12), read, false}, // the owner of the client's token
		{"Ana Lima", "nightly-export", -170, days(-1), days(10), read, false},
		{"Ana Lima", "old laptop", -400, days(-310), days(-220), all, false},
		{"Ana Lima", "trial", -60, nil, days(120), read, false},
		{"Bo Larsson", "terraform", -175, days(0), days(5), admin, false},
		{"Bo Larsson", "terraform (copy)", -300, days(-200), nil, all, false},
		{"Bo Larsson", "<b>test</b>", -90, nil, days(-1), read, false},
		{"Bo Larsson", "workflow", -30, days(0), nil, all, true},
	} {
		token := sailpoint.PersonalAccessToken{
			Name: pat.name, Created: *days(pat.created), LastUsed: pat.lastUsed, ExpirationDate: pat.expiry, Scope: pat.scope, Managed: pat.managed,
		}
		if pat.owner != "" {
			token.Owner = sailpoint.PersonalAccessTokenOwner{ID: "id of " + pat.owner, Name: pat.owner}
		}
		tenant.Add(token)
	}
}

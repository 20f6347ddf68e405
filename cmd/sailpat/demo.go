package main

import (
	"context"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// demoTenant is the name of the tenant in memory.
const demoTenant = "DEMO"

// connectDemo returns a session with a tenant in memory that nobody has audited
// for a while. Its store holds a token that is 40 days old.
func (a *app) connectDemo(ctx context.Context) (*session, error) {
	if a.store != "" {
		return nil, usageError("--demo has a store of its own: leave out --store or --demo")
	}
	tenant := sailpointtest.NewTenant()
	inDays := func(n int) *time.Time {
		t := time.Now().Add(time.Duration(n) * day)
		return &t
	}
	var stored lifecycle.Credential
	for _, t := range []struct {
		owner, name, scope         string
		created, lastUsed, expires int // in days from now; 0 means not
	}{
		{"", "weekly-report", "sp:my-personal-access-tokens:read", -100, -1, 12},
		{"Ana Lima", "nightly-export", "sp:my-personal-access-tokens:read", -170, -1, 10},
		{"Ana Lima", "old laptop", sailpoint.ScopeAll, -400, -310, -220},
		{"Ana Lima", "trial", "sp:my-personal-access-tokens:read", -60, 0, 120},
		{"Bo Larsson", "terraform", "sp:all-personal-access-tokens:manage", -175, -2, 5},
		{"Bo Larsson", "terraform (copy)", sailpoint.ScopeAll, -300, -200, 0},
		{"Bo Larsson", "<b>test</b>", "sp:my-personal-access-tokens:read", -90, 0, -1},
		{"", "deploy", "sp:my-personal-access-tokens:manage", -40, -1, 140},
	} {
		token := sailpoint.PersonalAccessToken{Name: t.name, Scope: []string{t.scope}, Created: *inDays(t.created)}
		if t.owner != "" {
			token.Owner = sailpoint.PersonalAccessTokenOwner{ID: "id of " + t.owner, Name: t.owner}
		}
		if t.lastUsed != 0 {
			token.LastUsed = inDays(t.lastUsed)
		}
		if t.expires != 0 {
			token.ExpirationDate = inDays(t.expires)
		}
		stored.ID, stored.Secret = tenant.Add(token)
	}
	store := &lifecycle.MemoryStore{}
	if err := store.Save(ctx, stored); err != nil {
		return nil, err
	}
	a.transport = tenant
	return a.newSession(tenant.Config(), store, demoTenant)
}

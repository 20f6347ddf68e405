package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

const demoTenant = "DEMO"

//go:embed demo.json
var demoJSON []byte

// connectDemo returns a session with a tenant in memory, which has the tokens
// of demo.json. The store holds the last of them.
func (a *app) connectDemo(ctx context.Context) (*session, error) {
	if a.store != "" {
		return nil, usageError("--demo has a store of its own: leave out --store or --demo")
	}
	var demo struct {
		Now    time.Time                       `json:"now"`
		Tokens []sailpoint.PersonalAccessToken `json:"tokens"`
	}
	if err := json.Unmarshal(demoJSON, &demo); err != nil {
		return nil, err
	}
	shift := time.Since(demo.Now)
	var stored lifecycle.Credential
	tenant, store := sailpointtest.NewTenant(), &lifecycle.MemoryStore{}
	for _, token := range demo.Tokens {
		token.Created = token.Created.Add(shift)
		for _, t := range []*time.Time{token.LastUsed, token.ExpirationDate} {
			if t != nil {
				*t = t.Add(shift)
			}
		}
		stored.ID, stored.Secret = tenant.Add(token)
	}
	if err := store.Save(ctx, stored); err != nil {
		return nil, err
	}
	a.transport = tenant
	return a.newSession(tenant.Config(), store, demoTenant)
}

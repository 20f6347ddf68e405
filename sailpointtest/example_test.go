package sailpointtest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// deleteStale stands for the code under test.
func deleteStale(ctx context.Context, client *sailpoint.Client, before time.Time) (deleted int, err error) {
	stale, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{
		Filter: sailpoint.LastUsedLE(before),
	})
	for _, token := range stale {
		if err := client.PersonalAccessTokens.Delete(ctx, token.ID); err != nil {
			return deleted, err
		}
		deleted++
	}
	return deleted, err
}

func TestDeleteStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // waiting takes no real time
		tenant := sailpointtest.NewTenant()
		lastUsed := time.Now().AddDate(-1, 0, 0)
		tenant.Add(sailpoint.PersonalAccessToken{Name: "old-job", LastUsed: &lastUsed})

		client, err := sailpoint.NewClient(tenant.Config())
		require.NoError(t, err)
		tenant.Inject(sailpointtest.Fault{Method: "DELETE", Status: 503}) // once
		deleted, err := deleteStale(t.Context(), client, time.Now().AddDate(0, -6, 0))
		require.NoError(t, err)
		require.Equal(t, 1, deleted)
		require.Len(t, tenant.Tokens(), 1)   // only the client's token is left
		require.Len(t, tenant.Requests(), 4) // a bearer, the list, the deletion and its retry
		require.Empty(t, tenant.Unused())    // the fault was met
	})
}

func ExampleFault() {
	tenant := sailpointtest.NewTenant()
	client, err := sailpoint.NewClient(tenant.Config())
	if err != nil {
		log.Fatal(err)
	}
	tenant.Inject(sailpointtest.Fault{Method: "POST", Path: "/v2024/personal-access-tokens", Committed: true})

	_, err = client.PersonalAccessTokens.Create(context.Background(), sailpoint.CreatePersonalAccessTokenRequest{
		Name: "nightly-report", Scope: []string{sailpoint.ScopeAll},
	})
	fmt.Println(errors.Is(err, sailpoint.ErrOutcomeUnknown), len(tenant.Tokens()))
	// Output: true 2
}

func ExampleTenant_Add() {
	tenant := sailpointtest.NewTenant()
	cfg := tenant.Config() // for the administrator
	cfg.ClientID, cfg.ClientSecret = tenant.Add(sailpoint.PersonalAccessToken{
		Scope: []string{"sp:my-personal-access-tokens:read"},
	})
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}

	mine, err := client.PersonalAccessTokens.List(context.Background(), sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
	fmt.Println(len(mine), err)
	_, err = client.PersonalAccessTokens.List(context.Background(), sailpoint.ListPersonalAccessTokensOptions{})
	fmt.Println(errors.Is(err, sailpoint.ErrForbidden))
	// Output:
	// 2 <nil>
	// true
}

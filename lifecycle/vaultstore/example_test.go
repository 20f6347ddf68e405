package vaultstore_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/vaultstore"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// A token whose secret is in Vault, under the names that a program expects.
func Example() {
	ctx := context.Background()
	client, err := sailpoint.NewClient(sailpointtest.NewTenant().Config())
	if err != nil {
		log.Fatal(err)
	}
	vault := httptest.NewServer(&engine{}) // takes the place of https://vault.example.com:8200
	defer vault.Close()

	store, err := vaultstore.New(vaultstore.Config{
		Address: vault.URL, Mount: "kv", Path: "ci/deploy",
		Token: func(context.Context) (sailpoint.Secret, error) { return sailpoint.NewSecret(vaultToken), nil },
		IDKey: "SAIL_CLIENT_ID", SecretKey: "SAIL_CLIENT_SECRET",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := lifecycle.Issue(ctx, client, sailpoint.CreatePersonalAccessTokenRequest{
		Name: "deploy", Scope: []string{"sp:my-personal-access-tokens:read"},
	}, store)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Outcome, result.Token.Name)
	// Output: issued deploy
}

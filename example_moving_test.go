package sailpoint_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// The calls of docs/from-go-sdk.md, in one program.
func Example_fromGoSDK() {
	ctx := context.Background()
	client := exampleClient()
	id := "0123456789abcdef0123456789abcdef"

	created, err := client.PersonalAccessTokens.Create(ctx, sailpoint.CreatePersonalAccessTokenRequest{
		Name:                       "nightly-report",
		Scope:                      []string{"sp:my-personal-access-tokens:read"},
		AccessTokenValiditySeconds: 3600,
		ExpirationDate:             time.Now().AddDate(0, 3, 0),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(created.Name, len(created.Secret.Reveal()))

	tokens, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{
		OwnerID: sailpoint.OwnerMe,
		Filter:  sailpoint.LastUsedIsNull(),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, token := range tokens {
		fmt.Println(token.Name, token.Owner.Name, token.LastUsed == nil)
	}

	changed, err := client.PersonalAccessTokens.Patch(ctx, id, sailpoint.NewPersonalAccessTokenPatch().
		ReplaceName("daily-report").
		ReplaceScope("sp:my-personal-access-tokens:read"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(changed.Name)

	if err := client.PersonalAccessTokens.Delete(ctx, id); err != nil {
		log.Fatal(err)
	}

	err = client.PersonalAccessTokens.Delete(ctx, id)
	var failure *sailpoint.Error
	if errors.Is(err, sailpoint.ErrNotFound) && errors.As(err, &failure) {
		fmt.Println(failure.StatusCode, failure.TrackingID != "")
	}
	// Output:
	// nightly-report 64
	// old-job Support true
	// nightly-report Support true
	// daily-report
	// 404 true
}

// Bearers of this client in a program that still uses another SDK.
func Example_bearersForAnotherSDK() {
	tenant := sailpointtest.NewTenant()
	cfg := tenant.Config()
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}

	transport := &oauth2.Transport{
		Source: oauth2Source{client}, // as in the example of AccessToken
		Base:   cfg.HTTPClient.Transport,
	}

	// The other SDK sends its own, expired bearer. The transport replaces it.
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, cfg.BaseURL+"/v2024/personal-access-tokens", http.NoBody)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer expired")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
	// Output: 200
}

// A script of docs/from-powershell.md, as a program. It deletes the expired
// tokens of one owner.
func Example_fromPowerShell() {
	ctx := context.Background()
	tenant := sailpointtest.NewTenant()
	expired := time.Now().AddDate(0, -1, 0)
	for _, name := range []string{"old-job", "older-job"} {
		tenant.Add(sailpoint.PersonalAccessToken{Name: name, ExpirationDate: &expired})
	}
	client, err := sailpoint.NewClient(tenant.Config())
	if err != nil {
		log.Fatal(err)
	}

	opts := sailpoint.ListPersonalAccessTokensOptions{OwnerID: "2c9180a46faadee4016fb4e018c20639"}
	for token, err := range client.PersonalAccessTokens.All(ctx, opts) {
		if err != nil {
			log.Fatal(err)
		}
		if token.ExpirationDate == nil || token.ExpirationDate.After(time.Now()) {
			continue
		}
		if err := client.PersonalAccessTokens.Delete(ctx, token.ID); err != nil {
			log.Print(err)
			continue
		}
		fmt.Println("deleted", token.Name)
	}
	// Output:
	// deleted old-job
	// deleted older-job
}

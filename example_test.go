package sailpoint_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// Create a token for a job and store its secret.
func Example_createAndStore() {
	ctx := context.Background()
	client := exampleClient()
	file := filepath.Join(os.TempDir(), fmt.Sprintf("nightly-report-%d.secret", os.Getpid()))

	created, err := client.PersonalAccessTokens.Create(ctx, sailpoint.CreatePersonalAccessTokenRequest{
		Name:           "nightly-report",
		Scope:          []string{"sp:my-personal-access-tokens:read"},
		ExpirationDate: time.Now().AddDate(0, 3, 0),
	})
	if err != nil {
		log.Fatal(err)
	}
	// The secret is shown only now. It prints as [REDACTED]; Reveal returns it.
	if err := os.WriteFile(file, []byte(created.Secret.Reveal()), 0o600); err != nil {
		log.Fatal(err)
	}
	fmt.Println("created", created.Name, created.Secret)
	_ = os.Remove(file) // only here
	// Output: created nightly-report [REDACTED]
}

func ExamplePersonalAccessTokensService_Create() {
	ctx := context.Background()
	client := exampleClient()
	created, err := client.PersonalAccessTokens.Create(ctx, sailpoint.CreatePersonalAccessTokenRequest{
		Name:  "nightly-report",
		Scope: []string{"sp:my-personal-access-tokens:read"},
	})
	var lost *sailpoint.CreateOutcomeError
	switch {
	case errors.As(err, &lost):
		// It may exist, and nobody has its secret: look for lost.Name, delete it, and only then create again.
		log.Fatal(lost)
	case err != nil: // it doesn't exist
		log.Fatal(err)
	}
	fmt.Println(created.Name, created.Scope, created.Secret, len(created.Secret.Reveal()))
	// Output: nightly-report [sp:my-personal-access-tokens:read] [REDACTED] 64
}

func ExamplePersonalAccessTokensService_List() {
	ctx := context.Background()
	client := exampleClient()
	unused, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{
		OwnerID: sailpoint.OwnerMe,
		Filter:  sailpoint.LastUsedIsNull(),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, token := range unused {
		fmt.Println(token.Name)
	}
	// Output: old-job
}

func ExamplePersonalAccessTokensService_All() {
	ctx := context.Background()
	client := exampleClient()
	for token, err := range client.PersonalAccessTokens.All(ctx, sailpoint.ListPersonalAccessTokensOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		if slices.Contains(token.Scope, sailpoint.ScopeAll) {
			fmt.Println(token.Name, "of", token.Owner.Name, "may do everything")
		}
	}
	// Output: tenant of Support may do everything
}

func ExamplePersonalAccessTokensService_Get() {
	ctx := context.Background()
	client := exampleClient()
	token, err := client.PersonalAccessTokens.Get(ctx, "0123456789abcdef0123456789abcdef")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Name, token.Scope)
	_, err = client.PersonalAccessTokens.Get(ctx, "ffffffffffffffffffffffffffffffff")
	fmt.Println(errors.Is(err, sailpoint.ErrNotFound))
	// Output:
	// old-job [sp:scopes:default]
	// true
}

func ExamplePersonalAccessTokensService_Self() {
	ctx := context.Background()
	client := exampleClient()
	self, err := client.PersonalAccessTokens.Self(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if self.ExpirationDate == nil {
		fmt.Println(self.Name, "never expires")
	} else {
		fmt.Println(self.Name, "expires in", time.Until(*self.ExpirationDate))
	}
	// Output: tenant never expires
}

func ExamplePersonalAccessTokensService_Patch() {
	ctx := context.Background()
	client := exampleClient()
	patch := sailpoint.NewPersonalAccessTokenPatch().
		ReplaceName("nightly-report").
		ReplaceScope("sp:my-personal-access-tokens:read")
	token, err := client.PersonalAccessTokens.Patch(ctx, "0123456789abcdef0123456789abcdef", patch)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Name, token.Scope)
	// Output: nightly-report [sp:my-personal-access-tokens:read]
}

func ExamplePersonalAccessTokensService_Delete() {
	ctx := context.Background()
	client := exampleClient()
	err := client.PersonalAccessTokens.Delete(ctx, "0123456789abcdef0123456789abcdef")
	fmt.Println(err)
	err = client.PersonalAccessTokens.Delete(ctx, "0123456789abcdef0123456789abcdef")
	fmt.Println(errors.Is(err, sailpoint.ErrNotFound))
	err = client.PersonalAccessTokens.Delete(ctx, client.ClientID())
	fmt.Println(errors.Is(err, sailpoint.ErrSelf))
	// Output:
	// <nil>
	// true
	// true
}

// Tokens that nobody has used for half a year, or ever.
func ExampleListPersonalAccessTokensOptions() {
	ctx := context.Background()
	client := exampleClient()
	stale, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{
		Filter: sailpoint.LastUsedIsNull() + " or " + sailpoint.LastUsedLE(time.Now().AddDate(0, -6, 0)),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, token := range stale {
		fmt.Println(token.Name, "of", token.Owner.Name)
	}
	// Output: old-job of Support
}

func ExamplePersonalAccessTokenPatch_ReplaceExpirationDate() {
	ctx := context.Background()
	client := exampleClient(sailpoint.V2025)
	expiry := time.Now().AddDate(0, 6, 0)
	patch := sailpoint.NewPersonalAccessTokenPatch().ReplaceExpirationDate(expiry)
	token, err := client.PersonalAccessTokens.Patch(ctx, "0123456789abcdef0123456789abcdef", patch)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Name, token.ExpirationDate.Equal(expiry.Truncate(time.Millisecond)))
	// Output: old-job true
}

// NeverExpire sends null as the expiry.
func ExamplePersonalAccessTokenPatch_NeverExpire() {
	ctx := context.Background()
	client := exampleClient(sailpoint.V2025)
	patch := sailpoint.NewPersonalAccessTokenPatch().NeverExpire()
	token, err := client.PersonalAccessTokens.Patch(ctx, "0123456789abcdef0123456789abcdef", patch)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Name, token.ExpirationDate == nil, *token.UserAwareTokenNeverExpires)
	// Output: old-job true true
}

// SailPoint documents the operation remove for the expiry in a bulk update.
func ExamplePersonalAccessTokenPatch_With() {
	ctx := context.Background()
	client := exampleClient(sailpoint.V1)
	patch := sailpoint.NewPersonalAccessTokenPatch().With(
		sailpoint.PatchOperation{Op: sailpoint.OpRemove, Path: "/expirationDate"},
		sailpoint.PatchOperation{Op: sailpoint.OpReplace, Path: "/userAwareTokenNeverExpires", Value: true},
	)
	tokens, err := client.PersonalAccessTokens.BulkUpdate(ctx, []string{"0123456789abcdef0123456789abcdef"}, patch)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tokens[0].Name, tokens[0].ExpirationDate == nil)
	// Output: old-job true
}

// The value null is sent, and not left out.
func ExamplePatchOperation() {
	body, err := json.Marshal(sailpoint.PatchOperation{Op: sailpoint.OpReplace, Path: "/expirationDate", Value: nil})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(body))
	// Output: {"op":"replace","path":"/expirationDate","value":null}
}

func ExamplePersonalAccessTokensService_BulkUpdate() {
	ctx := context.Background()
	client := exampleClient(sailpoint.V1)
	ids := []string{"0123456789abcdef0123456789abcdef", client.ClientID()}
	patch := sailpoint.NewPersonalAccessTokenPatch().ReplaceExpirationDate(time.Now().AddDate(1, 0, 0))
	changed, err := client.PersonalAccessTokens.BulkUpdate(ctx, ids, patch)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(changed), "tokens expire on the same day")
	// Output: 2 tokens expire on the same day
}

func ExamplePersonalAccessTokensService_DeleteSelf() {
	ctx := context.Background()
	client := exampleClient()
	if err := client.PersonalAccessTokens.DeleteSelf(ctx); err != nil {
		log.Fatal(err)
	}
	_, err := client.PersonalAccessTokens.Self(ctx)
	fmt.Println(errors.Is(err, sailpoint.ErrInvalidCredentials))
	// Output: true
}

// The response to a Create is lost. The token exists, but nobody has its secret.
func ExampleCreateOutcomeError() {
	ctx := context.Background()
	tenant := sailpointtest.NewTenant()
	tenant.Inject(sailpointtest.Fault{Method: "POST", Path: "/v2024/personal-access-tokens", Committed: true})
	client, err := sailpoint.NewClient(tenant.Config())
	if err != nil {
		log.Fatal(err)
	}

	_, err = client.PersonalAccessTokens.Create(ctx, sailpoint.CreatePersonalAccessTokenRequest{
		Name: "nightly-report", Scope: []string{"sp:my-personal-access-tokens:read"},
	})
	var lost *sailpoint.CreateOutcomeError
	if !errors.As(err, &lost) {
		log.Fatal(err) // nil, or the token doesn't exist
	}
	mine, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
	if err != nil {
		log.Fatal(err)
	}
	for _, token := range mine {
		if token.Name == lost.Name && !token.Created.Before(lost.StartedAt) {
			fmt.Println("deleting", token.Name)
			if err := client.PersonalAccessTokens.Delete(ctx, token.ID); err != nil {
				log.Fatal(err)
			}
		}
	}
	fmt.Println(len(tenant.Tokens()), "token is left")
	// Output:
	// deleting nightly-report
	// 1 token is left
}

func ExampleSecret() {
	secret := sailpoint.NewSecret("correct horse battery staple")
	fmt.Printf("%v %#v\n", secret, secret)
	_, err := json.Marshal(secret)
	fmt.Println(err != nil, len(secret.Reveal()))
	// Output:
	// [REDACTED] [REDACTED]
	// true 28
}

func ExampleError() {
	ctx := context.Background()
	client := exampleClient()
	_, err := client.PersonalAccessTokens.Patch(ctx, "not-there", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("x"))
	var failure *sailpoint.Error
	if errors.Is(err, sailpoint.ErrNotFound) && errors.As(err, &failure) {
		fmt.Println(failure.Op, failure.StatusCode, len(failure.TrackingID), len(failure.RequestID))
	}
	// Output: PATCH /v2024/personal-access-tokens/{id} 404 32 32
}

func ExampleLastUsedLE() {
	limit := time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC)
	fmt.Println(sailpoint.LastUsedIsNull() + " or " + sailpoint.LastUsedLE(limit))
	// Output: lastUsed isnull or lastUsed le 2026-05-01T00:00:00.000Z
}

// exampleClient is a client of a tenant in memory, for the given version of the
// API or the default one. The tenant holds the client's own token and one more.
func exampleClient(version ...sailpoint.APIVersion) *sailpoint.Client {
	tenant := sailpointtest.NewTenant()
	tenant.Add(sailpoint.PersonalAccessToken{
		ID: "0123456789abcdef0123456789abcdef", Name: "old-job", Scope: []string{"sp:scopes:default"},
	})
	cfg := tenant.Config()
	cfg.APIVersion = cmp.Or(version...)
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	return client
}

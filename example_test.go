package sailpoint_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// Create a token for a job, configured by the environment or config.json.
func Example_firstProgram() {
	ctx := context.Background()

	cfg, err := sailpoint.LoadConfig() // or sailpoint.Config{BaseURL: …, ClientID: …, ClientSecret: …}
	if err != nil {
		log.Fatal(err)
	}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	created, err := client.PersonalAccessTokens.Create(ctx, sailpoint.CreatePersonalAccessTokenRequest{
		Name:           "nightly-report",
		Scope:          []string{"sp:my-personal-access-tokens:read"},
		ExpirationDate: time.Now().AddDate(0, 3, 0),
	})
	if err != nil {
		log.Fatal(err)
	}
	// The secret is shown only now. It prints as [REDACTED]; Reveal returns it.
	if err := os.WriteFile("nightly-report.secret", []byte(created.Secret.Reveal()), 0o600); err != nil {
		log.Fatal(err)
	}
	fmt.Println("created", created.ID)
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

// exampleClient is a client of a tenant in memory. The tenant holds the client's
// own token and one more.
func exampleClient() *sailpoint.Client {
	tenant := sailpointtest.NewTenant()
	tenant.Add(sailpoint.PersonalAccessToken{
		ID: "0123456789abcdef0123456789abcdef", Name: "old-job", Scope: []string{"sp:scopes:default"},
	})
	client, err := sailpoint.NewClient(tenant.Config())
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// TestSnippetsAreCompiled shows that each Go snippet of the README and guides
// also stands, line for line, in a compiled file.
func TestSnippetsAreCompiled(t *testing.T) {
	var compiled []string
	for _, name := range glob(t, "*example_test.go", "*/*example_test.go", "*/*/*example_test.go") {
		compiled = append(compiled, withoutIndent(readFile(t, name)))
	}
	count := 0
	for _, name := range glob(t, "*.md", "docs/*.md") {
		for _, snippet := range strings.Split(readFile(t, name), "```go\n")[1:] {
			snippet, _, closed := strings.Cut(snippet, "```")
			require.True(t, closed, name)
			require.True(t, slices.ContainsFunc(compiled, func(source string) bool {
				return strings.Contains(source, withoutIndent(snippet))
			}), "a snippet in %s is not compiled anywhere:\n%s", name, snippet)
			count++
		}
	}
	require.GreaterOrEqual(t, count, 2, "the README has two snippets")
}

func glob(t *testing.T, patterns ...string) (names []string) {
	t.Helper()
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		names = append(names, found...)
	}
	return names
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(content)
}

func withoutIndent(source string) string {
	var b strings.Builder
	for line := range strings.Lines(source) {
		b.WriteString(strings.TrimLeft(line, " \t"))
	}
	return b.String()
}

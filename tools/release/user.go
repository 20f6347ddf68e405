package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// userTest runs the first program of the README, and is what a user's first
// test may look like.
const userTest = `package main

import (
	"net/http/httptest"
	"testing"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestFirstProgram(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	server := httptest.NewServer(tenant)
	defer server.Close()
	cfg := tenant.Config()
	t.Setenv("SAIL_BASE_URL", server.URL)
	t.Setenv("SAIL_CLIENT_ID", cfg.ClientID)
	t.Setenv("SAIL_CLIENT_SECRET", cfg.ClientSecret.Reveal())
	main()
	if n := len(tenant.Requests()); n != 2 { // a bearer and the list
		t.Fatalf("%d requests", n)
	}
}

func TestNothingElseIsListed(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	client, err := sailpoint.NewClient(tenant.Config())
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
	if err != nil || len(tokens) != 1 {
		t.Fatalf("%d tokens, %v", len(tokens), err)
	}
}
`

// fleetTest compiles the seam between the root and redisfleet.
const fleetTest = `package main

import (
	"errors"
	"testing"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/redisfleet"
)

func TestAFleetNeedsRedis(t *testing.T) {
	if _, err := redisfleet.Join(sailpoint.Config{}, redisfleet.Options{}); !errors.Is(err, sailpoint.ErrInvalidArgument) {
		t.Fatal(err)
	}
}
`

// use gets every module as a user does, from the proxy alone.
func (r *release) use(ctx context.Context) error {
	environment, err := r.environment(ctx, "user")
	if err != nil {
		return err
	}
	program, err := firstProgram(filepath.Join(r.clone, "README.md"))
	if err != nil {
		return err
	}
	folder := filepath.Join(r.work, "user", "program")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	for name, text := range map[string]string{"main.go": program, "main_test.go": userTest, "fleet_test.go": fleetTest} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"mod", "init", "example.com/user"},
		{"get", root + "@" + r.version},
		{"get", root + "/redisfleet@" + r.version},
		{"mod", "tidy"},
		{"vet", "."},
		{"test", "."},
		{"install", root + "/cmd/sailpat@" + r.version},
		{"install", root + "/cmd/sailpat@latest"},
	} {
		if _, err := outputWith(ctx, folder, environment, "go", args...); err != nil {
			return err
		}
		fmt.Fprintln(r.stdout, "a user can: go", strings.Join(args, " "))
	}
	printed, err := output(ctx, folder, filepath.Join(r.work, "user", "bin", "sailpat"), "version")
	if err != nil {
		return err
	}
	if !strings.Contains(printed, r.version) {
		return fmt.Errorf("sailpat version prints %q without %s", printed, r.version)
	}
	return nil
}

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// firstProgram returns the first Go program of the README.
func firstProgram(readme string) (string, error) {
	text, err := os.ReadFile(readme)
	if err != nil {
		return "", err
	}
	for _, block := range goBlock.FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(block[1], "package main") {
			return block[1], nil
		}
	}
	return "", errors.New("README.md has no program that begins with package main")
}

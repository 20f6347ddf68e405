// Command quickstart creates a personal access token, lists it, changes it and
// deletes it. Then it shows an error.
//
// By default it works with a tenant in memory. To use another tenant, set
// SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET. It changes nothing
// there but its own token.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg, tenant := sailpointtest.NewTenant().Config(), "in memory"
	if os.Getenv("SAIL_BASE_URL")+os.Getenv("SAIL_CLIENT_ID")+os.Getenv("SAIL_CLIENT_SECRET") != "" {
		var err error
		if cfg, err = sailpoint.LoadConfig(); err != nil {
			return err
		}
		tenant = cfg.BaseURL
	}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		return err
	}
	fmt.Println("tenant ", tenant)
	pats := client.PersonalAccessTokens
	created, err := pats.Create(ctx, sailpoint.CreatePersonalAccessTokenRequest{
		Name: "quickstart-" + rand.Text()[:8], Scope: []string{"sp:my-personal-access-tokens:read"},
		ExpirationDate: time.Now().Add(time.Hour),
	})
	if err != nil {
		return err // if the response was lost, it says which token may exist
	}
	// The API shows the secret only once. Store created.Secret.Reveal().
	fmt.Printf("created %s %q, secret %v\n", created.ID, created.Name, created.Secret)

	err = listAndRename(ctx, pats, created)
	// The token is deleted also after a failure or an interrupt.
	if err := errors.Join(err, pats.Delete(context.WithoutCancel(ctx), created.ID)); err != nil {
		return err
	}
	fmt.Println("deleted", created.ID)
	if err = pats.Delete(ctx, created.ID); !errors.Is(err, sailpoint.ErrNotFound) {
		return errors.Join(errors.New("a second delete must fail with 404"), err)
	}
	fmt.Println("error  ", err) // it has the tracking id, for SailPoint's support
	return nil
}

func listAndRename(ctx context.Context, pats *sailpoint.PersonalAccessTokensService, created *sailpoint.CreatePersonalAccessTokenResponse) error {
	mine, err := pats.List(ctx, sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
	if err != nil {
		return err
	}
	fmt.Printf("listed  you have %d of at most 10 tokens\n", len(mine))
	patched, err := pats.Patch(ctx, created.ID, sailpoint.NewPersonalAccessTokenPatch().ReplaceName(created.Name+"-renamed"))
	if err == nil {
		fmt.Printf("patched %s is now %q\n", patched.ID, patched.Name)
	}
	return err
}

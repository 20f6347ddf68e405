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
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/examples/internal/target"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	cfg, memory, err := target.Config()
	if err != nil {
		return err
	}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		return err
	}
	if memory != nil {
		fmt.Fprintln(out, "tenant    in memory (to use another, set SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET)")
	} else {
		fmt.Fprintln(out, "tenant   ", cfg.BaseURL)
	}
	pats := client.PersonalAccessTokens

	name := "quickstart-" + rand.Text()[:8]
	created, err := pats.Create(ctx, sailpoint.CreatePersonalAccessTokenRequest{
		Name:           name,
		Scope:          []string{"sp:my-personal-access-tokens:read"},
		ExpirationDate: time.Now().Add(time.Hour),
	})
	if errors.Is(err, sailpoint.ErrOutcomeUnknown) { // the token may exist, but its secret is lost
		return errors.Join(err, deleteNamed(context.WithoutCancel(ctx), pats, name))
	}
	if err != nil {
		return err
	}
	// The API shows the secret only once. Store created.Secret.Reveal().
	fmt.Fprintf(out, "created   %s %q, secret %v\n", created.ID, created.Name, created.Secret)

	err = listAndPatch(ctx, pats, created.ID, name+"-renamed", out)
	if err := errors.Join(err, pats.Delete(context.WithoutCancel(ctx), created.ID)); err != nil {
		return err
	}
	fmt.Fprintln(out, "deleted  ", created.ID)

	_, err = pats.Patch(ctx, created.ID, sailpoint.NewPersonalAccessTokenPatch().ReplaceName("too late"))
	var failure *sailpoint.Error
	if !errors.Is(err, sailpoint.ErrNotFound) || !errors.As(err, &failure) {
		return errors.Join(errors.New("patching a deleted token did not return ErrNotFound"), err)
	}
	fmt.Fprintln(out, "error    ", err)
	fmt.Fprintln(out, "          tracking id, for SailPoint's support:", failure.TrackingID)
	return nil
}

func listAndPatch(ctx context.Context, pats *sailpoint.PersonalAccessTokensService, id, newName string, out io.Writer) error {
	unused, err := pats.List(ctx, sailpoint.ListPersonalAccessTokensOptions{
		OwnerID: sailpoint.OwnerMe, Filter: sailpoint.LastUsedIsNull(),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listed    %d of your tokens were never used\n", len(unused))

	stale := 0
	// All yields the tokens in a loop and holds one at a time.
	for _, err := range pats.All(ctx, sailpoint.ListPersonalAccessTokensOptions{
		OwnerID: sailpoint.OwnerMe, Filter: sailpoint.LastUsedLE(time.Now().AddDate(0, 0, -90)),
	}) {
		if err != nil {
			return err
		}
		stale++
	}
	fmt.Fprintf(out, "listed    %d of your tokens were last used 90 days ago or earlier\n", stale)

	patched, err := pats.Patch(ctx, id, sailpoint.NewPersonalAccessTokenPatch().ReplaceName(newName))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "patched   %s is now %q\n", patched.ID, patched.Name)
	return nil
}

func deleteNamed(ctx context.Context, pats *sailpoint.PersonalAccessTokensService, name string) error {
	mine, err := pats.List(ctx, sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
	for _, pat := range mine {
		if pat.Name == name {
			err = errors.Join(err, pats.Delete(ctx, pat.ID))
		}
	}
	return err
}

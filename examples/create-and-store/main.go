// Command create-and-store creates a personal access token and stores its
// secret in a file. A lost response or a crash can't lose the secret. If the
// file already holds a working token, the command creates nothing, so it is
// always safe to run it again.
//
//	create-and-store -store deploy.json
//
// It needs SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET, or config.json.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

func main() {
	path := flag.String("store", "deploy.json", "`FILE` for the token's id and secret")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := createAndStore(ctx, lifecycle.FileStore{Path: *path})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // the message says which tokens are left, and what to do
		os.Exit(1)
	}
}

// createAndStore works with any store, such as those of lifecycle/vaultstore,
// kubestore and sqlstore.
func createAndStore(ctx context.Context, store lifecycle.Store) error {
	cfg, err := sailpoint.LoadConfig()
	if err != nil {
		return err
	}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		return err
	}
	result, err := lifecycle.Issue(ctx, client, sailpoint.CreatePersonalAccessTokenRequest{
		Name:           "deploy",
		Scope:          []string{"sp:my-personal-access-tokens:manage"}, // so that it can rotate itself
		ExpirationDate: time.Now().AddDate(0, 3, 0),
	}, store)
	if err != nil {
		return err
	}
	slog.Info(string(result.Outcome), "id", result.Token.ID, "name", result.Token.Name, "left", result.Left, "warning", result.Warning)
	return nil
}

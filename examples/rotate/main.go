// Command rotate replaces a stored token when it is 30 days old. Run it every
// day. Most days it changes nothing. It also finishes whatever an interrupted
// run left undone.
//
//	SAIL_BASE_URL=https://acme.api.identitynow.com rotate -store deploy.json
//
// The file holds a token that examples/create-and-store made. The token rotates
// itself, so no other credentials are needed.
package main

import (
	"context"
	"errors"
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
	path := flag.String("store", "deploy.json", "`FILE` that holds the token's id and secret")
	age := flag.Duration("older", 30*24*time.Hour, "replace the token at this age")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := rotate(ctx, os.Getenv("SAIL_BASE_URL"), lifecycle.FileStore{Path: *path}, *age)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // the message says which tokens are left, and what to do
		os.Exit(1)
	}
}

// rotate works with any store, such as those of lifecycle/vaultstore, kubestore
// and sqlstore.
func rotate(ctx context.Context, baseURL string, store lifecycle.Store, age time.Duration) error {
	stored, err := store.Load(ctx)
	if err == nil && stored.ID == "" {
		err = errors.New("the store is empty: run examples/create-and-store")
	}
	if err != nil {
		return err
	}
	client, err := sailpoint.NewClient(sailpoint.Config{BaseURL: baseURL, ClientID: stored.ID, ClientSecret: stored.Secret})
	if err != nil {
		return err
	}
	result, err := lifecycle.Rotate(ctx, client, store, lifecycle.RotateOptions{IfOlderThan: age})
	if err != nil {
		return err
	}
	slog.Info(string(result.Outcome), "id", result.Token.ID, "name", result.Token.Name, "left", result.Left, "warning", result.Warning)
	return nil
}

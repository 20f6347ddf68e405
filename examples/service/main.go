// Command service is a web service that uses a stored token. It keeps working
// when another program, such as examples/rotate, replaces that token. It needs
// no restart.
//
//	SAIL_BASE_URL=https://acme.api.identitynow.com service -store deploy.json
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

func main() {
	path := flag.String("store", "deploy.json", "`FILE` that holds the token's id and secret")
	addr := flag.String("addr", "127.0.0.1:8080", "listen on `HOST:PORT`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	client, err := newClient(ctx, os.Getenv("SAIL_BASE_URL"), lifecycle.FileStore{Path: *path})
	if err == nil {
		err = serve(ctx, *addr, countTokens(client))
	}
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// newClient returns a client that loads the stored token for each new bearer.
func newClient(ctx context.Context, baseURL string, store lifecycle.Store) (*sailpoint.Client, error) {
	stored, err := store.Load(ctx)
	if err == nil && stored.ID == "" {
		err = errors.New("the store is empty: run examples/create-and-store")
	}
	if err != nil {
		return nil, err
	}
	initial, err := sailpoint.NewClient(sailpoint.Config{BaseURL: baseURL, ClientID: stored.ID, ClientSecret: stored.Secret})
	if err != nil {
		return nil, err
	}
	return sailpoint.NewClient(sailpoint.Config{BaseURL: baseURL, TokenSource: lifecycle.TokenSource(initial, store)})
}

func countTokens(client *sailpoint.Client) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		mine, err := client.PersonalAccessTokens.List(req.Context(), sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
		if err != nil {
			log.Print(err)
			http.Error(w, "the call failed: see the log", http.StatusBadGateway)
			return
		}
		fmt.Fprintln(w, "tokens:", len(mine))
	}
}

// serve serves handler until ctx ends. Then it waits for the requests in
// progress.
func serve(ctx context.Context, addr string, handler http.Handler) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	log.Printf("listening on http://%s", listener.Addr())
	server := &http.Server{Handler: handler, ReadTimeout: 30 * time.Second, WriteTimeout: 3 * time.Minute}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() { stopped <- server.Shutdown(context.WithoutCancel(ctx)) })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

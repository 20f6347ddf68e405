// Command other-api calls another SailPoint API with the bearer of a client of
// this module. The client renews the bearer.
//
//	other-api '/v2024/public-identities?limit=1'
//
// It needs SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET, or config.json.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/oauth2"

	"github.com/sailpoint-go/sailpoint"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := get(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bearers makes a client a source of bearers for golang.org/x/oauth2.
type bearers struct {
	ctx    context.Context
	client *sailpoint.Client
}

// Token implements oauth2.TokenSource.
func (b bearers) Token() (*oauth2.Token, error) {
	token, err := b.client.AccessToken(b.ctx, sailpoint.Secret{})
	return &oauth2.Token{AccessToken: token.Bearer.Reveal(), Expiry: token.Expiry}, err
}

func get(ctx context.Context, args []string) error {
	if len(args) != 1 || !strings.HasPrefix(args[0], "/") {
		return errors.New("usage: other-api /PATH")
	}
	cfg, err := sailpoint.LoadConfig()
	if err != nil {
		return err
	}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		return err
	}
	other := &http.Client{
		Timeout:   time.Minute,
		Transport: &oauth2.Transport{Source: bearers{ctx, client}, Base: sailpoint.NewTransport()},
		// Otherwise the transport would send the bearer to any host of a redirect.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(cfg.BaseURL, "/")+args[0], nil)
	if err != nil {
		return err
	}
	resp, err := other.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(req.URL.Path + ": " + resp.Status)
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

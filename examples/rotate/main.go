// Command rotate keeps the secret of one token in a file, and replaces the token once a month. It is to be run every
// day: most days it does nothing, and it finishes whatever an earlier run left undone, however that ended.
//
//	rotate [-name NAME] [-store FILE] [-scope SCOPES] [-older DURATION] [-grace DURATION] [-own]
//
// Without an environment it works with a tenant in memory and a file that it removes again; with SAIL_BASE_URL,
// SAIL_CLIENT_ID and SAIL_CLIENT_SECRET with that tenant. With -own it works with the token that it rotates, as soon as
// there is one in the file: then the token in the environment is needed once.
//
// It exits with 0 if a secret that works is stored and nothing is to be done, with 1 if it did not get there and the
// next run will go on from here, with 2 if it was called wrongly, and with 3 if a person has to do what it prints.
//
// A secret store takes the place of the file by two methods, Load and Save: see the example of lifecycle.Store.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/examples/internal/target"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// job is what the flags say.
type job struct {
	name, path, scope string
	own               bool
	opts              lifecycle.RotateOptions
}

// run returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var j job
	flags := flag.NewFlagSet("rotate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&j.name, "name", "deploy", "the token's `NAME`")
	flags.StringVar(&j.path, "store", "deploy.json", "the `FILE` that its secret is kept in")
	flags.StringVar(&j.scope, "scope", "sp:my-personal-access-tokens:manage", "its `SCOPES`, separated by spaces")
	flags.DurationVar(&j.opts.IfOlderThan, "older", 30*24*time.Hour, "replace it when it is this old")
	flags.DurationVar(&j.opts.Grace, "grace", 0, "keep the old one valid for so long")
	flags.BoolVar(&j.own, "own", false, "work with the token itself")
	if code, done := target.Parse(flags, args); done {
		return code
	}

	result, err := j.run(ctx, stderr)
	if err != nil {
		fmt.Fprintln(stderr, err) // says what is left, and what to do
		return exitCode(err)
	}
	fmt.Fprintf(stdout, "%s: %s, %q\n", result.Outcome, result.Token.ID, result.Token.Name)
	if result.Outcome == lifecycle.OutcomePending {
		fmt.Fprintf(stdout, "%s stays valid until %s\n", result.Replaced, result.RetireAt.UTC().Format(time.DateTime))
	}
	for _, left := range result.Left {
		fmt.Fprintln(stdout, left)
	}
	if result.Warning != "" {
		fmt.Fprintln(stdout, result.Warning)
	}
	return 0
}

func (j *job) run(ctx context.Context, stderr io.Writer) (*lifecycle.Result, error) {
	cfg, memory, err := target.Config()
	if err != nil {
		return nil, err
	}
	store := lifecycle.FileStore{Path: j.path}
	if memory != nil {
		folder, err := os.MkdirTemp("", "rotate")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(folder) }()
		store.Path = filepath.Join(folder, "deploy.json")
		fmt.Fprintln(stderr, "a tenant in memory, with a token that is 40 days old")
		id, secret := memory.Add(sailpoint.PersonalAccessToken{
			Name: j.name, Scope: strings.Fields(j.scope), Created: time.Now().AddDate(0, 0, -40),
		})
		if err := store.Save(ctx, lifecycle.Credential{ID: id, Secret: secret}); err != nil {
			return nil, err
		}
	}
	if j.own {
		stored, err := store.Load(ctx)
		if err != nil {
			return nil, err
		}
		if stored.ID != "" {
			cfg.ClientID, cfg.ClientSecret = stored.ID, stored.Secret
		}
	}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		return nil, err
	}

	// The first time, and whenever somebody has deleted the token.
	issued, err := lifecycle.Issue(ctx, client, sailpoint.CreatePersonalAccessTokenRequest{
		Name: j.name, Scope: strings.Fields(j.scope),
	}, store)
	if err != nil || issued.Outcome == lifecycle.OutcomeIssued {
		return issued, err
	}
	return lifecycle.Rotate(ctx, client, store, j.opts)
}

// exitCode says whether the next run can do better by itself.
func exitCode(err error) int {
	switch {
	case errors.Is(err, sailpoint.ErrInvalidArgument):
		return 2
	case errors.Is(err, lifecycle.ErrNewSecretRejected):
		return 1 // the new secret, not the client's: a tenant may know it late
	}
	for _, settled := range []error{
		lifecycle.ErrNoFreeSlot, lifecycle.ErrNameTaken, lifecycle.ErrStoredCredential, lifecycle.ErrNotListed, lifecycle.ErrManaged,
		lifecycle.ErrNotAsRequested,
		sailpoint.ErrInvalidCredentials, sailpoint.ErrUnauthorized, sailpoint.ErrForbidden, sailpoint.ErrBadRequest,
	} {
		if errors.Is(err, settled) {
			return 3
		}
	}
	return 1
}

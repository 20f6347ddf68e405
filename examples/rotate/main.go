// Command rotate keeps the secret of one token in a file, and replaces the
// token once a month. Run it every day. Most days it does nothing. It also
// finishes whatever an interrupted run left undone.
//
//	rotate [-name NAME] [-store FILE] [-scope SCOPES] [-older DURATION] [-grace DURATION] [-own]
//
// By default it works with a tenant in memory and a temporary file. To use
// another tenant, set SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET.
// With -own it uses the token that it rotates as soon as the file holds one.
// Then the token in the environment is needed only once.
//
// The exit code is:
//
//	0  a secret that works is stored, and nothing is left to do
//	1  the run did not finish; the next run continues
//	2  the command line is wrong
//	3  a person has to do what the message says
//
// To use a secret store instead of the file, implement Load and Save. See the
// example of lifecycle.Store.
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

// job holds the values of the flags.
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
	flags.StringVar(&j.name, "name", "deploy", "`NAME` of the token")
	flags.StringVar(&j.path, "store", "deploy.json", "`FILE` that holds the secret")
	flags.StringVar(&j.scope, "scope", "sp:my-personal-access-tokens:manage", "`SCOPES` of the token, separated by spaces")
	flags.DurationVar(&j.opts.IfOlderThan, "older", 30*24*time.Hour, "replace the token at this age")
	flags.DurationVar(&j.opts.Grace, "grace", 0, "keep the old token valid for this long")
	flags.BoolVar(&j.own, "own", false, "use the token in the file as the client's credentials")
	if code, done := target.Parse(flags, args); done {
		return code
	}

	result, err := j.run(ctx, stderr)
	if err != nil {
		fmt.Fprintln(stderr, err) // the message says what is left, and what to do
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
		fmt.Fprintln(stderr, "using a tenant in memory, with a token that is 40 days old")
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

	// Issue creates the token on the first run, or after someone has deleted it.
	issued, err := lifecycle.Issue(ctx, client, sailpoint.CreatePersonalAccessTokenRequest{
		Name: j.name, Scope: strings.Fields(j.scope),
	}, store)
	if err != nil || issued.Outcome == lifecycle.OutcomeIssued {
		return issued, err
	}
	return lifecycle.Rotate(ctx, client, store, j.opts)
}

// exitCode returns 1 if the next run may succeed by itself.
func exitCode(err error) int {
	switch {
	case errors.Is(err, sailpoint.ErrInvalidArgument):
		return 2
	case errors.Is(err, lifecycle.ErrNewSecretRejected):
		return 1 // a tenant may accept a new secret late
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

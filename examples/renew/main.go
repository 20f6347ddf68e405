// Command renew moves the expiry of the tokens that are about to expire. It only says which ones, unless it is told to
// apply. Secrets stay as they are: where one may have leaked, rotate the token instead.
//
//	renew [-apply] [-within DAYS] [-days DAYS | -never-expires] [-owner ID]
//
// Without an environment it works with a tenant in memory; with SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET
// with that one. -owner me needs no right to other people's tokens.
//
// It exits with 0 if nothing is left to be done, with 1 if it could not begin or was interrupted, with 2 if it was
// called wrongly, and with 3 if some tokens could not be renewed: the next run of a cron job tries these again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
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

// run returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var opts lifecycle.RenewOptions
	flags := flag.NewFlagSet("renew", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&opts.Apply, "apply", false, "renew, instead of saying what would be renewed")
	within := flags.Int("within", 30, "renew what expires within `DAYS`")
	days := flags.Int("days", 180, "let the tokens last `DAYS` from now on")
	flags.BoolVar(&opts.NeverExpires, "never-expires", false, "let the tokens last for ever, instead of -days")
	flags.StringVar(&opts.OwnerID, "owner", "", "look at the tokens of the identity with this `ID` only, or at your own with me")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	opts.Within = time.Duration(*within) * 24 * time.Hour
	if !opts.NeverExpires {
		opts.Lifetime = time.Duration(*days) * 24 * time.Hour
	}

	changes, err := renew(ctx, stderr, opts)
	counts := map[lifecycle.Status]int{}
	for _, c := range changes {
		counts[c.Status]++
		because := c.Reason
		if c.Err != nil {
			because = c.Err.Error()
		}
		expiry := "never"
		if c.Token.ExpirationDate != nil {
			expiry = c.Token.ExpirationDate.UTC().Format(time.DateOnly)
		}
		// Names are quoted: one may hold what a terminal takes for a command.
		fmt.Fprintln(stdout, strings.TrimSpace(fmt.Sprintf("%-8s %s %q of %q expires %s  %s", c.Status, c.Token.ID, c.Token.Name, c.Token.Owner.Name, expiry, because)))
	}
	if err == nil || len(changes) > 0 {
		fmt.Fprintf(stdout, "%d chosen: %d planned, %d renewed, %d gone, %d skipped, %d failed, %d unknown\n", len(changes),
			counts[lifecycle.Planned], counts[lifecycle.Renewed], counts[lifecycle.Gone],
			counts[lifecycle.Skipped], counts[lifecycle.Failed], counts[lifecycle.Unknown])
	}
	switch {
	case errors.Is(err, sailpoint.ErrInvalidArgument):
		fmt.Fprintln(stderr, "renew:", err)
		return 2
	case err != nil:
		fmt.Fprintln(stderr, "renew:", err)
		return 1
	case counts[lifecycle.Failed]+counts[lifecycle.Unknown] > 0:
		return 3
	case counts[lifecycle.Planned] > 0:
		fmt.Fprintln(stdout, "nothing was renewed: say -apply")
	}
	return 0
}

func renew(ctx context.Context, stderr io.Writer, opts lifecycle.RenewOptions) ([]lifecycle.Change, error) {
	// Of the versions only this one renews other people's tokens.
	client, err := target.SeededClient(stderr, sailpoint.V1)
	if err != nil {
		return nil, err
	}
	return lifecycle.Renew(ctx, client, opts)
}

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
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
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
	if code, done := target.Parse(flags, args); done {
		return code
	}
	if most := 100 * 365; max(*within, *days) > most { // a Duration of many more would begin anew at 0
		fmt.Fprintf(stderr, "renew: %d days at most\n", most)
		return 2
	}
	opts.Within = time.Duration(*within) * 24 * time.Hour
	if !opts.NeverExpires {
		opts.Lifetime = time.Duration(*days) * 24 * time.Hour
	}

	changes, err := renew(ctx, stderr, opts)
	return target.PrintChanges(stdout, stderr, changes, err)
}

func renew(ctx context.Context, stderr io.Writer, opts lifecycle.RenewOptions) ([]lifecycle.Change, error) {
	// Of the versions only this one renews other people's tokens.
	client, err := target.SeededClient(stderr, sailpoint.V1)
	if err != nil {
		return nil, err
	}
	return lifecycle.Renew(ctx, client, opts)
}

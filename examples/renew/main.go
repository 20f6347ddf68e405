// Command renew moves the expiry of tokens that expire soon. Without -apply it
// only prints them. The secrets stay the same. If a secret may have leaked,
// rotate its token instead.
//
//	renew [-apply] [-within DAYS] [-days DAYS | -never-expires] [-owner ID]
//
// By default it works with a tenant in memory. To use another tenant, set
// SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET. With -owner me it needs
// no right to other people's tokens.
//
// The exit code is:
//
//	0  nothing is left to do
//	1  the run could not begin, or was interrupted
//	2  the command line is wrong
//	3  some tokens could not be renewed; the next run tries them again
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
	flags.BoolVar(&opts.Apply, "apply", false, "renew the tokens; without it, only print them")
	within := flags.Int("within", 30, "renew tokens that expire within this number of `DAYS`")
	days := flags.Int("days", 180, "renew for this number of `DAYS` from now")
	flags.BoolVar(&opts.NeverExpires, "never-expires", false, "let the tokens never expire; -days is ignored")
	flags.StringVar(&opts.OwnerID, "owner", "", "renew only the tokens of the identity `ID`; me means your own")
	if code, done := target.Parse(flags, args); done {
		return code
	}
	if most := 100 * 365; max(*within, *days) > most { // a longer time could overflow a Duration
		fmt.Fprintf(stderr, "renew: -within and -days must be at most %d\n", most)
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
	// V1 is the only version that renews other people's tokens.
	client, err := target.SeededClient(stderr, sailpoint.V1)
	if err != nil {
		return nil, err
	}
	return lifecycle.Renew(ctx, client, opts)
}

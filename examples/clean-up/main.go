// Command clean-up deletes the tokens that have expired or that nobody uses.
// Without -apply it only prints them. Its test, main_test.go, shows how to test
// a program with a tenant in memory that has faults.
//
//	clean-up [-apply]
//
// It needs SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET, or config.json.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

func main() {
	apply := flag.Bool("apply", false, "delete the tokens; without it, only print them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	cfg, err := sailpoint.LoadConfig()
	if err == nil {
		err = cleanUp(ctx, cfg, *apply, os.Stdout)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cleanUp(ctx context.Context, cfg sailpoint.Config, apply bool, out io.Writer) error {
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		return err
	}
	found, err := lifecycle.Audit(ctx, client, lifecycle.AuditPolicy{StaleAfter: 180 * 24 * time.Hour})
	if err != nil {
		return err
	}
	changes, err := lifecycle.Prune(ctx, client, found, lifecycle.PruneOptions{
		Kinds: []lifecycle.Kind{lifecycle.FindingExpired, lifecycle.FindingStale, lifecycle.FindingNeverUsed},
		Apply: apply,
	})
	for _, c := range changes { // check each: err is nil even if every deletion failed
		// %q, because a name may hold control sequences for the terminal.
		fmt.Fprintf(out, "%s\t%s\t%q\t%q\t%s\n", c.Status, c.Token.ID, c.Token.Name, c.Token.Owner.Name, c.Reason)
		if c.Err != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", c.Token.ID, c.Err))
		}
	}
	return err
}

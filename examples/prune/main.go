// Command prune deletes the tokens that nobody uses. It only says which ones, unless it is told to apply.
//
//	prune [-apply] [-kinds KINDS] [-max N] [-owner ID]
//
// Without an environment it works with a tenant in memory; with SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET
// with that one. -owner me needs no right to other people's tokens.
//
// It exits with 0 if nothing is left to be done, with 1 if it could not begin or was interrupted, with 2 if it was
// called wrongly, and with 3 if some tokens could not be deleted: the next run of a cron job tries these again.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

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
	opts := lifecycle.PruneOptions{Kinds: []lifecycle.Kind{lifecycle.FindingNeverUsed, lifecycle.FindingStale, lifecycle.FindingExpired}}
	flags := flag.NewFlagSet("prune", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&opts.Apply, "apply", false, "delete, instead of saying what would be deleted")
	flags.IntVar(&opts.MaxDeletions, "max", 0, "delete at most `N` tokens; 0: 100")
	owner := flags.String("owner", "", "look at the tokens of the identity with this `ID` only, or at your own with me")
	flags.Func("kinds", "delete what has findings of these `KINDS`, separated by commas (default never-used,stale,expired)",
		func(value string) (err error) {
			opts.Kinds, err = target.Kinds(value)
			return err
		})
	if code, done := target.Parse(flags, args); done {
		return code
	}
	if opts.Apply && isTerminal(stderr) {
		opts.Progress = func(done, total int, _ lifecycle.Change) { fmt.Fprint(stderr, bar(done, total)) }
	}

	changes, err := prune(ctx, stderr, *owner, opts)
	return target.PrintChanges(stdout, stderr, changes, err)
}

func prune(ctx context.Context, stderr io.Writer, owner string, opts lifecycle.PruneOptions) ([]lifecycle.Change, error) {
	client, err := target.SeededClient(stderr, sailpoint.V2024)
	if err != nil {
		return nil, err
	}
	found, err := lifecycle.Audit(ctx, client, lifecycle.AuditPolicy{OwnerID: owner})
	if err != nil {
		return nil, err
	}
	return lifecycle.Prune(ctx, client, found, opts)
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// bar is drawn over the one before it, and ends its line when all is done.
func bar(done, total int) string {
	const width = 40
	full := done * width / total
	end := ""
	if done == total {
		end = "\n"
	}
	return fmt.Sprintf("\r[%s%s] %d/%d%s", strings.Repeat("#", full), strings.Repeat(".", width-full), done, total, end)
}

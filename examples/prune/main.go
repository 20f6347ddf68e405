// Command prune deletes the tokens that nobody uses. Without -apply it only
// prints them.
//
//	prune [-apply] [-kinds KINDS] [-max N] [-owner ID]
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
//	3  some tokens could not be deleted; the next run tries them again
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
	flags.BoolVar(&opts.Apply, "apply", false, "delete the tokens; without it, only print them")
	flags.IntVar(&opts.MaxDeletions, "max", 0, "delete at most `N` tokens; 0 means 100")
	owner := flags.String("owner", "", "prune only the tokens of the identity `ID`; me means your own")
	flags.Func("kinds", "delete tokens with findings of these `KINDS`, a comma-separated list (default never-used,stale,expired)",
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

// bar returns a progress bar. It overwrites the bar before it, and ends the
// line when all is done.
func bar(done, total int) string {
	const width = 40
	full := done * width / total
	end := ""
	if done == total {
		end = "\n"
	}
	return fmt.Sprintf("\r[%s%s] %d/%d%s", strings.Repeat("#", full), strings.Repeat(".", width-full), done, total, end)
}

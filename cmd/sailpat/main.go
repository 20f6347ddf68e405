// Command sailpat looks after the personal access tokens of SailPoint Identity
// Security Cloud, by hand, from cron and for dashboards. See docs/sailpat.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	s := streams{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inTerminal: isTerminal(os.Stdin), outTerminal: isTerminal(os.Stdout), errTerminal: isTerminal(os.Stderr),
	}
	s.width, _, _ = term.GetSize(int(os.Stdout.Fd())) // 0 if it is no terminal
	code := run(ctx, os.Args[1:], os.Getenv, s, nil)
	stop()
	os.Exit(code)
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

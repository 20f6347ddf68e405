// Command sailpat looks after the personal access tokens of SailPoint Identity
// Security Cloud, by hand, from cron and for dashboards. See docs/sailpat.md.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	s := streams{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inTerminal: isTerminal(os.Stdin), outTerminal: isTerminal(os.Stdout), errTerminal: isTerminal(os.Stderr),
	}
	s.width, _, _ = term.GetSize(int(os.Stdout.Fd())) // 0 if it is no terminal
	os.Exit(run(ctx, os.Args[1:], os.Getenv, s, nil))
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// streams are the standard streams. width is that of the terminal at out.
type streams struct {
	in                                   io.Reader
	out, err                             io.Writer
	inTerminal, outTerminal, errTerminal bool
	width                                int
}

// app is one run of the command. The fields after needsStored are flags.
type app struct {
	streams
	env         func(name string) string
	transport   http.RoundTripper // nil selects the client's default
	begun       bool              // the command line was valid
	needsStored bool              // the command can't work with an empty store

	version                        sailpoint.APIVersion
	timeout                        time.Duration
	rate                           float64
	store, logFormat, format, file string
	demo, quiet, apply, yes        bool
	verbose                        int
}

// run returns the exit code.
func run(ctx context.Context, args []string, env func(name string) string, s streams, transport http.RoundTripper) int {
	a := &app{streams: s, env: env, transport: transport, format: "table"}
	root := a.rootCommand()
	root.SetArgs(append([]string{}, args...)) // nil would select os.Args
	root.SetOut(s.out)
	root.SetErr(s.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.begun {
		err = usageError(fmt.Sprintf("%v: run %q for help", err, cmd.CommandPath()+" --help"))
	}
	if err != nil && ctx.Err() != nil && !errors.As(err, new(outcome)) {
		err = fmt.Errorf("interrupted: %w", err)
	}
	code := exitCode(err)
	// With --quiet a failure that may pass isn't printed, except to a person and
	// after a signal.
	if err != nil && !errors.As(err, new(outcome)) && (!a.quiet || code != exitAgain || a.errTerminal || ctx.Err() != nil) {
		text := escape(errorText(err), "")
		if a.logFormat == "json" {
			a.logger().Error(text, "command", cmd.CommandPath(), "exitCode", code)
		} else {
			fmt.Fprintf(a.err, "%s: %s\n", cmd.CommandPath(), text)
		}
	}
	return code
}

func (a *app) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: []slog.Level{slog.LevelError, slog.LevelInfo, slog.LevelDebug}[min(a.verbose, 2)]}
	if a.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.err, options))
	}
	return slog.New(slog.NewTextHandler(a.err, options))
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sailpat",
		Short: "Look after the personal access tokens of SailPoint Identity Security Cloud",
		Long: `sailpat looks after the personal access tokens (PATs) of SailPoint Identity
Security Cloud, by hand, from cron and for dashboards.

It reads SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET, or else the file
config.json in the working directory. If --store holds a credential, it uses
that, and needs only SAIL_BASE_URL.

Exit codes:
  0  done
  1  failed, and the next run may do better
  2  the command line or the settings are wrong
  3  a person has to look`,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs, SuggestionsMinimumDistance: 2,
		RunE: func(root *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name a command")
			}
			if similar := root.SuggestionsFor(args[0]); len(similar) > 0 {
				return fmt.Errorf("unknown command %q (did you mean %s?)", args[0], strings.Join(similar, " or "))
			}
			return fmt.Errorf("unknown command %q", args[0])
		},
	}
	flags := root.PersistentFlags()
	choiceFlag(flags, (*string)(&a.version), "api-version", "", "`VERSION` of the API: %s (default v2024, and v1 for renew)",
		"v3", "beta", "v2024", "v2025", "v2026", "v1")
	durationFlag(flags, &a.timeout, "timeout", 10*time.Minute, "end after this `TIME`; 0 means never")
	flags.Float64Var(&a.rate, "rate", 10, "send at most `N` requests a second; the API accepts 10")
	flags.StringVar(&a.store, "store", "", "`STORE` of a credential: file:PATH, vault:MOUNT/PATH, kubernetes:NAMESPACE/NAME or exec:COMMAND")
	flags.BoolVar(&a.demo, "demo", false, "use an invented tenant in memory, and mark every output DEMO")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print only what a person has to look at")
	flags.CountVarP(&a.verbose, "verbose", "v", "log waits and new bearers to standard error; -vv logs each request too")
	root.MarkFlagsMutuallyExclusive("store", "demo")
	choiceFlag(flags, &a.logFormat, "log-format", "", "`FORMAT` of the log: %s (default text)", "text", "json")
	for _, add := range []func(root *cobra.Command){
		a.addList, a.addGet, a.addCreate, a.addPatch, a.addDelete, a.addIssue, a.addRotate, a.addAudit, a.addPrune, a.addRenew, a.addBearer,
	} {
		add(root)
	}
	root.AddCommand(&cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			a.begun = true
			_, err := fmt.Fprintf(a.out, "sailpat %s (%s, %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	})
	return root
}

// action is what a command does with a tenant. Its result is written even if
// there is an error. A nil result writes nothing.
type action func(ctx context.Context, s *session, args []string) (*result, error)

// add adds a command that works with a tenant, and has an output in formats.
// Each word after the first one of its use is an argument.
func (a *app) add(root *cobra.Command, use, short, more, formats string, do action) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: strings.TrimSpace(short + ".\n\n" + more), Args: cobra.ExactArgs(strings.Count(use, " ")),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.begun = true
			ctx := cmd.Context()
			if a.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, a.timeout)
				defer cancel()
			}
			err := a.carryOut(ctx, cmd, args, do)
			if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
				err = fmt.Errorf("the time of --timeout has passed: %w", err)
			}
			if errors.Is(err, sailpoint.ErrForbidden) && !errors.As(err, new(*lifecycle.Error)) { // which says what to do
				err = fmt.Errorf("%w: run %q to see which right it needs", err, cmd.CommandPath()+" --help")
			}
			return err
		},
	}
	if formats != "" {
		choiceFlag(cmd.Flags(), &a.format, "output", "o", "`FORMAT` of the output: %s (default table)", strings.Fields(formats)...)
		cmd.Flags().StringVar(&a.file, "file", "", "write the output to `PATH`, which is replaced as a whole")
	}
	root.AddCommand(cmd)
	return cmd
}

func (a *app) carryOut(ctx context.Context, cmd *cobra.Command, args []string, do action) error {
	if err := a.checkFlags(cmd.Flags()); err != nil {
		return err
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	r, err := do(ctx, s, args)
	return cmp.Or(a.write(s, r), err)
}

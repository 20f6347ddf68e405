package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sailpoint-go/sailpoint"
)

// streams are the standard streams. width is that of the terminal at out.
type streams struct {
	in                                   io.Reader
	out, err                             io.Writer
	inTerminal, outTerminal, errTerminal bool
	width                                int
}

// app is one run of the command.
type app struct {
	streams
	env       func(name string) string
	transport http.RoundTripper // nil selects the client's default
	begun     bool               // the command line was valid
	cancel    context.CancelFunc // ends the time that --timeout allows

	// These are the flags of every command.
	version       sailpoint.APIVersion
	timeout       time.Duration
	rate          float64
	store         string
	demo, quiet   bool
	verbose       int
	logFormat     string
	format, file  string // of the commands with output
	yes           bool   // of the commands that ask
}

// run returns the exit code.
func run(ctx context.Context, args []string, env func(name string) string, s streams, transport http.RoundTripper) int {
	a := &app{streams: s, env: env, transport: transport, cancel: func() {}}
	root := a.command()
	root.SetArgs(append([]string{}, args...)) // nil would select os.Args
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	cmd, err := root.ExecuteContextC(ctx)
	a.cancel()
	if err == nil {
		return exitDone
	}
	code := exitCode(err)
	if !a.begun {
		code = exitUsage
		err = fmt.Errorf("%w: run %q for help", err, cmd.CommandPath()+" --help")
	}
	a.report(ctx, cmd.CommandPath(), code, err)
	return code
}

// report prints why a command failed. With --quiet it doesn't print what the
// next run may do better, unless a signal ended the command.
func (a *app) report(ctx context.Context, command string, code int, err error) {
	var already outcome
	if errors.As(err, &already) || a.quiet && code == exitAgain && ctx.Err() == nil {
		return
	}
	text := escape(strings.ReplaceAll(err.Error(), "\n", "; "), "")
	if a.logFormat == "json" {
		a.logger().Error(text, "command", command, "exitCode", code)
		return
	}
	fmt.Fprintf(a.err, "%s: %s\n", command, text)
}

func (a *app) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: []slog.Level{slog.LevelError, slog.LevelInfo, slog.LevelDebug}[min(a.verbose, 2)]}
	if a.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.err, options))
	}
	return slog.New(slog.NewTextHandler(a.err, options))
}

// command returns the root command.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "sailpat",
		Short: "Look after the personal access tokens of SailPoint Identity Security Cloud",
		Long: `sailpat looks after the personal access tokens (PATs) of SailPoint Identity
Security Cloud, by hand, from cron and for dashboards.

It reads SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET, or else the file
config.json in the working directory. With --store it uses the credential in the
store, and needs only SAIL_BASE_URL.

Exit codes:
  0  done
  1  failed, and the next run may do better
  2  the command line or the settings are wrong
  3  a person has to look`,
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: a.begin,
		RunE: func(*cobra.Command, []string) error {
			return usageError(`the command is missing: run "sailpat --help" for the commands`)
		},
	}
	flags := root.PersistentFlags()
	choiceFlag(flags, (*string)(&a.version), "api-version", "",
		"`VERSION` of the API: v3, beta, v2024, v2025, v2026 or v1 (default v2024, and v1 for renew)", "v3", "beta", "v2024", "v2025", "v2026", "v1")
	a.timeout = 10 * time.Minute
	durationFlag(flags, &a.timeout, "timeout", "end the command after this `DURATION`; 0 means never (default 10m)")
	flags.Float64Var(&a.rate, "rate", 10, "send at most `N` requests a second, which is the API's limit")
	flags.StringVar(&a.store, "store", "", "`STORE` of a credential: file:PATH, vault:MOUNT/PATH, kubernetes:NAMESPACE/NAME or exec:COMMAND")
	flags.BoolVar(&a.demo, "demo", false, "use an invented tenant in memory, and mark every output DEMO")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print only what a person has to look at")
	flags.CountVarP(&a.verbose, "verbose", "v", "log waits and new bearers to standard error; -vv logs each request too")
	choiceFlag(flags, &a.logFormat, "log-format", "", "`FORMAT` of the log: text or json (default text)", "text", "json")
	root.AddCommand(a.listCommand(), a.getCommand(), a.createCommand(), a.patchCommand(), a.deleteCommand(),
		a.issueCommand(), a.rotateCommand(), a.auditCommand(), a.pruneCommand(), a.renewCommand(),
		a.bearerCommand(), a.versionCommand())
	return root
}

// begin runs before each command whose command line is valid.
func (a *app) begin(cmd *cobra.Command, _ []string) error {
	if a.demo {
		fmt.Fprintln(a.err, "DEMO: this is an invented tenant in memory")
	}
	if a.timeout > 0 {
		ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
		cmd.SetContext(ctx)
		a.cancel = cancel
	}
	a.begun = true
	return nil
}

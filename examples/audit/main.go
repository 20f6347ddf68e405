// Command audit reports who holds tokens in a tenant, and which tokens need
// attention. It writes a table, JSON, CSV, or a page for a browser. It changes
// nothing.
//
//	audit [-json | -csv | -html FILE] [-owner ID] [-fail-on KINDS]
//
// By default it audits a tenant in memory. To audit another tenant, set
// SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET. With -owner me it needs
// no right to other people's tokens.
//
// The exit code is:
//
//	0  success
//	1  the tenant's list could not be read completely
//	2  the command line is wrong
//	3  there are findings of the KINDS, such as expired,every-right
//
// With -fail-on, cron sends mail only if there is something to report.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/examples/internal/target"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("audit", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "write JSON")
	asCSV := flags.Bool("csv", false, "write CSV")
	page := flags.String("html", "", "write a page for a browser to `FILE`")
	owner := flags.String("owner", "", "audit only the tokens of the identity `ID`; me means your own")
	var failOn []lifecycle.Kind
	flags.Func("fail-on", "exit with 3 if there are findings of these `KINDS`, a comma-separated list", func(value string) (err error) {
		failOn, err = target.Kinds(value)
		return err
	})
	if code, done := target.Parse(flags, args); done {
		return code
	}

	found, opts, err := audit(ctx, stderr, *owner)
	if err == nil {
		switch {
		case *page != "":
			err = writePage(*page, found, opts)
		case *asJSON:
			err = report.WriteJSON(stdout, found, opts)
		case *asCSV:
			err = report.WriteCSV(stdout, found, opts)
		default:
			err = writeTable(stdout, found)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "audit:", err)
		return 1
	}
	if len(found.Of(failOn...)) > 0 {
		return 3
	}
	return 0
}

func audit(ctx context.Context, stderr io.Writer, owner string) (*lifecycle.Report, report.Options, error) {
	cfg, memory, err := target.Config()
	if err != nil {
		return nil, report.Options{}, err
	}
	client, err := target.SeededClient(stderr, sailpoint.V2024)
	if err != nil {
		return nil, report.Options{}, err
	}
	found, err := lifecycle.Audit(ctx, client, lifecycle.AuditPolicy{OwnerID: owner})
	return found, report.Options{Tenant: cfg.BaseURL, Demo: memory != nil}, err
}

func writePage(name string, found *lifecycle.Report, opts report.Options) error {
	var page bytes.Buffer
	if err := report.WriteHTML(&page, found, opts); err != nil {
		return err
	}
	return os.WriteFile(name, page.Bytes(), 0o600)
}

// writeTable quotes names, because a name may contain control sequences for the
// terminal.
func writeTable(w io.Writer, found *lifecycle.Report) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range found.Findings {
		fmt.Fprintf(table, "%s\t%q\t%q\t%s\n", f.Kind, f.Token.Owner.Name, f.Token.Name, f.Text)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var counts []string
	for _, kind := range lifecycle.Kinds() {
		if n := found.Counts[kind]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, kind))
		}
	}
	_, err := fmt.Fprintf(w, "\ntokens: %d, owners: %d, findings: %s\n", found.Tokens, len(found.Owners), strings.Join(counts, ", "))
	return err
}

package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/spreadsheet"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/report"
)

func (a *app) addIssue(root *cobra.Command) {
	var req sailpoint.CreatePersonalAccessTokenRequest
	const more = "It is always safe to run again. If the token is to rotate itself, its scope also\nneeds sp:my-personal-access-tokens:manage."
	cmd := a.add(root, "issue", "Make sure that a store holds the secret of a working token", more, "table json",
		func(ctx context.Context, s *session, _ []string) (*result, error) {
			done, err := lifecycle.Issue(ctx, s.client, req, s.store)
			cfg, none := sailpoint.LoadConfigFrom(a.env)
			if none == nil && cfg.ClientID != s.client.ClientID() && errors.Is(err, sailpoint.ErrInvalidCredentials) { // the stored credential no longer works
				if s, err = a.newSession(cfg, s.store, s.tenant); err == nil {
					done, err = lifecycle.Issue(ctx, s.client, req, s.store)
				}
			}
			return a.runResult(done, err)
		})
	requestFlags(cmd, &req)
}

func (a *app) addRotate(root *cobra.Command) {
	var opts lifecycle.RotateOptions
	const more = "Run it every day. Most days it does nothing, or finishes what an earlier run\nleft. A token that soon expires is replaced earlier."
	cmd := a.add(root, "rotate", "Replace the token in a store by a new one, if it is old enough", more, "table json",
		func(ctx context.Context, s *session, _ []string) (*result, error) {
			return a.runResult(lifecycle.Rotate(ctx, s.client, s.store, opts))
		})
	cmd.PreRun = func(*cobra.Command, []string) { a.needsStored = true }
	durationFlag(cmd.Flags(), &opts.IfOlderThan, "if-older-than", 30*day, "replace a token of at least this `AGE`; 0 replaces it now")
	durationFlag(cmd.Flags(), &opts.Grace, "grace", 0, "keep the old token valid for this `TIME`, after which a run deletes it; 0 deletes it at once")
	durationFlag(cmd.Flags(), &opts.Lifetime, "lifetime", 0, "`TIME` that the new token lasts; 0 means as long as the old one")
	cmd.Flags().BoolVar(&opts.NeverExpires, "never-expires", false, "let the new token never expire, in v2025 and later")
	durationFlag(cmd.Flags(), &opts.AbandonAfter, "abandon-after", 15*time.Minute, "`AGE` of another run's token that is deleted, for a store without versions")
	cmd.MarkFlagsMutuallyExclusive("lifetime", "never-expires")
}

// runResult returns the result of Issue or Rotate.
func (a *app) runResult(done *lifecycle.Result, err error) (*result, error) {
	if err != nil {
		return nil, err
	}
	left := []map[string]string{} // never null
	lines := []string{fmt.Sprintf("%s: %s, %q", done.Outcome, done.Token.ID, done.Token.Name)}
	for _, l := range done.Left {
		left = append(left, map[string]string{"id": l.ID, "name": l.Name, "why": l.Why})
		lines = append(lines, l.String())
	}
	members := map[string]any{
		"outcome": done.Outcome, "token": done.Token, "replaced": done.Replaced, "warning": done.Warning, "left": left,
	}
	if done.Outcome == lifecycle.OutcomePending {
		members["retireAt"] = done.RetireAt.UTC()
		lines = append(lines, done.Replaced+" stays valid until "+done.RetireAt.UTC().Format(time.RFC3339))
	}
	if done.Warning != "" {
		lines = append(lines, done.Warning)
	}
	return &result{silent: a.quiet && done.Warning == "" && len(left) == 0, closing: lines, members: members}, nil
}

func (a *app) addAudit(root *cobra.Command) {
	var policy lifecycle.AuditPolicy
	var failOn []lifecycle.Kind
	cmd := a.add(root, "audit", "Find tokens that are unused, expiring or too powerful", listRight, "table json csv html openmetrics",
		func(ctx context.Context, s *session, _ []string) (*result, error) {
			found, err := lifecycle.Audit(ctx, s.client, policy)
			if err != nil {
				return nil, err
			}
			s.at = found.At.UTC()
			if len(failOn) == 0 {
				return a.reportResult(ctx, s, found, lifecycle.Kinds()), nil
			}
			if a.file != "" { // a file gets all findings
				if err := a.write(s, a.reportResult(ctx, s, found, lifecycle.Kinds())); err != nil {
					return nil, err
				}
				a.file, a.format = "", "table"
			}
			some := a.reportResult(ctx, s, found, failOn)
			some.silent = len(some.records) == 0
			if some.silent {
				return some, nil
			}
			return some, outcome(exitPerson)
		})
	policyFlags(cmd, &policy)
	kindsFlag(cmd.Flags(), &failOn, "fail-on", "print only findings of these `KINDS`, separated by commas, and exit with 3 if there are any: %v", lifecycle.Kinds())
}

// reportResult returns the findings of some kinds. Metrics are always complete.
func (a *app) reportResult(ctx context.Context, s *session, found *lifecycle.Report, kinds []lifecycle.Kind) *result {
	some := *found
	some.Findings = found.Of(kinds...)
	some.Counts = maps.Clone(found.Counts)
	maps.DeleteFunc(some.Counts, func(kind lifecycle.Kind, _ int) bool { return !slices.Contains(kinds, kind) })
	opts := report.Options{Tenant: s.tenant, Demo: a.demo}
	r := &result{
		silent:  a.quiet && len(some.Findings) == some.Counts[lifecycle.FindingManaged],
		columns: append([]string{"kind", "finding"}, spreadsheet.TokenColumns()...),
		shown:   []string{"kind", "token_id", "token_name", "owner_name", "finding"},
		closing: []string{fmt.Sprintf("%s audited. Findings: %s", count(found.Tokens), cmp.Or(tally(lifecycle.Kinds(), some.Counts), "none"))},
		others: map[string]func(io.Writer) error{
			"json":        func(w io.Writer) error { return report.WriteJSON(w, &some, opts) },
			"html":        func(w io.Writer) error { return report.WriteHTML(w, &some, opts) },
			"openmetrics": func(w io.Writer) error { return writeMetrics(ctx, w, s, found) },
		},
	}
	for _, f := range some.Findings {
		r.records = append(r.records, append([]string{string(f.Kind), f.Text}, spreadsheet.Token(&f.Token)...))
	}
	return r
}

// tally returns how often each name was counted, such as "1 deleted, 2 failed".
func tally[T ~string](names []T, counts map[T]int) string {
	var parts []string
	for _, name := range names {
		if n := counts[name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, name))
		}
	}
	return strings.Join(parts, ", ")
}

// applyRight follows listRight in the help of commands with --apply.
const applyRight = " With --apply it needs the same right with\nmanage instead of read."

func (a *app) addPrune(root *cobra.Command) {
	var policy lifecycle.AuditPolicy
	opts := lifecycle.PruneOptions{Kinds: []lifecycle.Kind{lifecycle.FindingNeverUsed, lifecycle.FindingStale, lifecycle.FindingExpired}}
	cmd := a.add(root, "prune", "Delete tokens that nobody uses", "Without --apply it only prints them.\n\n"+listRight+applyRight, "table json csv",
		func(ctx context.Context, s *session, _ []string) (*result, error) {
			// Without findings, this checks the options and sends nothing.
			if _, err := lifecycle.Prune(ctx, s.client, &lifecycle.Report{}, opts); err != nil {
				return nil, err
			}
			found, err := lifecycle.Audit(ctx, s.client, policy)
			if err != nil {
				return nil, err
			}
			return a.change(ctx, s, "Delete", func(apply bool) ([]lifecycle.Change, error) {
				opts.Apply = apply
				defer a.showProgress(&opts)()
				return lifecycle.Prune(ctx, s.client, found, opts)
			})
		})
	kinds := lifecycle.Kinds()
	kinds = kinds[:slices.Index(kinds, lifecycle.FindingNearLimit)] // Prune rejects this one and those after it
	kindsFlag(cmd.Flags(), &opts.Kinds, "kinds", "delete tokens with findings of these `KINDS`, separated by commas: %v (default never-used,stale,expired)", kinds)
	cmd.Flags().IntVar(&opts.MaxDeletions, "max-deletions", 100, "delete at most `N` tokens")
	policyFlags(cmd, &policy)
	a.applyFlags(cmd)
}

func (a *app) addRenew(root *cobra.Command) {
	var opts lifecycle.RenewOptions
	cmd := a.add(root, "renew", "Extend the expiry of tokens that will expire soon",
		"Their secrets stay the same. Without --apply it only prints them. Only the\nversion v1 renews other owners' tokens.\n\n"+listRight+applyRight, "table json csv",
		func(ctx context.Context, s *session, _ []string) (*result, error) {
			if opts.NeverExpires {
				opts.Lifetime = 0
			}
			return a.change(ctx, s, "Renew", func(apply bool) ([]lifecycle.Change, error) {
				opts.Apply = apply
				changes, err := lifecycle.Renew(ctx, s.client, opts)
				if errors.Is(err, lifecycle.ErrNotRenewable) {
					err = usageError("this version of the API can't change an expiry: set --api-version to v2025, v2026 or v1, or rotate the tokens")
				}
				return changes, err
			})
		})
	cmd.PreRun = func(*cobra.Command, []string) { a.version = cmp.Or(a.version, sailpoint.V1) }
	ownerFlag(cmd, &opts.OwnerID)
	durationFlag(cmd.Flags(), &opts.Within, "within", 30*day, "renew tokens that expire within this `TIME`")
	durationFlag(cmd.Flags(), &opts.Lifetime, "lifetime", 180*day, "`TIME` that the tokens last from now on")
	cmd.Flags().BoolVar(&opts.NeverExpires, "never-expires", false, "let the tokens never expire")
	cmd.MarkFlagsMutuallyExclusive("lifetime", "never-expires")
	a.applyFlags(cmd)
}

var errNotConfirmed = errors.New("not confirmed: nothing was changed")

// change makes changes, or only plans them. On a terminal it asks first.
func (a *app) change(ctx context.Context, s *session, verb string, do func(apply bool) ([]lifecycle.Change, error)) (*result, error) {
	if a.apply && a.inTerminal && !a.yes {
		planned, err := do(false)
		planned = slices.DeleteFunc(planned, func(c lifecycle.Change) bool { return c.Status != lifecycle.StatusPlanned })
		if err == nil && len(planned) > 0 {
			err = a.confirm(ctx, fmt.Sprintf("%s %s of %s?", verb, count(len(planned)), s.tenant))
		}
		if err != nil {
			return nil, err
		}
	}
	changes, err := do(a.apply)
	if err != nil && len(changes) == 0 {
		return nil, err
	}
	code := exitDone
	for _, c := range changes {
		code = max(code, exitCode(c.Err)) // nil for skipped tokens and for those beyond MaxDeletions
	}
	if err == nil && code != exitDone {
		err = outcome(code)
	}
	if a.quiet && a.file == "" && ctx.Err() == nil { // a file is complete, and so is the account after a signal
		changes = slices.DeleteFunc(changes, func(c lifecycle.Change) bool { return exitCode(c.Err) <= exitAgain })
	}
	return a.changesResult(changes), err
}

// confirm asks a question on a terminal, and returns nil if the answer is yes.
func (a *app) confirm(ctx context.Context, question string) error {
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // a read from a terminal can't be canceled
		line, _ := bufio.NewReader(a.in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.err)
		return errors.Join(errNotConfirmed, ctx.Err())
	case text := <-answer:
		if text == "y" || text == "yes" {
			return nil
		}
		return errNotConfirmed
	}
}

// showProgress makes Prune draw a bar on a terminal while it deletes tokens. It
// returns a function that ends the drawing.
func (a *app) showProgress(opts *lifecycle.PruneOptions) (end func()) {
	if !opts.Apply || !a.errTerminal || a.quiet || a.verbose > 0 {
		return func() {}
	}
	bars := mpb.New(mpb.WithOutput(a.err), mpb.WithAutoRefresh(), mpb.WithWidth(40))
	var bar *mpb.Bar
	opts.Progress = func(done, total int, _ lifecycle.Change) {
		if bar == nil {
			bar = bars.AddBar(int64(total), mpb.AppendDecorators(decor.CountersNoUnit("%d/%d")))
		}
		bar.SetCurrent(int64(done))
	}
	return func() {
		if bar != nil {
			bar.Abort(false) // if it is not complete
		}
		bars.Wait()
	}
}

func (a *app) changesResult(changes []lifecycle.Change) *result {
	list := []map[string]any{} // never null
	counts := map[lifecycle.Status]int{}
	r := &result{
		silent:  a.quiet && len(changes) == 0,
		columns: append([]string{"status", "reason"}, spreadsheet.TokenColumns()...),
		shown:   []string{"status", "token_id", "token_name", "owner_name", "expires", "reason"},
	}
	for i := range changes {
		c := &changes[i]
		reason := c.Reason
		if c.Err != nil {
			reason = errorText(c.Err)
		}
		counts[c.Status]++
		list = append(list, map[string]any{"status": c.Status, "reason": reason, "token": c.Token})
		r.records = append(r.records, append([]string{string(c.Status), reason}, spreadsheet.Token(&c.Token)...))
	}
	r.members = map[string]any{"applied": a.apply, "changes": list}
	r.closing = []string{strings.TrimSuffix(count(len(changes))+" chosen, "+tally(slices.Sorted(maps.Keys(counts)), counts), ", ")}
	if counts[lifecycle.StatusPlanned] > 0 {
		r.closing = append(r.closing, "Nothing was changed. To make the changes, add --apply.")
	}
	return r
}

package report

import (
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint/internal/spreadsheet"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// WriteCSV writes the report as CSV for spreadsheets, one line for each
// finding. The first line names the columns: tenant, time, demo, kind, finding,
// token_id, token_name, owner_id, owner_name, created, last_used, expires, scope
// and bearer_seconds. time is when the audit started, and demo is true or false.
// Times are in UTC. Scopes are separated by spaces.
//
// WriteCSV puts an apostrophe before each =, +, - or @, also in full width,
// with which a spreadsheet could begin a formula. It does so at the start of a
// cell and after a quote or a separator such as a semicolon, even with spaces
// between. It also puts one before text that is a number which a spreadsheet
// would change, such as an ID of 32 digits, 007 or 12e10. It replaces line
// breaks, tabs and other control characters by spaces. [WriteJSON] writes the
// original text.
//
// The text is UTF-8 without a byte order mark, as most programs expect. In
// Excel import it with "From Text/CSV", so that names with other letters than
// English ones are shown correctly.
func WriteCSV(w io.Writer, r *lifecycle.Report, opts Options) error {
	if err := opts.check(r); err != nil {
		return err
	}
	return spreadsheet.Write(w, func(yield func([]string) bool) {
		if !yield([]string{
			"tenant", "time", "demo", "kind", "finding", "token_id", "token_name", "owner_id", "owner_name",
			"created", "last_used", "expires", "scope", "bearer_seconds",
		}) {
			return
		}
		for i := range r.Findings {
			if !yield(record(r, &r.Findings[i], opts)) {
				return
			}
		}
	})
}

func record(r *lifecycle.Report, f *lifecycle.Finding, opts Options) []string {
	t, bearer := &f.Token, ""
	if t.AccessTokenValiditySeconds > 0 {
		bearer = strconv.Itoa(t.AccessTokenValiditySeconds)
	}
	return []string{
		opts.Tenant, instant(&r.At), strconv.FormatBool(opts.Demo), string(f.Kind), f.Text, t.ID, t.Name, t.Owner.ID, t.Owner.Name,
		instant(&t.Created), instant(t.LastUsed), instant(t.ExpirationDate), strings.Join(t.Scope, " "), bearer,
	}
}

// instant returns a time to the second, or "".
func instant(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

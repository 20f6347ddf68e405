package report

import (
	"io"

	"github.com/sailpoint-go/sailpoint/internal/spreadsheet"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// WriteCSV writes the report as CSV for spreadsheets, one line for each
// finding. The first line names the columns: tenant, time, demo, kind, finding,
// token_id, token_name, owner_id, owner_name, created, last_used, expires,
// scope, bearer_seconds and managed. time is when the audit started. demo and
// managed are true or false. Times are in UTC. Scopes are separated by spaces.
//
// WriteCSV puts an apostrophe before each =, +, - or @, also in full width,
// with which a spreadsheet could begin a formula. It does so at the start of a
// cell and after a quote or a separator such as a semicolon, even with spaces
// between. It also puts one before text that is a number which a spreadsheet
// would change, such as an ID of 32 digits, 007, 1.10 or 12e10. It replaces
// line breaks, tabs and other control characters by spaces. [WriteJSON] writes
// the original text.
//
// The text is UTF-8 without a byte order mark, as most programs expect. In
// Excel import it with "From Text/CSV", so that names with other letters than
// English ones are shown correctly.
func WriteCSV(w io.Writer, r *lifecycle.Report, opts Options) error {
	if err := opts.check(r); err != nil {
		return err
	}
	source := spreadsheet.Source{Tenant: opts.Tenant, At: r.At, Demo: opts.Demo}
	columns := append([]string{"kind", "finding"}, spreadsheet.TokenColumns()...)
	return spreadsheet.Write(w, source, columns, func(yield func([]string) bool) {
		for i := range r.Findings {
			f := &r.Findings[i]
			if !yield(append([]string{string(f.Kind), f.Text}, spreadsheet.Token(&f.Token)...)) {
				return
			}
		}
	})
}

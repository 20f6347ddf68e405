package report

import (
	"encoding/csv"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

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
	out := csv.NewWriter(w)
	err := out.Write([]string{
		"tenant", "time", "demo", "kind", "finding", "token_id", "token_name", "owner_id", "owner_name",
		"created", "last_used", "expires", "scope", "bearer_seconds",
	})
	if err != nil {
		return err
	}
	for _, f := range r.Findings {
		t := &f.Token
		record := []string{
			opts.Tenant, instant(&r.At), strconv.FormatBool(opts.Demo), string(f.Kind), f.Text, t.ID, t.Name, t.Owner.ID, t.Owner.Name,
			instant(&t.Created), instant(t.LastUsed), instant(t.ExpirationDate), strings.Join(t.Scope, " "), "",
		}
		if t.AccessTokenValiditySeconds > 0 {
			record[len(record)-1] = strconv.Itoa(t.AccessTokenValiditySeconds)
		}
		for i := range record {
			record[i] = harmless(record[i])
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// instant returns a time to the second, or "".
func instant(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// formula matches text that a spreadsheet would calculate. It has one of these
// characters, in half or full width, at the start of a cell, after spaces of
// any kind or invisible characters. In another locale, cells may also start
// after semicolons or tabs, or after a quote that the program treats as text.
var formula = regexp.MustCompile(`(^|[,;|"'\t])([\s\pZ\p{Cf}]*)([=+\-@＝＋－＠﹢﹣﹦﹫−])`)

// number matches an ID or a name of which a spreadsheet would keep only 15
// digits and no leading zeros.
var number = regexp.MustCompile(`^[\s\pZ]*([0-9]{12,}|0[0-9]+|[0-9]+([.,][0-9]*)?[eE][+-]?[0-9]+)[\s\pZ]*$`)

// harmless returns text as a cell that a spreadsheet only shows.
func harmless(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
	if number.MatchString(text) {
		return "'" + text
	}
	return formula.ReplaceAllString(text, "$1$2'$3")
}

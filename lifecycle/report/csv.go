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

// WriteCSV writes the report as CSV for spreadsheets. A line of titles comes
// first, then one line for each finding. Times are in UTC.
//
// An apostrophe comes before text that a spreadsheet would calculate as a
// formula. Formulas begin with =, +, - or @, also in full width, after spaces
// or quotes, or after a separator of another locale. An apostrophe also comes
// before text that is a number, such as an ID of 32 digits or 12e10. A
// spreadsheet would keep only 15 digits. Remove the apostrophe to get the
// original text, or use [WriteJSON]. WriteCSV replaces line breaks, tabs and
// other control characters by spaces.
//
// The text is UTF-8 without a byte order mark, as most programs expect. In
// Excel open it with "From Text/CSV".
func WriteCSV(w io.Writer, r *lifecycle.Report) error {
	if r == nil {
		return errNoReport
	}
	out := csv.NewWriter(w)
	err := out.Write([]string{
		"kind", "finding", "token_id", "token_name", "owner_id", "owner_name",
		"created", "last_used", "expires", "scope", "bearer_seconds",
	})
	if err != nil {
		return err
	}
	for _, f := range r.Findings {
		t := &f.Token
		record := []string{
			string(f.Kind), f.Text, t.ID, t.Name, t.Owner.ID, t.Owner.Name,
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

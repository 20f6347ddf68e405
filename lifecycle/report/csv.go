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

// WriteCSV writes the report as CSV for a spreadsheet: one line for each finding below a line of titles. Times are in UTC.
//
// An apostrophe stands before what a spreadsheet would calculate as a formula: =, +, - and @, also in full width, behind
// spaces or quotes, or behind a separator of another locale. An apostrophe also stands before a text that is a number,
// such as an id of 32 digits or 12e10, of which a spreadsheet keeps 15 digits. Remove it to get the text as the tenant
// has it, or use [WriteJSON]. Line breaks, tabs and other control characters are written as spaces.
//
// The text is UTF-8 without a byte order mark, as most programs expect. Excel needs "From Text/CSV" to read it so.
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

// formula is what makes a spreadsheet calculate: one of these characters, in half or full width, at the start of a
// cell, behind spaces of any kind or characters that are not seen. A program of another locale starts cells behind
// semicolons or tabs, and behind a quote that it does not treat as one.
var formula = regexp.MustCompile(`(^|[,;|"'\t])([\s\pZ\p{Cf}]*)([=+\-@＝＋－＠﹢﹣﹦﹫−])`)

// number is a text of which a spreadsheet would keep 15 digits, without zeros in front: an id, or a name.
var number = regexp.MustCompile(`^[\s\pZ]*([0-9]{12,}|0[0-9]+|[0-9]+([.,][0-9]*)?[eE][+-]?[0-9]+)[\s\pZ]*$`)

// harmless returns text as a cell that is only shown.
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

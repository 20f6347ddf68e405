package report

import (
	"encoding/csv"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// WriteCSV writes the report as CSV, a line for each finding below a line of titles, times in UTC. An apostrophe stands
// before what a spreadsheet would take for a formula, also where it splits the line at other separators than commas;
// line breaks and other control characters are spaces.
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
// cell. A program of another locale starts cells behind semicolons or tabs, and behind a quote that it doesn't take
// for one.
var formula = regexp.MustCompile(`(^|[,;|"'\t])(\s*)([=+\-@＝＋－＠])`)

// harmless returns text as a cell that is only shown.
func harmless(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
	return formula.ReplaceAllString(text, "$1$2'$3")
}

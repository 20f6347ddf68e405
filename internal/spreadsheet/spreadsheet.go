// Package spreadsheet writes tokens as CSV that is safe to open in a
// spreadsheet.
package spreadsheet

import (
	"encoding/csv"
	"io"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sailpoint-go/sailpoint"
)

// Source says where records come from. Each line of the CSV begins with it.
type Source struct {
	Tenant string
	At     time.Time
	Demo   bool
}

// Write writes the names of the columns and the records as CSV. It changes
// cells that a spreadsheet would not show as they are, as the documentation of
// report.WriteCSV describes.
func Write(w io.Writer, source Source, columns []string, records iter.Seq[[]string]) error {
	out := csv.NewWriter(w)
	err := out.Write(append([]string{"tenant", "time", "demo"}, columns...))
	first := []string{source.Tenant, Instant(&source.At), strconv.FormatBool(source.Demo)}
	for record := range records {
		if err != nil {
			return err
		}
		line := slices.Concat(first, record)
		for i := range line {
			line[i] = cell(line[i])
		}
		err = out.Write(line)
	}
	out.Flush()
	return out.Error()
}

// TokenColumns returns the columns of a token.
func TokenColumns() []string {
	return []string{
		"token_id", "token_name", "owner_id", "owner_name", "created", "last_used", "expires", "scope", "bearer_seconds", "managed",
	}
}

// Token returns the record of a token, or of just an owner if the ID is empty.
func Token(t *sailpoint.PersonalAccessToken) []string {
	bearer, managed := "", ""
	if t.AccessTokenValiditySeconds > 0 {
		bearer = strconv.Itoa(t.AccessTokenValiditySeconds)
	}
	if t.ID != "" {
		managed = strconv.FormatBool(t.Managed)
	}
	return []string{
		t.ID, t.Name, t.Owner.ID, t.Owner.Name, Instant(&t.Created), Instant(t.LastUsed), Instant(t.ExpirationDate),
		strings.Join(t.Scope, " "), bearer, managed,
	}
}

// Instant returns a time to the second in UTC, or "".
func Instant(t *time.Time) string {
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
// digits, and no zeros at the start or behind a decimal point.
var number = regexp.MustCompile(`^[\s\pZ]*([0-9]{12,}|0[0-9]+|[0-9]+[.,][0-9]*|[0-9]+([.,][0-9]*)?[eE][+-]?[0-9]+)[\s\pZ]*$`)

// cell returns text that a spreadsheet only shows.
func cell(text string) string {
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

// Package spreadsheet writes CSV that is safe to open in a spreadsheet.
package spreadsheet

import (
	"encoding/csv"
	"io"
	"iter"
	"regexp"
	"strings"
	"unicode"
)

// Write writes records as CSV. It changes cells that a spreadsheet would not
// show as they are, as the documentation of report.WriteCSV describes. It may
// change the records.
func Write(w io.Writer, records iter.Seq[[]string]) error {
	out := csv.NewWriter(w)
	for record := range records {
		for i := range record {
			record[i] = cell(record[i])
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// formula matches text that a spreadsheet would calculate. It has one of these
// characters, in half or full width, at the start of a cell, after spaces of
// any kind or invisible characters. In another locale, cells may also start
// after semicolons or tabs, or after a quote that the program treats as text.
var formula = regexp.MustCompile(`(^|[,;|"'\t])([\s\pZ\p{Cf}]*)([=+\-@＝＋－＠﹢﹣﹦﹫−])`)

// number matches an ID or a name of which a spreadsheet would keep only 15
// digits and no leading zeros.
var number = regexp.MustCompile(`^[\s\pZ]*([0-9]{12,}|0[0-9]+|[0-9]+([.,][0-9]*)?[eE][+-]?[0-9]+)[\s\pZ]*$`)

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

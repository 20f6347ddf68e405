package redact

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPrintable is the maximum length of an outside text in an error or a log
// record, in bytes.
const maxPrintable = 512

// Printable cuts text as Cut does and then quotes it as Line does.
func Printable(text string) string { return Line(Cut(text)) }

// PrintableError returns the printable text of err. It joins the lines of an
// error of errors.Join, and leaves out those that repeat an earlier line.
func PrintableError(err error) string { return Printable(Joined(err)) }

// Joined returns the text of err on one line, without lines that repeat an
// earlier line. Package errors puts each error of errors.Join on its own line.
func Joined(err error) string {
	text := err.Error()
	if !strings.Contains(text, "\n") {
		return text
	}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// Line returns text. If it has characters that could affect a terminal or a
// log, the result is quoted.
func Line(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return strconv.Quote(text)
	}
	return text
}

// Cut returns at most the first 512 bytes of text. Redact secrets first,
// because a part of one could remain.
func Cut(text string) string {
	if len(text) > maxPrintable {
		return strings.ToValidUTF8(text[:maxPrintable], "") + "…"
	}
	return text
}

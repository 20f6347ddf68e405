package redact

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPrintable bounds each text from outside in an error or a log record, in bytes.
const maxPrintable = 512

// Printable returns text as Cut and then Line do.
func Printable(text string) string { return Line(Cut(text)) }

// Line returns text, quoted if a terminal or a log could read a part of it as more than text.
func Line(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return strconv.Quote(text)
	}
	return text
}

// Cut returns at most 512 bytes of text. A secret must be redacted before, or a part of it may be left.
func Cut(text string) string {
	if len(text) > maxPrintable {
		return strings.ToValidUTF8(text[:maxPrintable], "") + "…"
	}
	return text
}

package redact

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPrintable bounds each text from outside in an error or a log record, in bytes.
const maxPrintable = 512

// Printable returns text cut to 512 bytes, and quoted if a terminal or a log could read a part of it as more than text.
// A text with a secret must be redacted before.
func Printable(text string) string {
	if len(text) > maxPrintable {
		text = strings.ToValidUTF8(text[:maxPrintable], "") + "…"
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return strconv.Quote(text)
	}
	return text
}

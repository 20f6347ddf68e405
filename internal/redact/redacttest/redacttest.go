// Package redacttest spells secrets as a server may, and reads texts as
// somebody who looks for one.
package redacttest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escapeEach writes each rune by itself.
func escapeEach(format func(rune) string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for _, r := range s {
			b.WriteString(format(r))
		}
		return b.String()
	}
}

func percentEach(format string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&b, format, s[i])
		}
		return b.String()
	}
}

func quoteJSON(s string) string {
	out, _ := json.Marshal(s)
	return string(out[1 : len(out)-1])
}

// wrap puts sep behind every n bytes.
func wrap(s, sep string, n int) string {
	var b strings.Builder
	for i := range len(s) {
		if i > 0 && i%n == 0 {
			b.WriteString(sep)
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func in(encoding *base64.Encoding, before string) func(string) string {
	return func(s string) string { return encoding.EncodeToString([]byte(before + s + "; path=/")) }
}

// Spellings are the ways in which a text may repeat a secret.
var Spellings = map[string]func(string) string{
	"plain":                     func(s string) string { return s },
	"upper case":                strings.ToUpper,
	"lower case":                strings.ToLower,
	"JSON":                      quoteJSON,
	"JSON, all escaped":         escapeEach(func(r rune) string { return fmt.Sprintf(`\u%04x`, r) }),
	"JSON, escaped in capitals": escapeEach(func(r rune) string { return fmt.Sprintf(`\u%04X`, r) }),
	"JSON, upper case": func(s string) string {
		return strings.ToUpper(escapeEach(func(r rune) string { return fmt.Sprintf(`\u%04x`, r) })(s))
	},
	"JSON, slashes":   func(s string) string { return strings.ReplaceAll(quoteJSON(s), "/", `\/`) },
	"JSON in JSON":    func(s string) string { return quoteJSON(quoteJSON(s)) },
	"Go":              func(s string) string { return strings.Trim(strconv.QuoteToASCII(s), `"`) },
	"backslash and x": percentEach(`\x%02x`),
	"HTML, named":     html.EscapeString,
	"HTML, other names": func(s string) string {
		return strings.NewReplacer(".", "&period;", "_", "&lowbar;", "=", "&equals;", "%", "&percnt;", "&", "&AMP;", "+", "&plus;").Replace(s)
	},
	"HTML, named, no semicolon": func(s string) string {
		return strings.NewReplacer("<", "&lt", ">", "&GT", "&", "&AMP", `"`, "&quot").Replace(s)
	},
	"HTML, decimal":        escapeEach(func(r rune) string { return fmt.Sprintf("&#%d;", r) }),
	"HTML, long decimal":   escapeEach(func(r rune) string { return fmt.Sprintf("&#%09d;", r) }),
	"HTML, no semicolon":   escapeEach(func(r rune) string { return fmt.Sprintf("&#%d", r) }),
	"HTML, hex":            escapeEach(func(r rune) string { return fmt.Sprintf("&#x%x;", r) }),
	"HTML, HEX":            escapeEach(func(r rune) string { return fmt.Sprintf("&#X%X;", r) }),
	"HTML in JSON":         func(s string) string { return quoteJSON(html.EscapeString(s)) },
	"JSON in HTML":         func(s string) string { return html.EscapeString(quoteJSON(s)) },
	"percent":              percentEach("%%%02x"),
	"PERCENT":              percentEach("%%%02X"),
	"query":                url.QueryEscape,
	"path":                 url.PathEscape,
	"query in lower case":  func(s string) string { return strings.ToLower(url.QueryEscape(s)) },
	"percent twice":        func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"percent three times":  func(s string) string { return url.QueryEscape(url.QueryEscape(url.QueryEscape(s))) },
	"lines":                func(s string) string { return wrap(s, "\n", 5) },
	"indented lines":       func(s string) string { return wrap(s, "\r\n\t   ", 3) },
	"spaced":               func(s string) string { return wrap(s, " ", 1) },
	"lines in JSON":        func(s string) string { return quoteJSON(wrap(s, "\n", 7)) },
	"lines in HTML":        func(s string) string { return wrap(html.EscapeString(s), "&#10;", 40) },
	"lines within escapes": func(s string) string { return wrap(percentEach("%%%02x")(s), "\n", 4) },
	"soft hyphens":         func(s string) string { return wrap(strings.ReplaceAll(s, "ü", ""), "\u00ad", 4) },
	"zero-width spaces":    func(s string) string { return wrap(strings.ReplaceAll(s, "ü", ""), "&ZeroWidthSpace;", 4) },
	"base64":               in(base64.StdEncoding, ""),
	"base64, 1 behind":     in(base64.StdEncoding, "x"),
	"base64, 2 behind":     in(base64.StdEncoding, "id"),
	"base64, basic":        in(base64.StdEncoding, "the-client-id:"),
	"base64 URL":           in(base64.URLEncoding, ""),
	"base64 URL, 1 behind": in(base64.RawURLEncoding, "y"),
	"base64 URL, 2 behind": in(base64.RawURLEncoding, "::"),
	"base64 in lines":      func(s string) string { return wrap(in(base64.StdEncoding, "ab")(s), "\r\n", 19) },
	"base64 in a query":    func(s string) string { return url.QueryEscape(in(base64.StdEncoding, "a")(s)) },
	"hex":                  func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":                  func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"hex behind a digit":   func(s string) string { return "f" + hex.EncodeToString([]byte(s)) },
	"hex, spaced":          func(s string) string { return wrap(hex.EncodeToString([]byte(s)), " ", 2) },
}

var (
	jsonEscape    = regexp.MustCompile(`\\([uU][0-9a-fA-F]{4}|[xX][0-9a-fA-F]{2}|[^uxUX])`)
	percentEscape = regexp.MustCompile(`%[0-9a-fA-F]{2}`)
	nothingShown  = regexp.MustCompile(`[\s\x{ad}\x{200b}\x00-\x1f]+`)
	base64Run     = regexp.MustCompile(`[A-Za-z0-9+/]+`)
	hexRun        = regexp.MustCompile(`[A-Fa-f0-9]+`)
)

func unescapeJSON(s string) string {
	return jsonEscape.ReplaceAllStringFunc(s, func(escape string) string {
		switch escape[1] {
		case 'u', 'x', 'U', 'X':
			value, _ := strconv.ParseUint(escape[2:], 16, 32)
			if len(escape) == 4 {
				return string([]byte{byte(value)}) //nolint:gosec // two digits
			}
			return string(rune(value)) //nolint:gosec // four digits
		case 'b', 'f', 'n', 'r', 't':
			return "\n"
		}
		return escape[1:]
	})
}

func unescapePercent(s string) string {
	return percentEscape.ReplaceAllStringFunc(s, func(escape string) string {
		value, _ := strconv.ParseUint(escape[1:], 16, 8)
		return string([]byte{byte(value)})
	})
}

// readings returns what a reader can make of text with the decoders of the
// standard library, three deep.
func readings(text string) []string {
	show := func(s string) string { return nothingShown.ReplaceAllString(s, "") }
	seen := map[string]bool{show(text): true}
	for range 3 {
		for s := range seen {
			for _, decode := range []func(string) string{unescapeJSON, html.UnescapeString, unescapePercent} {
				seen[show(decode(s))] = true
			}
		}
	}
	var all []string
	for s := range seen {
		all = append(all, s)
		s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
		for _, run := range base64Run.FindAllString(s, -1) {
			for skip := range min(4, len(run)) {
				digits := run[skip:]
				decoded, _ := base64.RawStdEncoding.DecodeString(digits[:len(digits)-len(digits)%4])
				rest, _ := base64.RawStdEncoding.DecodeString(digits[len(digits)-len(digits)%4:])
				all = append(all, string(decoded)+string(rest))
			}
		}
		for _, run := range hexRun.FindAllString(s, -1) {
			for skip := range min(2, len(run)) {
				decoded, _ := hex.DecodeString(run[skip : len(run)-(len(run)-skip)%2])
				all = append(all, string(decoded))
			}
		}
	}
	return all
}

// lower is strings.ToLower, but keeps what isn't UTF-8.
func lower(s string) string {
	var out []byte
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError {
			out = append(out, s[:n]...)
		} else {
			out = utf8.AppendRune(out, unicode.ToLower(r))
		}
		s = s[n:]
	}
	return string(out)
}

// Readable returns 8 bytes in a row of secret that can be read in text, or "".
func Readable(text, secret string) string {
	secret = lower(secret)
	for _, reading := range readings(text) {
		reading = lower(reading)
		for i := 0; i+8 <= len(secret); i++ {
			if strings.Contains(reading, secret[i:i+8]) {
				return secret[i : i+8]
			}
		}
	}
	return ""
}

// Ambiguous reports whether a secret can be read in more than one way itself.
func Ambiguous(secret string) bool {
	for _, decode := range []func(string) string{unescapeJSON, html.UnescapeString, unescapePercent} {
		if decode(secret) != secret {
			return true
		}
	}
	return nothingShown.MatchString(secret)
}

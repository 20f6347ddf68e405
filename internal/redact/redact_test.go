package redact_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// The secrets have the forms of a PAT's secret, a bearer and a password.
var secrets = []string{
	"5ecf00d15ecf00d1a7b3c9e24f60718293a4b5c6d7e8f9011223344556677889",
	"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJwYXQifQ.bearer-value_1-c2lnbmF0dXJl",
	"cs-51&=+%ü-c0ffee/<\"'>\\x",
	"Correct.Horse-9",
}

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

// spellings are the ways in which a text may repeat a secret.
var spellings = map[string]func(string) string{
	"plain":                     func(s string) string { return s },
	"upper case":                strings.ToUpper,
	"lower case":                strings.ToLower,
	"JSON":                      quoteJSON,
	"JSON, all escaped":         escapeEach(func(r rune) string { return fmt.Sprintf(`\u%04x`, r) }),
	"JSON, escaped in capitals": escapeEach(func(r rune) string { return fmt.Sprintf(`\u%04X`, r) }),
	"JSON, slashes":             func(s string) string { return strings.ReplaceAll(quoteJSON(s), "/", `\/`) },
	"JSON in JSON":              func(s string) string { return quoteJSON(quoteJSON(s)) },
	"Go":                        func(s string) string { return strings.Trim(strconv.QuoteToASCII(s), `"`) },
	"backslash and x":           percentEach(`\x%02x`),
	"HTML, named":               html.EscapeString,
	"HTML, other names": func(s string) string {
		return strings.NewReplacer(".", "&period;", "_", "&lowbar;", "=", "&equals;", "%", "&percnt;", "&", "&AMP;", "+", "&plus;").Replace(s)
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
	jsonEscape    = regexp.MustCompile(`\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[^ux])`)
	percentEscape = regexp.MustCompile(`%[0-9a-fA-F]{2}`)
	nothingShown  = regexp.MustCompile(`[\s\x{ad}\x{200b}\x00-\x1f]+`)
	base64Run     = regexp.MustCompile(`[A-Za-z0-9+/]+`)
	hexRun        = regexp.MustCompile(`[A-Fa-f0-9]+`)
)

func unescapeJSON(s string) string {
	return jsonEscape.ReplaceAllStringFunc(s, func(escape string) string {
		switch escape[1] {
		case 'u', 'x':
			value, _ := strconv.ParseUint(escape[2:], 16, 32)
			if escape[1] == 'x' {
				return string([]byte{byte(value)})
			}
			return string(rune(value))
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

// readings returns what a reader can make of text with the decoders of the standard library, three deep.
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

// readable returns 8 bytes in a row of secret that can be read in text, or "".
func readable(text, secret string) string {
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

func TestNoWindowOfASecretStaysReadable(t *testing.T) {
	tried := 0
	for name, spell := range spellings {
		t.Run(name, func(t *testing.T) {
			for _, secret := range secrets {
				redactor := redact.New(secret)
				spelled := spell(secret)
				require.NotEmpty(t, readable(spelled, secret), "what is hidden can be read: %s", spelled)
				check := func(text string) {
					tried++
					out := redactor.Text(text)
					require.Empty(t, readable(out, secret), "%q became %q", text, out)
				}
				check(spelled)
				for i := range len(spelled) {
					check("a " + spelled[i:])                           // cut in front
					check(spelled[:i])                                  // cut behind
					check("<" + spelled[:i] + spelled[i+1:] + ">, end") // without one character
				}
			}
		})
	}
	t.Logf("%d texts", tried)
}

func TestOnlyTheSecretIsReplaced(t *testing.T) {
	const secret = "Correct.Horse-9"
	for name, tt := range map[string]struct{ text, want string }{
		"alone":                 {secret, "[REDACTED]"},
		"twice":                 {secret + " and " + secret + "!", "[REDACTED] and [REDACTED]!"},
		"twice in a row":        {secret + secret, "[REDACTED]"},
		"escaped":               {`a\u0043orrect.Horse-9b`, "a[REDACTED]b"},
		"cut":                   {"...rrect.Hors.", "...[REDACTED]."},
		"seven bytes":           {"Correct. Hors... orse-9", "[REDACTED]... orse-9"},
		"fewer than the window": {"Correct, orse-9, ct.Hors", "Correct, orse-9, ct.Hors"},
		"base64":                {"Basic " + base64.StdEncoding.EncodeToString([]byte(secret)) + " end", "Basic [REDACTED] end"},
		"hex":                   {"0x" + hex.EncodeToString([]byte(secret)) + ";", "0x[REDACTED];"},
		"in letters beyond":     {"größer" + secret + "größer", "größer[REDACTED]größer"},
		"not UTF-8":             {"\xff" + secret + "\xc3", "\xff[REDACTED]\xc3"},
		"empty":                 {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, redact.New(secret).Text(tt.text))
		})
	}
}

// TestShortSecrets are replaced as a whole, or not at all.
func TestShortSecrets(t *testing.T) {
	redactor := redact.Join(redact.New("sesame"), redact.New("1234567"), redact.New("short"), redact.New(""), redact.New("much-longer-than-those"))
	for text, want := range map[string]string{
		"open SESAME!":      "open [REDACTED]!",
		"s&#101;same":       "[REDACTED]",
		"c2VzYW1l":          "[REDACTED]",
		"736573616d65":      "[REDACTED]",
		"sesam":             "sesam",
		"0123456789":        "0[REDACTED]89",
		"123456":            "123456",
		"short":             "short",
		"longer-than":       "[REDACTED]",
		"longer than those": "longer than those",
	} {
		assert.Equal(t, want, redactor.Text(text))
	}
	assert.Equal(t, "anything", new(redact.Redactor).Text("anything"))
	assert.Equal(t, "anything", redact.Join().Text("anything"))
}

// TestSecretThatLooksEscaped: it is found as it is, and as each text is read that holds it.
func TestSecretThatLooksEscaped(t *testing.T) {
	for _, secret := range []string{`p%41ss%77ord-12345`, `p&amp;ss&#119;ord-12345`, `p\u0041ss\word-\n12345`, `%2541&amp;lt;\\u0041-12345`} {
		redactor := redact.New(secret)
		for name, spell := range spellings {
			if text := spell(secret); name != "percent three times" {
				assert.Empty(t, readable(redactor.Text(text), secret), "%s: %s", name, text)
			}
		}
	}
}

// TestIDsAreNotRedacted: 20,000 random ids, beside secrets of the same digits.
func TestIDsAreNotRedacted(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	randomHex := func(n int) string {
		out := make([]byte, n)
		for i := range out {
			out[i] = byte(random.Uint32())
		}
		return hex.EncodeToString(out)
	}
	redactor := redact.Join(redact.New(randomHex(32)), redact.New(randomHex(32)), redact.New(randomHex(32)), redact.New(randomHex(1024)))
	for range 20_000 {
		id := randomHex(16)
		require.Equal(t, id, redactor.Text(id))
		body := `{"trackingId":"` + id + `"}`
		require.Equal(t, body, redactor.Text(body))
	}
}

// FuzzText: whatever stands around a secret and whichever way it is spelled, cut or mutilated, it can't be read.
func FuzzText(f *testing.F) {
	names := slices.Sorted(maps.Keys(spellings))
	for i, secret := range secrets {
		f.Add(secret, "Bearer ", " was refused", byte(i), byte(0), byte(0), byte(0))
		f.Add(secret, `{"message":"`, `"}`, byte(5*i), byte(1), byte(3), byte(9))
	}
	f.Fuzz(func(t *testing.T, secret, before, after string, spelling, front, behind, missing byte) {
		sum := sha256.Sum256([]byte(secret + before + after))
		stranger := hex.EncodeToString(sum[:])
		text := before + secret + after
		require.Equal(t, text, redact.New(stranger).Text(text), "it holds nothing of the secret %s", stranger)

		if len(secret) < 8 || readingsDiffer(secret) || strings.Contains("[redacted]", lower(secret)[:min(8, len(lower(secret)))]) {
			return
		}
		name := names[int(spelling)%len(names)]
		spelled := spellings[name](secret)
		spelled = spelled[min(int(front), len(spelled)):]
		spelled = spelled[:max(0, len(spelled)-int(behind))]
		if at := int(missing); at > 0 && at < len(spelled) {
			spelled = spelled[:at] + spelled[at+1:]
		}
		text = before + " : " + spelled + " : " + after
		out := redact.New(secret).Text(text)
		require.Empty(t, readable(out, secret), "%s: %q became %q", name, text, out)
	})
}

// readingsDiffer reports whether a secret can be read in more than one way itself.
func readingsDiffer(secret string) bool {
	for _, decode := range []func(string) string{unescapeJSON, html.UnescapeString, unescapePercent} {
		if decode(secret) != secret {
			return true
		}
	}
	return nothingShown.MatchString(secret)
}

package redact_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/internal/redact"
	"github.com/sailpoint-go/sailpoint/internal/redact/redacttest"
	"github.com/sailpoint-go/sailpoint/internal/sampletest"
)

// secrets look like a PAT's secret, a bearer and passwords.
var secrets = []string{
	"5ecf00d15ecf00d1a7b3c9e24f60718293a4b5c6d7e8f9011223344556677889",
	"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJwYXQifQ.bearer-value_1-c2lnbmF0dXJl",
	"cs-51&=+%ü-c0ffee/<\"'>\\x",
	"Correct.Horse-9",
}

func TestNoWindowOfASecretStaysReadable(t *testing.T) {
	tried := 0
	for name, spell := range redacttest.Spellings {
		t.Run(name, func(t *testing.T) {
			first, step := sampletest.Choose(t, 5)
			for _, secret := range secrets {
				redactor := redact.New(secret)
				spelled := spell(secret)
				require.NotEmpty(t, redacttest.Readable(spelled, secret), "before redaction the secret can be read: %s", spelled)
				check := func(text string) {
					tried++
					out := redactor.Text(text)
					require.Empty(t, redacttest.Readable(out, secret), "%q became %q", text, out)
				}
				check(spelled)
				for i := first; i < len(spelled); i += step {
					check("a " + spelled[i:])                           // cut at its start
					check(spelled[:i])                                  // cut at its end
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
		"alone":                              {secret, "[REDACTED]"},
		"twice":                              {secret + " and " + secret + "!", "[REDACTED] and [REDACTED]!"},
		"twice in a row":                     {secret + secret, "[REDACTED]"},
		"escaped":                            {`a\u0043orrect.Horse-9b`, "a[REDACTED]b"},
		"cut":                                {"...rrect.Hors.", "...[REDACTED]."},
		"seven bytes":                        {"Correct. Hors... orse-9", "[REDACTED]... orse-9"},
		"fewer than the window":              {"Correct, orse-9, ct.Hors", "Correct, orse-9, ct.Hors"},
		"base64":                             {"Basic " + base64.StdEncoding.EncodeToString([]byte(secret)) + " end", "Basic [REDACTED] end"},
		"hex":                                {"0x" + hex.EncodeToString([]byte(secret)) + ";", "0x[REDACTED];"},
		"between letters that are not ASCII": {"größer" + secret + "größer", "größer[REDACTED]größer"},
		"not UTF-8":                          {"\xff" + secret + "\xc3", "\xff[REDACTED]\xc3"},
		"empty":                              {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, redact.New(secret).Text(tt.text))
		})
	}
}

// TestShortSecrets shows that they are replaced whole, or not at all.
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

// TestSecretThatLooksEscaped shows that a secret with escapes is found
// literally and in all spellings.
func TestSecretThatLooksEscaped(t *testing.T) {
	for _, secret := range []string{`p%41ss%77ord-12345`, `p&amp;ss&#119;ord-12345`, `p\u0041ss\word-\n12345`, `%2541&amp;lt;\\u0041-12345`} {
		redactor := redact.New(secret)
		for name, spell := range redacttest.Spellings {
			if text := spell(secret); name != "percent three times" {
				assert.Empty(t, redacttest.Readable(redactor.Text(text), secret), "%s: %s", name, text)
			}
		}
	}
}

// TestIDsAreNotRedacted tries 20,000 random ids with secrets of the same
// digits.
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

// FuzzText shows that a secret can't be read in any text, however it is
// spelled, cut or damaged.
func FuzzText(f *testing.F) {
	names := slices.Sorted(maps.Keys(redacttest.Spellings))
	for i, secret := range secrets {
		f.Add(secret, "Bearer ", " was rejected", byte(i), byte(0), byte(0), byte(0))
		f.Add(secret, `{"message":"`, `"}`, byte(5*i), byte(1), byte(3), byte(9))
	}
	f.Add("5ecf00d15ecf00d1a7b3c9e24f607182", `{"`, `"}`, byte(34), byte(26), byte(3), byte(9)) // leaves a backslash before a digit
	f.Fuzz(func(t *testing.T, secret, before, after string, spelling, front, back, missing byte) {
		sum := sha256.Sum256([]byte(secret + before + after))
		stranger := hex.EncodeToString(sum[:])
		text := before + secret + after
		require.Equal(t, text, redact.New(stranger).Text(text), "the text does not hold the secret %s", stranger)

		// No secret of the API has such a character. Before the text that
		// follows, the last three could begin an escape.
		unusual := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`\&%`, r) }
		if len(secret) < 8 || strings.ContainsFunc(secret, unusual) || redacttest.Ambiguous(secret) || strings.EqualFold(secret, "redacted") {
			return
		}
		name := names[int(spelling)%len(names)]
		spelled := redacttest.Spellings[name](secret)
		spelled = spelled[min(int(front), len(spelled)):]
		spelled = spelled[:max(0, len(spelled)-int(back))]
		if at := int(missing); at > 0 && at < len(spelled) {
			spelled = spelled[:at] + spelled[at+1:]
		}
		text = before + " : " + spelled + " : " + after
		out := redact.New(secret).Text(text)
		require.Empty(t, redacttest.Readable(out, secret), "%s: %q became %q", name, text, out)
	})
}

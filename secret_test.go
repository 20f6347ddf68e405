package sailpoint_test

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	jsonv1 "encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// forms returns the forms in which a text could hold secret.
func forms(secret string) []string {
	quoted, _ := jsonv1.Marshal(secret)
	return []string{
		secret,
		url.QueryEscape(secret),
		url.PathEscape(secret),
		string(quoted[1 : len(quoted)-1]),
		strings.Trim(fmt.Sprintf("%q", secret), `"`),
		hex.EncodeToString([]byte(secret)),
		strings.ToUpper(hex.EncodeToString([]byte(secret))),
		fmt.Sprintf("% x", secret),
		strings.Trim(fmt.Sprintf("%d", []byte(secret)), "[]"),
		base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
}

func TestSecretPrintsAsRedactedUnderEveryVerb(t *testing.T) {
	secret := sailpoint.NewSecret("hunter2-hunter2")
	for _, verb := range verbs {
		switch verb {
		case "%T":
			require.Equal(t, "sailpoint.Secret", fmt.Sprintf(verb, secret))
		case "%p", "%#p", "%w": // fmt does not call the value's methods, and prints the struct's fields
			requireAbsent(t, fmt.Sprintf(verb, secret), "hunter2-hunter2")
		default:
			require.Equal(t, "[REDACTED]", fmt.Sprintf(verb, secret), verb)
			require.Equal(t, "[REDACTED]", fmt.Sprintf(verb, &secret), verb)
		}
	}
	require.Equal(t, "[REDACTED] [REDACTED]\n", fmt.Sprintln(secret, sailpoint.Secret{}), "an empty Secret prints the same")
}

func TestNestedSecretIsNotPrinted(t *testing.T) {
	secret := sailpoint.NewSecret("hunter2-hunter2")
	type inner struct{ secret sailpoint.Secret }
	type outer struct {
		Secret  sailpoint.Secret
		secret  sailpoint.Secret
		inner   inner
		pointer *sailpoint.Secret
		any     any
		list    []sailpoint.Secret
		mapped  map[string]sailpoint.Secret
	}
	type embedding struct{ sailpoint.Secret }
	value := outer{
		secret, secret, inner{secret}, &secret, secret, []sailpoint.Secret{secret}, map[string]sailpoint.Secret{"k": secret},
	}
	for _, v := range []any{value, &value, []outer{value}, map[string]any{"k": value}, [1]inner{{secret}}, embedding{secret}} {
		for how, text := range printings(v) {
			t.Run(fmt.Sprintf("%T/%s", v, how), func(t *testing.T) { requireAbsent(t, text, "hunter2-hunter2") })
		}
	}
}

func TestSecretIsLoggedAsRedacted(t *testing.T) {
	secret := sailpoint.NewSecret("hunter2-hunter2")
	var text, object bytes.Buffer
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&text, nil)), slog.New(slog.NewJSONHandler(&object, nil))} {
		logger.With("with", secret).Info("m", "any", secret, "pointer", &secret, slog.Group("group", "secret", secret))
	}
	assert.Contains(t, text.String(), "with=[REDACTED] any=[REDACTED] pointer=[REDACTED] group.secret=[REDACTED]")
	assert.Contains(t, object.String(), `"with":"[REDACTED]","any":"[REDACTED]","pointer":"[REDACTED]","group":{"secret":"[REDACTED]"}`)
}

// TestMarshallingASecretFails shows that a Secret is neither leaked nor
// silently lost.
func TestMarshallingASecretFails(t *testing.T) {
	type holder struct {
		Name   string
		Secret sailpoint.Secret
	}
	value := holder{"n", sailpoint.NewSecret("hunter2-hunter2")}
	for name, tt := range map[string]struct {
		marshal func(any) ([]byte, error)
		want    string
	}{
		"encoding/json": {jsonv1.Marshal, "use Reveal"},
		"json/v2":       {func(v any) ([]byte, error) { return json.Marshal(v) }, "use Reveal"},
		"encoding/xml":  {xml.Marshal, "use Reveal"},
		"encoding/gob": {func(v any) ([]byte, error) {
			var out bytes.Buffer
			err := gob.NewEncoder(&out).Encode(v)
			return out.Bytes(), err
		}, "sailpoint.Secret has no exported fields"},
	} {
		for _, v := range []any{value, &value, value.Secret, &value.Secret, []holder{value}} {
			t.Run(fmt.Sprintf("%s/%T", name, v), func(t *testing.T) {
				out, err := tt.marshal(v)
				require.ErrorContains(t, err, tt.want)
				requireAbsent(t, err.Error()+string(out), "hunter2-hunter2")
			})
		}
	}
	_, err := encoding.TextMarshaler(value.Secret).MarshalText()
	require.ErrorContains(t, err, "use Reveal")
}

func TestSecretIsReadFromAConfiguration(t *testing.T) {
	type holder struct {
		Secret sailpoint.Secret `xml:"secret"`
	}
	for name, unmarshal := range map[string]func(*holder) error{
		"encoding/json": func(h *holder) error { return jsonv1.Unmarshal([]byte(`{"Secret":"hunter2\u002d2"}`), h) },
		"json/v2":       func(h *holder) error { return json.Unmarshal([]byte(`{"Secret":"hunter2\u002d2"}`), h) },
		"encoding/xml":  func(h *holder) error { return xml.Unmarshal([]byte(`<h><secret>hunter2-2</secret></h>`), h) },
		"text":          func(h *holder) error { return h.Secret.UnmarshalText([]byte("hunter2-2")) },
	} {
		t.Run(name, func(t *testing.T) {
			var h holder
			require.NoError(t, unmarshal(&h))
			require.Equal(t, "hunter2-2", h.Secret.Reveal())
		})
	}

	text := []byte("hunter2-2")
	var secret sailpoint.Secret
	require.NoError(t, secret.UnmarshalText(text))
	clear(text)
	assert.Equal(t, "hunter2-2", secret.Reveal(), "Reveal returns a copy")
	require.NoError(t, secret.UnmarshalText(nil))
	assert.True(t, secret.IsZero())
}

func TestSecretEqual(t *testing.T) {
	a := sailpoint.NewSecret("a")
	for _, tt := range []struct {
		x, y sailpoint.Secret
		want bool
	}{
		{a, a, true},
		{a, sailpoint.NewSecret("a"), true},
		{a, sailpoint.NewSecret("b"), false},
		{a, sailpoint.NewSecret("aa"), false},
		{a, sailpoint.Secret{}, false},
		{sailpoint.Secret{}, sailpoint.NewSecret(""), true},
	} {
		assert.Equal(t, tt.want, tt.x.Equal(tt.y))
		assert.Equal(t, tt.want, tt.y.Equal(tt.x))
	}
}

// TestSecretIsNotEqualByReflection checks what the doc comment says, for
// readers who wonder about their own tests.
func TestSecretIsNotEqualByReflection(t *testing.T) {
	one := sailpoint.Config{ClientSecret: sailpoint.NewSecret("a")}
	other := one
	assert.NotEqual(t, one, other)
	one.ClientSecret, other.ClientSecret = sailpoint.Secret{}, sailpoint.NewSecret("")
	assert.Equal(t, one, other)
}

func TestEmptySecretIsZero(t *testing.T) {
	assert.True(t, sailpoint.Secret{}.IsZero())
	assert.True(t, sailpoint.NewSecret("").IsZero())
	assert.False(t, sailpoint.NewSecret(" ").IsZero())
	assert.Empty(t, sailpoint.Secret{}.Reveal())
	assert.Equal(t, " \x00ü", sailpoint.NewSecret(" \x00ü").Reveal(), "byte for byte")
}

// TestSecretHasNoTextMethods checks for methods that would compile in place of
// Reveal or Equal.
func TestSecretHasNoTextMethods(t *testing.T) {
	secret := reflect.TypeFor[sailpoint.Secret]()
	assert.False(t, secret.Comparable(), "==")
	for _, name := range []string{"String", "GoString", "Error", "MarshalJSON"} {
		_, has := reflect.PointerTo(secret).MethodByName(name)
		assert.False(t, has, name)
	}
}

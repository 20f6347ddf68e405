package sailpoint

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// Secret holds a client secret, a PAT's secret or a bearer. Printing or logging
// it writes "[REDACTED]", and marshalling it is an error. Only [Secret.Reveal]
// returns the value. The zero Secret is empty.
//
// Compare Secrets with [Secret.Equal], because == does not compile.
// reflect.DeepEqual, and with it testify's Equal, reports any two non-empty
// Secrets as different.
//
// Secret has no String method, because code that stores s.String() would store
// "[REDACTED]" instead of the secret.
type Secret struct {
	// A closure, because fmt and reflection can print the string in an
	// unexported field but can't look into a func.
	reveal func() string
}

// NewSecret returns s as a Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{reveal: func() string { return s }}
}

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.reveal == nil }

// Equal reports whether both are the same secret. The time that it takes does
// not depend on where they differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format implements [fmt.Formatter]. Every verb prints "[REDACTED]".
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redact.Placeholder)) }

// LogValue implements [slog.LogValuer]. A log record holds "[REDACTED]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redact.Placeholder) }

// MarshalText always fails, so that marshalling neither leaks a secret nor
// silently loses it.
func (s Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("sailpoint: a Secret can't be marshalled: use Reveal to write it out")
}

// UnmarshalText sets s to text, so that a Secret can be a field of a
// configuration that is read from JSON or YAML.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// newRedactor returns a function that makes the Redactor of s at its first
// call. Most calls of the API need none.
func newRedactor(s Secret) func() *redact.Redactor {
	return sync.OnceValue(func() *redact.Redactor { return redact.New(s.Reveal()) })
}

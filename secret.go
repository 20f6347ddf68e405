package sailpoint

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// Secret is a string that prints, logs and marshals as anything but itself: a client secret, a PAT's secret or a
// bearer. Only [Secret.Reveal] returns it. The zero Secret is empty.
//
// It has no String method, because a call of it would compile where Reveal is meant and store "[REDACTED]".
// Secrets are compared by [Secret.Equal]; == does not compile, and reflect.DeepEqual, which testify's Equal uses, finds
// no two of them equal that are not empty.
type Secret struct {
	// A closure, because fmt and reflection print the string of an unexported field but can't look into a func.
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

// Equal reports whether both are the same secret, in a time that does not depend on where they differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format implements [fmt.Formatter]: every verb prints "[REDACTED]".
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redact.Placeholder)) }

// LogValue implements [slog.LogValuer]: a log record holds "[REDACTED]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redact.Placeholder) }

// MarshalText always fails, so that marshalling neither leaks a secret nor silently loses it.
func (s Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("sailpoint: a Secret is not marshalled: use Reveal where it is to be written out")
}

// UnmarshalText reads a secret from a configuration.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// newRedactor returns what makes the Redactor of s when it is first needed, and keeps it: most calls need none.
func newRedactor(s Secret) func() *redact.Redactor {
	return sync.OnceValue(func() *redact.Redactor { return redact.New(s.Reveal()) })
}

package redact_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/internal/redact"
	"github.com/sailpoint-go/sailpoint/internal/redact/redacttest"
)

// hiding is an error whose text is not that of the error it wraps.
type hiding struct{ error }

func (hiding) Error() string   { return "hidden" }
func (h hiding) Unwrap() error { return h.error }

func TestRedactedErrorMatchesTheSameErrors(t *testing.T) {
	const secret = "Correct.Horse-9"
	redactor := redact.New(secret)
	for name, tt := range map[string]struct {
		err  error
		want string
		kept bool
	}{
		"nothing secret":               {fmt.Errorf("a: %w", io.EOF), "a: EOF", true},
		"in the text":                  {fmt.Errorf("PUT /%s: %w", secret, io.EOF), "PUT /[REDACTED]: EOF", false},
		"joined":                       {errors.Join(io.EOF, errors.New(secret)), "EOF\n[REDACTED]", false},
		"wrapped, and not in the text": {hiding{fmt.Errorf("%s: %w", secret, io.EOF)}, "hidden", false},
		"joined, and not in the text":  {hiding{errors.Join(io.EOF, errors.New(secret))}, "hidden", false},
	} {
		t.Run(name, func(t *testing.T) {
			err := redactor.Error(tt.err)
			require.EqualError(t, err, tt.want)
			assert.ErrorIs(t, err, io.EOF)
			assert.NotErrorIs(t, err, context.Canceled)
			assert.Equal(t, tt.kept, err == tt.err) //nolint:errorlint // the very error
			for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
				assert.Empty(t, redacttest.Readable(fmt.Sprintf(verb, err), secret))
			}
			if !tt.kept {
				assert.NoError(t, errors.Unwrap(err), "the wrapped error quotes the secret")
			}
		})
	}
	require.NoError(t, redactor.Error(nil))
}

package redact_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sailpoint-go/sailpoint/internal/redact"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		`größer "quoted"`:              `größer "quoted"`,
		"a\nlevel=ERROR":               `"a\nlevel=ERROR"`,
		"\x1b[31mred":                  `"\x1b[31mred"`,
		"\u202ecba":                    `"\u202ecba"`,
		"a\xffb":                       `"a\xffb"`,
		"a\ufffdb":                     "\"a\ufffdb\"",
		strings.Repeat("x", 512):       strings.Repeat("x", 512),
		strings.Repeat("x", 513):       strings.Repeat("x", 512) + "…",
		strings.Repeat("ü", 257):       strings.Repeat("ü", 256) + "…",
		"x" + strings.Repeat("ü", 256): "x" + strings.Repeat("ü", 255) + "…",
	} {
		assert.Equal(t, want, redact.Printable(text))
	}
}

func TestJoinedErrorsPrintOnOneLine(t *testing.T) {
	ended, refused := errors.New("the context ended"), errors.New("refused")
	for want, err := range map[string]error{
		"refused":                        refused,
		"the context ended; refused":     errors.Join(ended, refused),
		"the context ended":              errors.Join(ended, ended),
		"limiter: the context ended":     errors.Join(fmt.Errorf("limiter: %w", errors.Join(ended)), nil),
		"refused; the context ended":     errors.Join(refused, errors.Join(ended, refused)),
		`"refused\r; the context ended"`: errors.Join(errors.New("refused\r"), ended),
		strings.Repeat("x", 512) + "…":   errors.New(strings.Repeat("x", 513)),
		"":                               errors.New(""),
	} {
		assert.Equal(t, want, redact.PrintableError(err))
	}
}

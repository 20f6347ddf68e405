package redact_test

import (
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

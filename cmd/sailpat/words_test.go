package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGoWordsAreThoseOfThePackages shows that each text that words.go replaces
// is still in an error of the packages.
func TestGoWordsAreThoseOfThePackages(t *testing.T) {
	var source strings.Builder
	for _, pattern := range []string{"../../*.go", "../../lifecycle/*.go", "../../lifecycle/internal/storehttp/*.go"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			source.Write(content)
		}
	}
	for i := 0; i < len(goWords); i += 2 {
		text := strings.TrimSuffix(strings.TrimPrefix(goWords[i], invalid), `"`) // the quote comes from %q
		if strings.HasPrefix(text, "lifecycle: ") {
			continue // the package adds this to the text
		}
		if !strings.Contains(source.String(), text) {
			t.Errorf("no error has %q", text)
		}
	}
}

package sailpoint_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSnippetsAreCompiled shows that each Go snippet of the README and guides
// also stands, line for line, in a compiled file. A snippet of another SDK, which
// this module can't compile, is marked as golang instead of go.
func TestSnippetsAreCompiled(t *testing.T) {
	compiled := []string{withoutIndent(readFile(t, "internal/firstprogram/main.go"))}
	for _, name := range glob(t, "*example*_test.go", "*/*example*_test.go", "*/*/*example*_test.go") {
		compiled = append(compiled, withoutIndent(readFile(t, name)))
	}
	count := map[string]int{}
	for _, name := range glob(t, "*.md", "docs/*.md") {
		for _, snippet := range strings.Split(readFile(t, name), "```go\n")[1:] {
			snippet, _, closed := strings.Cut(snippet, "```")
			require.True(t, closed, name)
			require.True(t, slices.ContainsFunc(compiled, func(source string) bool {
				return strings.Contains(source, withoutIndent(snippet))
			}), "a snippet in %s is not compiled anywhere:\n%s", name, snippet)
			count[name]++
		}
	}
	require.GreaterOrEqual(t, count["README.md"], 2)
	require.GreaterOrEqual(t, count["docs/from-go-sdk.md"], 5, "one for each call")
}

// TestTheGuidesListEveryError compares them with the exported surface.
func TestTheGuidesListEveryError(t *testing.T) {
	const module = "github.com/sailpoint-go/sailpoint"
	surface := readFile(t, "api.txt")
	for pkg, guide := range map[string]string{module: "README.md", module + "/lifecycle": "docs/expiring-tokens.md"} {
		listed := readFile(t, guide)
		found := regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(pkg)+`: var (Err\w+) error$`).FindAllStringSubmatch(surface, -1)
		require.Greater(t, len(found), 10, pkg)
		for _, name := range found {
			require.Contains(t, listed, "`"+name[1]+"`", guide)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	dropped = regexp.MustCompile(`[^\w\- ]`)
)

// TestLinksOfTheGuidesLeadSomewhere follows each link to a file or heading of
// this repository.
func TestLinksOfTheGuidesLeadSomewhere(t *testing.T) {
	count := 0
	for _, name := range glob(t, "*.md", "docs/*.md", "*/README.md") {
		for _, found := range link.FindAllStringSubmatch(readFile(t, name), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			count++
			path := name
			if target != "" {
				path = filepath.Join(filepath.Dir(name), target)
			}
			_, err := os.Stat(path)
			if !assert.NoError(t, err, "%s links to %s", name, found[1]) || anchor == "" {
				continue
			}
			var anchors []string
			for _, line := range heading.FindAllStringSubmatch(readFile(t, path), -1) {
				anchors = append(anchors, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(line[1]), ""), " ", "-"))
			}
			assert.Contains(t, anchors, anchor, "%s links to %s", name, found[1])
		}
	}
	require.Greater(t, count, 30)
}

func glob(t *testing.T, patterns ...string) (names []string) {
	t.Helper()
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		names = append(names, found...)
	}
	return names
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(content)
}

func withoutIndent(source string) string {
	var b strings.Builder
	for line := range strings.Lines(source) {
		b.WriteString(strings.TrimLeft(line, " \t"))
	}
	return b.String()
}

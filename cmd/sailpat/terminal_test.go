package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// onTerminal returns an invocation on a terminal, with what a person types.
func onTerminal(tenant *sailpointtest.Tenant, typed string) invocation {
	i := on(tenant)
	i.terminal, i.width, i.in = true, 80, strings.NewReader(typed)
	return i
}

// TestConfirmation shows that a terminal is asked, with the tenant and the
// number of tokens, and that nothing else is.
func TestConfirmation(t *testing.T) {
	const asked = "Delete 2 tokens of https://acme.api.identitynow.com? [y/N] "
	const refused = "sailpat prune: not confirmed: nothing was changed\n"
	const line = "prune --apply --kinds expired"
	for _, tt := range []struct {
		name, line, typed string
		terminal          bool
		code              int
		stderr            string
		left              int
	}{
		{"yes", line, "y\n", true, 0, asked, 1},
		{"YES", line, "YES\n", true, 0, asked, 1},
		{"no", line, "n\n", true, 1, asked + refused, 3},
		{"return", line, "\n", true, 1, asked + refused, 3},
		{"end of input", line, "", true, 1, asked + refused, 3},
		{"--yes", line + " --yes", "", true, 0, "", 1},
		{"a dry run", "prune --kinds expired", "", true, 0, "", 3},
		{"no terminal", line, "", false, 0, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant := sailpointtest.NewTenant()
				for _, name := range []string{"a", "b"} {
					tenant.Add(sailpoint.PersonalAccessToken{Name: name, ExpirationDate: inDays(-1)})
				}
				i := onTerminal(tenant, tt.typed)
				i.terminal = tt.terminal
				code, _, stderr := i.run(t.Context(), tt.line)
				assert.Equal(t, tt.code, code)
				assert.Len(t, tenant.Tokens(), tt.left)
				said, bar, _ := strings.Cut(stderr, " [")
				if strings.HasPrefix(stderr, asked) {
					said, bar, _ = strings.Cut(strings.TrimPrefix(stderr, asked), " [")
					said = asked + said
				}
				assert.Equal(t, tt.stderr, said)
				if tt.terminal && tt.left == 1 {
					assert.Contains(t, bar, "] 2/2\n", "the progress bar")
				} else {
					assert.Empty(t, bar)
				}
			})
		})
	}
}

// TestHiddenQuestionIsRefused shows that a person who sends standard error
// elsewhere isn't skipped.
func TestHiddenQuestionIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for line, code := range map[string]int{"prune --apply": 2, "renew --apply": 2, "prune": 0, "prune --apply --yes": 0} {
			var notes strings.Builder
			tenant := sailpointtest.NewTenant()
			tenant.Add(sailpoint.PersonalAccessToken{Name: "a", ExpirationDate: inDays(-1)})
			env := settings(tenant)
			s := streams{in: strings.NewReader(""), out: io.Discard, err: &notes, inTerminal: true, outTerminal: true, width: 80}
			assert.Equal(t, code, run(t.Context(), strings.Fields(line), func(name string) string { return env[name] }, s, tenant), line)
			if code == 2 {
				assert.Contains(t, notes.String(), "the question can't be seen, because standard error is not a terminal: add --yes")
				assert.Empty(t, tenant.Requests(), line)
			}
		}
	})
}

func TestRenewAsksToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		tenant.Add(sailpoint.PersonalAccessToken{Name: "soon", ExpirationDate: inDays(3)})
		code, _, stderr := onTerminal(tenant, "n\n").run(t.Context(), "renew --apply")
		assert.Equal(t, 1, code)
		assert.Equal(t, "Renew 1 token of https://acme.api.identitynow.com? [y/N] sailpat renew: not confirmed: nothing was changed\n", stderr)
		code, stdout, stderr := onTerminal(tenant, "y\n").run(t.Context(), "renew --apply")
		assert.Equal(t, 0, code)
		assert.Contains(t, stdout, "1 token chosen, 1 renewed")
		assert.Equal(t, "Renew 1 token of https://acme.api.identitynow.com? [y/N] ", stderr)
	})
}

type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

// TestASignalEndsTheQuestion interrupts the command while it waits for a person.
func TestASignalEndsTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		tenant.Add(sailpoint.PersonalAccessToken{Name: "a", ExpirationDate: inDays(-1)})
		ctx, cancel := context.WithCancel(t.Context())
		i := onTerminal(tenant, "")
		ended := make(chan struct{})
		i.in = reader(func([]byte) (int, error) {
			cancel()
			<-ended
			return 0, io.EOF
		})
		code, _, stderr := i.run(ctx, "prune --apply --kinds expired")
		close(ended)
		assert.Equal(t, 1, code)
		assert.Contains(t, stderr, "? [y/N] \nsailpat prune: interrupted: not confirmed: nothing was changed; context canceled\n")
		assert.Len(t, tenant.Tokens(), 2)
	})
}

// TestWidth shows that no line is wider than the terminal, unless an ID needs
// it, and that every ID is shown whole. Off a terminal nothing is cut.
func TestWidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		long := strings.Repeat("長い名前", 10)
		id, _ := tenant.Add(sailpoint.PersonalAccessToken{Name: long, ExpirationDate: inDays(-1), LastUsed: inDays(-200)})
		for _, line := range []string{"list", "audit", "prune"} {
			for _, width := range []int{0, 40, 60, 79, 80, 81, 120, 500} {
				i := onTerminal(tenant, "").with("NO_COLOR", "1")
				i.width = width
				_, stdout, _ := i.run(t.Context(), line)
				assert.Contains(t, stdout, id, "%s at %d", line, width)
				assert.NotContains(t, stdout, "\x1b")
				if width < 79 {
					continue
				}
				for row := range strings.Lines(stdout) {
					row = strings.TrimSuffix(row, "\n")
					if !strings.Contains(row, "Findings: ") { // the last line is a sentence that the terminal wraps
						assert.LessOrEqual(t, ansi.StringWidth(row), width, "%s at %d: %s", line, width, row)
					}
				}
			}
			_, piped, _ := on(tenant).run(t.Context(), line)
			assert.Contains(t, piped, long)
			assert.NotContains(t, piped, "\x1b")
		}
	})
}

func TestColorIsForTerminalsThatWantIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		colored := func(i invocation) bool {
			_, stdout, _ := i.run(t.Context(), "audit")
			return strings.Contains(stdout, "\x1b[31mevery-right\x1b[0m")
		}
		assert.True(t, colored(onTerminal(tenant, "")))
		assert.False(t, colored(onTerminal(tenant, "").with("NO_COLOR", "1")))
		assert.False(t, colored(onTerminal(tenant, "").with("TERM", "dumb")))
		assert.False(t, colored(on(tenant)))
	})
}

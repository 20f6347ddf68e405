package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const oldID = "86f1dc6fe8f54414950454cbb11278fa"

// TestMarkFormIsPermanent checks the form of marks. A later version must
// recognize the leftovers of this one.
func TestMarkFormIsPermanent(t *testing.T) {
	sum := func(s string) string { b := sha256.Sum256([]byte(s)); return hex.EncodeToString(b[:])[:8] }
	tag := sum(oldID)
	assert.Equal(t, "deploy-next-"+tag+"01234567"+sum("next"+tag+"01234567"), mark{kindNext, tagFor(oldID), "01234567"}.on("deploy"))
	assert.Equal(t, "deploy-new-01234567"+sum("new01234567"), mark{kindNew, "", "01234567"}.on("deploy"))
	assert.Equal(t, "deploy-next-0123abcd89ef4567a8f40d4c", mark{kindNext, "0123abcd", "89ef4567"}.on("deploy"))
}

func TestMarkRoundTrip(t *testing.T) {
	for _, base := range []string{"deploy", "a-next-b", "-", "é\n", "x-new-0123456789abcdef"} {
		for _, m := range []mark{newToken(newNonce()), successorOf(oldID, newNonce()), successorOf("other form", newNonce())} {
			name := m.on(base)
			gotBase, got, ok := markOf(name)
			require.True(t, ok, "%q", name)
			assert.Equal(t, base, gotBase)
			assert.Equal(t, m, got)
			assert.True(t, marked(name))
			assert.Equal(t, base, baseOf(successorOf(oldID, newNonce()).on(name)), "baseOf must remove any mark")
		}
	}
	one, other := newNonce(), newNonce()
	assert.NotEqual(t, one, other, "each run has its own nonce")
}

// TestLookAlikes checks that typed names are not treated as marks.
func TestLookAlikes(t *testing.T) {
	next, fresh := mark{kindNext, "86f1dc6f", "01234567"}.on("deploy"), mark{kindNew, "", "01234567"}.on("deploy")
	require.True(t, marked(next) && marked(fresh))
	for _, name := range []string{
		"", "deploy", "deploy-next", "deploy-next-", "deploy-new-", "deploy-next-86f1dc6f", "deploy-next-86f1dc6f0123456789abcdef",
		next + "0", next[:len(next)-1], next[:len(next)-1] + string("01"[strings.Count(next[len(next)-1:], "0")]), next + " ", "-next-" + next[len("deploy-next-"):],
		strings.Replace(next, "deploy", "deplo\ufffd", 1), strings.Replace(fresh, "deploy", "\ufffd", 1), "\ufffd" + next,
		strings.ToUpper(next), strings.Replace(next, "-next-", "-new-", 1), strings.Replace(fresh, "-new-", "-next-", 1),
	} {
		assert.False(t, marked(name), "%q", name)
		assert.Equal(t, name, baseOf(name))
	}
}

func TestNote(t *testing.T) {
	assert.Regexp(t, `^v1;replaces=86f1dc6fe8f54414950454cbb11278fa;w=[0-9a-f]{16}$`, note(oldID))
	one, other := note(oldID), note(oldID)
	assert.NotEqual(t, one, other, "each write must differ")
	for text, want := range map[string]string{note(oldID): oldID, note(""): ""} {
		id, ok := (&Credential{Note: text}).replaces()
		assert.True(t, ok)
		assert.Equal(t, want, id)
	}
	for _, text := range []string{"", "v1", "v2;replaces=a;w=0123456789abcdef", "v1;replaces=a;w=0123456789abcde", "v1;replaces=a/b;w=0123456789abcdef"} {
		id, ok := (&Credential{Note: text}).replaces()
		assert.False(t, ok, text)
		assert.Empty(t, id)
	}
}

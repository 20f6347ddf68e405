package lifecycle

import (
	"fmt"

	"github.com/sailpoint-go/sailpoint"
)

const maxTokens = 10 // per owner

// Limits of what Audit, Prune and Renew hold in memory. They allow ten tokens
// for each of 10,000 owners, at about 2.5 KiB each.
const (
	maxHeldTokens = 100_000
	maxHeldBytes  = 256 << 20
	tokenBytes    = 512 // per token, without its texts
)

// holding counts what a call holds in memory. The server decides how many
// tokens it sends.
type holding struct{ tokens, bytes int }

// add counts a token, and returns an error above a limit.
func (h *holding) add(t *sailpoint.PersonalAccessToken) error {
	h.tokens++
	h.bytes += tokenBytes + len(t.ID) + len(t.Name) + len(t.Owner.ID) + len(t.Owner.Name) + len(t.Owner.Type)
	for _, scope := range t.Scope {
		h.bytes += 16 + len(scope)
	}
	if h.tokens > maxHeldTokens || h.bytes > maxHeldBytes {
		return fmt.Errorf("lifecycle: more than %d tokens or %d MiB would be held in memory: "+
			"select fewer tokens, for example those of one owner", maxHeldTokens, maxHeldBytes>>20)
	}
	return nil
}

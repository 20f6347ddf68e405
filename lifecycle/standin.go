package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
)

type mark struct{ kind, tag, nonce string }

var plainTag = regexp.MustCompile(`^[0-9a-f]{8}`)

func tagOf(id string) string {
	if plainTag.MatchString(id) {
		return id[:8]
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:4])
}

var marked = regexp.MustCompile(`(?s)^(.+)-(?:new-|next-([0-9a-f]{8}))([0-9a-f]{8})([0-9a-f]{8})$`)

func parseMark(name string) (base string, m mark, ok bool) {
	parts := marked.FindStringSubmatch(name)
	if parts == nil {
		return name, mark{}, false
	}
	m = mark{"new", parts[2], parts[3]}
	if m.tag != "" {
		m.kind = "next"
	}
	sum := sha256.Sum256([]byte(m.kind + m.tag + m.nonce))
	return parts[1], m, hex.EncodeToString(sum[:4]) == parts[4]
}

func hasMark(name string) bool {
	_, _, ok := parseMark(name)
	return ok
}

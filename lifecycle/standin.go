package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
)

var markForm = regexp.MustCompile(`^.*-(new|next)-([0-9a-f]{8})?([0-9a-f]{8})([0-9a-f]{8})$`)

func markOf(name string) (kind, tag string, ok bool) {
	m := markForm.FindStringSubmatch(name)
	if m == nil || (m[1] == "next") != (m[2] != "") {
		return "", "", false
	}
	sum := sha256.Sum256([]byte(m[1] + m[2] + m[3]))
	return m[1], m[2], hex.EncodeToString(sum[:4]) == m[4]
}

func marked(name string) bool { _, _, ok := markOf(name); return ok }

func tagOf(name string) string {
	if _, tag, ok := markOf(name); ok {
		return tag
	}
	return ""
}

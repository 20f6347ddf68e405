package lifecycle

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The kinds of marks.
const (
	kindNew  = "new"  // a token of Issue
	kindNext = "next" // a successor of Rotate
)

// mark makes a name temporary. The forms are <name>-new-<nonce><check> and
// <name>-next-<tag><nonce><check>. Each part has eight hexadecimal digits.
//
// The tag binds a successor to the one token that it replaces. Names change,
// and an owner's jobs must not mistake each other's tokens for their own. The
// nonce belongs to one run, so the run recognizes its token if the response is
// lost. The check keeps a typed name from looking like a mark.
type mark struct{ kind, tag, nonce string }

// newToken returns the mark of a token of Issue.
func newToken(nonce string) mark { return mark{kind: kindNew, nonce: nonce} }

// successorOf returns the mark of the successor of the token with this ID.
func successorOf(id, nonce string) mark { return mark{kindNext, tagFor(id), nonce} }

// newNonce returns the nonce of a run.
func newNonce() string { return randomHex(4) }

// on returns the temporary name of a token whose final name is base.
func (m mark) on(base string) string {
	return base + "-" + m.kind + "-" + m.tag + m.nonce + m.check()
}

func (m mark) check() string { return digest(m.kind + m.tag + m.nonce) }

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

var markForm = regexp.MustCompile(`(?s)^(.+)-(?:(new)-|(next)-([0-9a-f]{8}))([0-9a-f]{8})([0-9a-f]{8})$`)

// markOf splits a name into its base and its mark, if it has one. A name with
// lost characters has no mark, because the original name is not known.
func markOf(name string) (base string, m mark, ok bool) {
	parts := markForm.FindStringSubmatch(name)
	if parts == nil || strings.ContainsRune(name, utf8.RuneError) {
		return name, mark{}, false
	}
	m = mark{parts[2] + parts[3], parts[4], parts[5]}
	if m.check() != parts[6] {
		return name, mark{}, false
	}
	return parts[1], m, true
}

// marked reports whether a name belongs to a run that has not settled it.
func marked(name string) bool {
	_, _, ok := markOf(name)
	return ok
}

// baseOf returns name without any mark.
func baseOf(name string) string {
	for base, _, ok := markOf(name); ok; base, _, ok = markOf(name) {
		name = base
	}
	return name
}

// tagFor returns the tag of the token with this ID. It is a digest, because the
// IDs of an owner's tokens may begin alike.
func tagFor(id string) string { return digest(id) }

// note returns the Note of a credential that replaced this token. It is stored
// in the write that replaced the token, and IDs never return to the store. Any
// run may therefore delete the token by this ID at any time.
//
// The random part makes each write a change. A store that drops writes without
// a change would not fence.
func note(replaces string) string { return "v1;replaces=" + replaces + ";w=" + randomHex(8) }

var noteForm = regexp.MustCompile(`^v1;replaces=([A-Za-z0-9_-]{0,128});w=[0-9a-f]{16}$`)

// laterNote matches notes of a later form. Any other text is a person's.
var laterNote = regexp.MustCompile(`^v[0-9]+;`)

// replaces returns the ID of the token that c replaced, or "". It returns false
// if the Note was not made by note.
func (c *Credential) replaces() (id string, ok bool) {
	parts := noteForm.FindStringSubmatch(c.Note)
	if parts == nil {
		return "", false
	}
	if strings.EqualFold(parts[1], c.ID) {
		return "", true // somebody restored the old ID and secret but not the note
	}
	return parts[1], true
}

// randomHex returns n random bytes in hexadecimal.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // rand.Read never fails
	return hex.EncodeToString(b)
}

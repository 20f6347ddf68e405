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
	kindNew  = "new"  // of a token of Issue
	kindNext = "next" // of a successor by Rotate
)

// mark is what makes a name a temporary one: <name>-new-<nonce><check> or <name>-next-<tag><nonce><check>, each part of
// eight digits.
//
// The tag binds a successor to the one token that it is to replace: names change, and jobs of one owner must not take
// each other's for theirs. The nonce is the run's own, so that the run knows again what it made where the answer is
// lost. The check keeps what a person typed from looking like a mark.
type mark struct{ kind, tag, nonce string }

// newToken returns the mark of a token by Issue.
func newToken(nonce string) mark { return mark{kind: kindNew, nonce: nonce} }

// successorOf returns the mark of the successor of the token with this id.
func successorOf(id, nonce string) mark { return mark{kindNext, tagFor(id), nonce} }

// newNonce returns the nonce of a run.
func newNonce() string { return randomHex(4) }

// on returns the temporary name of a token that is to be called base.
func (m mark) on(base string) string {
	return base + "-" + m.kind + "-" + m.tag + m.nonce + m.check()
}

func (m mark) check() string { return digest(m.kind + m.tag + m.nonce) }

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

var markForm = regexp.MustCompile(`(?s)^(.+)-(?:(new)-|(next)-([0-9a-f]{8}))([0-9a-f]{8})([0-9a-f]{8})$`)

// markOf returns the name without its mark, and the mark; false: it has none. A name of which a part was lost has none:
// what it was is not known.
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

// marked reports whether a token with this name is a run's, and not settled.
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

var tagForm = regexp.MustCompile(`^[0-9a-f]{8}`)

// tagFor returns the tag of the token with this id: the id's beginning, which a person can see, or a digest of an id of
// another form than today's.
func tagFor(id string) string {
	if tag := tagForm.FindString(id); tag != "" {
		return tag
	}
	return digest(id)
}

// note is what a Credential's Note says: which token the stored one replaced. It stands in the very write that replaced
// it, and ids never return to the store, so that the token may be deleted by this id whenever, and by whomever.
//
// What is random in it makes each write a real one: a store that drops writes that change nothing would not fence.
func note(replaces string) string { return "v1;replaces=" + replaces + ";w=" + randomHex(8) }

var noteForm = regexp.MustCompile(`^v1;replaces=([A-Za-z0-9_-]{0,128});w=[0-9a-f]{16}$`)

// laterNote is a note of a form that is still to come. Any other is a person's, and says nothing.
var laterNote = regexp.MustCompile(`^v[0-9]+;`)

// replaces returns the id of the token that c's replaced, "" if none is noted; false: the note is not one of note's.
func (c *Credential) replaces() (id string, ok bool) {
	parts := noteForm.FindStringSubmatch(c.Note)
	if parts == nil {
		return "", false
	}
	if strings.EqualFold(parts[1], c.ID) {
		return "", true // somebody put the old id and secret back, and left the note: the token is in use again
	}
	return parts[1], true
}

// randomHex returns n random bytes.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Package redact removes secrets from texts for errors and log records, and
// limits the length of texts from outside.
package redact

import (
	"strings"
	"unicode/utf8"
)

// Placeholder replaces a secret.
const Placeholder = "[REDACTED]"

const (
	window    = 8 // bytes of a secret in a row that are never shown
	minSecret = 6 // shorter values could match ordinary text
	maxLevels = 3 // how often a text is unescaped
)

// Redactor replaces secrets in a text. The zero Redactor replaces nothing.
type Redactor struct{ sets []*set }

// set holds the windows of one spelling of a secret. Each is the big-endian
// number of its bytes.
type set struct {
	width   int // in bytes
	windows table
}

// New returns a Redactor that finds any 8 bytes in a row of secret. It finds a
// secret of 6 or 7 bytes only as a whole, and no shorter one.
//
// The bytes are found in plain text, in JSON escapes, HTML entities, percent
// encoding, hex, and base64 of either alphabet and any alignment. Escapes may
// be nested three deep. The case of letters doesn't matter, and white space,
// control characters and line breaks may be anywhere in between.
func New(secret string) *Redactor {
	r := &Redactor{}
	for _, v := range levels(secret) { // because Text unescapes an echo of it too
		if width := min(len(v.text), window); width >= minSecret {
			r.sets = append(r.sets, newSet(width, v.text, v.folded()))
		}
	}
	return r
}

// newSet returns the windows of these spellings.
func newSet(width int, spellings ...[]byte) *set {
	total := 0
	for _, spelling := range spellings {
		total += len(spelling)
	}
	s := &set{width, newTable(total)}
	for _, spelling := range spellings {
		var last uint64
		for i, b := range spelling {
			last = last<<8 | uint64(b)
			if i+1 >= width {
				s.windows.add(last & mask(width))
			}
		}
	}
	return s
}

// Join returns a Redactor of the secrets of all redactors.
func Join(redactors ...*Redactor) *Redactor {
	all := &Redactor{}
	for _, r := range redactors {
		all.sets = append(all.sets, r.sets...)
	}
	return all
}

// mask selects the last width bytes of a number.
func mask(width int) uint64 { return ^uint64(0) >> (64 - 8*width) }

// Text returns text with a Placeholder for each run of bytes that holds a part
// of a secret. It takes linear time.
func (r *Redactor) Text(text string) string {
	if len(r.sets) == 0 || len(text) < minSecret {
		return text
	}
	found := finds{length: len(text)}
	for _, v := range levels(text) {
		r.findPlain(v, &found)
		r.findEncoded(v, &found)
	}
	return found.replace(text)
}

// findPlain finds windows in v, ignoring case.
func (r *Redactor) findPlain(v view, found *finds) {
	var last uint64
	var starts [window]int // of the runes of the last bytes
	count := 0
	var buffer [utf8.UTFMax]byte
	for i := 0; i < len(v.text); {
		folded, n := fold(buffer[:0], v.text[i:])
		for _, b := range folded {
			last = last<<8 | uint64(b)
			starts[count%window] = i
			count++
			for _, s := range r.sets {
				if count >= s.width && s.windows.has(last&mask(s.width)) {
					found.add(v, starts[(count-s.width)%window], i+n-1)
				}
			}
		}
		i += n
	}
}

// findEncoded finds windows in v that are written in base64 or hex. It reads
// the digits as one stream of bits.
func (r *Redactor) findEncoded(v view, found *finds) {
	base64, hex := digits{each: 6}, digits{each: 4}
	for i, b := range v.text {
		base64.push(base64Digit(b))
		hex.push(hexDigit(b))
		for _, s := range r.sets {
			for behind := 0; behind <= 4; behind += 2 { // bits of a base64 digit after the end of a byte
				if value, n := base64.window(s.width, behind); n > 0 && s.windows.has(value) {
					found.add(v, i+1-n, i)
				}
			}
			if value, n := hex.window(s.width, 0); n > 0 && s.windows.has(value) {
				found.add(v, i+1-n, i)
			}
		}
	}
}

// digits holds the last bits of a run of digits.
type digits struct {
	each      int // bits of a digit
	count     int // bits of the run
	high, low uint64
}

// push appends a digit. A negative digit ends the run.
func (d *digits) push(digit int) {
	if digit < 0 {
		d.count = 0
		return
	}
	d.count += d.each
	d.high = d.high<<d.each | d.low>>(64-d.each)
	d.low = d.low<<d.each | uint64(digit)
}

// window returns the width bytes that end behind bits before the end of the
// run, and the number n of digits that hold them. n is 0 if the run is shorter.
func (d *digits) window(width, behind int) (value uint64, n int) {
	need := 8*width + behind
	if d.count < need {
		return 0, 0
	}
	return (d.low>>behind | d.high<<(64-behind)) & mask(width), (need + d.each - 1) / d.each
}

// finds holds the ranges of a text that contain a part of a secret.
type finds struct {
	length int
	change []int32 // at i: ranges that begin at byte i minus those that end there. nil without a range.
}

// add adds the range of the text from which the bytes first to last of v were
// read.
func (f *finds) add(v view, first, last int) {
	if f.change == nil {
		f.change = make([]int32, f.length+1)
	}
	f.change[v.from[first]]++
	f.change[v.to[last]]--
}

// replace returns text with a Placeholder for each range. Ranges that touch
// share one.
func (f *finds) replace(text string) string {
	if f.change == nil {
		return text
	}
	var b strings.Builder
	var open int32
	inside := false
	for i := range len(text) {
		open += f.change[i]
		switch {
		case open == 0:
			b.WriteByte(text[i])
		case !inside:
			b.WriteString(Placeholder)
		}
		inside = open > 0
	}
	return b.String()
}

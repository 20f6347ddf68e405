package redact

import (
	"bytes"
	"html"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// view is a decoded text. Its byte i was read from the original bytes from[i]
// up to to[i].
type view struct {
	text     []byte
	from, to []int32
}

// levels returns text without white space, followed by its repeatedly unescaped
// forms. It stops at maxLevels, or when unescaping changes nothing.
func levels(text string) []view {
	v := view{text: []byte(text), from: make([]int32, len(text)), to: make([]int32, len(text))}
	for i := range len(text) {
		v.from[i], v.to[i] = int32(i), int32(i+1)
	}
	views := []view{v.rewrite(visible)}
	for len(views) <= maxLevels && bytes.ContainsAny(v.text, `\&%`) {
		unescaped := views[len(views)-1].rewrite(unescape)
		if bytes.Equal(unescaped.text, views[len(views)-1].text) {
			break
		}
		views = append(views, unescaped.rewrite(visible))
	}
	return views
}

// rewrite returns v rewritten by step. step decodes the first bytes of src,
// appends the result to dst, and returns how many bytes of src it decoded.
func (v view) rewrite(step func(dst, src []byte) ([]byte, int)) view {
	out := view{text: make([]byte, 0, len(v.text)), from: make([]int32, 0, len(v.text)), to: make([]int32, 0, len(v.text))}
	for i := 0; i < len(v.text); {
		var n int
		out.text, n = step(out.text, v.text[i:])
		for len(out.from) < len(out.text) {
			out.from, out.to = append(out.from, v.from[i]), append(out.to, v.to[i+n-1])
		}
		i += n
	}
	return out
}

// folded returns the text of v with all letters in one case.
func (v view) folded() []byte {
	return v.rewrite(fold).text
}

// fold appends the first rune of src in one case. It doesn't change a byte that
// is not UTF-8.
func fold(dst, src []byte) ([]byte, int) {
	if b := src[0]; b < utf8.RuneSelf {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		return append(dst, b), 1
	}
	r, n := utf8.DecodeRune(src)
	if r == utf8.RuneError {
		return append(dst, src[:n]...), n
	}
	return utf8.AppendRune(dst, unicode.ToLower(unicode.ToUpper(r))), n
}

// visible appends the first rune of src unless it is invisible.
func visible(dst, src []byte) ([]byte, int) {
	if b := src[0]; b < utf8.RuneSelf {
		if b <= ' ' || b == 0x7f {
			return dst, 1
		}
		return append(dst, b), 1
	}
	r, n := utf8.DecodeRune(src)
	if unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
		return dst, n
	}
	return append(dst, src[:n]...), n
}

// unescape appends the decoded escape at the start of src. If there is no
// escape it appends the first byte.
func unescape(dst, src []byte) ([]byte, int) {
	n := 0
	switch src[0] {
	case '\\':
		dst, n = unescapeJSON(dst, src)
	case '&':
		dst, n = unescapeHTML(dst, src)
	case '%':
		if value := hexNumber(src, 1, 2); value >= 0 {
			dst, n = append(dst, byte(value)), 3 //nolint:gosec // two digits
		}
	}
	if n == 0 {
		return append(dst, src[0]), 1
	}
	return dst, n
}

// unescapeJSON decodes an escape of JSON or the \x of other languages. Many
// languages ignore a backslash before any other character.
func unescapeJSON(dst, src []byte) ([]byte, int) {
	if len(src) < 2 {
		return dst, 0
	}
	switch c := src[1]; c {
	case 'u', 'U':
		return unescapeUTF16(dst, src)
	case 'x', 'X':
		if value := hexNumber(src, 2, 2); value >= 0 {
			return append(dst, byte(value)), 4 //nolint:gosec // two digits
		}
	case 'b', 'f', 'n', 'r', 't':
		return append(dst, ' '), 2
	default:
		if c < utf8.RuneSelf {
			return append(dst, c), 2
		}
	}
	return dst, 0
}

// unescapeUTF16 decodes \uXXXX, or two of them that encode one rune.
func unescapeUTF16(dst, src []byte) ([]byte, int) {
	value := hexNumber(src, 2, 4)
	if value < 0 {
		return dst, 0
	}
	if len(src) > 7 && src[6] == '\\' && src[7] == src[1] {
		if r := utf16.DecodeRune(rune(value), rune(hexNumber(src, 8, 4))); r != unicode.ReplacementChar { //nolint:gosec // four digits
			return utf8.AppendRune(dst, r), 12
		}
	}
	return utf8.AppendRune(dst, rune(value)), 6 //nolint:gosec // four digits
}

// unescapeHTML decodes a character reference. Numbers and some old names need
// no semicolon.
func unescapeHTML(dst, src []byte) ([]byte, int) {
	n := 1
	part := func(b byte) bool { return hexDigit(b) >= 0 || 'g' <= b|0x20 && b|0x20 <= 'z' }
	if len(src) > 2 && src[1] == '#' {
		n, part = 2, func(b byte) bool { return '0' <= b && b <= '9' }
		if src[2]|0x20 == 'x' {
			n, part = 3, func(b byte) bool { return hexDigit(b) >= 0 }
		}
	}
	for n < len(src) && part(src[n]) {
		n++
	}
	if n < len(src) && src[n] == ';' {
		n++
	}
	reference := string(src[:n])
	plain := html.UnescapeString(reference)
	if plain == reference {
		return dst, 0
	}
	return append(dst, plain...), n
}

// hexNumber returns the number written in hex digits at src[from], or -1.
func hexNumber(src []byte, from, digits int) int {
	if len(src) < from+digits {
		return -1
	}
	value := 0
	for _, b := range src[from : from+digits] {
		digit := hexDigit(b)
		if digit < 0 {
			return -1
		}
		value = value<<4 | digit
	}
	return value
}

// hexDigit returns the value of a hex digit, or -1.
func hexDigit(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b - 'a' + 10)
	case 'A' <= b && b <= 'F':
		return int(b - 'A' + 10)
	}
	return -1
}

// base64Digit returns the value of a digit of base64 in its standard or URL
// alphabet, or -1.
func base64Digit(b byte) int {
	switch {
	case 'A' <= b && b <= 'Z':
		return int(b - 'A')
	case 'a' <= b && b <= 'z':
		return int(b - 'a' + 26)
	case '0' <= b && b <= '9':
		return int(b - '0' + 52)
	case b == '+' || b == '-':
		return 62
	case b == '/' || b == '_':
		return 63
	}
	return -1
}

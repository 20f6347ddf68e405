package sailpointtest

import (
	"fmt"
	"strings"
	"time"
)

// match reports whether a token that was last used then, or never, passes a filter.
type match func(lastUsed time.Time) bool

// maxDepth bounds the nesting of a filter, and with it the stack.
const maxDepth = 100

// parseFilter reads a filter: comparisons of lastUsed with le and isnull, combined by not, and, or (which bind in this
// order) and parentheses. An empty one passes everything.
func parseFilter(filter string) (match, error) {
	if strings.TrimSpace(filter) == "" {
		return func(time.Time) bool { return true }, nil
	}
	// No word has a parenthesis in it: a date has none, and a quoted string is refused anyway.
	p := filterParser{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(filter))}
	result, err := p.either(0)
	if err == nil && len(p.words) > 0 {
		err = p.unexpected()
	}
	return result, err
}

// filterParser holds the words that are left.
type filterParser struct{ words []string }

func (p *filterParser) accept(word string) bool {
	if len(p.words) == 0 || p.words[0] != word {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *filterParser) unexpected() error {
	if len(p.words) == 0 {
		return &refusal{badContent, "Invalid filters: unexpected end."}
	}
	return &refusal{badContent, fmt.Sprintf("Invalid filters: unexpected or unsupported %.80q.", p.words[0])}
}

func (p *filterParser) either(depth int) (match, error) {
	left, err := p.both(depth)
	for err == nil && p.accept("or") {
		var right match
		before := left
		right, err = p.both(depth)
		left = func(t time.Time) bool { return before(t) || right(t) }
	}
	return left, err
}

func (p *filterParser) both(depth int) (match, error) {
	left, err := p.single(depth)
	for err == nil && p.accept("and") {
		var right match
		before := left
		right, err = p.single(depth)
		left = func(t time.Time) bool { return before(t) && right(t) }
	}
	return left, err
}

func (p *filterParser) single(depth int) (match, error) {
	switch {
	case depth > maxDepth:
		return nil, &refusal{badContent, "Invalid filters: nested too deeply."}
	case p.accept("not"):
		inner, err := p.single(depth + 1)
		return func(t time.Time) bool { return !inner(t) }, err
	case p.accept("("):
		inner, err := p.either(depth + 1)
		if err == nil && !p.accept(")") {
			err = p.unexpected()
		}
		return inner, err
	case !p.accept("lastUsed"):
		return nil, p.unexpected()
	case p.accept("isnull"):
		return time.Time.IsZero, nil
	case p.accept("le") && len(p.words) > 0:
		bound, err := parseTime(p.words[0])
		p.words = p.words[1:]
		return func(t time.Time) bool { return !t.IsZero() && !t.After(bound) }, err
	}
	return nil, p.unexpected()
}

package sailpointtest

import (
	"fmt"
	"strings"
	"time"
)

// match reports whether a filter matches a token, by its last use. A zero time
// means never.
type match func(lastUsed time.Time) bool

// maxDepth bounds the nesting of a filter, and so the stack.
const maxDepth = 100

// parseFilter parses a filter. A filter compares lastUsed with le or isnull.
// Comparisons are combined by not, and, or, which bind in this order, and by
// parentheses. An empty filter matches everything.
func parseFilter(filter string) (match, error) {
	if strings.TrimSpace(filter) == "" {
		return func(time.Time) bool { return true }, nil
	}
	// Parentheses always separate words: dates have none, and quoted strings
	// are rejected.
	p := filterParser{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(filter))}
	result, err := p.parseOr(0)
	if err == nil && len(p.words) > 0 {
		err = p.unexpected()
	}
	return result, err
}

// filterParser holds the words that are not parsed yet.
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
		return &requestError{badContent, "Invalid filters: unexpected end."}
	}
	return &requestError{badContent, fmt.Sprintf("Invalid filters: unexpected or unsupported %.80q.", p.words[0])}
}

func (p *filterParser) parseOr(depth int) (match, error) {
	left, err := p.parseAnd(depth)
	for err == nil && p.accept("or") {
		var right match
		before := left
		right, err = p.parseAnd(depth)
		left = func(t time.Time) bool { return before(t) || right(t) }
	}
	return left, err
}

func (p *filterParser) parseAnd(depth int) (match, error) {
	left, err := p.parseTerm(depth)
	for err == nil && p.accept("and") {
		var right match
		before := left
		right, err = p.parseTerm(depth)
		left = func(t time.Time) bool { return before(t) && right(t) }
	}
	return left, err
}

func (p *filterParser) parseTerm(depth int) (match, error) {
	switch {
	case depth > maxDepth:
		return nil, &requestError{badContent, "Invalid filters: nested too deeply."}
	case p.accept("not"):
		inner, err := p.parseTerm(depth + 1)
		return func(t time.Time) bool { return !inner(t) }, err
	case p.accept("("):
		inner, err := p.parseOr(depth + 1)
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

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
)

// shape is a variant of a response body.
type shape string

const (
	// usual is the API's own form.
	usual shape = "usual"
	// unknown adds a member to each token that the client doesn't know.
	unknown shape = "unknown"
	// escaped has escapes in the name of each token.
	escaped shape = "escaped"
	// full has all optional members in each token.
	full shape = "full"
)

var shapes = []shape{usual, unknown, escaped}

// blockTokens is the number of different tokens. A larger list repeats them.
const blockTokens = 1000

// newServer returns a loopback server with prepared responses. GET
// /{shape}/{n}/… returns a list of n tokens, and PATCH returns one token. POST
// returns a token with a secret, and DELETE returns 204.
func newServer() *httptest.Server {
	blocks := map[string]*block{}
	for _, s := range append(slices.Clone(shapes), full) {
		blocks[string(s)] = newBlock(s)
	}
	one := token(0, usual)
	created := `{"secret":"` + strings.Repeat("5e", 32) + `",` + one[1:]
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		switch r.Method {
		case http.MethodPatch:
			_, _ = io.WriteString(w, one)
		case http.MethodPost:
			_, _ = io.WriteString(w, created)
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			path := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 3)
			n, err := strconv.Atoi(path[1])
			if err != nil {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			blocks[path[0]].writeList(w, n)
		}
	}))
}

// listPath returns the path of a list, to be added to newServer's URL.
func listPath(s shape, n int) string { return fmt.Sprintf("/%s/%d", s, n) }

// block holds blockTokens tokens, separated by commas.
type block struct {
	text string
	ends [blockTokens + 1]int // ends[n] is the length of the first n tokens
}

func newBlock(s shape) *block {
	var b block
	var text strings.Builder
	for i := range blockTokens {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(token(i, s))
		b.ends[i+1] = text.Len()
	}
	b.text = text.String()
	return &b
}

func (b *block) writeList(w io.Writer, n int) {
	_, _ = io.WriteString(w, "[")
	for ; n > blockTokens; n -= blockTokens {
		_, _ = io.WriteString(w, b.text)
		_, _ = io.WriteString(w, ",")
	}
	_, _ = io.WriteString(w, b.text[:b.ends[n]])
	_, _ = io.WriteString(w, "]")
}

var scopes = []string{
	`["sp:scopes:all"]`,
	`["sp:my-personal-access-tokens:read","sp:my-personal-access-tokens:manage"]`,
	`["idn:accounts:read","idn:sources:read","sp:search:read"]`,
	`["sp:scopes:default"]`,
}

var uses = []string{"Terraform", "Nightly account export", "CI of the HR connector", "NodeJS Integration", "Ops dashboard"}

// token returns the i-th token as the API writes it.
func token(i int, s shape) string {
	name := fmt.Sprintf("%s %d", uses[i%len(uses)], i)
	more := ""
	switch s {
	case escaped:
		name += ` \"prod\"`
	case unknown:
		more = fmt.Sprintf(`,"usage":{"calls":%d,"last":{"from":"10.0.%d.%d","agents":["curl","go"]}}`, i, i/256%256, i%256)
	case usual, full:
	}
	lastUsed, expiry := "null", "null"
	if s == full {
		more = `,"userAwareTokenNeverExpires":false`
	}
	if i%4 > 0 || s == full {
		lastUsed = fmt.Sprintf(`"2025-%02d-%02dT%02d:%02d:05.%03dZ"`, 1+i%12, 1+i%28, i%24, i%60, i%1000)
	}
	if i%2 > 0 || s == full {
		expiry = fmt.Sprintf(`"2026-%02d-%02dT23:59:59.999Z"`, 1+i%12, 1+i%28)
	}
	return fmt.Sprintf(`{"id":"%08x%024x","name":"%s","scope":%s,`+
		`"owner":{"type":"IDENTITY","id":"2c91%028x","name":"%s %s"},`+
		`"created":"2024-%02d-%02dT%02d:%02d:37.%03dZ","lastUsed":%s,"managed":%t,`+
		`"accessTokenValiditySeconds":43200,"expirationDate":%s%s}`,
		i*2654435761%(1<<32), i*40503, name, scopes[i%len(scopes)],
		i/3*9973, []string{"Ada", "Grace", "Alan", "Edsger"}[i/3%4], []string{"Lovelace", "Hopper", "Turing", "Dijkstra"}[i/3%4],
		1+i%12, 1+i%28, i%24, i%60, i%1000, lastUsed, i%20 == 0, expiry, more)
}

package sailpointtest

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// maxRequests bounds the log of a tenant that is served for long. Half of the
// requests, the oldest, are dropped at a time.
const maxRequests = 100_000

// Request describes a request that has arrived. Its secrets are replaced by
// "[REDACTED]".
type Request struct {
	At       time.Time // time of arrival, by the tenant's clock
	Method   string
	Path     string // as it was sent, not the template
	Query    string // as it was sent, without "?"
	Body     string
	ClientID string // of the bearer or of the sent credentials; "" if unknown
	Header   http.Header
	Status   int // of the response; 0 if there was no response, or not yet
}

// Requests returns a copy of the requests that have arrived, including those to
// the token endpoint, in the order of arrival. The tenant keeps at least the
// last 50,000.
func (t *Tenant) Requests() []Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	requests := make([]Request, 0, len(t.requests))
	for _, r := range t.requests {
		entry := *r
		entry.Header = r.Header.Clone()
		requests = append(requests, entry)
	}
	return requests
}

// exchange responds to a request, and logs the request and the status.
func (t *Tenant) exchange(ctx context.Context, req *request, f Fault) (wireResponse, error) {
	entry := logEntry(req)
	entry.At = t.now()
	t.mu.Lock()
	if b := t.bearers[keyOf(bearerOf(req.header))]; b != nil {
		entry.ClientID = b.clientID
	}
	if len(t.requests) >= maxRequests {
		t.requests = slices.Delete(t.requests, 0, maxRequests/2)
	}
	t.requests = append(t.requests, entry)
	t.mu.Unlock()

	resp, err := t.respond(ctx, req, f)
	if err == nil {
		t.mu.Lock()
		entry.Status = resp.status
		t.mu.Unlock()
	}
	return resp, err
}

// logEntry returns the log's entry for req, without its secrets.
func logEntry(req *request) *Request {
	entry := &Request{
		Method: req.method, Path: req.path, Query: redactPairs(req.rawQuery), Body: string(req.body), Header: req.header.Clone(),
	}
	if entry.Header.Get("Authorization") != "" {
		entry.Header.Set("Authorization", redact.Placeholder)
	}
	if req.template != tokenPath {
		return entry
	}
	sent, err := readGrant(req)
	if err == nil {
		entry.ClientID = sent.clientID
	}
	form, err := readForm(req)
	switch {
	case req.hasMediaType("application/x-www-form-urlencoded"):
		entry.Body = redactPairs(entry.Body)
	case form == nil && entry.Body != "" || err != nil:
		entry.Body = redact.Placeholder // it may hold a secret in an unknown form
	default:
		for _, name := range secretParams {
			for _, secret := range form[name] {
				if secret != "" {
					entry.Body = strings.ReplaceAll(entry.Body, secret, redact.Placeholder)
				}
			}
		}
	}
	return entry
}

// secretParams are the names of the parameters whose values are redacted.
var secretParams = []string{"client_secret", "access_token", "refresh_token", "password"}

// redactPairs replaces the secret values of a query or a form. It leaves the
// rest as it was sent.
func redactPairs(encoded string) string {
	pairs := strings.Split(encoded, "&")
	for i, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err != nil || slices.Contains(secretParams, plain) {
			pairs[i] = name + "=" + redact.Placeholder
		}
	}
	return strings.Join(pairs, "&")
}

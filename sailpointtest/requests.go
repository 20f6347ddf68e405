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

// maxRequests bounds the log, for a tenant that is served for long. The oldest are dropped, a half at a time.
const maxRequests = 100_000

// Request is one that has arrived, without secrets: they read "[REDACTED]".
type Request struct {
	At       time.Time // of arrival, by the tenant's clock
	Method   string
	Path     string // as it was sent, not the template
	Query    string // as it was sent, without "?"
	Body     string
	ClientID string // of the bearer, or of the credentials that were sent; "" if not known
	Header   http.Header
	Status   int // of the answer; 0: none was given, or not yet
}

// Requests returns a copy of the requests that have arrived, in that order: the last 50,000 at least.
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

// exchange answers a request, and keeps both in the log.
func (t *Tenant) exchange(ctx context.Context, req *request, f Fault) (wireReply, error) {
	entry := logged(req)
	entry.At = t.now()
	t.mu.Lock()
	if b := t.bearers[keyOf(bearerIn(req.header))]; b != nil {
		entry.ClientID = b.clientID
	}
	if len(t.requests) >= maxRequests {
		t.requests = slices.Delete(t.requests, 0, maxRequests/2)
	}
	t.requests = append(t.requests, entry)
	t.mu.Unlock()

	answer, err := t.answer(ctx, req, f)
	if err == nil {
		t.mu.Lock()
		entry.Status = answer.status
		t.mu.Unlock()
	}
	return answer, err
}

// logged returns req without its secrets.
func logged(req *request) *Request {
	entry := &Request{
		Method: req.method, Path: req.path, Query: redactPairs(req.rawQuery), Body: string(req.body), Header: req.header.Clone(),
	}
	if entry.Header.Get("Authorization") != "" {
		entry.Header.Set("Authorization", redact.Placeholder)
	}
	if req.template != tokenPath {
		return entry
	}
	sent, err := grantIn(req)
	if err == nil {
		entry.ClientID = sent.clientID
	}
	form, err := formIn(req)
	switch {
	case req.hasMediaType("application/x-www-form-urlencoded"):
		entry.Body = redactPairs(entry.Body)
	case form == nil && entry.Body != "" || err != nil:
		entry.Body = redact.Placeholder // it may hold a secret in a form that isn't known
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

// secretParams are the parameters that are not kept.
var secretParams = []string{"client_secret", "access_token", "refresh_token", "password"}

// redactPairs replaces the secret values of a query or a form, and leaves the rest as it was sent.
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

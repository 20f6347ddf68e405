package sailpointtest

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// tokenPath is the path of the token endpoint.
const tokenPath = "/oauth/token"

// version describes how one version of the API differs from the others.
type version struct {
	collection   string // path
	nullExpiry   bool   // if a token never expires, responses show null instead of omitting the expiry
	neverExpires bool   // tokens can be without an expiry, and an expiry can be changed
	bulk         string // path of the bulk update; "" if there is no such operation
}

var versions = []*version{
	{collection: "/v3/personal-access-tokens"},
	{collection: "/beta/personal-access-tokens", nullExpiry: true},
	{collection: "/v2024/personal-access-tokens"},
	{collection: "/v2025/personal-access-tokens", nullExpiry: true, neverExpires: true},
	{collection: "/v2026/personal-access-tokens", nullExpiry: true, neverExpires: true},
	{
		collection: "/personal-access-tokens/v1", nullExpiry: true, neverExpires: true,
		bulk: "/personal-access-tokens/v1/bulk-update",
	},
}

// route is the target of a path.
type route struct {
	template string   // as in Fault.Path
	version  *version // nil if the path is not an operation on tokens
	item     bool     // the path of one token
	bulk     bool     // the path of the bulk update
	id       string
}

func routeOf(escapedPath string) route {
	for _, v := range versions {
		switch {
		case escapedPath == v.collection:
			return route{template: v.collection, version: v}
		case v.bulk != "" && escapedPath == v.bulk:
			return route{template: v.bulk, version: v, bulk: true}
		}
		rest, below := strings.CutPrefix(escapedPath, v.collection+"/")
		if !below || rest == "" || strings.Contains(rest, "/") {
			continue
		}
		if id, err := url.PathUnescape(rest); err == nil {
			return route{template: v.collection + "/{id}", version: v, item: true, id: id}
		}
	}
	return route{template: escapedPath}
}

// request is a request whose whole body has arrived.
type request struct {
	route
	method, path, rawQuery string
	header                 http.Header
	body                   []byte
}

// hasMediaType reports whether the body has this media type. It ignores
// parameters such as a charset.
func (r *request) hasMediaType(want string) bool {
	got, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	return err == nil && got == want
}

// response is a response without the headers that every response has.
type response struct {
	status int
	header http.Header
	body   func() []byte // called without the lock, because a list may be long; nil for no body
}

func jsonResponse(status int, value any) response {
	return response{status: status, header: jsonHeader(), body: func() []byte { return encode(value) }}
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

// encode marshals value without escaping "<" in names. It allows invalid UTF-8,
// so that one added token with a broken name doesn't spoil the whole list.
func encode(value any) []byte {
	data, err := json.Marshal(value, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(err) // no input causes this: all values are this package's
	}
	return data
}

// operation carries a request out. The caller holds the lock.
type operation func(now time.Time) response

func always(r response) operation { return func(time.Time) response { return r } }

// carryOut carries a request out and returns the tenant's own response.
func (t *Tenant) carryOut(req *request) response {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.carryOutDue(now)
	return t.admit(req, now)(now)
}

// admit does the work of the gateway in front of the API. It returns the
// operation that is left to carry out.
func (t *Tenant) admit(req *request, now time.Time) operation {
	switch {
	case req.template == tokenPath && req.method != http.MethodPost:
		return always(methodNotAllowed("POST"))
	case req.template == tokenPath:
		return func(now time.Time) response { return t.issueBearer(req, now) }
	case req.version == nil:
		return always(notFound())
	}
	c, failure := t.authenticate(req.header, now)
	if failure != nil {
		return always(*failure)
	}
	if wait := t.overLimit(quota{c.clientID, req.version}, now); wait > 0 {
		return always(rateLimited(wait))
	}
	e, allow := t.endpointOf(req)
	switch {
	case e.handle == nil:
		return always(methodNotAllowed(allow))
	case !c.may(e.rights...):
		return always(forbidden())
	}
	return func(now time.Time) response { return e.handle(c, req, now) }
}

// endpoint is an operation on tokens. The caller needs one of the rights.
type endpoint struct {
	handle func(caller, *request, time.Time) response
	rights []string
}

// endpointOf returns the endpoint for a request. If the path has no such
// method, it returns the methods that the path allows.
func (t *Tenant) endpointOf(req *request) (e endpoint, allow string) {
	switch {
	case req.bulk && (req.method == http.MethodPatch || req.method == http.MethodPost):
		return endpoint{t.bulkUpdate, []string{allManage}}, ""
	case req.bulk:
		return endpoint{}, "PATCH, POST"
	case req.item && req.method == http.MethodPatch:
		return endpoint{t.patch, []string{myManage}}, ""
	case req.item && req.method == http.MethodDelete:
		return endpoint{t.delete, []string{myManage, allManage}}, ""
	case req.item:
		return endpoint{}, "DELETE, PATCH"
	case req.method == http.MethodGet:
		return endpoint{t.list, []string{myRead, myManage, allRead, allManage}}, ""
	case req.method == http.MethodPost:
		return endpoint{t.create, []string{myManage, allManage}}, ""
	}
	return endpoint{}, "GET, POST"
}

// The rights on tokens. As a scope they have the prefix "sp:", as a right of an
// identity "idn:".
const (
	myRead      = "my-personal-access-tokens:read"
	myManage    = "my-personal-access-tokens:manage"
	allRead     = "all-personal-access-tokens:read"
	allManage   = "all-personal-access-tokens:manage"
	managedRead = "managed-personal-access-tokens:read"
)

// caller is the sender of a request, as its bearer identifies it.
type caller struct {
	clientID string
	identity Identity
	scope    []string
}

// may reports whether the caller has at least one of the rights. Both its
// identity's rights and its bearer's scope must include that right.
func (c caller) may(rights ...string) bool {
	return slices.ContainsFunc(rights, func(right string) bool {
		return grants(c.identity.Rights, right) && grants(c.scope, right)
	})
}

func grants(names []string, right string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return name == scopeAll || name == "sp:"+right || name == "idn:"+right
	})
}

// authenticate returns the caller, or the response to a request without a valid
// bearer.
func (t *Tenant) authenticate(header http.Header, now time.Time) (caller, *response) {
	b := t.bearers[keyOf(bearerOf(header))]
	switch {
	case bearerOf(header) == "":
		return caller{}, unauthorized("JWT is required")
	case b == nil || t.byID[b.clientID] == nil:
		return caller{}, unauthorized("JWT validation failed: JWT is invalid")
	case b.expired || !now.Before(b.expiry):
		return caller{}, unauthorized("JWT validation failed: JWT is expired")
	}
	return caller{b.clientID, t.identities[b.ownerID], b.scope}, nil
}

// bearerOf returns the bearer of a request, or "".
func bearerOf(header http.Header) string {
	scheme, credentials, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(credentials)
}

// The rate limit of a quota.
const (
	limitRequests = 100
	limitWindow   = 10 * time.Second
)

// quota is the scope of a rate limit.
type quota struct {
	clientID string
	version  *version
}

// overLimit counts a request against the rate limit. If the limit is reached,
// it returns how long the caller has to wait.
func (t *Tenant) overLimit(q quota, now time.Time) time.Duration {
	if !t.limited {
		return 0
	}
	times := slices.DeleteFunc(t.admitted[q], func(at time.Time) bool { return now.Sub(at) >= limitWindow })
	if len(times) >= limitRequests {
		t.admitted[q] = times
		return times[0].Add(limitWindow).Sub(now)
	}
	t.admitted[q] = append(times, now)
	return 0
}

// Error responses have the shapes of the API's documents.

type errorText struct {
	Locale       string `json:"locale"`
	LocaleOrigin string `json:"localeOrigin"`
	Text         string `json:"text"`
}

type errorBody struct {
	DetailCode string      `json:"detailCode"`
	TrackingID string      `json:"trackingId"`
	Messages   []errorText `json:"messages"`
	Causes     []errorText `json:"causes"`
}

func problem(status int, detailCode, message string, causes ...string) response {
	body := errorBody{DetailCode: detailCode, TrackingID: randomHex(16), Messages: []errorText{{"en-US", "DEFAULT", message}}}
	for _, cause := range causes {
		body.Causes = append(body.Causes, errorText{"en-US", "DEFAULT", cause})
	}
	return jsonResponse(status, body)
}

// requestError explains why a request can't be carried out.
type requestError struct{ code, cause string }

func (r *requestError) Error() string { return r.cause }

// The detail codes of a requestError. The documents don't say which one the API
// uses for which fault of a token.
const (
	badContent   = "400.1 Bad Request Content"
	missingData  = "400.1.0 Required data missing or empty"
	illegalValue = "400.1.3 Illegal value"
	overLimit    = "400.1.4 Limit violation"
	notListed    = "400.1.404 Referenced object not found"
	exists       = "400.1.409 Reference conflict"
)

func badRequest(err error) response {
	code := badContent
	if r := (*requestError)(nil); errors.As(err, &r) {
		code = r.code
	}
	return problem(http.StatusBadRequest, code,
		"The request was syntactically correct but its content is semantically invalid.", err.Error())
}

func unauthorized(text string) *response {
	r := jsonResponse(http.StatusUnauthorized, struct {
		Error string `json:"error"`
	}{text})
	return &r
}

func forbidden() response {
	return problem(http.StatusForbidden, "403 Forbidden", "The server understood the request but refuses to authorize it.")
}

func notFound() response {
	return problem(http.StatusNotFound, "404 Not found",
		"The server did not find a current representation for the target resource.")
}

func methodNotAllowed(allow string) response {
	r := problem(http.StatusMethodNotAllowed, "405 Method not allowed", "The target resource does not support the method.")
	r.header.Set("Allow", allow)
	return r
}

func unsupportedMediaType() response {
	return problem(http.StatusUnsupportedMediaType, "415 Unsupported media type", "The media type of the content is not supported.")
}

func rateLimited(wait time.Duration) response {
	r := jsonResponse(http.StatusTooManyRequests, struct {
		Message string `json:"message"`
	}{" Rate Limit Exceeded "})
	r.header.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	return r
}

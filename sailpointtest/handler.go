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

// tokenPath is where bearers are issued.
const tokenPath = "/oauth/token"

// version is a version of the API by what sets it apart.
type version struct {
	collection   string // path
	nullExpiry   bool   // its answers say null where a token never expires, instead of nothing
	neverExpires bool   // it knows tokens without an expiry, and changes of an expiry
	bulk         string // path of the bulk update; "": it has none
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

// route is what a path leads to.
type route struct {
	template string   // as in Fault.Path
	version  *version // nil: not an operation on tokens
	item     bool     // one token, by its id, instead of all
	bulk     bool     // the bulk update
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

// request is a request that has arrived in full.
type request struct {
	route
	method, path, rawQuery string
	header                 http.Header
	body                   []byte
}

// hasMediaType reports whether the body is of this type; parameters such as a charset are ignored.
func (r *request) hasMediaType(want string) bool {
	got, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	return err == nil && got == want
}

// reply is an answer, without the headers that all answers have.
type reply struct {
	status int
	header http.Header
	body   func() []byte // made without a lock, for a list may be long; nil: none
}

func jsonReply(status int, value any) reply {
	return reply{status: status, header: jsonHeader(), body: func() []byte { return encode(value) }}
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

// encode takes strings as they are: a name with "<" is not escaped, and one that was added in a broken encoding doesn't
// cost the whole list.
func encode(value any) []byte {
	data, err := json.Marshal(value, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(err) // not on input: all values are this package's
	}
	return data
}

// operation carries a request out. It is called with the lock held.
type operation func(now time.Time) reply

func always(r reply) operation { return func(time.Time) reply { return r } }

// carryOut carries a request out and returns the tenant's own answer.
func (t *Tenant) carryOut(req *request) reply {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(now)
	return t.admit(req, now)(now)
}

// admit does what the gateway in front of the API does, and returns what is left to do.
func (t *Tenant) admit(req *request, now time.Time) operation {
	switch {
	case req.template == tokenPath && req.method != http.MethodPost:
		return always(methodNotAllowed("POST"))
	case req.template == tokenPath:
		return func(now time.Time) reply { return t.issue(req, now) }
	case req.version == nil:
		return always(notFound())
	}
	c, refused := t.authenticate(req.header, now)
	if refused != nil {
		return always(*refused)
	}
	if wait := t.overLimit(quota{c.clientID, req.version}, now); wait > 0 {
		return always(rateLimited(wait))
	}

	may := func(op func(caller, *request, time.Time) reply, rights ...string) operation {
		if !c.may(rights...) {
			return always(forbidden())
		}
		return func(now time.Time) reply { return op(c, req, now) }
	}
	switch {
	case req.bulk && (req.method == http.MethodPatch || req.method == http.MethodPost):
		return may(t.bulkUpdate, allManage)
	case req.bulk:
		return always(methodNotAllowed("PATCH, POST"))
	case req.item && req.method == http.MethodPatch:
		return may(t.patch, myManage)
	case req.item && req.method == http.MethodDelete:
		return may(t.delete, myManage, allManage)
	case req.item:
		return always(methodNotAllowed("DELETE, PATCH"))
	case req.method == http.MethodGet:
		return may(t.list, myRead, myManage, allRead, allManage)
	case req.method == http.MethodPost:
		return may(t.create, myManage, allManage)
	}
	return always(methodNotAllowed("GET, POST"))
}

// The rights that count here, without the prefix "sp:" that they have as scopes and "idn:" that they have as rights.
const (
	myRead      = "my-personal-access-tokens:read"
	myManage    = "my-personal-access-tokens:manage"
	allRead     = "all-personal-access-tokens:read"
	allManage   = "all-personal-access-tokens:manage"
	managedRead = "managed-personal-access-tokens:read"
)

// caller is who sent a request, by its bearer.
type caller struct {
	clientID string
	identity Identity
	scope    []string
}

// may reports whether the caller has one of the rights: its identity has it, and its bearer's scope includes it.
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

// authenticate returns the caller, or the answer to a request without a good bearer.
func (t *Tenant) authenticate(header http.Header, now time.Time) (caller, *reply) {
	b := t.bearers[keyOf(bearerIn(header))]
	switch {
	case bearerIn(header) == "":
		return caller{}, unauthorized("JWT is required")
	case b == nil || t.byID[b.clientID] == nil:
		return caller{}, unauthorized("JWT validation failed: JWT is invalid")
	case b.expired || !now.Before(b.expiry):
		return caller{}, unauthorized("JWT validation failed: JWT is expired")
	}
	return caller{b.clientID, t.identities[b.ownerID], b.scope}, nil
}

// bearerIn returns the bearer of a request, or "".
func bearerIn(header http.Header) string {
	scheme, credentials, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(credentials)
}

// The rate limit, and what it is counted by.
const (
	limitRequests = 100
	limitWindow   = 10 * time.Second
)

type quota struct {
	clientID string
	version  *version
}

// overLimit counts a request against the rate limit, or returns how long it has to wait.
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

// The answers that are no success, in the shapes of the API's documents.

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

func problem(status int, detailCode, message string, causes ...string) reply {
	body := errorBody{DetailCode: detailCode, TrackingID: randomHex(16), Messages: []errorText{{"en-US", "DEFAULT", message}}}
	for _, cause := range causes {
		body.Causes = append(body.Causes, errorText{"en-US", "DEFAULT", cause})
	}
	return jsonReply(status, body)
}

// refusal is why a request can't be carried out as it is.
type refusal struct{ code, cause string }

func (r *refusal) Error() string { return r.cause }

// The detail codes of a refusal. Which one the API uses for what is not documented for tokens.
const (
	badContent   = "400.1 Bad Request Content"
	missingData  = "400.1.0 Required data missing or empty"
	illegalValue = "400.1.3 Illegal value"
	overLimit    = "400.1.4 Limit violation"
	notListed    = "400.1.404 Referenced object not found"
	exists       = "400.1.409 Reference conflict"
)

func badRequest(err error) reply {
	code := badContent
	if r := (*refusal)(nil); errors.As(err, &r) {
		code = r.code
	}
	return problem(http.StatusBadRequest, code,
		"The request was syntactically correct but its content is semantically invalid.", err.Error())
}

func unauthorized(text string) *reply {
	r := jsonReply(http.StatusUnauthorized, struct {
		Error string `json:"error"`
	}{text})
	return &r
}

func forbidden() reply {
	return problem(http.StatusForbidden, "403 Forbidden", "The server understood the request but refuses to authorize it.")
}

func notFound() reply {
	return problem(http.StatusNotFound, "404 Not found",
		"The server did not find a current representation for the target resource.")
}

func methodNotAllowed(allow string) reply {
	r := problem(http.StatusMethodNotAllowed, "405 Method not allowed", "The target resource does not support the method.")
	r.header.Set("Allow", allow)
	return r
}

func unsupportedMediaType() reply {
	return problem(http.StatusUnsupportedMediaType, "415 Unsupported media type", "The media type of the content is not supported.")
}

func rateLimited(wait time.Duration) reply {
	r := jsonReply(http.StatusTooManyRequests, struct {
		Message string `json:"message"`
	}{" Rate Limit Exceeded "})
	r.header.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	return r
}

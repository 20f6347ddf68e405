package sailpoint_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	jsonv1 "encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// network is an http.RoundTripper in place of the API and the token endpoint. A
// URL that ends with /token is the token endpoint's. It records all requests.
type network struct {
	api   func(arrival) response // nil for 200 and an empty list
	token func(arrival) response // nil for bearer-1, bearer-2 and so on, valid for 12 hours

	mu       sync.Mutex
	calls    []arrival    // at the API
	fetches  []arrival    // at the token endpoint
	canceled atomic.Int64 // requests whose context ended before their response
}

// arrival is a request that the network received.
type arrival struct {
	n      int // 1 for the first request to its endpoint
	at     time.Time
	method string
	url    string
	header http.Header
	body   string
}

// onTheWire returns the request in HTTP/1.1, with a sorted header.
func (a arrival) onTheWire() string {
	_, rest, _ := strings.Cut(a.url, "://")
	host, path, _ := strings.Cut(rest, "/")
	var b strings.Builder
	fmt.Fprintf(&b, "%s /%s\nHost: %s\n", a.method, path, host)
	for _, key := range slices.Sorted(maps.Keys(a.header)) {
		fmt.Fprintf(&b, "%s: %s\n", key, strings.Join(a.header[key], ", "))
	}
	fmt.Fprintf(&b, "\n%s", a.body)
	return b.String()
}

func (a arrival) bearer() string { return strings.TrimPrefix(a.header.Get("Authorization"), "Bearer ") }

// response describes what the network returns. The zero value is 200 without a
// body.
type response struct {
	then   func() // runs when the request has arrived
	after  time.Duration
	status int
	header map[string]string
	body   string
	stream func(ctx context.Context) io.Reader // instead of body, and closed if it is an io.Closer
	cut    error                               // ends the body instead of EOF
	err    error                               // returned instead of a response
	unsent bool                                // err occurred before there was a connection
}

func ok(body string) response { return response{body: body} }

// issued is a successful response of the token endpoint.
func issued(bearer string, seconds int) response {
	return response{body: fmt.Sprintf(`{"access_token":%q,"token_type":"bearer","expires_in":%d}`, bearer, seconds)}
}

// inTurn returns the responses of list in turn, and then the last one for every
// further request.
func inTurn(list ...response) func(arrival) response {
	return func(a arrival) response { return list[min(a.n, len(list))-1] }
}

// scripted returns a network whose API returns these responses in turn.
func scripted(list ...response) *network { return &network{api: inTurn(list...)} }

func always(a response) func(arrival) response { return inTurn(a) }

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	r := n.respond(req)
	if r.then != nil {
		r.then()
	}
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil {
		trace.GetConn(req.URL.Host)
		if !r.unsent {
			trace.GotConn(httptrace.GotConnInfo{})
			trace.WroteHeaders()
		}
	}
	if r.after > 0 {
		select {
		case <-time.After(r.after):
		case <-req.Context().Done():
		}
	}
	if req.Context().Err() != nil {
		n.canceled.Add(1)
		return nil, context.Cause(req.Context())
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.http(req), nil
}

// respond records the request and returns the response to it.
func (n *network) respond(req *http.Request) response {
	a := arrival{at: time.Now(), method: req.Method, url: req.URL.String(), header: req.Header.Clone()}
	if req.Body != nil {
		sent, _ := io.ReadAll(req.Body)
		_ = req.Body.Close()
		a.body = string(sent)
	}
	log, respond := &n.calls, n.api
	if strings.HasSuffix(req.URL.Path, "/token") {
		log, respond = &n.fetches, n.token
	}
	n.mu.Lock()
	a.n = len(*log) + 1
	*log = append(*log, a)
	n.mu.Unlock()

	switch {
	case respond != nil:
		return respond(a)
	case log == &n.fetches:
		return issued(fmt.Sprintf("bearer-%d", a.n), 43200)
	}
	return response{body: `[]`}
}

// http returns r as the response to req.
func (r response) http(req *http.Request) *http.Response {
	resp := &http.Response{StatusCode: cmp.Or(r.status, 200), Header: http.Header{}, Request: req}
	for key, value := range r.header {
		resp.Header.Set(key, value)
	}
	content := io.Reader(strings.NewReader(r.body))
	if r.stream != nil {
		content = r.stream(req.Context())
	}
	if r.cut != nil {
		content = io.MultiReader(content, brokenReader{r.cut})
	}
	body, closes := content.(io.ReadCloser)
	if !closes {
		body = io.NopCloser(content)
	}
	resp.Body = body
	return resp
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

// counts returns the number of requests to the API and to the token endpoint.
func (n *network) counts() (calls, fetches int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.calls), len(n.fetches)
}

// requireCounts checks the number of requests to the API and to the token
// endpoint.
func (n *network) requireCounts(t *testing.T, calls, fetches int) {
	t.Helper()
	c, f := n.counts()
	require.Equal(t, [2]int{calls, fetches}, [2]int{c, f}, "requests to the API, and to the token endpoint")
}

// bearersSent returns the bearers of the requests to the API.
func (n *network) bearersSent() (list []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.calls {
		list = append(list, a.bearer())
	}
	return list
}

// config returns a complete configuration that uses n.
func (n *network) config() sailpoint.Config {
	return sailpoint.Config{
		BaseURL:      "https://acme.example",
		ClientID:     "the-client-id",
		ClientSecret: sailpoint.NewSecret("the-client-secret"),
		HTTPClient:   &http.Client{Transport: n},
	}
}

func (n *network) client(t *testing.T, change ...func(*sailpoint.Config)) *sailpoint.Client {
	t.Helper()
	cfg := n.config()
	for _, f := range change {
		f(&cfg)
	}
	client, err := sailpoint.NewClient(cfg)
	require.NoError(t, err)
	return client
}

// withoutRetries lets tests of a single response run without waits.
func withoutRetries(cfg *sailpoint.Config) { cfg.MaxRetries = -1 }

// withSource makes source the TokenSource.
func withSource(source func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error)) func(*sailpoint.Config) {
	return func(cfg *sailpoint.Config) {
		cfg.ClientSecret, cfg.TokenSource = sailpoint.Secret{}, source
	}
}

// list makes the simplest call.
func list(ctx context.Context, client *sailpoint.Client) error {
	_, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
	return err
}

// chain returns err and all errors that it wraps.
func chain(err error) []error {
	if err == nil {
		return nil
	}
	all := []error{err}
	switch wrapper := err.(type) { //nolint:errorlint // this is the walk itself
	case interface{ Unwrap() error }:
		all = append(all, chain(wrapper.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			all = append(all, chain(inner)...)
		}
	}
	return all
}

// requireOneError checks that err wraps exactly one *Error, and returns it.
func requireOneError(t *testing.T, err error) *sailpoint.Error {
	t.Helper()
	var found []*sailpoint.Error
	for _, link := range chain(err) {
		if failure, ok := link.(*sailpoint.Error); ok { //nolint:errorlint // each link is looked at by itself
			found = append(found, failure)
		}
	}
	require.Len(t, found, 1, "an *Error in the chain of %v", err)
	var first *sailpoint.Error
	require.ErrorAs(t, err, &first)
	require.Same(t, found[0], first)
	return first
}

// visit calls f for v and for all values reachable through exported fields,
// elements and pointers.
func visit(v reflect.Value, depth int, f func(reflect.Value)) {
	if !v.IsValid() || depth == 0 {
		return
	}
	f(v)
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		visit(v.Elem(), depth-1, f)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				visit(v.Field(i), depth-1, f)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range min(v.Len(), 100) {
			visit(v.Index(i), depth-1, f)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			visit(v.MapIndex(key), depth-1, f)
		}
	}
}

const aToken = `{"id":"86f1dc6fe8f54414950454cbb11278fa","name":"NodeJS Integration","scope":["sp:scopes:all"],` +
	`"owner":{"type":"IDENTITY","id":"2c9180a46faadee4016fb4e018c20639","name":"Support"},` +
	`"created":"2017-07-11T18:45:37.098Z"}`

const created = `{"id":"86f1dc6fe8f54414950454cbb11278fa","secret":"the-new-secret","name":"n","scope":["s"],` +
	`"owner":{"type":"IDENTITY","id":"o","name":"Support"},"created":"2017-07-11T18:45:37.098Z"}`

var inAYear = sailpoint.CreatePersonalAccessTokenRequest{
	Name: "n", Scope: []string{"s"}, ExpirationDate: time.Now().AddDate(1, 0, 0),
}

// errReset is what net/http returns after the other end has reset the
// connection.
var errReset = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}

var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}

var errAlert = &net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// silence is no response for longer than any call waits.
var silence = response{after: 24 * time.Hour}

// sentinels are all errors that a caller can match.
var sentinels = []error{
	sailpoint.ErrInvalidArgument, sailpoint.ErrSelf,
	sailpoint.ErrBadRequest, sailpoint.ErrUnauthorized, sailpoint.ErrForbidden, sailpoint.ErrNotFound,
	sailpoint.ErrConflict, sailpoint.ErrRateLimited, sailpoint.ErrServer,
	sailpoint.ErrUnreachable, sailpoint.ErrInvalidCredentials, sailpoint.ErrInvalidResponse, sailpoint.ErrOutcomeUnknown,
}

// requireMatches checks that err matches exactly these sentinels.
func requireMatches(t *testing.T, err error, want ...error) {
	t.Helper()
	require.Error(t, err)
	for _, sentinel := range sentinels {
		matches := false
		for _, w := range want {
			matches = matches || w == sentinel //nolint:errorlint // the very variable
		}
		require.Equal(t, matches, errors.Is(err, sentinel), "%v: %v", sentinel, err)
	}
}

func newToken() sailpoint.CreatePersonalAccessTokenRequest {
	return sailpoint.CreatePersonalAccessTokenRequest{Name: "deploy", Scope: []string{"s"}}
}

func create(ctx context.Context, client *sailpoint.Client) error {
	_, err := client.PersonalAccessTokens.Create(ctx, newToken())
	return err
}

// requireOutcome checks that err is a CreateOutcomeError, and returns it.
func requireOutcome(t *testing.T, err error) *sailpoint.CreateOutcomeError {
	t.Helper()
	require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
	_ = requireOneError(t, err)
	var outcome *sailpoint.CreateOutcomeError
	require.ErrorAs(t, err, &outcome)
	return outcome
}

// The columns in retry.go whose results differ after a doubtful attempt.
const (
	columnRemove = 1 + iota
	columnPatchReplace
	columnPatchAny
	columnCreate
	columnFetch
)

// operation is one call of the API.
type operation struct {
	name    string
	column  int // in retry.go
	call    func(context.Context, *sailpoint.Client) error
	success response
	part    string // how a successful response begins
}

// operations are the columns of the matrix. The first two share a column.
var operations = []operation{
	{"list", 0, list, ok(`[` + aToken + `]`), `[{"id":"`},
	{"all", 0, func(ctx context.Context, c *sailpoint.Client) error {
		for _, err := range c.PersonalAccessTokens.All(ctx, sailpoint.ListPersonalAccessTokensOptions{}) {
			return err
		}
		return nil
	}, ok(`[` + aToken + `]`), `[{"id":"`},
	{"delete", columnRemove, func(ctx context.Context, c *sailpoint.Client) error {
		return c.PersonalAccessTokens.Delete(ctx, "id")
	}, response{status: 204}, `{"id":"`},
	{"patch that replaces", columnPatchReplace, func(ctx context.Context, c *sailpoint.Client) error {
		_, err := c.PersonalAccessTokens.Patch(ctx, "id", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
		return err
	}, ok(aToken), `{"id":"`},
	{"any patch", columnPatchAny, func(ctx context.Context, c *sailpoint.Client) error {
		_, err := c.PersonalAccessTokens.Patch(ctx, "id", sailpoint.NewPersonalAccessTokenPatch().With(
			sailpoint.PatchOperation{Op: sailpoint.OpAdd, Path: "/scope/-", Value: "a"}))
		return err
	}, ok(aToken), `{"id":"`},
	{"create", columnCreate, func(ctx context.Context, c *sailpoint.Client) error {
		_, err := c.PersonalAccessTokens.Create(ctx, inAYear)
		return err
	}, ok(created), `{"name":"`},
	{"fetch", columnFetch, list, issued("the-bearer", 60), `{"access_token":"`},
}

// bulkOperations belong to the columns of the two kinds of patch. Only V1 has
// them.
var bulkOperations = []operation{
	{"bulk update that replaces", columnPatchReplace, func(ctx context.Context, c *sailpoint.Client) error {
		_, err := c.PersonalAccessTokens.BulkUpdate(ctx, []string{"id"}, sailpoint.NewPersonalAccessTokenPatch().NeverExpire())
		return err
	}, ok(`[` + aToken + `]`), `[{"id":"`},
	{"any bulk update", columnPatchAny, func(ctx context.Context, c *sailpoint.Client) error {
		_, err := c.PersonalAccessTokens.BulkUpdate(ctx, []string{"id"}, sailpoint.NewPersonalAccessTokenPatch().With(
			sailpoint.PatchOperation{Op: sailpoint.OpTest, Path: "/userAwareTokenNeverExpires", Value: true}))
		return err
	}, ok(`[` + aToken + `]`), `[{"id":"`},
}

func inV1(cfg *sailpoint.Config) { cfg.APIVersion = sailpoint.V1 }

// notFound is the API's own 404.
var notFound = response{status: 404, body: `{"detailCode":"404 Not found","trackingId":"e7eab60924f64aa284175b9fa3309599"}`}

type limiterFunc func(context.Context) error

func (f limiterFunc) Wait(ctx context.Context) error { return f(ctx) }

// tokenSource returns its tokens in turn, and records the rejected bearers.
type tokenSource struct {
	tokens  []sailpoint.AccessToken
	refused []string
}

func (s *tokenSource) ask(_ context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
	s.refused = append(s.refused, refused.Reveal())
	return s.tokens[min(len(s.refused), len(s.tokens))-1], nil
}

func bearers(values ...string) *tokenSource {
	s := &tokenSource{}
	for _, value := range values {
		s.tokens = append(s.tokens, sailpoint.AccessToken{Bearer: sailpoint.NewSecret(value)})
	}
	return s
}

const expired = `{"error":"JWT validation failed: JWT is expired"}`

// rejecting responds 401 to these bearers, and otherwise with success.
func rejecting(success response, bearers ...string) func(arrival) response {
	return func(a arrival) response {
		if slices.Contains(bearers, a.bearer()) {
			return response{status: 401, body: expired}
		}
		return success
	}
}

func neverAsked(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
	panic("only a call may ask a TokenSource")
}

// accessToken returns the client's bearer as text.
func accessToken(t *testing.T, client *sailpoint.Client, refused string) string {
	t.Helper()
	token, err := client.AccessToken(t.Context(), sailpoint.NewSecret(refused))
	require.NoError(t, err)
	return token.Bearer.Reveal()
}

// withIDs returns a TokenSource whose bearers have these client ids, in turn.
func withIDs(ids ...string) sailpoint.TokenSource {
	n := 0
	return func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
		id := ids[min(n, len(ids)-1)]
		n++
		return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(fmt.Sprintf("bearer-%d", n)), ClientID: id}, nil
	}
}

// jsonString returns s as a JSON string. It is enough for the values in these
// tests.
func jsonString(s string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return `"` + b.String() + `"`
}

// requirePrintable checks that the text of err is one line without control
// characters.
func requirePrintable(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	require.True(t, utf8.ValidString(text), "%q", text)
	require.Equal(t, -1, strings.IndexFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }), "%q", text)
	require.Less(t, len(text), 32<<10)
}

// chanReader reads what parts receives, until parts is closed.
type chanReader struct {
	parts chan string
	done  <-chan struct{}
	rest  string
}

func (c *chanReader) Read(p []byte) (int, error) {
	if c.rest == "" {
		var more bool
		select {
		case c.rest, more = <-c.parts:
			if !more {
				return 0, io.EOF
			}
		case <-c.done:
			return 0, errors.New("the connection was closed")
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// requireMemory checks that f allocates no more than limit in all.
func requireMemory(t *testing.T, limit uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, limit)
}

// enabledHandler panics only in Handle.
type enabledHandler struct{ slog.Handler }

func (enabledHandler) Enabled(context.Context, slog.Level) bool { return true }

// requireAbsent checks that text holds no secret in any form.
func requireAbsent(t *testing.T, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		for _, form := range forms(secret) {
			require.NotContains(t, text, form)
		}
	}
}

// verbs are all verbs of fmt, and %z, which does not exist.
var verbs = []string{
	"%v", "%+v", "%#v", "%s", "%+s", "%#s", "%q", "%+q", "%#q", "%x", "%X", "% x", "%#x", "%d", "%+d", "%o", "%O", "%b",
	"%c", "%U", "%#U", "%e", "%E", "%f", "%g", "%t", "%p", "%#p", "%T", "%z", "%10.3v", "%-100v", "%100s", "%w",
}

// printings returns what a program gets if it prints, logs or marshals v.
func printings(v any) map[string]string {
	all := map[string]string{}
	for _, verb := range verbs {
		all[verb] = fmt.Sprintf(verb, v)
	}
	hidden := struct {
		name string
		v    any
	}{"hidden", v}
	for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%x"} {
		all["in an unexported field "+verb] = fmt.Sprintf(verb, hidden)
		all["through a pointer "+verb] = fmt.Sprintf(verb, &hidden)
		all["in a map "+verb] = fmt.Sprintf(verb, map[string]any{"v": v})
	}
	var text, object bytes.Buffer
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&text, nil)), slog.New(slog.NewJSONHandler(&object, nil))} {
		logger.With("with", v).Info("m", "v", v, "hidden", hidden, "list", []any{v}, slog.Group("g", "v", v))
	}
	all["slog text"], all["slog JSON"] = text.String(), object.String()
	for name, marshal := range map[string]func(any) ([]byte, error){
		"encoding/json": jsonv1.Marshal,
		"json/v2":       func(v any) ([]byte, error) { return json.Marshal(v) },
		"encoding/xml":  xml.Marshal,
	} {
		for where, v := range map[string]any{"": v, " in a list": []any{v}, " in a struct": struct{ V any }{v}} {
			out, err := marshal(v)
			all[name+where] = fmt.Sprintf("%s %v", out, err)
		}
	}
	if err, ok := v.(error); ok {
		all["wrapped"] = fmt.Sprintf("%+v", fmt.Errorf("while testing: %w", err))
		all["joined"] = fmt.Sprintf("%#v %v", errors.Join(err, io.EOF), errors.Join(err, io.EOF))
	}
	return all
}

// inDirectory runs the test in a new directory, with this environment, and with
// file as config.json unless it is empty.
func inDirectory(t *testing.T, file string, env map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, name := range []string{"SAIL_BASE_URL", "SAIL_CLIENT_ID", "SAIL_CLIENT_SECRET"} {
		t.Setenv(name, env[name])
	}
	if file != "" {
		require.NoError(t, os.WriteFile("config.json", []byte(file), 0o600))
	}
}

// tokenStream writes a list while it is read.
type tokenStream struct {
	n     int
	token func(b *bytes.Buffer, i int)

	written int
	part    bytes.Buffer
	ended   bool
}

func (s *tokenStream) Read(p []byte) (int, error) {
	if s.part.Len() == 0 {
		if s.ended {
			return 0, io.EOF
		}
		s.part.Reset()
		if s.written == 0 {
			s.part.WriteByte('[')
		}
		for ; s.written < s.n && s.part.Len() < 32<<10; s.written++ {
			if s.written > 0 {
				s.part.WriteByte(',')
			}
			s.token(&s.part, s.written)
		}
		if s.ended = s.written == s.n; s.ended {
			s.part.WriteByte(']')
		}
	}
	return s.part.Read(p)
}

// manyTokens returns a list of n tokens like the API's.
func manyTokens(n int) *tokenStream {
	created := time.Date(2024, 5, 17, 18, 45, 37, 98e6, time.UTC).Format(`"2006-01-02T15:04:05.000Z"`)
	rest := `,"name":"Nightly account export","scope":["idn:accounts:read","idn:sources:read"],` +
		`"owner":{"type":"IDENTITY","id":"2c9180a46faadee4016fb4e018c20639","name":"Ada Lovelace"},"created":` + created +
		`,"lastUsed":` + created + `,"managed":false,"accessTokenValiditySeconds":43200,"expirationDate":` + created + `}`
	return &tokenStream{n: n, token: func(b *bytes.Buffer, i int) {
		const digits = "0123456789abcdef"
		b.WriteString(`{"id":"`)
		for shift := 124; shift >= 0; shift -= 4 {
			b.WriteByte(digits[i>>min(shift, 63)&15])
		}
		b.WriteString(`"`)
		b.WriteString(rest)
	}}
}

// onTransport returns a client with its own transport, for a server on a
// loopback socket.
func onTransport(t *testing.T, baseURL string, change ...func(*http.Transport)) *sailpoint.Client {
	t.Helper()
	return onTransportWith(t, baseURL, func(*sailpoint.Config) {}, change...)
}

// onTransportWith is onTransport with another configuration.
func onTransportWith(t *testing.T, baseURL string, configure func(*sailpoint.Config), change ...func(*http.Transport)) *sailpoint.Client {
	t.Helper()
	transport := sailpoint.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	for _, f := range change {
		f(transport)
	}
	cfg := (&network{}).config()
	withSource(bearers("the-bearer").ask)(&cfg)
	cfg.BaseURL, cfg.HTTPClient, cfg.MaxRetries = baseURL, &http.Client{Transport: transport}, 1
	configure(&cfg)
	client, err := sailpoint.NewClient(cfg)
	require.NoError(t, err)
	return client
}

// silentLog is for servers whose clients fail on purpose.
var silentLog = log.New(io.Discard, "", 0)

// hostile calls handle for each connection to a loopback socket, and then
// closes it. n counts the connections from 1.
func hostile(t *testing.T, handle func(conn *net.TCPConn, n int)) (address string, connections *atomic.Int64) {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	connections = new(atomic.Int64)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.AcceptTCP()
			if err != nil {
				return
			}
			n := int(connections.Add(1))
			running.Go(func() {
				defer conn.Close()
				// A client keeps a connection that net/http gave up on until its
				// pings fail.
				defer context.AfterFunc(t.Context(), func() { _ = conn.Close() })()
				handle(conn, n)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return listener.Addr().String(), connections
}

// readRequest reads a request from conn, including its body.
func readRequest(conn net.Conn) bool {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

// reset makes Close reset conn.
func reset(conn *net.TCPConn) { _ = conn.SetLinger(0) }

// serveRaw reads a request from each connection and writes these responses in
// turn. It repeats the last one.
func serveRaw(t *testing.T, responses ...string) (address string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	address, _ = hostile(t, func(conn *net.TCPConn, n int) {
		if readRequest(conn) {
			requests.Add(1)
			_, _ = io.WriteString(conn, responses[min(n, len(responses))-1])
		}
	})
	return address, requests
}

// dialing makes a transport use dial.
func dialing(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(*http.Transport) {
	return func(transport *http.Transport) { transport.DialContext = dial }
}

// The tests write these HTTP/2 frames (RFC 9113 section 6).
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway = 0, 1, 3, 4, 6, 7
	endStream, endHeaders, ack                                                 = 1, 4, 1
	internalError                                                              = 2
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	head := make([]byte, 9)
	binary.BigEndian.PutUint32(head, uint32(len(payload))<<8|uint32(kind))
	head[4] = flags
	binary.BigEndian.PutUint32(head[5:], stream)
	return slices.Concat(head, payload)
}

// overHTTP2 serves raw HTTP/2 frames. It calls handle for each stream, which
// writes the response. The connection ends if handle returns false.
func overHTTP2(t *testing.T, handle func(conn io.Writer, n int, stream uint32) (ok bool)) (*sailpoint.Client, *atomic.Int64) {
	t.Helper()
	return overHTTP2With(t, func(*sailpoint.Config) {}, handle)
}

// overHTTP2With is overHTTP2 with another configuration.
func overHTTP2With(
	t *testing.T, configure func(*sailpoint.Config), handle func(conn io.Writer, n int, stream uint32) (ok bool), change ...func(*http.Transport),
) (*sailpoint.Client, *atomic.Int64) {
	t.Helper()
	server, trust := overTLS(t, true, nil) // for its certificate
	var streams atomic.Int64
	address, _ := hostile(t, func(raw *net.TCPConn, _ int) {
		conn := tls.Server(raw, &tls.Config{Certificates: server.TLS.Certificates, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12})
		if _, err := io.CopyN(io.Discard, conn, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
			return
		}
		_, _ = conn.Write(frame(frameSettings, 0, 0, nil))
		head := make([]byte, 9)
		for {
			if _, err := io.ReadFull(conn, head); err != nil {
				return
			}
			length := int64(binary.BigEndian.Uint32(head) >> 8)
			if _, err := io.CopyN(io.Discard, conn, length); err != nil {
				return
			}
			switch kind, flags := head[3], head[4]; {
			case kind == frameSettings && flags&ack == 0:
				_, _ = conn.Write(frame(frameSettings, ack, 0, nil))
			case kind == frameHeaders:
				if !handle(conn, int(streams.Add(1)), binary.BigEndian.Uint32(head[5:])) {
					return
				}
			}
		}
	})
	return onTransportWith(t, "https://"+address, configure, append(change, trust)...), &streams
}

// respondOverHTTP2 writes a response of status 200.
func respondOverHTTP2(conn io.Writer, stream uint32, body string) {
	const status200 = "\x88" // in the static table of RFC 7541
	_, _ = conn.Write(frame(frameHeaders, endHeaders, stream, []byte(status200)))
	_, _ = conn.Write(frame(frameData, endStream, stream, []byte(body)))
}

// resetWith returns a handler that resets each stream with this error code.
func resetWith(code byte) func(io.Writer, int, uint32) bool {
	return func(conn io.Writer, _ int, stream uint32) bool {
		_, _ = conn.Write(frame(frameReset, 0, stream, []byte{0, 0, 0, code}))
		return true
	}
}

// authority returns the tests' certificate. Its key is an ECDSA key, because a
// handshake with RSA takes ten times as long.
var authority = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
})

// These secrets must not leak. A form escapes characters of the client secret.
const (
	leakClientSecret = "cs-51&=+%ü-c0ffee"
	leakBearer       = "eyJhbGciOiJFUzI1NiJ9.bearer-value_1.c2ln"
	leakPATSecret    = "5ecf00d15ecf00d15ecf00d15ecf00d1"
)

// overTLS serves handler, with HTTP/2 if asked. trust makes a transport trust
// the server.
func overTLS(t *testing.T, http2 bool, handler http.HandlerFunc) (*httptest.Server, func(*http.Transport)) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = http2
	server.Config.ErrorLog = silentLog
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, func(transport *http.Transport) {
		roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs //nolint:forcetypeassert // httptest's client has an *http.Transport
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
}

// logging configures a client without retries that logs to a buffer.
func logging(log *bytes.Buffer) func(*sailpoint.Config) {
	return func(cfg *sailpoint.Config) {
		cfg.MaxRetries = -1
		cfg.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

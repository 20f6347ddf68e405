package sailpoint_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

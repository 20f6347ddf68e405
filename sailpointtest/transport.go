package sailpointtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
)

// A Tenant serves requests with and without a network.
var _ interface {
	http.RoundTripper
	http.Handler
} = (*Tenant)(nil)

// maxBodyBytes bounds a request body over HTTP.
const maxBodyBytes = 1 << 20

// RoundTrip implements [http.RoundTripper]. It responds to a request to any
// host. It calls the hooks of an [httptrace.ClientTrace] like a transport that
// opens a new connection for each request. GotConn gets a connection that can't
// be used.
func (t *Tenant) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	if req.URL == nil {
		return nil, errors.New("sailpointtest: the request has no URL: set it")
	}
	r := newRequest(req, body)
	fault := t.takeFault(r)

	trace := httptrace.ContextClientTrace(ctx)
	if trace == nil {
		trace = &httptrace.ClientTrace{}
	}
	if trace.GetConn != nil {
		trace.GetConn(hostPort(req))
	}
	if fault.failsToConnect() {
		if err := sleep(ctx, fault.Delay); err != nil {
			return nil, err
		}
		return nil, fault.Err
	}
	if trace.GotConn != nil {
		conn, _ := net.Pipe()
		trace.GotConn(httptrace.GotConnInfo{Conn: conn})
	}
	if trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	if trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	}
	resp, err := t.exchange(ctx, r, fault)
	if err != nil {
		return nil, err
	}
	if trace.GotFirstResponseByte != nil {
		trace.GotFirstResponseByte()
	}
	return resp.httpResponse(req), nil
}

// readBody returns the whole body of a request, and always closes it.
func readBody(req *http.Request) ([]byte, error) {
	sent := req.Body
	if sent == nil {
		sent = http.NoBody
	}
	defer sent.Close()
	if ctx := req.Context(); ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	body, err := io.ReadAll(sent)
	if err == nil && req.ContentLength > 0 && req.ContentLength != int64(len(body)) {
		err = fmt.Errorf("sailpointtest: ContentLength is %d but the body has %d bytes: make them equal", req.ContentLength, len(body))
	}
	return body, err
}

func newRequest(req *http.Request, body []byte) *request {
	r := &request{
		route: routeOf(req.URL.EscapedPath()), method: req.Method, path: req.URL.Path, rawQuery: req.URL.RawQuery,
		header: req.Header.Clone(), body: body,
	}
	if r.method == "" {
		r.method = http.MethodGet // as in net/http
	}
	return r
}

func hostPort(req *http.Request) string {
	port := req.URL.Port()
	switch {
	case port != "":
	case req.URL.Scheme == "http":
		port = "80"
	default:
		port = "443"
	}
	return net.JoinHostPort(req.URL.Hostname(), port)
}

// wireResponse is a response as it is sent.
type wireResponse struct {
	status int
	header http.Header // a name without values is not sent, even if net/http would add it
	body   []byte
	sent   int // bytes of body that arrive
}

// httpResponse returns r as an [http.Transport] would.
func (r *wireResponse) httpResponse(req *http.Request) *http.Response {
	maps.DeleteFunc(r.header, func(_ string, values []string) bool { return len(values) == 0 })
	body := &responseBody{ctx: req.Context(), rest: bytes.NewReader(r.body[:r.sent]), end: io.EOF}
	switch {
	case req.Method == http.MethodHead:
		body.rest = bytes.NewReader(nil)
	case r.sent < len(r.body):
		body.end = io.ErrUnexpectedEOF
	}
	return &http.Response{
		Status:     strings.TrimRight(strconv.Itoa(r.status)+" "+http.StatusText(r.status), " "),
		StatusCode: r.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.header, Body: body, ContentLength: int64(len(r.body)), Request: req,
	}
}

// responseBody ends like a body from a connection: when its context ends, when
// it is closed, or when it is cut.
type responseBody struct {
	ctx    context.Context
	rest   *bytes.Reader
	end    error
	closed bool
}

func (b *responseBody) Read(p []byte) (int, error) {
	switch {
	case b.closed:
		return 0, http.ErrBodyReadAfterClose
	case b.ctx.Err() != nil:
		return 0, context.Cause(b.ctx)
	}
	n, err := b.rest.Read(p)
	if err == io.EOF {
		err = b.end
	}
	return n, err
}

func (b *responseBody) Close() error {
	b.closed = true
	return nil
}

// ServeHTTP implements [http.Handler], for example for
// httptest.NewServer(tenant). If a fault loses or cuts the response, or if the
// request body has more than 1 MiB, it closes the connection. To do so it
// panics with [http.ErrAbortHandler], which net/http recovers.
func (t *Tenant) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBodyBytes))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r := newRequest(req, body)
	resp, err := t.exchange(req.Context(), r, t.takeFault(r))
	if err != nil || resp.status < 200 || resp.status > 999 { // net/http can't write other statuses
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), resp.header)
	w.WriteHeader(resp.status)
	if req.Method == http.MethodHead || len(resp.body) == 0 { // after a 204 even an empty write is an error
		return
	}
	_, err = w.Write(resp.body[:resp.sent])
	if err != nil || resp.sent < len(resp.body) {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

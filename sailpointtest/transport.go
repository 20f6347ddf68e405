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

// maxBodyBytes bounds the body of a request over HTTP.
const maxBodyBytes = 1 << 20

var _ interface {
	http.RoundTripper
	http.Handler
} = (*Tenant)(nil)

// RoundTrip answers a request to any host. It keeps the contract of [http.RoundTripper], and calls the hooks of an
// [httptrace.ClientTrace] as a transport does that gets a new connection. The one that GotConn is given leads nowhere.
func (t *Tenant) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	if req.URL == nil {
		return nil, errors.New("sailpointtest: a request without a URL")
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
	if fault.noConnection() {
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
	answer, err := t.exchange(ctx, r, fault)
	if err != nil {
		return nil, err
	}
	if trace.GotFirstResponseByte != nil {
		trace.GotFirstResponseByte()
	}
	return answer.response(req), nil
}

// readBody returns the whole body of a request, and closes it in any case.
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
		err = fmt.Errorf("sailpointtest: ContentLength=%d with a body of %d bytes", req.ContentLength, len(body))
	}
	return body, err
}

func newRequest(req *http.Request, body []byte) *request {
	r := &request{
		route: routeOf(req.URL.EscapedPath()), method: req.Method, path: req.URL.Path, rawQuery: req.URL.RawQuery,
		header: req.Header.Clone(), body: body,
	}
	if r.method == "" {
		r.method = http.MethodGet // as net/http has it
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

// wireReply is an answer with all that goes on the wire.
type wireReply struct {
	status int
	header http.Header // a name without a value is not sent, also where net/http would by itself
	body   []byte
	sent   int // how much of body arrives
}

// response returns r as an [http.Transport] would.
func (r *wireReply) response(req *http.Request) *http.Response {
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

// responseBody ends as one from a connection does: with its context, when closed, or when cut.
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

// ServeHTTP answers over HTTP, as in httptest.NewServer(tenant). Where there is no answer, or the request has a body of
// more than 1 MiB, it ends the connection by a panic with [http.ErrAbortHandler], which net/http takes for that.
func (t *Tenant) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBodyBytes))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r := newRequest(req, body)
	answer, err := t.exchange(req.Context(), r, t.takeFault(r))
	if err != nil || answer.status < 200 || answer.status > 999 { // net/http can't write others as an answer
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), answer.header)
	w.WriteHeader(answer.status)
	if req.Method == http.MethodHead || len(answer.body) == 0 { // writing even nothing behind a 204 is an error
		return
	}
	_, err = w.Write(answer.body[:answer.sent])
	if err != nil || answer.sent < len(answer.body) {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

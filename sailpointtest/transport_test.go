package sailpointtest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// watchedBody records whether it was read and closed. If err is set, reading
// fails with err after the text.
type watchedBody struct {
	io.Reader
	read, closed bool
	err          error
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.read = true
	n, err := b.Reader.Read(p)
	if err == io.EOF && b.err != nil {
		err = b.err
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.closed = true
	return nil
}

func TestRoundTripClosesTheRequestsBody(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	for name, test := range map[string]struct {
		change func(*http.Request, *watchedBody)
		fails  bool
	}{
		"success":        {func(*http.Request, *watchedBody) {}, false},
		"no method":      {func(req *http.Request, _ *watchedBody) { req.Method = "" }, false},
		"no header":      {func(req *http.Request, _ *watchedBody) { req.Header = nil }, false},
		"a fault":        {func(*http.Request, *watchedBody) { tenant.Inject(sailpointtest.Fault{Err: errBroken}) }, true},
		"no URL":         {func(req *http.Request, _ *watchedBody) { req.URL = nil }, true},
		"a broken body":  {func(_ *http.Request, body *watchedBody) { body.err = errBroken }, true},
		"a wrong length": {func(req *http.Request, _ *watchedBody) { req.ContentLength = 3 }, true},
	} {
		body := &watchedBody{Reader: strings.NewReader("text")}
		req := newRequest(t, "POST", host+tokens, "")
		req.Body, req.ContentLength = body, 4
		req.GetBody = nil // assert.Equal can't compare funcs
		test.change(req, body)
		before := *req
		resp, err := tenant.RoundTrip(req)
		assert.Equal(t, test.fails, err != nil, name)
		assert.Equal(t, test.fails, resp == nil, name)
		assert.True(t, body.read, name)
		assert.True(t, body.closed, name)
		assert.Equal(t, before, *req, "%s: unchanged", name)
	}
}

func TestRoundTripWhenTheContextHasEnded(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errBroken)
	body := &watchedBody{Reader: strings.NewReader("text")}
	req := newRequest(t, "POST", host+tokens, "").WithContext(ctx)
	req.Body = body
	_, err := tenant.RoundTrip(req)
	assert.Equal(t, errBroken, err)
	assert.True(t, body.closed)
	assert.Empty(t, tenant.Requests())
}

func TestResponse(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	u := admin(t, tenant)
	ctx, cancel := context.WithCancelCause(t.Context())
	req := u.request(t, "GET", tokens, "").WithContext(ctx)
	resp, err := tenant.RoundTrip(req)
	require.NoError(t, err)
	assert.Same(t, req, resp.Request)
	assert.Equal(t, "200 OK", resp.Status)
	assert.Equal(t, "HTTP/1.1", resp.Proto)
	assert.True(t, resp.ProtoAtLeast(1, 1))

	first := make([]byte, 1)
	n, err := resp.Body.Read(first)
	assert.NoError(t, err)
	assert.Equal(t, "[", string(first[:n]))
	cancel(errBroken)
	_, err = resp.Body.Read(first)
	assert.Equal(t, errBroken, err, "the body ends when its context ends")
	assert.NoError(t, resp.Body.Close())
	_, err = resp.Body.Read(first)
	assert.Equal(t, http.ErrBodyReadAfterClose, err)

	resp, err = tenant.RoundTrip(u.request(t, "DELETE", tokens+"/"+tenant.Config().ClientID, ""))
	require.NoError(t, err)
	assert.Equal(t, "204 No Content", resp.Status)
	assert.Zero(t, resp.ContentLength)
	require.NotNil(t, resp.Body)
	n, err = resp.Body.Read(first)
	assert.Equal(t, 0, n)
	assert.Equal(t, io.EOF, err)
}

func TestStatusWithoutText(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	tenant.Inject(sailpointtest.Fault{Status: 999})
	resp, err := tenant.RoundTrip(newRequest(t, "GET", host, ""))
	require.NoError(t, err)
	assert.Equal(t, "999", resp.Status)
}

// overHTTP serves a tenant and returns a transport and the URL.
func overHTTP(t *testing.T, tenant *sailpointtest.Tenant) (*http.Transport, string) {
	t.Helper()
	server := httptest.NewServer(tenant)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return transport, server.URL
}

func TestServeHTTPRespondsLikeRoundTrip(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	u := admin(t, tenant)
	transport, base := overHTTP(t, tenant)
	for _, request := range []struct{ method, path, body string }{
		{"GET", tokens, ""},
		{"GET", tokens + "?filters=x", ""},
		{"GET", "/unknown", ""},
		{"HEAD", tokens, ""},
		{"PUT", tokens, "body"},
		{"POST", "/oauth/token", ""},
		{"DELETE", tokens + "/a%2Fb", ""},
	} {
		header := []string{"Authorization", "Bearer " + u.bearer}
		inMemory := send(t, tenant, newRequest(t, request.method, host+request.path, request.body, header...))
		served := send(t, transport, newRequest(t, request.method, base+request.path, request.body, header...))
		for _, got := range []response{inMemory, served} {
			got.header.Del("Slpt-Request-Id")
			got.header.Del("Date")
		}
		if inMemory.status >= 400 && inMemory.body != "" {
			inMemory.body, served.body = inMemory.body[:30], served.body[:30] // up to the tracking id
		}
		assert.Equal(t, inMemory, served, "%v", request)
	}
}

func TestServeHTTPClosesTheConnectionOnInvalidInput(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	transport, base := overHTTP(t, tenant)
	for _, status := range []int{-1, 1, 101, 199, 1000} {
		tenant.Inject(sailpointtest.Fault{Status: status})
		_, err := transport.RoundTrip(newRequest(t, "POST", base, ""))
		assert.Error(t, err, status)
	}
	_, err := transport.RoundTrip(newRequest(t, "POST", base, strings.Repeat("x", 1<<20+1)))
	assert.Error(t, err, "the body is too large")
}

func TestServeHTTPWhenTheClientLeaves(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	transport, base := overHTTP(t, tenant)
	tenant.Inject(sailpointtest.Fault{Delay: 1 << 62})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	req := newRequest(t, "GET", base, "").WithContext(ctx)
	go func() {
		_, err := transport.RoundTrip(req)
		done <- err
	}()
	for len(tenant.Requests()) == 0 { // until the request has arrived
		runtime.Gosched()
	}
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

// TestServeHTTPEndsABodilessResponseCleanly uses HTTP/2, where a reset after a
// 204 means that the response is lost.
func TestServeHTTPEndsABodilessResponseCleanly(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	tenant.Inject(sailpointtest.Fault{Status: http.StatusNoContent})
	server := httptest.NewUnstartedServer(tenant)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)

	resp, err := server.Client().Do(newRequest(t, "DELETE", server.URL+tokens+"/any", ""))
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	assert.Equal(t, 2, resp.ProtoMajor)
	assert.Equal(t, http.StatusNoContent, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Empty(t, body)
}

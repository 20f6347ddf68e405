package sailpointtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

var errBroken = errors.New("broken")

// outcome is the expected result of a create, for a table of faults.
type outcome struct {
	err    error  // of the request or its body; over HTTP any error counts
	status int    // 0 if there is no response
	body   string // "" for the tenant's own
	own    int    // bytes of the tenant's own body
}

func TestFaults(t *testing.T) {
	const whole = 1 << 20
	header := http.Header{"Retry-After": {"17"}, "content-type": {"text/html"}, "Slpt-Request-Id": nil}
	for name, test := range map[string]struct {
		fault      sailpointtest.Fault
		carriedOut bool
		want       outcome
	}{
		"fault of another path":   {sailpointtest.Fault{Path: "/none"}, true, outcome{status: 200, own: whole}},
		"zero fault":              {sailpointtest.Fault{}, true, outcome{status: 200, own: whole}},
		"error":                   {sailpointtest.Fault{Err: errBroken}, false, outcome{err: errBroken}},
		"error and other fields":  {sailpointtest.Fault{Err: errBroken, Status: 503, Body: "x", CutAfter: 1, Header: header}, false, outcome{err: errBroken}},
		"status":                  {sailpointtest.Fault{Status: 503}, false, outcome{status: 503}},
		"status and body":         {sailpointtest.Fault{Status: 502, Body: "<html>x"}, false, outcome{status: 502, body: "<html>x"}},
		"status and cut body":     {sailpointtest.Fault{Status: 502, Body: "<html>x", CutAfter: 3}, false, outcome{status: 502, body: "<ht", err: io.ErrUnexpectedEOF}},
		"unusual status":          {sailpointtest.Fault{Status: 999}, false, outcome{status: 999}},
		"status without a body":   {sailpointtest.Fault{Status: 204, Body: "x"}, false, outcome{status: 204}},
		"cut":                     {sailpointtest.Fault{CutAfter: 10}, true, outcome{status: 200, own: 10, err: io.ErrUnexpectedEOF}},
		"cut before the body":     {sailpointtest.Fault{CutAfter: -1}, true, outcome{status: 200, err: io.ErrUnexpectedEOF}},
		"cut after the body":      {sailpointtest.Fault{CutAfter: whole}, true, outcome{status: 200, own: whole}},
		"header":                  {sailpointtest.Fault{Header: header}, true, outcome{status: 200, own: whole}},
		"body":                    {sailpointtest.Fault{Body: "{}"}, true, outcome{status: 200, body: "{}"}},
		"delay":                   {sailpointtest.Fault{Delay: time.Nanosecond}, true, outcome{status: 200, own: whole}},
		"negative delay":          {sailpointtest.Fault{Delay: -time.Hour}, true, outcome{status: 200, own: whole}},
		"committed":               {sailpointtest.Fault{Committed: true}, true, outcome{err: io.ErrUnexpectedEOF}},
		"committed, delay":        {sailpointtest.Fault{Committed: true, Delay: 1}, true, outcome{err: io.ErrUnexpectedEOF}},
		"committed, error":        {sailpointtest.Fault{Committed: true, Err: errBroken}, true, outcome{err: errBroken}},
		"committed, dial error":   {sailpointtest.Fault{Committed: true, Err: &net.OpError{Op: "dial", Err: errBroken}}, true, outcome{err: errBroken}},
		"committed, status":       {sailpointtest.Fault{Committed: true, Status: 503}, true, outcome{status: 503}},
		"committed, body":         {sailpointtest.Fault{Committed: true, Body: "x"}, true, outcome{status: 200, body: "x"}},
		"committed, header":       {sailpointtest.Fault{Committed: true, Header: header}, true, outcome{status: 200, own: whole}},
		"committed, cut":          {sailpointtest.Fault{Committed: true, CutAfter: 5}, true, outcome{status: 200, own: 5, err: io.ErrUnexpectedEOF}},
		"committed later":         {sailpointtest.Fault{Committed: true, Delay: -time.Hour}, false, outcome{err: io.ErrUnexpectedEOF}},
		"committed later, cut":    {sailpointtest.Fault{Committed: true, Delay: -time.Hour, CutAfter: 5}, false, outcome{err: io.ErrUnexpectedEOF}},
		"committed later, status": {sailpointtest.Fault{Committed: true, Delay: -time.Hour, Status: 504}, false, outcome{status: 504}},
		"committed later, error":  {sailpointtest.Fault{Committed: true, Delay: -time.Hour, Err: errBroken}, false, outcome{err: errBroken}},
	} {
		for _, overHTTP := range []bool{false, true} {
			name := fmt.Sprintf("%s, over HTTP %v", name, overHTTP)
			tenant := sailpointtest.NewTenant()
			u := admin(t, tenant)
			var rt http.RoundTripper = tenant
			base := host
			if overHTTP {
				server := httptest.NewServer(tenant)
				defer server.Close()
				transport := &http.Transport{}
				defer transport.CloseIdleConnections()
				rt, base = transport, server.URL
			}
			tenant.Inject(test.fault)
			resp, err := rt.RoundTrip(newRequest(t, "POST", base+tokens, `{"name":"new"}`,
				"Content-Type", jsonType, "Authorization", "Bearer "+u.bearer))
			assert.Equal(t, test.carriedOut, len(tenant.Tokens()) == 2, name)

			log := tenant.Requests()
			assert.Equal(t, test.want.status, log[len(log)-1].Status, name)
			if test.want.status == 0 {
				require.Error(t, err, name)
				if !overHTTP {
					assert.ErrorIs(t, err, test.want.err, name)
				}
				continue
			}
			require.NoError(t, err, name)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, test.want.err, err, name)
			assert.Equal(t, test.want.status, resp.StatusCode, name)
			if test.want.own > 0 {
				assert.Regexp(t, `^\{"id"`, string(body), name)
				assert.LessOrEqual(t, len(body), test.want.own, name)
				assert.Equal(t, test.want.own == whole, resp.ContentLength == int64(len(body)), name)
			} else {
				assert.Equal(t, test.want.body, string(body), name)
			}
			assert.NotEmpty(t, resp.Header.Get("Date"), name)
			if test.fault.Header != nil {
				assert.Equal(t, "17", resp.Header.Get("Retry-After"))
				assert.Equal(t, "text/html", resp.Header.Get("Content-Type"))
				assert.NotContains(t, resp.Header, "Slpt-Request-Id")
			} else {
				assert.NotEmpty(t, resp.Header.Get("SLPT-Request-ID"), name)
			}
		}
	}
}

func TestFaultAppliesToTheFirstMatchingRequest(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	faults := []sailpointtest.Fault{
		{Method: "DELETE", Path: tokens + "/{id}", Status: 501},
		{Path: tokens + "/{id}", Status: 502},
		{Method: "GET", Status: 503},
		{Method: "GET", Path: collections[sailpoint.V1], Status: 504},
		{Path: "/oauth/token", Status: 505},
		{Path: "/other", Status: 506},
	}
	u := admin(t, tenant)
	tenant.Inject(faults[:3]...)
	tenant.Inject(faults[3:]...)
	assert.Equal(t, faults, tenant.Unused())
	assert.Equal(t, 502, u.do(t, "PATCH", tokens+"/x", "").status)
	assert.Equal(t, 501, u.delete(t, "x").status)
	assert.Equal(t, 404, u.delete(t, "x").status, "the fault applies only once")
	assert.Equal(t, 503, u.do(t, "GET", collections[sailpoint.V1], "").status)
	assert.Equal(t, 504, u.do(t, "GET", collections[sailpoint.V1], "").status)
	assert.Equal(t, 200, u.list(t, "").status)
	assert.Equal(t, 505, fetch(t, tenant, "a", "b").status)
	assert.Equal(t, 401, fetch(t, tenant, "a", "b").status)
	assert.Equal(t, faults[5:], tenant.Unused())
	assert.Equal(t, 506, send(t, tenant, newRequest(t, "GET", host+"/other", "")).status)
	assert.Empty(t, tenant.Unused())
}

func TestFaultsAreCopied(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	header := http.Header{"X": {"1"}}
	tenant.Inject(sailpointtest.Fault{Header: header})
	header.Set("X", "2")
	tenant.Unused()[0].Header.Set("X", "3")
	assert.Equal(t, "1", tenant.Unused()[0].Header.Get("X"))
}

func TestContentTypeOfAFaultBody(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	for body, want := range map[string]string{
		`{"error":"x"}`: jsonType, "<html>": "text/html; charset=utf-8", "no healthy upstream": "text/plain; charset=utf-8", "": "",
	} {
		tenant.Inject(sailpointtest.Fault{Status: 503, Body: body})
		got := send(t, tenant, newRequest(t, "GET", host, ""))
		assert.Equal(t, want, got.header.Get("Content-Type"))
		assert.Equal(t, fmt.Sprint(len(body)), got.header.Get("Content-Length"))
	}
}

func TestDelayPassesBeforeTheRequestIsCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		u := admin(t, tenant)
		tenant.Inject(sailpointtest.Fault{Delay: 5 * time.Second})
		start := time.Now()
		got := u.create(t, tokens, `{"name":"slow"}`)
		assert.Equal(t, 200, got.status)
		assert.Equal(t, 5*time.Second, time.Since(start))
		assert.True(t, tenant.Tokens()[1].Created.Equal(time.Now()))
		assert.Equal(t, time.Now().UTC().Format(http.TimeFormat), got.header.Get("Date"))
		assert.Equal(t, start, tenant.Requests()[1].At)
	})
}

func TestContextEndsDuringDelay(t *testing.T) {
	cause := errors.New("caller's cause")
	for _, test := range []struct {
		fault      sailpointtest.Fault
		carriedOut bool
	}{
		{sailpointtest.Fault{Delay: time.Minute}, false},
		{sailpointtest.Fault{Delay: time.Minute, Status: 503}, false},
		{sailpointtest.Fault{Delay: time.Minute, Err: &net.DNSError{}}, false},
		{sailpointtest.Fault{Delay: time.Minute, Committed: true}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			u := admin(t, tenant)
			tenant.Inject(test.fault)
			ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, cause)
			defer cancel()
			start := time.Now()
			_, err := tenant.RoundTrip(u.request(t, "POST", tokens, `{"name":"x"}`, "Content-Type", jsonType).WithContext(ctx))
			assert.ErrorIs(t, err, cause)
			assert.Equal(t, 2*time.Second, time.Since(start))
			<-time.After(time.Hour)
			assert.Equal(t, test.carriedOut, len(tenant.Tokens()) == 2)
		})
	}
}

func TestRequestsAreCarriedOutLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		tenant.Add(sailpoint.PersonalAccessToken{ID: "doomed"})
		tenant.Add(sailpoint.PersonalAccessToken{ID: "id", Name: "old"})
		u := admin(t, tenant)
		for i, method := range []string{"DELETE", "PATCH", "POST"} { // the last one is due first
			tenant.Inject(sailpointtest.Fault{Method: method, Committed: true, Delay: -time.Duration(10-i) * time.Second})
		}
		start := time.Now()
		for _, req := range []*http.Request{
			u.request(t, "DELETE", tokens+"/doomed", ""),
			u.request(t, "PATCH", tokens+"/id", `[{"op":"replace","path":"/name","value":"new"}]`, "Content-Type", patchType),
			u.request(t, "POST", tokens, `{"name":"late"}`, "Content-Type", jsonType),
		} {
			_, err := tenant.RoundTrip(req)
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}
		assert.Equal(t, start, time.Now())
		tenant.ExpireAccessTokens() // the requests were authenticated earlier

		names := func() (names []string) {
			for _, pat := range tenant.Tokens() {
				names = append(names, pat.Name)
			}
			return names
		}
		<-time.After(8*time.Second - 1)
		assert.Len(t, names(), 3)
		<-time.After(time.Nanosecond)
		assert.Contains(t, admin(t, tenant).list(t, "").body, `"name":"late"`)
		<-time.After(time.Second)
		assert.Contains(t, names(), "new")
		assert.Len(t, names(), 4)
		<-time.After(time.Hour)
		assert.Equal(t, []string{"tenant", "new", "late"}, names())
		assert.True(t, tenant.Tokens()[2].Created.Equal(start.Add(8*time.Second)), "created when it was due")
	})
}

func TestLateRequestMayFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		u := admin(t, tenant)
		tenant.Inject(sailpointtest.Fault{Method: "POST", Committed: true, Delay: -5 * time.Second, Status: 504})
		assert.Equal(t, 504, u.create(t, tokens, `{"name":"x"}`).status)
		again := u.create(t, tokens, `{"name":"x"}`)
		assert.Equal(t, 200, again.status)
		<-time.After(5 * time.Second)
		assert.Len(t, tenant.Tokens(), 2, "the name was taken")
	})
}

// hooks returns a context whose trace counts the calls of its hooks.
func hooks(ctx context.Context, counts map[string]int) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(hostPort string) { counts["GetConn "+hostPort]++ },
		GotConn: func(info httptrace.GotConnInfo) {
			counts["GotConn"]++
			_ = info.Conn.RemoteAddr().String()
		},
		WroteHeaders:         func() { counts["WroteHeaders"]++ },
		WroteRequest:         func(httptrace.WroteRequestInfo) { counts["WroteRequest"]++ },
		GotFirstResponseByte: func() { counts["GotFirstResponseByte"]++ },
	})
}

func TestTrace(t *testing.T) {
	const getConn = "GetConn tenant.api.identitynow.com:443"
	sent := map[string]int{getConn: 1, "GotConn": 1, "WroteHeaders": 1, "WroteRequest": 1}
	received := map[string]int{getConn: 1, "GotConn": 1, "WroteHeaders": 1, "WroteRequest": 1, "GotFirstResponseByte": 1}
	unsent := map[string]int{getConn: 1}
	dial := fmt.Errorf("wrapped: %w", &net.OpError{Op: "dial", Net: "tcp", Err: errBroken})
	lookup := &net.DNSError{Err: "no such host", IsNotFound: true}
	for _, test := range []struct {
		fault sailpointtest.Fault
		want  map[string]int
	}{
		{sailpointtest.Fault{}, received},
		{sailpointtest.Fault{Status: 503}, received},
		{sailpointtest.Fault{Err: errBroken}, sent},
		{sailpointtest.Fault{Err: &net.OpError{Op: "read", Err: errBroken}}, sent},
		{sailpointtest.Fault{Committed: true}, sent},
		{sailpointtest.Fault{Committed: true, Err: dial}, sent},
		{sailpointtest.Fault{Err: dial}, unsent},
		{sailpointtest.Fault{Err: lookup}, unsent},
	} {
		tenant := sailpointtest.NewTenant()
		tenant.Inject(test.fault)
		got := make(map[string]int)
		req := newRequest(t, "GET", host+tokens, "")
		_, err := tenant.RoundTrip(req.WithContext(hooks(t.Context(), got)))
		if test.fault.Err != nil {
			assert.Equal(t, test.fault.Err, err, "the same error")
		}
		assert.Equal(t, test.want, got)
		assert.Len(t, tenant.Requests(), got["GotConn"], "a request that never arrived isn't in the log")
	}
	got := make(map[string]int)
	for _, base := range []string{"http://127.0.0.1:8080", "http://tenant", "https://[::1]"} {
		_, err := sailpointtest.NewTenant().RoundTrip(newRequest(t, "GET", base, "").WithContext(hooks(t.Context(), got)))
		require.NoError(t, err)
	}
	assert.Contains(t, got, "GetConn 127.0.0.1:8080")
	assert.Contains(t, got, "GetConn tenant:80")
	assert.Contains(t, got, "GetConn [::1]:443")
}

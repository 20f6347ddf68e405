package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/internal/seed"
)

// newControl returns a handler with the credentials "admin" and "admin-secret".
func newControl(t *testing.T) http.Handler {
	t.Helper()
	h, _ := newHandler(&settings{clientID: "admin", clientSecret: "admin-secret", control: true}, new(seed.Seed))
	return h
}

// send returns the status and the body of a response. If the connection was
// closed, the status is 0.
func send(h http.Handler, method, target, body string, header ...string) (status int, response string) {
	req := httptest.NewRequest(method, "http://localhost"+target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	defer func() {
		if recovered := recover(); recovered != nil {
			if recovered != http.ErrAbortHandler { //nolint:errorlint // net/http compares it too
				panic(recovered)
			}
			status = 0
		}
	}()
	h.ServeHTTP(recorder, req)
	return recorder.Code, recorder.Body.String()
}

const grantForm = "grant_type=client_credentials&client_id=admin&client_secret=admin-secret"

func grant(h http.Handler) (status int, body string) {
	return send(h, "POST", "/oauth/token", grantForm, "Content-Type", "application/x-www-form-urlencoded")
}

func TestFaultsOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newControl(t)
		inject := func(faults string) {
			t.Helper()
			status, body := send(h, "POST", "/faketenant/faults", faults)
			require.Equal(t, 204, status, body)
		}
		inject(`[{"method": "post", "path": "/oauth/token", "status": 503, "body": "busy", "header": {"Retry-After": "1", "Date": null}, "times": 2},
			{"closeConnection": true}, {"committed": true}, {"cutAfter": 3}, {"delaySeconds": 1.5}, {"method": "GET", "status": 500}]`)
		status, body := send(h, "GET", "/faketenant/faults", "")
		assert.Equal(t, 200, status)
		assert.Equal(t, `[`+
			`{"method":"POST","path":"/oauth/token","status":503,"header":{"Date":null,"Retry-After":"1"},"body":"busy"},`+
			`{"method":"POST","path":"/oauth/token","status":503,"header":{"Date":null,"Retry-After":"1"},"body":"busy"},`+
			`{"method":"","path":"","closeConnection":true},`+
			`{"method":"","path":"","committed":true},`+
			`{"method":"","path":"","cutAfter":3},`+
			`{"method":"","path":"","delaySeconds":1.5},`+
			`{"method":"GET","path":"","status":500}]`, body)

		for range 2 {
			status, body = grant(h)
			assert.Equal(t, 503, status)
			assert.Equal(t, "busy", body)
		}
		for range 3 { // closed, committed and cut
			status, _ = grant(h)
			assert.Zero(t, status)
		}
		start := time.Now()
		status, _ = grant(h)
		assert.Equal(t, 200, status)
		assert.Equal(t, 1500*time.Millisecond, time.Since(start))
		_, body = send(h, "GET", "/faketenant/faults", "")
		assert.Equal(t, `[{"method":"GET","path":"","status":500}]`, body)

		status, _ = send(h, "POST", "/faketenant/reset", "")
		assert.Equal(t, 204, status)
		_, body = send(h, "GET", "/faketenant/faults", "")
		assert.Equal(t, `[]`, body)
		_, body = send(h, "GET", "/faketenant/requests", "")
		assert.Equal(t, `[]`, body)
	})
}

func TestBadFaults(t *testing.T) {
	h := newControl(t)
	for body, want := range map[string]string{
		``:                              "the body must be a JSON array of faults: line 1: unexpected EOF",
		`{"status": 503}`:               "the body must be a JSON array of faults: line 1: a JSON { is not allowed here",
		`[{"staus": 503}]`:              "line 1: /0/staus: unknown object member name",
		`[{"status": 503}, {}]`:         "/1: it has no effect: set status",
		`[{"method": "GET"}]`:           "/0: it has no effect: set status",
		`[{"status": 199}]`:             "/0: status must be 200 to 999",
		`[{"status": 1000}]`:            "/0: status must be 200 to 999",
		`[{"status": 503, "times":-1}]`: "/0: times must be 1 to 1000",
		`[{"status": 503, "times":9000000000000}]`:                  "/0: times must be 1 to 1000",
		`[{"status": 503, "path": "v2024/personal-access-tokens"}]`: "/0: path must be empty or begin with",
		`[{"delaySeconds": 3601}]`:                                  "/0: delaySeconds must be at most 3600",
		`[{"delaySeconds": -1}]`:                                    "/0: delaySeconds is negative, which needs committed",
		strings.Repeat(" ", maxControlBody+1):                       "request body too large",
	} {
		status, response := send(h, "POST", "/faketenant/faults", body)
		assert.Equal(t, 400, status)
		assert.Contains(t, strings.ReplaceAll(response, `\"`, `"`), want)
	}
	_, body := send(h, "GET", "/faketenant/faults", "")
	assert.Equal(t, `[]`, body, "nothing is injected")
}

// TestRequestLogHasNoSecret also sends the secret and a bearer in wrong places.
func TestRequestLogHasNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newControl(t)
		_, body := grant(h)
		bearer := strings.Split(body, `"`)[3]
		require.Regexp(t, `^[\w-]+\.[\w-]+\.[\w-]+$`, bearer)
		send(h, "POST", "/oauth/token?"+grantForm, "")
		status, _ := send(h, "POST", "/v2024/personal-access-tokens", `{"name":"new"}`, "Authorization", "Bearer "+bearer, "Content-Type", "application/json")
		require.Equal(t, 200, status)

		status, log := send(h, "GET", "/faketenant/requests", "")
		assert.Equal(t, 200, status)
		const redacted = "grant_type=client_credentials&client_id=admin&client_secret=[REDACTED]"
		assert.Equal(t, `[`+
			`{"at":"2000-01-01T00:00:00Z","method":"POST","path":"/oauth/token","query":"","body":"`+redacted+`","clientId":"admin",`+
			`"header":{"Content-Type":["application/x-www-form-urlencoded"]},"status":200},`+
			`{"at":"2000-01-01T00:00:00Z","method":"POST","path":"/oauth/token","query":"`+redacted+`","body":"","clientId":"admin",`+
			`"header":{},"status":200},`+
			`{"at":"2000-01-01T00:00:00Z","method":"POST","path":"/v2024/personal-access-tokens","query":"","body":"{\"name\":\"new\"}","clientId":"admin",`+
			`"header":{"Authorization":["[REDACTED]"],"Content-Type":["application/json"]},"status":200}`+
			`]`, log)
		assert.NotContains(t, log, "admin-secret")
		assert.NotContains(t, log, bearer)
	})
}

func TestResetKeepsTheCredentials(t *testing.T) {
	h, config := newHandler(&settings{control: true}, new(seed.Seed))
	form := "grant_type=client_credentials&client_id=" + config.ClientID + "&client_secret=" + config.ClientSecret.Reveal()
	for range 2 {
		status, _ := send(h, "POST", "/oauth/token", form, "Content-Type", "application/x-www-form-urlencoded")
		assert.Equal(t, 200, status)
		status, _ = send(h, "POST", "/faketenant/reset", "")
		assert.Equal(t, 204, status)
	}
}

func TestControlIsOffByDefault(t *testing.T) {
	h, _ := newHandler(&settings{}, new(seed.Seed))
	status, body := send(h, "GET", "/faketenant/health", "")
	assert.Equal(t, 200, status)
	assert.Equal(t, `{"status":"UP"}`, body)
	for _, request := range []string{"GET requests", "GET faults", "POST faults", "POST reset", "GET other"} {
		method, path, _ := strings.Cut(request, " ")
		status, body := send(h, method, "/faketenant/"+path, "")
		assert.Equal(t, 404, status, request)
		assert.Equal(t, `{"error":"start faketenant with -control to use this path"}`, body)
	}
	status, _ = send(h, "GET", "/v2024//personal-access-tokens", "")
	assert.Equal(t, 404, status, "the API's paths are not redirected")
}

// TestControlIsLocal checks that web pages can't use the control paths.
func TestControlIsLocal(t *testing.T) {
	h := newControl(t)
	for name, tt := range map[string]struct {
		header []string
		status int
	}{
		"localhost":                   {nil, 204},
		"IPv6":                        {[]string{"Host", "[::1]:8080"}, 204},
		"another name":                {[]string{"Host", "tenant.example"}, 403},
		"a request of another page":   {[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a request of another origin": {[]string{"Origin", "https://page.example"}, 403},
	} {
		status, _ := send(h, "POST", "/faketenant/reset", "", tt.header...)
		assert.Equal(t, tt.status, status, name)
	}
	status, _ := send(h, "GET", "/faketenant/requests", "", "Host", "tenant.example")
	assert.Equal(t, 403, status)

	var stdout, stderr bytes.Buffer
	assert.Equal(t, exitUsage, run(t.Context(), []string{"-control", "-addr", ":0"}, &stdout, &stderr))
	assert.Empty(t, stdout.String())
	assert.Contains(t, stderr.String(), "faketenant: -control is set and -addr is not a loopback address: use 127.0.0.1")
}

package sailpoint_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// onTransport returns a client of a server on a loopback socket, on a transport of its own.
func onTransport(t *testing.T, baseURL string, change ...func(*http.Transport)) *sailpoint.Client {
	t.Helper()
	transport := sailpoint.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	for _, f := range change {
		f(transport)
	}
	cfg := (&network{}).config()
	withSource(bearers("the-bearer").ask)(&cfg)
	cfg.BaseURL, cfg.HTTPClient, cfg.MaxRetries = baseURL, &http.Client{Transport: transport}, 1
	client, err := sailpoint.NewClient(cfg)
	require.NoError(t, err)
	return client
}

// overTLS serves handler with HTTP/2 or without, and returns what makes a transport trust it.
func overTLS(t *testing.T, http2 bool, handler http.HandlerFunc) (*httptest.Server, func(*http.Transport)) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = http2
	server.Config.ErrorLog = silentLog
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, func(transport *http.Transport) {
		roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs //nolint:forcetypeassert // it is httptest's
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
}

func TestNewTransportIsOnesOwn(t *testing.T) {
	first, second := sailpoint.NewTransport(), sailpoint.NewTransport()
	require.NotSame(t, first, second)
	require.NotNil(t, first.Proxy, "the proxy of the environment")
	second.Proxy = nil
	require.NotNil(t, first.Proxy)
}

func TestNewTransportSpeaksHTTP2WithTLS(t *testing.T) {
	for want, http2 := range map[int]bool{1: false, 2: true} {
		var got atomic.Int64
		server, trust := overTLS(t, http2, func(w http.ResponseWriter, r *http.Request) {
			got.Store(int64(r.ProtoMajor))
			assert.Equal(t, "Bearer the-bearer", r.Header.Get("Authorization"))
			_, _ = w.Write([]byte(`[]`))
		})
		require.NoError(t, list(t.Context(), onTransport(t, server.URL, trust)))
		require.EqualValues(t, want, got.Load())
	}
}

// testCertificateThatIsNotTrusted: it is not tried again, and nothing is sent.
func testCertificateThatIsNotTrusted(t *testing.T) {
	for name, change := range map[string]func(*tls.Config){
		"unknown authority": func(cfg *tls.Config) { cfg.RootCAs = x509.NewCertPool() },
		"expired":           func(cfg *tls.Config) { cfg.Time = func() time.Time { return time.Now().AddDate(1000, 0, 0) } },
		"of another host":   func(cfg *tls.Config) { cfg.ServerName = "acme.test" },
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			server, trust := overTLS(t, true, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
			client := onTransport(t, server.URL, trust, func(transport *http.Transport) { change(transport.TLSClientConfig) })
			_, err := client.PersonalAccessTokens.Create(t.Context(), newToken())
			requireMatches(t, err)
			var certificate *tls.CertificateVerificationError
			require.ErrorAs(t, err, &certificate)
			assert.Equal(t, 1, requireOneError(t, err).Attempts)
			require.Zero(t, requests.Load())
		})
	}
}

// testHeaderHasABound: a server can't make a client hold an endless header. What it was a header of isn't known.
func testHeaderHasABound(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			for name, write := range map[string]func(http.Header){
				"one of 300 KiB": func(h http.Header) { h.Set("X-Large", strings.Repeat("x", 300<<10)) },
				"10,000": func(h http.Header) {
					for range 10_000 {
						h.Add("X-Many", "0123456789012345678901234567")
					}
				},
			} {
				t.Run(name, func(t *testing.T) {
					var requests atomic.Int64
					server, trust := overTLS(t, http2, func(w http.ResponseWriter, _ *http.Request) {
						requests.Add(1)
						write(w.Header())
						_, _ = w.Write([]byte(`[]`))
					})
					client := onTransport(t, server.URL, trust)
					err := list(t.Context(), client)
					require.Regexp(t, "header|COMPRESSION_ERROR", requireOneError(t, err).Err.Error())
					assert.EqualValues(t, 1, requests.Load(), "the next answer would be as large")
					_, err = client.PersonalAccessTokens.Create(t.Context(), newToken())
					requireMatches(t, err, sailpoint.ErrOutcomeUnknown)
					assert.EqualValues(t, 2, requests.Load())
				})
			}
		})
	}
}

func TestHeaderWithinTheBoundIsRead(t *testing.T) {
	server, trust := overTLS(t, true, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 200<<10))
		_, _ = w.Write([]byte(`[]`))
	})
	require.NoError(t, list(t.Context(), onTransport(t, server.URL, trust)))
}

// testProxyThatRefuses: what it answers to CONNECT means that nothing was sent.
func testProxyThatRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int // 0: the connection is closed
		want   int64
		text   string
	}{
		{"wants authentication", http.StatusProxyAuthRequired, 1, "the proxy wants authentication"},
		{"has no gateway", http.StatusBadGateway, 2, "Bad Gateway"},
		{"closes", 0, 2, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var connects atomic.Int64
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodConnect && r.Host == "acme.example:443" && r.Header.Get("Authorization") == "" {
					connects.Add(1)
				}
				if tt.status == 0 {
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("Proxy-Authenticate", "Basic")
				w.WriteHeader(tt.status)
			}))
			t.Cleanup(proxy.Close)
			at, err := url.Parse(proxy.URL)
			require.NoError(t, err)
			at.User = url.UserPassword("proxy-user", "hunter2")
			client := onTransport(t, "https://acme.example", func(transport *http.Transport) { transport.Proxy = http.ProxyURL(at) })

			_, err = client.PersonalAccessTokens.Create(t.Context(), newToken())
			requireMatches(t, err)
			require.ErrorContains(t, err, tt.text)
			assert.NotContains(t, err.Error(), "hunter2")
			failure := requireOneError(t, err)
			assert.Zero(t, failure.StatusCode, "it is not the API's answer")
			assert.EqualValues(t, tt.want, failure.Attempts)
			require.Equal(t, tt.want, connects.Load())
		})
	}
}

// TestDefaultClientWorks: without Config.HTTPClient, over a real connection, with nothing left to close.
func TestDefaultClientWorks(t *testing.T) {
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		w.Header().Set("Connection", "close") // so that no idle connection outlives the test
		if r.URL.Path == "/oauth/token" {
			_, _ = w.Write([]byte(`{"access_token":"the-bearer","expires_in":60}`))
			return
		}
		_, _ = w.Write([]byte(`[]`))
	}))
	t.Cleanup(server.Close)
	cfg := (&network{}).config()
	cfg.BaseURL, cfg.HTTPClient = server.URL, nil
	client, err := sailpoint.NewClient(cfg)
	require.NoError(t, err)
	require.NoError(t, list(context.WithoutCancel(t.Context()), client))
	require.Equal(t, []string{"/oauth/token", "/v2024/personal-access-tokens"}, paths)
}

// silentLog is for servers whose clients are meant to fail.
var silentLog = log.New(io.Discard, "", 0)

package sailpoint_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

func TestNewTransportIsNotShared(t *testing.T) {
	first, second := sailpoint.NewTransport(), sailpoint.NewTransport()
	require.NotSame(t, first, second)
	require.NotNil(t, first.Proxy, "the proxy from the environment")
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

// TestUntrustedCertificate shows that nothing is sent or retried.
func TestUntrustedCertificate(t *testing.T) {
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
			requireMatches(t, err, sailpoint.ErrUnreachable)
			var certificate *tls.CertificateVerificationError
			require.ErrorAs(t, err, &certificate)
			assert.Equal(t, 1, requireOneError(t, err).Attempts)
			require.Zero(t, requests.Load())
		})
	}
}

// TestResponseHeaderIsBounded shows that a client does not keep an endless
// header. The outcome of a changing call is then unknown.
func TestResponseHeaderIsBounded(t *testing.T) {
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
					assert.EqualValues(t, 1, requests.Load(), "the next response would be as large")
					_, err = client.PersonalAccessTokens.Create(t.Context(), newToken())
					requireMatches(t, err, sailpoint.ErrUnreachable, sailpoint.ErrOutcomeUnknown)
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

// TestProxyRejectsTheConnection shows that after an error response to CONNECT
// nothing was sent.
func TestProxyRejectsTheConnection(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int // 0 to close the connection
		want   int64
		text   string
	}{
		{"wants authentication", http.StatusProxyAuthRequired, 1, "the proxy requires authentication"},
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
			requireMatches(t, err, sailpoint.ErrUnreachable)
			require.ErrorContains(t, err, tt.text)
			assert.NotContains(t, err.Error(), "hunter2")
			failure := requireOneError(t, err)
			assert.Zero(t, failure.StatusCode, "the proxy's response is not the API's")
			assert.EqualValues(t, tt.want, failure.Attempts)
			require.Equal(t, tt.want, connects.Load())
		})
	}
}

// TestDefaultClientWorks uses no Config.HTTPClient, or one without a Transport.
// The calls leave no connection to close.
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
	for _, httpClient := range []*http.Client{nil, {}} {
		paths = nil
		cfg.BaseURL, cfg.HTTPClient = server.URL, httpClient
		client, err := sailpoint.NewClient(cfg)
		require.NoError(t, err)
		require.NoError(t, list(context.WithoutCancel(t.Context()), client))
		require.Equal(t, []string{"/oauth/token", "/v2024/personal-access-tokens"}, paths)
	}
}

func TestDialRefused(t *testing.T) { // alone, because another test could listen on its port
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())

	err = create(t.Context(), onTransport(t, "http://"+listener.Addr().String()))
	requireMatches(t, err, sailpoint.ErrUnreachable)
	var network *net.OpError
	require.ErrorAs(t, err, &network)
	assert.Equal(t, "dial", network.Op)
	assert.Equal(t, 2, requireOneError(t, err).Attempts)
}

func TestUnknownHost(t *testing.T) {
	t.Parallel()
	lookups := 0
	err := create(t.Context(), onTransport(t, "https://nowhere.example", dialing(func(context.Context, string, string) (net.Conn, error) {
		lookups++
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "nowhere.example", IsNotFound: true}}
	})))
	requireMatches(t, err, sailpoint.ErrUnreachable)
	assert.ErrorContains(t, err, "no such host")
	assert.Equal(t, 2, requireOneError(t, err).Attempts)
	assert.Equal(t, 2, lookups, "a cluster's DNS may not know a name for a moment")
}

func TestTemporaryDNSFailure(t *testing.T) {
	t.Parallel()
	address, requests := serveRaw(t, "HTTP/1.1 200 OK\r\nContent-Length: "+fmt.Sprint(len(created))+"\r\n\r\n"+created)
	lookups := 0
	err := create(t.Context(), onTransport(t, "http://"+address, dialing(func(ctx context.Context, network, address string) (net.Conn, error) {
		if lookups++; lookups == 1 {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	})))
	require.NoError(t, err)
	assert.Equal(t, 2, lookups)
	assert.EqualValues(t, 1, requests.Load())
}

func TestDialThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := onTransport(t, "https://acme.example", dialing(func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		started := time.Now()
		err := create(ctx, client)
		requireMatches(t, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 200*time.Millisecond, time.Since(started))
	})
}

// requireHandshakeFails checks that a Create fails after this number of
// attempts, before a request is sent.
func requireHandshakeFails(t *testing.T, client *sailpoint.Client, attempts int, requests *atomic.Int64, text string) {
	t.Helper()
	err := create(t.Context(), client)
	requireMatches(t, err, sailpoint.ErrUnreachable)
	require.ErrorContains(t, err, text)
	assert.Equal(t, attempts, requireOneError(t, err).Attempts)
	assert.Zero(t, requests.Load())
}

func TestNoCommonTLSVersion(t *testing.T) {
	var requests atomic.Int64
	server, trust := overTLS(t, true, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	server.TLS.MinVersion = tls.VersionTLS13
	client := onTransport(t, server.URL, trust, func(transport *http.Transport) {
		transport.TLSClientConfig.MaxVersion = tls.VersionTLS12
	})
	requireHandshakeFails(t, client, 1, &requests, "protocol version")
}

func TestServerWithoutTLS(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	server.Config.ErrorLog = silentLog
	server.Start()
	t.Cleanup(server.Close)
	client := onTransport(t, "https"+strings.TrimPrefix(server.URL, "http"))
	requireHandshakeFails(t, client, 1, &requests, "HTTP response to HTTPS client")
}

func TestHandshakeThatStalls(t *testing.T) {
	t.Parallel()
	var none atomic.Int64
	address, connections := hostile(t, func(conn *net.TCPConn, _ int) { _, _ = io.Copy(io.Discard, conn) })
	client := onTransport(t, "https://"+address, func(transport *http.Transport) {
		transport.TLSHandshakeTimeout = 250 * time.Millisecond
	})
	requireHandshakeFails(t, client, 2, &none, "TLS handshake timeout")
	// The server may accept a connection after the client has given it up.
	require.Eventually(t, func() bool { return connections.Load() >= 2 }, 10*time.Second, time.Millisecond)
	assert.EqualValues(t, 2, connections.Load())
}

func TestResetDuringTheHandshake(t *testing.T) {
	var none atomic.Int64
	address, connections := hostile(t, func(conn *net.TCPConn, _ int) {
		_, _ = conn.Read(make([]byte, 1))
		reset(conn)
	})
	requireHandshakeFails(t, onTransport(t, "https://"+address), 2, &none, "reset")
	assert.EqualValues(t, 2, connections.Load())
}

func TestResetAfterTheRequest(t *testing.T) {
	var requests atomic.Int64
	address, _ := hostile(t, func(conn *net.TCPConn, _ int) {
		if readRequest(conn) {
			requests.Add(1)
			reset(conn)
		}
	})
	outcome := requireOutcome(t, create(t.Context(), onTransport(t, "http://"+address)))
	assert.False(t, outcome.Created)
	assert.EqualValues(t, 1, requests.Load())
}

// TestConnectionClosedWhileIdle has a race in which the client may notice the
// end or not. In both cases a Create arrives at most once, and once if it
// succeeds.
func TestConnectionClosedWhileIdle(t *testing.T) {
	for range 20 {
		var creates atomic.Int64
		address, _ := hostile(t, func(conn *net.TCPConn, n int) {
			if n == 1 {
				if readRequest(conn) {
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
				}
				return
			}
			if readRequest(conn) {
				creates.Add(1)
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(created), created)
			}
		})
		client := onTransport(t, "http://"+address)
		require.NoError(t, list(t.Context(), client))
		if err := create(t.Context(), client); err != nil {
			_ = requireOutcome(t, err)
			assert.Zero(t, creates.Load(), "only the first connection was lost")
			continue
		}
		assert.EqualValues(t, 1, creates.Load())
	}
}

func TestResponseThatIsNotHTTP(t *testing.T) {
	t.Parallel()
	for _, response := range []string{
		"", "H", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "SSH-2.0-OpenSSH_9.9\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n[]", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 abc OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno header\r\n\r\n", "\x15\x03\x01\x00\x02\x02\x28", "\x1b[31m\r\n\r\n",
	} {
		t.Run(response, func(t *testing.T) {
			t.Parallel() // they wait for the backoff most of the time
			address, requests := serveRaw(t, response)
			client := onTransport(t, "http://"+address)
			require.Error(t, list(t.Context(), client))
			assert.EqualValues(t, 2, requests.Load())
			err := create(t.Context(), client)
			assert.False(t, requireOutcome(t, err).Created)
			assert.NotContains(t, err.Error(), "\x1b")
			assert.EqualValues(t, 3, requests.Load())
		})
	}
}

// TestResponseBodyCutAtEveryByte cuts the response to a Create at each byte of
// its body. A Create succeeds once id and secret are whole.
func TestResponseBodyCutAtEveryByte(t *testing.T) {
	t.Parallel()
	for _, framing := range []string{"length", "chunked", "closed"} {
		t.Run(framing, func(t *testing.T) { cutBody(t, framing) })
	}
}

func cutBody(t *testing.T, framing string) {
	t.Helper()
	const head = "HTTP/1.1 200 OK\r\n"
	for n := range len(created) + 1 {
		response := map[string]string{
			"length":  fmt.Sprintf(head+"Content-Length: %d\r\n\r\n%s", len(created)+1, created[:n]),
			"chunked": fmt.Sprintf(head+"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", len(created), created[:n]),
			"closed":  head + "\r\n" + created[:n],
		}[framing]
		address, requests := serveRaw(t, response)
		err := create(t.Context(), onTransport(t, "http://"+address))
		assert.EqualValues(t, 1, requests.Load())
		if n >= strings.Index(created, `,"name"`) { // id and secret are whole
			require.NoError(t, err)
			continue
		}
		outcome := requireOutcome(t, err)
		assert.Equal(t, n > 0 || framing != "closed", outcome.Created, "an empty body that seems complete may be a proxy's")
		assert.Equal(t, n >= strings.Index(created, `,`), outcome.ID != "", "%d: %q", n, outcome.ID)
	}
}

func TestResetDuringTheBody(t *testing.T) {
	address, _ := hostile(t, func(conn *net.TCPConn, n int) {
		if !readRequest(conn) {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[")
		if n == 1 {
			reset(conn)
			return
		}
		_, _ = io.WriteString(conn, "]")
	})
	require.NoError(t, list(t.Context(), onTransport(t, "http://"+address)))
}

func TestHTTP2StreamReset(t *testing.T) {
	client, streams := overHTTP2(t, func(conn io.Writer, _ int, stream uint32) bool {
		_, _ = conn.Write(frame(frameReset, 0, stream, []byte{0, 0, 0, internalError}))
		return true
	})
	err := create(t.Context(), client)
	assert.False(t, requireOutcome(t, err).Created)
	assert.ErrorContains(t, err, "INTERNAL_ERROR")
	assert.EqualValues(t, 1, streams.Load())
	require.Error(t, list(t.Context(), client))
	assert.EqualValues(t, 3, streams.Load())
}

// TestHTTP2GoAway shows that a stream above GOAWAY's last stream is retried on
// a new connection. The server has not processed it.
func TestHTTP2GoAway(t *testing.T) {
	client, streams := overHTTP2(t, func(conn io.Writer, n int, stream uint32) bool {
		if n == 1 {
			_, _ = conn.Write(frame(frameGoAway, 0, 0, make([]byte, 8)))
			return false
		}
		respondOverHTTP2(conn, stream, created)
		return true
	})
	require.NoError(t, create(t.Context(), client))
	assert.EqualValues(t, 2, streams.Load())
}

func TestSilentHTTP2Server(t *testing.T) {
	require.Equal(t, &http.HTTP2Config{
		SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second, WriteByteTimeout: 5 * time.Second,
	}, sailpoint.NewTransport().HTTP2)
	released := make(chan struct{})
	server, trust := overTLS(t, true, nil)
	address, _ := hostile(t, func(raw *net.TCPConn, _ int) {
		conn := tls.Server(raw, &tls.Config{Certificates: server.TLS.Certificates, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12})
		_ = conn.Handshake()
		<-released
	})
	defer close(released)
	client := onTransport(t, "https://"+address, trust, func(transport *http.Transport) {
		transport.HTTP2.SendPingTimeout, transport.HTTP2.PingTimeout = 20*time.Millisecond, 20*time.Millisecond
	})
	started := time.Now()
	_ = requireOutcome(t, create(t.Context(), client))
	assert.Less(t, time.Since(started), 10*time.Second, "long before AttemptTimeout")
}

func TestContentTooLargeWhileTheRequestIsWritten(t *testing.T) {
	t.Parallel()
	address, connections := hostile(t, func(conn *net.TCPConn, _ int) {
		if _, err := http.ReadRequest(bufio.NewReaderSize(conn, 16)); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		_ = conn.CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
	req := newToken()
	req.Name = strings.Repeat("x", 4<<20)
	_, err := onTransport(t, "http://"+address).PersonalAccessTokens.Create(t.Context(), req)
	requireMatches(t, err)
	assert.Equal(t, 413, requireOneError(t, err).StatusCode)
	assert.EqualValues(t, 1, connections.Load())
}

// pipes is a network in memory for use in a bubble. It has a listener and the
// dial function that reaches it.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
	dials       atomic.Int64
}

func newPipes() *pipes { return &pipes{connections: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p.dials.Add(1)
	here, there := net.Pipe()
	select {
	case p.connections <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.connections:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func TestRetriesReuseConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		server := http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if requests++; requests%2 == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			_, _ = io.WriteString(w, `[]`)
		})}
		p := newPipes()
		go func() { _ = server.Serve(p) }()
		t.Cleanup(func() { _ = server.Close() })
		client := onTransport(t, "http://127.0.0.1", dialing(p.dial))
		for range 100 {
			require.NoError(t, list(t.Context(), client))
		}
		assert.Equal(t, 200, requests)
		assert.LessOrEqual(t, p.dials.Load(), int64(2))
	})
}

func TestHugeResponseHeader(t *testing.T) {
	var written atomic.Int64
	address, _ := hostile(t, func(conn *net.TCPConn, _ int) {
		if !readRequest(conn) {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		line := "X-Filler: " + strings.Repeat("x", 1000) + "\r\n"
		for written.Load() < 50<<20 {
			n, err := io.WriteString(conn, line)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	requireMemory(t, 8<<20, func() { _ = requireOutcome(t, create(t.Context(), onTransport(t, "http://"+address))) })
	assert.Less(t, written.Load(), int64(50<<20))
}

// TestProxyOfTheEnvironment runs itself in a new process, because net/http
// reads the environment only once.
func TestProxyOfTheEnvironment(t *testing.T) {
	const baseURL, tokenURL = "http://127.0.0.1:1", "https://login.example/oauth/token"
	if os.Getenv("HTTPS_PROXY") == "http://proxy.example:3128" && os.Getenv("SAILPOINT_TEST") == "proxy" {
		for request, want := range map[string]string{
			"https://acme.example/v2024": "http://proxy.example:3128", tokenURL: "http://proxy.example:3128",
			"https://direct.example/v2024": "", baseURL: "",
		} {
			parsed, err := url.Parse(request)
			require.NoError(t, err)
			proxy, err := sailpoint.NewTransport().Proxy(&http.Request{URL: parsed})
			require.NoError(t, err)
			got := ""
			if proxy != nil {
				got = proxy.String()
			}
			require.Equal(t, want, got, request)
		}
		return
	}
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestProxyOfTheEnvironment$", "-test.v")
	cmd.Env = append(os.Environ(), "SAILPOINT_TEST=proxy", "HTTPS_PROXY=http://proxy.example:3128", "https_proxy=", "NO_PROXY=direct.example", "no_proxy=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestProxyOfTheEnvironment")
}

// throughProxy makes a transport use the HTTP proxy at an address.
func throughProxy(address string) func(*http.Transport) {
	return func(transport *http.Transport) {
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: address})
	}
}

// TestServerThatReadsNothing limits the time of a write. crypto/tls writes
// during a read, in response to a KeyUpdate of TLS 1.3, which could hold up a
// call.
func TestServerThatReadsNothing(t *testing.T) {
	t.Parallel()
	address, _ := hostile(t, func(*net.TCPConn, int) { <-t.Context().Done() })
	conn, err := sailpoint.NewTransport().DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	conn, limit := sailpoint.WithWriteLimit(conn, 100*time.Millisecond)
	require.Equal(t, 5*time.Second, limit)
	var written time.Time
	for err == nil {
		written = time.Now()
		_, err = conn.Write(make([]byte, 64<<10))
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Less(t, time.Since(written), 20*time.Second)
	_, err = conn.Write([]byte("more"))
	require.ErrorIs(t, err, net.ErrClosed, "the next write fails at once")
}

// TestServerThatFloodsPings covers a server that reads nothing, so that
// net/http can't write the end of the stream.
func TestServerThatFloodsPings(t *testing.T) {
	t.Parallel()
	client, _ := overHTTP2With(t, func(*sailpoint.Config) {}, func(conn io.Writer, _ int, stream uint32) bool {
		_, _ = conn.Write(frame(frameHeaders, endHeaders, stream, []byte("\x88")))
		_, _ = conn.Write(frame(frameData, 0, stream, []byte(`[`)))
		pings := bytes.Repeat(frame(framePing, 0, 0, make([]byte, 8)), 1000)
		for {
			if _, err := conn.Write(pings); err != nil {
				return false
			}
		}
	}, func(transport *http.Transport) {
		transport.HTTP2.SendPingTimeout = 0 // it would end the connection too, but later
		transport.HTTP2.WriteByteTimeout = 500 * time.Millisecond
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				err = conn.(*net.TCPConn).SetWriteBuffer(4 << 10) //nolint:forcetypeassert // network is tcp
			}
			return conn, err
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	started := time.Now()
	require.Error(t, list(ctx, client))
	require.Less(t, time.Since(started), 15*time.Second, "without a limit for writes, the call would never end")
}

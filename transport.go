package sailpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// NewTransport returns a new transport with the settings of a client's default
// one. It keeps up to 100 idle connections to a host. It limits the time to
// connect, the time of each write and the size of response headers. Like
// [http.DefaultTransport], it uses the proxy from the environment. You can set
// its Proxy or TLSClientConfig, or wrap it for tracing:
//
//	transport := sailpoint.NewTransport()
//	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
//	cfg.HTTPClient = &http.Client{Transport: transport}
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return &proxyError{resp.StatusCode}
			}
			return nil
		},
		DialContext:           dial,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
		HTTP2: &http.HTTP2Config{
			// A ping finds a dead connection before a Create is lost on it.
			SendPingTimeout: 15 * time.Second,
			PingTimeout:     5 * time.Second,
			// A server that sends pings and reads nothing could otherwise block
			// a call after its context has ended.
			WriteByteTimeout: writeTimeout,
		},
		MaxIdleConns:        100,
		MaxIdleConnsPerHost: 100,
		// This is less than the usual idle limit of a load balancer (60 s), so
		// that the client closes the connection first.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

// proxyError reports that a proxy refused to connect to the API. It replaces
// net/http's error, whose text is what the proxy sent.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	if e.wantsAuthentication() {
		return "the proxy requires authentication: set the transport's Proxy to a URL with credentials"
	}
	return strings.TrimRight(fmt.Sprintf("the proxy refused to connect: %d %s", e.status, http.StatusText(e.status)), " ")
}

func (e *proxyError) wantsAuthentication() bool { return e.status == http.StatusProxyAuthRequired }

// writeTimeout limits a write that the server doesn't read.
const writeTimeout = 5 * time.Second

// dial connects with a limit for each write.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return timedConn{conn, writeTimeout}, nil
}

// timedConn limits the time of each write. Otherwise a server could block a
// call after its context has ended, by asking for new TLS 1.3 keys and reading
// nothing. Package crypto/tls responds to a KeyUpdate inside a read, and Close
// waits for that write.
type timedConn struct {
	net.Conn
	limit time.Duration
}

// Write implements io.Writer.
func (c timedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = c.Close() // otherwise the alerts of crypto/tls would wait as long
	}
	return n, err
}

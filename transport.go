package sailpoint

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

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

// NewTransport returns a new transport like a client's default. It is tuned for
// one host. It limits the time to connect and the size of response headers, and
// uses the proxy from the environment as http.DefaultTransport does. You can
// set its Proxy or TLSClientConfig, or wrap it for tracing:
//
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
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
		HTTP2: &http.HTTP2Config{
			// A ping finds a dead connection before a Create is lost on it.
			SendPingTimeout: 15 * time.Second,
			PingTimeout:     5 * time.Second,
			// A server that sends pings and reads nothing could otherwise block
			// a call after its context has ended.
			WriteByteTimeout: 5 * time.Second,
		},
		MaxIdleConns:        100,
		MaxIdleConnsPerHost: 100,
		// This is less than the usual idle limit of a load balancer (60 s), so
		// that the client closes the connection first.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

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

// proxyError is a proxy's refusal to connect to the API. net/http's own error for it is the text that the proxy sent.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	if e.wantsAuthentication() {
		return "the proxy wants authentication: set Proxy of the transport to a URL with credentials"
	}
	return strings.TrimRight(fmt.Sprintf("the proxy refused to connect: %d %s", e.status, http.StatusText(e.status)), " ")
}

func (e *proxyError) wantsAuthentication() bool { return e.status == http.StatusProxyAuthRequired }

// NewTransport returns a transport like the one that a client uses without Config.HTTPClient: tuned for one host, with
// bounds on connecting and on the size of an answer's header, and with the proxy of the environment, as
// http.DefaultTransport has it. Set its Proxy or TLSClientConfig, or wrap it for tracing:
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
			// A connection that died silently is found by a ping, before a Create is lost on it.
			SendPingTimeout: 15 * time.Second,
			PingTimeout:     5 * time.Second,
			// A server that sends pings and reads nothing would hold a call beyond the end of its context.
			WriteByteTimeout: 5 * time.Second,
		},
		MaxIdleConns:        100,
		MaxIdleConnsPerHost: 100,
		// Shorter than the usual idle limit of a load balancer (60 s), so that it is us who close.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

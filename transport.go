package sailpoint

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// errProxyAuthentication is a proxy that wants credentials: sending again would not help.
var errProxyAuthentication = errors.New("the proxy wants authentication: set Proxy of the transport to a URL with credentials")

// NewTransport returns a transport like the one that a client uses without Config.HTTPClient: tuned for one host, with
// bounds on connecting and on the size of an answer's header, and with the proxy of the environment, as
// http.DefaultTransport has it. Set its Proxy or TLSClientConfig, or wrap it for tracing:
//
//	cfg.HTTPClient = &http.Client{Transport: transport}
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		// The transport reports other refusals of a proxy as a text only.
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode == http.StatusProxyAuthRequired {
				return errProxyAuthentication
			}
			return nil
		},
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
		// A connection that died silently is found by a ping, before a Create is lost on it.
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		MaxIdleConns:        100,
		MaxIdleConnsPerHost: 100,
		// Shorter than the usual idle limit of a load balancer (60 s), so that it is us who close.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

// Package storehttp sends the requests of stores that are servers with an HTTP
// API.
package storehttp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/redact"
)

const (
	// DefaultTimeout is the time limit of a request if the caller gives no
	// client.
	DefaultTimeout  = 30 * time.Second
	maxResponseSize = 4 << 20 // above what Vault (32 MiB is its limit for requests, 1 MiB for an entry) and etcd (1.5 MiB) keep in one entry
)

// Server says where requests go, and with which token.
type Server struct {
	address string
	client  *http.Client
	token   func(context.Context) (sailpoint.Secret, error)
}

// New returns a Server. Its errors name the field of a Config that is wrong.
func New(address string, token func(context.Context) (sailpoint.Secret, error), client *http.Client) (*Server, error) {
	if err := checkAddress(address); err != nil {
		return nil, fmt.Errorf("%w: Address %w", sailpoint.ErrInvalidArgument, err)
	}
	if token == nil {
		return nil, fmt.Errorf("%w: Token is not set: set it to a function that returns the server's token", sailpoint.ErrInvalidArgument)
	}
	own := http.Client{Timeout: DefaultTimeout}
	if client != nil {
		own = *client
	}
	// A redirect would carry the token, and the body with the secret, to
	// wherever it leads.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Server{address: strings.TrimRight(address, "/"), client: &own, token: token}, nil
}

// checkAddress does not repeat the address, which may contain a password.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("is not a URL: set it to one such as https://vault.example.com:8200")
	case u.User != nil:
		return errors.New("has a user name or password: leave them out")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return errors.New("is not https: use https (http is for loopback addresses only)")
	case strings.ContainsAny(address, "?#"):
		return errors.New("has a query or fragment: end it after the path")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// EscapePath escapes each segment of a path. It rejects empty and dot segments,
// which could lead elsewhere.
func EscapePath(path string) (string, error) {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if segment == "" || segment == "." || segment == ".." {
			return "", errors.New("is empty, or has an empty or dot segment")
		}
		segments[i] = url.PathEscape(segment)
	}
	return strings.Join(segments, "/"), nil
}

// Request is what Send sends.
type Request struct {
	Method      string
	Path        string // escaped, from the address on
	TokenHeader string
	TokenPrefix string
	Header      http.Header
	Body        []byte
	Secrets     []sailpoint.Secret // in Body
}

// Response is a response with its whole body.
type Response struct {
	Status   int
	Body     []byte
	redactor *redact.Redactor
}

// Printable returns what a server says on one line, cut, and without the token
// and secrets of the request.
func (r *Response) Printable(text string) string { return redact.Printable(r.redactor.Text(text)) }

// NotSentError is the error of a request that was never sent.
type NotSentError struct{ error }

// Unwrap returns the cause.
func (e NotSentError) Unwrap() error { return e.error }

// Send sends a request once.
func (s *Server) Send(ctx context.Context, request Request) (*Response, error) {
	token, err := s.token(ctx)
	switch {
	case err != nil:
		return nil, NotSentError{fmt.Errorf("the token of the store's server: %w", err)}
	case token.IsZero():
		return nil, NotSentError{errors.New("the token of the store's server is empty")}
	}
	r, err := http.NewRequestWithContext(ctx, request.Method, s.address+request.Path, bytes.NewReader(request.Body))
	if err != nil {
		return nil, NotSentError{err}
	}
	r.GetBody = nil // with it net/http would send the body again by itself
	for name, values := range request.Header {
		r.Header[name] = values
	}
	r.Header.Set(request.TokenHeader, request.TokenPrefix+token.Reveal())
	response, err := s.client.Do(r)
	if err != nil {
		return nil, withoutServerBytes(request.Method, s.address+request.Path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponseSize))
	if err != nil {
		return nil, withoutServerBytes(request.Method, s.address+request.Path, err)
	}
	redactors := []*redact.Redactor{redact.New(token.Reveal())}
	for _, secret := range request.Secrets {
		redactors = append(redactors, redact.New(secret.Reveal()))
	}
	return &Response{Status: response.StatusCode, Body: body, redactor: redact.Join(redactors...)}, nil
}

// withoutServerBytes keeps an error only if its text certainly quotes no
// response. net/http quotes a response that it doesn't understand, which may
// hold a secret.
func withoutServerBytes(method, address string, err error) error {
	var urlError *url.Error
	if errors.As(err, &urlError) {
		err = urlError.Err
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, new(*net.OpError)),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(*tls.CertificateVerificationError)):
	default:
		err = errors.New("the connection failed, or the response is not HTTP")
	}
	return fmt.Errorf("%s %s: %w", method, address, err)
}

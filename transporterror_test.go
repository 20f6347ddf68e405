package sailpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// requireHidden makes a List fail. It checks that the error and the log show
// the kind of failure, and nothing of the secret.
func requireHidden(t *testing.T, client *sailpoint.Client, log *bytes.Buffer, kind string) {
	t.Helper()
	err := list(t.Context(), client)
	require.ErrorContains(t, requireOneError(t, err), kind)
	assert.Contains(t, log.String(), kind)
	requireAbsent(t, log.String(), leakPATSecret)
	for _, link := range chain(err) {
		for _, text := range printings(link) {
			requireAbsent(t, text, leakPATSecret)
		}
	}
}

// TestErrorsQuoteNothingOfAResponse matters because net/http quotes input that
// it can't parse. That may be a secret from an earlier response.
func TestErrorsQuoteNothingOfAResponse(t *testing.T) {
	const head, chunked, secret = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", leakPATSecret
	for i, row := range []struct{ kind, response string }{
		{"malformed HTTP response", `{"id":"86f1","secret":"` + secret + `"}` + "\r\n\r\n"},
		{"malformed HTTP response", secret + "\r\n\r\n"},
		{"malformed HTTP status code", "HTTP/1.1 " + secret + "\r\n\r\n"},
		{"malformed HTTP status code", "HTTP/1.1 20" + secret + " OK\r\n\r\n"},
		{"malformed HTTP version", "HTTP/" + secret + " 200 OK\r\n\r\n"},
		{"malformed MIME header", head + secret + "\r\n\r\n"},
		{"malformed MIME header initial line", head + " " + secret + ": b\r\n\r\n"},
		{"malformed MIME header", head + "a: \x00" + secret + "\r\n\r\n"},
		{"bad Content-Length", head + "Content-Length: " + secret + "\r\n\r\n"},
		{"bad Content-Length", head + "Content-Length: -1" + secret + "\r\n\r\n"},
		{"multiple Content-Length headers", head + "Content-Length: 1\r\nContent-Length: " + secret + "\r\n\r\n"},
		{"unsupported transfer encoding", head + "Transfer-Encoding: " + secret + "\r\n\r\n"},
		{"too many transfer encodings", chunked + "Transfer-Encoding: " + secret + "\r\n\r\n"},
		{"bad trailer key", chunked + "Trailer: Content-Length\r\n\r\n" + secret},
		{"invalid byte in chunk length", chunked + "\r\nx" + secret + "\r\n"},
		{"http chunk length too large", chunked + "\r\n" + secret + "\r\n"},
		{"malformed chunked encoding", chunked + "\r\n1\r\n[" + secret + "\r\n"},
		{"chunked line ends with bare LF", chunked + "\r\n1;" + secret + "\n[\r\n"},
		{"malformed MIME header", chunked + "\r\n1\r\n[\r\n0\r\n" + secret + "\r\n\r\n"},
		{"gzip: invalid header", head + "Content-Encoding: gzip\r\nContent-Length: 32\r\n\r\n" + secret},
	} {
		t.Run(fmt.Sprint(i, " ", row.kind), func(t *testing.T) {
			address, requests := serveRaw(t, row.response)
			var log bytes.Buffer
			requireHidden(t, onTransportWith(t, "http://"+address, logging(&log)), &log, row.kind)
			require.EqualValues(t, 1, requests.Load())
		})
	}
}

func TestErrorsQuoteNothingOfHTTP2(t *testing.T) {
	// field is a literal field without indexing (RFC 7541 section 6.2.2). Its
	// name and value must be shorter than 127 bytes.
	field := func(name, value string) []byte {
		return []byte("\x88\x00" + string(rune(len(name))) + name + string(rune(len(value))) + value)
	}
	for kind, frames := range map[string]func(stream uint32) []byte{
		"http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=ENHANCE_YOUR_CALM": func(stream uint32) []byte {
			return frame(frameGoAway, 0, 0, append([]byte{0, 0, 0, byte(stream), 0, 0, 0, 11}, leakPATSecret...))
		},
		"PROTOCOL_ERROR; invalid header field name": func(stream uint32) []byte {
			return frame(frameHeaders, endHeaders|endStream, stream, field("A "+leakPATSecret, "b"))
		},
		"PROTOCOL_ERROR; invalid header field value": func(stream uint32) []byte {
			return frame(frameHeaders, endHeaders|endStream, stream, field("a", "\x00"+leakPATSecret))
		},
		"PROTOCOL_ERROR; invalid pseudo-header": func(stream uint32) []byte {
			return frame(frameHeaders, endHeaders|endStream, stream, field(":"+leakPATSecret, "b"))
		},
		"connection error: COMPRESSION_ERROR": func(stream uint32) []byte {
			return frame(frameHeaders, endHeaders|endStream, stream, []byte("\xff\xff\xff"+leakPATSecret))
		},
		"http2: frame too large": func(uint32) []byte { return []byte("HTTP/1.1 400 " + leakPATSecret + "\r\n\r\n") },
	} {
		t.Run(kind, func(t *testing.T) {
			var log bytes.Buffer
			client, _ := overHTTP2With(t, logging(&log), func(conn io.Writer, _ int, stream uint32) bool {
				_, _ = conn.Write(frames(stream))
				return false
			})
			requireHidden(t, client, &log, kind)
		})
	}
}

// TestErrorsQuoteNothingOfAProxy covers the proxy's text after the status of
// its error.
func TestErrorsQuoteNothingOfAProxy(t *testing.T) {
	for name, tt := range map[string]struct {
		response, kind string
		change         func(*http.Transport)
	}{
		"error status":                   {"HTTP/1.1 403 " + leakPATSecret + "\r\n\r\n", "the proxy refused to connect: 403 Forbidden", func(*http.Transport) {}},
		"error status, custom transport": {"HTTP/1.1 403 " + leakPATSecret + "\r\n\r\n", "not shown", func(transport *http.Transport) { transport.OnProxyConnectResponse = nil }},
		"not HTTP":                       {leakPATSecret + "\r\n\r\n", "malformed HTTP response", func(*http.Transport) {}},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := serveRaw(t, tt.response)
			var log bytes.Buffer
			client := onTransportWith(t, "https://acme.example", logging(&log), throughProxy(address), tt.change)
			requireHidden(t, client, &log, tt.kind)
		})
	}
}

// errOpen and typedError are errors that a custom RoundTripper may return.
var errOpen = errors.New("the circuit breaker is open")

type typedError struct{ reason string }

func (e *typedError) Error() string { return "policy: " + e.reason }

// TestErrorsOfACustomTransportStayUseful shows their texts up to a possible
// quotation of the server. The errors match the same targets as before.
func TestErrorsOfACustomTransportStayUseful(t *testing.T) {
	malformed := fmt.Errorf("malformed HTTP response %q", leakPATSecret)
	for name, tt := range map[string]struct {
		err  error
		text string
	}{
		"a variable":               {errOpen, "the circuit breaker is open"},
		"a variable, wrapped":      {fmt.Errorf("tracing: %w", errOpen), "tracing: the circuit breaker is open"},
		"a type":                   {&typedError{"no calls at night"}, "policy: no calls at night"},
		"a type around net/http's": {errors.Join(&typedError{"twice"}, malformed, errOpen), "malformed HTTP response"},
		"net/http's, wrapped":      {fmt.Errorf("tracing: %w: %w", errOpen, malformed), "malformed HTTP response"},
		"a quotation":              {fmt.Errorf("odd response %q: %w", leakPATSecret, errOpen), "odd response"},
	} {
		t.Run(name, func(t *testing.T) {
			n := scripted(response{err: tt.err})
			var log bytes.Buffer
			client := n.client(t, logging(&log))
			requireHidden(t, client, &log, tt.text)
			err := list(t.Context(), client)
			require.Equal(t, errors.Is(tt.err, errOpen), errors.Is(err, errOpen))
			var want, got *typedError
			require.Equal(t, errors.As(tt.err, &want), errors.As(err, &got))
			require.Equal(t, want, got)
		})
	}
}

// TestErrorsOfTheNetworkKeepTheirTypes checks errors.Is and As for errors of
// net/http.
func TestErrorsOfTheNetworkKeepTheirTypes(t *testing.T) {
	address, _ := hostile(t, func(conn *net.TCPConn, _ int) {
		if readRequest(conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			reset(conn)
		}
	})
	err := list(t.Context(), onTransport(t, "http://"+address))
	var network *net.OpError
	if !errors.As(err, &network) {
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	var timeout net.Error
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, list(ctx, onTransport(t, "http://"+address)), context.Canceled)

	silent, _ := hostile(t, func(conn *net.TCPConn, _ int) { _, _ = io.Copy(io.Discard, conn) })
	client := onTransport(t, "https://"+silent, func(transport *http.Transport) { transport.TLSHandshakeTimeout = 1 })
	require.ErrorAs(t, list(t.Context(), client), &timeout)
	require.True(t, timeout.Timeout())
}

package sailpoint_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// logging configures a client without retries that logs to a buffer.
func logging(log *bytes.Buffer) func(*sailpoint.Config) {
	return func(cfg *sailpoint.Config) {
		cfg.MaxRetries = -1
		cfg.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

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

// resetWith returns a handler that resets each stream with this error code.
func resetWith(code byte) func(io.Writer, int, uint32) bool {
	return func(conn io.Writer, _ int, stream uint32) bool {
		_, _ = conn.Write(frame(frameReset, 0, stream, []byte{0, 0, 0, code}))
		return true
	}
}

// TestHTTP2FailuresAreJudgedByTheMatrix covers requests with a body, which
// net/http never replays. Only two failures prove that a request was not
// carried out: REFUSED_STREAM, and a GOAWAY whose last stream is an earlier
// one.
func TestHTTP2FailuresAreJudgedByTheMatrix(t *testing.T) {
	t.Parallel()
	const protocolError, refusedStream, codes = 1, 7, 14
	goAway := func(last uint32, code byte) func(io.Writer, int, uint32) bool {
		return func(conn io.Writer, _ int, _ uint32) bool {
			_, _ = conn.Write(frame(frameGoAway, 0, 0, []byte{0, 0, 0, byte(last), 0, 0, 0, code}))
			return last == 0 // an end while the body is written would hide the GOAWAY
		}
	}
	type failure struct {
		name         string
		handle       func(io.Writer, int, uint32) bool
		notProcessed bool
	}
	failures := []failure{
		{"GOAWAY before the stream", goAway(0, 0), true},
		{"GOAWAY before the stream with an error", goAway(0, protocolError), true},
		{"GOAWAY after the stream", goAway(1, 0), false},
		{"GOAWAY after the stream with an error", goAway(1, protocolError), false},
	}
	for code := range byte(codes + 1) {
		failures = append(failures, failure{fmt.Sprintf("reset with code %d", code), resetWith(code), code == refusedStream})
	}
	for _, f := range failures {
		for _, op := range operations[3:6] { // those with a body
			t.Run(f.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				client, streams := overHTTP2(t, f.handle)
				err := op.call(t.Context(), client)
				retried := f.notProcessed || op.column == columnPatchReplace
				want := map[bool]int{false: 1, true: 2}[retried]
				assert.EqualValues(t, want, streams.Load())
				assert.Equal(t, want, requireOneError(t, err).Attempts)
				assert.Equal(t, !f.notProcessed, errors.Is(err, sailpoint.ErrOutcomeUnknown))
			})
		}
	}
}

// TestRefusedStreamIsRetried includes a Create, because the server has not
// processed it.
func TestRefusedStreamIsRetried(t *testing.T) {
	client, streams := overHTTP2(t, func(conn io.Writer, n int, stream uint32) bool {
		if n == 1 {
			return resetWith(7)(conn, n, stream)
		}
		respondOverHTTP2(conn, stream, created)
		return true
	})
	require.NoError(t, create(t.Context(), client))
	require.EqualValues(t, 2, streams.Load())
}

// TestReplaysOfTheTransportAreCounted covers a List or Delete that net/http
// replays after PROTOCOL_ERROR, REFUSED_STREAM or GOAWAY. It replays without
// end if each connection is lost.
func TestReplaysOfTheTransportAreCounted(t *testing.T) {
	t.Parallel()
	type replayed struct {
		name    string
		streams *atomic.Int64
		err     error
	}
	var all []*replayed
	var calls sync.WaitGroup // together, because net/http waits a second before its second replay
	for name, handle := range map[string]func(io.Writer, int, uint32) bool{
		"PROTOCOL_ERROR":               resetWith(1),
		"PROTOCOL_ERROR, then the end": func(conn io.Writer, n int, stream uint32) bool { resetWith(1)(conn, n, stream); return false },
		"REFUSED_STREAM":               resetWith(7),
		"REFUSED_STREAM, then the end": func(conn io.Writer, n int, stream uint32) bool { resetWith(7)(conn, n, stream); return false },
		"GOAWAY before the stream, then the end": func(conn io.Writer, _ int, _ uint32) bool {
			_, _ = conn.Write(frame(frameGoAway, 0, 0, make([]byte, 8)))
			return false
		},
	} {
		for _, op := range []operation{operations[0], operations[2]} {
			client, streams := overHTTP2With(t, func(cfg *sailpoint.Config) { cfg.MaxRetries = 3 }, handle)
			r := &replayed{name: name + "/" + op.name, streams: streams}
			all = append(all, r)
			calls.Go(func() { r.err = op.call(t.Context(), client) })
		}
	}
	calls.Wait()
	for _, r := range all {
		t.Run(r.name, func(t *testing.T) {
			failure := requireOneError(t, r.err)
			// A request written to an ended connection counts too, because
			// it may have arrived.
			assert.GreaterOrEqual(t, failure.Attempts, int(r.streams.Load()))
			if !strings.Contains(r.name, "then the end") {
				assert.EqualValues(t, r.streams.Load(), failure.Attempts)
			}
			// A replay counts against MaxRetries. A cancelled one may still
			// be sent, because net/http chooses at random between a write
			// and the end of a context.
			assert.GreaterOrEqual(t, failure.Attempts, 2)
			assert.LessOrEqual(t, failure.Attempts, 3+1+2)
			require.NotErrorIs(t, r.err, context.Canceled)
		})
	}
}

// TestDeleteReplayedByTheTransport covers a request that ended with
// PROTOCOL_ERROR. The server may have carried it out, and the response to the
// replay does not tell.
func TestDeleteReplayedByTheTransport(t *testing.T) {
	const status404, status400 = "\x8d", "\x8c" // HPACK's static table (RFC 7541)
	for name, tt := range map[string]struct {
		status, body string
		deleted      bool
	}{
		"gone":                {status404, `{"detailCode":"404"}`, true},
		"a gateway's 404":     {status404, `not here`, false},
		"rejected by the API": {status400, `{"detailCode":"400"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			client, streams := overHTTP2(t, func(conn io.Writer, n int, stream uint32) bool {
				if n == 1 {
					return resetWith(1)(conn, n, stream)
				}
				_, _ = conn.Write(frame(frameHeaders, endHeaders, stream, []byte(tt.status)))
				_, _ = conn.Write(frame(frameData, endStream, stream, []byte(tt.body)))
				return true
			})
			err := client.PersonalAccessTokens.Delete(t.Context(), "86f1")
			require.EqualValues(t, 2, streams.Load())
			if tt.deleted {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
			}
		})
	}
}

// TestStaleConnections shows who recovers from a connection that the server
// closes while it is idle. This server closes it after it has read the second
// request, so that the outcome of that request is unknown.
func TestStaleConnections(t *testing.T) {
	for _, tt := range []struct {
		op             operation
		withoutRetries bool // net/http retries
		withRetries    bool // the client retries
	}{
		{operations[0], true, true},   // net/http retries a List
		{operations[2], false, true},  // the client retries a Delete, because net/http retries only GET
		{operations[3], false, true},  // the client retries a Patch that replaces
		{operations[4], false, false}, // any other Patch is not retried
		{operations[5], false, false}, // a Create is not retried
	} {
		for _, retries := range []int{-1, 1} {
			t.Run(fmt.Sprintf("%s with %d retries", tt.op.name, retries), func(t *testing.T) {
				var requests atomic.Int64
				address, connections := hostile(t, func(conn *net.TCPConn, n int) {
					reader := bufio.NewReader(conn)
					for i := 1; ; i++ {
						req, err := http.ReadRequest(reader)
						if err != nil {
							return
						}
						_, _ = io.Copy(io.Discard, req.Body)
						if requests.Add(1); n == 1 && i == 2 {
							return
						}
						body := tt.op.success.body
						if requests.Load() == 1 {
							body = `[]`
						}
						_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
					}
				})
				client := onTransportWith(t, "http://"+address, func(cfg *sailpoint.Config) { cfg.MaxRetries = retries })
				require.NoError(t, list(t.Context(), client))
				err := tt.op.call(t.Context(), client)
				if retries < 0 && tt.withoutRetries || retries > 0 && tt.withRetries {
					require.NoError(t, err)
					require.EqualValues(t, 3, requests.Load())
					require.EqualValues(t, 2, connections.Load())
					return
				}
				require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
				require.Equal(t, 1, requireOneError(t, err).Attempts)
				require.EqualValues(t, 2, requests.Load())
			})
		}
	}
}

// unwritable is a connection whose writes fail once it is broken.
type unwritable struct {
	net.Conn
	broken *atomic.Bool
}

func (c unwritable) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
	}
	return c.Conn.Write(p)
}

// TestConnectionsThatCannotBeWritten shows that net/http replays a List and a
// Delete. For a request with a body the matrix decides, because its header may
// have been sent.
func TestConnectionsThatCannotBeWritten(t *testing.T) {
	for i, op := range operations[:6] {
		if i == 1 {
			continue // All is a List
		}
		t.Run(op.name, func(t *testing.T) {
			var requests atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if requests.Add(1) == 1 {
					_, _ = io.WriteString(w, `[]`)
					return
				}
				_, _ = io.WriteString(w, op.success.body)
			}))
			t.Cleanup(server.Close)
			broken := make([]atomic.Bool, 3)
			dials := 0
			client := onTransportWith(t, server.URL, withoutRetries, dialing(func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, address)
				dials++
				return unwritable{conn, &broken[dials]}, err
			}))
			require.NoError(t, list(t.Context(), client))
			broken[1].Store(true)
			err := op.call(t.Context(), client)
			if i <= 2 {
				require.NoError(t, err)
				require.EqualValues(t, 2, requests.Load())
				return
			}
			require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
			require.EqualValues(t, 1, requests.Load())
		})
	}
}

// TestSecretsStayOnTheirConnection covers bytes after the end of a response
// that holds a secret. net/http does not print them, and the next call does not
// read them.
func TestSecretsStayOnTheirConnection(t *testing.T) {
	whole := `{"id":"86f1","secret":"` + leakPATSecret + `","name":"deploy"}`
	bearer := `{"access_token":"` + leakBearer + `","expires_in":60}`
	length := func(n int, body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, body)
	}
	twice := func(body string) string { return length(len(body), body) + length(len(body), body) }
	for name, tt := range map[string]struct{ create, bearer string }{
		"a Create whose length is too small":     {create: length(30, whole)},
		"a Create with two responses":            {create: twice(whole)},
		"a Create of length 0":                   {create: length(0, whole)},
		"a Create without a response header":     {create: whole + "\r\n\r\n"},
		"a bearer whose length is too small":     {bearer: length(30, bearer)},
		"a bearer with two responses":            {bearer: twice(bearer)},
		"a Create with 500 and a later response": {create: "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n" + whole},
	} {
		t.Run(name, func(t *testing.T) {
			var printed, records bytes.Buffer
			log.SetOutput(&printed)
			defer log.SetOutput(os.Stderr)
			ended := make(chan struct{}, 10)
			awaitEnd := func() {
				select {
				case <-ended: // by then net/http has printed anything it prints
				case <-time.After(5 * time.Second):
					assert.Fail(t, "the connection stays open")
				}
			}
			address, _ := hostile(t, func(conn *net.TCPConn, _ int) {
				defer func() { ended <- struct{}{} }()
				reader := bufio.NewReader(conn)
				for {
					req, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					response := length(2, `[]`)
					switch {
					case strings.HasSuffix(req.URL.Path, "/token"):
						response = cmp.Or(tt.bearer, length(len(bearer), bearer))
					case req.Method == http.MethodPost:
						response = tt.create
					}
					_, _ = io.WriteString(conn, response)
				}
			})
			client := onTransportWith(t, "http://"+address, func(cfg *sailpoint.Config) {
				logging(&records)(cfg)
				cfg.ClientSecret, cfg.TokenSource = sailpoint.NewSecret(leakClientSecret), nil
			})
			var errs []error
			if tt.create != "" {
				errs = append(errs, create(t.Context(), client))
				awaitEnd() // the bearer's connection
				awaitEnd() // the Create's connection
			}
			err := list(t.Context(), client)
			if tt.create != "" {
				require.NoError(t, err)
			} else {
				awaitEnd()
			}
			for _, err := range append(errs, err) {
				requireAbsent(t, fmt.Sprint(err), leakPATSecret, leakBearer)
			}
			requireAbsent(t, records.String(), leakPATSecret, leakBearer)
			require.Empty(t, printed.String())
		})
	}
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

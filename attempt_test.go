package sailpoint_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// TestTransportThatSendsOtherRequests covers a transport that makes a request
// of its own before each attempt, with the attempt's context. Such requests are
// not counted as replays, which the client limits, or as attempts.
func TestTransportThatSendsOtherRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, signer := scripted(response{status: 503}, response{status: 503}, ok(`[]`)), &network{}
		client := n.client(t, func(cfg *sailpoint.Config) {
			cfg.MaxRetries = 2
			cfg.HTTPClient = &http.Client{Transport: transportFunc(func(req *http.Request) (*http.Response, error) {
				for range 3 {
					own, err := http.NewRequestWithContext(req.Context(), http.MethodGet, "https://signer.example/key", nil)
					require.NoError(t, err)
					_, err = signer.RoundTrip(own)
					require.NoError(t, err)
				}
				return n.RoundTrip(req)
			})}
		})
		require.NoError(t, list(t.Context(), client))
		require.Len(t, n.calls, 3)
		require.Len(t, signer.calls, 4*3)

		n.api = always(response{status: 503})
		require.Equal(t, 3, requireOneError(t, list(t.Context(), client)).Attempts)
	})
}

// slow reads one byte a second, without end, until its context ends.
type slow struct{ ctx context.Context }

func (s slow) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-s.ctx.Done():
		return 0, context.Cause(s.ctx)
	}
}

func dripping(status int) response {
	return response{status: status, stream: func(ctx context.Context) io.Reader { return slow{ctx} }}
}

func TestOneByteASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(dripping(200))
		client := n.client(t, withoutRetries)
		for _, op := range operations[:6] {
			started := time.Now()
			err := op.call(t.Context(), client)
			require.ErrorIs(t, err, sailpoint.ErrInvalidResponse, op.name)
			if op.name == "delete" {
				assert.Equal(t, time.Second, time.Since(started), "one byte is already an error")
				continue
			}
			assert.Equal(t, 30*time.Second, time.Since(started), op.name)
			require.ErrorContains(t, err, "no complete response within 30s")
		}
		n = &network{token: always(dripping(200))}
		require.ErrorContains(t, list(t.Context(), n.client(t, withoutRetries)), "no complete response within 30s")
	})
}

func TestErrorBodyThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(dripping(503))
		started := time.Now()
		err := list(t.Context(), n.client(t, withoutRetries))
		requireMatches(t, err, sailpoint.ErrServer)
		assert.Equal(t, 30*time.Second, time.Since(started))
	})
}

func TestAttemptTimeout(t *testing.T) {
	for _, op := range slices.Concat(operations[:6], bulkOperations) {
		t.Run(op.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := scripted(silence).client(t, inV1, func(cfg *sailpoint.Config) {
					cfg.AttemptTimeout, cfg.MaxRetries = 5*time.Second, -1
				})
				started := time.Now()
				err := op.call(t.Context(), client)
				require.Equal(t, 5*time.Second, time.Since(started))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.NotErrorIs(t, err, context.Canceled)
				require.ErrorContains(t, err, "no complete response within 5s")
			})
		})
	}
}

func TestConnectionClosedAfterADelete(t *testing.T) {
	address, requests := serveRaw(t, "", fmt.Sprintf("HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s", len(notFound.body), notFound.body))
	require.NoError(t, onTransport(t, "http://"+address).PersonalAccessTokens.Delete(t.Context(), "id"))
	assert.EqualValues(t, 2, requests.Load())
}

func TestNoResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(silence)
		client := n.client(t, func(cfg *sailpoint.Config) { cfg.AttemptTimeout = 50 * time.Millisecond })
		err := list(t.Context(), client)
		requireMatches(t, err, sailpoint.ErrUnreachable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, n.calls, 4)

		err = create(t.Context(), client)
		require.False(t, requireOutcome(t, err).Created)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, context.Canceled)
		require.NoError(t, t.Context().Err(), "the limit is the client's own")
		require.Len(t, n.calls, 5)
	})
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

// TestAllLimitsEachWaitOnly shows that the loop may take long, while
// the server must keep sending.
func TestAllLimitsEachWaitOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := make(chan string)
		n := scripted(response{stream: func(ctx context.Context) io.Reader { return &chanReader{parts: body, done: ctx.Done()} }})
		client := n.client(t, func(cfg *sailpoint.Config) { cfg.AttemptTimeout = 10 * time.Second })
		go func() {
			body <- `[`
			for range 30 {
				<-time.After(9 * time.Second)
				body <- `{"id":"a"},`
			}
		}()
		started := time.Now()
		count := 0
		for _, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
			if err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorContains(t, err, "no complete response within 10s")
				break
			}
			count++
			<-time.After(time.Minute) // the caller's own time
		}
		require.Equal(t, 30, count)
		require.Greater(t, time.Since(started), 30*time.Minute)
	})
}

// TestAllEndsATrickle covers short waits that add up to too much time for too
// few bytes.
func TestAllEndsATrickle(t *testing.T) {
	// every returns a list of n tokens of this size, one at each interval.
	every := func(interval time.Duration, bytes, n int) response {
		return response{stream: func(ctx context.Context) io.Reader {
			body := make(chan string)
			go func() {
				defer close(body)
				token := `{"id":"a"}` + strings.Repeat(" ", bytes-len(`{"id":"a"},`))
				part := `[` + token
				for range n {
					select {
					case body <- part:
					case <-ctx.Done():
						return
					}
					part = `,` + token
					<-time.After(interval)
				}
				select {
				case body <- "]":
				case <-ctx.Done():
				}
			}()
			return &chanReader{parts: body, done: ctx.Done()}
		}}
	}
	for name, tt := range map[string]struct {
		body    response
		timeout time.Duration
		count   int
		ended   time.Duration
		err     string // empty for success
	}{
		"a few bytes each time":    {every(9*time.Second, 20, 1000), 10 * time.Second, 12, 100 * time.Second, "less than 1 KiB of the response within 1m40s"},
		"a byte less than enough":  {every(10*time.Second-1, 102, 1000), 10 * time.Second, 11, 100 * time.Second, "less than 1 KiB of the response within 1m40s"},
		"enough":                   {every(10*time.Second-1, 103, 1000), 10 * time.Second, 1000, 1000 * (10*time.Second - 1), ""},
		"silence":                  {every(11*time.Second, 2000, 1000), 10 * time.Second, 1, 10 * time.Second, "no complete response within 10s"},
		"no limit":                 {every(time.Minute, 20, 1000), -1, 1000, 1000 * time.Minute, ""},
		"a limit beyond all times": {every(time.Minute, 20, 1000), math.MaxInt64, 1000, 1000 * time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := scripted(tt.body).client(t, withoutRetries, func(cfg *sailpoint.Config) { cfg.AttemptTimeout = tt.timeout })
				defer func() { <-time.After(time.Hour) }() // by then the server's goroutine has ended
				started, count := time.Now(), 0
				var failure error
				for _, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
					if failure = err; err == nil {
						count++
					}
				}
				assert.Equal(t, tt.count, count)
				assert.Equal(t, tt.ended, time.Since(started))
				if tt.err == "" {
					require.NoError(t, failure)
					return
				}
				require.ErrorContains(t, failure, tt.err)
				require.ErrorIs(t, failure, context.DeadlineExceeded)
				require.ErrorIs(t, failure, sailpoint.ErrInvalidResponse)
			})
		})
	}
}

// TestAllWaitsBrieflyAfterTheLastToken covers a response that has all tokens
// and does not end.
func TestAllWaitsBrieflyAfterTheLastToken(t *testing.T) {
	for _, timeout := range []time.Duration{time.Second, 0, -1} {
		for _, bounded := range []bool{false, true} {
			t.Run(fmt.Sprint(timeout, bounded), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := t.Context(), context.CancelFunc(func() {})
					if bounded {
						ctx, cancel = context.WithTimeout(ctx, time.Hour)
					}
					defer cancel()
					n := scripted(response{stream: func(ctx context.Context) io.Reader {
						return io.MultiReader(strings.NewReader(`[{"id":"a"},{"id":"b"}]`), slow{ctx})
					}})
					client := n.client(t, func(cfg *sailpoint.Config) { cfg.AttemptTimeout = timeout })
					var ids []string
					var failure error
					var last time.Time
					for token, err := range client.PersonalAccessTokens.All(ctx, sailpoint.ListPersonalAccessTokensOptions{}) {
						if failure = err; err == nil {
							ids = append(ids, token.ID)
							<-time.After(10 * time.Minute) // the caller's own time
							last = time.Now()
						}
					}
					require.Equal(t, []string{"a", "b"}, ids)
					require.ErrorContains(t, failure, "no end of the response within 5s")
					require.ErrorIs(t, failure, sailpoint.ErrInvalidResponse)
					require.Equal(t, 5*time.Second, time.Since(last))
				})
			})
		}
	}
}

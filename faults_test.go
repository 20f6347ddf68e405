package sailpoint_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// fault is one thing that goes wrong, and the tests that it ends as it should. What F90 and above are about is in
// package lifecycle.
type fault struct {
	number int
	name   string
	tests  []func(*testing.T)
}

func tests(list ...func(*testing.T)) []func(*testing.T) { return list }

// rows are those rows of the matrix.
func rows(names ...string) func(*testing.T) {
	return func(t *testing.T) { testMatrix(t, names...) }
}

func outcomes(names ...string) func(*testing.T) {
	return func(t *testing.T) { testCreateOutcome(t, names...) }
}

func retriesAfter(list []retryAfter) func(*testing.T) {
	return func(t *testing.T) { testRetryAfter(t, list) }
}

func leaksOf(parties ...string) func(*testing.T) {
	return func(t *testing.T) { testNoErrorLeaks(t, parties...) }
}

var transportFaults = []fault{
	{1, "dial refused", tests(testDialRefused, rows("never sent"))},
	{2, "host unknown", tests(testHostUnknown, rows("host unknown"))},
	{3, "DNS fails for a while", tests(testDNSFailsForAWhile, rows("temporary failure of DNS"))},
	{4, "dial into a black hole", tests(testDialIntoABlackHole)},
	{5, "certificate not to be trusted", tests(testCertificateThatIsNotTrusted, rows("certificate"))},
	{6, "TLS versions that don't meet", tests(testTLSVersionsThatDontMeet, rows("TLS alert"))},
	{7, "no TLS where it is expected", tests(testNoTLS, rows("no TLS"))},
	{8, "handshake stalls", tests(testHandshakeStalls)},
	{9, "reset in the handshake", tests(testResetInTheHandshake)},
	{10, "reset after the request", tests(testResetAfterTheRequest, rows("reset"))},
	{11, "closed after a delete", tests(testClosedAfterADelete)},
	{12, "connection closed while idle", tests(testConnectionClosedWhileIdle)},
	{13, "no answer at all", tests(testNoAnswerAtAll, testAttemptTimeout)},
	{14, "no answer of HTTP", tests(testNoAnswerOfHTTP)},
	{15, "body shorter than its length", tests(testCutBody("length"), outcomes("cut before the id", "cut after the id"))},
	{16, "chunked body cut", tests(testCutBody("chunked"), outcomes("reset within the body"))},
	{17, "body cut at the end of the connection", tests(testCutBody("closed"), outcomes("cut without an error"))},
	{18, "reset in the body", tests(testResetInTheBody, rows("answer cut short"))},
	{19, "a byte a second", tests(testAByteASecond)},
	{20, "503 with a body that stalls", tests(test503WithABodyThatStalls)},
	{21, "stream reset and GOAWAY", tests(testStreamReset, testGoAway)},
	{22, "HTTP/2 server silent", tests(testHTTP2ServerSilent)},
	{23, "413 while the request is written", tests(test413WhileTheRequestIsWritten)},
	{24, "proxy refuses", tests(testProxyThatRefuses)},
	{25, "connections under retries", tests(testConnectionsUnderRetries)},
	{26, "context ends at any instant", tests(testContextEndsAtAnyInstant, testCompleteAnswerCountsThoughTheContextEnded)},
}

var statusFaults = []fault{
	{27, "Retry-After in seconds", tests(retriesAfter(retryAfterSeconds))},
	{28, "Retry-After too long", tests(retriesAfter(retryAfterTooLong))},
	{29, "Retry-After that overflows or is none", tests(retriesAfter(slices.Concat(retryAfterOdd, retryAfterUnreadable)))},
	{30, "Retry-After as a date", tests(retriesAfter(retryAfterDates))},
	{31, "Retry-After beyond the deadline", tests(testNoWaitPastTheDeadline)},
	{32, "429 to many goroutines", tests(testPauseIsShared)},
	{33, "429 for ever", tests(test429ForEver)},
	{34, "5xx", tests(rows("500", "502", "503", "504"))},
	{35, "outage", tests(testOutageCostsAboutOneRequestACall)},
	{36, "401 once", tests(testRefusedBearerIsRenewedOnce)},
	{37, "401 always", tests(testBearerThatIsAlwaysRefused, rows("401"))},
	{38, "401 to many calls", tests(testBearerRefusedToManyCalls)},
	{39, "the same bearer again", tests(testSameBearerAgainIsNotSentAgain)},
	{40, "definite statuses", tests(rows("403", "404", "409", "418", "431", "451"))},
	{41, "408 and 425", tests(rows("408", "425"))},
	{42, "statuses that mean nothing here", tests(rows("999", "101", "202", "204", "206"), outcomes("202"))},
	{43, "redirect of the API", tests(testNoRedirectOfTheAPIIsFollowed)},
	{44, "304", tests(rows("304"))},
}

var bodyFaults = []fault{
	{45, "gzip bomb", tests(testGzipBomb)},
	{46, "endless body", tests(testEndlessBody)},
	{47, "body at its bound", tests(testMaxListBytes, testCreateAtItsBound)},
	{48, "endless header", tests(testHeaderHasABound, testHeaderOf50MB)},
	{49, "deep JSON", tests(testDeepJSON)},
	{50, "names twice", tests(outcomes("two secrets"), testNamesTwice)},
	{51, "broken UTF-8", tests(outcomes("secret not UTF-8", "secret with a replacement", "secret with half a surrogate"))},
	{52, "not one object", tests(outcomes("trailing data", "null", "empty"), testNotOneObject)},
	{53, "answers of something between", tests(outcomes("HTML"), testAnswersOfSomethingBetween)},
	{54, "huge error", tests(testErrorOfAHugeBody)},
	{55, "shapes of errors", tests(testErrorHoldsWhatTheAnswerSays)},
	{56, "members that surprise", tests(testMembersThatSurprise)},
	{57, "lists of any length", tests(testListsOfAnyLength)},
}

var tokenEndpointFaults = []fault{
	{58, "credentials refused", tests(testRefusedCredentialsAreTriedOnce)},
	{59, "failure that passes", tests(testFailureOfTheTokenEndpointThatPasses)},
	{60, "no token in the answer", tests(testAnswerThatIsNoToken)},
	{61, "any expires_in", tests(testLifetimeOfABearer)},
	{62, "any token_type", tests(testTokenType)},
	{63, "bearer that can't be sent", tests(testBearerThatCantStandInAHeader)},
	{64, "redirect of the token endpoint", tests(testNoRedirectOfTheTokenEndpointIsFollowed)},
	{65, "client secret echoed", tests(leaksOf("token"))},
	{66, "token endpoint stalls", tests(testEachWaiterLeavesAtItsOwnDeadline)},
	{67, "leader cancelled", tests(testLeaderLeavesAlone)},
	{68, "fetch panics", tests(testFetchThatPanics)},
	{69, "clocks that jump", tests(testClocksThatJump)},
	{70, "renewal fails", tests(testRenewalThatFails)},
	{71, "429 of the token endpoint", tests(testRetryAfterOfTheTokenEndpoint)},
}

var inputFaults = []fault{
	{72, "ids that are none", tests(testUnsafeIDs)},
	{73, "the client's own id", tests(testDeleteOfTheOwnToken)},
	{74, "names of all kinds", tests(testNamesOfAllKinds)},
	{75, "base URLs that are none", tests(testURLThatIsRefused)},
	{76, "two hosts", tests(testSecretsGoToTheirOwnHostOnly)},
	{77, "credentials with spaces", tests(testCredentials)},
	{78, "secret with special characters", tests(testTokenRequestOnTheWire)},
	{79, "nil and zero values", tests(testZeroValuesAreRefusedWithoutPanic)},
	{80, "patches that can't be right", tests(testPatchRefusals)},
	{81, "create without scope or expiry", tests(testCreateRefusals)},
	{82, "expiry in any zone", tests(testRequestIsWrittenInMillisecondsUTC)},
	{83, "transports that break the contract", tests(testOddTransports)},
	{84, "the caller's http.Client", tests(testHTTPClientIsCopied)},
	{85, "proxy of the environment", tests(testProxyOfTheEnvironment)},
	{86, "logger that panics", tests(testLoggerThatPanicsCostsNoSecret)},
}

var secretFaults = []fault{
	{87, "values printed and marshalled", tests(testNoValueLeaks)},
	{88, "chains of errors", tests(leaksOf("API", "create"))},
	{89, "panics", tests(testPanicOfATransportLeaksNothing)},
}

func TestTransportFaults(t *testing.T)     { testFaults(t, transportFaults) }
func TestStatusFaults(t *testing.T)        { testFaults(t, statusFaults) }
func TestBodyFaults(t *testing.T)          { testFaults(t, bodyFaults) }
func TestTokenEndpointFaults(t *testing.T) { testFaults(t, tokenEndpointFaults) }
func TestInputFaults(t *testing.T)         { testFaults(t, inputFaults) }
func TestSecretFaults(t *testing.T)        { testFaults(t, secretFaults) }

func testFaults(t *testing.T, faults []fault) {
	for _, f := range faults {
		t.Run(fmt.Sprintf("F%02d_%s", f.number, f.name), func(t *testing.T) {
			require.NotEmpty(t, f.tests)
			for _, test := range f.tests {
				test(t)
			}
		})
	}
}

// TestEveryFaultHasATest: the numbers are without a gap, and none is there twice.
func TestEveryFaultHasATest(t *testing.T) {
	var numbers []int
	for _, f := range slices.Concat(transportFaults, statusFaults, bodyFaults, tokenEndpointFaults, inputFaults, secretFaults) {
		numbers = append(numbers, f.number)
	}
	for i := range max(89, len(numbers)) {
		require.Less(t, i, len(numbers))
		require.Equal(t, i+1, numbers[i])
	}
}

// hostile serves each connection on a loopback socket with handle, which gets its number from 1 on, and then closes it.
func hostile(t *testing.T, handle func(conn *net.TCPConn, n int)) (address string, connections *atomic.Int64) {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	connections = new(atomic.Int64)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.AcceptTCP()
			if err != nil {
				return
			}
			n := int(connections.Add(1))
			running.Go(func() {
				defer conn.Close()
				handle(conn, n)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return listener.Addr().String(), connections
}

// readRequest reads one request from conn, with its body.
func readRequest(conn net.Conn) bool {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

// reset makes closing conn a reset.
func reset(conn *net.TCPConn) { _ = conn.SetLinger(0) }

// answering reads a request from each connection and writes this answer to it, the last one again and again.
func answering(t *testing.T, answers ...string) (address string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	address, _ = hostile(t, func(conn *net.TCPConn, n int) {
		if readRequest(conn) {
			requests.Add(1)
			_, _ = io.WriteString(conn, answers[min(n, len(answers))-1])
		}
	})
	return address, requests
}

func create(ctx context.Context, client *sailpoint.Client) error {
	_, err := client.PersonalAccessTokens.Create(ctx, newToken())
	return err
}

// requireOutcome returns the CreateOutcomeError that err has to be.
func requireOutcome(t *testing.T, err error) *sailpoint.CreateOutcomeError {
	t.Helper()
	require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
	_ = requireOneError(t, err)
	var outcome *sailpoint.CreateOutcomeError
	require.ErrorAs(t, err, &outcome)
	return outcome
}

func testDialRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())

	err = create(t.Context(), onTransport(t, "http://"+listener.Addr().String()))
	requireMatches(t, err)
	var network *net.OpError
	require.ErrorAs(t, err, &network)
	assert.Equal(t, "dial", network.Op)
	assert.Equal(t, 2, requireOneError(t, err).Attempts)
}

// dialing makes a transport use this dial.
func dialing(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(*http.Transport) {
	return func(transport *http.Transport) { transport.DialContext = dial }
}

func testHostUnknown(t *testing.T) {
	lookups := 0
	err := create(t.Context(), onTransport(t, "https://nowhere.example", dialing(func(context.Context, string, string) (net.Conn, error) {
		lookups++
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "nowhere.example", IsNotFound: true}}
	})))
	requireMatches(t, err)
	assert.ErrorContains(t, err, "no such host")
	assert.Equal(t, 1, requireOneError(t, err).Attempts)
	assert.Equal(t, 1, lookups)
}

func testDNSFailsForAWhile(t *testing.T) {
	address, requests := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: "+fmt.Sprint(len(created))+"\r\n\r\n"+created)
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

func testDialIntoABlackHole(t *testing.T) {
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

// requireHandshakeFails checks that a Create fails after so many attempts, before anything is sent.
func requireHandshakeFails(t *testing.T, client *sailpoint.Client, attempts int, requests *atomic.Int64, text string) {
	t.Helper()
	err := create(t.Context(), client)
	requireMatches(t, err)
	require.ErrorContains(t, err, text)
	assert.Equal(t, attempts, requireOneError(t, err).Attempts)
	assert.Zero(t, requests.Load())
}

func testTLSVersionsThatDontMeet(t *testing.T) {
	var requests atomic.Int64
	server, trust := overTLS(t, true, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	server.TLS.MinVersion = tls.VersionTLS13
	client := onTransport(t, server.URL, trust, func(transport *http.Transport) {
		transport.TLSClientConfig.MaxVersion = tls.VersionTLS12
	})
	requireHandshakeFails(t, client, 1, &requests, "protocol version")
}

func testNoTLS(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	server.Config.ErrorLog = silentLog
	server.Start()
	t.Cleanup(server.Close)
	client := onTransport(t, "https"+strings.TrimPrefix(server.URL, "http"))
	requireHandshakeFails(t, client, 1, &requests, "HTTP response to HTTPS client")
}

func testHandshakeStalls(t *testing.T) {
	var none atomic.Int64
	address, connections := hostile(t, func(conn *net.TCPConn, _ int) { _, _ = io.Copy(io.Discard, conn) })
	client := onTransport(t, "https://"+address, func(transport *http.Transport) {
		transport.TLSHandshakeTimeout = 20 * time.Millisecond
	})
	requireHandshakeFails(t, client, 2, &none, "TLS handshake timeout")
	assert.EqualValues(t, 2, connections.Load())
}

func testResetInTheHandshake(t *testing.T) {
	var none atomic.Int64
	address, connections := hostile(t, func(conn *net.TCPConn, _ int) {
		_, _ = conn.Read(make([]byte, 1))
		reset(conn)
	})
	requireHandshakeFails(t, onTransport(t, "https://"+address), 2, &none, "reset")
	assert.EqualValues(t, 2, connections.Load())
}

func testResetAfterTheRequest(t *testing.T) {
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

func testClosedAfterADelete(t *testing.T) {
	address, requests := answering(t, "", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	require.NoError(t, onTransport(t, "http://"+address).PersonalAccessTokens.Delete(t.Context(), "id"))
	assert.EqualValues(t, 2, requests.Load())
}

// testConnectionClosedWhileIdle: whether the client notices in time is a race. Whatever comes of it, a Create arrives
// once at most, and once if it says so.
func testConnectionClosedWhileIdle(t *testing.T) {
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
			assert.Zero(t, creates.Load(), "the connection that was lost was the first")
			continue
		}
		assert.EqualValues(t, 1, creates.Load())
	}
}

func testNoAnswerAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(silence)
		client := n.client(t, func(cfg *sailpoint.Config) { cfg.AttemptTimeout = 50 * time.Millisecond })
		err := list(t.Context(), client)
		requireMatches(t, err)
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

func testNoAnswerOfHTTP(t *testing.T) {
	for _, answer := range []string{
		"", "H", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "SSH-2.0-OpenSSH_9.9\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n[]", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 abc OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno header\r\n\r\n", "\x15\x03\x01\x00\x02\x02\x28", "\x1b[31m\r\n\r\n",
	} {
		t.Run(answer, func(t *testing.T) {
			address, requests := answering(t, answer)
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

// testCutBody cuts the answer to a Create at every byte of its body. What is complete counts.
func testCutBody(framing string) func(*testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	return func(t *testing.T) {
		for n := range len(created) + 1 {
			answer := map[string]string{
				"length":  fmt.Sprintf(head+"Content-Length: %d\r\n\r\n%s", len(created)+1, created[:n]),
				"chunked": fmt.Sprintf(head+"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", len(created), created[:n]),
				"closed":  head + "\r\n" + created[:n],
			}[framing]
			address, requests := answering(t, answer)
			err := create(t.Context(), onTransport(t, "http://"+address))
			assert.EqualValues(t, 1, requests.Load())
			if n == len(created) {
				require.NoError(t, err)
				continue
			}
			outcome := requireOutcome(t, err)
			assert.Equal(t, n > 0 || framing != "closed", outcome.Created, "an empty answer that seems whole may be a proxy's")
			assert.Equal(t, n >= strings.Index(created, `,`), outcome.ID != "", "%d: %q", n, outcome.ID)
		}
	}
}

func testResetInTheBody(t *testing.T) {
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

// slow reads a byte a second, for ever, or until the request ends.
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

func dripping(status int) answer {
	return answer{status: status, stream: func(ctx context.Context) io.Reader { return slow{ctx} }}
}

func testAByteASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(dripping(200))
		started := time.Now()
		client := n.client(t, withoutRetries)
		for i, op := range operations[:6] {
			err := op.call(t.Context(), client)
			assert.Equal(t, time.Duration(i+1)*30*time.Second, time.Since(started), op.name)
			if op.name == "delete" {
				require.NoError(t, err, "its answer of success is whole without a body")
				continue
			}
			require.ErrorIs(t, err, sailpoint.ErrInvalidResponse, op.name)
			require.ErrorContains(t, err, "no answer within 30s")
		}
		n = &network{token: always(dripping(200))}
		require.ErrorContains(t, list(t.Context(), n.client(t, withoutRetries)), "no answer within 30s")
	})
}

func test503WithABodyThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(dripping(503))
		started := time.Now()
		err := list(t.Context(), n.client(t, withoutRetries))
		requireMatches(t, err, sailpoint.ErrServer)
		assert.Equal(t, 30*time.Second, time.Since(started))
	})
}

// The frames of HTTP/2 that the tests write (RFC 9113 section 6).
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7
	endStream, endHeaders, ack                                      = 1, 4, 1
	internalError                                                   = 2
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	head := make([]byte, 9)
	binary.BigEndian.PutUint32(head, uint32(len(payload))<<8|uint32(kind))
	head[4] = flags
	binary.BigEndian.PutUint32(head[5:], stream)
	return slices.Concat(head, payload)
}

// overHTTP2 serves the frames of HTTP/2 by hand. handle is called for every stream, and writes what answers it; ok
// false ends the connection.
func overHTTP2(t *testing.T, handle func(conn io.Writer, n int, stream uint32) (ok bool)) (*sailpoint.Client, *atomic.Int64) {
	t.Helper()
	server, trust := overTLS(t, true, nil) // for its certificate
	var streams atomic.Int64
	address, _ := hostile(t, func(raw *net.TCPConn, _ int) {
		conn := tls.Server(raw, &tls.Config{Certificates: server.TLS.Certificates, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12})
		if _, err := io.CopyN(io.Discard, conn, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
			return
		}
		_, _ = conn.Write(frame(frameSettings, 0, 0, nil))
		head := make([]byte, 9)
		for {
			if _, err := io.ReadFull(conn, head); err != nil {
				return
			}
			length := int64(binary.BigEndian.Uint32(head) >> 8)
			if _, err := io.CopyN(io.Discard, conn, length); err != nil {
				return
			}
			switch kind, flags := head[3], head[4]; {
			case kind == frameSettings && flags&ack == 0:
				_, _ = conn.Write(frame(frameSettings, ack, 0, nil))
			case kind == frameHeaders:
				if !handle(conn, int(streams.Add(1)), binary.BigEndian.Uint32(head[5:])) {
					return
				}
			}
		}
	})
	return onTransport(t, "https://"+address, trust), &streams
}

func testStreamReset(t *testing.T) {
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

// testGoAway: a stream above the last one that the server names was not processed, and goes to a new connection.
func testGoAway(t *testing.T) {
	client, streams := overHTTP2(t, func(conn io.Writer, n int, stream uint32) bool {
		if n == 1 {
			_, _ = conn.Write(frame(frameGoAway, 0, 0, make([]byte, 8)))
			return false
		}
		const status200 = "\x88" // of the static table of RFC 7541
		_, _ = conn.Write(frame(frameHeaders, endHeaders, stream, []byte(status200)))
		_, _ = conn.Write(frame(frameData, endStream, stream, []byte(created)))
		return true
	})
	require.NoError(t, create(t.Context(), client))
	assert.EqualValues(t, 2, streams.Load())
}

func testHTTP2ServerSilent(t *testing.T) {
	require.Equal(t, &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second}, sailpoint.NewTransport().HTTP2)
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
	assert.Less(t, time.Since(started), 10*time.Second, "and not AttemptTimeout")
}

func test413WhileTheRequestIsWritten(t *testing.T) {
	address, connections := hostile(t, func(conn *net.TCPConn, _ int) {
		if _, err := http.ReadRequest(bufio.NewReaderSize(conn, 16)); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		_ = conn.CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
	req := newToken()
	req.Name = strings.Repeat("x", 8<<20)
	_, err := onTransport(t, "http://"+address).PersonalAccessTokens.Create(t.Context(), req)
	requireMatches(t, err)
	assert.Equal(t, 413, requireOneError(t, err).StatusCode)
	assert.EqualValues(t, 1, connections.Load())
}

// pipes is a network in memory, which works in a bubble: a listener, and the dial that leads to it.
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

func testConnectionsUnderRetries(t *testing.T) {
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

// testContextEndsAtAnyInstant: whenever it is, a Create that says it was carried out was, and one that says it wasn't
// wasn't.
func testContextEndsAtAnyInstant(t *testing.T) {
	var mu sync.Mutex
	committed := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		name := string(body)[len(`{"name":"`):]
		name, _, _ = strings.Cut(name, `"`)
		mu.Lock()
		committed[name]++
		mu.Unlock()
		_, _ = io.WriteString(w, created)
	}))
	results := map[string]error{}
	client := onTransport(t, server.URL)
	longest := time.Hour // twice what it takes
	for range 20 {
		started := time.Now()
		require.NoError(t, create(t.Context(), client))
		longest = min(longest, 2*time.Since(started))
	}
	for i := range 1000 {
		ctx, cancel := context.WithTimeout(t.Context(), rand.N(longest))
		req := newToken()
		req.Name = fmt.Sprint(i)
		_, results[req.Name] = client.PersonalAccessTokens.Create(ctx, req)
		cancel()
	}
	server.Close() // waits for the requests that are still being carried out
	ends := map[string]int{}
	for name, err := range results {
		switch {
		case err == nil:
			ends["success"]++
			assert.Equal(t, 1, committed[name])
		case errors.Is(err, sailpoint.ErrOutcomeUnknown):
			ends["unknown"]++
			_ = requireOutcome(t, err)
			assert.LessOrEqual(t, committed[name], 1)
		default:
			ends["not created"]++
			assert.Zero(t, committed[name])
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		}
	}
	t.Logf("%d cancelled: %v", len(results), ends)
	require.Equal(t, 1000, ends["success"]+ends["unknown"]+ends["not created"])
}

func test429ForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(answer{status: 429, header: map[string]string{"Retry-After": "7"}, body: `{"trackingId":"t","message":" Rate Limit Exceeded "}`})
		err := create(t.Context(), n.client(t))
		requireMatches(t, err, sailpoint.ErrRateLimited)
		failure := requireOneError(t, err)
		assert.Equal(t, 7*time.Second, failure.RetryAfter)
		assert.Equal(t, "t", failure.TrackingID)
		assert.Equal(t, 4, failure.Attempts)
		n.requireCounts(t, 4, 1)
	})
}

// requireMemory checks that f allocates no more than limit in all.
func requireMemory(t *testing.T, limit uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, limit)
}

// testGzipBomb: 1 GiB from 1 MiB, as an answer to each operation and of each status.
func testGzipBomb(t *testing.T) {
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	_, err := w.Write(bytes.Repeat([]byte(" "), 1<<20))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	bomb := bytes.Repeat(member.Bytes(), 1024)
	for _, status := range []int{200, 400, 503} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(status)
			_, _ = w.Write(bomb)
		}))
		t.Cleanup(server.Close)
		requireBounded(t, server.URL)
	}
}

// requireBounded checks that whatever is called at baseURL fails, and holds little of what comes.
func requireBounded(t *testing.T, baseURL string) {
	t.Helper()
	for _, op := range operations {
		transport := sailpoint.NewTransport()
		cfg := (&network{}).config()
		cfg.BaseURL, cfg.HTTPClient, cfg.MaxRetries, cfg.MaxListBytes = baseURL, &http.Client{Transport: transport}, -1, 1<<20
		if op.name != "fetch" {
			withSource(bearers("the-bearer").ask)(&cfg)
		}
		client, err := sailpoint.NewClient(cfg)
		require.NoError(t, err)
		requireMemory(t, 16<<20, func() { err = op.call(t.Context(), client) })
		require.Error(t, err, op.name)
		_ = requireOneError(t, err)
		transport.CloseIdleConnections()
	}
}

func testEndlessBody(t *testing.T) {
	for _, status := range []int{200, 400} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			for line := bytes.Repeat([]byte(" "), 32<<10); ; {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}))
		t.Cleanup(server.Close)
		requireBounded(t, server.URL)
	}
}

func testCreateAtItsBound(t *testing.T) {
	whole := created + strings.Repeat(" ", 1<<20-len(created))
	require.NoError(t, create(t.Context(), scripted(ok(whole)).client(t)))
	padded := `{"name":"` + strings.Repeat("x", 1<<20-len(created)-10) + `",` + created[1:]
	err := create(t.Context(), scripted(ok(padded)).client(t))
	require.True(t, requireOutcome(t, err).Created)
	require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
}

func testHeaderOf50MB(t *testing.T) {
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

func testDeepJSON(t *testing.T) {
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	for _, op := range operations {
		for _, status := range []int{200, 400} {
			for _, body := range []string{op.part + `x","u":` + deep + `}`, deep} {
				n := scripted(answer{status: status, body: body})
				if op.name == "fetch" {
					n = &network{token: n.api}
				}
				err := op.call(t.Context(), n.client(t, withoutRetries))
				require.Error(t, err, op.name)
				require.Equal(t, status, requireOneError(t, err).StatusCode)
			}
		}
	}
}

func testNamesTwice(t *testing.T) {
	n := scripted(ok(`{"id":"abc","secret":"right","SECRET":"wrong","Secret":"wrong","name":"n","Id":"other"}`))
	got, err := n.client(t).PersonalAccessTokens.Create(t.Context(), newToken())
	require.NoError(t, err)
	assert.Equal(t, "right abc", got.Secret.Reveal()+" "+got.ID, "names have a case, so these are unknown members")

	n = scripted(ok(`{"id":"abc","id":"other","name":"n"}`))
	_, err = n.client(t).PersonalAccessTokens.Patch(t.Context(), "abc", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
	requireMatches(t, err, sailpoint.ErrInvalidResponse, sailpoint.ErrOutcomeUnknown)
}

func testNotOneObject(t *testing.T) {
	for _, body := range []string{"\ufeff" + created, created + created, "null", "[]", "{}", `"x"`, "1", "true", "{", created + "x", "\x00"} {
		t.Run(body, func(t *testing.T) {
			for _, op := range []int{3, 4, 5, 6} { // Patch, Create and the fetch
				n := scripted(ok(body))
				if operations[op].name == "fetch" {
					n = &network{token: n.api}
				}
				err := operations[op].call(t.Context(), n.client(t, withoutRetries))
				require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
				require.Equal(t, operations[op].name != "fetch", errors.Is(err, sailpoint.ErrOutcomeUnknown))
				assert.NotContains(t, err.Error(), "the-new-secret")
			}
		})
	}
}

// testAnswersOfSomethingBetween: of the type that is told nothing depends, and what isn't JSON is kept and not shown.
func testAnswersOfSomethingBetween(t *testing.T) {
	html := "<html>\x1b[2J" + strings.Repeat("please sign in\n", 10_000) + "</html>"
	for _, contentType := range []string{"application/json", "text/html", "text/plain", "application/problem+json", "", "\x1b[31m"} {
		header := map[string]string{"Content-Type": contentType}
		for _, op := range operations {
			answers := map[error]answer{
				nil:                          {header: header, status: op.success.status, body: op.success.body},
				sailpoint.ErrInvalidResponse: {header: header, body: html},
				sailpoint.ErrServer:          {header: header, status: 502, body: html},
			}
			for want, a := range answers {
				n := scripted(a)
				if op.name == "fetch" {
					n = &network{token: n.api}
				}
				err := op.call(t.Context(), n.client(t, withoutRetries))
				require.ErrorIs(t, err, want)
				if err != nil {
					failure := requireOneError(t, err)
					assert.LessOrEqual(t, len(failure.Body), 64<<10)
					assert.NotContains(t, err.Error(), "sign in")
					assert.NotContains(t, err.Error(), "\x1b")
				}
			}
		}
	}
}

// testMembersThatSurprise: what is unknown, null or missing is taken, what has another type is not.
func testMembersThatSurprise(t *testing.T) {
	for member, taken := range map[string]bool{
		`"unknown":{"a":[1,null]}`:                true,
		`"scope":null`:                            true,
		`"expirationDate":null`:                   true,
		`"created":"2017-07-11T18:45:37Z"`:        true,
		`"created":"2017-07-11T18:45:37.098765Z"`: true,
		`"created":"2017-07-11T18:45:37+02:00"`:   true,
		`"created":"10000-01-01T00:00:00Z"`:       false,
		`"created":"2017-07-11 18:45:37"`:         false,
		`"created":1499798737`:                    false,
		`"accessTokenValiditySeconds":"43200"`:    true,
		`"accessTokenValiditySeconds":1e400`:      true,
		`"scope":"a b"`:                           false,
		`"scope":[1]`:                             false,
		`"owner":"me"`:                            false,
		`"name":["n"]`:                            false,
	} {
		t.Run(member, func(t *testing.T) {
			for body, op := range map[string]int{`[{"id":"abc",` + member + `}]`: 0, `{"id":"abc",` + member + `}`: 3, `{"id":"abc","secret":"s",` + member + `}`: 5} {
				err := operations[op].call(t.Context(), scripted(ok(body)).client(t, withoutRetries))
				if taken {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
				require.Equal(t, 200, requireOneError(t, err).StatusCode)
			}
		})
	}
}

func testListsOfAnyLength(t *testing.T) {
	for _, length := range []int{0, 1, 10, 100_000} {
		body := `[` + strings.TrimSuffix(strings.Repeat(`{"id":"abc"},`, length), ",") + `]`
		client := scripted(ok(body)).client(t)
		tokens, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
		require.NoError(t, err)
		require.Len(t, tokens, length)
		count := 0
		for _, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
			require.NoError(t, err)
			count++
		}
		require.Equal(t, length, count)
	}
	require.ErrorIs(t, list(t.Context(), scripted(ok(`[{"id":"abc"},null]`)).client(t)), sailpoint.ErrInvalidResponse)
}

// testClocksThatJump: the API thinks that a bearer has expired long before the client does, or its Expiry is in the past
// by the client's clock. Neither makes a loop.
func testClocksThatJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		n.api = func(arrival) answer { // each bearer is good for 10 minutes, and not for the 12 hours that were told
			n.mu.Lock()
			defer n.mu.Unlock()
			if time.Since(n.fetches[len(n.fetches)-1].at) > 10*time.Minute {
				return answer{status: 401, body: expired}
			}
			return ok(`[]`)
		}
		client := n.client(t)
		for range 60 {
			require.NoError(t, list(t.Context(), client))
			<-time.After(time.Minute)
		}
		calls, fetches := n.counts()
		assert.Equal(t, 6, fetches, "one for each 10 minutes and a bit")
		assert.Equal(t, 65, calls)

		asked := 0
		client = n.client(t, withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
			asked++
			return sailpoint.AccessToken{Bearer: sailpoint.NewSecret("b"), Expiry: time.Now().Add(-time.Hour)}, nil
		}))
		require.ErrorContains(t, list(t.Context(), client), "expired")
		assert.Equal(t, 1, asked)
		n.requireCounts(t, calls, fetches)
	})
}

// testNamesOfAllKinds: a name that is taken arrives byte for byte.
func testNamesOfAllKinds(t *testing.T) {
	for _, name := range []string{
		"n", " n ", `"quoted" \ and \"`, "tab\tand\nline", "\x00\x1f\x7f", "\u202eright to left", "zero\u200bwidth", "ü 😀", "</script>&<>",
		"\ufffd", strings.Repeat("long", 2560),
	} {
		n := scripted(ok(created))
		req := newToken()
		req.Name = name
		_, err := n.client(t).PersonalAccessTokens.Create(t.Context(), req)
		require.NoError(t, err)
		var sent struct {
			Name string `json:"name"`
		}
		require.NoError(t, json.Unmarshal([]byte(n.calls[0].body), &sent))
		assert.Equal(t, name, sent.Name)
	}
	for _, name := range []string{"", " ", "\t\n", "\u00a0", "\xff", "a\xc3"} {
		n := scripted(ok(created))
		req := newToken()
		req.Name = name
		_, err := n.client(t).PersonalAccessTokens.Create(t.Context(), req)
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument, "%q", name)
		n.requireCounts(t, 0, 0)
	}
}

// testProxyOfTheEnvironment runs in a process of its own, because net/http reads the environment once.
func testProxyOfTheEnvironment(t *testing.T) {
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
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestInputFaults$/^F85_", "-test.v")
	cmd.Env = append(os.Environ(), "SAILPOINT_TEST=proxy", "HTTPS_PROXY=http://proxy.example:3128", "https_proxy=", "NO_PROXY=direct.example", "no_proxy=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestInputFaults/F85_")
}

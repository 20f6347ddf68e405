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
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// TestGoldenRequests compares each request in every API version with one
// written from the API's documents.
func TestGoldenRequests(t *testing.T) {
	const common = "Host: acme.example\nAccept: application/json\nAuthorization: Bearer bearer-1\n"
	const agent = "User-Agent: golden/1 sailpoint-go/devel\n"
	collections := map[sailpoint.APIVersion]string{
		sailpoint.V3: "/v3/personal-access-tokens", sailpoint.Beta: "/beta/personal-access-tokens",
		sailpoint.V2024: "/v2024/personal-access-tokens", sailpoint.V2025: "/v2025/personal-access-tokens",
		sailpoint.V2026: "/v2026/personal-access-tokens", sailpoint.V1: "/personal-access-tokens/v1",
	}
	expiry := time.Date(2099, 12, 31, 23, 59, 59, 999_900_000, time.FixedZone("", 3600))
	for version, path := range collections {
		path = "/base" + path
		never := version == sailpoint.V2025 || version == sailpoint.V2026 || version == sailpoint.V1
		for _, tt := range []struct {
			name     string
			call     func(*sailpoint.PersonalAccessTokensService) error
			response response
			want     string
			only     bool // in V2025 and later only

			version sailpoint.APIVersion // empty for every version
		}{
			{
				name: "create with the least",
				call: func(s *sailpoint.PersonalAccessTokensService) error {
					_, err := s.Create(t.Context(), sailpoint.CreatePersonalAccessTokenRequest{
						Name: "NodeJS <Integration>", Scope: []string{sailpoint.ScopeAll}, ExpirationDate: expiry,
					})
					return err
				},
				response: ok(created),
				want: "POST " + path + "\n" + common + "Content-Type: application/json\n" + agent + "\n" +
					`{"name":"NodeJS <Integration>","scope":["sp:scopes:all"],"expirationDate":"2099-12-31T22:59:59.999Z"}`,
			},
			{
				name: "create with everything",
				call: func(s *sailpoint.PersonalAccessTokensService) error {
					_, err := s.Create(t.Context(), sailpoint.CreatePersonalAccessTokenRequest{
						Name: "n", Scope: []string{"a", "b"}, AccessTokenValiditySeconds: 36900,
						UserAwareTokenNeverExpires: true,
					})
					return err
				},
				response: ok(created), only: true,
				want: "POST " + path + "\n" + common + "Content-Type: application/json\n" + agent + "\n" +
					`{"name":"n","scope":["a","b"],"accessTokenValiditySeconds":36900,"userAwareTokenNeverExpires":true}`,
			},
			{
				name: "list everything",
				call: func(s *sailpoint.PersonalAccessTokensService) error {
					_, err := s.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
					return err
				},
				response: ok(`[]`),
				want:     "GET " + path + "\n" + common + agent + "\n",
			},
			{
				name: "list with both parameters",
				call: func(s *sailpoint.PersonalAccessTokensService) error {
					_, err := s.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{
						OwnerID: sailpoint.OwnerMe, Filter: sailpoint.LastUsedLE(expiry),
					})
					return err
				},
				response: ok(`[]`),
				want: "GET " + path + "?filters=lastUsed%20le%202099-12-31T22%3A59%3A59.999Z&owner-id=me\n" +
					common + agent + "\n",
			},
			{
				name: "all with a filter",
				call: func(s *sailpoint.PersonalAccessTokensService) error {
					for _, err := range s.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{Filter: `lastUsed isnull or x eq "a+b&c"`}) {
						return err
					}
					return nil
				},
				response: ok(`[]`),
				want: "GET " + path + "?filters=lastUsed%20isnull%20or%20x%20eq%20%22a%2Bb%26c%22\n" +
					common + agent + "\n",
			},
			{
				name: "patch",
				call: func(s *sailpoint.PersonalAccessTokensService) error {
					_, err := s.Patch(t.Context(), "86f1dc6fe8f54414950454cbb11278fa",
						sailpoint.NewPersonalAccessTokenPatch().ReplaceName("new").ReplaceScope("a", "b"))
					return err
				},
				response: ok(aToken),
				want: "PATCH " + path + "/86f1dc6fe8f54414950454cbb11278fa\n" + common +
					"Content-Type: application/json-patch+json\n" + agent + "\n" +
					`[{"op":"replace","path":"/name","value":"new"},{"op":"replace","path":"/scope","value":["a","b"]}]`,
			},
			{
				name: "patch away the expiry",
				call: func(s *sailpoint.PersonalAccessTokensService) error {
					_, err := s.Patch(t.Context(), "id", sailpoint.NewPersonalAccessTokenPatch().NeverExpire())
					return err
				},
				response: ok(aToken), only: true,
				want: "PATCH " + path + "/id\n" + common + "Content-Type: application/json-patch+json\n" + agent + "\n" +
					`[{"op":"replace","path":"/userAwareTokenNeverExpires","value":true},{"op":"replace","path":"/expirationDate","value":null}]`,
			},
			{
				name: "move the expiry of several",
				call: func(s *sailpoint.PersonalAccessTokensService) error {
					_, err := s.BulkUpdate(t.Context(), []string{"b", "86f1dc6fe8f54414950454cbb11278fa"},
						sailpoint.NewPersonalAccessTokenPatch().ReplaceExpirationDate(expiry))
					return err
				},
				response: ok(`[` + aToken + `]`), version: sailpoint.V1,
				want: "PATCH " + path + "/bulk-update\n" + common + "Content-Type: application/json\n" + agent + "\n" +
					`{"ids":["b","86f1dc6fe8f54414950454cbb11278fa"],"patch":[{"op":"replace","path":"/expirationDate","value":"2099-12-31T22:59:59.999Z"}]}`,
			},
			{
				name: "take the expiry of one away in bulk",
				call: func(s *sailpoint.PersonalAccessTokensService) error {
					_, err := s.BulkUpdate(t.Context(), []string{"id"}, sailpoint.NewPersonalAccessTokenPatch().NeverExpire())
					return err
				},
				response: ok(`[` + aToken + `]`), version: sailpoint.V1,
				want: "PATCH " + path + "/bulk-update\n" + common + "Content-Type: application/json\n" + agent + "\n" +
					`{"ids":["id"],"patch":[{"op":"replace","path":"/userAwareTokenNeverExpires","value":true},{"op":"replace","path":"/expirationDate","value":null}]}`,
			},
			{
				name: "delete",
				call: func(s *sailpoint.PersonalAccessTokensService) error {
					return s.Delete(t.Context(), "86f1dc6fe8f54414950454cbb11278fa")
				},
				response: response{status: 204},
				want:     "DELETE " + path + "/86f1dc6fe8f54414950454cbb11278fa\n" + common + agent + "\n",
			},
			{
				name:     "delete oneself",
				call:     func(s *sailpoint.PersonalAccessTokensService) error { return s.DeleteSelf(t.Context()) },
				response: response{status: 204},
				want:     "DELETE " + path + "/self\n" + common + agent + "\n",
			},
		} {
			if tt.only && !never || tt.version != "" && tt.version != version {
				continue
			}
			t.Run(string(version)+"/"+tt.name, func(t *testing.T) {
				n := scripted(tt.response)
				client := n.client(t, func(cfg *sailpoint.Config) {
					// A base path shows whether a request ignores it.
					cfg.BaseURL, cfg.ClientID = "https://acme.example/base", "self"
					cfg.APIVersion, cfg.UserAgent = version, "golden/1"
				})
				require.NoError(t, tt.call(client.PersonalAccessTokens))
				require.Len(t, n.calls, 1)
				require.Equal(t, tt.want, n.calls[0].onTheWire())
			})
		}
	}
}

func TestCompleteResponseCountsAfterTheContextEnded(t *testing.T) {
	for name, tt := range map[string]struct {
		response response
		call     func(context.Context, *sailpoint.PersonalAccessTokensService) error
	}{
		"create": {ok(created), func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			got, err := s.Create(ctx, inAYear)
			if err == nil {
				assert.Equal(t, "the-new-secret", got.Secret.Reveal())
			}
			return err
		}},
		"list": {ok(`[]`), func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			_, err := s.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
			return err
		}},
		"patch": {ok(aToken), func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			_, err := s.Patch(ctx, "id", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
			return err
		}},
		"delete": {response{status: 204}, func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			return s.Delete(ctx, "id")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			tt.response.stream = func(context.Context) io.Reader {
				return &endsContext{Reader: strings.NewReader(tt.response.body), end: cancel}
			}
			n := scripted(tt.response)
			require.NoError(t, tt.call(ctx, n.client(t).PersonalAccessTokens))
			require.Error(t, ctx.Err())
		})
	}
}

// endsContext ends a context when it is read.
type endsContext struct {
	io.Reader
	end func()
}

func (e *endsContext) Read(p []byte) (int, error) {
	e.end()
	return e.Reader.Read(p)
}

func TestContextThatHasEndedSendsNothing(t *testing.T) {
	cause := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	n := scripted(ok(created))
	_, err := n.client(t).PersonalAccessTokens.Create(ctx, inAYear)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
	var failure *sailpoint.Error
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, "POST /v2024/personal-access-tokens", failure.Op)
	assert.Zero(t, failure.Attempts)
	n.requireCounts(t, 0, 0)
}

func TestContextValuesReachTransportAndLogger(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	n := scripted(ok(`[]`))
	var seen []any
	client := n.client(t, func(cfg *sailpoint.Config) {
		cfg.HTTPClient.Transport = transportFunc(func(req *http.Request) (*http.Response, error) {
			seen = append(seen, req.Context().Value(key{}))
			return n.RoundTrip(req)
		})
	})
	_, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
	require.NoError(t, err)
	require.Equal(t, []any{"value", "value"}, seen, "from the token request and the call")
}

// TestTransportsThatBreakTheContract covers transports that break the contract
// of http.RoundTripper.
func TestTransportsThatBreakTheContract(t *testing.T) {
	for name, tt := range map[string]struct {
		response func(*http.Request) (*http.Response, error)
		want     error
	}{
		"neither response nor error": {func(*http.Request) (*http.Response, error) { return nil, nil }, sailpoint.ErrOutcomeUnknown},
		"response and error": {func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: http.NoBody}, errReset
		}, sailpoint.ErrOutcomeUnknown},
		"response without a body": {func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200}, nil
		}, sailpoint.ErrInvalidResponse},
		"no trace, so it may have been sent": {func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
		}, sailpoint.ErrOutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			n := &network{}
			client := n.client(t, func(cfg *sailpoint.Config) {
				cfg.HTTPClient.Transport = transportFunc(func(req *http.Request) (*http.Response, error) {
					if strings.HasSuffix(req.URL.Path, "/oauth/token") {
						return n.RoundTrip(req)
					}
					calls++
					return tt.response(req)
				})
			})
			_, err := client.PersonalAccessTokens.Create(t.Context(), inAYear)
			require.ErrorIs(t, err, tt.want)
			require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
			require.Equal(t, 1, calls)
		})
	}
}

// TestContextThatEndsAtAnyInstant shows that a Create never misreports whether
// it was carried out.
func TestContextThatEndsAtAnyInstant(t *testing.T) {
	t.Parallel()
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
	longest := time.Hour // twice as long as a call takes
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
	server.Close() // waits for the requests in progress
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

func TestCallEndsAfterTwoMinutesWithoutADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := scripted(silence).client(t, func(cfg *sailpoint.Config) { cfg.AttemptTimeout = 50 * time.Second })
		started := time.Now()
		_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, t.Context().Err())
		require.Equal(t, 2*time.Minute, time.Since(started))
	})
}

// TestContextThatEndsLater shows that the error matches the context's error and
// the last failure.
func TestContextThatEndsLater(t *testing.T) {
	t.Run("in the backoff", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cause := errors.New("shutting down")
			ctx, cancel := context.WithCancelCause(t.Context())
			n := scripted(response{status: 503, header: map[string]string{"Retry-After": "10"}})
			time.AfterFunc(5*time.Second, func() { cancel(cause) })
			err := n.client(t).PersonalAccessTokens.Delete(ctx, "id")
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, cause)
			require.ErrorIs(t, err, sailpoint.ErrServer)
			require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
			require.Len(t, n.calls, 1)
		})
	})
	t.Run("in the pause that another call began", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := scripted(response{status: 429, header: map[string]string{"Retry-After": "10"}})
			client := n.client(t, withoutRetries)
			requireMatches(t, list(t.Context(), client), sailpoint.ErrRateLimited)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(5*time.Second, cancel)
			started := time.Now()
			err := list(ctx, client)
			require.ErrorIs(t, err, context.Canceled)
			requireMatches(t, err)
			require.Equal(t, 5*time.Second, time.Since(started))
			n.requireCounts(t, 1, 1)
		})
	})
	t.Run("after the request was sent", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n := scripted(response{then: cancel})
		_, err := n.client(t).PersonalAccessTokens.Create(ctx, inAYear)
		require.ErrorIs(t, err, context.Canceled)
		var outcome *sailpoint.CreateOutcomeError
		require.ErrorAs(t, err, &outcome)
		require.Len(t, n.calls, 1)
	})
	t.Run("with a cause", func(t *testing.T) {
		cause := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		n := scripted(response{status: 503, then: func() { cancel(cause) }})
		_, err := n.client(t).PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, cause)
	})
}

// TestContextEndedByAnotherCall shows that a call in an errgroup doesn't match
// the failure of the call that failed first.
func TestContextEndedByAnotherCall(t *testing.T) {
	wait := map[string]string{"Retry-After": "10"}
	for name, tt := range map[string]struct {
		network *network
		change  func(*sailpoint.Config)
		after   time.Duration
		want    []error
	}{
		"before the call": {network: scripted()},
		"in the fetch":    {network: &network{token: always(silence)}, after: time.Second},
		"in the limiter":  {network: scripted(), change: withLimiter(causeLimiter{}), after: time.Second},
		"in the backoff":  {network: scripted(response{status: 503, header: wait}), after: time.Second, want: []error{sailpoint.ErrServer, sailpoint.ErrOutcomeUnknown}},
		"in a pause":      {network: scripted(response{status: 429, header: wait}), change: withoutRetries, after: time.Second},
		"in the request":  {network: scripted(silence), after: time.Second, want: []error{sailpoint.ErrOutcomeUnknown}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				another := scripted(response{status: 404, body: `{"detailCode":"404 Not found"}`, header: map[string]string{"Retry-After": "600"}})
				cause := another.client(t).PersonalAccessTokens.Delete(t.Context(), "another")
				requireMatches(t, cause, sailpoint.ErrNotFound)
				if tt.change == nil {
					tt.change = func(*sailpoint.Config) {}
				}
				client := tt.network.client(t, tt.change)
				if name == "in a pause" {
					requireMatches(t, list(t.Context(), client), sailpoint.ErrRateLimited)
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(tt.after, func() { cancel(cause) })
				synctest.Wait()
				err := client.PersonalAccessTokens.Delete(ctx, "id")
				requireMatches(t, err, tt.want...)
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, cause)
				require.ErrorContains(t, err, "404 Not Found (token another")
				assert.Equal(t, "id", requireOneError(t, err).TokenID)
			})
		})
	}
}

// causeLimiter waits until the context ends, and returns the cause.
type causeLimiter struct{ *sharedLimiter }

func (causeLimiter) Wait(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestRenewedBearerIsKeptForRetries shows that a call with a Limiter is retried
// with the new bearer, which was not rejected.
func TestRenewedBearerIsKeptForRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(ok(`[]`), response{status: 401}, response{status: 503}, ok(`[]`))
		client := n.client(t, func(cfg *sailpoint.Config) {
			cfg.Limiter = limiterFunc(func(context.Context) error { return nil })
		})
		require.NoError(t, list(t.Context(), client))
		require.NoError(t, list(t.Context(), client))
		require.Equal(t, []string{"bearer-1", "bearer-1", "bearer-2", "bearer-2"}, n.bearersSent())
	})
}

// TestManyCallsWithEverything mixes rejections, renewals, cancellations and
// failures for the race detector. Each request has a bearer, and each call
// succeeds or returns a known error.
func TestManyCallsWithEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		n.token = func(a arrival) response {
			r := issued(fmt.Sprintf("bearer-%d", a.n), 3)
			r.after = time.Duration(a.n%5) * 100 * time.Millisecond
			if a.n%7 == 0 {
				r = response{status: 503}
			}
			return r
		}
		n.api = func(a arrival) response {
			r := map[string]response{"GET": ok(`[]`), "POST": ok(created), "PATCH": ok(aToken), "DELETE": {status: 204}}[a.method]
			r.after = time.Duration(a.n%11) * 50 * time.Millisecond
			if a.n%5 == 0 {
				r.status = 401
			}
			return r
		}
		var fetching, most atomic.Int64
		client := n.client(t, func(cfg *sailpoint.Config) {
			cfg.HTTPClient.Transport = transportFunc(func(req *http.Request) (*http.Response, error) {
				if strings.HasSuffix(req.URL.Path, "/token") {
					most.Store(max(most.Load(), fetching.Add(1)))
					defer fetching.Add(-1)
				}
				return n.RoundTrip(req)
			})
		})
		var calls sync.WaitGroup
		for i := range 64 {
			calls.Go(func() {
				for j := range 20 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration((i+j)%9+1)*100*time.Millisecond)
					op := operations[(i+j)%6]
					err := op.call(ctx, client)
					cancel()
					for _, known := range []error{context.DeadlineExceeded, sailpoint.ErrUnauthorized, sailpoint.ErrServer} {
						if errors.Is(err, known) {
							err = nil
						}
					}
					assert.NoError(t, err, op.name)
				}
			})
		}
		calls.Wait()
		assert.EqualValues(t, 1, most.Load(), "one fetch at a time")
		for _, bearer := range n.bearersSent() {
			require.True(t, strings.HasPrefix(bearer, "bearer-"), "%q", bearer)
		}
	})
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

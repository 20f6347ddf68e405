package sailpoint_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

const aToken = `{"id":"86f1dc6fe8f54414950454cbb11278fa","name":"NodeJS Integration","scope":["sp:scopes:all"],` +
	`"owner":{"type":"IDENTITY","id":"2c9180a46faadee4016fb4e018c20639","name":"Support"},` +
	`"created":"2017-07-11T18:45:37.098Z"}`

const created = `{"id":"86f1dc6fe8f54414950454cbb11278fa","secret":"the-new-secret","name":"n","scope":["s"],` +
	`"owner":{"type":"IDENTITY","id":"o","name":"Support"},"created":"2017-07-11T18:45:37.098Z"}`

var inAYear = sailpoint.CreatePersonalAccessTokenRequest{
	Name: "n", Scope: []string{"s"}, ExpirationDate: time.Now().AddDate(1, 0, 0),
}

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

func TestDefaultVersionIsV2024(t *testing.T) {
	n := scripted(ok(`[]`))
	_, err := n.client(t).PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
	require.NoError(t, err)
	require.Contains(t, n.calls[0].onTheWire(), "GET /v2024/personal-access-tokens\n")
	require.Equal(t, sailpoint.V2024, n.client(t).APIVersion())
}

func TestZeroValuesFailWithoutPanic(t *testing.T) {
	var nilClient *sailpoint.Client
	assert.Empty(t, nilClient.ClientID())
	assert.Empty(t, nilClient.APIVersion())
	_, err := nilClient.WithCredentials("id", sailpoint.NewSecret("s"))
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	_, err = nilClient.AccessToken(t.Context(), sailpoint.Secret{})
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	_, err = new(sailpoint.Client).AccessToken(t.Context(), sailpoint.Secret{})
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)

	n := scripted(ok(`[]`))
	var nilContext context.Context
	_, err = n.client(t).AccessToken(nilContext, sailpoint.Secret{})
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	for name, s := range map[string]*sailpoint.PersonalAccessTokensService{
		"nil service":  (&sailpoint.Client{}).PersonalAccessTokens,
		"zero service": {},
		"nil context":  n.client(t).PersonalAccessTokens,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Create(nilContext, inAYear)
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			_, err = s.List(nilContext, sailpoint.ListPersonalAccessTokensOptions{})
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			for _, err := range s.All(nilContext, sailpoint.ListPersonalAccessTokensOptions{}) {
				require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			}
			_, err = s.Get(nilContext, "id")
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			_, err = s.Self(nilContext)
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			_, err = s.Patch(nilContext, "id", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			_, err = s.BulkUpdate(nilContext, []string{"id"}, sailpoint.NewPersonalAccessTokenPatch().NeverExpire())
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			require.ErrorIs(t, s.Delete(nilContext, "id"), sailpoint.ErrInvalidArgument)
			require.ErrorIs(t, s.DeleteSelf(nilContext), sailpoint.ErrInvalidArgument)
		})
	}
	require.Empty(t, n.calls)
}

// errReset is what net/http returns after the other end has reset the
// connection.
var errReset = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}

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
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := scripted(ok(created))
	_, err := n.client(t).PersonalAccessTokens.Create(ctx, inAYear)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
	var failure *sailpoint.Error
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, "POST /v2024/personal-access-tokens", failure.Op)
	assert.Zero(t, failure.Attempts)
	n.requireCounts(t, 0, 0)
}

func TestLimiterIsAskedBeforeEveryRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{status: 503}, response{status: 401}, ok(`[]`))
		asked := 0
		client := n.client(t, func(cfg *sailpoint.Config) {
			cfg.Limiter = limiterFunc(func(context.Context) error { asked++; return nil })
		})
		_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
		require.NoError(t, err)
		require.Len(t, n.calls, 3)
		require.Equal(t, 3, asked)
	})
}

type limiterFunc func(context.Context) error

func (f limiterFunc) Wait(ctx context.Context) error { return f(ctx) }

func TestLimiterErrorIsReturned(t *testing.T) {
	broken := errors.New("not today")
	n := scripted(ok(created))
	client := n.client(t, func(cfg *sailpoint.Config) {
		cfg.Limiter = limiterFunc(func(context.Context) error { return broken })
	})
	_, err := client.PersonalAccessTokens.Create(t.Context(), inAYear)
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
	require.EqualError(t, err, "sailpoint: POST /v2024/personal-access-tokens: limiter: not today")
	require.Empty(t, n.calls)
}

func TestLoggerGetsOneRecordPerRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		n := scripted(
			response{err: errReset},
			response{status: 503, header: map[string]string{"SLPT-Request-ID": "req-2"}},
			response{status: 204, header: map[string]string{"SLPT-Request-ID": "req-3", "X-Deprecated": "true"}},
		)
		client := n.client(t, func(cfg *sailpoint.Config) {
			cfg.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
				Level: slog.LevelDebug,
				ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey {
						return slog.Attr{}
					}
					return a
				},
			}))
		})
		require.NoError(t, client.PersonalAccessTokens.Delete(t.Context(), "secret-id"))
		const common = `level=DEBUG msg="sailpoint: request" operation="DELETE /v2024/personal-access-tokens/{id}" ` +
			`token_id=secret-id method=DELETE path=/v2024/personal-access-tokens/{id} `
		const wait = `level=INFO msg="sailpoint: wait" operation="DELETE /v2024/personal-access-tokens/{id}" token_id=secret-id `
		got := regexp.MustCompile(`wait=\S+`).ReplaceAllString(out.String(), "wait=d")
		require.Equal(t, `level=DEBUG msg="sailpoint: request" operation="POST /oauth/token" method=POST path=/oauth/token attempt=1 duration=0s status=200 request_id=""`+"\n"+
			`level=INFO msg="sailpoint: new bearer" reason="no bearer yet" expiry=2000-01-01T12:00:00.000Z`+"\n"+
			common+`attempt=1 duration=0s error="read tcp: connection reset by peer"`+"\n"+
			wait+`attempt=2 wait=d reason="read tcp: connection reset by peer"`+"\n"+
			common+`attempt=2 duration=0s status=503 request_id=req-2 error="503 Service Unavailable"`+"\n"+
			wait+`attempt=3 wait=d reason="503 Service Unavailable"`+"\n"+
			common+"attempt=3 duration=0s status=204 request_id=req-3 deprecated=true\n", got)
	})
}

func TestPanicOfALoggerLosesNoSecret(t *testing.T) {
	for _, handler := range []slog.Handler{panickingHandler{}, enabledHandler{}} {
		n := scripted(ok(created))
		client := n.client(t, func(cfg *sailpoint.Config) { cfg.Logger = slog.New(handler) })
		got, err := client.PersonalAccessTokens.Create(t.Context(), newToken())
		require.NoError(t, err)
		require.Equal(t, "the-new-secret", got.Secret.Reveal())
	}
}

// panickingHandler panics in every method, because its embedded Handler is nil.
type panickingHandler struct{ slog.Handler }

// enabledHandler panics only in Handle.
type enabledHandler struct{ slog.Handler }

func (enabledHandler) Enabled(context.Context, slog.Level) bool { return true }

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

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

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

func TestWithCredentialsHasABearerOfItsOwn(t *testing.T) {
	n := scripted(ok(`[]`))
	first := n.client(t)
	second, err := first.WithCredentials("other", sailpoint.NewSecret("other-secret"))
	require.NoError(t, err)
	require.Equal(t, "other", second.ClientID())
	for _, client := range []*sailpoint.Client{first, second, first} {
		_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
		require.NoError(t, err)
	}
	require.Len(t, n.fetches, 2)
	require.Contains(t, n.calls[1].onTheWire(), "Authorization: Bearer bearer-2\n")
	require.Contains(t, n.calls[2].onTheWire(), "Authorization: Bearer bearer-1\n")

	_, err = first.WithCredentials("", sailpoint.Secret{})
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
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
			require.ErrorContains(t, err, "no response within 30s")
		}
		n = &network{token: always(dripping(200))}
		require.ErrorContains(t, list(t.Context(), n.client(t, withoutRetries)), "no response within 30s")
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

// requireMemory checks that f allocates no more than limit in all.
func requireMemory(t *testing.T, limit uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, limit)
}

// TestGzipBomb sends 1 MiB that unpacks to 1 GiB, for each operation and
// status.
func TestGzipBomb(t *testing.T) {
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

// requireBounded checks that each call to baseURL fails, and keeps little of
// the response.
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

func TestEndlessBody(t *testing.T) {
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

// TestLoggerReportsWaitsAndBearers checks the records at the levels that a
// program shows by default.
func TestLoggerReportsWaitsAndBearers(t *testing.T) {
	limited := response{status: 429, header: map[string]string{"Retry-After": "10"}}
	for name, tt := range map[string]struct {
		api, token []response
		calls      int // a second apart
		retries    int // MaxRetries
		source     func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error)
		want       []string
	}{
		"Retry-After of the call's own response, and of an earlier call": {
			api: []response{limited, ok(`[]`)}, calls: 2,
			want: []string{
				`INFO sailpoint: new bearer reason="no bearer yet"`,
				`INFO sailpoint: wait operation="GET /v2024/personal-access-tokens" attempt=2 reason="429 Too Many Requests" retry_after_from=response`,
				`INFO sailpoint: wait operation="GET /v2024/personal-access-tokens" attempt=1 reason="not sent because an earlier call was rate limited" retry_after_from="earlier call"`,
			},
		},
		"Retry-After of an earlier 503 to the fetch of a bearer": {
			token: []response{{status: 503, header: map[string]string{"Retry-After": "3"}}, issued("a-bearer", 60)}, calls: 2, retries: -1,
			want: []string{
				`WARN sailpoint: no new bearer reason="no bearer yet" error="sailpoint: POST /oauth/token: 503 Service Unavailable (retry after 3s)"`,
				`INFO sailpoint: wait operation="POST /oauth/token" attempt=1 reason="not sent because an earlier 503 response asked to wait" retry_after_from="earlier call"`,
				`INFO sailpoint: new bearer reason="no bearer yet"`,
			},
		},
		"a rejected bearer": {
			api: []response{{status: 401}, ok(`[]`)}, calls: 1,
			want: []string{
				`INFO sailpoint: new bearer reason="no bearer yet"`,
				`INFO sailpoint: new bearer reason="the API rejected the last bearer"`,
			},
		},
		"an expired bearer": {
			token: []response{issued("a-bearer", 1)}, calls: 2,
			want: []string{
				`INFO sailpoint: new bearer reason="no bearer yet"`,
				`INFO sailpoint: new bearer reason="the last bearer expires"`,
			},
		},
		"a TokenSource that quotes the rejected bearer": {
			api: []response{{status: 401}}, calls: 1, source: func(_ context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
				if refused.IsZero() {
					return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(leakBearer)}, nil
				}
				return sailpoint.AccessToken{}, errors.New("no good: " + refused.Reveal())
			},
			want: []string{
				`INFO sailpoint: new bearer reason="no bearer yet"`,
				`WARN sailpoint: no new bearer reason="the API rejected the last bearer" error="TokenSource: no good: [REDACTED]"`,
			},
		},
		"rejected credentials": {
			token: []response{{status: 401}}, calls: 1,
			want: []string{
				`WARN sailpoint: no new bearer reason="no bearer yet" error="sailpoint: POST /oauth/token: 401 Unauthorized: the client id or secret was rejected: check both"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				n := &network{}
				if tt.api != nil {
					n.api = inTurn(tt.api...)
				}
				if tt.token != nil {
					n.token = inTurn(tt.token...)
				}
				client := n.client(t, func(cfg *sailpoint.Config) {
					cfg.Logger, cfg.MaxRetries = slog.New(slog.NewTextHandler(&out, nil)), tt.retries
					if tt.source != nil {
						withSource(tt.source)(cfg)
					}
				})
				var calls sync.WaitGroup
				for range tt.calls {
					calls.Go(func() { _ = list(t.Context(), client) })
					<-time.After(time.Second)
				}
				calls.Wait()
				got := regexp.MustCompile(`time=\S+ level=(\w+) msg="(.*?)"`).ReplaceAllString(out.String(), "$1 $2")
				got = regexp.MustCompile(` (wait|expiry)=\S+`).ReplaceAllString(got, "")
				require.Equal(t, strings.Join(tt.want, "\n")+"\n", got)
			})
		})
	}
}

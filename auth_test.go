package sailpoint_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// TestTokenRequestOnTheWire checks the whole request. It uses no Basic
// authentication.
func TestTokenRequestOnTheWire(t *testing.T) {
	for secret, encoded := range map[string]string{
		"0123456789abcdef":     "0123456789abcdef",
		`&=+%ü/?#;:@"\<>~-_.'`: "%26%3D%2B%25%C3%BC%2F%3F%23%3B%3A%40%22%5C%3C%3E~-_.%27",
	} {
		t.Run(secret, func(t *testing.T) {
			n := &network{}
			client := n.client(t, func(cfg *sailpoint.Config) {
				cfg.ClientID, cfg.ClientSecret, cfg.UserAgent = "id&1", sailpoint.NewSecret(secret), "golden/1"
			})
			require.NoError(t, list(t.Context(), client))
			n.requireCounts(t, 1, 1)
			got := n.fetches[0]
			assert.Equal(t, "POST", got.method)
			assert.Equal(t, "https://acme.example/oauth/token", got.url)
			assert.Equal(t, http.Header{
				"Accept":       {"application/json"},
				"Content-Type": {"application/x-www-form-urlencoded"},
				"User-Agent":   {"golden/1 sailpoint-go/devel"},
			}, got.header)
			assert.Equal(t, "client_id=id%261&client_secret="+encoded+"&grant_type=client_credentials", got.body)
			form, err := url.ParseQuery(got.body)
			require.NoError(t, err)
			assert.Equal(t, secret, form.Get("client_secret"), "as a server reads it")
			assert.Equal(t, []string{"bearer-1"}, n.bearersSent())
		})
	}
}

// TestSecretsGoToTheirOwnHostOnly shows that the bearer goes to BaseURL's host
// only, and the client secret to TokenURL's.
func TestSecretsGoToTheirOwnHostOnly(t *testing.T) {
	for _, tt := range []struct{ base, token, op string }{
		{"https://acme.example", "https://login.example/oauth/token", "POST /oauth/token"},
		{"https://acme.example", "https://acme.example:8443/oauth/token", "POST /oauth/token"},
		{"https://acme.example", "https://acme.example.org/idp/token", "POST /idp/token"},
		{"https://acme.example:44", "https://acme.example:443/oauth/token", "POST /oauth/token"},
		{"https://acme.example/gateway", "https://acme.example/gateway/oauth/token", "POST /oauth/token"},
		{"https://acme.example/gateway", "https://acme.example/gateways/token", "POST /gateways/token"},
	} {
		t.Run(tt.token, func(t *testing.T) {
			n := &network{token: inTurn(issued("the-bearer", 60), response{status: 400})}
			client := n.client(t, func(cfg *sailpoint.Config) { cfg.BaseURL, cfg.TokenURL = tt.base, tt.token })
			require.NoError(t, list(t.Context(), client))
			n.requireCounts(t, 1, 1)
			assert.Equal(t, tt.base+"/v2024/personal-access-tokens", n.calls[0].url)
			assert.Equal(t, "Bearer the-bearer", n.calls[0].header.Get("Authorization"))
			assert.NotContains(t, fmt.Sprint(n.calls[0]), "the-client-secret")
			assert.Equal(t, tt.token, n.fetches[0].url)
			assert.Contains(t, n.fetches[0].body, "client_secret=the-client-secret")
			assert.NotContains(t, fmt.Sprint(n.fetches[0]), "the-bearer")

			other, err := client.WithCredentials("id", sailpoint.NewSecret("other-secret"))
			require.NoError(t, err)
			assert.Equal(t, tt.op, requireOneError(t, list(t.Context(), other)).Op)
		})
	}
}

func TestOneFetchForAllCallsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token := issued("the-bearer", 3600)
		token.after = 3 * time.Second
		n := &network{token: always(token)}
		client := n.client(t)
		var calls sync.WaitGroup
		for range 200 {
			calls.Go(func() { assert.NoError(t, list(t.Context(), client)) })
		}
		calls.Wait()
		n.requireCounts(t, 200, 1)
		assert.Equal(t, slices.Repeat([]string{"the-bearer"}, 200), n.bearersSent())
	})
}

// TestEachWaiterLeavesAtItsOwnDeadline shows in addition that the fetch ends
// with the last waiter.
func TestEachWaiterLeavesAtItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{token: always(response{after: time.Hour})}
		client := n.client(t, func(cfg *sailpoint.Config) { cfg.AttemptTimeout = -1 })
		started := time.Now()
		var calls sync.WaitGroup
		for i := range 50 {
			calls.Go(func() {
				deadline := time.Duration(i+1) * time.Second
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				err := list(ctx, client)
				assert.Equal(t, deadline, time.Since(started))
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.NotErrorIs(t, err, context.Canceled)
			})
		}
		<-time.After(49*time.Second + 500*time.Millisecond)
		synctest.Wait()
		assert.Zero(t, n.canceled.Load(), "one call still waits")
		calls.Wait()
		synctest.Wait()
		assert.EqualValues(t, 1, n.canceled.Load(), "no call waits for it any more")
		n.requireCounts(t, 0, 1)
	})
}

// TestFetchContinuesAfterItsFirstCallEnds shows that a fetch continues after
// the call that began it has ended.
func TestFetchContinuesAfterItsFirstCallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token := issued("the-bearer", 3600)
		token.after = 10 * time.Second
		n := &network{token: always(token)}
		client := n.client(t)
		cause := errors.New("no longer wanted")
		ctx, cancel := context.WithCancelCause(t.Context())
		var calls sync.WaitGroup
		calls.Go(func() {
			err := list(ctx, client)
			assert.ErrorIs(t, err, context.Canceled)
			assert.ErrorIs(t, err, cause)
		})
		synctest.Wait()
		for range 5 {
			calls.Go(func() { assert.NoError(t, list(t.Context(), client)) })
		}
		synctest.Wait()
		cancel(cause)
		calls.Wait()
		n.requireCounts(t, 5, 1)
		assert.Zero(t, n.canceled.Load())
	})
}

// TestFetchThatNobodyWaitsForIsNotJoined shows that a call begins a new fetch
// while the abandoned one ends.
func TestFetchThatNobodyWaitsForIsNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended []error
		running, most := 0, 0
		source := func(ctx context.Context, _ sailpoint.Secret) (sailpoint.AccessToken, error) {
			running++
			most = max(most, running)
			defer func() { running-- }()
			select {
			case <-time.After(5 * time.Second):
				return sailpoint.AccessToken{Bearer: sailpoint.NewSecret("the-bearer")}, nil
			case <-ctx.Done():
				<-time.After(3 * time.Second) // it ends slowly
				ended = append(ended, ctx.Err())
				return sailpoint.AccessToken{}, ctx.Err()
			}
		}
		n := &network{}
		client := n.client(t, withSource(source))
		started := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, list(ctx, client), context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(started))

		var calls sync.WaitGroup
		for range 5 {
			calls.Go(func() { assert.NoError(t, list(t.Context(), client)) })
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, list(impatient, client), context.DeadlineExceeded)
		calls.Wait()
		assert.Equal(t, 9*time.Second, time.Since(started), "1 s, 3 s to end, 5 s for the second")
		assert.Equal(t, []error{context.Canceled}, ended)
		assert.Equal(t, 1, most, "one fetch at a time")
		n.requireCounts(t, 5, 0)
	})
}

// TestTokenSourceThatIgnoresItsContext shows that later calls get another try.
func TestTokenSourceThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		never := make(chan struct{})
		defer close(never)
		n := &network{}
		client := n.client(t, withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
			n := asked.Add(1)
			if n == 1 {
				<-never
			}
			return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(fmt.Sprint("bearer-", n))}, nil
		}))
		started := time.Now()
		within := func(limit time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			return list(ctx, client)
		}
		require.ErrorIs(t, within(time.Second), context.DeadlineExceeded)
		require.ErrorIs(t, within(2*time.Second), context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(started))
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() { assert.NoError(t, within(4*time.Second)) })
		}
		calls.Wait()
		assert.Equal(t, 6*time.Second, time.Since(started), "1 s, and 5 s for the first to end")
		assert.EqualValues(t, 2, asked.Load())
		assert.Equal(t, slices.Repeat([]string{"bearer-2"}, 10), n.bearersSent())
	})
}

// TestLateBearerOfAnAbandonedFetchIsDropped shows that the newer bearer stays
// in use.
func TestLateBearerOfAnAbandonedFetchIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		n := &network{}
		client := n.client(t, withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
			mine := asked.Add(1)
			if mine == 1 {
				<-time.After(time.Minute)
			}
			return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(fmt.Sprint("bearer-", mine))}, nil
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, list(ctx, client), context.DeadlineExceeded)
		require.NoError(t, list(t.Context(), client))
		<-time.After(2 * time.Minute)
		require.NoError(t, list(t.Context(), client))
		assert.Equal(t, []string{"bearer-2", "bearer-2"}, n.bearersSent())
	})
}

// TestErrorNamesTheLimitThatEndedTheWait covers the wait for a bearer.
func TestErrorNamesTheLimitThatEndedTheWait(t *testing.T) {
	hangs := func(ctx context.Context, _ sailpoint.Secret) (sailpoint.AccessToken, error) {
		<-ctx.Done()
		return sailpoint.AccessToken{}, ctx.Err()
	}
	endpoint := func(*sailpoint.Config) {}
	noTimeout := func(cfg *sailpoint.Config) { cfg.AttemptTimeout = -1 }
	fiftySeconds := func(cfg *sailpoint.Config) { cfg.AttemptTimeout = 50 * time.Second }
	const (
		callers = "context deadline exceeded"
		attempt = "no complete response within 30s"
		whole   = "no complete response to a call without a deadline within 2m0s"
	)
	for name, tt := range map[string]struct {
		change   func(*sailpoint.Config)
		retries  func(*sailpoint.Config)
		deadline time.Duration // of the caller's context
		after    time.Duration
		text     string
	}{
		"source, caller's deadline":     {withSource(hangs), endpoint, 5 * time.Second, 5 * time.Second, callers},
		"source, late deadline":         {withSource(hangs), endpoint, 5 * time.Minute, 5 * time.Minute, callers},
		"source, no deadline":           {withSource(hangs), endpoint, 0, 2 * time.Minute, whole},
		"endpoint, caller's deadline":   {endpoint, withoutRetries, 5 * time.Second, 5 * time.Second, callers},
		"endpoint, attempt":             {endpoint, withoutRetries, 0, 30 * time.Second, attempt},
		"endpoint, attempt before call": {endpoint, withoutRetries, time.Minute, 30 * time.Second, attempt},
		"endpoint, no limit but one":    {noTimeout, withoutRetries, 0, 2 * time.Minute, whole},
		"endpoint, what is left":        {fiftySeconds, endpoint, 0, 2 * time.Minute, whole},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{token: always(silence)}
				client := n.client(t, tt.change, tt.retries)
				ctx, cancel := t.Context(), func() {}
				if tt.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
				}
				defer cancel()
				started := time.Now()
				err := list(ctx, client)
				assert.Equal(t, tt.after, time.Since(started))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorContains(t, err, tt.text)
				for _, other := range []string{callers, attempt, whole} {
					if other != tt.text {
						assert.NotContains(t, err.Error(), other)
					}
				}
			})
		})
	}
}

// TestFetchThatPanics shows that the waiting calls fail, and that the next call
// begins a new fetch.
func TestFetchThatPanics(t *testing.T) {
	for name, crash := range map[string]func(){
		"panic":  func() { panic("hunter2") },
		"goexit": runtime.Goexit, // FailNow does this in a test's TokenSource
	} {
		t.Run(name, func(t *testing.T) {
			for where, client := range map[string]func(*network, func()) *sailpoint.Client{
				"transport": func(n *network, crash func()) *sailpoint.Client {
					n.token = func(arrival) response { crash(); return issued("the-bearer", 60) }
					return n.client(t)
				},
				"TokenSource": func(n *network, crash func()) *sailpoint.Client {
					return n.client(t, withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
						crash()
						return sailpoint.AccessToken{Bearer: sailpoint.NewSecret("the-bearer")}, nil
					}))
				},
			} {
				t.Run(where, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						fetches := 0
						n := &network{}
						client := client(n, func() {
							fetches++
							<-time.After(time.Second)
							if fetches == 1 {
								crash()
							}
						})
						var calls sync.WaitGroup
						for range 10 {
							calls.Go(func() {
								err := list(t.Context(), client)
								assert.EqualError(t, err, "sailpoint: GET /v2024/personal-access-tokens: the fetch of an access token panicked")
							})
						}
						calls.Wait()
						require.NoError(t, list(t.Context(), client))
						assert.Equal(t, 2, fetches)
						assert.Equal(t, []string{"the-bearer"}, n.bearersSent())
					})
				})
			}
		})
	}
}

// TestRejectedCredentialsAreTriedOnce shows this for any number of waiting
// calls.
func TestRejectedCredentialsAreTriedOnce(t *testing.T) {
	for _, status := range []int{400, 401} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{token: always(response{
					after: time.Second, status: status, body: `{"error":"invalid_client","error_description":"Bad client credentials"}`,
				})}
				client := n.client(t)
				errs := make([]error, 50)
				var calls sync.WaitGroup
				for i := range errs {
					calls.Go(func() { errs[i] = list(t.Context(), client) })
				}
				calls.Wait()
				n.requireCounts(t, 0, 1)
				distinct := map[*sailpoint.Error]bool{}
				for _, err := range errs {
					requireMatches(t, err, sailpoint.ErrInvalidCredentials)
					failure := requireOneError(t, err)
					assert.Equal(t, "invalid_client", failure.DetailCode)
					distinct[failure] = true
				}
				assert.Len(t, distinct, len(errs), "each caller has an error of its own")

				require.ErrorIs(t, list(t.Context(), client), sailpoint.ErrInvalidCredentials)
				n.requireCounts(t, 0, 1)
				<-time.After(5 * time.Second)
				require.ErrorIs(t, list(t.Context(), client), sailpoint.ErrInvalidCredentials)
				n.requireCounts(t, 0, 2)
			})
		})
	}
}

// TestRejectionIsRepeatedForFiveSeconds shows that the secret is not sent again
// in that time.
func TestRejectionIsRepeatedForFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{token: inTurn(response{status: 401}, ok(`{"error":"invalid_client"}`), issued("the-bearer", 60))}
		client := n.client(t)
		for _, fetches := range []int{1, 2} {
			for range 50 {
				err := list(t.Context(), client)
				requireMatches(t, err, sailpoint.ErrInvalidCredentials)
				assert.Equal(t, "POST /oauth/token", requireOneError(t, err).Op)
			}
			<-time.After(5*time.Second - 1)
			require.ErrorIs(t, list(t.Context(), client), sailpoint.ErrInvalidCredentials)
			n.requireCounts(t, 0, fetches)
			<-time.After(1)
		}
		require.NoError(t, list(t.Context(), client))
		n.requireCounts(t, 1, 3)
	})
}

// TestRejectionIsNotShared shows that another client makes its own request,
// even with the same credentials.
func TestRejectionIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{token: inTurn(response{status: 401}, issued("the-bearer", 60))}
		client := n.client(t)
		require.ErrorIs(t, list(t.Context(), client), sailpoint.ErrInvalidCredentials)
		other, err := client.WithCredentials("the-client-id", sailpoint.NewSecret("the-client-secret"))
		require.NoError(t, err)
		require.NoError(t, list(t.Context(), other))
		require.ErrorIs(t, list(t.Context(), client), sailpoint.ErrInvalidCredentials)
		n.requireCounts(t, 1, 2)
	})
}

// TestTokenSourceErrorIsNotRepeated shows that each call asks the TokenSource,
// which may limit its own requests.
func TestTokenSourceErrorIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		client := (&network{}).client(t, withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
			asked++
			return sailpoint.AccessToken{}, sailpoint.ErrInvalidCredentials
		}))
		for range 10 {
			require.ErrorIs(t, list(t.Context(), client), sailpoint.ErrInvalidCredentials)
		}
		assert.Equal(t, 10, asked)
	})
}

// TestTemporaryTokenEndpointFailure shows that a retry hides the failure from
// the caller.
func TestTemporaryTokenEndpointFailure(t *testing.T) {
	for name, failure := range map[string]response{
		"408":            {status: 408},
		"425":            {status: 425},
		"429":            {status: 429},
		"500":            {status: 500},
		"502 with HTML":  {status: 502, body: "<html>Bad Gateway</html>"},
		"503":            {status: 503, header: map[string]string{"Retry-After": "3"}},
		"504":            {status: 504},
		"no response":    {err: io.EOF},
		"timeout":        {after: time.Hour},
		"cut short":      {body: `{"access_token":"a`, cut: io.ErrUnexpectedEOF},
		"200 with HTML":  {body: "<html>Sign in</html>"},
		"200, no bearer": {body: `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{token: inTurn(failure, issued("the-bearer", 60))}
				require.NoError(t, list(t.Context(), n.client(t)))
				n.requireCounts(t, 1, 2)
				assert.Equal(t, n.fetches[0].body, n.fetches[1].body)
				assert.Equal(t, []string{"the-bearer"}, n.bearersSent())
			})
		})
	}
}

// TestFailureOfTheTokenEndpointThatStays shows that the call fails after the
// configured attempts. The retries of the calls do not multiply them.
func TestFailureOfTheTokenEndpointThatStays(t *testing.T) {
	for configured, want := range map[int]int{0: 4, 1: 2, -1: 1} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{token: always(response{status: 503})}
			_, err := n.client(t, func(cfg *sailpoint.Config) { cfg.MaxRetries = configured }).
				PersonalAccessTokens.Create(t.Context(), newToken())
			requireMatches(t, err, sailpoint.ErrServer)
			assert.Equal(t, want, requireOneError(t, err).Attempts)
			n.requireCounts(t, 0, want)
		})
	}
}

// TestTokenResponseWithoutAToken shows that the request is retried once, and
// that the call then fails with ErrInvalidResponse.
func TestTokenResponseWithoutAToken(t *testing.T) {
	for name, tt := range map[string]struct {
		response response
		most     int
	}{
		"HTML":               {response{body: `<html>Sign in</html>`}, 2},
		"JSON sent as text":  {response{body: `access_token=a&token_type=bearer`, header: map[string]string{"Content-Type": "text/plain"}}, 2},
		"an empty object":    {response{body: `{}`}, 2},
		"another object":     {response{body: `{"access_token":null,"expires_in":60}`}, 2},
		"a list":             {response{body: `[]`}, 2},
		"null":               {response{body: `null`}, 4},
		"empty":              {response{}, 4},
		"truncated":          {response{body: `{"access_token":"a`}, 4},
		"two values":         {response{body: `{"access_token":"a"}{"access_token":"b"}`}, 2},
		"two bearers":        {response{body: `{"access_token":"a","access_token":"b"}`}, 2},
		"two types":          {response{body: `{"access_token":"a","token_type":"bearer","token_type":"mac"}`}, 2},
		"two lifetimes":      {response{body: `{"access_token":"a","expires_in":60,"expires_in":6000}`}, 2},
		"a number":           {response{body: `{"access_token":12345678}`}, 2},
		"unexpected success": {response{status: 204}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{token: always(tt.response)}
				err := list(t.Context(), n.client(t))
				requireMatches(t, err, sailpoint.ErrInvalidResponse)
				assert.Equal(t, "POST /oauth/token", requireOneError(t, err).Op)
				calls, fetches := n.counts()
				assert.Zero(t, calls)
				assert.GreaterOrEqual(t, fetches, 2)
				assert.LessOrEqual(t, fetches, tt.most)
			})
		})
	}
}

// TestUnusedMembersOfATokenResponse shows that an unused member can't make a
// valid bearer unusable.
func TestUnusedMembersOfATokenResponse(t *testing.T) {
	for name, member := range map[string]string{
		"Latin-1":                    `"user_name":"Jos` + "\xe9" + `"`,
		"a lone surrogate":           `"user_name":"\ud800"`,
		"a name that isn't UTF-8":    `"` + "\xff" + `":1`,
		"a repeated scope":           `"scope":"a","scope":"b"`,
		"a repeated unknown member":  `"x":1,"x":{"y":1,"y":2}`,
		"a scope that is a list":     `"scope":["a"]`,
		"members of other types":     `"scope":1,"jti":null,"pod":{},"refresh_token":[],"error_description":7`,
		"the same bearer repeated":   `"access_token":"the-bearer"`,
		"the same lifetime repeated": `"expires_in":60,"expires_in":60`,
		"null as an error":           `"error":null`,
		"an error of another type":   `"error":{"code":"invalid_client"}`,
		"an error next to a bearer":  `"error":"invalid_client"`,
	} {
		for _, body := range []string{`{` + member + `,"access_token":"the-bearer"}`, `{"access_token":"the-bearer",` + member + `}`} {
			t.Run(name, func(t *testing.T) {
				n := &network{token: always(ok(body))}
				require.NoError(t, list(t.Context(), n.client(t)))
				n.requireCounts(t, 1, 1)
				assert.Equal(t, []string{"the-bearer"}, n.bearersSent())
			})
		}
	}
}

// TestErrorObjectWithStatus200 means rejected credentials only if its code says
// so.
func TestErrorObjectWithStatus200(t *testing.T) {
	for code, rejected := range map[string]bool{
		`"invalid_client"`: true, `"invalid_grant"`: true, `"unauthorized_client"`: true, `"unauthorized"`: true,
		`"invalid_request"`: false, `"unsupported_grant_type"`: false, `"invalid_scope"`: false, `"invalid_token"`: false,
		`"temporarily_unavailable"`: false, `"server_error"`: false, `"Invalid_Client"`: false, `"hunter2"`: false,
		`"invalid_client "`: false, `["invalid_client"]`: false, `{"code":"invalid_client"}`: false, `401`: false, `""`: false, `null`: false,
	} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				object := ok(`{"error":` + code + `,"error_description":"hunter2"}`)
				n := &network{token: inTurn(object, issued("the-bearer", 60))}
				err := list(t.Context(), n.client(t))
				if !rejected {
					require.NoError(t, err, "a failed fetch is retried")
					n.requireCounts(t, 1, 2)

					n = &network{token: always(object)}
					err = list(t.Context(), n.client(t))
					requireMatches(t, err, sailpoint.ErrInvalidResponse)
					assert.NotContains(t, err.Error(), "hunter2")
					assert.Equal(t, 2, requireOneError(t, err).Attempts)
					n.requireCounts(t, 0, 2)
					return
				}
				requireMatches(t, err, sailpoint.ErrInvalidCredentials)
				assert.NotContains(t, err.Error(), "hunter2")
				failure := requireOneError(t, err)
				assert.Equal(t, strings.Trim(code, `"`), failure.DetailCode)
				assert.Equal(t, 200, failure.StatusCode)
				n.requireCounts(t, 0, 1)
			})
		})
	}
}

// TestBearerLifetime shows that a bearer is renewed a minute, or a quarter of
// its lifetime, before its end. No lifetime makes every call fetch.
func TestBearerLifetime(t *testing.T) {
	for _, tt := range []struct {
		expiresIn string
		renewed   time.Duration // time after the fetch, or 0 if the response is an error
	}{
		{``, 4 * time.Minute},
		{`"expires_in":null,`, 4 * time.Minute},
		{`"expires_in":1,`, 750 * time.Millisecond},
		{`"expires_in":5,`, 3750 * time.Millisecond},
		{`"expires_in":15,`, 11250 * time.Millisecond},
		{`"expires_in":240,`, 3 * time.Minute},
		{`"expires_in":749,`, 689 * time.Second},
		{`"expires_in":"749",`, 689 * time.Second},
		{`"expires_in":43200,`, 43140 * time.Second},
		{`"expires_in":86400,`, 24*time.Hour - time.Minute},
		{`"expires_in":2147483647,`, 24*time.Hour - time.Minute},
		{`"expires_in":0,`, 0},
		{`"expires_in":-1,`, 0},
		{`"expires_in":-4294963697,`, 0},
		{`"expires_in":3600.5,`, 0},
		{`"expires_in":1e3,`, 940 * time.Second},
		{`"expires_in":3600.0,`, 3540 * time.Second},
		{`"expires_in":3.6e3,`, 3540 * time.Second},
		{`"expires_in":"3600.0",`, 3540 * time.Second},
		{`"expires_in":2147483648,`, 24*time.Hour - time.Minute},
		{`"expires_in":100000000000000000000,`, 24*time.Hour - time.Minute},
		{`"expires_in":1e400,`, 24*time.Hour - time.Minute},
		{`"expires_in":-1e400,`, 0},
		{`"expires_in":"1e",`, 0},
		{`"expires_in":"0x10",`, 0},
		{`"expires_in":"Infinity",`, 0},
		{`"expires_in":"",`, 0},
		{`"expires_in":"soon",`, 0},
		{`"expires_in":[60],`, 0},
		{`"expires_in":true,`, 0},
	} {
		t.Run(tt.expiresIn, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{token: always(response{body: `{` + tt.expiresIn + `"access_token":"the-bearer"}`})}
				client := n.client(t)
				if tt.renewed == 0 {
					err := list(t.Context(), client)
					requireMatches(t, err, sailpoint.ErrInvalidResponse)
					assert.ErrorContains(t, err, "expires_in")
					n.requireCounts(t, 0, 2)
					return
				}
				for range 10 {
					require.NoError(t, list(t.Context(), client))
				}
				<-time.After(tt.renewed - 1)
				require.NoError(t, list(t.Context(), client))
				n.requireCounts(t, 11, 1)
				<-time.After(1)
				require.NoError(t, list(t.Context(), client))
				n.requireCounts(t, 12, 2)
			})
		})
	}
}

// TestLifetimeBeginsWithTheSuccessfulRequest shows that it does not begin with
// the response, or with an earlier failed request.
func TestLifetimeBeginsWithTheSuccessfulRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := issued("bearer-1", 100)
		slow.after = 20 * time.Second
		n := &network{token: inTurn(
			response{status: 429, header: map[string]string{"Retry-After": "50"}}, slow, issued("bearer-2", 100),
		)}
		client := n.client(t)
		require.NoError(t, list(t.Context(), client))
		second := n.fetches[1].at
		<-time.After(time.Until(second.Add(75*time.Second - 1)))
		require.NoError(t, list(t.Context(), client))
		n.requireCounts(t, 2, 2)
		<-time.After(1)
		require.NoError(t, list(t.Context(), client))
		n.requireCounts(t, 3, 3)
	})
}

func TestTokenType(t *testing.T) {
	for tokenType, valid := range map[string]bool{
		`"bearer"`: true, `"Bearer"`: true, `"BEARER"`: true, `""`: true, `null`: true,
		`"mac"`: false, `"Bearer x"`: false, `" bearer"`: false, `"DPoP"`: false, `"N_A"`: false, `1`: false, `["bearer"]`: false,
	} {
		t.Run(tokenType, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{token: always(response{body: `{"access_token":"the-bearer","token_type":` + tokenType + `}`})}
				err := list(t.Context(), n.client(t))
				if valid {
					require.NoError(t, err)
					assert.Equal(t, "Bearer the-bearer", n.calls[0].header.Get("Authorization"))
					return
				}
				requireMatches(t, err, sailpoint.ErrInvalidResponse)
				n.requireCounts(t, 0, 2)
			})
		})
	}
}

// TestBearerThatCannotBeSent shows that it is an error, which does not quote
// the bearer, wherever it came from.
func TestBearerThatCannotBeSent(t *testing.T) {
	for name, value := range map[string]string{
		"CRLF":          "hunter2\r\nX-Evil: 1",
		"newline":       "hunter2\n",
		"space":         "hunter2 hunter2",
		"tab":           "hunter2\t",
		"NUL":           "hunter2\x00",
		"DEL":           "hunter2\x7f",
		"not ASCII":     "hunter2ü",
		"look-alike":    "hunter2\u2028",
		"too long":      "hunter2" + strings.Repeat("a", 16<<10),
		"much too long": strings.Repeat("hunter2", 100_000/7),
		"empty":         "",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{token: always(response{body: fmt.Sprintf(`{"access_token":%s,"expires_in":60}`, jsonString(value))})}
				source := func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
					return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(value)}, nil
				}
				for from, client := range map[string]*sailpoint.Client{"endpoint": n.client(t), "source": n.client(t, withSource(source))} {
					err := list(t.Context(), client)
					failure := requireOneError(t, err)
					assert.NotContains(t, fmt.Sprintf("%+v %s", err, failure.Body), "hunter2", from)
					assert.ErrorContains(t, err, "access token", from)
					assert.Equal(t, from == "endpoint", errors.Is(err, sailpoint.ErrInvalidResponse))
				}
				n.requireCounts(t, 0, 2)
			})
		})
	}
}

func TestLongestBearer(t *testing.T) {
	bearer := "!~" + strings.Repeat("a", 16<<10-2)
	n := &network{token: always(issued(bearer, 60))}
	require.NoError(t, list(t.Context(), n.client(t)))
	require.Equal(t, []string{bearer}, n.bearersSent())
}

// TestOneCallRenews shows that the other calls continue with the bearer while
// it is valid.
func TestOneCallRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := issued("bearer-2", 43200)
		second.after = 5 * time.Second
		n := &network{token: inTurn(issued("bearer-1", 43200), second)}
		client := n.client(t)
		require.NoError(t, list(t.Context(), client))
		<-time.After(43150 * time.Second)

		started := time.Now()
		waits := make([]time.Duration, 20)
		var calls sync.WaitGroup
		for i := range waits {
			calls.Go(func() {
				assert.NoError(t, list(t.Context(), client))
				waits[i] = time.Since(started)
			})
		}
		calls.Wait()
		slices.Sort(waits)
		assert.Zero(t, waits[18])
		assert.Equal(t, 5*time.Second, waits[19])
		assert.Equal(t, append(slices.Repeat([]string{"bearer-1"}, 20), "bearer-2"), n.bearersSent())
		n.requireCounts(t, 21, 2)
	})
}

// TestRenewalThatFails shows that the bearer is used while it is valid, and
// that renewals are at least 5 s apart.
func TestRenewalThatFails(t *testing.T) {
	for name, failure := range map[string]response{
		"no response": {err: io.EOF}, "503": {status: 503}, "rejected": {status: 401}, "429": {status: 429}, "HTML": {body: "<html>"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{token: inTurn(issued("bearer-1", 400), failure)}
				client := n.client(t, withoutRetries)
				started := time.Now()
				require.NoError(t, list(t.Context(), client))
				<-time.After(340 * time.Second)
				for time.Since(started) < 400*time.Second {
					var calls sync.WaitGroup
					for range 3 {
						calls.Go(func() { assert.NoError(t, list(t.Context(), client)) })
					}
					calls.Wait()
					<-time.After(500 * time.Millisecond)
				}
				n.requireCounts(t, 1+120*3, 1+12)
				for i := 2; i < len(n.fetches); i++ {
					assert.Equal(t, 5*time.Second, n.fetches[i].at.Sub(n.fetches[i-1].at))
				}
				require.Error(t, list(t.Context(), client), "the bearer has expired")
				assert.Equal(t, slices.Repeat([]string{"bearer-1"}, 361), n.bearersSent())
			})
		})
	}
}

// TestRenewalThatHangs shows that calls wait for the renewal once the old
// bearer has expired.
func TestRenewalThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := issued("bearer-2", 400)
		second.after = 70 * time.Second
		n := &network{token: inTurn(issued("bearer-1", 400), second)}
		client := n.client(t, func(cfg *sailpoint.Config) { cfg.AttemptTimeout = -1 })
		require.NoError(t, list(t.Context(), client))
		<-time.After(350 * time.Second)
		var calls sync.WaitGroup
		calls.Go(func() { assert.NoError(t, list(t.Context(), client)) })
		<-time.After(55 * time.Second)
		require.NoError(t, list(t.Context(), client))
		calls.Wait()
		assert.Equal(t, []string{"bearer-1", "bearer-2", "bearer-2"}, n.bearersSent())
		n.requireCounts(t, 3, 2)
	})
}

// TestRetryAfterOfTheTokenEndpoint shows that the call waits for it in full, or
// fails at once.
func TestRetryAfterOfTheTokenEndpoint(t *testing.T) {
	for _, tt := range []struct {
		retryAfter string
		wait       time.Duration
		returned   time.Duration
	}{
		{"7", 7 * time.Second, 0},
		{"60", 60 * time.Second, 0},
		{"61", 0, 61 * time.Second},
		{"86400", 0, 24 * time.Hour},
		{"18446744073709551616", 0, 9223372036 * time.Second},
	} {
		t.Run(tt.retryAfter, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{token: inTurn(
					response{status: 429, header: map[string]string{"Retry-After": tt.retryAfter}}, issued("the-bearer", 60),
				)}
				client := n.client(t)
				started := time.Now()
				err := list(t.Context(), client)
				if tt.returned > 0 {
					requireMatches(t, err, sailpoint.ErrRateLimited)
					assert.Equal(t, tt.returned, requireOneError(t, err).RetryAfter)
					assert.Zero(t, time.Since(started))
					n.requireCounts(t, 0, 1)
					return
				}
				require.NoError(t, err)
				assert.GreaterOrEqual(t, time.Since(started), tt.wait)
				assert.Less(t, time.Since(started), tt.wait+time.Second)
				n.requireCounts(t, 1, 2)
			})
		})
	}
}

// TestTokenEndpointHoldsBackFetches shows that no fetch is sent before the time
// that the token endpoint asked for.
func TestTokenEndpointHoldsBackFetches(t *testing.T) {
	for _, tt := range []struct {
		status     int
		retryAfter string
		held       time.Duration
		want       error
	}{
		{429, "10", 10 * time.Second, sailpoint.ErrRateLimited},
		{429, "soon", 30 * time.Second, sailpoint.ErrRateLimited},
		{429, "120", 120 * time.Second, sailpoint.ErrRateLimited},
		{503, "10", 10 * time.Second, sailpoint.ErrServer},
		{503, "soon", 30 * time.Second, sailpoint.ErrServer},
		{503, "120", 120 * time.Second, sailpoint.ErrServer},
		{503, "99999999999999999999", time.Hour, sailpoint.ErrServer},
	} {
		t.Run(fmt.Sprint(tt.status, " ", tt.retryAfter), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				busy := response{status: tt.status, header: map[string]string{"Retry-After": tt.retryAfter}}
				n := &network{token: inTurn(busy, issued("the-bearer", 3600))}
				client := n.client(t, withoutRetries)
				started := time.Now()
				requireMatches(t, list(t.Context(), client), tt.want)

				hurried, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				for range 20 {
					err := list(hurried, client)
					requireMatches(t, err, tt.want)
					require.ErrorContains(t, err, "not sent because")
					failure := requireOneError(t, err)
					assert.Equal(t, "POST /oauth/token", failure.Op)
					assert.Zero(t, failure.Attempts)
					assert.GreaterOrEqual(t, failure.RetryAfter, tt.held)
					assert.LessOrEqual(t, failure.RetryAfter, tt.held+250*time.Millisecond)
				}
				assert.Zero(t, time.Since(started), "a wait past the deadline does not begin")
				n.requireCounts(t, 0, 1)

				<-time.After(tt.held - 10*time.Second)
				var calls sync.WaitGroup
				for range 20 {
					calls.Go(func() { assert.NoError(t, list(t.Context(), client), "the rest is short enough to wait for") })
				}
				calls.Wait()
				n.requireCounts(t, 20, 2)
				assert.GreaterOrEqual(t, n.fetches[1].at.Sub(started), tt.held)
				assert.Less(t, n.fetches[1].at.Sub(started), tt.held+time.Second)
			})
		})
	}
}

// TestFailureWithoutRetryAfterHoldsBackNoFetch covers a 503 without a wait. A
// 500 or 502 never holds back requests.
func TestFailureWithoutRetryAfterHoldsBackNoFetch(t *testing.T) {
	for name, failure := range map[string]response{
		"503":                  {status: 503},
		"503 with a past date": {status: 503, header: map[string]string{"Retry-After": "Fri, 31 Dec 1999 00:00:00 GMT"}},
		"502":                  {status: 502, header: map[string]string{"Retry-After": "10"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{token: inTurn(failure, issued("the-bearer", 60))}
				client := n.client(t, withoutRetries)
				started := time.Now()
				requireMatches(t, list(t.Context(), client), sailpoint.ErrServer)
				require.NoError(t, list(t.Context(), client))
				assert.Zero(t, time.Since(started))
				n.requireCounts(t, 1, 2)
			})
		})
	}
}

// TestHeldBackFetchesAreNotMissed shows that calls continue while the old
// bearer is valid. A client with other credentials is not held back.
func TestHeldBackFetchesAreNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := response{status: 429, header: map[string]string{"Retry-After": "40"}}
		n := &network{token: inTurn(issued("bearer-1", 400), busy, issued("bearer-2", 400))}
		client := n.client(t, withoutRetries)
		require.NoError(t, list(t.Context(), client))
		<-time.After(345 * time.Second)
		started := time.Now()
		for range 35 {
			require.NoError(t, list(t.Context(), client))
			<-time.After(time.Second)
		}
		assert.Equal(t, 35*time.Second, time.Since(started))
		n.requireCounts(t, 36, 2)

		other, err := client.WithCredentials("other", sailpoint.NewSecret("other-secret"))
		require.NoError(t, err)
		require.NoError(t, list(t.Context(), other))
		n.requireCounts(t, 37, 3)
	})
}

// TestRejectedBearerIsRenewedOnce shows that the same request is retried with
// the new bearer.
func TestRejectedBearerIsRenewedOnce(t *testing.T) {
	n := &network{api: rejecting(response{body: `{"id":"86f1","secret":"s","name":"deploy"}`}, "bearer-1")}
	created, err := n.client(t, withoutRetries).PersonalAccessTokens.Create(t.Context(), newToken())
	require.NoError(t, err)
	assert.Equal(t, "86f1", created.ID)
	n.requireCounts(t, 2, 2)
	assert.Equal(t, []string{"bearer-1", "bearer-2"}, n.bearersSent())
	first, second := n.calls[0], n.calls[1]
	assert.JSONEq(t, `{"name":"deploy","scope":["s"]}`, first.body)
	assert.Equal(t, first.body, second.body)
	assert.Equal(t, first.method+first.url, second.method+second.url)
	first.header.Del("Authorization")
	second.header.Del("Authorization")
	assert.Equal(t, first.header, second.header)
}

// TestBearerThatIsAlwaysRejected shows that the call ends after two requests
// and two fetches.
func TestBearerThatIsAlwaysRejected(t *testing.T) {
	n := &network{api: always(response{status: 401, body: expired})}
	client := n.client(t)
	err := list(t.Context(), client)
	requireMatches(t, err, sailpoint.ErrUnauthorized)
	assert.Equal(t, 2, requireOneError(t, err).Attempts)
	n.requireCounts(t, 2, 2)
}

// TestSameBearerIsNotRetried matters because the response would be the same.
func TestSameBearerIsNotRetried(t *testing.T) {
	n := &network{api: always(response{status: 401, body: expired}), token: always(issued("the-bearer", 3600))}
	err := list(t.Context(), n.client(t))
	requireMatches(t, err, sailpoint.ErrUnauthorized)
	assert.ErrorContains(t, err, "JWT is expired")
	assert.Equal(t, 1, requireOneError(t, err).Attempts)
	n.requireCounts(t, 1, 2)
}

// TestBearerRejectedForManyCalls shows that it is renewed once for all of them.
func TestBearerRejectedForManyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		n.api = func(a arrival) response {
			r := rejecting(response{body: `[]`}, "bearer-1")(a)
			r.after = time.Duration(a.n%7+1) * time.Second
			return r
		}
		client := n.client(t)
		var calls sync.WaitGroup
		for range 50 {
			calls.Go(func() { assert.NoError(t, list(t.Context(), client)) })
		}
		calls.Wait()
		n.requireCounts(t, 100, 2)
		sent := n.bearersSent()
		slices.Sort(sent)
		assert.Equal(t, append(slices.Repeat([]string{"bearer-1"}, 50), slices.Repeat([]string{"bearer-2"}, 50)...), sent)
	})
}

// TestRejectionOfEveryBearerCostsAboutOneRequestPerCall covers an outage in
// which renewals do not help.
func TestRejectionOfEveryBearerCostsAboutOneRequestPerCall(t *testing.T) {
	for name, tt := range map[string]struct {
		between time.Duration
		retries int // with a new bearer, of which each successful fetch refunds a tenth
		later   int // fetches in addition, one in 5 s
	}{
		"at once":      {0, 11, 0},
		"every 10 ms":  {10 * time.Millisecond, 11, 1},
		"every 100 ms": {100 * time.Millisecond, 13, 19},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{api: always(response{status: 401, body: expired})}
				client := n.client(t)
				for range 1000 {
					requireMatches(t, list(t.Context(), client), sailpoint.ErrUnauthorized)
					<-time.After(tt.between)
				}
				n.requireCounts(t, 1000+tt.retries, 1+tt.retries+tt.later)

				<-time.After(5 * time.Second)
				n.api = rejecting(ok(`[]`), n.bearersSent()...)
				requireMatches(t, list(t.Context(), client), sailpoint.ErrUnauthorized)
				require.NoError(t, list(t.Context(), client), "the next bearer is accepted")
			})
		})
	}
}

// TestBearerThatWasAcceptedIsRenewed shows this without any retry budget. The
// end of a bearer is no outage.
func TestBearerThatWasAcceptedIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		client := n.client(t)
		require.NoError(t, list(t.Context(), client))
		n.api = always(response{status: 503})
		for range 20 {
			requireMatches(t, list(t.Context(), client), sailpoint.ErrServer)
		}
		sent, _ := n.counts()
		require.Equal(t, 1+20+10, sent, "no budget is left")
		for i := 1; i <= 50; i++ {
			n.api = rejecting(ok(`[]`), fmt.Sprintf("bearer-%d", i))
			require.NoError(t, list(t.Context(), client))
			n.requireCounts(t, sent+2*i, 1+i)
		}
	})
}

// TestLateRejectionDropsNoNewerBearer shows that a 401 counts only for the
// bearer of its request.
func TestLateRejectionDropsNoNewerBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		n.api = func(a arrival) response {
			r := rejecting(response{body: `[]`}, "bearer-1")(a)
			if a.n == 1 {
				r.after = 10 * time.Second
			}
			return r
		}
		client := n.client(t)
		var calls sync.WaitGroup
		calls.Go(func() { assert.NoError(t, list(t.Context(), client)) })
		<-time.After(time.Second)
		require.NoError(t, list(t.Context(), client))
		calls.Wait()
		require.NoError(t, list(t.Context(), client))
		assert.Equal(t, []string{"bearer-1", "bearer-1", "bearer-2", "bearer-2", "bearer-2"}, n.bearersSent())
		n.requireCounts(t, 5, 2)
	})
}

// TestNoBearerAfterARejection shows that the call returns the token endpoint's
// error.
func TestNoBearerAfterARejection(t *testing.T) {
	n := &network{
		api:   always(response{status: 401, body: expired}),
		token: inTurn(issued("bearer-1", 3600), response{status: 401, body: `{"error":"invalid_client"}`}),
	}
	_, err := n.client(t).PersonalAccessTokens.Create(t.Context(), newToken())
	requireMatches(t, err, sailpoint.ErrInvalidCredentials)
	assert.Equal(t, "POST /oauth/token", requireOneError(t, err).Op)
	n.requireCounts(t, 1, 2)
}

func TestTokenSourceReceivesTheRejectedBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := bearers("a", "b", "c")
		n := &network{api: rejecting(response{body: `[]`}, "a")}
		client := n.client(t, withSource(source.ask))
		require.NoError(t, list(t.Context(), client))
		require.NoError(t, list(t.Context(), client))
		assert.Equal(t, []string{"a", "b", "b"}, n.bearersSent())
		assert.Equal(t, []string{"", "a"}, source.refused)

		<-time.After(time.Hour)
		require.NoError(t, list(t.Context(), client))
		assert.Equal(t, []string{"", "a", ""}, source.refused, "b has expired, but was not rejected")
		n.requireCounts(t, 4, 0)
	})
}

func TestTokenSourceThatReturnsTheRejectedBearer(t *testing.T) {
	source := bearers("a")
	n := &network{api: always(response{status: 401})}
	client := n.client(t, withSource(source.ask))
	for range 2 {
		requireMatches(t, list(t.Context(), client), sailpoint.ErrUnauthorized)
	}
	assert.Equal(t, []string{"", "a", "a"}, source.refused)
	n.requireCounts(t, 2, 0)
}

func TestTokenSourceThatFailsAfterARejection(t *testing.T) {
	mine := errors.New("the vault is sealed")
	var rejected []string
	n := &network{api: always(response{status: 401})}
	client := n.client(t, withSource(func(_ context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
		rejected = append(rejected, refused.Reveal())
		if len(rejected) > 1 {
			return sailpoint.AccessToken{}, mine
		}
		return sailpoint.AccessToken{Bearer: sailpoint.NewSecret("a")}, nil
	}))
	for range 2 {
		require.ErrorIs(t, list(t.Context(), client), mine)
	}
	assert.Equal(t, []string{"", "a", "a"}, rejected, "reported until there is another bearer")
	n.requireCounts(t, 1, 0)
}

func TestTokenSourceExpiry(t *testing.T) {
	for _, tt := range []struct {
		name    string
		expiry  time.Duration // time from the fetch, or 0 if not reported
		renewed time.Duration // 0 if the call fails
	}{
		{"not reported", 0, 4 * time.Minute},
		{"an hour", time.Hour, 59 * time.Minute},
		{"soon", 8 * time.Second, 6 * time.Second},
		{"a year", 365 * 24 * time.Hour, 24*time.Hour - time.Minute},
		{"over", -time.Second, 0},
		{"long over", -1 << 62, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				n := &network{}
				client := n.client(t, withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
					asked++
					token := sailpoint.AccessToken{Bearer: sailpoint.NewSecret("a")}
					if tt.expiry != 0 {
						token.Expiry = time.Now().Add(tt.expiry).Round(0) // wall clock time, as a file has it
					}
					return token, nil
				}))
				if tt.renewed == 0 {
					require.ErrorContains(t, list(t.Context(), client), "TokenSource returned an access token that has expired")
					n.requireCounts(t, 0, 0)
					return
				}
				require.NoError(t, list(t.Context(), client))
				<-time.After(tt.renewed - 1)
				require.NoError(t, list(t.Context(), client))
				assert.Equal(t, 1, asked)
				<-time.After(1)
				require.NoError(t, list(t.Context(), client))
				assert.Equal(t, 2, asked)
			})
		})
	}
}

func TestTokenSourceErrorIsReturned(t *testing.T) {
	mine := errors.New("the vault is sealed")
	n := &network{}
	asked := 0
	client := n.client(t, withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
		asked++
		return sailpoint.AccessToken{}, fmt.Errorf("vault: %w", mine)
	}))
	err := list(t.Context(), client)
	require.ErrorIs(t, err, mine)
	requireMatches(t, err)
	require.EqualError(t, err, "sailpoint: GET /v2024/personal-access-tokens: TokenSource: vault: the vault is sealed")
	assert.Equal(t, 1, asked, "retries are up to the TokenSource")
	n.requireCounts(t, 0, 0)
}

// TestTokenSourceErrorSaysNothingOfTheToken covers a TokenSource that fails with
// the error of a call of its own. A Delete must not take its 404 for the
// token's.
func TestTokenSourceErrorSaysNothingOfTheToken(t *testing.T) {
	other := scripted(response{status: 404}).client(t)
	n := &network{}
	client := n.client(t, withSource(func(ctx context.Context, _ sailpoint.Secret) (sailpoint.AccessToken, error) {
		return sailpoint.AccessToken{}, fmt.Errorf("vault: %w", other.PersonalAccessTokens.Delete(ctx, "another"))
	}))
	err := client.PersonalAccessTokens.Delete(t.Context(), "id")
	requireMatches(t, err)
	assert.Equal(t, "another", requireOneError(t, err).TokenID)
	n.requireCounts(t, 0, 0)
}

func TestTokenSourceGetsTheValuesOfTheContext(t *testing.T) {
	type key struct{}
	n := &network{}
	client := n.client(t, withSource(func(ctx context.Context, _ sailpoint.Secret) (sailpoint.AccessToken, error) {
		assert.Equal(t, "value", ctx.Value(key{}))
		return sailpoint.AccessToken{Bearer: sailpoint.NewSecret("a")}, nil
	}))
	require.NoError(t, list(context.WithValue(t.Context(), key{}, "value"), client))
	n.requireCounts(t, 1, 0)
}

func TestTokenSourceIsAskedOnceForAllCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		n := &network{}
		client := n.client(t, withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
			asked++
			<-time.After(time.Second)
			return sailpoint.AccessToken{Bearer: sailpoint.NewSecret("a")}, nil
		}))
		var calls sync.WaitGroup
		for range 100 {
			calls.Go(func() { assert.NoError(t, list(t.Context(), client)) })
		}
		calls.Wait()
		assert.Equal(t, 1, asked)
		n.requireCounts(t, 100, 0)
	})
}

// TestClocksThatJump covers a bearer that expires early for the API, or whose
// Expiry is in the past by the client's clock. Neither causes a loop.
func TestClocksThatJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		n.api = func(arrival) response { // each bearer is valid for 10 minutes instead of the reported 12 hours
			n.mu.Lock()
			defer n.mu.Unlock()
			if time.Since(n.fetches[len(n.fetches)-1].at) > 10*time.Minute {
				return response{status: 401, body: expired}
			}
			return ok(`[]`)
		}
		client := n.client(t)
		for range 60 {
			require.NoError(t, list(t.Context(), client))
			<-time.After(time.Minute)
		}
		calls, fetches := n.counts()
		assert.Equal(t, 6, fetches, "one for each 10 minutes")
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

// FuzzDecodeBearer shows that a bearer is sent only if a header can hold it.
// Otherwise no error quotes it.
func FuzzDecodeBearer(f *testing.F) {
	f.Add([]byte(issued("the-bearer", 60).body))
	for _, expiresIn := range []string{`null`, `0`, `-1`, `-4294963697`, `3600.5`, `1e3`, `"749"`, `100000000000000000000`, `[]`} {
		f.Add([]byte(`{"access_token":"0123456789abcdef0123","expires_in":` + expiresIn + `}`))
	}
	for _, tokenType := range []string{`"mac"`, `""`, `"Bearer"`, `"Bearer x"`, `1`} {
		f.Add([]byte(`{"access_token":"0123456789abcdef0123","token_type":` + tokenType + `}`))
	}
	for _, body := range []string{``, `null`, `{}`, `[]`, `<html>`, `{"access_token":"a\r\nX: y0123456789ab"}`, `{"access_token":"a","access_token":"b"}`, `{"access_token":"a"} x`, `{"error":"invalid_client"}`, `{"error":"server_error"}`, `{"access_token":"a","user_name":"Jos` + "\xe9" + `","scope":"a","scope":"b"}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		synctest.Test(t, func(t *testing.T) {
			n := &network{token: always(ok(string(body)))}
			err := list(t.Context(), n.client(t, withoutRetries))
			var sent struct {
				Token string `json:"access_token"`
			}
			_ = json.Unmarshal(body, &sent, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
			if err == nil {
				n.requireCounts(t, 1, 1)
				require.Equal(t, []string{sent.Token}, n.bearersSent())
				require.Regexp(t, `^[!-~]+$`, sent.Token)
				require.LessOrEqual(t, len(sent.Token), 16<<10)
				return
			}
			n.requireCounts(t, 0, 1)
			if !errors.Is(err, sailpoint.ErrInvalidCredentials) {
				requireMatches(t, err, sailpoint.ErrInvalidResponse)
			}
			requirePrintable(t, err)
			if len(sent.Token) > 16 {
				require.NotContains(t, err.Error(), sent.Token)
			}
		})
	})
}

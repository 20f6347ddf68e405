package sailpoint_test

import (
	"bytes"
	"context"
	jsonv1 "encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

func TestStatusMatchesItsClassOnly(t *testing.T) {
	for status, want := range map[int][]error{
		201: {sailpoint.ErrInvalidResponse},
		204: {sailpoint.ErrInvalidResponse},
		206: {sailpoint.ErrInvalidResponse},
		302: nil,
		304: nil,
		400: {sailpoint.ErrBadRequest},
		401: {sailpoint.ErrUnauthorized},
		402: nil,
		403: {sailpoint.ErrForbidden},
		404: {sailpoint.ErrNotFound},
		405: nil,
		408: nil,
		409: {sailpoint.ErrConflict},
		410: nil,
		418: nil,
		422: nil,
		425: nil,
		429: {sailpoint.ErrRateLimited},
		431: nil,
		451: nil,
		500: {sailpoint.ErrServer},
		501: {sailpoint.ErrServer},
		502: {sailpoint.ErrServer},
		503: {sailpoint.ErrServer},
		504: {sailpoint.ErrServer},
		505: {sailpoint.ErrServer},
		511: {sailpoint.ErrServer},
		599: {sailpoint.ErrServer},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{api: always(response{status: status})}
				err := list(t.Context(), n.client(t, withoutRetries))
				requireMatches(t, err, want...)
				failure := requireOneError(t, err)
				assert.Equal(t, status, failure.StatusCode)
				assert.Equal(t, "GET /v2024/personal-access-tokens", failure.Op)
			})
		})
	}
}

// TestStatusOfTheTokenEndpointMatches shows that its 401 is not
// ErrUnauthorized, which is about a bearer, and that its 404 and 409 say nothing
// about a token. A 429 or 5xx matches by its status, whatever its body says.
func TestStatusOfTheTokenEndpointMatches(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   error
	}{
		{400, `{"error":"invalid_client","error_description":"Bad client credentials"}`, sailpoint.ErrInvalidCredentials},
		{400, `{"error":"invalid_grant"}`, sailpoint.ErrInvalidCredentials},
		{400, `{"error":"unauthorized_client"}`, sailpoint.ErrInvalidCredentials},
		{400, `{"error":"invalid_request"}`, sailpoint.ErrBadRequest},
		{400, ``, sailpoint.ErrBadRequest},
		{401, `{"error":"invalid_client"}`, sailpoint.ErrInvalidCredentials},
		{401, `{"error":"unauthorized","error_description":"Full authentication is required"}`, sailpoint.ErrInvalidCredentials},
		{401, `<html>`, sailpoint.ErrInvalidCredentials},
		{403, `{"error":"invalid_client"}`, sailpoint.ErrInvalidCredentials},
		{403, `<html>`, sailpoint.ErrForbidden},
		{404, ``, nil},
		{404, `{"error":"invalid_request"}`, nil},
		{404, `{"error":"invalid_client"}`, sailpoint.ErrInvalidCredentials},
		{409, ``, nil},
		{429, `{"error":"unauthorized_client"}`, sailpoint.ErrRateLimited},
		{500, `{"error":"unauthorized"}`, sailpoint.ErrServer},
		{503, `{"error":"invalid_client"}`, sailpoint.ErrServer},
		{201, `{"access_token":"a","expires_in":60}`, sailpoint.ErrInvalidResponse},
	} {
		t.Run(fmt.Sprint(tt.status, tt.body), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{token: always(response{status: tt.status, body: tt.body})}
				_, err := n.client(t, withoutRetries).PersonalAccessTokens.Create(t.Context(), newToken())
				requireMatches(t, err, tt.want)
				_, err = n.client(t, withoutRetries).AccessToken(t.Context(), sailpoint.Secret{})
				requireMatches(t, err, tt.want)
				failure := requireOneError(t, err)
				assert.Equal(t, "POST /oauth/token", failure.Op)
				assert.Equal(t, tt.status, failure.StatusCode)
				assert.Empty(t, failure.Body, "it may hold the request or a bearer")
				calls, _ := n.counts()
				assert.Zero(t, calls)
			})
		})
	}
}

// TestErrorHoldsWhatTheResponseSays covers the error formats of the API, its
// gateway and proxies.
func TestErrorHoldsWhatTheResponseSays(t *testing.T) {
	for _, tt := range []struct {
		name string
		body string
		want sailpoint.Error
		text string // after the operation and the status
	}{
		{
			"the API's", `{"detailCode":"400.1 Bad Request Content","trackingId":"e7eab60924f64aa284175b9fa3309599",` +
				`"messages":[{"locale":"en-US","localeOrigin":"DEFAULT","text":"The request was syntactically correct."}],` +
				`"causes":[{"locale":null,"text":"Required field 'name' was missing or empty."}]}`,
			sailpoint.Error{
				DetailCode: "400.1 Bad Request Content", TrackingID: "e7eab60924f64aa284175b9fa3309599",
				Messages: []string{"The request was syntactically correct."},
				Causes:   []string{"Required field 'name' was missing or empty."},
			},
			": 400.1 Bad Request Content: The request was syntactically correct: Required field 'name' was missing or empty (tracking id e7eab60924f64aa284175b9fa3309599)",
		},
		{
			"the gateway's without a bearer", `{"error":"JWT validation failed: JWT is expired"}`,
			sailpoint.Error{Messages: []string{"JWT validation failed: JWT is expired"}},
			": JWT validation failed: JWT is expired",
		},
		{
			"the gateway's rate limit", `{"message":" Rate Limit Exceeded "}`,
			sailpoint.Error{Messages: []string{"Rate Limit Exceeded"}},
			": Rate Limit Exceeded",
		},
		{
			"OAuth's", `{"error":"invalid_token","error_description":"Access token expired"}`,
			sailpoint.Error{DetailCode: "invalid_token", Messages: []string{"Access token expired"}},
			": invalid_token: Access token expired",
		},
		{
			"that of other services", `{"errorName":"Conflict","errorMessage":"exists","detailMessage":"d","formatted_msg":"f","trackingId":"t"}`,
			sailpoint.Error{TrackingID: "t", Messages: []string{"exists", "d", "f"}},
			": exists: d: f (tracking id t)",
		},
		{"empty", ``, sailpoint.Error{}, ""},
		{"HTML", `<html><body>502 Bad Gateway</body></html>`, sailpoint.Error{}, ""},
		{"plain text", `no healthy upstream`, sailpoint.Error{}, ""},
		{"a Java stack trace", "java.lang.Exception\n\tat PersonalAccessTokenRepository.java:1", sailpoint.Error{}, ""},
		{
			"RFC 9457's", `{"type":"https://acme.example/probs/quota","title":"Quota exceeded.","status":400,"detail":"Ten tokens is the limit.","instance":"/tokens"}`,
			sailpoint.Error{Messages: []string{"Quota exceeded.", "Ten tokens is the limit."}},
			": Quota exceeded: Ten tokens is the limit",
		},
		{
			"an error object", `{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"m"}}`,
			sailpoint.Error{Messages: []string{"m"}},
			": m",
		},
		{
			"an error object with a code", `{"error":{"code":"QuotaExceeded","message":"m","errors":[{"message":"n"}]}}`,
			sailpoint.Error{Messages: []string{"m", "n"}},
			": m: n",
		},
		{
			"an error object with a code that is a number", `{"error":{"code":40301,"status":400,"message":"m"}}`,
			sailpoint.Error{Messages: []string{"m"}},
			": m",
		},
		{
			"errors as texts", `{"errors":["a","b",{"message":"c"},{"title":"d","detail":"e"},{"text":"f"},1,null]}`,
			sailpoint.Error{Messages: []string{"a", "b", "c", "d", "e", "f"}},
			": a: b: c",
		},
		{
			"errors as one text", `{"errors":"a"}`,
			sailpoint.Error{Messages: []string{"a"}},
			": a",
		},
		{
			"messages as texts", `{"messages":["a"," b "],"causes":["c"]}`,
			sailpoint.Error{Messages: []string{"a", "b"}, Causes: []string{"c"}},
			": a: b: c",
		},
		{
			"messages and causes as one object", `{"messages":{"locale":"en-US","text":"a"},"causes":{"text":"c"}}`,
			sailpoint.Error{Messages: []string{"a"}, Causes: []string{"c"}},
			": a: c",
		},
		{
			"messages as one text", `{"messages":"a","causes":"c"}`,
			sailpoint.Error{Messages: []string{"a"}, Causes: []string{"c"}},
			": a: c",
		},
		{
			"a list", `[{"detailCode":"400.1","trackingId":"t","messages":[{"text":"m"}],"causes":[{"text":"c"}]},{"message":"n"}]`,
			sailpoint.Error{DetailCode: "400.1", TrackingID: "t", Messages: []string{"m", "n"}, Causes: []string{"c"}},
			": 400.1: m: n: c (tracking id t)",
		},
		{
			"a list of texts", ` ["a","b"]`,
			sailpoint.Error{Messages: []string{"a", "b"}},
			": a: b",
		},
		{"an empty list", `[]`, sailpoint.Error{}, ""},
		{"one text", `"a"`, sailpoint.Error{Messages: []string{"a"}}, ": a"},
		{
			"after a byte order mark", "\ufeff" + `{"detailCode":"400.1","message":"m"}`,
			sailpoint.Error{DetailCode: "400.1", Messages: []string{"m"}},
			": 400.1: m",
		},
		{
			"an id that is a number", `{"trackingId":1234567890123456789,"message":"m"}`,
			sailpoint.Error{TrackingID: "1234567890123456789", Messages: []string{"m"}},
			": m (tracking id 1234567890123456789)",
		},
		{
			"a code that is a number", `{"detailCode":40301}`,
			sailpoint.Error{DetailCode: "40301"},
			": 40301",
		},
		{"too deep", strings.Repeat(`[`, 7) + `"a"` + strings.Repeat(`]`, 7), sailpoint.Error{}, ""},
		{"null", `null`, sailpoint.Error{}, ""},
		{"members that are null", `{"detailCode":null,"trackingId":null,"messages":null,"causes":null}`, sailpoint.Error{}, ""},
		{
			"members of other types", `{"detailCode":400,"trackingId":{"a":1},"messages":{"text":"x"},"causes":[1,null,{"text":2},{"text":"c"},"d"],"message":["m"],"error":true}`,
			sailpoint.Error{Messages: []string{"x", "m"}, Causes: []string{"c", "d"}},
			": x: m: c: d",
		},
		{
			"one member twice", `{"detailCode":"a","detailCode":"b","messages":[{"text":"x","text":"y"}]}`,
			sailpoint.Error{DetailCode: "b", Messages: []string{"y"}},
			": b: y",
		},
		{"unknown members", `{"status":400,"timestamp":"2024","path":"/v2024","detail":{}}`, sailpoint.Error{}, ""},
		{
			"cut short", `{"detailCode":"a","messages":[{"text":"x"}],"trackingId":"t`,
			sailpoint.Error{DetailCode: "a", Messages: []string{"x"}},
			": a: x",
		},
		{
			"more than three texts", `{"messages":[{"text":"1"},{"text":"2"},{"text":""},{"text":" "},{"text":"3"},{"text":"4"}]}`,
			sailpoint.Error{Messages: []string{"1", "2", "3", "4"}},
			": 1: 2: 3",
		},
		{
			"ANSI escapes", "{\"messages\":[{\"text\":\"a\\u001b[31mred\"}]}",
			sailpoint.Error{Messages: []string{"a\x1b[31mred"}},
			`: "a\x1b[31mred"`,
		},
		{
			"a line that looks like a record", `{"message":"a\nlevel=ERROR msg=b\r"}`,
			sailpoint.Error{Messages: []string{"a\nlevel=ERROR msg=b"}},
			`: "a\nlevel=ERROR msg=b"`,
		},
		{
			"text from right to left", `{"detailCode":"\u202ecba","trackingId":"\u2066x\u0000"}`,
			sailpoint.Error{DetailCode: "\u202ecba", TrackingID: "\u2066x\x00"},
			`: "\u202ecba" (tracking id "\u2066x\x00")`,
		},
		{
			"invalid UTF-8", "{\"message\":\"a\xffb\"}",
			sailpoint.Error{Messages: []string{"a\ufffdb"}},
			": \"a\ufffdb\"",
		},
		{
			"letters beyond ASCII", `{"message":"größer \"quoted\""}`,
			sailpoint.Error{Messages: []string{`größer "quoted"`}},
			`: größer "quoted"`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &network{api: always(response{status: 400, body: tt.body})}
			err := list(t.Context(), n.client(t))
			failure := requireOneError(t, err)
			got := sailpoint.Error{
				DetailCode: failure.DetailCode, TrackingID: failure.TrackingID, Messages: failure.Messages, Causes: failure.Causes,
			}
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.body, string(failure.Body))
			require.EqualError(t, err, "sailpoint: GET /v2024/personal-access-tokens: 400 Bad Request"+tt.text)
		})
	}
}

// TestErrorOfAHugeBody shows that the error keeps 64 KiB.
func TestErrorOfAHugeBody(t *testing.T) {
	filler := strings.Repeat("x", 1<<20)
	for name, body := range map[string]string{
		"no JSON":          filler,
		"one text":         `{"detailCode":"a","messages":[{"text":"` + filler + `"}]}`,
		"within 64 KiB":    `{"messages":[{"text":"` + filler[:60_000] + `"}]}`,
		"many texts":       `{"messages":[` + strings.Repeat(`{"text":"x"},`, 1000) + `{"text":"y"}]}`,
		"a secret in each": strings.Repeat("sesame ", 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			n := &network{api: always(response{status: 400, body: body})}
			client := n.client(t, func(cfg *sailpoint.Config) { cfg.ClientSecret = sailpoint.NewSecret("sesame") })
			err := list(t.Context(), client)
			failure := requireOneError(t, err)
			assert.LessOrEqual(t, len(failure.Body), 64<<10)
			assert.Less(t, len(err.Error()), 1<<10)
		})
	}
}

func TestErrorTextNamesEverything(t *testing.T) {
	const body = `{"detailCode":"429.0","trackingId":"track-1","messages":[{"text":"slow down"}]}`
	header := map[string]string{"Retry-After": "3600", "SLPT-Request-ID": "req-1"}
	for _, tt := range []struct {
		name string
		call func(context.Context, *sailpoint.Client) error
		api  response
		want string
	}{
		{
			"a response with everything", list,
			response{status: 429, header: header, body: body},
			"sailpoint: GET /v2024/personal-access-tokens: 429 Too Many Requests: 429.0: slow down (retry after 1h0m0s, tracking id track-1, request id req-1)",
		},
		{
			"sentences, and a code that only repeats the status", list,
			response{status: 403, body: `{"detailCode":"403 forbidden","messages":[{"text":"It is closed. "}],"causes":[{"text":"You may not…"}]}`},
			"sailpoint: GET /v2024/personal-access-tokens: 403 Forbidden: It is closed: You may not…",
		},
		{
			"a status without a name", list,
			response{status: 499},
			"sailpoint: GET /v2024/personal-access-tokens: 499",
		},
		{
			"the token's id", func(ctx context.Context, c *sailpoint.Client) error {
				return c.PersonalAccessTokens.Delete(ctx, "someone")
			},
			response{status: 404},
			"sailpoint: DELETE /v2024/personal-access-tokens/{id}: 404 Not Found (token someone)",
		},
		{
			"request id with a line break", list,
			response{status: 400, header: map[string]string{"SLPT-Request-ID": "a\nb"}},
			`sailpoint: GET /v2024/personal-access-tokens: 400 Bad Request (request id "a\nb")`,
		},
		{
			"a redirect", list,
			response{status: 302, header: map[string]string{"Location": "https://user:hunter2@evil.example/p?q=hunter2#f"}},
			`sailpoint: GET /v2024/personal-access-tokens: 302 Found: a redirect to the host "evil.example" was not followed`,
		},
		{
			"no response", list,
			response{err: errors.New("broken\x1b pipe")},
			`sailpoint: GET /v2024/personal-access-tokens: "broken\x1b pipe"`,
		},
		{
			"a call without a response that may have been carried out", func(ctx context.Context, c *sailpoint.Client) error {
				return c.PersonalAccessTokens.Delete(ctx, "someone")
			},
			response{err: io.ErrUnexpectedEOF},
			"sailpoint: DELETE /v2024/personal-access-tokens/{id}: unexpected EOF: it may have been carried out (token someone)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &network{api: always(tt.api)}
			require.EqualError(t, tt.call(t.Context(), n.client(t, withoutRetries)), tt.want)
		})
	}
}

func TestErrorTextOfTheTokenEndpoint(t *testing.T) {
	n := &network{token: always(response{
		status: 401, body: `{"error":"invalid_client","error_description":"Bad client credentials"}`,
		header: map[string]string{"SLPT-Request-ID": "req-1"},
	})}
	require.EqualError(t, list(t.Context(), n.client(t)),
		"sailpoint: POST /oauth/token: 401 Unauthorized: invalid_client: the client id or secret was rejected: check both")
}

// TestTokenEndpointErrorsQuoteNoText except a known code. Any other text may
// echo the secret.
func TestTokenEndpointErrorsQuoteNoText(t *testing.T) {
	const echo = "ebg13-bs-gur-frperg"
	header := map[string]string{"SLPT-Request-ID": echo, "Location": "https://" + echo + ".example/"}
	for _, tt := range []struct {
		response response
		want     string
	}{
		{response{status: 400, body: `{"error":"invalid_request","error_description":"` + echo + `","trackingId":"` + echo + `"}`}, "400 Bad Request: invalid_request"},
		{response{status: 400, body: `{"error":"` + echo + `","messages":[{"text":"` + echo + `"}],"causes":["` + echo + `"]}`}, "400 Bad Request"},
		{response{status: 404, body: `{"detailCode":"` + echo + `"}`}, "404 Not Found"},
		{response{status: 500, body: echo}, "500 Internal Server Error"},
		{response{status: 302}, "302 Found: a redirect was not followed"},
		{response{status: 201, body: echo}, "201 Created: the response has an unexpected status"},
		{response{status: 200, body: echo}, "200 OK: the response is not the API's JSON, at byte 0"},
		{response{status: 200, body: `{"access_token":"a","token_type":"` + echo + `"}`}, "200 OK: an access token of a type that isn't bearer"},
		{response{status: 200, body: `{"access_token":"a","expires_in":"` + echo + `"}`}, "200 OK: an access token whose expires_in is not a positive number of seconds"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			tt.response.header = header
			var log bytes.Buffer
			n := &network{token: always(tt.response)}
			err := list(t.Context(), n.client(t, withoutRetries, func(cfg *sailpoint.Config) {
				cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			}))
			require.EqualError(t, err, "sailpoint: POST /oauth/token: "+tt.want)
			failure := requireOneError(t, err)
			assert.Empty(t, failure.Body)
			out, err := jsonv1.Marshal(failure)
			require.NoError(t, err)
			assert.NotContains(t, string(out), echo)
			assert.Contains(t, log.String(), `"operation":"POST /oauth/token"`)
			assert.NotContains(t, log.String(), echo)
		})
	}
}

// TestErrorTextOfALostBearer covers a Delete that may have been carried out
// before the request for another bearer failed.
func TestErrorTextOfALostBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{status: 503}, response{status: 401})
		n.token = inTurn(issued("bearer-1", 60), response{status: 400, body: `{"error":"invalid_client"}`})
		err := n.client(t).PersonalAccessTokens.Delete(t.Context(), "id")
		requireMatches(t, err, sailpoint.ErrInvalidCredentials, sailpoint.ErrOutcomeUnknown)
		require.EqualError(t, err, "sailpoint: POST /oauth/token: 400 Bad Request: invalid_client: "+
			"the client id or secret was rejected: check both: DELETE /v2024/personal-access-tokens/{id} may have been carried out")
	})
}

// TestErrorOfASuccessfulResponseHasItsRequestID shows that support can find the
// request of a list that ends early or lacks the token.
func TestErrorOfASuccessfulResponseHasItsRequestID(t *testing.T) {
	for name, tt := range map[string]struct {
		call func(context.Context, *sailpoint.PersonalAccessTokensService) error
		body string
	}{
		"List": {func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			_, err := s.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
			return err
		}, `[` + aToken + `,`},
		"All": {func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) (err error) {
			for _, err = range s.All(ctx, sailpoint.ListPersonalAccessTokensOptions{}) { //nolint:revive // only the last error counts
			}
			return err
		}, `[` + aToken + `,`},
		"Get": {func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			_, err := s.Get(ctx, "id")
			return err
		}, `[` + aToken + `]`},
		"Self": {func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			_, err := s.Self(ctx)
			return err
		}, `[` + aToken + `]`},
	} {
		t.Run(name, func(t *testing.T) {
			n := scripted(response{body: tt.body, header: map[string]string{"SLPT-Request-ID": "req-1"}})
			failure := requireOneError(t, tt.call(t.Context(), n.client(t, withoutRetries).PersonalAccessTokens))
			assert.Equal(t, 200, failure.StatusCode)
			assert.Equal(t, 1, failure.Attempts)
			assert.Equal(t, "req-1", failure.RequestID)
		})
	}
}

func TestErrorTextCountsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{api: always(response{status: 503})}
		require.EqualError(t, list(t.Context(), n.client(t)),
			"sailpoint: GET /v2024/personal-access-tokens: 503 Service Unavailable (4 attempts)")
	})
}

func anError() *sailpoint.Error {
	return &sailpoint.Error{
		Op: "GET /x", StatusCode: 400, DetailCode: "400.1\n", TrackingID: "t", RequestID: "r", Messages: []string{"m"},
		Causes: []string{"c"}, RetryAfter: time.Second, Attempts: 2, Body: []byte("the-body"), Err: errors.New("the-cause"),
	}
}

const anErrorsText = `sailpoint: GET /x: 400 Bad Request: "400.1\n": m: c: the-cause (retry after 1s, 2 attempts, tracking id t, request id r)`

// TestErrorTextOfSeveralCauses shows that each cause is named once, on one line.
func TestErrorTextOfSeveralCauses(t *testing.T) {
	stopped := errors.New("shutting down")
	limited := func(cfg *sailpoint.Config) {
		cfg.Limiter = limiterFunc(func(context.Context) error { return errors.Join(stopped, errors.New("no quota")) })
	}
	unchanged := func(*sailpoint.Config) {}
	for want, tt := range map[string]struct {
		change func(*sailpoint.Config)
		end    func(context.CancelCauseFunc)
	}{
		"context deadline exceeded: it may have been carried out":       {unchanged, func(context.CancelCauseFunc) {}},
		"context canceled; shutting down: it may have been carried out": {unchanged, func(cancel context.CancelCauseFunc) { cancel(stopped) }},
		"limiter: shutting down; no quota":                              {limited, func(context.CancelCauseFunc) {}},
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancelAfter := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancelAfter()
				ctx, cancel := context.WithCancelCause(ctx)
				defer cancel(nil)
				defer time.AfterFunc(5*time.Second, func() { tt.end(cancel) }).Stop()
				err := scripted(silence).client(t, tt.change).PersonalAccessTokens.Delete(ctx, "id")
				require.EqualError(t, err, "sailpoint: DELETE /v2024/personal-access-tokens/{id}: "+want+" (token id)")
			})
		})
	}
}

// TestLogOfSeveralCauses shows that a record names them on one line.
func TestLogOfSeveralCauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		cfg := scripted(ok(`[]`)).config()
		cfg.Logger = slog.New(slog.NewTextHandler(&out, nil))
		cfg.ClientSecret = sailpoint.Secret{}
		cfg.TokenSource = func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
			return sailpoint.AccessToken{}, errors.Join(errors.New("vault is sealed"), errors.New("no secret"))
		}
		client, err := sailpoint.NewClient(cfg)
		require.NoError(t, err)
		require.Error(t, client.PersonalAccessTokens.Delete(t.Context(), "other"))
		require.Contains(t, out.String(), `error="TokenSource: vault is sealed; no secret"`)
	})
}

func TestErrorPrintsItsTextUnderEveryVerb(t *testing.T) {
	for _, verb := range verbs {
		got := fmt.Sprintf(verb, anError())
		switch verb {
		case "%T":
			require.Equal(t, "*sailpoint.Error", got)
		case "%p", "%#p", "%w": // fmt does not call Format for these, and vet reports them
			require.NotContains(t, got, "the-body")
		case "%q", "%+q", "%#q":
			require.Equal(t, fmt.Sprintf("%q", anErrorsText), got, verb)
		default:
			require.Equal(t, anErrorsText, got, verb)
		}
	}
}

// TestCopyOfAnErrorPrintsNoBody covers a copy made with *err.
func TestCopyOfAnErrorPrintsNoBody(t *testing.T) {
	for _, verb := range verbs {
		if strings.ContainsAny(verb, "pw") { // fmt does not call Format for these, and vet reports them
			continue
		}
		for _, v := range []any{*anError(), []any{*anError()}, struct{ Err sailpoint.Error }{*anError()}} {
			got := fmt.Sprintf(verb, v)
			requireAbsent(t, got, "the-body")
			require.NotContains(t, got, "116 104 101", verb) // the bytes of "the"
		}
	}
}

func TestErrorIsLoggedByItsFields(t *testing.T) {
	var text, object bytes.Buffer
	noTime := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	slog.New(slog.NewTextHandler(&text, noTime)).Info("failed", "err", anError())
	slog.New(slog.NewJSONHandler(&object, noTime)).Info("failed", "err", &sailpoint.Error{Op: "GET /x", Attempts: 1})
	assert.Equal(t, `level=INFO msg=failed err.op="GET /x" err.status=400 err.attempts=2 err.detail_code="\"400.1\\n\"" `+
		`err.tracking_id=t err.request_id=r err.message=`+fmt.Sprintf("%q", anErrorsText)+"\n", text.String())
	assert.JSONEq(t, `{"level":"INFO","msg":"failed","err":{"op":"GET /x","status":0,"attempts":1,"message":"sailpoint: GET /x"}}`, object.String())
}

func TestErrorMarshalsWithoutBodyAndCause(t *testing.T) {
	out, err := jsonv1.Marshal(anError())
	require.NoError(t, err)
	require.JSONEq(t, `{"Op":"GET /x","TokenID":"","StatusCode":400,"DetailCode":"400.1\n","TrackingID":"t","RequestID":"r",`+
		`"Messages":["m"],"Causes":["c"],"RetryAfter":1000000000,"Attempts":2}`, string(out))
}

func TestCreateOutcomeError(t *testing.T) {
	inner := &sailpoint.Error{Op: "POST /x", StatusCode: 503}
	started := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name string
		err  *sailpoint.CreateOutcomeError
		want string
	}{
		{
			"it may exist", &sailpoint.CreateOutcomeError{Name: "deploy", StartedAt: started, Err: inner},
			`sailpoint: a token named "deploy" may have been created and its secret is lost: sailpoint: POST /x: 503 Service Unavailable`,
		},
		{
			"it exists", &sailpoint.CreateOutcomeError{Name: "de\nploy", StartedAt: started, Created: true, Err: inner},
			`sailpoint: the token named "de\nploy" was created and its secret is lost: sailpoint: POST /x: 503 Service Unavailable`,
		},
		{
			"it exists with an id", &sailpoint.CreateOutcomeError{Name: "deploy", StartedAt: started, Created: true, ID: "86f1", Err: inner},
			`sailpoint: the token named "deploy" was created with id 86f1 and its secret is lost: sailpoint: POST /x: 503 Service Unavailable`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.EqualError(t, tt.err, tt.want)
			requireMatches(t, tt.err, sailpoint.ErrOutcomeUnknown, sailpoint.ErrServer)
			require.Same(t, inner, requireOneError(t, tt.err))
			for _, verb := range []string{"%v", "%+v", "%s"} {
				require.Equal(t, tt.want, fmt.Sprintf(verb, tt.err))
			}
			wrapped := fmt.Errorf("issuing: %w", tt.err)
			var outcome *sailpoint.CreateOutcomeError
			require.ErrorAs(t, wrapped, &outcome)
			require.Equal(t, started, outcome.StartedAt)
		})
	}
}

// TestZeroErrorsPrint covers errors that a program's own tests make.
func TestZeroErrorsPrint(t *testing.T) {
	require.EqualError(t, &sailpoint.Error{Op: "GET /x"}, "sailpoint: GET /x")
	require.EqualError(t, &sailpoint.CreateOutcomeError{Name: "n", Created: true}, `sailpoint: the token named "n" was created and its secret is lost`)
}

// TestOneErrorInEveryChain covers all ways in which a call with valid arguments
// can fail.
func TestOneErrorInEveryChain(t *testing.T) {
	mine := errors.New("the caller's")
	for name, tt := range map[string]struct {
		n      *network
		change func(*sailpoint.Config)
		want   []error
	}{
		"a status":             {&network{api: always(response{status: 403})}, nil, []error{sailpoint.ErrForbidden}},
		"no response":          {&network{api: always(response{err: mine})}, nil, []error{mine}},
		"a response cut short": {&network{api: always(response{body: `[`, cut: mine})}, nil, []error{mine, sailpoint.ErrInvalidResponse}},
		"not JSON":             {&network{api: always(response{body: `<html>`})}, nil, []error{sailpoint.ErrInvalidResponse}},
		"no bearer":            {&network{token: always(response{status: 401})}, nil, []error{sailpoint.ErrInvalidCredentials}},
		"no token endpoint":    {&network{token: always(response{err: mine})}, nil, []error{mine}},
		"a rejected bearer":    {&network{api: always(response{status: 401})}, nil, []error{sailpoint.ErrUnauthorized}},
		"no bearer after a rejection": {
			&network{api: always(response{status: 401}), token: inTurn(issued("b", 60), response{status: 400, body: `{"error":"invalid_client"}`})},
			nil,
			[]error{sailpoint.ErrInvalidCredentials},
		},
		"error of a TokenSource": {&network{}, withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
			return sailpoint.AccessToken{}, mine
		}), []error{mine}},
		"a context that ends":              {&network{api: always(response{after: time.Hour})}, nil, []error{context.DeadlineExceeded}},
		"a context that ends in the fetch": {&network{token: always(response{after: time.Hour})}, nil, []error{context.DeadlineExceeded}},
		"a context that ends in a backoff": {
			&network{api: always(response{status: 503, header: map[string]string{"Retry-After": "5"}})},
			func(cfg *sailpoint.Config) { cfg.MaxRetries = 100 },
			[]error{sailpoint.ErrServer},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
				defer cancel()
				change := tt.change
				if change == nil {
					change = withoutRetries
				}
				err := list(ctx, tt.n.client(t, change))
				_ = requireOneError(t, err)
				for _, want := range tt.want {
					require.ErrorIs(t, err, want)
				}
			})
		})
	}
}

// FuzzDecodeError shows that an error's text is one short printable line for
// any response.
func FuzzDecodeError(f *testing.F) {
	f.Add(400, []byte(`{"detailCode":"400.1","trackingId":"t","messages":[{"text":"m"}],"causes":[{"text":"c"}]}`), "req-1", "1", "")
	f.Add(401, []byte(`{"error":"JWT validation failed: JWT is expired"}`), "", "", "")
	f.Add(429, []byte(`{"message":" Rate Limit Exceeded "}`), "a\nb", "99999999999999999999", "")
	f.Add(500, []byte("\x1b[31m\u202e\xff\x00"), "\x1b", "Fri, 31 Dec 9999 23:59:59 GMT", "")
	f.Add(302, []byte(``), "", "", "https://user:password@evil\x7f/")
	f.Add(200, []byte(`[{"id":"a\u0000b"},{"created":"\u001b"}]`), "", "", "")
	f.Add(200, []byte("{\"\x1b\":1}"), "", "", "")
	f.Fuzz(func(t *testing.T, status int, body []byte, requestID, retryAfter, location string) {
		if status < 200 || status > 999 {
			t.Skip("net/http does not return this status")
		}
		synctest.Test(t, func(t *testing.T) {
			n := &network{api: always(response{status: status, body: string(body), header: map[string]string{
				"SLPT-Request-ID": requestID, "Retry-After": retryAfter, "Location": location,
			}})}
			client := n.client(t, withoutRetries)
			errs := []error{list(t.Context(), client)}
			_, err := client.PersonalAccessTokens.Create(t.Context(), newToken())
			errs = append(errs, err)
			// The token endpoint sends the same response.
			n = &network{token: n.api}
			errs = append(errs, list(t.Context(), n.client(t, withoutRetries)))
			for _, err := range errs {
				if err == nil {
					continue
				}
				_ = requireOneError(t, err)
				text := err.Error()
				require.NotContains(t, text, "\x7f")
				require.Equal(t, -1, strings.IndexFunc(text, func(r rune) bool { return r < 0x20 }), "%q", text)
				require.True(t, utf8.ValidString(text), "%q", text)
				require.Less(t, len(text), 32<<10)
				_, err = jsonv1.Marshal(err)
				require.NoError(t, err)
			}
		})
	})
}

// TestErrUnreachable matches if the network alone kept the last attempt from a
// response.
func TestErrUnreachable(t *testing.T) {
	refused, reset, broken := response{err: errRefused, unsent: true}, response{err: errReset}, errors.New("not today")
	unknownHost := response{err: &net.DNSError{IsNotFound: true}, unsent: true}
	limited := func(cfg *sailpoint.Config) {
		calls := 0
		cfg.Limiter = limiterFunc(func(context.Context) error {
			if calls++; calls > 1 {
				return broken
			}
			return nil
		})
	}
	noSource := withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
		return sailpoint.AccessToken{}, broken
	})
	silentSource := withSource(func(ctx context.Context, _ sailpoint.Secret) (sailpoint.AccessToken, error) {
		<-ctx.Done()
		return sailpoint.AccessToken{}, ctx.Err()
	})
	unreachable := (&network{token: always(refused)}).client(t)
	quick := func(cfg *sailpoint.Config) { cfg.AttemptTimeout = time.Second }
	for name, tt := range map[string]struct {
		api, token []response
		change     func(*sailpoint.Config)
		deadline   time.Duration
		want       []error
	}{
		"refused":                            {api: []response{refused}, want: []error{sailpoint.ErrUnreachable}},
		"unknown host":                       {api: []response{unknownHost}, want: []error{sailpoint.ErrUnreachable}},
		"proxy wants a password":             {api: []response{{err: errors.New("Proxy Authentication Required"), unsent: true}}, want: []error{sailpoint.ErrUnreachable}},
		"reset":                              {api: []response{reset}, want: []error{sailpoint.ErrUnreachable}},
		"silent":                             {api: []response{silence}, change: quick, want: []error{sailpoint.ErrUnreachable, context.DeadlineExceeded}},
		"the two minutes are over":           {api: []response{silence}, want: []error{sailpoint.ErrUnreachable, context.DeadlineExceeded}},
		"503, then refused":                  {api: []response{{status: 503}, refused}, want: []error{sailpoint.ErrUnreachable, sailpoint.ErrServer}},
		"401, then reset with a new bearer":  {api: []response{{status: 401}, reset}, want: []error{sailpoint.ErrUnreachable}},
		"refused, then 503":                  {api: []response{refused, {status: 503}}, want: []error{sailpoint.ErrServer}},
		"header, then cut":                   {api: []response{{body: `[`, cut: errReset}}, want: []error{sailpoint.ErrInvalidResponse}},
		"token endpoint refused":             {token: []response{refused}, want: []error{sailpoint.ErrUnreachable}},
		"token endpoint unknown":             {token: []response{unknownHost}, want: []error{sailpoint.ErrUnreachable}},
		"token endpoint silent":              {token: []response{silence}, change: quick, want: []error{sailpoint.ErrUnreachable, context.DeadlineExceeded}},
		"token endpoint silent for long":     {token: []response{silence}, want: []error{sailpoint.ErrUnreachable, context.DeadlineExceeded}},
		"token endpoint 503":                 {token: []response{{status: 503}}, want: []error{sailpoint.ErrServer}},
		"token endpoint down after a 401":    {api: []response{{status: 401}}, token: []response{issued("bearer-1", 60), refused}, want: []error{sailpoint.ErrUnreachable}},
		"caller's deadline":                  {api: []response{silence}, deadline: time.Second, want: []error{context.DeadlineExceeded}},
		"caller's deadline in the fetch":     {token: []response{silence}, deadline: time.Second, want: []error{context.DeadlineExceeded}},
		"limiter after a refused connection": {api: []response{refused}, change: limited, want: []error{broken}},
		"TokenSource":                        {change: noSource, want: []error{broken}},
		"AccessToken of another client":      {change: withSource(unreachable.AccessToken), want: []error{sailpoint.ErrUnreachable}},
		"TokenSource silent for long":        {change: silentSource, want: []error{context.DeadlineExceeded}},
		"302":                                {api: []response{{status: 302}}},
		"405":                                {api: []response{{status: 405}}},
		"407":                                {api: []response{{status: 407}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{}
				if tt.api != nil {
					n.api = inTurn(tt.api...)
				}
				if tt.token != nil {
					n.token = inTurn(tt.token...)
				}
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				change := tt.change
				if change == nil {
					change = func(*sailpoint.Config) {}
				}
				err := list(ctx, n.client(t, change))
				requireMatches(t, err, tt.want...)
				for _, target := range []error{context.DeadlineExceeded, context.Canceled, broken} {
					assert.Equal(t, slices.Contains(tt.want, target), errors.Is(err, target), target)
				}
				_ = requireOneError(t, err)
			})
		})
	}
}

// TestErrorNamesTheToken that the call was about, if there was one.
func TestErrorNamesTheToken(t *testing.T) {
	for i, op := range slices.Concat(operations[:6], bulkOperations) {
		t.Run(op.name, func(t *testing.T) {
			failure := requireOneError(t, op.call(t.Context(), scripted(response{status: 400}).client(t, inV1)))
			want := ""
			if i >= 2 && i <= 4 { // Delete and both patches
				want = "id"
			}
			assert.Equal(t, want, failure.TokenID)
			assert.Equal(t, want != "", strings.Contains(failure.Error(), "(token id)"))
		})
	}
	n := &network{token: always(response{status: 401})}
	failure := requireOneError(t, n.client(t).PersonalAccessTokens.Delete(t.Context(), "someone"))
	assert.Equal(t, "POST /oauth/token", failure.Op)
	assert.Empty(t, failure.TokenID, "the fetch is not about this token")

	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "err", &sailpoint.Error{Op: "DELETE /x", TokenID: "an id\n"})
	assert.Contains(t, out.String(), `err.token_id="\"an id\\n\""`)
}

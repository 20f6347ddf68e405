package sailpoint_test

import (
	"bytes"
	"context"
	jsonv1 "encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/redact/redacttest"
	"github.com/sailpoint-go/sailpoint/internal/sampletest"
)

// contextHandler sees the context of each record.
type contextHandler struct {
	slog.Handler
	see func(context.Context)
}

func (h contextHandler) Handle(ctx context.Context, _ slog.Record) error { h.see(ctx); return nil }

// TestNoValueLeaks covers all values that a program may print by accident.
func TestNoValueLeaks(t *testing.T) {
	n := &network{token: always(issued(leakBearer, 3600))}
	n.api = func(a arrival) response {
		if a.method == http.MethodPost {
			return response{body: `{"id":"86f1","secret":"` + leakPATSecret + `","name":"deploy","scope":["s"]}`}
		}
		return response{body: `[]`}
	}
	var client *sailpoint.Client
	config := n.config()
	config.ClientSecret = sailpoint.NewSecret(leakClientSecret)
	var contexts []context.Context // of the token request, and of its record
	config.HTTPClient.Transport = transportFunc(func(req *http.Request) (*http.Response, error) {
		contexts = append(contexts, req.Context())
		return n.RoundTrip(req)
	})
	config.Logger = slog.New(contextHandler{&enabledHandler{}, func(ctx context.Context) { contexts = append(contexts, ctx) }})
	client, err := sailpoint.NewClient(config)
	require.NoError(t, err)
	created, err := client.PersonalAccessTokens.Create(t.Context(), newToken())
	require.NoError(t, err)
	require.Equal(t, leakPATSecret, created.Secret.Reveal())
	require.Equal(t, []string{leakBearer}, n.bearersSent())
	other, err := client.WithCredentials("other", created.Secret)
	require.NoError(t, err)
	token := sailpoint.AccessToken{Bearer: sailpoint.NewSecret(leakBearer), Expiry: time.Now()}
	sourced := config
	withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) { return token, nil })(&sourced)

	for name, v := range map[string]any{
		"*Client":                            client,
		"Client":                             reflect.ValueOf(client).Elem().Interface(),
		"Client with other credentials":      other,
		"PersonalAccessTokensService":        client.PersonalAccessTokens,
		"Config":                             config,
		"*Config":                            &config,
		"Config with a TokenSource":          sourced,
		"CreatePersonalAccessTokenResponse":  *created,
		"*CreatePersonalAccessTokenResponse": created,
		"AccessToken":                        token,
		"*AccessToken":                       &token,
		"Secret":                             created.Secret,
		"*Secret":                            &created.Secret,
		"context of a request":               contexts[0],
		"context of a record":                contexts[1],
	} {
		t.Run(name, func(t *testing.T) {
			for how, text := range printings(v) {
				t.Run(how, func(t *testing.T) { requireAbsent(t, text, leakClientSecret, leakBearer, leakPATSecret) })
			}
		})
	}
}

// leaks are responses that quote secrets. A row's name says who sends it, and
// where the secret is.
var leaks = map[string]struct {
	api, token response
	err        bool // the transport returns an error with the text of these responses
}{
	"API: message":          {api: response{status: 400, body: `{"message":"` + leakBearer + `"}`}},
	"API: messages, causes": {api: response{status: 403, body: `{"messages":[{"text":"a ` + leakBearer + `"}],"causes":[{"text":"` + leakClientSecret + `"}]}`}},
	"API: all ids":          {api: response{status: 404, body: `{"detailCode":"` + leakBearer + `","trackingId":"` + leakClientSecret + `"}`}},
	"API: error":            {api: response{status: 401, body: `{"error":"` + leakBearer + `","error_description":"` + leakClientSecret + `"}`}},
	"API: others' members":  {api: response{status: 409, body: `{"errorMessage":"` + leakBearer + `","detailMessage":"` + leakBearer + `","formatted_msg":"` + leakClientSecret + `"}`}},
	"API: escaped in JSON":  {api: response{status: 400, body: `{"message":"\u0065` + leakBearer[1:] + `"}`}},
	"API: HTML":             {api: response{status: 502, body: `<pre>Authorization: Bearer ` + leakBearer + `</pre>`}},
	"API: headers": {api: response{status: 500, header: map[string]string{
		"SLPT-Request-ID": leakBearer, "Retry-After": leakBearer, "Date": leakBearer, "WWW-Authenticate": leakBearer, "Content-Type": leakBearer,
	}}},
	"API: redirect's host":      {api: response{status: 302, header: map[string]string{"Location": "https://" + leakBearer + ".evil.example/"}}},
	"API: redirect's URL":       {api: response{status: 307, header: map[string]string{"Location": "https://" + leakBearer + "@evil.example/" + leakBearer + "?" + leakBearer}}},
	"API: broken redirect":      {api: response{status: 308, header: map[string]string{"Location": "https://[" + leakBearer + "/%zz"}}},
	"API: success, not JSON":    {api: response{body: leakBearer}},
	"API: success, wrong types": {api: response{body: `[{"id":"a","created":"` + leakBearer + `"}]`}},
	"API: success, wrong names": {api: response{body: `[{"` + leakBearer + `":1,"` + leakBearer + `":2}]`}},
	"API: unexpected success":   {api: response{status: 202, body: `{"message":"` + leakBearer + `"}`}},
	"API: cut with an error":    {api: response{body: `[`, cut: fmt.Errorf("read %s", leakBearer)}},
	"API: transport's error":    {api: response{err: fmt.Errorf("header %s, form %s", leakBearer, leakClientSecret)}},
	"API: URL in an error":      {api: response{err: &url.Error{Op: "Get", URL: "https://x/?" + leakBearer, Err: io.EOF}}},

	"token: rejected":          {token: response{status: 401, body: `{"error":"invalid_client","error_description":"bad ` + leakClientSecret + `"}`}},
	"token: rejected, as form": {token: response{status: 400, body: `client_secret=` + url.QueryEscape(leakClientSecret)}},
	"token: unknown code":      {token: response{status: 400, body: `{"error":"` + leakClientSecret + `"}`}},
	"token: escaped code":      {token: response{status: 400, body: `{"error":"` + url.QueryEscape(leakClientSecret) + `","message":"` + url.PathEscape(leakClientSecret) + `"}`}},
	"token: detail code":       {token: response{status: 500, body: `{"detailCode":"` + url.QueryEscape(leakClientSecret) + `","trackingId":"` + url.QueryEscape(leakClientSecret) + `"}`}},
	"token: headers":           {token: response{status: 401, header: map[string]string{"SLPT-Request-ID": url.QueryEscape(leakClientSecret), "WWW-Authenticate": leakClientSecret}}},
	"token: HTML":              {token: response{status: 502, body: `<pre>` + url.QueryEscape(leakClientSecret) + `</pre>`}},
	"token: redirect":          {token: response{status: 307, body: `{"message":"` + url.QueryEscape(leakClientSecret) + `"}`, header: map[string]string{"Location": "https://evil.example/?" + url.QueryEscape(leakClientSecret)}}},
	"token: success, HTML":     {token: response{body: `<html>` + leakClientSecret}},
	"token: success, wrong":    {token: response{body: `{"access_token":"` + leakBearer + `","token_type":"` + leakClientSecret + `"}`}},
	"token: success, lifetime": {token: response{body: `{"access_token":"` + leakBearer + `","expires_in":"` + leakClientSecret + `"}`}},
	"token: success, no type":  {token: response{body: `{"access_token":["` + leakBearer + `"]}`}},
	"token: success, twice":    {token: response{body: `{"access_token":"` + leakBearer + `","access_token":"` + leakBearer + `"}`}},
	"token: success, newline":  {token: response{body: `{"access_token":"` + leakBearer + `\r\n","expires_in":60}`}},
	"token: unexpected":        {token: response{status: 201, body: `{"access_token":"` + leakBearer + `","message":"` + leakBearer + `"}`}},
	"token: cut short":         {token: response{body: `{"access_token":"` + leakBearer, cut: io.ErrUnexpectedEOF}},
	"token: transport's error": {token: response{err: fmt.Errorf("form %s", leakClientSecret)}},

	"create: cut short":      {api: response{body: `{"id":"86f1","secret":"` + leakPATSecret, cut: io.ErrUnexpectedEOF}},
	"create: not complete":   {api: response{body: `{"id":"86f1","secret":"` + leakPATSecret}},
	"create: trailing data":  {api: response{body: `{"id":"86f1"} "` + leakPATSecret + `"`}},
	"create: no id":          {api: response{body: `{"secret":"` + leakPATSecret + `"}`}},
	"create: two secrets":    {api: response{body: `{"id":"86f1","secret":"` + leakPATSecret + `","secret":"` + leakPATSecret + `"}`}},
	"create: other case":     {api: response{body: `{"id":"86f1","Secret":"` + leakPATSecret + `"}`}},
	"create: wrong types":    {api: response{body: `{"id":"86f1","created":"` + leakPATSecret + `"}`}},
	"create: secret in list": {api: response{body: `{"id":"86f1","secret":["` + leakPATSecret + `"]}`}},
	"create: wrong encoding": {api: response{body: "{\"id\":\"86f1\",\"secret\":\"" + leakPATSecret + "\xff\"}"}},
	"create: 202":            {api: response{status: 202, body: `{"id":"86f1","secret":"` + leakPATSecret + `"}`}},
	"create: 500":            {api: response{status: 500, body: `{"id":"86f1","secret":"` + leakPATSecret + `"}`}},
}

// TestNoErrorLeaks makes calls fail in every way, and checks the errors and
// logs.
func TestNoErrorLeaks(t *testing.T) {
	t.Parallel()
	calls := map[string]func(context.Context, *sailpoint.PersonalAccessTokensService) error{
		"create": func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			_, err := s.Create(ctx, newToken())
			return err
		},
		"list": func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			_, err := s.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
			return err
		},
		"all": func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			for _, err := range s.All(ctx, sailpoint.ListPersonalAccessTokensOptions{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"patch": func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			_, err := s.Patch(ctx, "id", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
			return err
		},
		"bulk update": func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			_, err := s.BulkUpdate(ctx, []string{"id"}, sailpoint.NewPersonalAccessTokenPatch().NeverExpire())
			return err
		},
		"delete": func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) error {
			return s.Delete(ctx, "id")
		},
	}
	for name, row := range leaks {
		for operation, call := range calls {
			of, _, _ := strings.Cut(name, ":")
			if of == "create" && operation != "create" {
				continue
			}
			t.Run(name+"/"+operation, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := &network{api: always(row.api), token: always(row.token)}
					if reflect.ValueOf(row.token).IsZero() {
						n.token = always(issued(leakBearer, 3600))
					}
					var log bytes.Buffer
					client := n.client(t, func(cfg *sailpoint.Config) {
						cfg.ClientSecret, cfg.MaxRetries = sailpoint.NewSecret(leakClientSecret), 1
						if operation == "bulk update" {
							cfg.APIVersion = sailpoint.V1
						}
						cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
					})
					err := call(t.Context(), client.PersonalAccessTokens)
					requireAbsent(t, log.String(), leakClientSecret, leakBearer, leakPATSecret)
					if err == nil {
						require.Equal(t, "delete", operation, "only Delete accepts an empty response")
						return
					}
					requireNoLeak(t, err)
				})
			})
		}
	}
}

func requireNoLeak(t *testing.T, err error) {
	t.Helper()
	failure := requireOneError(t, err)
	secrets := []string{leakClientSecret, leakBearer, leakPATSecret}
	for _, text := range printings(err) {
		requireAbsent(t, text, secrets...)
	}
	// The Body isn't printed. It holds no secret that the client knows either.
	requireAbsent(t, string(failure.Body), leakBearer)
	assert.NotContains(t, string(failure.Body), leakClientSecret)

	for _, link := range chain(err) {
		requireAbsent(t, fmt.Sprintf("%v %+v", link, link), secrets...)
		visit(reflect.ValueOf(link), 8, func(v reflect.Value) {
			switch v.Interface().(type) {
			case *http.Request, *http.Response, *oauth2.RetrieveError, *oauth2.Token, *url.Error, http.Header, *url.URL:
				t.Errorf("%T is reached from %T", v.Interface(), link)
			}
		})
	}
	var (
		retrieve *oauth2.RetrieveError
		wrapper  *url.Error
	)
	assert.NotErrorAs(t, err, &retrieve)
	assert.NotErrorAs(t, err, &wrapper)
}

// TestPanicOfATransportLeaksNothing matters because the panic's value may be
// the request.
func TestPanicOfATransportLeaksNothing(t *testing.T) {
	n := &network{token: func(a arrival) response { panic(a.body) }}
	err := list(t.Context(), n.client(t, func(cfg *sailpoint.Config) { cfg.ClientSecret = sailpoint.NewSecret(leakClientSecret) }))
	requireNoLeak(t, err)
}

// echoes are the places where a response or a transport error may quote a
// secret.
var echoes = map[string]func(spelled string) response{
	"message": func(s string) response { return response{status: 400, body: `{"message":` + quote(s) + `}`} },
	"every member": func(s string) response {
		text := quote(s)
		return response{status: 400, body: `{"detailCode":` + text + `,"trackingId":` + text + `,"messages":[{"text":` + text + `}],` +
			`"causes":[{"text":` + text + `}],"title":` + text + `,"errors":[` + text + `]}`}
	},
	"error object": func(s string) response {
		return response{status: 403, body: `{"error":{"code":` + quote(s) + `,"message":` + quote(s) + `}}`}
	},
	"list":                   func(s string) response { return response{status: 409, body: `[` + quote(s) + `]`} },
	"body":                   func(s string) response { return response{status: 502, body: `<pre>Authorization: ` + s + ` </pre>`} },
	"body, cut at its start": func(s string) response { return response{status: 400, body: s[3:]} },
	"body, cut at its end":   func(s string) response { return response{status: 400, body: s[:len(s)-3]} },
	"body, cut by the limit": func(s string) response {
		return response{status: 400, body: strings.Repeat(". ", 32<<10-len(s)/4) + s} // half of it exceeds the limit
	},
	"request id": func(s string) response { return response{status: 500, header: map[string]string{"SLPT-Request-ID": s}} },
	"redirect's host": func(s string) response {
		return response{status: 307, header: map[string]string{"Location": "https://" + s + "/"}}
	},
	"transport":          func(s string) response { return response{err: fmt.Errorf("can't read the header %q", s)} },
	"transport, wrapped": func(s string) response { return response{err: hiding{errors.New(s)}} },
	"cut success":        func(s string) response { return response{body: `[`, cut: errors.New(s)} },
}

// hiding is an error whose text is not that of the error it wraps.
type hiding struct{ error }

func (hiding) Error() string { return "hidden" }

func (h hiding) Unwrap() error { return h.error }

func quote(s string) string {
	out, _ := jsonv1.Marshal(s)
	return string(out)
}

// TestNoSpellingOfASecretLeaks shows that no 8 bytes of a secret can be read,
// however and wherever a server quotes it.
func TestNoSpellingOfASecretLeaks(t *testing.T) {
	t.Parallel()
	tried := 0
	names := slices.Sorted(maps.Keys(redacttest.Spellings))
	for place, echo := range echoes {
		t.Run(place, func(t *testing.T) {
			first, step := sampletest.Choose(t, 11)
			for n := first; n < len(names); n += step {
				name, spell := names[n], redacttest.Spellings[names[n]]
				for _, secret := range []string{leakBearer, leakClientSecret} {
					spelled := spell(secret)
					require.NotEmpty(t, redacttest.Readable(spelled, secret), name)
					tried++
					requireUnreadable(t, name, secret, &network{api: always(echo(spelled)), token: always(issued(leakBearer, 3600))})
					a := echo(spelled)
					if secret == leakBearer && (a.err != nil || a.cut != nil) {
						continue // there is no bearer yet that the transport could quote
					}
					tried++
					requireUnreadable(t, name, secret, &network{token: always(a)})
				}
			}
		})
	}
	t.Logf("%d calls", tried)
}

// requireUnreadable makes a call that fails, and checks that its error and log
// don't show the secret.
func requireUnreadable(t *testing.T, name, secret string, n *network) {
	t.Helper()
	var log bytes.Buffer
	err := list(t.Context(), n.client(t, withoutRetries, func(cfg *sailpoint.Config) {
		cfg.ClientSecret = sailpoint.NewSecret(leakClientSecret)
		cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}))
	failure := requireOneError(t, err)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("failed", "err", err)
	marshalled, marshalErr := jsonv1.Marshal(failure)
	require.NoError(t, marshalErr)
	out := map[string]bool{log.String(): true, string(marshalled): true, strings.TrimLeft(string(failure.Body), ". "): true}
	for _, link := range chain(err) {
		out[fmt.Sprintf("%v", link)], out[fmt.Sprintf("%#v", link)] = true, true
	}
	for text := range out {
		require.Empty(t, redacttest.Readable(text, secret), "%s: %s", name, text)
	}
}

// TestSecretsOfEarlierAttemptsAreRedacted covers a proxy that quotes an earlier
// request.
func TestSecretsOfEarlierAttemptsAreRedacted(t *testing.T) {
	n := &network{
		token: inTurn(issued(leakBearer, 3600), issued("another-bearer-2", 3600)),
		api:   inTurn(response{status: 401}, response{status: 400, body: `{"messages":["` + leakBearer + ` another-bearer-2"]}`}),
	}
	err := list(t.Context(), n.client(t))
	require.ErrorContains(t, err, ": 400 Bad Request: [REDACTED] [REDACTED]")
	requireNoLeak(t, err)
}

// TestErrorOfATokenSourceIsRedacted matters because the TokenSource receives
// the rejected bearer.
func TestErrorOfATokenSourceIsRedacted(t *testing.T) {
	mine := errors.New("mine")
	n := &network{api: always(response{status: 401})}
	err := list(t.Context(), n.client(t, withSource(func(_ context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
		if !refused.IsZero() {
			return sailpoint.AccessToken{}, fmt.Errorf("instead of %s: %w", refused.Reveal(), mine)
		}
		return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(leakBearer)}, nil
	})))
	require.ErrorContains(t, err, "TokenSource: instead of [REDACTED]: mine")
	require.ErrorIs(t, err, mine)
	requireNoLeak(t, err)
}

// TestIDThatIsASecretIsNotShown covers a token that was created and whose
// secret is lost.
func TestIDThatIsASecretIsNotShown(t *testing.T) {
	const bearer = "5ecf00d15ecf00d15ecf00d15ecf00d2"
	for _, id := range []string{bearer, bearer[3:], strings.ToUpper(bearer)} {
		n := &network{api: always(ok(`{"id":"` + id + `"}`)), token: always(issued(bearer, 3600))}
		_, err := n.client(t).PersonalAccessTokens.Create(t.Context(), newToken())
		var outcome *sailpoint.CreateOutcomeError
		require.ErrorAs(t, err, &outcome)
		assert.Empty(t, outcome.ID)
		for _, text := range printings(err) {
			requireAbsent(t, text, id)
		}
	}
}

// FuzzRedact shows that no error holds eight bytes of a secret, wherever a
// server echoes it.
func FuzzRedact(f *testing.F) {
	f.Add("cs-51&=+%ü-c0ffee", "eyJhbGciOiJFUzI1NiJ9.bearer-value_1.c2ln", 400)
	f.Add(`nuboted"a`, `bearer"and\back`, 551)
	f.Add(`quoted"and\back`, `bearer"and\back`, 500)
	f.Add("0123456789abcdef0123456789abcdef", "%25%25%25%25%25", 200)
	f.Fuzz(func(t *testing.T, clientSecret, bearer string, status int) {
		if status < 200 || status > 999 || len(clientSecret) < 8 || len(bearer) < 8 || !utf8.ValidString(clientSecret) {
			t.Skip("not a status, or not a secret")
		}
		quotedBearer, err := json.Marshal(bearer)
		if err != nil {
			t.Skip("not a bearer that can be issued")
		}
		issue := always(ok(`{"access_token":` + string(quotedBearer) + `}`))
		synctest.Test(t, func(t *testing.T) {
			// A text that appears without any echo is not a leak.
			harmless := echoErrors(t, clientSecret, issue, status, "", "")
			got := echoErrors(t, clientSecret, issue, status, clientSecret, bearer)
			for _, secret := range []string{clientSecret, bearer} {
				for i := range len(secret) - 7 {
					window := secret[i : i+8]
					if strings.Trim(window, `"`) != window {
						continue // the quote of a printed value can stand beside the other seven bytes
					}
					if at := strings.Index(got, window); at >= 0 && !strings.Contains(harmless, window) {
						t.Fatalf("%q in %q", window, got[max(0, at-200):min(len(got), at+200)])
					}
				}
			}
		})
	})
}

// echoErrors returns the texts of all errors if the API and the token endpoint
// echo these values. The token endpoint knows no bearer that it could echo.
func echoErrors(t *testing.T, clientSecret string, issue func(arrival) response, status int, clientSecretEcho, bearerEcho string) (texts string) {
	for _, r := range echoingResponses(status, clientSecretEcho) {
		texts += createError(t, clientSecret, &network{api: always(r), token: issue})
		texts += createError(t, clientSecret, &network{token: always(r)})
	}
	for _, r := range echoingResponses(status, bearerEcho) {
		texts += createError(t, clientSecret, &network{api: always(r), token: issue})
	}
	return texts
}

// echoingResponses returns responses and errors that hold the echoed text.
func echoingResponses(status int, echoed string) []response {
	quoted, err := json.Marshal(echoed)
	if err != nil {
		return nil
	}
	return []response{
		{status: status, body: `{"message":` + string(quoted) + `,"detailCode":` + string(quoted) + `}`},
		{status: status, body: url.QueryEscape(echoed), header: map[string]string{"SLPT-Request-ID": echoed}},
		{status: status, body: `{"error":` + jsonString(echoed) + `}`, header: map[string]string{"Location": "https://evil.example/?" + url.QueryEscape(echoed)}},
		{err: fmt.Errorf("header %s, and quoted %q", echoed, echoed)},
		{err: &url.Error{Op: "Get", URL: "https://acme.example/?" + echoed, Err: io.EOF}},
		{body: `[`, cut: fmt.Errorf("in form %s", url.QueryEscape(echoed))},
	}
}

// createError makes a Create and returns the text of its error, if any.
func createError(t *testing.T, clientSecret string, n *network) string {
	cfg := n.config()
	cfg.ClientSecret, cfg.MaxRetries = sailpoint.NewSecret(clientSecret), -1
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		t.Skip("not a valid client secret")
	}
	_, err = client.PersonalAccessTokens.Create(context.WithoutCancel(t.Context()), newToken())
	if err == nil {
		return ""
	}
	return fmt.Sprintf("%v %+v %#v\n", err, err, errors.Unwrap(err))
}

package sailpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// FuzzRetryAfter shows that a reported wait is never negative. It follows RFC
// 9110 or another known form.
func FuzzRetryAfter(f *testing.F) {
	for _, list := range [][]retryAfter{retryAfterSeconds, retryAfterTooLong, retryAfterOdd, retryAfterUnreadable, retryAfterDates} {
		for _, tt := range list {
			f.Add(tt.value, tt.date)
		}
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		synctest.Test(t, func(t *testing.T) {
			n := scripted(response{status: 429, header: map[string]string{"Retry-After": value, "Date": date}})
			failure := requireOneError(t, list(t.Context(), n.client(t, withoutRetries)))
			require.GreaterOrEqual(t, failure.RetryAfter, time.Duration(0))

			var want time.Duration
			trimmed := strings.TrimSpace(value)
			now, err := http.ParseTime(date)
			if err != nil {
				now = time.Now()
			}
			if decimal.MatchString(trimmed) {
				seconds, _ := strconv.ParseFloat(trimmed, 64)
				whole := int64(max(0, min(math.Ceil(seconds), float64(math.MaxInt64/int64(time.Second)))))
				want = time.Duration(whole) * time.Second
			}
			for _, layout := range []string{
				http.TimeFormat, time.RFC850, time.ANSIC, time.RFC3339,
				"Mon, 2 Jan 2006 15:04:05 GMT", "Mon, 2 Jan 2006 15:04:05 UTC", "Mon, 2 Jan 2006 15:04:05 -0700",
			} {
				if at, err := time.Parse(layout, trimmed); err == nil {
					want = max(at.Sub(now), 0)
				}
			}
			require.Equal(t, want, failure.RetryAfter)
		})
	})
}

var decimal = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// FuzzDecodeCreate shows that a whole id and secret are returned, whatever else
// the response holds. Otherwise the error says what is known and does not quote
// the secret.
func FuzzDecodeCreate(f *testing.F) {
	f.Add([]byte(created), false)
	for _, tt := range createOutcomes {
		f.Add([]byte(tt.response.body), tt.response.cut != nil)
	}
	for members := range otherForms() {
		f.Add([]byte(`{`+members+`,"id":"86f1","secret":"0123456789abcdef0123"}`), false)
	}
	f.Add([]byte(`{"id":"86f1","secret":"0123456789abcdef0123","created":"yesterday"}`), false)
	f.Add([]byte(`{"id":"..","secret":"0123456789abcdef0123"}`), true)
	f.Add([]byte(`{"id":"86f1","secret":"0123456789abcdef0123","secret"`), false)
	f.Fuzz(func(t *testing.T, body []byte, cut bool) {
		resp := ok(string(body))
		if cut {
			resp.cut = io.ErrUnexpectedEOF
		}
		got, err := scripted(resp).client(t, withoutRetries).PersonalAccessTokens.Create(t.Context(), newToken())
		id, secret := idAndSecret(body)
		if err == nil {
			require.NotEmpty(t, id)
			require.NotEmpty(t, secret)
			require.Equal(t, id, got.ID)
			require.Equal(t, secret, got.Secret.Reveal())
			require.NotContains(t, got.Name+got.Owner.Name+strings.Join(got.Scope, ""), "\ufffd")
			return
		}
		require.False(t, id != "" && secret != "", "id and secret are whole: %v", err)
		outcome := requireOutcome(t, err)
		require.Regexp(t, `^[A-Za-z0-9_-]{0,128}$`, outcome.ID)
		if outcome.ID != "" {
			require.Equal(t, id, outcome.ID)
			require.True(t, outcome.Created)
		}
		requirePrintable(t, err)
		if len(secret) > 16 {
			require.NotContains(t, err.Error(), secret)
		}
	})
}

// idAndSecret returns the id and secret of the object at the start of body, as
// far as it is JSON. A missing, damaged or repeated one is empty.
func idAndSecret(body []byte) (id, secret string) {
	dec := jsontext.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if start, err := dec.ReadToken(); err != nil || start.Kind() != '{' {
		return "", ""
	}
	values := map[string][]string{}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			break
		}
		key := name.String()
		value, valueErr := dec.ReadValue()
		text, err := jsontext.AppendUnquote(nil, value)
		if err != nil || strings.Contains(string(text), "\ufffd") {
			text = nil
		}
		// A name is repeated even if the body ends before its second value.
		values[key] = append(values[key], string(text))
		if valueErr != nil {
			break
		}
	}
	whole := func(key string) string {
		if len(values[key]) != 1 {
			return ""
		}
		return values[key][0]
	}
	return whole("id"), whole("secret")
}

// requirePrintable checks that the text of err is one line without control
// characters.
func requirePrintable(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	require.True(t, utf8.ValidString(text), "%q", text)
	require.Equal(t, -1, strings.IndexFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }), "%q", text)
	require.Less(t, len(text), 32<<10)
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

// FuzzPathID shows that a valid id is one segment of the path, byte for byte.
func FuzzPathID(f *testing.F) {
	for _, id := range []string{"86f1dc6fe8f54414950454cbb11278fa", "the-client-id", "", ".", "..", "../oauth", "a/b", "a%2fb", "a?x", "a#f", "a\x00b", "a\nb", "%2e%2e", "ü", "a_B-9"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		n := scripted(response{status: 204})
		err := n.client(t).PersonalAccessTokens.Delete(t.Context(), id)
		if err != nil {
			require.True(t, errors.Is(err, sailpoint.ErrInvalidArgument) || errors.Is(err, sailpoint.ErrSelf), "%v", err)
			require.Less(t, len(err.Error()), 1000)
			n.requireCounts(t, 0, 0)
			return
		}
		n.requireCounts(t, 1, 1)
		require.Equal(t, "https://acme.example/v2024/personal-access-tokens/"+id, n.calls[0].url)
		parsed, err := url.Parse(n.calls[0].url)
		require.NoError(t, err)
		require.Equal(t, "/v2024/personal-access-tokens/"+id, parsed.EscapedPath())
		require.NotContains(t, id, "/")
		require.NotContains(t, id, ".")
	})
}

// FuzzBaseURL shows that requests go to the host of a valid URL, and use TLS
// unless it is this computer. An error about an invalid URL does not quote its
// password.
func FuzzBaseURL(f *testing.F) {
	for _, raw := range invalidURLs {
		f.Add(raw)
	}
	for _, raw := range []string{"https://acme.example", "HTTPS://acme.example:8443/gateway/", "http://localhost:8080", "http://[::1]:1", "https://[2001:db8::1]"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		n := &network{}
		cfg := n.config()
		cfg.BaseURL = raw
		client, err := sailpoint.NewClient(cfg)
		parsed, invalid := url.Parse(raw)
		if err != nil {
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			if invalid == nil && parsed.User != nil {
				if password, _ := parsed.User.Password(); len(password) > 8 {
					require.NotContains(t, err.Error(), password)
				}
			}
			return
		}
		require.NoError(t, invalid)
		require.NoError(t, list(t.Context(), client))
		n.requireCounts(t, 1, 1)
		for _, sent := range []string{n.calls[0].url, n.fetches[0].url} {
			to, err := url.Parse(sent)
			require.NoError(t, err)
			require.Equal(t, parsed.Host, to.Host)
			require.Nil(t, to.User)
			require.Empty(t, to.RawQuery+to.Fragment)
			require.NotContains(t, strings.Split(to.EscapedPath(), "/"), "..")
			if to.Scheme != "https" {
				require.Equal(t, "http", to.Scheme)
				address := net.ParseIP(to.Hostname())
				require.True(t, to.Hostname() == "localhost" || address != nil && address.IsLoopback())
			}
		}
	})
}

// FuzzQuery shows that any filter and owner arrive unchanged, and change
// nothing else of the URL.
func FuzzQuery(f *testing.F) {
	f.Add("lastUsed isnull", "me")
	f.Add(`lastUsed le 2023-02-05T10:59:27.214Z or x eq "a+b&c=d#e%20"`, "../../oauth?x=1#f")
	f.Add("\x00\xff\n", "ü")
	f.Fuzz(func(t *testing.T, filter, owner string) {
		n := &network{}
		_, err := n.client(t).PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{
			OwnerID: owner, Filter: sailpoint.PersonalAccessTokenFilter(filter),
		})
		require.NoError(t, err)
		n.requireCounts(t, 1, 1)
		sent, err := url.Parse(n.calls[0].url)
		require.NoError(t, err)
		require.Equal(t, "https://acme.example/v2024/personal-access-tokens", strings.TrimSuffix(n.calls[0].url, "?"+sent.RawQuery))
		query, err := url.ParseQuery(sent.RawQuery)
		require.NoError(t, err)
		want := url.Values{}
		if owner != "" {
			want.Set("owner-id", owner)
		}
		if filter != "" {
			want.Set("filters", filter)
		}
		require.Equal(t, want, query)
	})
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

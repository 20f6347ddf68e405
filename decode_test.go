package sailpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sort"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// TestListsOfManyLengths shows that no token is lost, also between the chunks of
// List.
func TestListsOfManyLengths(t *testing.T) {
	for _, n := range []int{0, 1, 2, 4, 5, 6, 20, 21, 22, 1364, 1365, 1366, 2388, 2389, 2390, 3414, 10_000} {
		client := scripted(response{stream: func(context.Context) io.Reader { return manyTokens(n) }}).client(t)
		tokens, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
		require.NoError(t, err)
		require.Len(t, tokens, n)
		for i, token := range tokens {
			require.Equal(t, fmt.Sprintf("%032x", i), token.ID)
		}
		count := 0
		for token, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
			require.NoError(t, err)
			require.Equal(t, tokens[count].ID, token.ID)
			count++
		}
		require.Equal(t, n, count)
	}
}

// TestAllHoldsOneTokenAtATime shows that many tokens need no more memory
// than one.
func TestAllHoldsOneTokenAtATime(t *testing.T) {
	const n, every, most = 100_000, 25_000, 1 << 20
	client := scripted(response{stream: func(context.Context) io.Reader {
		return &tokenStream{n: n, token: func(b *bytes.Buffer, i int) { fmt.Fprintf(b, `{"id":"%d"}`, i) }}
	}}).client(t)
	count := 0
	var before, after runtime.MemStats
	for _, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
		require.NoError(t, err)
		if count == 0 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
		if count++; count%every == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(most))
		}
	}
	require.Equal(t, n, count)
}

// TestAllYieldsWhatHasArrived shows that All does not wait for the rest of the
// response.
func TestAllYieldsWhatHasArrived(t *testing.T) {
	parts := make(chan string, 1)
	parts <- `[{"id":"a"}`
	n := scripted(response{stream: func(ctx context.Context) io.Reader { return &chanReader{parts: parts, done: ctx.Done()} }})
	for token, err := range n.client(t).PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
		require.NoError(t, err)
		require.Equal(t, "a", token.ID)
		break // another read would never return
	}
}

func TestBodyThatIsNotOneObject(t *testing.T) {
	for _, body := range []string{"\ufeff" + created, created + created, "null", "[]", "{}", `"x"`, "1", "true", "{", created + "x", "\x00"} {
		t.Run(body, func(t *testing.T) {
			for _, op := range []int{3, 4, 5, 6} { // Patch, Create and the fetch
				n := scripted(ok(body))
				if operations[op].name == "fetch" {
					n = &network{token: n.api}
				}
				err := operations[op].call(t.Context(), n.client(t, withoutRetries))
				if op == 5 && strings.Contains(body, created) && body[0] != '[' {
					require.NoError(t, err, "the first object is a whole token, whose secret is shown only once")
					continue
				}
				require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
				require.Equal(t, operations[op].name != "fetch", errors.Is(err, sailpoint.ErrOutcomeUnknown))
				assert.NotContains(t, err.Error(), "the-new-secret")
			}
		})
	}
}

// TestResponsesOfAProxy shows that the reported type does not matter. A body
// that is not JSON is kept in the error, but not in its text.
func TestResponsesOfAProxy(t *testing.T) {
	t.Parallel()
	html := "<html>\x1b[2J" + strings.Repeat("please sign in\n", 10_000) + "</html>"
	for _, contentType := range []string{"application/json", "text/html", "text/plain", "application/problem+json", "", "\x1b[31m"} {
		header := map[string]string{"Content-Type": contentType}
		for _, op := range operations {
			responses := map[error]response{
				nil:                          {header: header, status: op.success.status, body: op.success.body},
				sailpoint.ErrInvalidResponse: {header: header, body: html},
				sailpoint.ErrServer:          {header: header, status: 502, body: html},
			}
			for want, a := range responses {
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

func TestInvalidListIsAnError(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "null": "null", "object": "{}", "html": "<html>", "byte order mark": "\ufeff[]",
		"trailing data": `[] []`, "null element": `[null]`, "null after a token": `[{"id":"a"},null]`, "no id": `[{"name":"n"}]`, "id null": `[{"id":null}]`,
		"cut": `[{"id":"a"},`, "two names": `[{"id":"a","name":"n","name":"m"}]`, "not UTF-8": "[{\"id\":\"a\xff\"}]",
		"bad date": `[{"id":"a","created":"yesterday"}]`, "part of a second": `[{"id":"a","accessTokenValiditySeconds":1.5}]`,
		"deep": `[{"id":"a","u":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}]`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted(ok(body))
				s := n.client(t).PersonalAccessTokens
				tokens, err := s.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
				require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
				require.Nil(t, tokens)
				var failures int
				for _, err := range s.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
					if err != nil {
						require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
						failures++
					}
				}
				require.Equal(t, 1, failures)
			})
		})
	}
}

// TestMaxListBytes limits the memory that List needs, and not the bytes of the
// response.
func TestMaxListBytes(t *testing.T) {
	const limit, overhead = 1 << 20, 1 << 20 // buffers, and unused ends of chunks
	for name, token := range map[string]func(i int) string{
		"small":             func(int) string { return `{"id":"0"}` },
		"every member":      func(int) string { return aToken },
		"long names":        func(int) string { return `{"id":"0","name":"` + strings.Repeat("n", 5000) + `"}` },
		"one scope":         func(int) string { return `{"id":"0","scope":["s"]}` },
		"many scopes":       func(int) string { return `{"id":"0","scope":[""` + strings.Repeat(`,""`, 1000) + `]}` },
		"scopes of its own": func(i int) string { return fmt.Sprintf(`{"id":"0","scope":["s%d","t%d"]}`, i, i) },
		"optional members": func(int) string {
			return `{"id":"0","lastUsed":"2017-07-11T18:45:37Z","userAwareTokenNeverExpires":true}`
		},
		"unknown members": func(int) string { return `{"id":"0","x":"` + strings.Repeat("x", 100) + `"}` },
	} {
		t.Run(name, func(t *testing.T) {
			clientOf := func(n int) *sailpoint.Client {
				var body strings.Builder
				body.WriteString("[")
				for i := range n {
					body.WriteString(token(i) + ",")
				}
				return scripted(ok(strings.TrimSuffix(body.String(), ",")+"]")).client(t, withoutRetries, func(cfg *sailpoint.Config) { cfg.MaxListBytes = limit })
			}
			fits := func(n int) bool { return list(t.Context(), clientOf(n)) == nil }
			tooMany := 1
			for fits(tooMany) {
				tooMany *= 2
			}
			most := tooMany/2 + sort.Search(tooMany/2, func(n int) bool { return !fits(tooMany/2 + n + 1) })
			require.Positive(t, most)

			listed := func(n int) (tokens []sailpoint.PersonalAccessToken, err error) {
				client := clientOf(n)
				list := func() {
					tokens, err = client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
				}
				if raceDetector { // it empties the pool of readers at random, so that memory says nothing
					list()
				} else {
					requireMemory(t, limit+overhead, list)
				}
				return tokens, err
			}
			tokens, err := listed(most)
			require.NoError(t, err)
			require.Len(t, tokens, most)
			_, err = listed(most + 1)
			requireMatches(t, err, sailpoint.ErrInvalidResponse)
			require.ErrorContains(t, err, "use All")
		})
	}
}

// TestAllOfOneLargeToken shows that All reads a token of 1 MiB with a few MiB
// of memory.
func TestAllOfOneLargeToken(t *testing.T) {
	fill := func(start, part, end string) string {
		return start + strings.Repeat(part, (1<<20-1000)/len(part)) + end
	}
	for name, token := range map[string]string{
		"name":           fill(`{"id":"a","name":"`, "n", `"}`),
		"escaped name":   fill(`{"id":"a","name":"`, `\n`, `"}`),
		"scope":          fill(`{"id":"a","scope":["`, "s", `"]}`),
		"short scopes":   fill(`{"id":"a","scope":["s"`, `,""`, `]}`),
		"longer scopes":  fill(`{"id":"a","scope":["s"`, `,"idn:sources:read"`, `]}`),
		"unknown":        fill(`{"id":"a","x":["x"`, `,[]`, `]}`),
		"unknown names":  fill(`{"id":"a"`, `,"":0`, `}`),
		"members before": fill(`{`, `"x":1,`, `"id":"a"}`),
	} {
		t.Run(name, func(t *testing.T) {
			client := scripted(ok(`[`+token+`,{"id":"b"}]`)).client(t, withoutRetries)
			var ids []string
			requireMemory(t, 16<<20, func() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				for token, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
					if err != nil {
						require.Equal(t, "short scopes", name, "%v", err)
						requireMatches(t, err, sailpoint.ErrInvalidResponse)
						ids = append(ids, "a", "b")
						break
					}
					ids = append(ids, token.ID)
					runtime.GC()
					runtime.ReadMemStats(&after)
					require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(8<<20))
				}
			})
			require.Equal(t, []string{"a", "b"}, ids)
		})
	}
}

func TestCreateResponseAtItsSizeLimit(t *testing.T) {
	whole := created + strings.Repeat(" ", 1<<20-len(created))
	require.NoError(t, create(t.Context(), scripted(ok(whole)).client(t)))
	require.NoError(t, create(t.Context(), scripted(ok(whole+" ")).client(t)), "id and secret are within the limit")
	padded := `{"id":"abc","name":"` + strings.Repeat("x", 1<<20) + `","secret":"s"}`
	err := create(t.Context(), scripted(ok(padded)).client(t))
	require.True(t, requireOutcome(t, err).Created)
	require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
}

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

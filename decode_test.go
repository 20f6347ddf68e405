package sailpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// TestStrictness: what json.Unmarshal refuses, and nothing else, is refused.
func TestStrictness(t *testing.T) {
	for name, c := range strictness() {
		t.Run(name, func(t *testing.T) {
			client := scripted(ok(c.list)).client(t, withoutRetries)
			want, refused := unmarshalled(c.list)
			require.Equal(t, c.refused, refused, "by json.Unmarshal")
			requireSameReading(t, client, want, refused)
		})
	}
}

type strictCase struct {
	list    string
	refused bool
}

func strictness() map[string]strictCase {
	const taken, refused = false, true
	token := func(members string) string { return `[{"id":"a",` + members + `}]` }
	return map[string]strictCase{
		"empty list":                    {` [ ] `, taken},
		"every member":                  {fullList, taken},
		"every member null":             {token(`"name":null,"scope":null,"owner":null,"created":null,"lastUsed":null,"managed":null,"accessTokenValiditySeconds":null,"expirationDate":null,"userAwareTokenNeverExpires":null`), taken},
		"members of the owner null":     {token(`"owner":{"type":null,"id":null,"name":null}`), taken},
		"another order":                 {`[{"userAwareTokenNeverExpires":true,"owner":{"name":"n","type":"t"},"scope":[],"id":"a"}]`, taken},
		"escaped names":                 {`[{"\u0069d":"a","n\u0061me":"n"}]`, taken},
		"escapes":                       {token(`"name":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`), taken},
		"names in other cases":          {token(`"ID":"b","Name":"n"`), taken},
		"unknown members":               {token(`"x":null,"y":{"x":[{}]},"":1,"\"":2,"z":[true]`), taken},
		"unknown of all levels":         {token(`"x":1,"owner":{"x":1,"type":"t","y":{"x":1}},"y":1`), taken},
		"null in a scope":               {token(`"scope":["a",null]`), taken},
		"a date with an offset":         {token(`"created":"2024-02-29T23:59:59.5+05:30"`), taken},
		"a date with nanoseconds":       {token(`"created":"2024-02-29T23:59:59.123456789Z"`), taken},
		"a date with an escape":         {token(`"created":"2024-02-29T23:59:59\u005a"`), taken},
		"minus zero":                    {token(`"accessTokenValiditySeconds":-0`), taken},
		"nothing":                       {``, refused},
		"not a list":                    {`{"id":"a"}`, refused},
		"a string":                      {`"a"`, refused},
		"null":                          {`null`, refused},
		"cut in a token":                {`[{"id":"a"`, refused},
		"cut in a name":                 {`[{"id":"a"},{"i`, refused},
		"cut behind a token":            {`[{"id":"a"}`, refused},
		"more behind the list":          {`[] 1`, refused},
		"no comma":                      {`[{"id":"a"}{"id":"b"}]`, refused},
		"a comma too much":              {`[{"id":"a"},]`, refused},
		"a comma in the token":          {`[{"id":"a",}]`, refused},
		"a name without a value":        {`[{"id"}]`, refused},
		"a token that is a list":        {`[["a"]]`, refused},
		"a token that is a number":      {`[1]`, refused},
		"a token that is null":          {`[null]`, refused},
		"no id":                         {`[{"name":"n"}]`, refused},
		"an empty id":                   {`[{"id":""}]`, refused},
		"a null id":                     {`[{"id":null}]`, refused},
		"an id that is a number":        {`[{"id":1}]`, refused},
		"two ids":                       {`[{"id":"a","id":"a"}]`, refused},
		"two ids, one null":             {`[{"id":null,"id":"a"}]`, refused},
		"two ids, one escaped":          {`[{"id":"a","\u0069d":"a"}]`, refused},
		"two unknown":                   {token(`"x":1,"x":1`), refused},
		"two unknown, one escaped":      {token(`"x":1,"\u0078":1`), refused},
		"two unknown, both escaped":     {token(`"\u000a":1,"\n":1`), refused},
		"two unknown around the owner":  {token(`"x":1,"owner":{"x":1},"x":1`), refused},
		"two unknown in the owner":      {token(`"owner":{"x":1,"x":1}`), refused},
		"two in an unknown":             {token(`"x":{"y":1,"y":1}`), refused},
		"two deep in an unknown":        {token(`"x":[[{"y":{"z":1,"z":1}}]]`), refused},
		"two owners":                    {token(`"owner":null,"owner":{}`), refused},
		"two names of the owner":        {token(`"owner":{"name":"a","name":"b"}`), refused},
		"an owner that is a string":     {token(`"owner":"a"`), refused},
		"an owner that is a list":       {token(`"owner":[]`), refused},
		"an owner's id of another type": {token(`"owner":{"id":1}`), refused},
		"a scope that is a string":      {token(`"scope":"a"`), refused},
		"a scope with a number":         {token(`"scope":["a",1]`), refused},
		"a scope with an object":        {token(`"scope":[{"a":1,"a":1}]`), refused},
		"not UTF-8":                     {token("\"name\":\"\xff\""), refused},
		"not UTF-8 in an unknown":       {token("\"x\":[\"\xff\"]"), refused},
		"not UTF-8 in a name":           {token("\"\xff\":1"), refused},
		"half a surrogate":              {token(`"name":"\ud83d"`), refused},
		"a raw control character":       {token("\"name\":\"\n\""), refused},
		"an hour of one digit":          {token(`"created":"2024-02-29T8:45:37Z"`), refused},
		"a comma in a date":             {token(`"created":"2024-02-29T08:45:37,5Z"`), refused},
		"a day that doesn't exist":      {token(`"created":"2023-02-29T08:45:37Z"`), refused},
		"an offset of a day":            {token(`"created":"2024-02-29T08:45:37+24:00"`), refused},
		"a date that is a number":       {token(`"lastUsed":1`), refused},
		"an empty date":                 {token(`"expirationDate":""`), refused},
		"a fraction of a second":        {token(`"accessTokenValiditySeconds":1.5`), refused},
		"a bool that is a string":       {token(`"managed":"true"`), refused},
		"a bool that is a number":       {token(`"userAwareTokenNeverExpires":0`), refused},
	}
}

// FuzzDecodeList compares with json.Unmarshal, which reads by reflection: both return the same tokens, or both refuse.
func FuzzDecodeList(f *testing.F) {
	for _, c := range strictness() {
		f.Add(c.list)
	}
	f.Fuzz(func(t *testing.T, body string) {
		client := scripted(ok(body)).client(t, withoutRetries)
		want, refused := unmarshalled(body)
		requireSameReading(t, client, want, refused)

		var one sailpoint.PersonalAccessToken
		refused = json.Unmarshal([]byte(body), &one) != nil || one.ID == ""
		got, err := client.PersonalAccessTokens.Patch(t.Context(), "id", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
		require.Equal(t, refused, err != nil, "%v", err)
		if !refused {
			require.Equal(t, one, *got)
		}
	})
}

// unmarshalled returns the tokens of body as the library reads them, and whether the answer is to be refused.
func unmarshalled(body string) (tokens []sailpoint.PersonalAccessToken, refused bool) {
	if err := json.Unmarshal([]byte(body), &tokens); err != nil || tokens == nil {
		return nil, true
	}
	for _, token := range tokens {
		if token.ID == "" {
			return nil, true
		}
	}
	return tokens, false
}

// requireSameReading checks that List and All return want, or that both refuse.
func requireSameReading(t *testing.T, client *sailpoint.Client, want []sailpoint.PersonalAccessToken, refused bool) {
	t.Helper()
	listed, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
	yielded := []sailpoint.PersonalAccessToken{}
	var failure error
	for token, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
		if failure = err; err == nil {
			yielded = append(yielded, token)
		}
	}
	if refused {
		require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
		require.ErrorIs(t, failure, sailpoint.ErrInvalidResponse)
		return
	}
	require.NoError(t, err)
	require.NoError(t, failure)
	require.Equal(t, want, listed)
	require.Equal(t, want, yielded)
}

// TestDecodingErrorsRepeatNothing: an answer may hold what is not to be logged, whatever is wrong with it.
func TestDecodingErrorsRepeatNothing(t *testing.T) {
	const private = "pr1vate"
	for _, body := range []string{
		`[{"id":"a","created":"pr1vate"}]`, `[{"id":"a","name":pr1vate}]`, `[{"id":"a","scope":{"pr1vate":1}}]`, `[{"pr1vate":1,"pr1vate":2}]`,
		`[{"id":"a","x":{"pr1vate":1,"pr1vate":2}}]`, `[{"id":"a","managed":"pr1vate"}]`, `[{"id":"a","owner":{"pr1vate":pr1vate}}]`,
		`[{"id":"a","accessTokenValiditySeconds":"pr1vate"}]`, `pr1vate`, `{"pr1vate":[]}`, `[{"id":"a","name":"pr1vate`,
	} {
		err := list(t.Context(), scripted(ok(body)).client(t, withoutRetries))
		require.ErrorIs(t, err, sailpoint.ErrInvalidResponse, body)
		for _, link := range chain(err) {
			assert.NotContains(t, link.Error(), private, body)
		}
	}
}

// TestScopesAreTheCallersOwn: tokens with the same scopes share nothing that one could write to.
func TestScopesAreTheCallersOwn(t *testing.T) {
	client := scripted(ok(`[{"id":"a","scope":["s","t"]},{"id":"b","scope":["s","t"]},{"id":"c","scope":["s","t"]}]`)).client(t)
	for range 2 {
		tokens, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
		require.NoError(t, err)
		for i := range tokens {
			require.Equal(t, []string{"s", "t"}, tokens[i].Scope)
			tokens[i].Scope[0] = "changed"
			_ = append(tokens[i].Scope[:1], "changed")
		}
	}
}

// TestListsOfManyLengths: none is lost where one chunk ends and the next begins.
func TestListsOfManyLengths(t *testing.T) {
	for _, n := range []int{0, 1, 2, 4, 5, 6, 20, 21, 22, 1364, 1365, 1366, 2388, 2389, 2390, 3414} {
		client := scripted(answer{stream: func(context.Context) io.Reader { return manyTokens(n) }}).client(t)
		tokens, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
		require.NoError(t, err)
		require.Len(t, tokens, n)
		for i, token := range tokens {
			require.Equal(t, fmt.Sprintf("%032x", i), token.ID)
		}
	}
}

// TestAllocationsOfAToken: four, of its strings, its scope and the two times that may be missing.
func TestAllocationsOfAToken(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools forget what they hold, which this counts")
	}
	const n = 1000
	body, err := io.ReadAll(manyTokens(n))
	require.NoError(t, err)
	for name, body := range map[string]string{
		"usual":          string(body),
		"unknown member": strings.ReplaceAll(string(body), `"name"`, `"usage":{"calls":[{"n":1}]},"name"`),
		"escaped name":   strings.ReplaceAll(string(body), `"Nightly`, `"\"Nightly\"`),
	} {
		t.Run(name, func(t *testing.T) {
			client := scripted(ok(body)).client(t)
			perToken := func(f func()) float64 { return testing.AllocsPerRun(20, f) / n }
			require.LessOrEqual(t, perToken(func() { _ = list(t.Context(), client) }), 4.5)
			require.LessOrEqual(t, perToken(func() {
				for _, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
					require.NoError(t, err)
				}
			}), 4.5)
		})
	}
}

// TestAllHoldsOneTokenAtATime: a million tokens need no more memory than one.
func TestAllHoldsOneTokenAtATime(t *testing.T) {
	const n, every, most = 1_000_000, 250_000, 1 << 20
	client := scripted(answer{stream: func(context.Context) io.Reader {
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

// TestAllYieldsWhatHasArrived: the first token before the last byte, and a break before the rest.
func TestAllYieldsWhatHasArrived(t *testing.T) {
	parts := make(chan string, 1)
	parts <- `[{"id":"a"}`
	n := scripted(answer{stream: func(ctx context.Context) io.Reader { return &chanReader{parts: parts, done: ctx.Done()} }})
	for token, err := range n.client(t).PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
		require.NoError(t, err)
		require.Equal(t, "a", token.ID)
		break // a read of more would wait for ever
	}
}

// TestAllForgets: what no other token has must not add up.
func TestAllForgets(t *testing.T) {
	const n, every, most = 20_000, 1_000, 1 << 20
	for name, write := range map[string]func(b *bytes.Buffer, i int){
		"long names": func(b *bytes.Buffer, i int) { fmt.Fprintf(b, `{"id":"a","%0200d":1}`, i) },
		"short names and scopes": func(b *bytes.Buffer, i int) {
			fmt.Fprintf(b, `{"id":"a","%d":1,"scope":["%d"],"owner":{"%d":1}}`, i, i, i)
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := scripted(answer{stream: func(context.Context) io.Reader { return &tokenStream{n: n, token: write} }}).client(t)
			var before, after runtime.MemStats
			count := 0
			for _, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
				require.NoError(t, err)
				if count++; count == 1 {
					runtime.GC()
					runtime.ReadMemStats(&before)
				}
				if count%every == 0 {
					runtime.GC()
					runtime.ReadMemStats(&after)
					require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(most))
				}
			}
			require.Equal(t, n, count)
		})
	}
}

// tokenStream is a list that is written while it is read.
type tokenStream struct {
	n     int
	token func(b *bytes.Buffer, i int)

	written int
	part    bytes.Buffer
	ended   bool
}

// manyTokens is a list of n tokens like the API's.
func manyTokens(n int) *tokenStream {
	created := time.Date(2024, 5, 17, 18, 45, 37, 98e6, time.UTC).Format(`"2006-01-02T15:04:05.000Z"`)
	rest := `,"name":"Nightly account export","scope":["idn:accounts:read","idn:sources:read"],` +
		`"owner":{"type":"IDENTITY","id":"2c9180a46faadee4016fb4e018c20639","name":"Ada Lovelace"},"created":` + created +
		`,"lastUsed":` + created + `,"managed":false,"accessTokenValiditySeconds":43200,"expirationDate":` + created + `}`
	return &tokenStream{n: n, token: func(b *bytes.Buffer, i int) {
		const digits = "0123456789abcdef"
		b.WriteString(`{"id":"`)
		for shift := 124; shift >= 0; shift -= 4 {
			b.WriteByte(digits[i>>min(shift, 63)&15])
		}
		b.WriteString(`"`)
		b.WriteString(rest)
	}}
}

func (s *tokenStream) Read(p []byte) (int, error) {
	if s.part.Len() == 0 {
		if s.ended {
			return 0, io.EOF
		}
		s.part.Reset()
		if s.written == 0 {
			s.part.WriteByte('[')
		}
		for ; s.written < s.n && s.part.Len() < 32<<10; s.written++ {
			if s.written > 0 {
				s.part.WriteByte(',')
			}
			s.token(&s.part, s.written)
		}
		if s.ended = s.written == s.n; s.ended {
			s.part.WriteByte(']')
		}
	}
	return s.part.Read(p)
}

func TestDeepJSON(t *testing.T) {
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

func TestDuplicateMembers(t *testing.T) {
	n := scripted(ok(`{"id":"abc","secret":"right","SECRET":"wrong","Secret":"wrong","name":"n","Id":"other"}`))
	got, err := n.client(t).PersonalAccessTokens.Create(t.Context(), newToken())
	require.NoError(t, err)
	assert.Equal(t, "right abc", got.Secret.Reveal()+" "+got.ID, "names have a case, so these are unknown members")

	n = scripted(ok(`{"id":"abc","id":"other","name":"n"}`))
	_, err = n.client(t).PersonalAccessTokens.Patch(t.Context(), "abc", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
	requireMatches(t, err, sailpoint.ErrInvalidResponse, sailpoint.ErrOutcomeUnknown)
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
				require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
				require.Equal(t, operations[op].name != "fetch", errors.Is(err, sailpoint.ErrOutcomeUnknown))
				assert.NotContains(t, err.Error(), "the-new-secret")
			}
		})
	}
}

// TestResponsesOfAProxy: of the type that is told nothing depends, and what isn't JSON is kept and not shown.
func TestResponsesOfAProxy(t *testing.T) {
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

// TestUnexpectedMembers: what is unknown, null or missing is taken, what has another type is not.
func TestUnexpectedMembers(t *testing.T) {
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

func TestListsOfAnyLength(t *testing.T) {
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

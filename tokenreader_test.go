package sailpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// TestStrictness shows that only a list of tokens is valid, and that it is
// decoded as json.Unmarshal does.
func TestStrictness(t *testing.T) {
	for name, c := range strictCases() {
		t.Run(name, func(t *testing.T) {
			client := scripted(ok(c.list)).client(t, withoutRetries)
			want, invalid := unmarshalled(c.list)
			require.Equal(t, c.invalid, invalid, "by json.Unmarshal")
			requireSameTokens(t, client, want, invalid)
		})
	}
}

type strictCase struct {
	list    string
	invalid bool
}

func strictCases() map[string]strictCase {
	const valid, invalid = false, true
	token := func(members string) string { return `[{"id":"a",` + members + `}]` }
	return map[string]strictCase{
		"empty list":                    {` [ ] `, valid},
		"every member":                  {fullList, valid},
		"every member null":             {token(`"name":null,"scope":null,"owner":null,"created":null,"lastUsed":null,"managed":null,"accessTokenValiditySeconds":null,"expirationDate":null,"userAwareTokenNeverExpires":null`), valid},
		"members of the owner null":     {token(`"owner":{"type":null,"id":null,"name":null}`), valid},
		"another order":                 {`[{"userAwareTokenNeverExpires":true,"owner":{"name":"n","type":"t"},"scope":[],"id":"a"}]`, valid},
		"escaped names":                 {`[{"\u0069d":"a","n\u0061me":"n"}]`, valid},
		"escapes":                       {token(`"name":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`), valid},
		"names in other cases":          {token(`"ID":"b","Name":"n"`), valid},
		"unknown members":               {token(`"x":null,"y":{"x":[{}]},"":1,"\"":2,"z":[true]`), valid},
		"unknown of all levels":         {token(`"x":1,"owner":{"x":1,"type":"t","y":{"x":1}},"y":1`), valid},
		"null in a scope":               {token(`"scope":["a",null]`), valid},
		"a date with an offset":         {token(`"created":"2024-02-29T23:59:59.5+05:30"`), valid},
		"a date with nanoseconds":       {token(`"created":"2024-02-29T23:59:59.123456789Z"`), valid},
		"a date with an escape":         {token(`"created":"2024-02-29T23:59:59\u005a"`), valid},
		"minus zero":                    {token(`"accessTokenValiditySeconds":-0`), valid},
		"nothing":                       {``, invalid},
		"not a list":                    {`{"id":"a"}`, invalid},
		"a string":                      {`"a"`, invalid},
		"null":                          {`null`, invalid},
		"cut in a token":                {`[{"id":"a"`, invalid},
		"cut in a name":                 {`[{"id":"a"},{"i`, invalid},
		"cut after a token":             {`[{"id":"a"}`, invalid},
		"more after the list":           {`[] 1`, invalid},
		"no comma":                      {`[{"id":"a"}{"id":"b"}]`, invalid},
		"a comma too much":              {`[{"id":"a"},]`, invalid},
		"a comma in the token":          {`[{"id":"a",}]`, invalid},
		"a name without a value":        {`[{"id"}]`, invalid},
		"a token that is a list":        {`[["a"]]`, invalid},
		"a token that is a number":      {`[1]`, invalid},
		"a token that is null":          {`[null]`, invalid},
		"no id":                         {`[{"name":"n"}]`, invalid},
		"an empty id":                   {`[{"id":""}]`, invalid},
		"a null id":                     {`[{"id":null}]`, invalid},
		"an id that is a number":        {`[{"id":1}]`, invalid},
		"two ids":                       {`[{"id":"a","id":"a"}]`, invalid},
		"two ids, one null":             {`[{"id":null,"id":"a"}]`, invalid},
		"two ids, one escaped":          {`[{"id":"a","\u0069d":"a"}]`, invalid},
		"two owners":                    {token(`"owner":null,"owner":{}`), invalid},
		"two names of the owner":        {token(`"owner":{"name":"a","name":"b"}`), invalid},
		"an owner that is a string":     {token(`"owner":"a"`), invalid},
		"an owner that is a list":       {token(`"owner":[]`), invalid},
		"an owner's id of another type": {token(`"owner":{"id":1}`), invalid},
		"a scope that is a string":      {token(`"scope":"a"`), invalid},
		"a scope with a number":         {token(`"scope":["a",1]`), invalid},
		"a scope with an object":        {token(`"scope":[{"a":1,"a":1}]`), invalid},
		"a raw control character":       {token("\"name\":\"\n\""), invalid},
		"an hour of one digit":          {token(`"created":"2024-02-29T8:45:37Z"`), invalid},
		"a day that doesn't exist":      {token(`"created":"2023-02-29T08:45:37Z"`), invalid},
		"an offset of a day":            {token(`"created":"2024-02-29T08:45:37+24:00"`), invalid},
		"a date that is a number":       {token(`"lastUsed":1`), invalid},
		"a date without a time":         {token(`"created":"2024-02-29"`), invalid},
		"an hour too much":              {token(`"created":"2024-02-29T24:00:00Z"`), invalid},
		"two seconds too much":          {token(`"created":"2024-02-29T23:59:61Z"`), invalid},
		"a year of five digits":         {token(`"created":"10000-01-01T00:00:00Z"`), invalid},
		"a zone with a name":            {token(`"created":"2024-02-29T23:59:59 CET"`), invalid},
		"an id that is not UTF-8":       {"[{\"id\":\"a\xff\"}]", invalid},
		"an id with half a surrogate":   {`[{"id":"a\ud83d"}]`, invalid},
		"an owner's id not UTF-8":       {token("\"owner\":{\"id\":\"\xff\"}"), invalid},
		"a fraction of a second":        {token(`"accessTokenValiditySeconds":1.5`), invalid},
		"a bool that is a string":       {token(`"managed":"true"`), invalid},
		"a bool that is a number":       {token(`"userAwareTokenNeverExpires":0`), invalid},
	}
}

// otherForms are members in forms that json.Unmarshal rejects although they
// have one clear meaning.
func otherForms() map[string]func(*sailpoint.PersonalAccessToken) {
	created := func(year int, month time.Month, day, hour, minute, second, nanosecond int) func(*sailpoint.PersonalAccessToken) {
		return func(token *sailpoint.PersonalAccessToken) {
			token.Created = time.Date(year, month, day, hour, minute, second, nanosecond, time.UTC)
		}
	}
	seconds := func(n int) func(*sailpoint.PersonalAccessToken) {
		return func(token *sailpoint.PersonalAccessToken) { token.AccessTokenValiditySeconds = n }
	}
	named := func(name string) func(*sailpoint.PersonalAccessToken) {
		return func(token *sailpoint.PersonalAccessToken) { token.Name = name }
	}
	nothing := func(*sailpoint.PersonalAccessToken) {}
	return map[string]func(*sailpoint.PersonalAccessToken){
		`"created":""`:                               nothing,
		`"lastUsed":"","expirationDate":""`:          nothing,
		`"created":"2024-02-29t23:59:59z"`:           created(2024, 2, 29, 23, 59, 59, 0),
		`"created":"2016-12-31T23:59:60Z"`:           created(2017, 1, 1, 0, 0, 0, 0),
		`"created":"2016-12-31T23:59:60.5Z"`:         created(2017, 1, 1, 0, 0, 0, 5e8),
		`"created":"2024-02-29T23:59:59+0000"`:       created(2024, 2, 29, 23, 59, 59, 0),
		`"created":"2024-02-29T23:59:59.25+0530"`:    created(2024, 2, 29, 18, 29, 59, 25e7),
		`"created":"2024-02-29T23:59:59-08"`:         created(2024, 3, 1, 7, 59, 59, 0),
		`"created":"2024-02-29T23:59Z"`:              created(2024, 2, 29, 23, 59, 0, 0),
		`"created":"2024-02-29T23:59+01:00"`:         created(2024, 2, 29, 22, 59, 0, 0),
		`"created":"2024-02-29 23:59:59.000001Z"`:    created(2024, 2, 29, 23, 59, 59, 1000),
		`"created":"2024-02-29 23:59:59+00"`:         created(2024, 2, 29, 23, 59, 59, 0),
		`"created":"2024-02-29 23:59:59 +0000"`:      created(2024, 2, 29, 23, 59, 59, 0),
		`"created":"2024-02-29T23:59:59"`:            created(2024, 2, 29, 23, 59, 59, 0),
		`"created":"2024-02-29 23:59"`:               created(2024, 2, 29, 23, 59, 0, 0),
		`"created":"2024-02-29T23:59:59,5Z"`:         created(2024, 2, 29, 23, 59, 59, 5e8),
		`"created":"2024-02-29T23:59:59\u007a"`:      created(2024, 2, 29, 23, 59, 59, 0),
		`"created":"2024-02-29T23:59:59.1234567899"`: created(2024, 2, 29, 23, 59, 59, 123456789),
		`"accessTokenValiditySeconds":3600.0`:        seconds(3600),
		`"accessTokenValiditySeconds":3.6e3`:         seconds(3600),
		`"accessTokenValiditySeconds":"3600"`:        seconds(3600),
		`"accessTokenValiditySeconds":"3.6E+3"`:      seconds(3600),
		`"accessTokenValiditySeconds":-0.0`:          seconds(0),
		`"accessTokenValiditySeconds":2147483648`:    seconds(2147483647),
		`"accessTokenValiditySeconds":1e400`:         seconds(2147483647),
		"\"name\":\"Jos\xe9\"":                       named("Jos\ufffd"),
		`"name":"a\ud83d"`:                           named("a\ufffd"),
		`"name":"\n\udc00\ud83d\ude00"`:              named("\n\ufffd😀"),
		"\"owner\":{\"name\":\"\xc3\"}":              func(token *sailpoint.PersonalAccessToken) { token.Owner.Name = "\ufffd" },
		"\"scope\":[\"a\",\"\xff\"]":                 func(token *sailpoint.PersonalAccessToken) { token.Scope = []string{"a", "\ufffd"} },
		"\"x\":[\"\xff\"],\"\xff\":1,\"\xff\":2":     nothing,
		`"x":{"y":1,"y":1}`:                          nothing,
		`"x":[[{"y":{"z":1,"z":1}}]]`:                nothing,
		`"x":1,"x":1,"\u0078":1`:                     nothing,
		`"x":1,"owner":{"x":1,"x":2},"x":1`:          nothing,
	}
}

// TestUnambiguousForms tries each member alone, before and after the id.
func TestUnambiguousForms(t *testing.T) {
	for members, set := range otherForms() {
		t.Run(members, func(t *testing.T) {
			for _, list := range []string{`[{"id":"a",` + members + `}]`, `[{` + members + `,"id":"a"}]`} {
				want := sailpoint.PersonalAccessToken{ID: "a"}
				set(&want)
				tokens, err := scripted(ok(list)).client(t).PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
				require.NoError(t, err)
				require.Len(t, tokens, 1)
				require.WithinDuration(t, want.Created, tokens[0].Created, 0)
				tokens[0].Created = want.Created
				require.Equal(t, want, tokens[0])
			}
		})
	}
}

// TestUnreadableMemberIsNamed shows that the error names the member and its
// token, before or after the id.
func TestUnreadableMemberIsNamed(t *testing.T) {
	for member, want := range map[string]string{
		`"lastUsed":"yesterday"`:              "the lastUsed of token abc is not a date with a time",
		`"lastUsed":1499798737`:               "the lastUsed of token abc is not a date with a time",
		`"lastUsed":" "`:                      "the lastUsed of token abc is not a date with a time",
		`"created":[{"created":1}]`:           "the created of token abc is not a date with a time",
		`"expirationDate":"2023-02-29T00:00"`: "the expirationDate of token abc is not a date with a time",
		`"expirationDate":false`:              "the expirationDate of token abc is not a date with a time",
		`"expirationDate":null,"expirationDate":"2023-02-28T00:00:00Z"`: "the expirationDate of token abc is there twice",
		`"scope":"a b"`:                    "the scope of token abc is not a list of strings",
		`"scope":[1]`:                      "the scope of token abc is not a list of strings",
		`"owner":"me"`:                     "the owner of token abc is not an object",
		`"owner":{"name":1,"id":2}`:        "the owner's name of token abc is not a string",
		"\"owner\":{\"id\":\"\xff\"}":      "the owner's id of token abc is not UTF-8",
		`"managed":"yes"`:                  "the managed of token abc is not true or false",
		`"accessTokenValiditySeconds":1.5`: "the accessTokenValiditySeconds of token abc is not a whole number of seconds",
		`"userAwareTokenNeverExpires":0`:   "the userAwareTokenNeverExpires of token abc is not true or false",
	} {
		t.Run(member, func(t *testing.T) {
			for _, token := range []string{`{"id":"abc",` + member + `}`, `{` + member + `,"id":"abc"}`} {
				client := scripted(ok(`[{"id":"first"},`+token+`]`)).client(t, withoutRetries)
				_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
				require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
				require.ErrorContains(t, err, want)
				var ids []string
				for token, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
					if err != nil {
						require.ErrorContains(t, err, want)
						break
					}
					ids = append(ids, token.ID)
				}
				require.Equal(t, []string{"first"}, ids)
			}
		})
	}
}

// FuzzDecodeList compares List, All and Patch with json.Unmarshal. They decode
// what it decodes, with the same result. Whatever else they accept, they decode
// as tolerantToken does.
func FuzzDecodeList(f *testing.F) {
	for _, c := range strictCases() {
		f.Add(c.list)
	}
	for members := range otherForms() {
		f.Add(`[{"id":"a",` + members + `}]`)
		f.Add(`{` + members + `,"id":"a"}`)
	}
	f.Fuzz(func(t *testing.T, body string) {
		client := scripted(ok(body)).client(t, withoutRetries)
		want, invalid := unmarshalled(body)
		if invalid {
			listed, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
			if invalid = err != nil; !invalid {
				requireTolerantDecoding(t, body, listed)
				want = listed
			}
		}
		requireSameTokens(t, client, want, invalid)

		var one sailpoint.PersonalAccessToken
		invalid = json.Unmarshal([]byte(body), &one) != nil || one.ID == ""
		got, err := client.PersonalAccessTokens.Patch(t.Context(), "id", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
		if !invalid {
			require.NoError(t, err)
			one.AccessTokenValiditySeconds = inBounds(one.AccessTokenValiditySeconds)
			require.Equal(t, one, *got)
		} else if err == nil {
			requireTolerantDecoding(t, `[`+body+`]`, []sailpoint.PersonalAccessToken{*got})
		}
	})
}

// tolerantToken decodes a token in every accepted form, by reflection.
type tolerantToken struct {
	ID    string   `json:"id"`
	Name  string   `json:"name"`
	Scope []string `json:"scope"`
	Owner struct {
		Type string `json:"type"`
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"owner"`
	Created                    tolerantTime    `json:"created"`
	LastUsed                   tolerantTime    `json:"lastUsed"`
	ExpirationDate             tolerantTime    `json:"expirationDate"`
	Managed                    bool            `json:"managed"`
	AccessTokenValiditySeconds tolerantSeconds `json:"accessTokenValiditySeconds"`
	UserAwareTokenNeverExpires *bool           `json:"userAwareTokenNeverExpires"`
}

type tolerantTime struct{ *time.Time }

func (d *tolerantTime) UnmarshalJSON(data []byte) error {
	text := unquoted(data)
	if text == "null" || text == "" {
		return nil
	}
	if len(text) > len("2006-01-02") {
		text = text[:10] + strings.Replace(text[10:11], " ", "T", 1) + strings.ReplaceAll(text[11:], " ", "")
	}
	text = strings.ToUpper(strings.ReplaceAll(text, ",", "."))
	leap := time.Duration(0)
	if strings.Count(text, ":60") == 1 {
		text, leap = strings.Replace(text, ":60", ":59", 1), time.Second
	}
	for _, clock := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		for _, zone := range []string{"", "Z07:00", "Z0700", "Z07"} {
			if at, err := time.Parse(clock+zone, text); err == nil {
				at = at.Add(leap).UTC()
				d.Time = &at
				return nil
			}
		}
	}
	return fmt.Errorf("not a date: %q", data)
}

type tolerantSeconds int

func (n *tolerantSeconds) UnmarshalJSON(data []byte) error {
	text := strings.TrimSpace(unquoted(data))
	if text == "null" {
		return nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || number != math.Trunc(number) {
		return fmt.Errorf("not a whole number: %q", data)
	}
	*n = tolerantSeconds(max(math.MinInt32, min(number, math.MaxInt32)))
	return nil
}

// unquoted returns a JSON string's text, or any other JSON unchanged.
func unquoted(data []byte) string {
	if data[0] != '"' {
		return string(data)
	}
	text, _ := jsontext.AppendUnquote(nil, data)
	return string(text)
}

// requireTolerantDecoding checks that list, in any accepted form, means got.
func requireTolerantDecoding(t *testing.T, list string, got []sailpoint.PersonalAccessToken) {
	t.Helper()
	var tokens []tolerantToken
	require.NoError(t, json.Unmarshal([]byte(list), &tokens, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)))
	require.Len(t, got, len(tokens))
	for i, token := range tokens {
		want := sailpoint.PersonalAccessToken{
			ID: token.ID, Name: token.Name, Scope: token.Scope, Owner: token.Owner, LastUsed: token.LastUsed.Time,
			ExpirationDate: token.ExpirationDate.Time, Managed: token.Managed,
			AccessTokenValiditySeconds: int(token.AccessTokenValiditySeconds), UserAwareTokenNeverExpires: token.UserAwareTokenNeverExpires,
		}
		if token.Created.Time != nil {
			want.Created = *token.Created.Time
		}
		read := got[i]
		read.Created = read.Created.UTC()
		for _, at := range []**time.Time{&read.LastUsed, &read.ExpirationDate} {
			if *at != nil {
				utc := (*at).UTC()
				*at = &utc
			}
		}
		require.Equal(t, want, read)
		require.NotContains(t, read.ID+read.Owner.ID, "\ufffd")
	}
}

// unmarshalled returns the tokens of body as json.Unmarshal decodes them, and
// whether body is invalid.
func unmarshalled(body string) (tokens []sailpoint.PersonalAccessToken, invalid bool) {
	if err := json.Unmarshal([]byte(body), &tokens); err != nil || tokens == nil {
		return nil, true
	}
	for i, token := range tokens {
		if token.ID == "" {
			return nil, true
		}
		tokens[i].AccessTokenValiditySeconds = inBounds(token.AccessTokenValiditySeconds)
	}
	return tokens, false
}

// inBounds limits a number of seconds to 32 bits, which is more than the API
// knows.
func inBounds(seconds int) int { return max(math.MinInt32, min(seconds, math.MaxInt32)) }

// requireSameTokens checks that List and All return want, or that both fail.
func requireSameTokens(t *testing.T, client *sailpoint.Client, want []sailpoint.PersonalAccessToken, invalid bool) {
	t.Helper()
	listed, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
	yielded := []sailpoint.PersonalAccessToken{}
	var failure error
	for token, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
		if failure = err; err == nil {
			yielded = append(yielded, token)
		}
	}
	if invalid {
		require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
		require.ErrorIs(t, failure, sailpoint.ErrInvalidResponse)
		return
	}
	require.NoError(t, err)
	require.NoError(t, failure)
	require.Equal(t, want, listed)
	require.Equal(t, want, yielded)
}

// TestDecodingErrorsQuoteNothing matters because an invalid response may hold a
// secret.
func TestDecodingErrorsQuoteNothing(t *testing.T) {
	const private = "pr1vate"
	for _, body := range []string{
		`[{"id":"a","created":"pr1vate"}]`, `[{"id":"a","name":pr1vate}]`, `[{"id":"a","scope":{"pr1vate":1}}]`, `[{"pr1vate":1,"pr1vate":2}]`,
		`[{"id":"a","owner":{"name":{"pr1vate":1}}}]`, `[{"id":"pr1vate\n","created":1}]`, "[{\"id\":\"pr1vate\xff\"}]", `[{"id":"a","managed":"pr1vate"}]`, `[{"id":"a","owner":{"pr1vate":pr1vate}}]`,
		`[{"id":"a","accessTokenValiditySeconds":"pr1vate"}]`, `pr1vate`, `{"pr1vate":[]}`, `[{"id":"a","name":"pr1vate`,
	} {
		err := list(t.Context(), scripted(ok(body)).client(t, withoutRetries))
		require.ErrorIs(t, err, sailpoint.ErrInvalidResponse, body)
		for _, link := range chain(err) {
			assert.NotContains(t, link.Error(), private, body)
		}
	}
}

// TestScopesAreTheCallersOwn shows that a change to one token's scopes does not
// change another's.
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

// TestAllocationsOfAToken allows one for the strings, the scope and the
// optional members each.
func TestAllocationsOfAToken(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector empties pools at random, which changes the count")
	}
	const n = 1000
	body, err := io.ReadAll(manyTokens(n))
	require.NoError(t, err)
	for name, body := range map[string]string{
		"usual":          string(body),
		"unknown member": strings.ReplaceAll(string(body), `"name"`, `"usage":{"calls":[{"n":1}]},"name"`),
		"every member":   strings.ReplaceAll(string(body), `"name":"N`, `"userAwareTokenNeverExpires":false,"name":"N`),
		"escaped name":   strings.ReplaceAll(string(body), `"Nightly`, `"\"Nightly\"`),
	} {
		t.Run(name, func(t *testing.T) {
			client := scripted(ok(body)).client(t)
			perToken := func(f func()) float64 { return testing.AllocsPerRun(5, f) / n }
			require.LessOrEqual(t, perToken(func() { _ = list(t.Context(), client) }), 3.5)
			require.LessOrEqual(t, perToken(func() {
				for _, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
					require.NoError(t, err)
				}
			}), 3.5)
		})
	}
}

// TestAllKeepsNoStringsOfEarlierTokens shows that strings of earlier tokens do
// not accumulate.
func TestAllKeepsNoStringsOfEarlierTokens(t *testing.T) {
	const n, every, most = 20_000, 1_000, 1 << 20
	for name, write := range map[string]func(b *bytes.Buffer, i int){
		"long names": func(b *bytes.Buffer, i int) { fmt.Fprintf(b, `{"id":"a","%0200d":1}`, i) },
		"short names and scopes": func(b *bytes.Buffer, i int) {
			fmt.Fprintf(b, `{"id":"a","%d":1,"scope":["%d"],"owner":{"%d":1}}`, i, i, i)
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := scripted(response{stream: func(context.Context) io.Reader { return &tokenStream{n: n, token: write} }}).client(t)
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

func TestDeepJSON(t *testing.T) {
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	for _, op := range operations {
		for _, status := range []int{200, 400} {
			for _, body := range []string{op.part + `x","u":` + deep + `}`, deep} {
				n := scripted(response{status: status, body: body})
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
	assert.Equal(t, "right abc", got.Secret.Reveal()+" "+got.ID, "names are case-sensitive, so these are unknown members")

	n = scripted(ok(`{"id":"abc","id":"other","name":"n"}`))
	_, err = n.client(t).PersonalAccessTokens.Patch(t.Context(), "abc", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
	requireMatches(t, err, sailpoint.ErrInvalidResponse, sailpoint.ErrOutcomeUnknown)
}

// TestUnexpectedMembers accepts unknown, null and missing members. A wrong type
// is an error, except in the response to a Create.
func TestUnexpectedMembers(t *testing.T) {
	for member, read := range map[string]bool{
		`"unknown":{"a":[1,null]}`:                true,
		`"scope":null`:                            true,
		`"expirationDate":null`:                   true,
		`"expirationDate":""`:                     true,
		`"created":"2017-07-11T18:45:37Z"`:        true,
		`"created":"2017-07-11T18:45:37.098765Z"`: true,
		`"created":"2017-07-11T18:45:37+02:00"`:   true,
		`"created":"2017-07-11 18:45:37"`:         true,
		`"accessTokenValiditySeconds":"43200"`:    true,
		`"accessTokenValiditySeconds":1e400`:      true,
		"\"name\":\"Jos\xe9\"":                    true,
		`"created":"10000-01-01T00:00:00Z"`:       false,
		`"created":"yesterday"`:                   false,
		`"created":1499798737`:                    false,
		`"accessTokenValiditySeconds":1.5`:        false,
		`"scope":"a b"`:                           false,
		`"scope":[1]`:                             false,
		`"owner":"me"`:                            false,
		`"name":["n"]`:                            false,
		`"name":"n","name":"n"`:                   false,
	} {
		t.Run(member, func(t *testing.T) {
			for body, op := range map[string]int{`[{"id":"abc",` + member + `}]`: 0, `{"id":"abc",` + member + `}`: 3} {
				err := operations[op].call(t.Context(), scripted(ok(body)).client(t, withoutRetries))
				if read {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
				require.Equal(t, 200, requireOneError(t, err).StatusCode)
			}
			require.NoError(t, create(t.Context(), scripted(ok(`{"id":"abc","secret":"s",`+member+`}`)).client(t)))
			require.NoError(t, create(t.Context(), scripted(ok(`{`+member+`,"id":"abc","secret":"s"}`)).client(t)))
		})
	}
}

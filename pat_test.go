package sailpoint_test

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// TestScopesAreNamesOfRFC6749 accepts %x21 / %x23-5B / %x5D-7E, as section 3.3
// does. Any other character is an error before a request is sent.
func TestScopesAreNamesOfRFC6749(t *testing.T) {
	characters := []string{"\u0085", "\u00a0", "é", "\u200b", "\ufeff", "\U0001f600", "\xff"}
	for c := range rune(0x80) {
		characters = append(characters, string(c))
	}
	accepted := 0
	for _, c := range characters {
		valid := len(c) == 1 && (c[0] == 0x21 || 0x23 <= c[0] && c[0] <= 0x5b || 0x5d <= c[0] && c[0] <= 0x7e)
		for _, name := range []string{c, "sp:a" + c, c + "sp:a", "sp:" + c + "a"} {
			n := scripted(ok(created))
			req := inAYear
			req.Scope = []string{"sp:first", name}
			_, err := n.client(t).PersonalAccessTokens.Create(t.Context(), req)
			if valid {
				require.NoError(t, err, "%q", name)
				accepted++
				continue
			}
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument, "%q", name)
			require.ErrorContains(t, err, "is not a scope")
			n.requireCounts(t, 0, 0)
		}
	}
	assert.Equal(t, 4*92, accepted)
}

// TestCreateRejectsInvalidRequests shows that all problems are reported at
// once, before a request is sent.
func TestCreateRejectsInvalidRequests(t *testing.T) {
	for name, tt := range map[string]struct {
		version sailpoint.APIVersion
		change  func(*sailpoint.CreatePersonalAccessTokenRequest)
		want    []string
	}{
		"no name":            {"", func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.Name = "" }, []string{"Name", "needs a name"}},
		"blank name":         {"", func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.Name = " \t" }, []string{"Name", "needs a name"}},
		"name not UTF-8":     {"", func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.Name = "a\xff" }, []string{"Name", "UTF-8"}},
		"no scope":           {"", func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.Scope = nil }, []string{"Scope", "ScopeAll"}},
		"empty scope":        {"", func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.Scope = []string{} }, []string{"Scope", "ScopeAll"}},
		"blank scope":        {"", func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.Scope = []string{"a", " "} }, []string{"Scope", `" " is not a scope`}},
		"validity too low":   {"", func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.AccessTokenValiditySeconds = 14 }, []string{"15 to 43200"}},
		"validity too high":  {"", func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.AccessTokenValiditySeconds = 43201 }, []string{"15 to 43200"}},
		"validity negative":  {"", func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.AccessTokenValiditySeconds = -1 }, []string{"15 to 43200"}},
		"expiry in the past": {"", func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.ExpirationDate = time.Now().Add(-time.Second) }, []string{"ExpirationDate", "in the past"}},
		"expiry past RFC 3339": {"", func(r *sailpoint.CreatePersonalAccessTokenRequest) {
			r.ExpirationDate = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
		}, []string{"ExpirationDate", "9999"}},
		"no expiry in V2025": {sailpoint.V2025, func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.ExpirationDate = time.Time{} }, []string{"UserAwareTokenNeverExpires"}},
		"no expiry in V2026": {sailpoint.V2026, func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.ExpirationDate = time.Time{} }, []string{"UserAwareTokenNeverExpires"}},
		"no expiry in V1":    {sailpoint.V1, func(r *sailpoint.CreatePersonalAccessTokenRequest) { r.ExpirationDate = time.Time{} }, []string{"UserAwareTokenNeverExpires"}},
		"acknowledgement in V2024": {sailpoint.V2024, func(r *sailpoint.CreatePersonalAccessTokenRequest) {
			r.UserAwareTokenNeverExpires = true
		}, []string{"UserAwareTokenNeverExpires", "V2025 or later"}},
		"all at once": {"", func(r *sailpoint.CreatePersonalAccessTokenRequest) {
			*r = sailpoint.CreatePersonalAccessTokenRequest{AccessTokenValiditySeconds: 1}
		}, []string{"Name", "Scope", "AccessTokenValiditySeconds"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := scripted(ok(created))
			client := n.client(t, func(cfg *sailpoint.Config) { cfg.APIVersion = tt.version })
			req := inAYear
			tt.change(&req)
			_, err := client.PersonalAccessTokens.Create(t.Context(), req)
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			for _, want := range tt.want {
				assert.ErrorContains(t, err, want)
			}
			n.requireCounts(t, 0, 0)
		})
	}
}

func TestCreateAcceptsTheBoundsOfTheValidity(t *testing.T) {
	n := scripted(ok(created))
	client := n.client(t)
	for _, seconds := range []int{15, 43200} {
		req := inAYear
		req.AccessTokenValiditySeconds = seconds
		_, err := client.PersonalAccessTokens.Create(t.Context(), req)
		require.NoError(t, err)
	}
}

// TestUnsafeIDs shows that an id can only be one segment of a path.
func TestUnsafeIDs(t *testing.T) {
	n := scripted(response{status: 204})
	s := n.client(t).PersonalAccessTokens
	for _, id := range []string{
		"", ".", "..", "../oauth", "a/b", "a%2fb", "a?x", "a#f", "a\x00b", "a\nb", "a b", "%2e%2e", "ü",
		"bulk-update", strings.Repeat("a", 129), strings.Repeat("a", 10<<10),
	} {
		err := s.Delete(t.Context(), id)
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument, "%q", id)
		require.Less(t, len(err.Error()), 500)
		_, err = s.Patch(t.Context(), id, sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument, "%q", id)
	}
	require.Empty(t, n.calls)
}

// TestDeleteOfTheOwnToken is an error, in upper and lower case.
func TestDeleteOfTheOwnToken(t *testing.T) {
	n := scripted(response{status: 204})
	s := n.client(t).PersonalAccessTokens
	for _, id := range []string{"the-client-id", "THE-client-id"} {
		err := s.Delete(t.Context(), id)
		require.ErrorIs(t, err, sailpoint.ErrSelf)
		require.ErrorContains(t, err, "DeleteSelf")
	}
	n.requireCounts(t, 0, 0)
}

func TestDeleteSelfNeedsToKnowTheToken(t *testing.T) {
	source := func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
		return sailpoint.AccessToken{Bearer: sailpoint.NewSecret("bearer-0")}, nil
	}
	for id, want := range map[string]error{"": sailpoint.ErrInvalidArgument, "mine": nil} {
		n := scripted(response{status: 204})
		client := n.client(t, func(cfg *sailpoint.Config) {
			cfg.ClientID, cfg.ClientSecret, cfg.TokenSource = id, sailpoint.Secret{}, source
		})
		require.Equal(t, id, client.ClientID())
		require.ErrorIs(t, client.PersonalAccessTokens.DeleteSelf(t.Context()), want)
	}
}

// requireQueries checks the path and query of each request, which has to be a
// GET.
func requireQueries(t *testing.T, n *network, want ...string) {
	t.Helper()
	var sent []string
	for _, call := range n.calls {
		require.Equal(t, "GET", call.method)
		sent = append(sent, strings.TrimPrefix(call.url, "https://acme.example/v2024/personal-access-tokens"))
	}
	require.Equal(t, want, sent)
}

const ownList, wholeList = "?owner-id=me", ""

func TestGetListsTheOwnTokensFirst(t *testing.T) {
	const (
		id    = "86f1dc6fe8f54414950454cbb11278fa"
		other = `{"id":"1234","name":"other","scope":["a"]}`
	)
	denied := response{status: 403, body: `{"detailCode":"403 Forbidden","trackingId":"tracked"}`}
	for name, test := range map[string]struct {
		responses []response
		queries   []string
		want      []error // nil if the token is found
		text      string
	}{
		"an own token":                {[]response{ok(`[` + other + `,` + aToken + `]`)}, []string{ownList}, nil, ""},
		"another owner's":             {[]response{ok(`[` + other + `]`), ok(`[` + aToken + `,` + other + `]`)}, []string{ownList, wholeList}, nil, ""},
		"another owner's, own denied": {[]response{denied, ok(`[` + aToken + `]`)}, []string{ownList, wholeList}, nil, ""},
		"not listed":                  {[]response{ok(`[]`), ok(`[` + other + `]`)}, []string{ownList, wholeList}, []error{sailpoint.ErrNotFound}, "no token with this id is listed"},
		"not listed, own denied":      {[]response{denied, ok(`[]`)}, []string{ownList, wholeList}, []error{sailpoint.ErrNotFound}, "no token with this id is listed"},
		"not own, others denied":      {[]response{ok(`[]`), denied}, []string{ownList, wholeList}, []error{sailpoint.ErrNotFound, sailpoint.ErrForbidden}, "one of the caller's own"},
		"both denied":                 {[]response{denied}, []string{ownList, wholeList}, []error{sailpoint.ErrForbidden}, "403 Forbidden (token " + id},
		"no own list":                 {[]response{{status: 404}, denied}, []string{ownList}, []error{sailpoint.ErrNotFound}, "404 Not Found (token " + id},
		"no whole list":               {[]response{ok(`[]`), {status: 404}}, []string{ownList, wholeList}, []error{sailpoint.ErrNotFound}, "404 Not Found (token " + id},
		"own list fails":              {[]response{{status: 500}}, []string{ownList}, []error{sailpoint.ErrServer}, "500"},
		"whole list fails":            {[]response{ok(`[]`), {status: 500}}, []string{ownList, wholeList}, []error{sailpoint.ErrServer}, "500"},
		"a list cut after the token":  {[]response{ok(`[` + aToken + `,`)}, []string{ownList}, []error{sailpoint.ErrInvalidResponse}, "EOF"},
		"an unreadable token":         {[]response{ok(`[{"id":"` + id + `","created":7}]`)}, []string{ownList}, []error{sailpoint.ErrInvalidResponse}, "the created of token " + id},
		"another is unreadable":       {[]response{ok(`[{"id":"1234","created":7},` + aToken + `]`)}, []string{ownList}, nil, ""},
		"another's id is unreadable":  {[]response{ok(`[{"id":7},` + aToken + `]`)}, []string{ownList}, []error{sailpoint.ErrInvalidResponse}, "a token without a usable id"},
		"a page of a proxy":           {[]response{ok(`<html>`)}, []string{ownList}, []error{sailpoint.ErrInvalidResponse}, ""},
		"an object instead of a list": {[]response{ok(aToken)}, []string{ownList}, []error{sailpoint.ErrInvalidResponse}, ""},
		"more JSON after the list":    {[]response{ok(`[` + aToken + `][]`)}, []string{ownList}, []error{sailpoint.ErrInvalidResponse}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			n := scripted(test.responses...)
			token, err := n.client(t, withoutRetries).PersonalAccessTokens.Get(t.Context(), id)
			requireQueries(t, n, test.queries...)
			if test.want == nil {
				require.NoError(t, err)
				require.Equal(t, id, token.ID)
				require.Equal(t, "NodeJS Integration", token.Name)
				require.Equal(t, []string{"sp:scopes:all"}, token.Scope)
				return
			}
			require.Nil(t, token)
			requireMatches(t, err, test.want...)
			require.ErrorContains(t, err, test.text)
			failure := requireOneError(t, err)
			require.Equal(t, "GET /v2024/personal-access-tokens", failure.Op)
			require.Equal(t, id, failure.TokenID)
			require.Equal(t, 1, failure.Attempts)
		})
	}
}

func TestGetRetriesAListThatWasCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{body: `[` + aToken[:40], cut: io.ErrUnexpectedEOF}, response{status: 503}, ok(`[`+aToken+`]`))
		token, err := n.client(t).PersonalAccessTokens.Get(t.Context(), "86F1DC6FE8F54414950454CBB11278FA")
		require.NoError(t, err)
		require.Equal(t, "86f1dc6fe8f54414950454cbb11278fa", token.ID)
		requireQueries(t, n, ownList, ownList, ownList)
	})
}

func TestGetRejectsAnUnsafeID(t *testing.T) {
	n := &network{}
	for _, id := range []string{"", "..", "a/b", "a?b"} {
		_, err := n.client(t).PersonalAccessTokens.Get(t.Context(), id)
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	}
	n.requireCounts(t, 0, 0)
}

func TestSelfListsTheOwnTokensOnly(t *testing.T) {
	const own = `[{"id":"other"},{"id":"the-client-id","name":"mine","expirationDate":"2030-01-02T03:04:05.000Z"}]`
	for name, test := range map[string]struct {
		response response
		want     []error
	}{
		"listed":     {ok(own), nil},
		"not listed": {ok(`[]`), []error{sailpoint.ErrNotFound}},
		"forbidden":  {response{status: 403}, []error{sailpoint.ErrForbidden}},
	} {
		t.Run(name, func(t *testing.T) {
			n := scripted(test.response)
			token, err := n.client(t).PersonalAccessTokens.Self(t.Context())
			requireQueries(t, n, ownList)
			if test.want != nil {
				requireMatches(t, err, test.want...)
				require.Equal(t, "the-client-id", requireOneError(t, err).TokenID)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "mine", token.Name)
			require.Equal(t, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), *token.ExpirationDate)
		})
	}
}

// TestSelfNeedsToKnowTheToken shows that Self knows it from the configuration
// or the TokenSource. If necessary, it gets the first bearer.
func TestSelfNeedsToKnowTheToken(t *testing.T) {
	withoutID := func(cfg *sailpoint.Config) { cfg.ClientID = "" }
	n := scripted(ok(`[{"id":"live","name":"mine"}]`))
	_, err := n.client(t, withSource(withIDs("")), withoutID).PersonalAccessTokens.Self(t.Context())
	requireMatches(t, err, sailpoint.ErrInvalidArgument)
	require.ErrorContains(t, err, "set Config.ClientID")
	n.requireCounts(t, 0, 0)

	token, err := n.client(t, withSource(withIDs("live")), withoutID).PersonalAccessTokens.Self(t.Context())
	require.NoError(t, err)
	require.Equal(t, "mine", token.Name)

	mine := errors.New("mine")
	_, err = n.client(t, withoutID, withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
		return sailpoint.AccessToken{}, mine
	})).PersonalAccessTokens.Self(t.Context())
	require.ErrorIs(t, err, mine)
	require.Equal(t, "POST /oauth/token", requireOneError(t, err).Op)
}

// TestSelfFollowsTheBearer covers a TokenSource whose PAT was replaced, with the
// id of the first one in the configuration or not.
func TestSelfFollowsTheBearer(t *testing.T) {
	for name, test := range map[string]struct {
		configured string
		bearers    []string // that the API rejects
		wait       time.Duration
		sent       []string
	}{
		"the bearer is rejected":                {"", []string{"bearer-1"}, 0, []string{"bearer-1", "bearer-2"}},
		"the bearer has expired":                {"", nil, 5 * time.Minute, []string{"bearer-2"}},
		"with an id, the bearer is rejected":    {"first", []string{"bearer-1"}, 0, []string{"bearer-1", "bearer-2"}},
		"with an id, the bearer has expired":    {"first", nil, 5 * time.Minute, []string{"bearer-2"}},
		"with another id, the bearer is in use": {"before", []string{"bearer-1"}, 0, []string{"bearer-1", "bearer-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{api: rejecting(ok(`[{"id":"other"},{"id":"second","name":"mine"}]`), test.bearers...)}
				client := n.client(t, withSource(withIDs("first", "second")), func(cfg *sailpoint.Config) { cfg.ClientID = test.configured })
				require.Equal(t, "bearer-1", accessToken(t, client, ""))
				<-time.After(test.wait)
				token, err := client.PersonalAccessTokens.Self(t.Context())
				require.NoError(t, err)
				require.Equal(t, "mine", token.Name)
				require.Equal(t, test.sent, n.bearersSent())
			})
		})
	}

	n := &network{api: rejecting(ok(`[{"id":"first"}]`), "bearer-1")}
	_, err := n.client(t, withSource(withIDs("first", "second"))).PersonalAccessTokens.Self(t.Context())
	requireMatches(t, err, sailpoint.ErrNotFound)
	require.Equal(t, "second", requireOneError(t, err).TokenID)
}

// TestBulkUpdateRejectsInvalidArguments shows that nothing is sent that the API
// would reject, or that its version does not know.
func TestBulkUpdateRejectsInvalidArguments(t *testing.T) {
	never := sailpoint.NewPersonalAccessTokenPatch().NeverExpire()
	ids := make([]string, 26)
	for i := range ids {
		ids[i] = fmt.Sprint("id", i)
	}
	for name, tt := range map[string]struct {
		version sailpoint.APIVersion
		ids     []string
		patch   *sailpoint.PersonalAccessTokenPatch
		want    string // empty if valid
	}{
		"V2024":               {sailpoint.V2024, ids[:1], never, "V1"},
		"V2026":               {sailpoint.V2026, ids[:1], never, "V1"},
		"no ids":              {sailpoint.V1, nil, never, "0 ids"},
		"25 ids":              {sailpoint.V1, ids[:25], never, ""},
		"26 ids":              {sailpoint.V1, ids, never, "26 ids"},
		"an id twice":         {sailpoint.V1, []string{"a", "b", "a"}, never, `"a" is there twice`},
		"bad id":              {sailpoint.V1, []string{"a", "b/c"}, never, `"b/c" is not a token's`},
		"no patch":            {sailpoint.V1, ids[:1], nil, "empty"},
		"empty patch":         {sailpoint.V1, ids[:1], &sailpoint.PersonalAccessTokenPatch{}, "empty"},
		"name":                {sailpoint.V1, ids[:1], sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"), "/expirationDate and /userAware"},
		"scope in addition":   {sailpoint.V1, ids[:1], sailpoint.NewPersonalAccessTokenPatch().NeverExpire().ReplaceScope("s"), "/expirationDate and /userAware"},
		"copied to the name":  {sailpoint.V1, ids[:1], sailpoint.NewPersonalAccessTokenPatch().With(sailpoint.PatchOperation{Op: sailpoint.OpCopy, Path: "/name", From: "/expirationDate"}), "/expirationDate and /userAware"},
		"copied from a scope": {sailpoint.V1, ids[:1], sailpoint.NewPersonalAccessTokenPatch().With(sailpoint.PatchOperation{Op: sailpoint.OpCopy, Path: "/expirationDate", From: "/scope/0"}), "/expirationDate and /userAware"},
		"expiry in the past":  {sailpoint.V1, ids[:1], sailpoint.NewPersonalAccessTokenPatch().ReplaceExpirationDate(time.Unix(0, 0)), "in the past"},
		"removed":             {sailpoint.V1, ids[:1], sailpoint.NewPersonalAccessTokenPatch().With(sailpoint.PatchOperation{Op: sailpoint.OpRemove, Path: "/expirationDate"}), "NeverExpire"},
	} {
		t.Run(name, func(t *testing.T) {
			n := scripted(ok(`[` + aToken + `]`))
			client := n.client(t, func(cfg *sailpoint.Config) { cfg.APIVersion = tt.version })
			_, err := client.PersonalAccessTokens.BulkUpdate(t.Context(), tt.ids, tt.patch)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			require.ErrorContains(t, err, tt.want)
			n.requireCounts(t, 0, 0)
		})
	}
}

func TestBulkUpdateReturnsTheTokens(t *testing.T) {
	n := scripted(ok(fullList))
	tokens, err := n.client(t, inV1).PersonalAccessTokens.BulkUpdate(t.Context(), []string{"a"}, sailpoint.NewPersonalAccessTokenPatch().NeverExpire())
	require.NoError(t, err)
	requireTokens(t, fullListDecoded(), tokens)
}

func TestBulkUpdateOfTheTenant(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	soon := time.Now().Add(time.Hour)
	for _, id := range []string{"b", "a"} {
		tenant.Add(sailpoint.PersonalAccessToken{ID: id, ExpirationDate: &soon, Owner: sailpoint.PersonalAccessTokenOwner{ID: id}})
	}
	cfg := tenant.Config()
	cfg.APIVersion = sailpoint.V1
	client, err := sailpoint.NewClient(cfg)
	require.NoError(t, err)
	later := time.Now().AddDate(1, 0, 0).Truncate(time.Millisecond)
	tokens, err := client.PersonalAccessTokens.BulkUpdate(t.Context(), []string{"b", "a"},
		sailpoint.NewPersonalAccessTokenPatch().ReplaceExpirationDate(later))
	require.NoError(t, err)
	require.Len(t, tokens, 2)
	for i, id := range []string{"a", "b"} {
		assert.Equal(t, id, tokens[i].ID)
		assert.WithinDuration(t, later, *tokens[i].ExpirationDate, 0)
	}
}

func TestOwnTokenCanBePatched(t *testing.T) {
	n := scripted(ok(aToken))
	_, err := n.client(t).PersonalAccessTokens.Patch(t.Context(), "the-client-id", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
	require.NoError(t, err)
}

// createOutcomes are responses to a Create that lose the secret, and what is
// known about the token.
var createOutcomes = map[string]struct {
	response response
	created  bool
	id       string
}{
	"reset":                        {response{err: errReset}, false, ""},
	"500":                          {response{status: 500}, false, ""},
	"HTML":                         {ok("<html>"), false, ""},
	"empty":                        {ok(""), false, ""},
	"null":                         {ok("null"), false, ""},
	"cut before the id":            {response{body: `{"name":"n","i`, cut: io.ErrUnexpectedEOF}, true, ""},
	"cut after the id":             {response{body: `{"id":"abc","secret":"4`, cut: io.ErrUnexpectedEOF}, true, "abc"},
	"cut without an error":         {ok(`{"id":"abc","secret":"4`), true, "abc"},
	"reset within the body":        {response{body: `{"id":"abc"`, cut: errReset}, true, "abc"},
	"no secret":                    {ok(`{"id":"abc","name":"n"}`), true, "abc"},
	"empty secret":                 {ok(`{"id":"abc","name":"n","secret":""}`), true, "abc"},
	"no id":                        {ok(`{"name":"n","secret":"s"}`), true, ""},
	"two secrets":                  {ok(`{"id":"abc","secret":"s1","secret":"s2"}`), true, "abc"},
	"secret not UTF-8":             {ok("{\"id\":\"abc\",\"secret\":\"s\xff\"}"), true, "abc"},
	"secret with a replacement":    {ok(`{"id":"abc","secret":"s\ufffd"}`), true, "abc"},
	"secret with half a surrogate": {ok(`{"secret":"s\ud800","id":"abc"}`), true, "abc"},
	"secret of another type":       {ok(`{"id":"abc","secret":12345678901234567890}`), true, "abc"},
	"two ids":                      {ok(`{"id":"abc","id":"abc","secret":"s"}`), true, ""},
	"id not UTF-8":                 {ok("{\"id\":\"abc\xff\",\"secret\":\"s\"}"), true, ""},
	"id of another type":           {ok(`{"id":1,"secret":"s"}`), true, ""},
	"an error":                     {ok(`{"error":"busy"}`), false, ""},
	"an error that is named":       {ok(`{"name":"Unavailable","created":1,"secret":null}`), false, ""},
	"an error cut short":           {response{body: `{"error":"busy","te`, cut: io.ErrUnexpectedEOF}, false, ""},
	"no members":                   {ok(`{}`), false, ""},
	"a list of tokens":             {ok(`[` + created + `]`), false, ""},
	"corrupt compression":          {response{body: created, cut: flate.CorruptInputError(9)}, true, "86f1dc6fe8f54414950454cbb11278fa"},
	"checksum of the compression":  {response{body: created, cut: gzip.ErrChecksum}, true, "86f1dc6fe8f54414950454cbb11278fa"},
	"larger than the limit":        {ok(`{"name":"` + strings.Repeat("x", 1<<20)), true, ""},
	"HTML larger than the limit":   {ok("<html>" + strings.Repeat("x", 1<<20)), false, ""},
	"HTML cut short":               {response{body: "<html>", cut: errReset}, false, ""},
	"202":                          {response{status: 202, body: created}, false, ""},
}

func TestCreateOutcome(t *testing.T) {
	for name, tt := range createOutcomes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted(tt.response)
				req := inAYear
				req.ExpirationDate = time.Now().Add(time.Hour)
				_, err := n.client(t).PersonalAccessTokens.Create(t.Context(), req)
				require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
				var outcome *sailpoint.CreateOutcomeError
				require.ErrorAs(t, err, &outcome)
				assert.Equal(t, "n", outcome.Name)
				assert.Equal(t, tt.created, outcome.Created)
				assert.Equal(t, tt.id, outcome.ID)
				assert.Equal(t, time.Now(), outcome.StartedAt)
				assert.Len(t, n.calls, 1)
				assert.NotContains(t, err.Error(), "12345678901234567890")
				var failure *sailpoint.Error
				require.ErrorAs(t, err, &failure)
				assert.Empty(t, failure.Body, "the response may hold the secret")
			})
		})
	}
}

// TestWholeIDAndSecretAreKept matters because the secret is shown only once.
// Any other invalid member is zero in the result.
func TestWholeIDAndSecretAreKept(t *testing.T) {
	const id, secret = `"id":"abc"`, `"secret":"the-new-secret"`
	type result = sailpoint.CreatePersonalAccessTokenResponse
	for name, tt := range map[string]struct {
		response response
		want     result
	}{
		"cut after the token":      {response{body: `{` + id + `,` + secret + `}`, cut: io.ErrUnexpectedEOF}, result{}},
		"reset after the token":    {response{body: `{` + id + `,` + secret + `}`, cut: errReset}, result{}},
		"timeout after the token":  {response{body: `{` + id + `,` + secret + `}`, cut: context.DeadlineExceeded}, result{}},
		"cut in another member":    {response{body: `{` + id + `,` + secret + `,"name":"n","scope":["s`, cut: errReset}, result{Name: "n"}},
		"cut without an error":     {ok(`{` + id + `,"name":"n",` + secret), result{Name: "n"}},
		"no JSON after the secret": {ok(`{` + id + `,` + secret + `,"name":n}`), result{}},
		"more after the object":    {ok(`{` + id + `,` + secret + `}{"error":"busy"}`), result{}},
		"byte order mark":          {ok("\ufeff{" + id + `,` + secret + `}`), result{}},
		"too large":                {ok(`{` + id + `,` + secret + `,"x":"` + strings.Repeat("x", 1<<20)), result{}},
		"too deep":                 {ok(`{` + id + `,` + secret + `,"x":` + strings.Repeat("[", 20_000)), result{}},
		"date in another form":     {ok(`{"created":"yesterday","expirationDate":1,` + id + `,` + secret + `,"name":"n"}`), result{Name: "n"}},
		"scope that is a string":   {ok(`{"scope":"a b","name":"n",` + secret + `,` + id + `}`), result{Name: "n"}},
		"scope with a number":      {ok(`{"scope":["a",1],"name":"n",` + secret + `,` + id + `}`), result{Name: "n"}},
		"scope not UTF-8":          {ok("{\"scope\":[\"a\",\"\xe9\"]," + secret + `,` + id + `}`), result{}},
		"many scopes":              {ok(`{` + id + `,` + secret + `,"scope":[""` + strings.Repeat(`,""`, 300_000) + `]}`), result{}},
		"number with a fraction":   {ok(`{"accessTokenValiditySeconds":1.5,` + secret + `,` + id + `}`), result{}},
		"number as 3.6e3":          {ok(`{"accessTokenValiditySeconds":3.6e3,` + secret + `,` + id + `}`), result{AccessTokenValiditySeconds: 3600}},
		"name not UTF-8":           {ok("{\"name\":\"Jos\xe9\"," + secret + `,` + id + `}`), result{}},
		"name with half a pair":    {ok(`{"name":"\ud83d",` + secret + `,` + id + `}`), result{}},
		"name twice":               {ok(`{"name":"n","name":"n",` + secret + `,` + id + `}`), result{}},
		"expiry twice":             {ok(`{"expirationDate":"2030-01-01T00:00:00Z","expirationDate":null,` + secret + `,` + id + `}`), result{}},
		"owner twice":              {ok(`{"owner":{"name":"o"},"owner":{"id":"o"},` + secret + `,` + id + `}`), result{}},
		"owner's name twice": {
			ok(`{"owner":{"id":"o","name":"o","name":"o"},` + secret + `,` + id + `}`),
			result{Owner: sailpoint.PersonalAccessTokenOwner{ID: "o"}},
		},
		"owner that is a string": {ok(`{"owner":"me",` + secret + `,` + id + `}`), result{}},
		"owner not UTF-8": {
			ok("{\"owner\":{\"id\":\"\xe9\",\"name\":\"\xe9\",\"type\":\"IDENTITY\"}," + secret + `,` + id + `}`),
			result{Owner: sailpoint.PersonalAccessTokenOwner{Type: "IDENTITY"}},
		},
		"unknown twice": {ok("{\"x\":1,\"x\":\"\xe9\"," + secret + `,` + id + `}`), result{}},
	} {
		t.Run(name, func(t *testing.T) {
			n := scripted(tt.response)
			got, err := n.client(t).PersonalAccessTokens.Create(t.Context(), newToken())
			require.NoError(t, err)
			assert.Equal(t, "the-new-secret", got.Secret.Reveal())
			tt.want.ID, got.Secret = "abc", sailpoint.Secret{}
			assert.Equal(t, tt.want, *got)
			n.requireCounts(t, 1, 1)
		})
	}
}

// TestStartedAtUsesTheServersClock corrects StartedAt by the API's last Date,
// if that is less than a day off.
func TestStartedAtUsesTheServersClock(t *testing.T) {
	const (
		aSecondLessThanADay = "Sat, 01 Jan 2000 23:59:59 GMT"
		aDayAhead           = "Sun, 02 Jan 2000 00:00:00 GMT"
		twoHoursAhead       = "Sat, 01 Jan 2000 02:00:00 GMT"
		twoHoursBehind      = "Fri, 31 Dec 1999 22:00:00 GMT"
		own                 = `{"detailCode":"500.0 Internal Fault","trackingId":"t"}`
	)
	at := func(status int, date, body string) response {
		return response{status: status, body: body, header: map[string]string{"Date": date}}
	}
	bearer := issued("the-bearer", 60).body
	for name, tt := range map[string]struct {
		token, create response
		tokenURL      string
		want          time.Duration
	}{
		"error of the API":                {create: at(500, twoHoursAhead, own), want: 2 * time.Hour},
		"error with a tracking id only":   {create: at(503, twoHoursBehind, `{"trackingId":"t"}`), want: -2 * time.Hour},
		"a second less than a day":        {create: at(500, aSecondLessThanADay, own), want: 24*time.Hour - time.Second},
		"a day ahead":                     {create: at(500, aDayAhead, own)},
		"years ahead":                     {create: at(500, "Fri, 31 Dec 9999 23:59:59 GMT", own)},
		"no date":                         {create: at(500, "soon", own)},
		"a gateway's 504 a day ahead":     {create: at(504, aDayAhead, `<html>`)},
		"a gateway's 504":                 {create: at(504, twoHoursAhead, `<html>`)},
		"an error without a body":         {create: at(500, twoHoursAhead, ``)},
		"the gateway's JSON":              {create: at(503, twoHoursAhead, `{"message":"busy"}`)},
		"Spring's JSON":                   {create: at(503, twoHoursAhead, `{"timestamp":"x","status":503,"error":"e","path":"/"}`)},
		"HTML of success":                 {create: at(200, twoHoursAhead, `<html>`)},
		"a token without its secret":      {create: at(200, twoHoursAhead, `{"id":"86f1","name":"n"}`), want: 2 * time.Hour},
		"the bearer's":                    {token: at(200, twoHoursAhead, bearer), create: response{status: 504}, want: 2 * time.Hour},
		"the bearer's, then a gateway's":  {token: at(200, twoHoursAhead, bearer), create: at(504, aSecondLessThanADay, ``), want: 2 * time.Hour},
		"the bearer's, of another server": {token: at(200, twoHoursAhead, bearer), create: response{status: 504}, tokenURL: "https://login.example/token"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted(tt.create)
				if tt.token.body != "" {
					n.token = always(tt.token)
				}
				req := inAYear
				req.ExpirationDate = time.Now().Add(time.Hour)
				started := time.Now()
				client := n.client(t, func(cfg *sailpoint.Config) { cfg.TokenURL = tt.tokenURL })
				_, err := client.PersonalAccessTokens.Create(t.Context(), req)
				require.Equal(t, tt.want, requireOutcome(t, err).StartedAt.Sub(started))
			})
		})
	}
}

// TestStartedAtIsNotAfterTheToken follows the doc comment of CreateOutcomeError
// to find the token, whatever the fractions of a second of both clocks are.
func TestStartedAtIsNotAfterTheToken(t *testing.T) {
	for _, fraction := range []time.Duration{0, 300 * time.Microsecond, 50 * time.Millisecond, 950 * time.Millisecond} {
		for _, offset := range []time.Duration{-2 * time.Hour, -950 * time.Millisecond, -time.Microsecond, 0, time.Microsecond, 100 * time.Millisecond, time.Hour + 700*time.Millisecond} {
			t.Run(fmt.Sprint(fraction, " ", offset), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tenant := sailpointtest.NewTenant(sailpointtest.WithClock(func() time.Time { return time.Now().Add(offset) }))
					tenant.Inject(
						sailpointtest.Fault{Method: "GET", Delay: fraction},
						sailpointtest.Fault{Method: "POST", Path: "/v2024/personal-access-tokens", Committed: true},
					)
					client, err := sailpoint.NewClient(tenant.Config())
					require.NoError(t, err)
					_, err = client.PersonalAccessTokens.Self(t.Context())
					require.NoError(t, err)
					_, err = client.PersonalAccessTokens.Create(t.Context(), sailpoint.CreatePersonalAccessTokenRequest{
						Name: "lost", Scope: []string{sailpoint.ScopeAll},
					})
					startedAt := requireOutcome(t, err).StartedAt
					created := tenant.Tokens()[1].Created
					require.False(t, created.Before(startedAt), "created at %v, StartedAt %v", created, startedAt)
					require.Less(t, created.Sub(startedAt), time.Second+time.Millisecond)
				})
			})
		}
	}
}

// TestListSetsTheServersClock shows in addition that a Delete's empty response
// sets nothing, because a proxy may have sent it.
func TestListSetsTheServersClock(t *testing.T) {
	for name, tt := range map[string]struct {
		call func(context.Context, *sailpoint.Client) error
		body string
		want time.Duration
	}{
		"list":   {list, `[]`, 2 * time.Hour},
		"all":    {operations[1].call, `[` + aToken + `]`, 2 * time.Hour},
		"patch":  {operations[3].call, aToken, 2 * time.Hour},
		"delete": {operations[2].call, ``, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ahead := response{body: tt.body, header: map[string]string{"Date": "Sat, 01 Jan 2000 02:00:00 GMT"}}
				client := scripted(ahead, response{status: 504}).client(t)
				require.NoError(t, tt.call(t.Context(), client))
				req := inAYear
				req.ExpirationDate = time.Now().Add(time.Hour)
				_, err := client.PersonalAccessTokens.Create(t.Context(), req)
				require.Equal(t, tt.want, time.Until(requireOutcome(t, err).StartedAt))
			})
		})
	}
}

func TestCreateReturnsWhatTheResponseHolds(t *testing.T) {
	n := scripted(response{status: 201, body: `{"id":"86f1dc6fe8f54414950454cbb11278fa","secret":"1d1bef2b9f426383447f64f69349fc7cac176042578d205c256ba3f37c59adb9",
		"name":"n","scope":["a","b"],"owner":{"type":"IDENTITY","id":"o","name":"Support"},"created":"2023-01-04T18:58:17.486584Z",
		"expirationDate":"2026-12-31T23:59:59.999Z","accessTokenValiditySeconds":36900,"later":{"added":[1]}}`})
	got, err := n.client(t).PersonalAccessTokens.Create(t.Context(), inAYear)
	require.NoError(t, err)
	assert.Equal(t, "1d1bef2b9f426383447f64f69349fc7cac176042578d205c256ba3f37c59adb9", got.Secret.Reveal())
	got.Secret = sailpoint.Secret{}
	expiry := time.Date(2026, 12, 31, 23, 59, 59, 999e6, time.UTC)
	assert.Equal(t, &sailpoint.CreatePersonalAccessTokenResponse{
		ID: "86f1dc6fe8f54414950454cbb11278fa", Name: "n", Scope: []string{"a", "b"},
		Owner:   sailpoint.PersonalAccessTokenOwner{Type: "IDENTITY", ID: "o", Name: "Support"},
		Created: time.Date(2023, 1, 4, 18, 58, 17, 486584000, time.UTC), ExpirationDate: &expiry, AccessTokenValiditySeconds: 36900,
	}, got)
}

// fullList has every member, and tokens whose optional members are null or
// missing.
const fullList = `[
	{"id":"a","name":"n","scope":["x","y"],"owner":{"type":"IDENTITY","id":"o","name":"Support","more":1},
	 "created":"2017-07-11T18:45:37.098Z","lastUsed":"2017-07-12T00:00:00Z","managed":true,
	 "accessTokenValiditySeconds":36900,"expirationDate":"2026-12-31T23:59:59.999+01:00",
	 "userAwareTokenNeverExpires":false,"unknown":{"a":[null]}},
	{"id":"b","name":"m","scope":null,"owner":{"type":"IDENTITY","id":"o","name":"Support"},
	 "created":"2023-01-04T18:58:17.486584Z","lastUsed":null,"expirationDate":null},
	{"id":"c"}
]`

func fullListDecoded() []sailpoint.PersonalAccessToken {
	lastUsed := time.Date(2017, 7, 12, 0, 0, 0, 0, time.UTC)
	expiry := time.Date(2026, 12, 31, 23, 59, 59, 999e6, time.FixedZone("", 3600))
	never := false
	owner := sailpoint.PersonalAccessTokenOwner{Type: "IDENTITY", ID: "o", Name: "Support"}
	return []sailpoint.PersonalAccessToken{
		{
			ID: "a", Name: "n", Scope: []string{"x", "y"}, Owner: owner,
			Created: time.Date(2017, 7, 11, 18, 45, 37, 98e6, time.UTC), LastUsed: &lastUsed, Managed: true,
			AccessTokenValiditySeconds: 36900, ExpirationDate: &expiry, UserAwareTokenNeverExpires: &never,
		},
		{ID: "b", Name: "m", Owner: owner, Created: time.Date(2023, 1, 4, 18, 58, 17, 486584000, time.UTC)},
		{ID: "c"},
	}
}

func TestListReturnsEveryMember(t *testing.T) {
	n := scripted(ok(fullList))
	tokens, err := n.client(t).PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
	require.NoError(t, err)
	requireTokens(t, fullListDecoded(), tokens)
}

func TestAllYieldsEveryMember(t *testing.T) {
	n := scripted(ok(fullList))
	all := n.client(t).PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
	for range 2 { // each range makes a request
		var tokens []sailpoint.PersonalAccessToken
		for token, err := range all {
			require.NoError(t, err)
			tokens = append(tokens, token)
		}
		requireTokens(t, fullListDecoded(), tokens)
	}
	require.Len(t, n.calls, 2)
}

// requireTokens compares instants, not their zones.
func requireTokens(t *testing.T, want, got []sailpoint.PersonalAccessToken) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		if want[i].ExpirationDate != nil {
			require.NotNil(t, got[i].ExpirationDate)
			require.WithinDuration(t, *want[i].ExpirationDate, *got[i].ExpirationDate, 0)
			got[i].ExpirationDate = want[i].ExpirationDate
		}
		require.Equal(t, want[i], got[i])
	}
}

func TestEmptyListIsNotNil(t *testing.T) {
	n := scripted(ok(`[]`))
	tokens, err := n.client(t).PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
	require.NoError(t, err)
	require.NotNil(t, tokens)
	require.Empty(t, tokens)
}

// TestAllFailsOnce shows that All yields the tokens before the failure, then
// one error.
func TestAllFailsOnce(t *testing.T) {
	n := scripted(response{body: `[{"id":"a"},{"id":"b"},{"i`, cut: errReset})
	var ids []string
	var failures []error
	for token, err := range n.client(t).PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
		if err != nil {
			failures = append(failures, err)
			continue
		}
		ids = append(ids, token.ID)
	}
	require.Equal(t, []string{"a", "b"}, ids)
	require.Len(t, failures, 1)
	require.ErrorIs(t, failures[0], errReset)
	require.ErrorIs(t, failures[0], sailpoint.ErrInvalidResponse)
	var failure *sailpoint.Error
	require.ErrorAs(t, failures[0], &failure)
	assert.Equal(t, "GET /v2024/personal-access-tokens", failure.Op)
	assert.Equal(t, 200, failure.StatusCode)
	require.Len(t, n.calls, 1, "not retried after the first token")
}

func TestAllIsRetriedBeforeItsFirstToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{body: `[{"id":"a"`, cut: errReset}, ok(`[{"id":"a"}]`))
		for token, err := range n.client(t).PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
			require.NoError(t, err)
			require.Equal(t, "a", token.ID)
		}
		require.Len(t, n.calls, 2)
	})
}

func TestAllClosesTheResponseOnBreak(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader(fullList)}
	client := scripted(response{stream: func(context.Context) io.Reader { return body }}).client(t)
	for token, err := range client.PersonalAccessTokens.All(t.Context(), sailpoint.ListPersonalAccessTokensOptions{}) {
		require.NoError(t, err)
		require.Equal(t, "a", token.ID)
		require.Zero(t, body.closed)
		break
	}
	require.Positive(t, body.closed)
}

type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

// TestNamesOfAllKinds shows that a valid name arrives byte for byte.
func TestNamesOfAllKinds(t *testing.T) {
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

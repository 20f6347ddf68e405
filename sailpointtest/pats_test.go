package sailpointtest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// clockAt returns a tenant whose clock doesn't move.
func clockAt(t *testing.T, at string) (*sailpointtest.Tenant, time.Time) {
	t.Helper()
	now, err := time.Parse(time.RFC3339, at)
	require.NoError(t, err)
	return sailpointtest.NewTenant(sailpointtest.WithClock(func() time.Time { return now })), now
}

func TestCreateResponse(t *testing.T) {
	for version, collection := range collections {
		tenant, _ := clockAt(t, "2017-07-11T18:45:37.098Z")
		body, expiration := `{"name":"<&> \"ü\""}`, `"2018-01-11T18:45:37.098Z"`
		if isNew(version) {
			body, expiration = `{"name":"<&> \"ü\"","userAwareTokenNeverExpires":true}`, `null`
		}
		got := admin(t, tenant).create(t, collection, body)
		assert.Equal(t, 200, got.status, version)
		assert.Regexp(t, `^\{"id":"[0-9a-f]{32}","secret":"[0-9a-f]{64}","scope":\["sp:scopes:all"\],"name":"<&> \\"ü\\"",`+
			`"owner":\{"type":"IDENTITY","id":"2c9180a46faadee4016fb4e018c20639","name":"Support"\},`+
			`"created":"2017-07-11T18:45:37.098Z","accessTokenValiditySeconds":43200,"expirationDate":`+expiration+`\}$`, got.body, version)
	}
}

func TestCreatedTokenCanLogIn(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	u := admin(t, tenant)
	got := u.create(t, tokens, `{"name":"new","scope":["sp:my-personal-access-tokens:read"],"accessTokenValiditySeconds":15}`)
	issued := fetch(t, tenant, got.text(t, "id"), got.text(t, "secret"))
	assert.EqualValues(t, 15, issued.field(t, "expires_in"))
	fresh := user{tenant, issued.text(t, "access_token")}
	assert.Len(t, fresh.list(t, "?owner-id=me").ids(t), 2)
	assert.NotContains(t, u.list(t, "").body, got.text(t, "secret"), "the secret is shown only once")
	assert.NotContains(t, u.list(t, "").body, "secret")
}

func TestListResponse(t *testing.T) {
	for version, collection := range collections {
		tenant, now := clockAt(t, "2017-07-11T18:45:37.098Z")
		u := admin(t, tenant)
		seed := tenant.Config().ClientID
		tenant.Add(sailpoint.PersonalAccessToken{
			ID: "86f1dc6fe8f54414950454cbb11278fa", Name: "NodeJS Integration", Created: now.AddDate(0, 0, -1),
			Scope: []string{"demo:personal-access-token-scope:first", "demo:personal-access-token-scope:second"},
			Owner: sailpoint.PersonalAccessTokenOwner{ID: "someone", Name: "Some One"}, Managed: true, AccessTokenValiditySeconds: 36900,
			ExpirationDate: ptr(now.AddDate(1, 0, 0)), UserAwareTokenNeverExpires: ptr(false),
		})
		owner := `"owner":{"type":"IDENTITY","id":"2c9180a46faadee4016fb4e018c20639","name":"Support"}`
		var never, acknowledgement string
		if version != sailpoint.V3 && version != sailpoint.V2024 {
			never = `,"expirationDate":null`
		}
		if isNew(version) {
			acknowledgement = `,"userAwareTokenNeverExpires":false`
		}
		want := `[{"id":"` + seed + `","name":"tenant","scope":["sp:scopes:all"],` + owner + `,"created":"2017-07-11T18:45:37.098Z",` +
			`"lastUsed":"2017-07-11T18:45:37.098Z","managed":false,"accessTokenValiditySeconds":43200` + never + `},` +
			`{"id":"86f1dc6fe8f54414950454cbb11278fa","name":"NodeJS Integration",` +
			`"scope":["demo:personal-access-token-scope:first","demo:personal-access-token-scope:second"],` +
			`"owner":{"type":"IDENTITY","id":"someone","name":"Some One"},"created":"2017-07-10T18:45:37.098Z","lastUsed":null,` +
			`"managed":true,"accessTokenValiditySeconds":36900,"expirationDate":"2018-07-11T18:45:37.098Z"` + acknowledgement + `}]`
		got := u.do(t, "GET", collection, "")
		assert.Equal(t, 200, got.status)
		assert.Equal(t, want, got.body, version)
		assert.Equal(t, jsonType, got.header.Get("Content-Type"))
		assert.Equal(t, fmt.Sprint(len(want)), got.header.Get("Content-Length"))
	}
}

func TestListQuery(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	seed := tenant.Config().ClientID
	other, _ := tenant.Add(sailpoint.PersonalAccessToken{Owner: sailpoint.PersonalAccessTokenOwner{ID: "someone"}})
	u := admin(t, tenant)
	for query, want := range map[string][]string{
		"":                  {seed, other},
		"?owner-id=":        {seed, other},
		"?owner-id=me":      {seed},
		"?owner-id=someone": {other},
		"?owner-id=" + adminID + "&filters=lastUsed%20isnull": {},
		"?owner-id=nobody": {},
		"?limit=1&offset=1&count=true&sorters=-name&unknown=%20": {seed, other},
		"?filters=lastUsed+isnull":                               {other},
		"?filters=":                                              {seed, other},
	} {
		got := u.list(t, query)
		assert.Equal(t, 200, got.status, query)
		assert.Equal(t, want, got.ids(t), query)
		assert.Empty(t, got.header.Get("X-Total-Count"))
	}
	assert.Equal(t, "[]", u.list(t, "?owner-id=nobody").body)
	assertProblem(t, u.list(t, "?owner-id=%zz"), 400, "400.1 Bad Request Content")
}

func TestCreateRules(t *testing.T) {
	const now, half = "2024-08-31T12:00:00.500Z", "2025-02-28T12:00:00.500Z" // February has no 31st
	const ack = `"userAwareTokenNeverExpires":true`
	for _, test := range []struct {
		body     string
		old, new string // "" means 200
	}{
		{`{"name":"x"}`, "", "400.1.0 "},
		{`{"name":"x","expirationDate":null,"scope":null,"accessTokenValiditySeconds":null}`, "", "400.1.0 "},
		{`{"name":"x","userAwareTokenNeverExpires":true}`, "400.1 ", ""},
		{`{"name":"x","userAwareTokenNeverExpires":null}`, "400.1 ", "400.1.0 "},
		{`{"name":"x","userAwareTokenNeverExpires":false}`, "400.1 ", "400.1.0 "},
		{`{"name":"x","expirationDate":null,` + ack + `}`, "400.1 ", ""},
		{`{"name":"x","expirationDate":"` + half + `"}`, "", ""},
		{`{"name":"x","expirationDate":"2025-02-28T14:00:00.5+02:00"}`, "", ""},
		{`{"name":"x","expirationDate":"2025-02-28T12:00:00.501Z"}`, "400.1.3 ", ""},
		{`{"name":"x","expirationDate":"9999-12-31T23:59:59.999Z"}`, "400.1.3 ", ""},
		{`{"name":"x","expirationDate":"2024-08-31T12:00:00.501Z"}`, "", ""},
		{`{"name":"x","expirationDate":"` + now + `"}`, "400.1.3 ", "400.1.3 "},
		{`{"name":"x","expirationDate":"` + now + `",` + ack + `}`, "400.1 ", "400.1.3 "},
		{`{"name":"x","expirationDate":"2024-09-01"}`, "400.1.3 ", "400.1.3 "},
		{`{"name":"x","expirationDate":"2024-09-01T00:00:00"}`, "400.1.3 ", "400.1.3 "},
		{`{"name":"x","expirationDate":"2024-09-01T9:00:00Z"}`, "400.1.3 ", "400.1.3 "},
		{`{"name":"x","expirationDate":"2024-09-01T09:00:00,5Z"}`, "400.1.3 ", "400.1.3 "},
		{`{"name":"x","expirationDate":"9999-12-31T23:59:59-01:00"}`, "400.1.3 ", "400.1.3 "}, // in UTC this is the year 10000
		{`{"name":"x","expirationDate":""}`, "400.1.3 ", "400.1.3 "},
		{`{"name":"x","expirationDate":1725148800}`, "400.1 ", "400.1 "},
		{`{"name":"x","accessTokenValiditySeconds":15}`, "", "400.1.0 "},
		{`{"name":"x","accessTokenValiditySeconds":14}`, "400.1.3 ", "400.1.3 "},
		{`{"name":"x","accessTokenValiditySeconds":0}`, "400.1.3 ", "400.1.3 "},
		{`{"name":"x","accessTokenValiditySeconds":43201}`, "400.1.3 ", "400.1.3 "},
		{`{"name":"x","accessTokenValiditySeconds":15.5}`, "400.1 ", "400.1 "},
		{`{"name":"x","accessTokenValiditySeconds":"15"}`, "400.1 ", "400.1 "},
		{`{"name":"x","scope":[]}`, "", "400.1.0 "},
		{`{"name":"x","scope":[""]}`, "400.1.3 ", "400.1.3 "},
		{`{"name":"x","scope":"sp:scopes:all"}`, "400.1 ", "400.1 "},
		{`{"name":"tenant"}`, "400.1.409 ", "400.1.409 "},
		{`{"name":""}`, "400.1.0 ", "400.1.0 "},
		{`{"name":" "}`, "400.1.0 ", "400.1.0 "},
		{`{"name":null}`, "400.1.0 ", "400.1.0 "},
		{`{}`, "400.1.0 ", "400.1.0 "},
		{`{"name":5}`, "400.1 ", "400.1 "},
		{`{"name":"x","name":"y"}`, "400.1 ", "400.1 "},
		{`{"Name":"x"}`, "400.1 ", "400.1 "},
		{`{"name":"x","owner":{"id":"someone"}}`, "400.1 ", "400.1 "},
		{`{"name":"x"`, "400.1 ", "400.1 "},
		{`{"name":"x"} {}`, "400.1 ", "400.1 "},
		{"{\"name\":\"\xff\"}", "400.1 ", "400.1 "},
		{`[]`, "400.1 ", "400.1 "},
		{`null`, "400.1.0 ", "400.1.0 "},
		{``, "400.1 ", "400.1 "},
	} {
		for version, collection := range collections {
			tenant, _ := clockAt(t, now)
			got := admin(t, tenant).create(t, collection, test.body)
			want := test.old
			if isNew(version) {
				want = test.new
			}
			if want == "" {
				assert.Equal(t, 200, got.status, "%s: %s: %s", version, test.body, got.body)
				assert.Len(t, tenant.Tokens(), 2)
				continue
			}
			assertProblem(t, got, 400, want)
			assert.Len(t, tenant.Tokens(), 1, "%s: %s", version, test.body)
		}
	}
}

func TestCreateDefaults(t *testing.T) {
	tenant, now := clockAt(t, "2024-01-31T12:00:00Z")
	u := admin(t, tenant)
	for _, body := range []string{`{"name":"a"}`, `{"name":"b","scope":null}`, `{"name":"c","scope":[]}`} {
		got := u.create(t, tokens, body)
		assert.Contains(t, got.body, `"scope":["sp:scopes:all"]`)
		assert.Contains(t, got.body, `"expirationDate":"2024-07-31T12:00:00.000Z"`)
	}
	assert.Equal(t, 43200, tenant.Tokens()[1].AccessTokenValiditySeconds)
	assert.True(t, tenant.Tokens()[1].Created.Equal(now))
	assert.Equal(t, ptr(false), tenant.Tokens()[1].UserAwareTokenNeverExpires)

	got := u.create(t, collections[sailpoint.V2025], `{"name":"both","expirationDate":"2030-01-01T00:00:00Z","userAwareTokenNeverExpires":true}`)
	assert.Contains(t, got.body, `"expirationDate":"2030-01-01T00:00:00.000Z"`, "the date wins")
	assert.Contains(t, u.do(t, "GET", collections[sailpoint.V1], "").body, `"expirationDate":"2030-01-01T00:00:00.000Z","userAwareTokenNeverExpires":true`)
}

func TestTenTokensPerOwner(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	tenant.Add(sailpoint.PersonalAccessToken{Managed: true})
	tenant.Add(sailpoint.PersonalAccessToken{ExpirationDate: ptr(time.Unix(0, 0))}) // an expired token counts
	u := admin(t, tenant)
	for i := range 8 {
		require.Equal(t, 200, u.create(t, tokens, fmt.Sprintf(`{"name":"%d"}`, i)).status)
	}
	assertProblem(t, u.create(t, tokens, `{"name":"eleventh"}`), 400, "400.1.4 ")
	assert.Equal(t, 200, loginAs(t, tenant, "someone").create(t, tokens, `{"name":"tenant"}`).status, "names and slots are counted per owner")
	require.Equal(t, 204, u.delete(t, tenant.Tokens()[3].ID).status)
	assert.Equal(t, 200, u.create(t, tokens, `{"name":"eleventh"}`).status)
}

func TestMediaTypes(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	u := admin(t, tenant)
	id := tenant.Config().ClientID
	for contentType, want := range map[string][2]int{
		"application/json":                           {200, 415},
		"Application/JSON; charset=utf-8":            {200, 415},
		"application/json-patch+json":                {415, 200},
		"application/json-patch+json; charset=utf-8": {415, 200},
		"text/plain":                                 {415, 415},
		"application/json; =":                        {415, 415},
		"":                                           {415, 415},
	} {
		created := u.do(t, "POST", tokens, fmt.Sprintf(`{"name":%q}`, contentType+"x"), "Content-Type", contentType)
		assert.Equal(t, want[0], created.status, contentType)
		patched := u.do(t, "PATCH", tokens+"/"+id, `[]`, "Content-Type", contentType)
		assert.Equal(t, want[1], patched.status, contentType)
	}
	assertProblem(t, u.do(t, "POST", tokens, `{}`), 415, "415 Unsupported media type")
}

func TestDelete(t *testing.T) {
	for version, collection := range collections {
		tenant := sailpointtest.NewTenant()
		id, _ := tenant.Add(sailpoint.PersonalAccessToken{})
		u := admin(t, tenant)
		got := u.do(t, "DELETE", collection+"/"+id, "")
		assert.Equal(t, 204, got.status, version)
		assert.Empty(t, got.body)
		assert.Empty(t, got.header.Get("Content-Type"))
		assert.Len(t, tenant.Tokens(), 1)
		assertProblem(t, u.do(t, "DELETE", collection+"/"+id, ""), 404, "404 Not found")
	}
}

func TestTokenExpiresAfterSixMonths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		got := admin(t, tenant).create(t, tokens, `{"name":"old"}`)
		id, secret := got.text(t, "id"), got.text(t, "secret")
		<-time.After(time.Until(time.Now().AddDate(0, 6, 0)) - time.Second)
		assert.EqualValues(t, 1, fetch(t, tenant, id, secret).field(t, "expires_in"))
		<-time.After(time.Second)
		assert.Equal(t, 401, fetch(t, tenant, id, secret).status)
	})
}

// bulk is the path of the bulk update.
const bulk = "/personal-access-tokens/v1/bulk-update"

func (u user) bulkUpdate(t *testing.T, method, body string) response {
	t.Helper()
	return u.do(t, method, bulk, body, "Content-Type", jsonType)
}

func TestBulkUpdateResponse(t *testing.T) {
	for _, method := range []string{"PATCH", "POST"} { // the API accepts both
		tenant, now := clockAt(t, "2026-01-01T00:00:00Z")
		for _, id := range []string{"b", "a", "c"} {
			tenant.Add(sailpoint.PersonalAccessToken{
				ID: id, Name: id, Scope: []string{"s"}, ExpirationDate: ptr(now.Add(time.Hour)),
				Owner: sailpoint.PersonalAccessTokenOwner{ID: "someone", Name: "Some One"}, UserAwareTokenNeverExpires: ptr(true),
			})
		}
		got := admin(t, tenant).bulkUpdate(t, method, `{"ids":["b","a"],"patch":[{"op":"replace","path":"/expirationDate","value":"2027-01-01T00:00:00Z"}]}`)
		assert.Equal(t, 200, got.status)
		token := func(id string) string {
			return `{"id":"` + id + `","name":"` + id + `","scope":["s"],"owner":{"type":"IDENTITY","id":"someone","name":"Some One"},` +
				`"created":"2026-01-01T00:00:00.000Z","lastUsed":null,"managed":false,"accessTokenValiditySeconds":43200,` +
				`"expirationDate":"2027-01-01T00:00:00.000Z"}`
		}
		assert.Equal(t, `[`+token("a")+`,`+token("b")+`]`, got.body, "sorted by id, without userAwareTokenNeverExpires")
		assert.Equal(t, now.Add(time.Hour), *tenant.Tokens()[3].ExpirationDate, "another token is unchanged")

		for _, away := range []string{`{"op":"remove","path":"/expirationDate"}`, `{"op":"replace","path":"/expirationDate","value":null}`} {
			got = admin(t, tenant).bulkUpdate(t, method, `{"ids":["c"],"patch":[{"op":"add","path":"/userAwareTokenNeverExpires","value":true},`+away+`]}`)
			assert.Equal(t, 200, got.status, got.body)
			assert.Nil(t, tenant.Tokens()[3].ExpirationDate)
		}
	}
}

func TestBulkUpdateRules(t *testing.T) {
	const date = `{"op":"replace","path":"/expirationDate","value":"2030-01-01T00:00:00Z"}`
	list := func(n int) string {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprintf(`"t%d"`, i)
		}
		return strings.Join(ids, ",")
	}
	for _, test := range []struct{ body, want string }{ // "" means 200
		{`{"ids":[` + list(25) + `],"patch":[` + date + `]}`, ""},
		{`{"ids":[` + list(26) + `],"patch":[` + date + `]}`, "400.1.4 "},
		{`{"ids":[],"patch":[` + date + `]}`, "400.1.0 "},
		{`{"patch":[` + date + `]}`, "400.1.0 "},
		{`{"ids":["t1"]}`, "400.1.0 "},
		{`{"ids":["t1"],"patch":[]}`, "400.1.0 "},
		{`{"ids":["t1","t2","t1"],"patch":[` + date + `]}`, "400.1.3 "},
		{`{"ids":["t1"," "],"patch":[` + date + `]}`, "400.1.3 "},
		{`{"ids":["t1","unknown"],"patch":[` + date + `]}`, "400.1.404 "},
		{`{"ids":["t1"],"patch":[{"op":"replace","path":"/name","value":"n"}]}`, "400.1 "},
		{`{"ids":["t1"],"patch":[` + date + `,{"op":"replace","path":"/scope","value":["s"]}]}`, "400.1 "},
		{`{"ids":["t1"],"patch":[{"op":"remove","path":"/expirationDate"}]}`, "400.1.0 "},
		{`{"ids":["t1"],"patch":[{"op":"replace","path":"/expirationDate","value":"2020-01-01T00:00:00Z"}]}`, "400.1.3 "},
		{`{"ids":["t1"],"patch":` + date + `}`, "400.1 "},
		{`{"ids":"t1","patch":[` + date + `]}`, "400.1 "},
		{`{"ids":["t1"],"patch":[` + date + `],"more":1}`, "400.1 "},
		{`{`, "400.1 "},
	} {
		tenant, now := clockAt(t, "2026-01-01T00:00:00Z")
		for i := range 26 {
			tenant.Add(sailpoint.PersonalAccessToken{ID: fmt.Sprintf("t%d", i), ExpirationDate: ptr(now.Add(time.Hour))})
		}
		u := admin(t, tenant)
		before := tenant.Tokens()
		got := u.bulkUpdate(t, "PATCH", test.body)
		if test.want == "" {
			assert.Equal(t, 200, got.status, "%s: %s", test.body, got.body)
			continue
		}
		assertProblem(t, got, 400, test.want)
		assert.Equal(t, before, tenant.Tokens(), "%s: nothing was changed", test.body)
	}
	tenant := sailpointtest.NewTenant()
	assertProblem(t, admin(t, tenant).do(t, "PATCH", bulk, `{}`, "Content-Type", patchType), 415, "415 ")
}

func TestBulkUpdateNeedsTheRightToAllTokens(t *testing.T) {
	tenant, now := clockAt(t, "2026-01-01T00:00:00Z")
	tenant.Add(sailpoint.PersonalAccessToken{ID: "id", ExpirationDate: ptr(now.Add(time.Hour))})
	const body = `{"ids":["id"],"patch":[{"op":"replace","path":"/expirationDate","value":"2030-01-01T00:00:00Z"}]}`
	for scope, want := range map[string]int{myRead: 403, myManage: 403, allRead: 403, allManage: 200, everything: 200} {
		assert.Equal(t, want, loginAs(t, tenant, adminID, scope).bulkUpdate(t, "PATCH", body).status, scope)
	}
	// A managed token that the caller may not see is not found.
	tenant.Add(sailpoint.PersonalAccessToken{ID: "id", Managed: true})
	assertProblem(t, loginAs(t, tenant, adminID, allManage).bulkUpdate(t, "PATCH", body), 400, "400.1.404 ")
	assert.Equal(t, 200, loginAs(t, tenant, adminID, allManage, managedRead).bulkUpdate(t, "PATCH", body).status)
}

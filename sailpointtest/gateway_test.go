package sailpointtest_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestPathsAndMethods(t *testing.T) {
	u := admin(t, sailpointtest.NewTenant())
	for version, collection := range collections {
		assert.Equal(t, 200, u.do(t, "GET", collection, "").status, version)
		for _, path := range []string{collection + "/", collection + "/a/b", collection + "x", "/proxy" + collection, collection + "//"} {
			assertProblem(t, u.do(t, "GET", path, ""), 404, "404 Not found")
		}
		for _, method := range []string{"PUT", "PATCH", "DELETE", "OPTIONS"} {
			got := u.do(t, method, collection, "")
			assertProblem(t, got, 405, "405 ")
			assert.Equal(t, "GET, POST", got.header.Get("Allow"))
		}
		for _, method := range []string{"GET", "POST", "PUT"} { // the API has no GET of one token
			got := u.do(t, method, collection+"/"+u.tenant.Config().ClientID, "")
			assertProblem(t, got, 405, "405 ")
			assert.Equal(t, "DELETE, PATCH", got.header.Get("Allow"))
		}
		head := u.do(t, "HEAD", collection, "")
		assert.Equal(t, 405, head.status)
		assert.Empty(t, head.body)
		for _, id := range []string{"unknown", "..", "%2e%2e", "a%2Fb", "a%00b"} {
			assertProblem(t, u.do(t, "DELETE", collection+"/"+id, ""), 404, "404 Not found")
		}
	}
	for _, path := range []string{"", "/", "/v2023/personal-access-tokens", "/v1/personal-access-tokens", "/personal-access-tokens", "/oauth/token/", "/oauth/info"} {
		assertProblem(t, send(t, u.tenant, newRequest(t, "GET", host+path, "")), 404, "404 Not found")
	}
}

func TestPathOfTheBulkUpdate(t *testing.T) {
	u := admin(t, sailpointtest.NewTenant())
	for _, method := range []string{"GET", "DELETE", "PUT"} {
		got := u.do(t, method, bulk, "")
		assertProblem(t, got, 405, "405 ")
		assert.Equal(t, "PATCH, POST", got.header.Get("Allow"))
	}
	for version, collection := range collections {
		if version != sailpoint.V1 { // here it is the id of a token
			assertProblem(t, u.do(t, "DELETE", collection+"/bulk-update", ""), 404, "404 Not found")
		}
	}
}

func TestHeadersOfEveryResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		u := admin(t, tenant)
		tenant.Inject(sailpointtest.Fault{Method: "PUT", Status: 503})
		seen := make(map[string]bool)
		for _, got := range []response{
			fetch(t, tenant, "a", "b"), admin(t, tenant).list(t, ""), u.create(t, tokens, `{"name":"new"}`), u.create(t, tokens, `{`),
			u.delete(t, "unknown"), u.delete(t, tenant.Tokens()[1].ID), user{tenant: tenant}.list(t, ""), u.do(t, "PUT", tokens, ""),
		} {
			assert.Equal(t, time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), got.header.Get("Date"))
			assert.Equal(t, "no-cache, no-store, must-revalidate", got.header.Get("Cache-Control"))
			id := got.header.Get("SLPT-Request-ID")
			assert.Regexp(t, `^[0-9a-f]{32}$`, id)
			assert.False(t, seen[id])
			seen[id] = true
			if got.body != "" {
				assert.Equal(t, jsonType, got.header.Get("Content-Type"))
			}
		}
	})
}

func TestWithoutABearer(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	u := admin(t, tenant)
	for authorization, want := range map[string]string{
		"":                       `{"error":"JWT is required"}`,
		"Basic " + u.bearer:      `{"error":"JWT is required"}`,
		"Bearer":                 `{"error":"JWT is required"}`,
		"Bearer ":                `{"error":"JWT is required"}`,
		"Bearer x":               `{"error":"JWT validation failed: JWT is invalid"}`,
		"Bearer " + u.bearer[1:]: `{"error":"JWT validation failed: JWT is invalid"}`,
	} {
		for _, path := range []string{tokens, tokens + "/id"} {
			got := send(t, tenant, newRequest(t, "PUT", host+path, "", "Authorization", authorization))
			assert.Equal(t, 401, got.status, "authentication comes before the check of the method")
			assert.Equal(t, want, got.body, authorization)
			assert.Equal(t, jsonType, got.header.Get("Content-Type"))
		}
	}
	got := send(t, tenant, newRequest(t, "GET", host+tokens, "", "Authorization", "bEARER "+u.bearer))
	assert.Equal(t, 200, got.status, "the case of the scheme is ignored")
}

const (
	myRead      = "sp:my-personal-access-tokens:read"
	myManage    = "sp:my-personal-access-tokens:manage"
	allRead     = "sp:all-personal-access-tokens:read"
	allManage   = "sp:all-personal-access-tokens:manage"
	managedRead = "idn:managed-personal-access-tokens:read"
	everything  = "sp:scopes:all"
)

func TestRights(t *testing.T) {
	type statuses struct{ listMine, listOthers, listAll, create, patchMine, patchOthers, deleteMine, deleteOthers int }
	for _, test := range []struct {
		rights, scope []string
		want          statuses
	}{
		{[]string{everything}, []string{everything}, statuses{200, 200, 200, 200, 200, 403, 204, 204}},
		{[]string{everything}, []string{myRead}, statuses{200, 403, 403, 403, 403, 403, 403, 403}},
		{[]string{everything}, []string{myManage}, statuses{200, 403, 403, 200, 200, 404, 204, 404}},
		{[]string{everything}, []string{allRead}, statuses{200, 200, 200, 403, 403, 403, 403, 403}},
		{[]string{everything}, []string{allManage}, statuses{200, 200, 200, 200, 403, 403, 204, 204}},
		{[]string{everything}, []string{myManage, allRead}, statuses{200, 200, 200, 200, 200, 403, 204, 403}},
		{[]string{everything}, []string{"other"}, statuses{403, 403, 403, 403, 403, 403, 403, 403}},
		{[]string{everything}, []string{"sp:scopes:default"}, statuses{403, 403, 403, 403, 403, 403, 403, 403}},
		{[]string{"idn:my-personal-access-tokens:manage"}, []string{everything}, statuses{200, 403, 403, 200, 200, 404, 204, 404}},
		{[]string{myRead}, []string{everything}, statuses{200, 403, 403, 403, 403, 403, 403, 403}},
		{[]string{myRead}, []string{allRead, allManage}, statuses{403, 403, 403, 403, 403, 403, 403, 403}},
		{nil, []string{everything}, statuses{403, 403, 403, 403, 403, 403, 403, 403}},
	} {
		tenant := sailpointtest.NewTenant(sailpointtest.WithIdentity(sailpointtest.Identity{ID: "jane", Name: "Jane", Rights: test.rights}))
		jane := loginAs(t, tenant, "jane", test.scope...)
		mine, _ := tenant.Add(sailpoint.PersonalAccessToken{Owner: sailpoint.PersonalAccessTokenOwner{ID: "jane"}})
		other := tenant.Config().ClientID
		rename := `[{"op":"replace","path":"/name","value":"renamed"}]`
		got := statuses{
			listMine:     jane.list(t, "?owner-id=me").status,
			listOthers:   jane.list(t, "?owner-id="+adminID).status,
			listAll:      jane.list(t, "").status,
			create:       jane.create(t, tokens, `{"name":"new"}`).status,
			patchMine:    jane.patch(t, tokens, mine, rename).status,
			patchOthers:  jane.patch(t, tokens, other, rename).status,
			deleteMine:   jane.delete(t, mine).status,
			deleteOthers: jane.delete(t, other).status,
		}
		assert.Equal(t, test.want, got, "rights %q, scope %q", test.rights, test.scope)
	}
}

func TestForbiddenShape(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	assertProblem(t, loginAs(t, tenant, "", "other").list(t, ""), 403, "403 Forbidden")
}

func TestManagedTokensAreHidden(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	managed, _ := tenant.Add(sailpoint.PersonalAccessToken{Managed: true})
	blind := loginAs(t, tenant, "", myManage, allManage)
	for _, query := range []string{"", "?owner-id=me", "?owner-id=" + adminID} {
		assert.NotContains(t, blind.list(t, query).ids(t), managed)
	}
	assertProblem(t, blind.delete(t, managed), 404, "404 Not found")
	assertProblem(t, blind.patch(t, tokens, managed, `[]`), 404, "404 Not found")

	seeing := loginAs(t, tenant, "", myManage, managedRead)
	got := seeing.list(t, "?owner-id=me")
	assert.Contains(t, got.ids(t), managed)
	assert.Contains(t, got.body, `"managed":true`)
	assert.Equal(t, 204, seeing.delete(t, managed).status)
}

func TestUnknownOwnerBecomesAnIdentity(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	id, secret := tenant.Add(sailpoint.PersonalAccessToken{Owner: sailpoint.PersonalAccessTokenOwner{ID: "new", Name: "New"}})
	u := login(t, tenant, id, secret)
	assert.Equal(t, []string{id}, u.list(t, "?owner-id=me").ids(t))
	assert.Equal(t, 403, u.list(t, "").status)
	assert.Contains(t, u.create(t, tokens, `{"name":"second"}`).body, `"owner":{"type":"IDENTITY","id":"new","name":"New"}`)
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant(sailpointtest.WithRateLimit())
		u := admin(t, tenant)
		for i := range 100 {
			require.Equal(t, 200, u.list(t, "").status)
			if i == 0 {
				<-time.After(2500 * time.Millisecond)
			}
		}
		got := u.list(t, "")
		assert.Equal(t, 429, got.status)
		assert.Equal(t, `{"message":" Rate Limit Exceeded "}`, got.body)
		assert.Equal(t, "8", got.header.Get("Retry-After"), "7.5 s rounded up")
		assert.Equal(t, 429, admin(t, tenant).list(t, "").status, "a new bearer has the same limit")
		assert.Equal(t, 200, u.do(t, "GET", collections[sailpoint.V3], "").status, "another version has its own limit")
		assert.Equal(t, 200, loginAs(t, tenant, "").list(t, "").status, "another client id has its own limit")
		assert.Equal(t, 401, user{tenant: tenant}.list(t, "").status)

		wait, err := strconv.Atoi(got.header.Get("Retry-After"))
		require.NoError(t, err)
		<-time.After(time.Duration(wait) * time.Second)
		assert.Equal(t, 200, u.list(t, "").status)
		assert.Equal(t, "2", u.list(t, "").header.Get("Retry-After"), "only the first request has left the window")
		<-time.After(2 * time.Second)
		assert.Equal(t, 200, u.list(t, "").status)
	})
}

func TestWithoutARateLimit(t *testing.T) {
	u := admin(t, sailpointtest.NewTenant())
	for range 200 {
		require.Equal(t, 200, u.list(t, "").status)
	}
}

package sailpointtest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sailpoint-go/sailpoint"
)

func TestPatchResponse(t *testing.T) {
	for version, collection := range collections {
		tenant, now := clockAt(t, "2026-01-01T00:00:00Z")
		tenant.Add(sailpoint.PersonalAccessToken{ID: "id", Name: "old", ExpirationDate: ptr(now.Add(time.Hour)), UserAwareTokenNeverExpires: ptr(true)})
		acknowledgement := ""
		if isNew(version) {
			acknowledgement = `,"userAwareTokenNeverExpires":true`
		}
		got := admin(t, tenant).patch(t, collection, "id", `[{"op":"replace","path":"/name","value":"new"},{"op":"replace","path":"/scope","value":["a","b"]}]`)
		assert.Equal(t, 200, got.status, version)
		assert.Equal(t, `{"id":"id","name":"new","scope":["a","b"],"owner":{"type":"IDENTITY","id":"2c9180a46faadee4016fb4e018c20639","name":"Support"},`+
			`"created":"2026-01-01T00:00:00.000Z","lastUsed":null,"managed":false,"accessTokenValiditySeconds":43200,`+
			`"expirationDate":"2026-01-01T01:00:00.000Z"`+acknowledgement+`}`, got.body, version)
		assert.Equal(t, "new", tenant.Tokens()[1].Name)
	}
}

func TestPatchRules(t *testing.T) {
	const (
		date    = `{"op":"replace","path":"/expirationDate","value":"2030-01-01T00:00:00.000Z"}`
		cleared = `{"op":"replace","path":"/expirationDate","value":null}`
		ack     = `{"op":"replace","path":"/userAwareTokenNeverExpires","value":true}`
		unack   = `{"op":"replace","path":"/userAwareTokenNeverExpires","value":false}`
	)
	const notPatchable = "not patchable" // before v2025
	for _, test := range []struct {
		patch string
		old   string // "" means 200
		new   string
	}{
		{`[]`, "", ""},
		{`[{"op":"add","path":"/name","value":"new"}]`, "", ""},
		{`[{"op":"replace","path":"/name","value":"name","from":"/x","unknown":1}]`, "", ""},
		{`[{"op":"replace","path":"/name","value":"taken"}]`, "400.1.409 ", "400.1.409 "},
		{`[{"op":"replace","path":"/name","value":"taken"},{"op":"replace","path":"/name","value":"new"}]`, "", ""},
		{`[{"op":"replace","path":"/name","value":""}]`, "400.1.0 ", "400.1.0 "},
		{`[{"op":"replace","path":"/name","value":null}]`, "400.1.0 ", "400.1.0 "},
		{`[{"op":"replace","path":"/name","value":5}]`, "400.1.3 ", "400.1.3 "},
		{`[{"op":"replace","path":"/name"}]`, "400.1.0 ", "400.1.0 "},
		{`[{"op":"remove","path":"/name"}]`, "400.1.0 ", "400.1.0 "},
		{`[{"op":"remove","path":"/scope"}]`, "", ""},
		{`[{"op":"replace","path":"/scope","value":null}]`, "", ""},
		{`[{"op":"replace","path":"/scope","value":[]}]`, "", ""},
		{`[{"op":"replace","path":"/scope","value":[""]}]`, "400.1.3 ", "400.1.3 "},
		{`[{"op":"replace","path":"/scope","value":"a"}]`, "400.1.3 ", "400.1.3 "},
		{`[{"op":"add","path":"/scope/-","value":"a"}]`, "400.1 ", "400.1 "},
		{`[{"op":"test","path":"/name","value":"name"},{"op":"test","path":"/scope","value":[ "a" ]}]`, "", ""},
		{`[{"op":"test","path":"/name","value":"\u006eame"}]`, "", ""},
		{`[{"op":"test","path":"/name","value":"other"}]`, "400.1 ", "400.1 "},
		{`[{"op":"test","path":"/name"}]`, "400.1.0 ", "400.1.0 "},
		{`[{"op":"replace","path":"/name","value":"new"},{"op":"test","path":"/name","value":"name"}]`, "400.1 ", "400.1 "},
		{`[{"op":"replace","path":"/name","value":"new"},{"op":"test","path":"/name","value":"new"}]`, "", ""},
		{`[{"op":"replace","path":"/name","value":"new"},{"op":"replace","path":"/id","value":"x"}]`, "400.1 ", "400.1 "},
		{`[{"op":"replace","path":"/accessTokenValiditySeconds","value":100}]`, "400.1 ", "400.1 "},
		{`[{"op":"replace","path":"/owner/id","value":"someone"}]`, "400.1 ", "400.1 "},
		{`[{"op":"replace","path":"/unknown","value":1}]`, "400.1 ", "400.1 "},
		{`[{"op":"replace","path":"name","value":"new"}]`, "400.1 ", "400.1 "},
		{`[{"op":"replace","path":"","value":{}}]`, "400.1 ", "400.1 "},
		{`[{"op":"replace","value":"new"}]`, "400.1.0 ", "400.1.0 "},
		{`[{"op":"move","path":"/name","from":"/scope"}]`, "400.1 ", "400.1 "},
		{`[{"op":"copy","path":"/name","from":"/scope"}]`, "400.1 ", "400.1 "},
		{`[{"op":"Replace","path":"/name","value":"new"}]`, "400.1 ", "400.1 "},
		{`[{"path":"/name","value":"new"}]`, "400.1 ", "400.1 "},
		{`{"op":"replace","path":"/name","value":"new"}`, "400.1 ", "400.1 "},
		{`{"name":"new"}`, "400.1 ", "400.1 "},
		{`[null]`, "400.1 ", "400.1 "},
		{`["replace"]`, "400.1 ", "400.1 "},
		{`null`, "400.1 ", "400.1 "},
		{``, "400.1 ", "400.1 "},
		{`[{"op":"replace","op":"add","path":"/name","value":"new"}]`, "400.1 ", "400.1 "},
		{`[{"op":"replace","path":"/name","value":{"a":1,"a":2}}]`, "400.1 ", "400.1 "},

		{`[` + date + `]`, notPatchable, ""},
		{`[` + date + `,` + unack + `]`, notPatchable, ""},
		{`[` + cleared + `]`, notPatchable, "400.1.0 "},
		{`[` + cleared + `,` + ack + `]`, notPatchable, ""},
		{`[` + ack + `,` + cleared + `]`, notPatchable, ""},
		{`[` + ack + `,{"op":"remove","path":"/expirationDate"}]`, notPatchable, ""},
		{`[` + cleared + `,` + unack + `]`, notPatchable, "400.1.0 "},
		{`[` + cleared + `,` + ack + `,{"op":"remove","path":"/userAwareTokenNeverExpires"}]`, notPatchable, "400.1.0 "},
		{`[` + cleared + `,` + date + `]`, notPatchable, ""},
		{`[` + ack + `]`, notPatchable, ""},
		{`[` + unack + `]`, notPatchable, ""},
		{`[{"op":"replace","path":"/userAwareTokenNeverExpires","value":"true"}]`, notPatchable, "400.1.3 "},
		{`[{"op":"replace","path":"/expirationDate","value":"2026-01-01T00:00:00.000Z"}]`, notPatchable, "400.1.3 "},
		{`[{"op":"replace","path":"/expirationDate","value":""}]`, notPatchable, "400.1.3 "},
		{`[{"op":"replace","path":"/expirationDate","value":5}]`, notPatchable, "400.1.3 "},
		{`[{"op":"test","path":"/expirationDate","value":"2026-01-01T01:00:00.000Z"},{"op":"test","path":"/userAwareTokenNeverExpires","value":false}]`, notPatchable, ""},
	} {
		for version, collection := range collections {
			tenant, now := clockAt(t, "2026-01-01T00:00:00Z")
			tenant.Add(sailpoint.PersonalAccessToken{Name: "taken"})
			tenant.Add(sailpoint.PersonalAccessToken{Name: "taken", Owner: sailpoint.PersonalAccessTokenOwner{ID: "someone"}})
			tenant.Add(sailpoint.PersonalAccessToken{ID: "id", Name: "name", Scope: []string{"a"}, ExpirationDate: ptr(now.Add(time.Hour))})
			u := admin(t, tenant)
			before := tenant.Tokens()
			got := u.patch(t, collection, "id", test.patch)
			want := test.old
			switch {
			case isNew(version):
				want = test.new
			case want == notPatchable:
				want = "400.1 Bad Request Content"
			}
			if want == "" {
				assert.Equal(t, 200, got.status, "%s: %s: %s", version, test.patch, got.body)
				continue
			}
			assertProblem(t, got, 400, want)
			assert.Equal(t, before, tenant.Tokens(), "%s: %s: nothing was changed", version, test.patch)
		}
	}
}

func TestPatchedExpiry(t *testing.T) {
	tenant, now := clockAt(t, "2026-01-01T00:00:00Z")
	tenant.Add(sailpoint.PersonalAccessToken{ID: "id", Scope: []string{"a"}, ExpirationDate: ptr(now.Add(time.Hour))})
	u := admin(t, tenant)
	v2025 := collections[sailpoint.V2025]
	const ack = `{"op":"add","path":"/userAwareTokenNeverExpires","value":true}`

	got := u.patch(t, v2025, "id", `[`+ack+`]`)
	assert.Contains(t, got.body, `"expirationDate":"2026-01-01T01:00:00.000Z","userAwareTokenNeverExpires":true`, "the acknowledgement alone removes nothing")
	got = u.patch(t, v2025, "id", `[{"op":"remove","path":"/expirationDate"},`+ack+`]`)
	assert.Contains(t, got.body, `"expirationDate":null,"userAwareTokenNeverExpires":true`)
	assert.Nil(t, tenant.Tokens()[1].ExpirationDate)
	got = u.patch(t, v2025, "id", `[{"op":"replace","path":"/userAwareTokenNeverExpires","value":false}]`)
	assertProblem(t, got, 400, "400.1.0 ")
	got = u.patch(t, v2025, "id", `[{"op":"remove","path":"/expirationDate"}]`)
	assertProblem(t, got, 400, "400.1.0 ")
	got = u.patch(t, v2025, "id", `[{"op":"replace","path":"/expirationDate","value":"9999-12-31T23:59:59.999Z"}]`)
	assert.Contains(t, got.body, `"expirationDate":"9999-12-31T23:59:59.999Z","userAwareTokenNeverExpires":true`)

	got = u.patch(t, tokens, "id", `[{"op":"remove","path":"/scope"}]`)
	assert.Contains(t, got.body, `"scope":["sp:scopes:all"]`)
}

func TestRenameAnExpiredToken(t *testing.T) {
	tenant, now := clockAt(t, "2026-01-01T00:00:00Z")
	tenant.Add(sailpoint.PersonalAccessToken{ID: "id", ExpirationDate: ptr(now.Add(-time.Hour))})
	got := admin(t, tenant).patch(t, tokens, "id", `[{"op":"replace","path":"/name","value":"new"}]`)
	assert.Equal(t, 200, got.status, got.body)
}

func TestPatchOfUnknownToken(t *testing.T) {
	tenant, _ := clockAt(t, "2026-01-01T00:00:00Z")
	assertProblem(t, admin(t, tenant).patch(t, tokens, "unknown", `broken`), 404, "404 Not found")
}

package seed

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// list returns the response to a client that lists all tokens.
func list(t *testing.T, tenant *sailpointtest.Tenant, id, secret string) (status int, body string) {
	t.Helper()
	client := http.Client{Transport: tenant}
	response, err := client.PostForm("http://tenant/oauth/token",
		url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}})
	require.NoError(t, err)
	var grant struct {
		Bearer string `json:"access_token"`
	}
	require.NoError(t, json.UnmarshalRead(response.Body, &grant))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://tenant/v2024/personal-access-tokens", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+grant.Bearer)
	response, err = client.Do(request)
	require.NoError(t, err)
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(content)
}

const example = `{
  "identities": [
    {"id": "ana", "name": "Ana Lima", "rights": ["idn:my-personal-access-tokens:read"]}
  ],
  "tokens": [
    {"id": "reader", "secret": "reader-secret", "name": "reader", "owner": {"id": "ana"}, "scope": ["sp:my-personal-access-tokens:read"]},
    {"name": "old laptop", "created": "-400d", "lastUsed": "-310d", "expirationDate": "-220d"},
    {"id": "platform", "name": "workflow", "owner": {"id": "bo", "name": "Bo Larsson"}, "created": "2026-01-31T12:00:00+01:00",
     "lastUsed": null, "expirationDate": "+12h", "managed": true, "accessTokenValiditySeconds": 60, "userAwareTokenNeverExpires": false}
  ]
}`

// TestSeedAtTheWire expects the seeded tokens as the API shows them.
func TestSeedAtTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the clock starts at 2000-01-01T00:00:00Z
		content, err := Parse([]byte(example), "admin")
		require.NoError(t, err)
		admin := sailpointtest.WithCredentials("admin", "admin-secret")
		tenant := content.NewTenant(admin)

		status, body := list(t, tenant, "admin", "admin-secret")
		require.Equal(t, 200, status)
		old := tenant.Tokens()[2].ID
		assert.Equal(t, `[`+
			`{"id":"admin","name":"tenant","scope":["sp:scopes:all"],"owner":{"type":"IDENTITY","id":"2c9180a46faadee4016fb4e018c20639","name":"Support"},`+
			`"created":"2000-01-01T00:00:00.000Z","lastUsed":"2000-01-01T00:00:00.000Z","managed":false,"accessTokenValiditySeconds":43200},`+
			`{"id":"reader","name":"reader","scope":["sp:my-personal-access-tokens:read"],"owner":{"type":"IDENTITY","id":"ana","name":"Ana Lima"},`+
			`"created":"2000-01-01T00:00:00.000Z","lastUsed":null,"managed":false,"accessTokenValiditySeconds":43200},`+
			`{"id":"`+old+`","name":"old laptop","scope":["sp:scopes:all"],"owner":{"type":"IDENTITY","id":"2c9180a46faadee4016fb4e018c20639","name":"Support"},`+
			`"created":"1998-11-27T00:00:00.000Z","lastUsed":"1999-02-25T00:00:00.000Z","managed":false,"accessTokenValiditySeconds":43200,"expirationDate":"1999-05-26T00:00:00.000Z"},`+
			`{"id":"platform","name":"workflow","scope":["sp:scopes:all"],"owner":{"type":"IDENTITY","id":"bo","name":"Bo Larsson"},`+
			`"created":"2026-01-31T11:00:00.000Z","lastUsed":null,"managed":true,"accessTokenValiditySeconds":60,"expirationDate":"2000-01-01T12:00:00.000Z"}`+
			`]`, body)

		status, _ = list(t, tenant, "reader", "reader-secret")
		assert.Equal(t, 403, status, "the reader sees only its own tokens")

		time.Sleep(time.Hour)
		again := content.NewTenant(admin).Tokens()
		assert.Equal(t, time.Now().Add(12*time.Hour), again[3].ExpirationDate.Local(), "relative to the start of the new tenant")
	})
}

func TestSeedWithAByteOrderMark(t *testing.T) {
	content, err := Parse([]byte("\ufeff{}"), "")
	require.NoError(t, err)
	assert.Equal(t, new(Seed), content)
}

func TestBadSeeds(t *testing.T) {
	for content, want := range map[string]string{
		``:               "line 1: unexpected EOF",
		`[]`:             "line 1: a JSON [ is not allowed here: see docs/faketenant.md for the type",
		"{\"tokens\": [": "line 1: /tokens: unexpected EOF",
		"{\n\"tokens\": [\n{\"name\": \"a\" \"id\"}]}": "line 3: /tokens/0: invalid character '\"' after object value (expecting ',' or '}')",
		"{\n\"tokens\": [\n{\"nam\": \"a\"}]}":         "line 3: /tokens/0/nam: unknown object member name",
		`{"tokens": [{"name": "a", "name": "b"}]}`:     "line 1: /tokens/0/name: duplicate object member name",
		`{"tokens": [{"id": "a", "secret": 123456}]}`:  "line 1: /tokens/0/secret: a JSON number is not allowed here: see docs/faketenant.md for the type",
		`{"tokens": [{"created": "yesterday"}]}`: `line 1: /tokens/0/created: "yesterday" is not a date: write one such as "2026-01-31T12:00:00Z",` +
			` or a time from now, such as "-90d" or "+12h"`,
		`{"tokens": [{"created": "-3months"}]}`:                    `line 1: /tokens/0/created: "-3months" is not a date`,
		`{"tokens": [{"created": "+999999d"}]}`:                    `line 1: /tokens/0/created: "+999999d" is not a date`,
		`{"tokens": [{"secret": "hidden"}]}`:                       "/tokens/0: it has a secret and no id: add the id",
		`{"tokens": [{"owner": {"name": "Ana"}}]}`:                 "/tokens/0: its owner has a name and no id: add the id",
		`{"tokens": [{"name": " "}]}`:                              "/tokens/0: name is blank",
		`{"tokens": [{"accessTokenValiditySeconds": -1}]}`:         "/tokens/0: accessTokenValiditySeconds is negative",
		`{"tokens": [{"id": "a"}, {"id": "b"}, {"id": "a"}]}`:      `/tokens/2: another token has the id "a": change one of them`,
		`{"tokens": [{"id": "admin", "secret": "hidden"}]}`:        "/tokens/0: -client-id has the same id: change one of them",
		`{"identities": [{"name": "Ana"}]}`:                        "/identities/0: id is missing: add it",
		`{"identities": [{"id": "a"}, {"id": "a"}]}`:               `/identities/1: another identity has the id "a": change one of them`,
		`{"identities": [{"id": "a", "rights": "sp:scopes:all"}]}`: "line 1: /identities/0/rights: a JSON string is not allowed here",
	} {
		parsed, err := Parse([]byte(content), "admin")
		assert.Nil(t, parsed, content)
		require.ErrorContains(t, err, want, content)
		assert.NotContains(t, err.Error(), "hidden")
		assert.NotContains(t, err.Error(), "123456")
	}
}

// TestDocumentedSeed shows that the guide's example is the one of these tests.
func TestDocumentedSeed(t *testing.T) {
	guide, err := os.ReadFile("../../docs/faketenant.md")
	require.NoError(t, err)
	_, rest, found := bytes.Cut(guide, []byte("```json"))
	require.True(t, found)
	snippet, _, found := bytes.Cut(rest, []byte("```"))
	require.True(t, found)
	content, err := Parse(snippet, "")
	require.NoError(t, err)
	want, err := Parse([]byte(example), "")
	require.NoError(t, err)
	assert.Equal(t, want.Identities, content.Identities)
	assert.Equal(t, want.Tokens[:2], content.Tokens)
}

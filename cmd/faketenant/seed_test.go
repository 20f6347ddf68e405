package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func writeSeed(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "seed.json")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	return name
}

const exampleSeed = `{
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
		content, err := readSeed(writeSeed(t, exampleSeed), "admin")
		require.NoError(t, err)
		s := settings{clientID: "admin", clientSecret: "admin-secret"}
		tenant := s.newTenant(content)
		client := inMemory(tenant)

		status, bearer := fetchBearer(t, client, "http://tenant", "admin", "admin-secret")
		require.Equal(t, 200, status)
		_, body := list(t, client, "http://tenant", bearer)
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

		status, bearer = fetchBearer(t, client, "http://tenant", "reader", "reader-secret")
		require.Equal(t, 200, status)
		status, _ = list(t, client, "http://tenant", bearer)
		assert.Equal(t, 403, status, "the reader sees only its own tokens")

		time.Sleep(time.Hour)
		again := s.newTenant(content).Tokens()
		assert.Equal(t, time.Now().Add(12*time.Hour), again[3].ExpirationDate.Local(), "relative to the start of the new tenant")
	})
}

func TestSeedWithAByteOrderMark(t *testing.T) {
	content, err := readSeed(writeSeed(t, "\ufeff{}"), "")
	require.NoError(t, err)
	assert.Equal(t, new(seed), content)
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
		name := writeSeed(t, content)
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"-seed", name, "-client-id", "admin", "-client-secret", "secret"}, &stdout, &stderr)
		assert.Equal(t, exitUsage, code, content)
		assert.Empty(t, stdout.String(), content)
		assert.Contains(t, stderr.String(), "faketenant: -seed "+name+": "+want, content)
		assert.NotContains(t, stderr.String(), "hidden")
		assert.NotContains(t, stderr.String(), "123456")
	}
	var stderr bytes.Buffer
	assert.Equal(t, exitUsage, run(t.Context(), []string{"-seed", "not there"}, &bytes.Buffer{}, &stderr))
	assert.Contains(t, stderr.String(), "faketenant: -seed: open not there: ")
}

// TestDocumentedSeed shows that the guide's example is the one of these tests.
func TestDocumentedSeed(t *testing.T) {
	content, err := readSeed(writeSeed(t, snippets(t, "json")[0]), "")
	require.NoError(t, err)
	want, err := readSeed(writeSeed(t, exampleSeed), "")
	require.NoError(t, err)
	assert.Equal(t, want.Identities, content.Identities)
	assert.Equal(t, want.Tokens[:2], content.Tokens)
}

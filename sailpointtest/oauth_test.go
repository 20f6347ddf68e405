package sailpointtest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime/multipart"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestIssuedBearer(t *testing.T) {
	tenant := sailpointtest.NewTenant(sailpointtest.WithIdentity(sailpointtest.Identity{ID: "jane", Name: "Jane"}))
	id, secret := tenant.Add(sailpoint.PersonalAccessToken{
		Scope: []string{"idn:a:read", "idn:b:manage"}, AccessTokenValiditySeconds: 749,
		Owner: sailpoint.PersonalAccessTokenOwner{ID: "jane"},
	})
	got := fetch(t, tenant, id, secret.Reveal())
	assert.Equal(t, 200, got.status)
	assert.Regexp(t, `^\{"access_token":"[\w-]+\.[\w-]+\.[\w-]+","token_type":"bearer","expires_in":749,"scope":"idn:a:read idn:b:manage",`+
		`"tenant_id":"[0-9a-f]{32}","internal":true,"pod":"stg01-useast1","org":"tenant","identity_id":"jane","user_name":"Jane","user_id":"jane",`+
		`"strong_auth":false,"strong_auth_supported":true,"claims_supported":true,"enabled":true,"accessType":"OFFLINE","jti":"[0-9a-f]{32}"\}$`, got.body)

	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(got.text(t, "access_token"), ".")[1])
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(payload, &claims))
	assert.Equal(t, id, claims["client_id"])
	assert.Equal(t, "Jane", claims["user_name"])
	assert.Equal(t, got.field(t, "jti"), claims["jti"])
}

func TestCredentialsInEveryPlace(t *testing.T) {
	const id, secret = "my-id", "a&b=c+d%20 e"
	tenant := sailpointtest.NewTenant(sailpointtest.WithCredentials(id, secret))
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
	}
	both := url.Values{"client_id": {id}, "client_secret": {secret}}.Encode()
	all := both + "&grant_type=client_credentials&scope=any"

	var parts bytes.Buffer
	writer := multipart.NewWriter(&parts)
	for name, value := range map[string]string{"grant_type": "client_credentials", "client_id": id, "client_secret": secret} {
		require.NoError(t, writer.WriteField(name, value))
	}
	require.NoError(t, writer.Close())

	for name, request := range map[string]struct {
		query, body string
		header      []string
	}{
		"form":                    {"", all, []string{"Content-Type", formType + "; charset=UTF-8"}},
		"multipart":               {"", parts.String(), []string{"Content-Type", writer.FormDataContentType()}},
		"query":                   {"?" + all, "", nil},
		"query with a JSON body":  {"?" + all, "{}", []string{"Content-Type", jsonType}},
		"grant type in the query": {"?grant_type=client_credentials", both, []string{"Content-Type", formType}},
		"Basic":                   {"", "grant_type=client_credentials", []string{"Content-Type", formType, "Authorization", basic(id, url.QueryEscape(secret))}},
	} {
		got := send(t, tenant, newRequest(t, "POST", host+"/oauth/token"+request.query, request.body, request.header...))
		assert.Equal(t, 200, got.status, "%s: %s", name, got.body)
	}

	plain := sailpointtest.NewTenant(sailpointtest.WithCredentials(id, "a+b"))
	got := send(t, plain, newRequest(t, "POST", host+"/oauth/token?grant_type=client_credentials", "", "Authorization", basic(id, "a+b")))
	assert.Equal(t, 200, got.status, "Basic without form encoding, as most clients send it")
}

func TestTokenEndpointErrors(t *testing.T) {
	tenant := sailpointtest.NewTenant(sailpointtest.WithCredentials("my-id", "my-secret"))
	const (
		badClient   = `{"error":"invalid_client","error_description":"Bad client credentials"}`
		noClient    = `{"error":"unauthorized","error_description":"Full authentication is required to access this resource"}`
		credentials = "client_id=my-id&client_secret=my-secret&"
	)
	for _, test := range []struct {
		contentType, body string
		status            int
		want              string
	}{
		{formType, "grant_type=client_credentials&client_id=my-id&client_secret=wrong", 401, badClient},
		{formType, "grant_type=client_credentials&client_id=unknown&client_secret=my-secret", 401, badClient},
		{formType, "grant_type=client_credentials&client_id=my-id", 401, noClient},
		{formType, "grant_type=client_credentials&client_secret=my-secret", 401, noClient},
		{formType, "", 401, noClient},
		{"", credentials + "grant_type=client_credentials", 401, noClient},
		{jsonType, `{"grant_type":"client_credentials","client_id":"my-id","client_secret":"my-secret"}`, 401, noClient},
		{formType, credentials, 400, `{"error":"invalid_request","error_description":"Missing grant type"}`},
		{formType, credentials + "grant_type=password", 400, `{"error":"unsupported_grant_type","error_description":"Unsupported grant type: password"}`},
		{formType, credentials + "grant_type=%zz", 400, `{"error":"invalid_request","error_description":"The form is malformed"}`},
		{"multipart/form-data; boundary=x", "--x\r\nbroken", 400, `{"error":"invalid_request","error_description":"The form is malformed"}`},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=a\r\n\r\ncut", 400, `{"error":"invalid_request","error_description":"The form is malformed"}`},
	} {
		got := send(t, tenant, newRequest(t, "POST", host+"/oauth/token", test.body, "Content-Type", test.contentType))
		assert.Equal(t, test.status, got.status, test.body)
		assert.Equal(t, test.want, got.body, test.body)
		assert.Equal(t, jsonType, got.header.Get("Content-Type"))
	}
	got := send(t, tenant, newRequest(t, "POST", host+"/oauth/token?%zz", ""))
	assert.Equal(t, `{"error":"invalid_request","error_description":"The query is malformed"}`, got.body)
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		got := send(t, tenant, newRequest(t, method, host+"/oauth/token?grant_type=client_credentials&"+credentials, ""))
		assert.Equal(t, 405, got.status, method)
		assert.Equal(t, "POST", got.header.Get("Allow"))
	}
}

func TestBearersExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		id, secret := tenant.Add(sailpoint.PersonalAccessToken{AccessTokenValiditySeconds: 15})
		u := login(t, tenant, id, secret)
		<-time.After(15*time.Second - 1)
		assert.Equal(t, 200, u.list(t, "").status)
		<-time.After(time.Nanosecond)
		got := u.list(t, "")
		assert.Equal(t, 401, got.status)
		assert.Equal(t, `{"error":"JWT validation failed: JWT is expired"}`, got.body)
	})
}

func TestBearerExpiresWithItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		id, secret := tenant.Add(sailpoint.PersonalAccessToken{ExpirationDate: ptr(time.Now().Add(time.Hour))})
		<-time.After(10 * time.Minute)
		issued := fetch(t, tenant, id, secret.Reveal())
		assert.EqualValues(t, 3000, issued.field(t, "expires_in"))
		u := user{tenant, issued.text(t, "access_token")}
		<-time.After(50*time.Minute - 1)
		assert.Equal(t, 200, u.list(t, "").status)
		<-time.After(time.Nanosecond)
		assert.Equal(t, 401, u.list(t, "").status)
		rejected := fetch(t, tenant, id, secret.Reveal())
		assert.Equal(t, 401, rejected.status)
		assert.Equal(t, "invalid_client", rejected.text(t, "error"))
		assert.Contains(t, admin(t, tenant).list(t, "").ids(t), id, "an expired token is still listed")
	})
}

func TestDeletedTokenIsRejected(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	cfg := tenant.Config()
	u := admin(t, tenant)
	assert.Equal(t, 204, u.delete(t, cfg.ClientID).status)
	got := u.list(t, "")
	assert.Equal(t, 401, got.status)
	assert.Equal(t, `{"error":"JWT validation failed: JWT is invalid"}`, got.body)
	assert.Equal(t, "invalid_client", fetch(t, tenant, cfg.ClientID, cfg.ClientSecret.Reveal()).text(t, "error"))
}

func TestExpireAccessTokens(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	u := admin(t, tenant)
	tenant.ExpireAccessTokens()
	got := u.list(t, "")
	assert.Equal(t, 401, got.status)
	assert.Equal(t, `{"error":"JWT validation failed: JWT is expired"}`, got.body)
	assert.Equal(t, 200, admin(t, tenant).list(t, "").status, "a new bearer is valid")
}

func TestLastUsedMovesOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		lastUsed := func() *time.Time { return tenant.Tokens()[0].LastUsed }
		assert.Nil(t, lastUsed())
		first := time.Now()
		u := admin(t, tenant)
		assert.True(t, lastUsed().Equal(first))
		<-time.After(11 * time.Hour)
		u.list(t, "")
		<-time.After(13*time.Hour - time.Millisecond)
		admin(t, tenant)
		assert.True(t, lastUsed().Equal(first))
		<-time.After(time.Millisecond)
		admin(t, tenant)
		assert.True(t, lastUsed().Equal(first.Add(24*time.Hour)))
	})
}

func TestBearerKeepsTheScopeOfItsIssue(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	id, secret := tenant.Add(sailpoint.PersonalAccessToken{Scope: []string{"sp:my-personal-access-tokens:manage"}})
	old := login(t, tenant, id, secret)
	assert.Equal(t, 200, old.patch(t, tokens, id, `[{"op":"replace","path":"/scope","value":["other"]}]`).status)
	assert.Equal(t, 200, old.list(t, "?owner-id=me").status)
	assert.Equal(t, 403, login(t, tenant, id, secret).list(t, "?owner-id=me").status)
}

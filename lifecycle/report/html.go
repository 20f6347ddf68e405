package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// WriteHTML writes the report as a single HTML file that loads nothing from
// elsewhere, so it can be sent by mail and opened offline. The page names the
// tenant, the time of the audit and its limits. It shows a timeline of when
// tokens were created and expire, the number of findings of each kind, the
// owners with the most tokens, and a table of the tokens with findings to sort
// and filter.
func WriteHTML(w io.Writer, r *lifecycle.Report, opts Options) error {
	if err := opts.check(r); err != nil {
		return err
	}
	tmpl, err := template.New("page").Funcs(template.FuncMap{"noun": noun}).Parse(pageHTML)
	if err != nil {
		return err
	}
	return tmpl.Execute(w, newPage(r, opts))
}

// look is the label and color of a kind.
type look struct{ label, tone string }

func lookOf(kind lifecycle.Kind) look {
	switch kind {
	case lifecycle.FindingNeverUsed:
		return look{"Never used", "idle"}
	case lifecycle.FindingStale:
		return look{"Long unused", "idle"}
	case lifecycle.FindingExpired:
		return look{"Expired", "bad"}
	case lifecycle.FindingExpiringSoon:
		return look{"Expires soon", "warn"}
	case lifecycle.FindingNoExpiry:
		return look{"No expiry", "warn"}
	case lifecycle.FindingEveryRight:
		return look{"Every right", "bad"}
	case lifecycle.FindingAdminScope:
		return look{"Rights to others’ tokens", "bad"}
	case lifecycle.FindingLongBearer:
		return look{"Long bearers", "warn"}
	case lifecycle.FindingNearLimit:
		return look{"Owner near the limit", "warn"}
	case lifecycle.FindingUnfinished:
		return look{"Unfinished rotation", "warn"}
	case lifecycle.FindingManaged:
		return look{"Managed", "info"}
	}
	return look{string(kind), "info"}
}

// page is the template's data.
type page struct {
	Style  template.CSS
	Script template.JS
	Policy string // content security policy: only its own style and script

	Options
	At             string
	Limits         []limit
	Tokens, Owners int
	Found          int // tokens with findings other than FindingManaged
	Kinds          []kindBar
	Most           []ownerBar
	Rows           []row
	Axis           axis
}

// kindBar shows how often a kind was found.
type kindBar struct {
	Kind        lifecycle.Kind
	Label, Tone string
	Count       int
	Width       int // of 100
}

// ownerBar shows one of the owners with the most tokens.
type ownerBar struct {
	lifecycle.OwnerTotal
	Near  bool
	Width int
}

// limit shows one limit of the policy.
type limit struct{ Name, Text string }

func limitsOf(p *lifecycle.AuditPolicy) []limit {
	owners := "all"
	if p.OwnerID != "" {
		owners = "only " + p.OwnerID
	}
	if p.OwnerID == sailpoint.OwnerMe {
		owners = "only the client’s own"
	}
	unfinished := "at any age"
	if p.Grace > 0 {
		unfinished = "after " + span(p.Grace)
	}
	return []limit{
		{"Owners", owners},
		{lookOf(lifecycle.FindingNeverUsed).label, "after " + span(p.NeverUsedAfter)},
		{lookOf(lifecycle.FindingStale).label, "after " + span(p.StaleAfter)},
		{lookOf(lifecycle.FindingExpiringSoon).label, "within " + span(p.ExpiringWithin)},
		{lookOf(lifecycle.FindingLongBearer).label, "over " + span(p.MaxBearer)},
		{lookOf(lifecycle.FindingNearLimit).label, fmt.Sprintf("from %d %s", p.NearLimit, noun(p.NearLimit, "token"))},
		{lookOf(lifecycle.FindingUnfinished).label, unfinished},
	}
}

// span returns a duration in the largest unit that divides it.
func span(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / unit.length); n > 0 && d%unit.length == 0 {
			return fmt.Sprintf("%d %s", n, noun(n, unit.name))
		}
	}
	return fmt.Sprintf("%g seconds", d.Seconds())
}

// noun returns the word, in the plural unless n is 1.
func noun(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// row shows the findings of a token or an owner.
type row struct {
	Token                      sailpoint.PersonalAccessToken
	Findings                   []chip
	Kinds                      string // for the filter
	Created, LastUsed, Expires moment
	Life                       *life
}

type chip struct{ Label, Tone, Text string }

// moment is a time with its sort key.
type moment struct {
	Text string
	Sort int64
}

func momentOf(t *time.Time, none string, sort int64) moment {
	if t == nil || t.IsZero() {
		return moment{none, sort}
	}
	return moment{t.UTC().Format(time.DateOnly), t.Unix()}
}

// mostOwners limits the list of owners. The table has every owner with
// findings.
const mostOwners = 10

func newPage(r *lifecycle.Report, opts Options) *page {
	p := &page{
		Style: template.CSS(pageCSS), Script: template.JS(pageJS), //nolint:gosec // they are this package's own
		Policy: fmt.Sprintf("default-src 'none'; img-src data:; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'",
			hashOf(pageCSS), hashOf(pageJS)),
		Options: opts, Limits: limitsOf(&r.Policy),
		At: r.At.UTC().Format("2006-01-02 15:04 UTC"), Tokens: r.Tokens, Owners: len(r.Owners),
	}
	most := 1
	for _, count := range r.Counts {
		most = max(most, count)
	}
	for _, kind := range lifecycle.Kinds() {
		if n := r.Counts[kind]; n > 0 {
			p.Kinds = append(p.Kinds, kindBar{kind, lookOf(kind).label, lookOf(kind).tone, n, share(n, most)})
		}
	}
	for _, total := range r.Owners[:min(mostOwners, len(r.Owners))] {
		near := slices.ContainsFunc(r.Findings, func(f lifecycle.Finding) bool {
			return f.Kind == lifecycle.FindingNearLimit && f.Token.Owner.ID == total.Owner.ID
		})
		p.Most = append(p.Most, ownerBar{total, near, share(total.Tokens+total.Managed, r.Owners[0].Tokens+r.Owners[0].Managed)})
	}
	p.addRows(r)
	p.Axis = newAxis(r.At, p.Rows)
	for i := range p.Rows {
		p.Rows[i].Life = p.Axis.life(&p.Rows[i].Token)
	}
	return p
}

// addRows groups the findings by token.
func (p *page) addRows(r *lifecycle.Report) {
	at := map[string]int{} // by token ID
	for _, f := range r.Findings {
		i, known := at[f.Token.ID]
		if !known || f.Token.ID == "" {
			i = len(p.Rows)
			at[f.Token.ID] = i
			t := f.Token
			p.Rows = append(p.Rows, row{
				Token: t, Created: momentOf(&t.Created, "", 0), LastUsed: momentOf(t.LastUsed, "never", 0),
				Expires: momentOf(t.ExpirationDate, "not reported", 1<<53),
			})
			switch {
			case t.ID == "":
				p.Rows[i].LastUsed.Text, p.Rows[i].Expires.Text = "", ""
			case f.Kind != lifecycle.FindingManaged:
				p.Found++
			}
		}
		shown := lookOf(f.Kind)
		p.Rows[i].Findings = append(p.Rows[i].Findings, chip{shown.label, shown.tone, f.Text})
		p.Rows[i].Kinds = strings.TrimSpace(p.Rows[i].Kinds + " " + string(f.Kind))
	}
}

func share(n, most int) int { return n * 100 / max(most, 1) }

// hashOf returns the source of a content security policy that allows only this
// text.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

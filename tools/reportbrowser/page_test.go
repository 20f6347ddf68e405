package reportbrowser

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tokens of small, as listed.
var (
	jobs   = []string{"job 0", "job 1", "job 2", "job 3", "job 4", "job 5", "job 6", "job 7"}
	listed = slices.Concat([]string{"tenant", "nightly 10", "nightly 9", "old laptop", "Terraform", "workflow"}, jobs, []string{"the owner"})
)

// TestFilter types into the filter and selects kinds.
func TestFilter(t *testing.T) {
	p := show(t, small(t), demo, desktop)
	require.Equal(t, listed, p.tokens())
	require.Equal(t, "15 of 15 rows", p.status())

	p.click("input")
	p.press("ana NIGHT")
	assert.Equal(t, []string{"nightly 10", "nightly 9"}, p.tokens(), "each word is in the token or in the owner")
	assert.Equal(t, "2 of 15 rows", p.status())

	p.click(".clear")
	assert.Equal(t, listed, p.tokens())
	assert.Empty(t, eval[string](p, `document.querySelector("input").value`))

	p.click("input")
	p.press("celik")
	assert.Equal(t, append(slices.Clone(jobs), "the owner"), p.tokens(), "without the accent")
	p.click("[data-kind=near-limit]")
	assert.Equal(t, []string{"the owner"}, p.tokens(), "both filters apply")
	assert.Equal(t, "1 of 15 rows, only Owner near the limit", p.status())

	p.click(".clear")
	p.click("[data-kind=expired]")
	p.click("[data-kind=admin-scope]")
	assert.Equal(t, []string{"old laptop", "Terraform"}, p.tokens(), "any of the kinds")
	assert.Equal(t, "2 of 15 rows, only Expired or Rights to others’ tokens", p.status())
	p.click("[data-kind=expired]")
	assert.Equal(t, []string{"Terraform"}, p.tokens(), "a second click removes the kind")
	p.click("input")
	p.press("nobody")
	assert.Empty(t, p.tokens())
	assert.Equal(t, "0 of 15 rows, only Rights to others’ tokens", p.status())
}

// TestSort clicks the heads of the columns.
func TestSort(t *testing.T) {
	p := show(t, small(t), demo, desktop)
	click := func(column string) []string {
		p.do(chromedp.Click(chromedp.Search(`//thead//button[text()="` + column + `"]`)))
		return p.tokens()
	}
	sorted := func() []string {
		return eval[[]string](p, `[...document.querySelectorAll("th[aria-sort]")].map(head => head.textContent + " " + head.ariaSort)`)
	}
	reversed := func(names []string) []string {
		names = slices.Clone(names)
		slices.Reverse(names)
		return names
	}
	ofOwner := []string{"the owner"} // it has no token to sort by, so it is always last
	byName := slices.Concat(jobs, []string{"nightly 9", "nightly 10", "old laptop", "tenant", "Terraform", "workflow"})
	assert.Equal(t, slices.Concat(byName, ofOwner), click("Token"))
	assert.Equal(t, []string{"Token ascending"}, sorted())
	assert.Equal(t, "15 of 15 rows, sorted by token, A to Z", p.status())
	assert.Equal(t, slices.Concat(reversed(byName), ofOwner), click("Token"))
	assert.Equal(t, []string{"Token descending"}, sorted())
	assert.Equal(t, slices.Concat(byName, ofOwner), click("Token"), "a third click sorts upwards again")

	byOwner := slices.Concat([]string{"nightly 10", "nightly 9", "old laptop", "Terraform", "workflow"}, jobs, []string{"tenant"}, ofOwner)
	assert.Equal(t, byOwner, click("Owner"), "the tokens of an owner stay as listed")
	assert.Equal(t, []string{"Owner ascending"}, sorted())

	click("Findings")
	assert.Equal(t, "old laptop", click("Findings")[0], "most findings first")
	created := []string{"old laptop", "Terraform", "nightly 10", "nightly 9", "job 7", "job 6", "job 5", "job 4", "job 3", "job 2", "job 1", "job 0", "workflow", "tenant"}
	assert.Equal(t, slices.Concat(created, ofOwner), click("Created"))
	assert.Equal(t, slices.Concat(reversed(created), ofOwner), click("Created"))
	assert.Equal(t, slices.Concat(jobs, []string{"old laptop", "Terraform", "nightly 9", "nightly 10", "workflow", "tenant"}, ofOwner), click("Last used"), "never used first")
	assert.Equal(t, slices.Concat([]string{"old laptop", "Terraform", "nightly 9", "nightly 10"}, jobs, []string{"tenant", "workflow"}, ofOwner), click("Expires"), "no expiry last")

	p.click("[data-kind=managed]")
	p.click("[data-kind=expired]")
	assert.Equal(t, []string{"old laptop", "workflow"}, p.tokens(), "a filter keeps the order")
}

// TestKeyboard uses the page with the keyboard alone.
func TestKeyboard(t *testing.T) {
	p := show(t, small(t), demo, desktop)
	var order []string
	for range 30 {
		p.press(kb.Tab)
		name := eval[string](p, `document.activeElement === document.body ? "" : document.activeElement.dataset.kind ?? (document.activeElement.textContent || document.activeElement.placeholder)`)
		if name == "" {
			break
		}
		require.True(t, eval[bool](p, `document.activeElement.matches(":focus-visible") && getComputedStyle(document.activeElement).outlineStyle !== "none"`), "the focus on %s must be visible", name)
		order = append(order, name)
		switch name {
		case "expired":
			p.press(kb.Enter)
			assert.Equal(t, []string{"old laptop"}, p.tokens())
			p.press(" ")
			assert.Equal(t, listed, p.tokens())
		case "name, owner or id":
			p.press("night")
			assert.Equal(t, []string{"nightly 10", "nightly 9"}, p.tokens())
		case "Token":
			p.press(kb.Enter)
			assert.Equal(t, []string{"nightly 9", "nightly 10"}, p.tokens())
			assert.Equal(t, "Token", eval[string](p, `document.activeElement.textContent`), "the focus stays")
		case "Owner":
			p.press(" ")
			assert.Equal(t, []string{"nightly 10", "nightly 9"}, p.tokens())
		}
	}
	assert.Equal(t, []string{
		"The months as text", "never-used", "stale", "expired", "expiring-soon", "no-expiry", "every-right", "admin-scope", "near-limit", "managed",
		"name, owner or id", "Clear filters", "Token", "Owner", "Findings", "Created", "Last used", "Expires",
	}, order)
}

// TestCardsOnAPhone checks that a narrow page shows each token as a card, and
// that it can be sorted without heads of columns.
func TestCardsOnAPhone(t *testing.T) {
	p := show(t, small(t), demo, phone)
	assert.Zero(t, p.overflow(), "the page must not scroll sideways")
	assert.False(t, eval[bool](p, `document.querySelector("thead").checkVisibility()`))
	cells := func(row string) []string {
		return eval[[]string](p, `[...document.querySelector("tbody tr:`+row+`").cells].map(cell => {
			const label = getComputedStyle(cell, "::before").content;
			return (label === "none" ? "" : JSON.parse(label)) + (cell.querySelector("bdi") ?? cell).innerText.replaceAll("\n", " ");
		})`)
	}
	card := cells("nth-child(2)")
	require.Len(t, card, 7)
	assert.Equal(t, []string{"nightly 10", "Owner: Ana Lima"}, card[:2])
	assert.Regexp(t, `^Expires soon It expires on \d{4}-\d\d-\d\d, in \d+ days\.$`, card[2])
	assert.Regexp(t, `^Created: \d{4}-\d\d-\d\d, Last used: \d{4}-\d\d-\d\d, Expires: \d{4}-\d\d-\d\d$`, strings.Join(card[3:6], ", "))
	card = cells("last-child")
	assert.Equal(t, []string{"the owner", "Owner: Çelik"}, card[:2])
	assert.Equal(t, []string{"", "", "", ""}, card[3:], "an owner has no dates, and no labels for them")
	boxes := eval[[]map[string]float64](p, `[...document.querySelectorAll("tbody tr")].map(row => row.getBoundingClientRect().toJSON())`)
	require.Len(t, boxes, 15)
	for i, box := range boxes {
		assert.True(t, box["left"] >= 0 && box["right"] <= 390, box)
		assert.True(t, i == 0 || box["top"] >= boxes[i-1]["bottom"], "the cards are one below the other")
	}

	choose := func(option string) []string {
		p.do(chromedp.SetValue(chromedp.CSS("select"), option))
		eval[bool](p, `document.querySelector("select").dispatchEvent(new Event("change"))`)
		return p.tokens()
	}
	assert.Equal(t, "as listed", eval[string](p, `document.querySelector("select").selectedOptions[0].text`))
	assert.Equal(t, "tenant", choose("3 down")[0])
	assert.Equal(t, "15 of 15 rows, sorted by created, newest first", p.status())
	assert.Equal(t, "old laptop", choose("3 up")[0])
	assert.Equal(t, listed, choose(""))
}

// TestEveryOptionOfTheSortIsKnown checks that each option sorts by a column in
// a direction, and that each column has both directions.
func TestEveryOptionOfTheSortIsKnown(t *testing.T) {
	p := show(t, small(t), demo, phone)
	options := eval[[]string](p, `[...document.querySelectorAll("option")].map(option => option.value)`)
	slices.Sort(options)
	assert.Equal(t, []string{"", "0 down", "0 up", "1 down", "1 up", "2 down", "2 up", "3 down", "3 up", "4 down", "4 up", "5 down", "5 up"}, options)
}

// TestManyTokens checks that a large page shows a few rows at first, and that
// the filter and the order apply to all.
func TestManyTokens(t *testing.T) {
	r := large(t)
	require.Equal(t, 5000, r.Tokens)
	p := show(t, r, demo, desktop)
	assert.Len(t, p.tokens(), 50)
	assert.Regexp(t, `^5\d\d\d of 5\d\d\d rows, the first 50 are shown$`, p.status())
	assert.Equal(t, "Show 500 more", eval[string](p, `document.querySelector(".more").textContent`))
	p.click(".more")
	assert.Len(t, p.tokens(), 550)

	p.click("input")
	p.press("job 4998")
	assert.Equal(t, []string{"job 4998"}, p.tokens())
	assert.False(t, eval[bool](p, `document.querySelector(".more").checkVisibility()`))
	p.click(".clear")
	p.do(chromedp.Click(chromedp.Search(`//thead//button[text()="Token"]`)))
	p.do(chromedp.Click(chromedp.Search(`//thead//button[text()="Token"]`)))
	assert.Equal(t, []string{"tenant", "job 4998", "job 4997"}, p.tokens()[:3])
	assert.Len(t, p.tokens(), 50)
}

// TestWithoutScripts checks that a viewer that runs no script, such as one of a
// mail program, shows every token and nothing that can't work.
func TestWithoutScripts(t *testing.T) {
	p := newTab(t, desktop)
	_, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)
	p.open(small(t), demo)
	assert.Equal(t, listed, p.tokens())
	assert.True(t, eval[bool](p, `[...document.querySelectorAll("tbody tr")].every(row => row.checkVisibility())`))
	assert.Empty(t, eval[[]string](p, `[...document.querySelectorAll("button:enabled, input, select")].filter(control => control.checkVisibility()).map(control => control.outerHTML)`))
}

// TestPrint checks that a printed page says which rows it shows.
func TestPrint(t *testing.T) {
	p := show(t, small(t), demo, desktop)
	p.click("[data-kind=expired]")
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	require.NoError(t, err)
	visible := eval[[]string](p, `[...document.querySelectorAll(".controls *, .more")].filter(control => control.checkVisibility()).map(control => control.textContent)`)
	assert.Equal(t, []string{"1 of 15 rows, only Expired"}, visible)
}

// TestPageNamesTheAudit checks what a reader sees first.
func TestPageNamesTheAudit(t *testing.T) {
	p := show(t, small(t), demo, desktop)
	assert.Regexp(t, `^DEMO: Personal access tokens of acme\.api\.identitynow\.com, \d{4}-\d\d-\d\d \d\d:\d\d UTC$`, eval[string](p, `document.title`))
	seen := eval[string](p, `document.body.innerText`)
	for _, want := range []string{
		"DEMO Personal access tokens of acme.api.identitynow.com", "This is a demo.", "The audit covered 14 tokens of 4 owners. 13 have findings.",
		"Limits of this audit", "Never used\nafter 30 days", "Long bearers\nover 12 hours",
	} {
		assert.Contains(t, seen, want)
	}
}

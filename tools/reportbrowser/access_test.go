package reportbrowser

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAxe lets axe-core look for faults that keep people with disabilities from
// using the page. It also finds text with too little contrast.
func TestAxe(t *testing.T) {
	path := os.Getenv("SAILPOINT_TEST_AXE")
	if path == "" {
		t.Skip("Set SAILPOINT_TEST_AXE to the axe.min.js of the npm package axe-core to run this test. The gate does.")
	}
	axe, err := os.ReadFile(path)
	require.NoError(t, err)
	r := small(t)
	for _, on := range screens {
		t.Run(on.name, func(t *testing.T) {
			p := show(t, r, demo, on)
			eval[any](p, string(axe)+"; null")
			violations := func() string {
				return eval[string](p, `axe.run().then(result => result.passes.length < 20 ? "axe ran only " + result.passes.length + " rules" :
					result.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.map(node => node.html + " " + node.failureSummary).join("\n")).join("\n"))`)
			}
			assert.Empty(t, violations())
			// Everything that opens, is selected or is sorted.
			p.click("summary")
			p.click("[data-kind=expired]")
			p.click("input")
			p.press("o" + kb.Tab)
			if on.width > 900 {
				p.click("thead button")
			}
			assert.Empty(t, violations(), "after use")
			eval[any](p, `document.querySelector("em.chip").style.color = getComputedStyle(document.body).backgroundColor; null`)
			assert.Contains(t, violations(), "color-contrast", "axe must notice a fault")
		})
	}
}

// node is what a screen reader is told about an element.
type node struct{ role, name string }

// spoken returns the nodes of the accessibility tree in their order.
func (p *tab) spoken() (nodes []node) {
	p.t.Helper()
	tree, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	require.NoError(p.t, err)
	text := func(v *accessibility.Value) (text string) {
		if v != nil {
			_ = json.Unmarshal(v.Value, &text) // it stays empty if the value isn't a text
		}
		return text
	}
	for _, n := range tree.Nodes {
		if !n.Ignored {
			nodes = append(nodes, node{text(n.Role), text(n.Name)})
		}
	}
	return nodes
}

// TestScreenReader checks the roles and names that a screen reader announces.
func TestScreenReader(t *testing.T) {
	r := small(t)
	for _, on := range []screen{desktop, phone} {
		t.Run(on.name, func(t *testing.T) {
			p := show(t, r, demo, on)
			spoken := p.spoken()
			for _, want := range []node{
				{"heading", "DEMO Personal access tokens of acme.api.identitynow.com"},
				{"region", "Creations and expiries by month"},
				{"image", "Creations and expiries by month"},
				{"region", "Findings by kind"},
				{"region", "Owners with the most tokens"},
				{"region", "Findings by token"},
				{"button", "Expired 1"},
				{"searchbox", "Filter"},
				{"status", ""},
				{"table", "Findings by token"},
			} {
				assert.Contains(t, spoken, want)
			}
			var rows int
			var headers []string
			for _, n := range spoken {
				switch n.role {
				case "row":
					rows++
				case "rowheader":
					headers = append(headers, n.name)
				}
			}
			require.Len(t, headers, len(listed))
			for i, name := range listed {
				assert.Contains(t, headers[i], name)
			}
			if on == desktop {
				assert.Equal(t, len(listed)+1, rows)
				assert.Contains(t, spoken, node{"columnheader", "Last used"})
				assert.Contains(t, spoken, node{"button", "Last used"})
			} else {
				assert.Equal(t, len(listed), rows)
				assert.Contains(t, spoken, node{"combobox", "Sort"})
			}
		})
	}
}

package reportbrowser

import (
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// painted resolves after the next frame is painted.
const painted = `new Promise(resolve => requestAnimationFrame(() => setTimeout(() => resolve(true))))`

// cpu returns the seconds that the page's main thread has computed.
func (p *tab) cpu() float64 {
	p.t.Helper()
	result, err := chromedp.Call(p.ctx, performance.GetMetrics, cdp.Empty{})
	require.NoError(p.t, err)
	for _, metric := range result.Metrics {
		if metric.Name == "TaskDuration" {
			return metric.Value
		}
	}
	p.t.Fatal("Chromium reports no TaskDuration")
	return 0
}

// BenchmarkPage compares a page of 14 tokens with one of 5,000. It measures the
// time from a key or a click to the painted page. The computing time doesn't
// depend on what else the machine does.
func BenchmarkPage(b *testing.B) {
	for _, page := range []struct {
		name   string
		report *lifecycle.Report
	}{{"14 tokens", small(b)}, {"5000 tokens", large(b)}} {
		for _, use := range []struct{ name, script string }{
			{"filter", `i => { const input = document.querySelector("input"); input.value = ["j", "jo", "job", "job ", "job 1", "job 12", ""][i % 7]; input.dispatchEvent(new Event("input")); }`},
			{"kind", `i => document.querySelector("[data-kind=no-expiry]").click()`},
			{"sort", `i => document.querySelectorAll("thead button")[i % 6].click()`},
		} {
			b.Run(use.name+"/"+page.name, func(b *testing.B) {
				p := show(b, page.report, demo, desktop)
				_, err := chromedp.Call(p.ctx, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
				require.NoError(b, err)
				eval[any](p, `window.i = 0; window.use = `+use.script+`; null`)
				eval[bool](p, painted)
				before := p.cpu()
				for b.Loop() {
					eval[bool](p, `use(i++); `+painted)
				}
				b.ReportMetric(1000*(p.cpu()-before)/float64(b.N), "cpu-ms/op")
			})
		}
	}
}

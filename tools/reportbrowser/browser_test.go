package reportbrowser

import (
	"cmp"
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/report"
)

// chromium is the browser of all tests. It is started by the first one.
var chromium struct {
	sync.Mutex
	ctx  context.Context
	stop context.CancelFunc
}

// stopping stops the browser after the tests.
type stopping struct{ *testing.M }

func (s stopping) Run() int {
	code := s.M.Run()
	if chromium.stop != nil {
		chromium.stop()
	}
	return code
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(stopping{m}) }

// browserContext starts Chromium if no test has, and returns its context.
func browserContext(t testing.TB) context.Context {
	t.Helper()
	path := program(t)
	chromium.Lock()
	defer chromium.Unlock()
	if chromium.ctx == nil {
		chromium.ctx, chromium.stop = chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(chromedp.ExecPath(path)))
		require.NoError(t, chromedp.Do(chromium.ctx))
	}
	return chromium.ctx
}

// program returns the path of Chromium, or skips the test.
func program(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("SAILPOINT_TEST_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("Install Chromium (Debian: chromium), or set SAILPOINT_TEST_CHROMIUM to its path, to run this test. The gate does.")
	return ""
}

// screen is what a page is shown on.
type screen struct {
	name  string
	width int64
	dark  bool
}

var (
	desktop = screen{name: "desktop", width: 1280}
	phone   = screen{name: "phone", width: 390}
	screens = []screen{desktop, phone, {"dark desktop", 1280, true}, {"dark phone", 390, true}}
)

// tab shows a page. It records requests, and everything that a quiet page
// doesn't do.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	requests []string
	noise    []string // console messages, errors and dialogs
}

// show writes the report to a file and opens it. At the end of the test it
// checks that the page requested nothing and was quiet.
func show(t testing.TB, r *lifecycle.Report, opts report.Options, on screen) *tab {
	t.Helper()
	p := newTab(t, on)
	address := p.open(r, opts)
	t.Cleanup(func() {
		assert.Equal(t, []string{address}, p.sent(), "the page must request nothing but itself")
		assert.Empty(t, p.heard(), "no message in the console, no error and no dialog")
	})
	return p
}

// newTab opens an empty page. It is closed when the test ends.
func newTab(t testing.TB, on screen) *tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(browserContext(t), time.Minute)
	t.Cleanup(cancel)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	p := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, p.listen))
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	scheme := "light"
	if on.dark {
		scheme = "dark"
	}
	_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(t, err)
	p.do(chromedp.EmulateViewport(on.width, 900))
	return p
}

// open writes the report to a file, opens it, and returns its address.
func (p *tab) open(r *lifecycle.Report, opts report.Options) string {
	p.t.Helper()
	file, err := os.Create(filepath.Join(p.t.TempDir(), "report.html"))
	require.NoError(p.t, err)
	require.NoError(p.t, report.WriteHTML(file, r, opts))
	require.NoError(p.t, file.Close())
	address := (&url.URL{Scheme: "file", Path: file.Name()}).String()
	p.do(chromedp.Navigate(address))
	return address
}

// listen records an event of the browser.
func (p *tab) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	case *log.EventEntryAdded:
		p.noise = append(p.noise, e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		p.noise = append(p.noise, "console."+string(e.Type))
	case *runtime.EventExceptionThrown:
		p.noise = append(p.noise, cmp.Or(e.ExceptionDetails.Text, "exception"))
	case *page.EventJavascriptDialogOpening:
		p.noise = append(p.noise, "dialog: "+e.Message)
	}
}

func (p *tab) sent() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

func (p *tab) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.noise)
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, steps...))
}

func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// press presses keys where the focus is.
func (p *tab) press(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

// eval returns the value of a JavaScript expression in the page. It waits for a
// promise.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, expression)
	return value
}

// tokens returns the names in the rows of the table.
func (p *tab) tokens() []string {
	p.t.Helper()
	return eval[[]string](p, `[...document.querySelectorAll("tbody tr")].map(row => row.cells[0].firstElementChild.textContent)`)
}

func (p *tab) status() string {
	p.t.Helper()
	return eval[string](p, `document.querySelector("output").textContent`)
}

// overflow returns how many pixels the page is wider than the screen.
func (p *tab) overflow() int {
	p.t.Helper()
	return eval[int](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`)
}

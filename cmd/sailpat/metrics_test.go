package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// TestMetrics shows the whole output of a small tenant.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant(sailpointtest.WithCredentials("aaaa", "secret-of-aaaa"))
		owner := sailpoint.PersonalAccessTokenOwner{ID: "2c91", Name: "Ana \"A\" \\ Lima\nx"}
		tenant.Add(sailpoint.PersonalAccessToken{
			ID: "bbbb", Name: "ci", Owner: owner, Scope: []string{"x"}, LastUsed: inDays(-1), ExpirationDate: inDays(10),
		})
		code, stdout, stderr := on(tenant).run(t.Context(), "audit -o openmetrics")
		assert.Equal(t, 0, code, stderr)
		assert.Regexp(t, `(?s)# EOF\n$`, stdout)
		const of = `{id="bbbb",name="ci",owner="Ana \"A\" \\ Lima\nx",owner_id="2c91",tenant="https://acme.api.identitynow.com"} `
		for _, line := range []string{
			"# TYPE sailpoint_pat_expiration_timestamp_seconds gauge",
			"sailpoint_pat_created_timestamp_seconds" + of + "9.466848e+08",
			"sailpoint_pat_last_used_timestamp_seconds" + of + "9.465984e+08",
			"sailpoint_pat_expiration_timestamp_seconds" + of + "9.475488e+08",
			`sailpoint_pat_findings{kind="expiring-soon",tenant="https://acme.api.identitynow.com"} 1.0`,
			`sailpoint_pat_findings{kind="stale",tenant="https://acme.api.identitynow.com"} 0.0`,
			`sailpoint_pat_tokens{tenant="https://acme.api.identitynow.com"} 2.0`,
			`sailpoint_pat_audit_timestamp_seconds{tenant="https://acme.api.identitynow.com"} 9.466848e+08`,
		} {
			assert.Contains(t, stdout, line+"\n")
		}
		assert.NotContains(t, stdout, `expiration_timestamp_seconds{id="aaaa"`)
		assert.NotRegexp(t, `(?m)^# TYPE \S+ [^g]`, stdout, "not a gauge")
		assert.NotRegexp(t, `(?m)^[^#].*} \S+ \S`, stdout, "a sample with a time")
	})
}

// TestMetricsOfNamesThatAreNotUTF8 shows that the client has replaced such bytes,
// because Prometheus' library panics on them.
func TestMetricsOfNamesThatAreNotUTF8(t *testing.T) {
	const token = `{"id":"bbbb","name":"b%s","created":"2020-01-01T00:00:00Z","owner":{"id":"c","name":"%sd"},"scope":[]}`
	tenant := sailpointtest.NewTenant()
	for range 2 { // the audit and the metrics
		tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 200, Body: "[" + fmt.Sprintf(token, "\xff\\ud800", "\xfe") + "]"})
	}
	code, stdout, stderr := on(tenant).run(t.Context(), "audit -o openmetrics")
	assert.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, "{id=\"bbbb\",name=\"b\ufffd\ufffd\",owner=\"\ufffdd\",owner_id=\"c\",")
}

// installed returns the path of a program. Without it the test is skipped, or
// fails in the gate.
func installed(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("SAILPOINT_TEST_PROMETHEUS") == "" {
		t.Skipf("Install %s to run this test (Debian: %s). The gate does.", name, debian)
	}
	require.NoError(t, err)
	return path
}

// must runs a program that should succeed, and returns what it says.
func must(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return string(output)
}

// metricsFile returns a file that sailpat wrote, with hostile names in it.
func metricsFile(t *testing.T) (path, content string) {
	t.Helper()
	tenant := sailpointtest.NewTenant()
	for _, name := range []string{"ci", hostile, "a\"b\\c\nd", "\xff\xfe", "長い"} {
		tenant.Add(sailpoint.PersonalAccessToken{Name: name, LastUsed: inDays(-1), ExpirationDate: inDays(10)})
	}
	path = filepath.Join(t.TempDir(), "sailpoint.prom")
	code, stdout, stderr := on(tenant).run(t.Context(), "audit -q -o openmetrics --file "+path)
	require.Equal(t, 0, code, stderr)
	require.Empty(t, stdout+stderr)
	bytes, err := os.ReadFile(path)
	require.NoError(t, err)
	return path, string(bytes)
}

func TestPromtoolAcceptsTheMetrics(t *testing.T) {
	promtool := installed(t, "promtool", "prometheus")
	path, content := metricsFile(t)
	assert.Empty(t, must(t, content, promtool, "check", "metrics"))

	// This reads it strictly as OpenMetrics, but wants times.
	timed := regexp.MustCompile(`(?m)^([^#].*)$`).ReplaceAllString(content, "$1 1700000000")
	require.NoError(t, os.WriteFile(path, []byte(timed), 0o600))
	assert.Contains(t, must(t, "", promtool, "tsdb", "create-blocks-from", "openmetrics", path, t.TempDir()), "BLOCK ULID")
}

// TestAlertsOfTheDocumentation checks the alert rules in docs/sailpat.md, and
// that they fire when they should.
func TestAlertsOfTheDocumentation(t *testing.T) {
	promtool := installed(t, "promtool", "prometheus")
	page, err := os.ReadFile("../../docs/sailpat.md")
	require.NoError(t, err)
	rules := regexp.MustCompile("(?s)```yaml\n(groups:\n.*?)```").FindSubmatch(page)
	require.NotNil(t, rules)
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "rules.yml"), rules[1], 0o600))
	assert.Contains(t, must(t, "", promtool, "check", "rules", filepath.Join(folder, "rules.yml")), "SUCCESS: 3 rules found")
	cases, err := os.ReadFile("testdata/alerts.yml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "alerts.yml"), cases, 0o600))
	assert.Contains(t, must(t, "", promtool, "test", "rules", filepath.Join(folder, "alerts.yml")), "SUCCESS")
}

// TestNodeExporterReadsTheFile starts node_exporter with its textfile
// collector.
func TestNodeExporterReadsTheFile(t *testing.T) {
	exporter := installed(t, "prometheus-node-exporter", "prometheus-node-exporter")
	path, content := metricsFile(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, exporter, "--collector.disable-defaults", "--collector.textfile",
		"--collector.textfile.directory="+filepath.Dir(path), "--web.listen-address="+address)
	require.NoError(t, cmd.Start())
	defer func() {
		cancel()
		_ = cmd.Wait()
	}()

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var body []byte
	require.Eventually(t, func() bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
		require.NoError(t, err)
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		body, err = io.ReadAll(response.Body)
		return err == nil && response.StatusCode == http.StatusOK
	}, time.Minute, 50*time.Millisecond)
	assert.Contains(t, string(body), "\nnode_textfile_scrape_error 0\n")
	samples := func(text string) int { return len(regexp.MustCompile(`(?m)^sailpoint_pat_`).FindAllString(text, -1)) }
	assert.Equal(t, samples(content), samples(string(body)))
	assert.Equal(t, 6+6+5+11+2, samples(content))
}

// Package examples_test runs the example programs as a user does.
package examples_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if built != "" {
			_ = os.RemoveAll(built)
		}
		os.Exit(code)
	}))
}

// built is the folder with the programs, or "".
var built string

// TestExamplesCanBeCopied checks that each program is one short file, imports
// nothing internal, and says first what it shows.
func TestExamplesCanBeCopied(t *testing.T) {
	names, err := filepath.Glob("*/main.go")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	index, err := os.ReadFile("README.md")
	require.NoError(t, err)
	gate, err := os.ReadFile("../.ci/examples")
	require.NoError(t, err)
	total := 0
	for _, name := range names {
		folder := filepath.Dir(name)
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		lines := bytes.Count(content, []byte("\n"))
		total += lines
		assert.Contains(t, string(index), "]("+folder+"/", "in examples/README.md")
		assert.Contains(t, string(gate), "\t"+folder+") ", "in .ci/examples")
		if folder == "otel" {
			continue // a module with a file to copy
		}
		assert.LessOrEqual(t, lines, 85, name)
		assert.Regexp(t, `^// Command `+folder+` [a-z]+ `, string(content[:100]))
		assert.False(t, bytes.Contains(content, []byte("internal/")), "%s imports something internal", name)
		files, err := filepath.Glob(folder + "/*.go")
		require.NoError(t, err)
		files = slices.DeleteFunc(files, func(file string) bool { return strings.HasSuffix(file, "_test.go") })
		assert.Equal(t, []string{name}, files)
	}
	assert.Less(t, total, 700)
}

// programs builds the examples once and returns the folder with the programs.
func programs(t *testing.T) string {
	t.Helper()
	if os.Getenv("SAILPOINT_TEST_EXHAUSTIVE") != "1" {
		t.Skip("it builds every example: set SAILPOINT_TEST_EXHAUSTIVE=1")
	}
	if runtime.GOOS == "windows" {
		t.Skip("on Windows a program can't send the signals that end a service")
	}
	if built == "" {
		var err error
		built, err = os.MkdirTemp("", "examples") //nolint:usetesting // the other tests use it too
		require.NoError(t, err)
		output, err := exec.CommandContext(t.Context(), "go", "build", "-o", built, "./...").CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
	return built + string(os.PathSeparator)
}

// serve serves a tenant and returns the environment of its client.
func serve(t *testing.T, tenant *sailpointtest.Tenant) (environment []string) {
	t.Helper()
	server := httptest.NewServer(tenant)
	t.Cleanup(server.Close)
	config := tenant.Config()
	return []string{"SAIL_BASE_URL=" + server.URL, "SAIL_CLIENT_ID=" + config.ClientID, "SAIL_CLIENT_SECRET=" + config.ClientSecret.Reveal()}
}

// command returns a program that starts in an empty folder, with only this
// environment.
func command(t *testing.T, environment []string, program string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir = t.TempDir()
	c.Env = slices.Clone(environment)
	if environment == nil {
		c.Env = []string{} // a nil Env is the test's own
	}
	return c
}

// output runs a program, which must succeed.
func output(t *testing.T, environment []string, program string, args ...string) (stdout, stderr string) {
	t.Helper()
	c := command(t, environment, program, args...)
	var errors bytes.Buffer
	c.Stderr = &errors
	out, err := c.Output()
	require.NoError(t, err, "%s", errors.String())
	return string(out), errors.String()
}

// sent returns the method, path and status of each request, without ids.
func sent(tenant *sailpointtest.Tenant) (list []string) {
	id := regexp.MustCompile(`[0-9a-f]{32}`)
	for _, r := range tenant.Requests() {
		list = append(list, fmt.Sprintf("%s %s %d", r.Method, id.ReplaceAllString(r.Path, "{id}"), r.Status))
	}
	return list
}

func TestExamples(t *testing.T) {
	folder := programs(t)
	t.Run("without settings", func(t *testing.T) {
		for _, name := range []string{"create-and-store", "clean-up", "audit-page"} {
			text, err := command(t, nil, folder+name).CombinedOutput()
			assert.Error(t, err)
			assert.Contains(t, string(text), "set SAIL_BASE_URL, SAIL_CLIENT_ID", name)
		}
	})
	t.Run("quickstart", func(t *testing.T) {
		stdout, _ := output(t, nil, folder+"quickstart")
		assert.Regexp(t, `^tenant  in memory\ncreated [0-9a-f]{32} "quickstart-\w{8}", secret \[REDACTED\]\nlisted  you have 2 of at most 10 tokens\n`+
			`patched [0-9a-f]{32} is now "quickstart-\w{8}-renamed"\ndeleted [0-9a-f]{32}\nerror   .*: 404 Not Found: .*tracking id [0-9a-f]{32}`, stdout)

		tenant := sailpointtest.NewTenant()
		output(t, serve(t, tenant), folder+"quickstart")
		const item = "/v2024/personal-access-tokens/{id}"
		assert.Equal(t, []string{
			"POST /oauth/token 200", "POST /v2024/personal-access-tokens 200", "GET /v2024/personal-access-tokens 200",
			"PATCH " + item + " 200", "DELETE " + item + " 204", "DELETE " + item + " 404",
		}, sent(tenant))

		tenant.Inject(sailpointtest.Fault{Method: "PATCH", Status: 400})
		assert.Error(t, command(t, serve(t, tenant), folder+"quickstart").Run())
		assert.Len(t, tenant.Tokens(), 1, "the token is deleted after a failure too")
	})
	t.Run("other-api", func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		environment := serve(t, tenant)
		stdout, _ := output(t, environment, folder+"other-api", "/v2024/personal-access-tokens?owner-id=me")
		assert.Regexp(t, `^\[\{"id":"`+tenant.Config().ClientID+`"`, stdout)
		for _, args := range [][]string{nil, {"v2024"}, {"/v2024/unknown"}} {
			assert.Error(t, command(t, environment, folder+"other-api", args...).Run())
		}
	})
	t.Run("clean-up", func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		lastYear := tenant.Tokens()[0].Created.AddDate(-1, 0, 0)
		tenant.Add(sailpoint.PersonalAccessToken{ID: "old", Name: "old\x1b[2J", Created: lastYear})
		environment := serve(t, tenant)
		stdout, _ := output(t, environment, folder+"clean-up")
		assert.Equal(t, "planned\told\t\"old\\x1b[2J\"\t\"Support\"\t\n", stdout)
		stdout, _ = output(t, environment, folder+"clean-up", "-apply")
		assert.Equal(t, "deleted\told\t\"old\\x1b[2J\"\t\"Support\"\t\n", stdout)
		assert.Len(t, tenant.Tokens(), 1)
	})
}

// listening starts a program that serves, and returns its URL. stop interrupts
// it, and checks that it ends without an error.
func listening(t *testing.T, environment []string, signal os.Signal, program string, args ...string) (url string, stop func()) {
	t.Helper()
	c := command(t, environment, program, append(args, "-addr", "127.0.0.1:0")...)
	stderr, err := c.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	_, url, found := strings.Cut(strings.TrimSpace(line), "listening on ")
	require.True(t, found, line)
	return url, func() {
		require.NoError(t, c.Process.Signal(signal))
		rest, err := io.ReadAll(lines)
		assert.NoError(t, err)
		assert.Empty(t, string(rest))
		assert.NoError(t, c.Wait())
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(data)
}

func TestAuditPageExample(t *testing.T) {
	folder := programs(t)
	tenant := sailpointtest.NewTenant()
	tenant.Add(sailpoint.PersonalAccessToken{Name: "<b>test</b>"})
	url, stop := listening(t, serve(t, tenant), syscall.SIGTERM, folder+"audit-page")
	status, body := get(t, url)
	assert.Equal(t, 200, status)
	assert.Contains(t, body, "&lt;b&gt;test&lt;/b&gt;")
	assert.NotContains(t, body, "<b>test</b>")
	stop()
}

// TestStoredTokenOfTheExamples creates a token, serves with it, and rotates it
// below the running service.
func TestStoredTokenOfTheExamples(t *testing.T) {
	folder := programs(t)
	store := filepath.Join(t.TempDir(), "deploy.json")
	tenant := sailpointtest.NewTenant()
	environment := serve(t, tenant)
	for _, want := range []string{"issued", "unchanged"} {
		_, log := output(t, environment, folder+"create-and-store", "-store", store)
		assert.Regexp(t, ` INFO `+want+` id=[0-9a-f]{32} name=deploy left=\[\] warning=""\n$`, log)
	}
	first := tenant.Tokens()[1].ID
	onlyURL := environment[:1]
	url, stop := listening(t, onlyURL, os.Interrupt, folder+"service", "-store", store)
	_, body := get(t, url)
	assert.Equal(t, "tokens: 2\n", body)

	_, log := output(t, onlyURL, folder+"rotate", "-store", store)
	assert.Contains(t, log, " INFO unchanged id="+first+" ")
	_, log = output(t, onlyURL, folder+"rotate", "-store", store, "-older", "0s")
	assert.Contains(t, log, " INFO rotated id=")
	tokens := tenant.Tokens()
	require.Len(t, tokens, 2)
	assert.NotEqual(t, first, tokens[1].ID)
	assert.Equal(t, "deploy", tokens[1].Name)

	status, body := get(t, url)
	assert.Equal(t, 200, status, "the service follows the rotation")
	assert.Equal(t, "tokens: 2\n", body)
	stop()

	// A store that holds nothing, and a tenant that rejects what it holds.
	for _, program := range []string{"rotate", "service"} {
		text, err := command(t, onlyURL, folder+program, "-store", filepath.Join(t.TempDir(), "empty.json")).CombinedOutput()
		assert.Error(t, err)
		assert.Contains(t, string(text), "the store is empty: run examples/create-and-store")
	}
	environment = serve(t, sailpointtest.NewTenant())
	text, err := command(t, environment[:1], folder+"rotate", "-store", store).CombinedOutput()
	assert.Error(t, err)
	assert.Contains(t, string(text), "lifecycle: rotate: ")
}

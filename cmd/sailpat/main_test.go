package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "sailpat-")
	if err != nil {
		panic(err)
	}
	programFolder = folder
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(folder)
		os.Exit(code)
	}))
}

var programFolder string

// program builds this command once, and returns its path.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programFolder, "sailpat")
	output, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return string(output), err
	}
	return path, nil
})

// built is the built command in an environment that has nothing but the
// settings of a tenant.
type built struct {
	t      *testing.T
	env    []string
	folder string
}

func newBuilt(t *testing.T, handler http.Handler, config sailpoint.Config) *built {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals and needs SYSTEMROOT in its environment.")
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &built{t, []string{
		"SAIL_BASE_URL=" + server.URL, "SAIL_CLIENT_ID=" + config.ClientID, "SAIL_CLIENT_SECRET=" + config.ClientSecret.Reveal(),
	}, t.TempDir()}
}

func (b *built) command(line string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	b.t.Helper()
	path, err := program()
	require.NoError(b.t, err, path)
	cmd = exec.CommandContext(b.t.Context(), path, strings.Fields(line)...)
	cmd.Dir, cmd.Env = b.folder, b.env
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

func (b *built) run(line string) (code int, stdout, stderr string) {
	b.t.Helper()
	cmd, out, notes := b.command(line)
	if err := cmd.Run(); err != nil {
		require.ErrorAs(b.t, err, new(*exec.ExitError))
	}
	return cmd.ProcessState.ExitCode(), out.String(), notes.String()
}

// intoClosedPipe runs the command with a pipe that nobody reads.
func (b *built) intoClosedPipe(line string) (cmd *exec.Cmd, stderr string) {
	b.t.Helper()
	cmd, _, notes := b.command(line)
	reader, writer, err := os.Pipe()
	require.NoError(b.t, err)
	defer writer.Close()
	require.NoError(b.t, reader.Close())
	cmd.Stdout = writer
	_ = cmd.Run()
	return cmd, notes.String()
}

// TestExitCodesOfTheBuiltCommand shows each line of the table of exit codes in
// docs/sailpat.md.
func TestExitCodesOfTheBuiltCommand(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	b := newBuilt(t, tenant, tenant.Config())
	settings := b.env
	for _, tt := range []struct {
		line   string
		env    []string
		code   int
		stdout string
		stderr string
	}{
		{"version", []string{}, 0, `^sailpat \S+ \(go1\.\d+`, `^$`},
		{"list", settings, 0, `^http://127\.0\.0\.1:\d+  20.*UTC\n\nID +NAME(?s:.*)\n1 token\n$`, `^$`},
		{"list --timeout 0", settings, 0, `\n1 token\n$`, `^$`},
		{"audit", settings, 0, `Findings: 1 no-expiry, 1 every-right\n$`, `^$`},
		{"list -q --timeout 2s", []string{"SAIL_BASE_URL=http://127.0.0.1:1", settings[1], settings[2]}, 1, `^$`, `^$`},
		{"list --timeout 2s", []string{"SAIL_BASE_URL=http://127.0.0.1:1", settings[1], settings[2]}, 1, `^$`, `^sailpat list: .*connection refused`},
		{"prune --apply", []string{}, 2, `^$`, `^sailpat prune: .*set SAIL_BASE_URL, SAIL_CLIENT_ID, SAIL_CLIENT_SECRET`},
		{"rotate", settings, 2, `^$`, `^sailpat rotate: the secret needs a place: add --store\n$`},
		{"rotate --stroe x", settings, 2, `^$`, `^sailpat rotate: unknown flag: --stroe: `},
		{"list", []string{settings[0], settings[1], "SAIL_CLIENT_SECRET=wrong-secret"}, 3, `^$`, `^sailpat list: .*rejected: check both`},
		{"get nobody", settings, 3, `^$`, `^sailpat get: .*no token with this id is listed`},
		{"audit --fail-on every-right", settings, 3, `\nevery-right  \w+  tenant `, `^$`},
		{"audit --fail-on expired", settings, 0, `^$`, `^$`},
	} {
		b.env = tt.env
		code, stdout, stderr := b.run(tt.line)
		assert.Equal(t, tt.code, code, tt.line)
		assert.Regexp(t, tt.stdout, stdout, tt.line)
		assert.Regexp(t, tt.stderr, stderr, tt.line)
	}
}

func TestThreeRunsOfTheBuiltCommand(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	b := newBuilt(t, tenant, tenant.Config())
	code, stdout, stderr := b.run("issue --store file:pat.json --name deploy --scope sp:my-personal-access-tokens:manage")
	assert.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, "\nissued: ")

	b.env = append(b.env[:1:1], "SAIL_CLIENT_ID=stale", "SAIL_CLIENT_SECRET=stale-secret")
	code, stdout, stderr = b.run("rotate -q --store file:pat.json --if-older-than 0s")
	assert.Equal(t, 0, code)
	assert.Empty(t, stdout+stderr)
	code, stdout, stderr = b.run("audit -q --store file:pat.json --owner-id me --fail-on unfinished-rotation,expired")
	assert.Equal(t, 0, code)
	assert.Empty(t, stdout+stderr)
	assert.Len(t, tenant.Tokens(), 2)
	assert.Equal(t, "deploy", tenant.Tokens()[1].Name)
}

// TestLostSecretOfACreatedTokenIsReported shows that the id of a new token is
// printed if nobody reads its secret. A write to a closed pipe would otherwise
// end the command silently.
func TestLostSecretOfACreatedTokenIsReported(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	cmd, stderr := newBuilt(t, tenant, tenant.Config()).intoClosedPipe("create --name x --scope y --show-secret -o json")
	require.Len(t, tenant.Tokens(), 2)
	assert.Equal(t, 3, cmd.ProcessState.ExitCode())
	assert.Equal(t, "sailpat create: the secret of the new token is lost: delete the token "+tenant.Tokens()[1].ID+
		": write /dev/stdout: broken pipe\n", stderr)
}

// TestAccountOfChangesIsPrintedIfItsPipeIsClosed shows that it goes to standard
// error.
func TestAccountOfChangesIsPrintedIfItsPipeIsClosed(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	tenant.Add(sailpoint.PersonalAccessToken{Name: "a", ExpirationDate: inDays(-1)})
	cmd, stderr := newBuilt(t, tenant, tenant.Config()).intoClosedPipe("prune --apply")
	assert.Equal(t, 3, cmd.ProcessState.ExitCode())
	assert.Regexp(t, `\n1 token chosen, 1 deleted\nsailpat prune: write /dev/stdout: broken pipe\n$`, stderr)
}

// TestResponseThatHTTP2ResetsMayPass resets a list over HTTP/2 in its middle.
func TestResponseThatHTTP2ResetsMayPass(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			tenant.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`[{"id":`))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	i := invocation{env: settings(tenant), transport: server.Client().Transport}.with("SAIL_BASE_URL", server.URL)
	code, stdout, stderr := i.run(t.Context(), "list --rate 1000")
	assert.Equal(t, 1, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "stream error: stream ID")
}

// held is a handler that holds back the second of some requests until it is
// released.
type held struct {
	http.Handler
	method  string
	count   int
	arrived chan struct{}
	release chan struct{}
}

func (h *held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == h.method && strings.Contains(r.URL.Path, "/personal-access-tokens") {
		if h.count++; h.count == 2 {
			close(h.arrived)
			<-h.release
		}
	}
	h.Handler.ServeHTTP(w, r)
}

// await waits for the request that is held back.
func (h *held) await(t *testing.T) {
	t.Helper()
	select {
	case <-h.arrived:
	case <-time.After(30 * time.Second):
		require.Fail(t, "the request has not arrived")
	}
}

// TestASignalEndsPruneWithATrueAccount interrupts the second deletion. The
// account says what became of each token, also with --quiet.
func TestASignalEndsPruneWithATrueAccount(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			for _, name := range []string{"a", "b", "c", "d"} {
				tenant.Add(sailpoint.PersonalAccessToken{Name: name, Created: *inDays(-100), ExpirationDate: inDays(-1)})
			}
			handler := &held{Handler: tenant, method: "DELETE", arrived: make(chan struct{}), release: make(chan struct{})}
			b := newBuilt(t, handler, tenant.Config())
			cmd, stdout, stderr := b.command("prune -q --apply --kinds expired --rate 1")
			require.NoError(t, cmd.Start())
			handler.await(t)
			require.NoError(t, cmd.Process.Signal(signal))
			_ = cmd.Wait()
			close(handler.release)
			assert.Equal(t, 1, cmd.ProcessState.ExitCode())
			assert.Regexp(t, `^sailpat prune: interrupted: context canceled\n$`, stderr.String())
			assert.Regexp(t, `\n4 tokens chosen, 2 deferred, 1 deleted, 1 unknown\n$`, stdout.String())
			for _, token := range tenant.Tokens() {
				assert.NotRegexp(t, `(?m)^deleted +`+regexp.QuoteMeta(token.ID), stdout.String())
			}
			assert.Regexp(t, `(?m)^unknown +\w+ +\w +Support .*it may have been carried out`, stdout.String())
		})
	}
}

// TestASignalEndsRotateAndTheNextRunFinishes interrupts the creation of the
// successor, whose response is lost.
func TestASignalEndsRotateAndTheNextRunFinishes(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	handler := &held{Handler: tenant, method: "POST", count: 1, arrived: make(chan struct{}), release: make(chan struct{})}
	b := newBuilt(t, handler, tenant.Config())
	path := pathOfToken(t, tenant, sailpoint.PersonalAccessToken{
		Name: "deploy", Created: time.Now().Add(-40 * day), Scope: []string{"sp:my-personal-access-tokens:manage"}, ExpirationDate: inDays(9),
	})
	line := "rotate -q --store file:" + path
	cmd, stdout, stderr := b.command(line)
	require.NoError(t, cmd.Start())
	handler.await(t)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait()
	close(handler.release)
	assert.Equal(t, 1, cmd.ProcessState.ExitCode())
	assert.Empty(t, stdout.String())
	assert.Regexp(t, `^sailpat rotate: interrupted: create: a token .*left: a token "deploy-next-\w+": its create had no response; .*run it again\n$`, stderr.String())

	code, out, notes := b.run(line)
	assert.Equal(t, 0, code)
	assert.Empty(t, out+notes)
	var names []string
	for _, token := range tenant.Tokens() {
		names = append(names, token.Name)
	}
	assert.Equal(t, []string{"tenant", "deploy"}, names)
}

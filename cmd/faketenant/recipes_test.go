package main

import (
	"bufio"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// snippets returns the code in a language of the guide.
func snippets(t *testing.T, language string) (list []string) {
	t.Helper()
	guide, err := os.ReadFile("../../docs/faketenant.md")
	require.NoError(t, err)
	text := strings.ReplaceAll(string(guide), "\r\n", "\n") // as git checks it out on Windows
	for _, rest := range strings.Split(text, "\n```"+language+"\n")[1:] {
		code, _, closed := strings.Cut(rest, "\n```\n")
		require.True(t, closed)
		list = append(list, code+"\n")
	}
	require.NotEmpty(t, list)
	return list
}

// recipe is a snippet that starts faketenant. The test adds a line that prints
// the URL, and waits until it may end.
type recipe struct {
	language, addition, interpreter string
}

var recipes = []recipe{
	{"sh", "echo \"$SAIL_BASE_URL\"\nread -r _\n", "sh"},
	{"python", "    print(os.environ[\"SAIL_BASE_URL\"], flush=True)\n    input()\n", "python3"},
}

// prepare returns a command that runs the recipe with program as faketenant.
func (r *recipe) prepare(t *testing.T, program string) *exec.Cmd {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the recipes for sh and Python are for Unix")
	}
	interpreter, err := exec.LookPath(r.interpreter)
	if err != nil {
		t.Skipf("this machine has no %s", r.interpreter)
	}
	folder := t.TempDir()
	script := filepath.Join(folder, "script")
	require.NoError(t, os.WriteFile(script, []byte(snippets(t, r.language)[0]+r.addition), 0o600))
	require.NoError(t, os.Symlink(program, filepath.Join(folder, "faketenant")))
	command := exec.CommandContext(t.Context(), interpreter, script)
	command.Env = append(os.Environ(), runMain+"=1", "SAIL_BASE_URL=https://real.example", "PATH="+folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	command.Stderr = t.Output()
	return command
}

func TestRecipesStartAndStop(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	for _, r := range recipes {
		t.Run(r.language, func(t *testing.T) {
			t.Parallel()
			command := r.prepare(t, self)
			stdin, err := command.StdinPipe()
			require.NoError(t, err)
			stdout, err := command.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, command.Start())
			line, err := bufio.NewReader(stdout).ReadString('\n')
			require.NoError(t, err)
			address, err := url.Parse(strings.TrimSpace(line))
			require.NoError(t, err)

			conn, err := net.Dial("tcp", address.Host)
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
			_, err = conn.Write([]byte("GET /faketenant/health HTTP/1.1\r\nHost: localhost\r\n\r\n"))
			require.NoError(t, err)
			response := bufio.NewReader(conn)
			status, err := response.ReadString('\n')
			require.NoError(t, err)
			assert.Equal(t, "HTTP/1.1 200 OK\r\n", status)

			_, err = stdin.Write([]byte("\n"))
			require.NoError(t, err)
			assert.NoError(t, command.Wait())
			_, err = response.WriteTo(new(strings.Builder))
			assert.NoError(t, err, "the end of the script closes the server's connections")
		})
	}
}

// TestRecipesNoticeAFailure runs a faketenant that fails. The recipe must not
// continue, because the environment may name a real tenant.
func TestRecipesNoticeAFailure(t *testing.T) {
	t.Parallel()
	failing, err := exec.LookPath("false")
	if err != nil {
		t.Skip("this machine has no program named false")
	}
	for _, r := range recipes {
		t.Run(r.language, func(t *testing.T) {
			t.Parallel()
			command := r.prepare(t, failing)
			output, err := command.Output()
			assert.Error(t, err)
			assert.Empty(t, string(output))
		})
	}
}

// TestControlRecipe runs the guide's faults, which must be accepted.
func TestControlRecipe(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("this machine has no %s", program)
		}
	}
	stdout, stop := start(t, "-control")
	baseURL, _, _ := readSettings(t, stdout)
	command := exec.CommandContext(t.Context(), "sh", "-e", "-c", snippets(t, "sh")[1])
	command.Env = append(os.Environ(), "SAIL_BASE_URL="+baseURL, "NO_PROXY=127.0.0.1")
	output, err := command.Output()
	assert.NoError(t, err)
	assert.Equal(t, "[]", string(output), "no request has arrived")
	resp, err := newClient(t).Get(baseURL + "/faketenant/faults")
	require.NoError(t, err)
	defer resp.Body.Close()
	unused, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, 5, strings.Count(string(unused), `"method"`))
	assert.Equal(t, exitOK, stop())
}

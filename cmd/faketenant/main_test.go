package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// runMain makes the test binary behave as the command.
const runMain = "FAKETENANT_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// readSettings reads the three lines of settings.
func readSettings(t *testing.T, stdout io.Reader) (baseURL, id, secret string) {
	t.Helper()
	lines := bufio.NewReader(stdout)
	var values []string
	for _, name := range []string{"SAIL_BASE_URL=", "SAIL_CLIENT_ID=", "SAIL_CLIENT_SECRET="} {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		value, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), name)
		require.True(t, ok, "%q", line)
		values = append(values, value)
	}
	return values[0], values[1], values[2]
}

// start runs the command in the background until stop is called.
func start(t *testing.T, args ...string) (stdout io.Reader, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, write, t.Output())
		_ = write.Close()
	}()
	return read, func() int {
		cancel()
		return <-code
	}
}

func fetchBearer(t *testing.T, client *http.Client, baseURL, id, secret string) (status int, bearer string) {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	resp, err := client.PostForm(baseURL+"/oauth/token", form)
	require.NoError(t, err)
	defer resp.Body.Close()
	var body struct {
		AccessToken string `json:"access_token"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
	return resp.StatusCode, body.AccessToken
}

func list(t *testing.T, client *http.Client, baseURL, bearer string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, baseURL+"/v2024/personal-access-tokens", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(data)
}

func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestServeATenant(t *testing.T) {
	stdout, stop := start(t)
	baseURL, id, secret := readSettings(t, stdout)
	assert.Regexp(t, `^http://127\.0\.0\.1:[1-9]\d*$`, baseURL)
	assert.Regexp(t, `^[0-9a-f]{32}$`, id)
	assert.Regexp(t, `^[0-9a-f]{64}$`, secret)

	client := newClient(t)
	status, bearer := fetchBearer(t, client, baseURL, id, secret)
	require.Equal(t, 200, status)
	status, body := list(t, client, baseURL, bearer)
	assert.Equal(t, 200, status)
	assert.Contains(t, body, `"id":"`+id+`"`)
	status, _ = fetchBearer(t, client, baseURL, id, "wrong")
	assert.Equal(t, 401, status)

	assert.Equal(t, exitOK, stop())
	_, err := client.Get(baseURL + "/oauth/token")
	assert.Error(t, err, "it has stopped listening")
}

func TestCredentialsFromFlags(t *testing.T) {
	stdout, stop := start(t, "-client-id", "my-id", "-client-secret", "it's; $HOME")
	assert.Equal(t, exitUsage, stop(), "a space is rejected")
	rest, err := io.ReadAll(stdout)
	require.NoError(t, err)
	assert.Empty(t, rest)

	stdout, stop = start(t, "-addr", ":0", "-client-id", "my-id", "-client-secret", "it's;$HOME")
	baseURL, id, secret := readSettings(t, stdout)
	assert.Regexp(t, `^http://127\.0\.0\.1:`, baseURL, "a client can connect to this host")
	assert.Equal(t, "my-id", id)
	assert.Equal(t, `'it'\''s;$HOME'`, secret, "quoted for a shell")
	status, _ := fetchBearer(t, newClient(t), baseURL, "my-id", "it's;$HOME")
	assert.Equal(t, 200, status)
	assert.Equal(t, exitOK, stop())
}

func TestRateLimit(t *testing.T) {
	for _, limited := range []bool{false, true} {
		var args []string
		if limited {
			args = []string{"-rate-limit"}
		}
		stdout, stop := start(t, args...)
		baseURL, id, secret := readSettings(t, stdout)
		client := newClient(t)
		_, bearer := fetchBearer(t, client, baseURL, id, secret)
		statuses := make(map[int]int)
		for range 101 {
			status, _ := list(t, client, baseURL, bearer)
			statuses[status]++
		}
		assert.Equal(t, limited, statuses[429] > 0, "%v", statuses)
		assert.Equal(t, exitOK, stop())
	}
}

func TestUsageErrors(t *testing.T) {
	for name, args := range map[string][]string{
		"id without a secret":  {"-client-id", "id"},
		"secret without an id": {"-client-secret", "secret"},
		"line break":           {"-client-id", "id\n", "-client-secret", "secret"},
		"argument":             {"serve"},
		"unknown flag":         {"-port", "8080"},
		"CA without TLS":       {"-ca", "ca.pem"},
		"no port":              {"-addr", "localhost"},
		"port out of range":    {"-addr", "localhost:99999"},
	} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, exitUsage, run(t.Context(), args, &stdout, &stderr), name)
		assert.Empty(t, stdout.String(), name)
		assert.Contains(t, stderr.String(), "-client-secret", name)
	}
	var stdout, stderr bytes.Buffer
	assert.Equal(t, exitOK, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "-addr")
}

func TestAddressInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, exitFailed, run(t.Context(), []string{"-addr", listener.Addr().String()}, &stdout, &stderr))
	assert.Empty(t, stdout.String())
	assert.NotEmpty(t, stderr.String())
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestSettingsCannotBeWritten(t *testing.T) {
	var stderr bytes.Buffer
	assert.Equal(t, exitFailed, run(t.Context(), nil, brokenWriter{}, &stderr))
	assert.Contains(t, stderr.String(), "broken")
}

func TestStopOnASignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("on Windows a program can't send these signals")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		command := exec.CommandContext(t.Context(), self)
		command.Env = append(os.Environ(), runMain+"=1")
		stdout, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		baseURL, id, secret := readSettings(t, stdout)
		status, _ := fetchBearer(t, newClient(t), baseURL, id, secret)
		assert.Equal(t, 200, status)
		require.NoError(t, command.Process.Signal(signal))
		assert.NoError(t, command.Wait(), "exit code 0")
	}
}

// TestSeedFile serves the tokens of a file, and rejects a wrong file.
func TestSeedFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "seed.json")
	require.NoError(t, os.WriteFile(name, []byte(`{"tokens": [{"id": "reader", "secret": "reader-secret"}]}`), 0o600))
	stdout, stop := start(t, "-seed", name)
	baseURL, _, _ := readSettings(t, stdout)
	status, _ := fetchBearer(t, newClient(t), baseURL, "reader", "reader-secret")
	assert.Equal(t, 200, status)
	assert.Equal(t, exitOK, stop())

	for wrong, want := range map[string]string{
		"not there": "faketenant: -seed: open not there: ",
		name:        "faketenant: -seed " + name + ": /tokens/0: -client-id has the same id: change one of them\n",
	} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, exitUsage, run(t.Context(), []string{"-seed", wrong, "-client-id", "reader", "-client-secret", "s"}, &stdout, &stderr))
		assert.Empty(t, stdout.String())
		assert.Contains(t, stderr.String(), want)
	}
}

// Package redistest starts real Redis servers for tests.
package redistest

import (
	"cmp"
	"context"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// programVariable names the environment variable with the path of redis-server.
const programVariable = "SAILPOINT_TEST_REDIS"

// Server is a redis-server on a loopback address. It ends with the test, and on
// Linux with the test's program at the latest.
type Server struct {
	Address string
	Folder  string // for snapshots and the log

	program   string
	args, env []string
	cmd       *exec.Cmd
	ended     chan struct{}
}

// Start starts a server that saves nothing by itself. The arguments are added
// to its command line. It skips the test if there is no redis-server.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return StartWithEnv(t, nil, args...)
}

// StartWithEnv is Start with more environment variables.
func StartWithEnv(t testing.TB, env []string, args ...string) *Server {
	t.Helper()
	path := os.Getenv(programVariable)
	program, err := exec.LookPath(cmp.Or(path, "redis-server"))
	if err != nil && path == "" {
		t.Skipf("Install redis-server (apt-get install redis-server), or set %s to its path, to run this test. The gate does.", programVariable)
	}
	require.NoError(t, err, programVariable)
	s := &Server{Address: FreeAddress(t), Folder: t.TempDir(), program: program, args: args, env: append(os.Environ(), env...)}
	s.start(t)
	t.Cleanup(s.Kill)
	return s
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	_, port, err := net.SplitHostPort(s.Address)
	require.NoError(t, err)
	args := []string{
		"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", s.Folder, "--logfile", "log", "--repl-diskless-sync-delay", "0",
	}
	if len(s.args) > 0 && !strings.HasPrefix(s.args[0], "--") {
		args = slices.Concat(s.args, args) // a configuration file must be first
	} else {
		args = slices.Concat(args, s.args)
	}
	s.cmd = exec.CommandContext(context.Background(), s.program, args...) //nolint:gosec // for tests only
	s.cmd.Env = s.env
	s.cmd.SysProcAttr = endsWithThread()
	s.ended = make(chan struct{})
	started := make(chan error)
	go func() {
		defer close(s.ended)
		// The kernel kills the server when the thread ends that started it, so that
		// thread waits for it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_ = s.cmd.Wait()
		}
	}()
	require.NoError(t, <-started)
	require.Eventually(t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Address)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	}, 30*time.Second, 10*time.Millisecond, "redis-server starts")
}

// Kill ends the server without a warning. Its memory is lost.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// Restart kills the server and starts it again. It then has the last snapshot,
// if one was saved.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Kill()
	s.start(t)
}

// Signal sends a signal to the server's process.
func (s *Server) Signal(t testing.TB, signal os.Signal) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(signal))
}

// Client returns a client of the server.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: s.Address})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// FreeAddress returns a loopback address on which nobody listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

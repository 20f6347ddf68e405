package redisfleet

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain fails if a goroutine outlives the tests.
func TestMain(m *testing.M) {
	redis.SetLogger(discard{})
	goleak.VerifyTestMain(m)
}

// discard is a logger for go-redis, which prints each failed connection.
type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}

// server is a redis-server on a loopback address. It ends with the test, and
// with this program at the latest.
type server struct {
	program, folder, address string
	args                     []string
	cmd                      *exec.Cmd
	ended                    chan struct{}
}

// newServer starts a redis-server. The arguments are added to its command line.
func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	program, err := exec.LookPath(cmp.Or(os.Getenv("SAILPOINT_TEST_REDIS"), "redis-server"))
	if err != nil && os.Getenv("SAILPOINT_TEST_REDIS") == "" {
		t.Skip("Install redis-server (apt-get install redis-server), or set SAILPOINT_TEST_REDIS to its path, to run this test. The gate does.")
	}
	require.NoError(t, err, "SAILPOINT_TEST_REDIS")
	s := &server{program: program, folder: t.TempDir(), address: freeAddress(t), args: args}
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *server) start(t testing.TB) {
	t.Helper()
	_, port, err := net.SplitHostPort(s.address)
	require.NoError(t, err)
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", s.folder, "--logfile", "log", "--repl-diskless-sync-delay", "0"}, s.args...)
	s.cmd = exec.CommandContext(context.Background(), s.program, args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
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
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	}, 20*time.Second, 10*time.Millisecond, "the server starts")
}

// kill ends the server without a warning, and its memory is lost.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

func (s *server) restart(t *testing.T) {
	t.Helper()
	s.kill()
	s.start(t)
}

// pause stops the server's process, so that it accepts connections and responds
// to nothing, until resume.
func (s *server) pause(t *testing.T) (resume func()) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGSTOP))
	return func() { require.NoError(t, s.cmd.Process.Signal(syscall.SIGCONT)) }
}

// client returns a new client of the server.
func (s *server) client(t testing.TB, options ...func(*redis.Options)) *redis.Client {
	t.Helper()
	opts := &redis.Options{Addr: s.address}
	for _, option := range options {
		option(opts)
	}
	rdb := redis.NewClient(opts)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// warm loads the limiter's script, so that the server doesn't count as new.
func (s *server) warm(t testing.TB) *server {
	t.Helper()
	require.NoError(t, s.client(t).ScriptLoad(t.Context(), limiterLua).Err())
	return s
}

// scriptCalls returns how often the server has run a script.
func (s *server) scriptCalls(t *testing.T) (calls int) {
	t.Helper()
	stats, err := s.client(t).Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	for _, found := range regexp.MustCompile(`cmdstat_eval(?:sha)?:calls=(\d+)`).FindAllStringSubmatch(stats, -1) {
		n, err := strconv.Atoi(found[1])
		require.NoError(t, err)
		calls += n
	}
	return calls
}

// freeAddress returns a loopback address on which nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// network connects clients to one address, until it is switched or cut.
type network struct {
	mu      sync.Mutex
	address string // "" if it is cut
	conns   []net.Conn
}

// dial is a redis.Options.Dialer.
func (n *network) dial(ctx context.Context, protocol, _ string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.address == "" {
		return nil, errors.New("the test's network is cut")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, protocol, n.address)
	if err == nil {
		n.conns = append(n.conns, conn)
	}
	return conn, err
}

// connect closes all connections. New ones go to address, or fail if it is "".
func (n *network) connect(address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.address = address
	for _, conn := range n.conns {
		_ = conn.Close()
	}
	n.conns = nil
}

// via sets the dialer of a client.
func via(n *network) func(*redis.Options) {
	return func(opts *redis.Options) { opts.Dialer, opts.DialerRetries = n.dial, 1 }
}

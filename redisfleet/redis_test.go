package redisfleet

import (
	"context"
	"errors"
	"net"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint/redisfleet/internal/redistest"
)

// TestMain fails if a goroutine outlives the tests.
func TestMain(m *testing.M) {
	redis.SetLogger(discard{})
	goleak.VerifyTestMain(m)
}

// discard is a logger for go-redis, which prints each failed connection.
type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}

// server is a redis-server, or only an address.
type server struct {
	*redistest.Server
	isWarm bool
}

// newServer starts a redis-server. The arguments are added to its command line.
func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	return &server{Server: redistest.Start(t, args...)}
}

// serverAt returns something else at an address.
func serverAt(address string) *server { return &server{Server: &redistest.Server{Address: address}} }

// pause stops the server's process, so that it accepts connections and responds
// to nothing, until the test ends.
func (s *server) pause(t *testing.T) {
	t.Helper()
	s.Signal(t, syscall.SIGSTOP)
	t.Cleanup(func() { s.Signal(t, syscall.SIGCONT) })
}

// client returns a new client of the server.
func (s *server) client(t testing.TB, options ...func(*redis.Options)) *redis.Client {
	t.Helper()
	opts := &redis.Options{Addr: s.Address}
	for _, option := range options {
		option(opts)
	}
	rdb := redis.NewClient(opts)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// warm makes fleets that join begin at once. It loads the limiter's script, so
// that the server doesn't count as new.
func (s *server) warm(t testing.TB) *server {
	t.Helper()
	s.isWarm = true
	require.NoError(t, s.client(t).ScriptLoad(t.Context(), limiterLua).Err())
	return s
}

// begin makes an empty quota, so that the fleet doesn't count as new.
func (s *server) begin(t testing.TB, l *limiter) {
	t.Helper()
	rdb := s.client(t)
	if rdb.Exists(t.Context(), l.keys...).Val() == 0 {
		require.NoError(t, rdb.HSet(t.Context(), l.keys[0], "limit", l.limit, "window", l.longWindow().Microseconds(), "epoch", 1, "server", "").Err())
		require.NoError(t, rdb.ZAdd(t.Context(), l.keys[1], redis.Z{Member: "epoch"}).Err())
	}
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

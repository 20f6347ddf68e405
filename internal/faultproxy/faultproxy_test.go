package faultproxy_test

import (
	"bufio"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint/internal/faultproxy"
)

// TestMain fails if a goroutine outlives the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that sends each line back, and notes it.
type echo struct {
	listener net.Listener
	running  sync.WaitGroup
	lines    chan string
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e := &echo{listener: listener, lines: make(chan string, 10)}
	e.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			e.running.Go(func() {
				defer conn.Close()
				for lines := bufio.NewReader(conn); ; {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					e.lines <- line
					_, _ = io.WriteString(conn, line)
				}
			})
		}
	})
	return e
}

// client sends lines through a proxy.
type client struct {
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, address string) client {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	return client{conn, bufio.NewReader(conn)}
}

func (c client) send(t *testing.T, line string) {
	t.Helper()
	_, err := io.WriteString(c, line)
	require.NoError(t, err)
}

func newProxied(t *testing.T) (*echo, *faultproxy.Proxy) {
	t.Helper()
	e := newEcho(t)
	p, err := faultproxy.New(e.listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		p.Close()
		_ = e.listener.Close()
		e.running.Wait()
	})
	return e, p
}

// TestProxyCuts checks what each mode cuts, and that the cuts are counted.
func TestProxyCuts(t *testing.T) {
	for name, tt := range map[string]struct {
		mode       faultproxy.Mode
		reaches    bool // the request reaches the server
		cutsAgain  bool // the next connection is cut too
		passBefore int
	}{
		"one response":              {mode: faultproxy.CutResponse, reaches: true},
		"every response":            {mode: faultproxy.CutResponses, reaches: true, cutsAgain: true},
		"every request":             {mode: faultproxy.CutRequests, cutsAgain: true},
		"the third response":        {mode: faultproxy.CutResponse, reaches: true, passBefore: 2},
		"requests after a response": {mode: faultproxy.CutRequests, cutsAgain: true, passBefore: 1},
	} {
		t.Run(name, func(t *testing.T) {
			e, p := newProxied(t)
			p.SetAfter(tt.passBefore, tt.mode)
			c := dial(t, p.Address)
			for range tt.passBefore {
				c.send(t, "before\n")
				assert.Equal(t, "before\n", <-e.lines)
				line, err := c.lines.ReadString('\n')
				require.NoError(t, err)
				assert.Equal(t, "before\n", line)
			}
			assert.Zero(t, p.Cuts())
			c.send(t, "cut\n")
			_, err := c.lines.ReadString('\n')
			assert.Error(t, err)
			assert.Equal(t, 1, p.Cuts())
			if tt.reaches {
				assert.Equal(t, "cut\n", <-e.lines)
			}
			c = dial(t, p.Address)
			c.send(t, "next\n")
			_, err = c.lines.ReadString('\n')
			assert.Equal(t, tt.cutsAgain, err != nil, err)
			p.Set(faultproxy.Pass)
			assert.Empty(t, drain(e.lines, "next\n"), "a request that was cut reached the server")
		})
	}
}

// drain returns what is in lines other than expected.
func drain(lines chan string, expected string) (others []string) {
	for {
		select {
		case line := <-lines:
			if line != expected {
				others = append(others, line)
			}
		default:
			return others
		}
	}
}

// TestProxyHolds checks that requests or responses are held until the mode
// changes, and that Close ends them.
func TestProxyHolds(t *testing.T) {
	e, p := newProxied(t)
	c := dial(t, p.Address)
	p.Set(faultproxy.HoldResponses)
	c.send(t, "one\n")
	assert.Equal(t, "one\n", <-e.lines)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	_, err := c.lines.ReadString('\n')
	require.ErrorContains(t, err, "timeout")
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	p.Set(faultproxy.HoldRequests)
	line, err := c.lines.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "one\n", line)
	c.send(t, "two\n")
	assert.Empty(t, drain(e.lines, ""))
	p.Set(faultproxy.Pass)
	assert.Equal(t, "two\n", <-e.lines)
	p.Set(faultproxy.HoldRequests)
	c.send(t, "three\n")
	assert.Zero(t, p.Cuts())
}

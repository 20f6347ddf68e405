// Package faultproxy is a proxy on loopback that cuts or holds what passes
// between a client and its server, for tests.
package faultproxy

import (
	"context"
	"net"
	"sync"
	"time"
)

// Mode says what a [Proxy] does, on the connections that are open and on those
// to come.
type Mode int

// The modes. A cut closes the connection on both sides.
const (
	Pass          Mode = iota
	CutResponse        // passes the request, cuts instead of passing its response, and passes everything after that
	CutResponses       // cuts instead of passing any response
	CutRequests        // cuts instead of passing any request
	HoldRequests       // passes no request until the mode changes
	HoldResponses      // passes requests, but no response until the mode changes
)

// cutPause lets a server finish its work before it sees that its connection is
// cut.
const cutPause = 20 * time.Millisecond

// Network is what a proxy listens and dials on. The zero Network is TCP.
type Network struct {
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// Proxy passes bytes between clients and one server. It doesn't look into them,
// so TLS passes too.
type Proxy struct {
	Address string // where it listens, such as 127.0.0.1:40001

	network  Network
	target   string
	listener net.Listener
	running  sync.WaitGroup
	closed   chan struct{}

	mu        sync.Mutex
	mode      Mode
	skip      int  // responses that pass before mode is in force
	requested bool // a request passed since the last response
	cuts      int
	changed   chan struct{} // closed when the mode changes
	conns     map[net.Conn]bool
}

// New returns a proxy for the server at target on the TCP loopback. Close it
// after use.
func New(target string) (*Proxy, error) { return NewOn(Network{}, target) }

// NewOn returns a proxy as New does, on another network.
func NewOn(network Network, target string) (*Proxy, error) {
	if network.Listen == nil {
		network.Listen = (&net.ListenConfig{}).Listen
	}
	if network.Dial == nil {
		network.Dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
	listener, err := network.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		Address: listener.Addr().String(), network: network, target: target, listener: listener,
		closed: make(chan struct{}), changed: make(chan struct{}), conns: map[net.Conn]bool{},
	}
	p.running.Go(p.accept)
	return p, nil
}

// Set changes the mode.
func (p *Proxy) Set(mode Mode) { p.SetAfter(0, mode) }

// SetAfter changes the mode to Pass, and to mode once this many responses have
// passed.
func (p *Proxy) SetAfter(responses int, mode Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode, p.skip, p.requested = mode, responses, false
	close(p.changed)
	p.changed = make(chan struct{})
}

// Cuts returns how many connections were cut so far.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// Close stops listening, closes all connections, and waits until they have
// ended. Call it once.
func (p *Proxy) Close() {
	close(p.closed)
	_ = p.listener.Close()
	p.mu.Lock()
	for conn := range p.conns {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := p.network.Dial(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !p.keep(client, server) {
		return
	}
	defer p.drop(client, server)
	p.running.Go(func() {
		defer func() { _, _ = client.Close(), server.Close() }()
		p.pass(server, client, false)
	})
	p.pass(client, server, true)
}

// keep notes the connections for Close. It reports false if Close has been
// called already.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.closed:
		return false
	default:
	}
	for _, conn := range conns {
		p.conns[conn] = true
	}
	return true
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		delete(p.conns, conn)
	}
}

// pass moves bytes in one direction until the connection ends or is cut.
func (p *Proxy) pass(to, from net.Conn, isResponse bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !p.admit(isResponse) {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// admit waits while the mode holds what was read. It reports false where the
// connection is to be cut.
func (p *Proxy) admit(isResponse bool) bool {
	for {
		hold, cut, changed := p.decide(isResponse)
		if cut {
			time.Sleep(cutPause)
			return false
		}
		if !hold {
			return true
		}
		select {
		case <-changed:
		case <-p.closed:
			return false
		}
	}
}

func (p *Proxy) decide(isResponse bool) (hold, cut bool, changed chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !isResponse {
		p.requested = true
	}
	if p.skip > 0 {
		if isResponse && p.requested {
			p.skip, p.requested = p.skip-1, false
		}
		return false, false, p.changed
	}
	if isResponse {
		hold, cut = p.mode == HoldResponses, p.mode == CutResponse || p.mode == CutResponses
	} else {
		hold, cut = p.mode == HoldRequests, p.mode == CutRequests
	}
	if cut {
		p.cuts++
		if p.mode == CutResponse {
			p.mode = Pass
		}
	}
	return hold, cut, p.changed
}

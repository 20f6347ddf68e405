package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/faultproxy"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// memoryNetwork connects clients and servers of one test in memory, so that
// waiting costs no time in synctest.
type memoryNetwork struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener
	ports     int
}

type memoryListener struct {
	address  string
	incoming chan net.Conn
	closed   chan struct{}
	close    func()
}

func (l *memoryListener) Network() string { return "memory" }
func (l *memoryListener) String() string  { return l.address }
func (l *memoryListener) Addr() net.Addr  { return l }

func (l *memoryListener) Close() error {
	l.close()
	return nil
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.incoming:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (n *memoryNetwork) listen(_ context.Context, _, address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if strings.HasSuffix(address, ":0") {
		n.ports++
		address = fmt.Sprint("memory:", n.ports)
	}
	l := &memoryListener{address: address, incoming: make(chan net.Conn), closed: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.closed) })
	n.listeners[address] = l
	return l, nil
}

func (n *memoryNetwork) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	if l == nil {
		return nil, errors.New("nobody listens")
	}
	here, there := net.Pipe()
	select {
	case l.incoming <- there:
		return here, nil
	case <-l.closed:
		return nil, errors.New("nobody listens any more")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// content is what a register holds.
type content struct {
	ID      string `json:"id"`
	Secret  string `json:"secret"`
	Note    string `json:"note"`
	Version string `json:"version"`
}

// register is a server that holds one content over HTTP: GET reads it, and PUT
// replaces it if it names its version.
type register struct {
	fault   string // "" for a correct one
	network *memoryNetwork
	address string

	mu      sync.Mutex
	server  *http.Server
	stored  content
	durable content // after a crash
	writes  int
	denied  bool
	spoiled bool
}

func (r *register) start(t *testing.T, address string) {
	t.Helper()
	listener, err := r.network.listen(t.Context(), "memory", address)
	require.NoError(t, err)
	server := &http.Server{Handler: r}
	r.set(func() { r.address, r.server = listener.Addr().String(), server })
	go func() { _ = server.Serve(listener) }()
}

func (r *register) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *register) version() string {
	switch {
	case r.fault == "version is a digest of the secret":
		return fmt.Sprintf("%x", sha256.Sum256([]byte(r.stored.ID+r.stored.Secret)))
	case r.fault == "versions repeat":
		return fmt.Sprint("v", r.writes%4)
	case r.fault == "no version where nothing is stored" && r.stored.ID == "":
		return ""
	}
	return fmt.Sprint("v", r.writes)
}

func (r *register) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.denied:
		http.Error(w, "denied", http.StatusForbidden)
	case request.Method == http.MethodGet:
		r.get(w)
	default:
		r.put(w, request)
	}
}

func (r *register) get(w http.ResponseWriter) {
	switch {
	case r.spoiled:
		_, _ = io.WriteString(w, `{"id":1,"secret":"`+secretMark+`"`)
	case r.stored.ID == "" && r.fault == "nothing stored is an error":
		http.Error(w, "nothing stored", http.StatusNotFound)
	default:
		c := r.stored
		c.Version = r.version()
		_ = json.MarshalWrite(w, c)
	}
}

func (r *register) put(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	var c content
	if err != nil || json.Unmarshal(body, &c) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	matches := c.Version == r.version()
	if r.fault == "compares, then writes" {
		r.pause(5 * time.Millisecond)
	}
	if !matches && !r.writesBlindly(c) {
		w.WriteHeader(http.StatusConflict)
		if r.fault == "the error repeats the request" {
			_, _ = w.Write(body)
		}
		return
	}
	w.WriteHeader(r.write(c))
}

// pause lets others in for a while.
func (r *register) pause(d time.Duration) {
	r.mu.Unlock()
	defer r.mu.Lock()
	time.Sleep(d)
}

// writesBlindly reports whether a version that doesn't match is ignored.
func (r *register) writesBlindly(c content) bool {
	switch r.fault {
	case "compares nothing":
		return true
	case "an unknown version is none":
		return c.Version == "" || !strings.HasPrefix(c.Version, "v")
	case "a create replaces what is there":
		return c.Version == "" || c.Version == "v0"
	}
	return c.Version == ""
}

func (r *register) write(c content) (status int) {
	switch {
	case r.fault == "ignores a write that changes nothing" && c.ID == r.stored.ID && c.Secret == r.stored.Secret,
		r.fault == "ignores a write without id" && c.ID == "",
		r.fault == "ignores a write without version" && c.Version == "":
		return http.StatusOK
	case r.fault == "refuses a write without id" && c.ID == "":
		return http.StatusBadRequest
	case r.fault == "trims":
		c.Secret = strings.TrimSpace(c.Secret)
	case r.fault == "keeps 255 bytes" && len(c.Secret) > 255:
		c.Secret = c.Secret[:255]
	case r.fault == "drops the note":
		c.Note = ""
	case r.fault == "writes in two parts":
		r.stored.ID = c.ID
		r.pause(time.Millisecond)
	}
	r.writes++
	r.stored = c
	if r.fault != "keeps nothing over a crash" {
		r.durable = c
	}
	return http.StatusOK
}

// store is a Store over a register.
type store struct {
	fault   string
	url     string
	client  *http.Client
	cached  *content
	running *sync.WaitGroup // of what outlives a call
}

func (s *store) send(ctx context.Context, method string, body []byte) (status int, text []byte, err error) {
	if s.fault == "ignores the context" {
		ctx = context.WithoutCancel(ctx)
	}
	status, text, err = s.sendOnce(ctx, method, body)
	if err != nil && s.fault == "retries a write" {
		status, text, err = s.sendOnce(ctx, method, body)
	}
	return status, text, err
}

func (s *store) sendOnce(ctx context.Context, method string, body []byte) (status int, text []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(response.Body)
	return response.StatusCode, text, err
}

func (s *store) Load(ctx context.Context) (lifecycle.Credential, error) {
	if s.fault == "caches" && s.cached != nil {
		return s.cached.credential(), nil
	}
	status, text, err := s.send(ctx, http.MethodGet, nil)
	switch {
	case err != nil && s.fault == "an error is an empty store",
		err != nil && s.fault == "an ended context is an empty store" && ctx.Err() != nil,
		err == nil && status != http.StatusOK && s.fault == "any status is an empty store":
		return lifecycle.Credential{Version: "v0"}, nil //nolint:nilerr // this is the fault
	case err != nil:
		return lifecycle.Credential{}, err
	case status != http.StatusOK:
		return lifecycle.Credential{}, fmt.Errorf("status %d", status)
	}
	return s.decode(ctx, text)
}

func (s *store) decode(ctx context.Context, text []byte) (lifecycle.Credential, error) {
	var c content
	err := json.Unmarshal(text, &c)
	switch {
	case err != nil && s.fault == "invalid JSON is an empty store":
		return lifecycle.Credential{Version: "v0"}, nil
	case err != nil && s.fault == "the error of invalid JSON repeats it":
		return lifecycle.Credential{}, fmt.Errorf("%w in %s", err, text)
	case err != nil:
		return lifecycle.Credential{}, errors.New("invalid JSON")
	case s.fault == "reads the version apart":
		time.Sleep(time.Millisecond)
		_, text, err = s.send(ctx, http.MethodGet, nil)
		var later content
		if err == nil && json.Unmarshal(text, &later) == nil {
			c.Version = later.Version
		}
	}
	s.cached = &c
	return c.credential(), nil
}

func (c *content) credential() lifecycle.Credential {
	return lifecycle.Credential{ID: c.ID, Secret: sailpoint.NewSecret(c.Secret), Note: c.Note, Version: c.Version}
}

func (s *store) Save(ctx context.Context, c lifecycle.Credential) error {
	body, err := json.Marshal(content{c.ID, c.Secret.Reveal(), c.Note, c.Version})
	if err != nil {
		return lifecycle.ErrNotStored
	}
	switch s.fault {
	case "writes later":
		s.running.Go(func() {
			time.Sleep(30 * time.Millisecond)
			_, _, _ = s.send(context.WithoutCancel(ctx), http.MethodPut, body)
		})
		return nil
	case "continues after its context":
		done := make(chan error, 1)
		s.running.Go(func() { done <- s.put(context.WithoutCancel(ctx), c, body) })
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return errors.Join(lifecycle.ErrNotStored, ctx.Err())
		}
	}
	return s.put(ctx, c, body)
}

func (s *store) put(ctx context.Context, c lifecycle.Credential, body []byte) error {
	status, text, err := s.send(ctx, http.MethodPut, body)
	switch {
	case err != nil && s.fault == "every error is not stored":
		return errors.Join(lifecycle.ErrNotStored, err)
	case err != nil && s.fault == "sends the request later":
		s.running.Go(func() {
			time.Sleep(200 * time.Millisecond)
			_, _, _ = s.send(context.WithoutCancel(ctx), http.MethodPut, body)
		})
		return err
	case err != nil:
		return err
	case status == http.StatusOK:
		s.cached = nil
		return nil
	case status == http.StatusConflict:
		return s.conflict(ctx, c, text)
	case s.fault == "any refusal is a conflict":
		return lifecycle.ErrStoreConflict
	}
	return fmt.Errorf("%w: status %d", lifecycle.ErrNotStored, status)
}

func (s *store) conflict(ctx context.Context, c lifecycle.Credential, text []byte) error {
	switch s.fault {
	case "a conflict is no error":
		return nil
	case "a conflict is any error":
		return errors.New("status 409")
	case "the error repeats the request":
		return fmt.Errorf("%w: %s", lifecycle.ErrStoreConflict, text)
	case "loads again and saves over it":
		now, err := s.Load(ctx)
		if err != nil {
			return err
		}
		c.Version = now.Version
		return s.Save(ctx, c)
	}
	return lifecycle.ErrStoreConflict
}

// CheckSave is a read: whoever may not write here may not read either.
func (s *store) CheckSave(ctx context.Context) error {
	c, err := s.Load(ctx)
	switch {
	case s.fault == "the check always fails":
		return errors.New("no check")
	case s.fault == "the check always allows":
		return nil
	case s.fault == "the check writes" && err == nil:
		return s.Save(ctx, rewritten(c))
	}
	return err
}

// newRegister returns a place over a register with this fault. It works in a
// synctest bubble only.
func newRegister(t *testing.T, fault string) Place {
	t.Helper()
	network := &memoryNetwork{listeners: map[string]*memoryListener{}}
	r := &register{fault: fault, network: network}
	r.start(t, "memory:0")
	var running sync.WaitGroup
	var transports []*http.Transport
	t.Cleanup(func() {
		running.Wait()
		_ = r.server.Close()
		for _, transport := range transports {
			transport.CloseIdleConnections()
		}
	})
	openAt := func(address string) lifecycle.Store {
		transport := &http.Transport{DialContext: network.dial}
		transports = append(transports, transport)
		return &store{fault: fault, url: "http://" + address, client: &http.Client{Transport: transport}, running: &running}
	}
	return Place{
		Address: r.address,
		Open:    func() lifecycle.Store { return openAt(r.address) },
		OpenAt:  openAt,
		Restart: func() {
			_ = r.server.Close()
			r.set(func() { r.stored = r.durable })
			r.start(t, r.address)
		},
		Deny: func() func() {
			r.set(func() { r.denied = true })
			return func() { r.set(func() { r.denied = false }) }
		},
		Clear: func() {
			r.set(func() {
				r.stored = content{}
				r.writes++
				if fault == "a deletion counts anew" {
					r.writes = 0
				}
			})
		},
		Spoil:   func() { r.set(func() { r.spoiled = true }) },
		network: faultproxy.Network{Listen: network.listen, Dial: network.dial},
	}
}

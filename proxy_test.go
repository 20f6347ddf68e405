package sailpoint_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/sampletest"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// whole is a limit that cuts nothing.
const whole = 1 << 30

// cut describes how a proxy treats a connection.
type cut struct {
	request, response int           // bytes to pass on before it closes both sides
	reset             bool          // resets both sides instead
	pause             time.Duration // before every 16 bytes
	once              bool          // affects the first connection only
}

// cutter is a TCP proxy on a loopback socket.
type cutter struct {
	cut

	listener *net.TCPListener
	target   string
	running  sync.WaitGroup

	mu                sync.Mutex
	request, response int // bytes passed on
}

func newCutter(t *testing.T, target string, c cut) *cutter {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	p := &cutter{cut: c, listener: listener, target: target}
	p.running.Go(func() {
		for n := 0; ; n++ {
			client, err := listener.AcceptTCP()
			if err != nil {
				return
			}
			how := p.cut
			if how.once && n > 0 {
				how.request, how.response = whole, whole
			}
			p.running.Go(func() { p.serve(client, how) })
		}
	})
	return p
}

func (p *cutter) close() {
	_ = p.listener.Close()
	p.running.Wait()
}

func (p *cutter) serve(client *net.TCPConn, how cut) {
	defer client.Close()
	conn, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	server := conn.(*net.TCPConn) //nolint:forcetypeassert // the network is tcp
	defer server.Close()
	var both sync.WaitGroup
	end := func() {
		if how.reset {
			reset(client)
			reset(server)
		}
		_ = client.Close()
		_ = server.Close()
	}
	both.Go(func() { p.forward(server, client, how.request, &p.request, end) })
	both.Go(func() { p.forward(client, server, how.response, &p.response, end) })
	both.Wait()
}

// forward passes on up to limit bytes, and then ends the connection.
func (p *cutter) forward(to, from *net.TCPConn, limit int, passed *int, end func()) {
	buffer := make([]byte, 4096)
	if p.pause > 0 {
		buffer = buffer[:16]
	}
	for limit > 0 {
		n, err := from.Read(buffer[:min(len(buffer), limit)])
		if n > 0 {
			if p.pause > 0 {
				<-time.After(p.pause)
			}
			n, err = to.Write(buffer[:n])
			limit -= n
			p.mu.Lock()
			*passed += n
			p.mu.Unlock()
		}
		if err != nil {
			break
		}
	}
	end()
}

// cutCall is a call to a tenant of its own, through a cutter.
type cutCall struct {
	name string
	call func(context.Context, *sailpoint.PersonalAccessTokensService) (*sailpoint.CreatePersonalAccessTokenResponse, error)
	// committed returns how often the call was carried out, from the tenant's
	// tokens.
	committed func(tokens []sailpoint.PersonalAccessToken) int
}

const victim = "cafe0000cafe0000cafe0000cafe0000"

func named(name string) func([]sailpoint.PersonalAccessToken) int {
	return func(tokens []sailpoint.PersonalAccessToken) (n int) {
		for _, token := range tokens {
			if token.Name == name {
				n++
			}
		}
		return n
	}
}

// neverExpiring returns the number of tokens with the victim's id and without
// an expiry. At first there is no such token.
func neverExpiring(tokens []sailpoint.PersonalAccessToken) (n int) {
	for _, token := range tokens {
		if token.ID == victim && token.ExpirationDate == nil {
			n++
		}
	}
	return n
}

// addVictim adds the token that the calls delete or change.
func addVictim(tenant *sailpointtest.Tenant) {
	expiry := time.Now().AddDate(1, 0, 0)
	tenant.Add(sailpoint.PersonalAccessToken{ID: victim, Name: "old", ExpirationDate: &expiry})
}

var cutCalls = []cutCall{
	{"create", func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) (*sailpoint.CreatePersonalAccessTokenResponse, error) {
		return s.Create(ctx, newToken())
	}, named("deploy")},
	{"delete", func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) (*sailpoint.CreatePersonalAccessTokenResponse, error) {
		return nil, s.Delete(ctx, victim)
	}, func(tokens []sailpoint.PersonalAccessToken) int { return 2 - len(tokens) }},
	{"patch", func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) (*sailpoint.CreatePersonalAccessTokenResponse, error) {
		token, err := s.Patch(ctx, victim, sailpoint.NewPersonalAccessTokenPatch().ReplaceName("renamed"))
		if err == nil && token.Name != "renamed" {
			err = fmt.Errorf("not the current token: %+v", token)
		}
		return nil, err
	}, named("renamed")},
	{"bulk update", func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) (*sailpoint.CreatePersonalAccessTokenResponse, error) {
		tokens, err := s.BulkUpdate(ctx, []string{victim}, sailpoint.NewPersonalAccessTokenPatch().NeverExpire())
		if err == nil && len(tokens) != 1 {
			err = fmt.Errorf("not the one token: %+v", tokens)
		}
		return nil, err
	}, neverExpiring},
	{"list", func(ctx context.Context, s *sailpoint.PersonalAccessTokensService) (*sailpoint.CreatePersonalAccessTokenResponse, error) {
		tokens, err := s.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
		if err == nil && len(tokens) != 2 {
			err = fmt.Errorf("a part of the list, as if it were complete: %+v", tokens)
		}
		return nil, err
	}, nil},
}

// bearerOf returns a bearer of the tenant's own token.
func bearerOf(tenant *sailpointtest.Tenant, id string, secret sailpoint.Secret) (string, error) {
	client := http.Client{Transport: tenant}
	resp, err := client.PostForm(tenant.Config().BaseURL+"/oauth/token", map[string][]string{
		"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret.Reveal()},
	})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var issued struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &issued); err != nil || issued.AccessToken == "" {
		return "", fmt.Errorf("not a bearer: %s", body)
	}
	return issued.AccessToken, nil
}

// end is one of the three ways in which a call may end.
type end int

const (
	success end = iota
	notCarriedOut
	unknown
)

// endOf returns how a call ended.
func endOf(err error) end {
	switch {
	case err == nil:
		return success
	case errors.Is(err, sailpoint.ErrOutcomeUnknown):
		return unknown
	}
	return notCarriedOut
}

// checkNoSilentLoss returns an error if a call's result contradicts how often
// it was carried out.
func checkNoSilentLoss(tenant *sailpointtest.Tenant, got *sailpoint.CreatePersonalAccessTokenResponse, err error, committed int) error {
	tokens := tenant.Tokens()
	has := func(id string) bool {
		return slices.ContainsFunc(tokens, func(token sailpoint.PersonalAccessToken) bool { return token.ID == id })
	}
	var outcome *sailpoint.CreateOutcomeError
	switch ended := endOf(err); {
	case committed > 1:
		return fmt.Errorf("carried out %d times", committed)
	case ended == success && committed != 1:
		return errors.New("the call succeeded, but was not carried out")
	case ended == notCarriedOut && committed != 0:
		return fmt.Errorf("carried out, but the error does not say so: %w", err)
	case ended == success && got != nil:
		_, err := bearerOf(tenant, got.ID, got.Secret)
		return err
	case !errors.As(err, &outcome):
	case outcome.Created && committed != 1:
		return fmt.Errorf("the error says that the token was created, but it was not: %w", err)
	case outcome.ID != "" && !has(outcome.ID):
		return fmt.Errorf("the error has the id of another token: %w", err)
	}
	return nil
}

// through makes a call through a cutter, and checks that nothing was lost
// silently. It returns how the call ended, and how many bytes were passed on.
func (c *cutCall) through(t *testing.T, http2 bool, how cut, change ...func(*sailpoint.Config)) (ended end, request, response int) {
	t.Helper()
	tenant := sailpointtest.NewTenant()
	addVictim(tenant)
	bearer, err := bearerOf(tenant, tenant.Config().ClientID, tenant.Config().ClientSecret)
	require.NoError(t, err)

	server := httptest.NewUnstartedServer(tenant)
	server.Config.ErrorLog = silentLog
	transport := sailpoint.NewTransport()
	scheme := "http://"
	if http2 {
		certificate, roots := authority()
		server.EnableHTTP2 = true
		// This makes for fewer bytes to cut.
		server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, SessionTicketsDisabled: true, MinVersion: tls.VersionTLS13}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, CurvePreferences: []tls.CurveID{tls.X25519}, MinVersion: tls.VersionTLS13}
		scheme = "https://"
		server.StartTLS()
	} else {
		server.Start()
	}
	proxy := newCutter(t, server.Listener.Addr().String(), how)

	cfg := sailpoint.Config{BaseURL: scheme + proxy.listener.Addr().String(), HTTPClient: &http.Client{Transport: transport}, MaxRetries: -1}
	withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
		return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(bearer)}, nil
	})(&cfg)
	if c.name == "bulk update" {
		inV1(&cfg)
	}
	for _, f := range change {
		f(&cfg)
	}
	client, err := sailpoint.NewClient(cfg)
	require.NoError(t, err)
	got, err := c.call(t.Context(), client.PersonalAccessTokens)

	transport.CloseIdleConnections()
	server.Close() // waits for the requests in progress
	proxy.close()
	if c.committed == nil {
		if err != nil {
			_ = requireOneError(t, err)
			require.NotErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
		}
	} else {
		require.NoError(t, checkNoSilentLoss(tenant, got, err, c.committed(tenant.Tokens())), "%+v", how)
	}
	return endOf(err), proxy.request, proxy.response
}

// TestCuts cuts the connection of each operation at each byte of its request
// and response, or at a sample of them.
func TestCuts(t *testing.T) {
	t.Parallel()
	t.Run("every byte", func(t *testing.T) {
		for _, http2 := range []bool{false, true} {
			for _, c := range cutCalls {
				t.Run(fmt.Sprintf("%s/%s", map[bool]string{false: "HTTP1", true: "HTTP2 with TLS"}[http2], c.name), func(t *testing.T) {
					t.Parallel()
					ended, request, response := c.through(t, http2, cut{request: whole, response: whole})
					require.Equal(t, success, ended)

					// The lengths of signatures and HTTP/2 control frames vary
					// by a few bytes.
					const margin = 16
					first, step := sampletest.Choose(t, 97) // odd, so that both ways to end a connection are tried
					var ends [3]int
					cuts := 0
					try := func(how cut) {
						ended, _, _ := c.through(t, http2, how)
						ends[ended]++
						cuts++
					}
					for i, length := range []int{request, response} {
						for n := first; n < length+margin+step; n += step {
							how := cut{request: n, response: whole}
							if i == 1 {
								how = cut{request: whole, response: n}
							}
							how.reset = n%2 == 0
							try(how)
							if !http2 { // with the slow TLS handshake, each byte gets one of the two ways only
								how.reset = !how.reset
								try(how)
							}
						}
					}
					t.Logf("%d cuts of %d and %d bytes: %d successes, %d not carried out, %d unknown",
						cuts, request, response, ends[success], ends[notCarriedOut], ends[unknown])
					assert.Positive(t, ends[success])
					assert.Equal(t, c.committed != nil, ends[unknown] > 0)
					if c.committed == nil || http2 {
						assert.Positive(t, ends[notCarriedOut], "before the end of a handshake, no call was carried out")
					}
				})
			}
		}
	})
}

// TestCutsWithRetries shows that a retry recovers from one cut connection,
// wherever it is cut. A Create is retried after a cut early in the handshake
// only. A Patch is not retried after a successful status.
func TestCutsWithRetries(t *testing.T) {
	t.Parallel()
	for _, c := range cutCalls {
		_, request, response := c.through(t, true, cut{request: whole, response: whole})
		const samples = 8
		for i := range samples {
			for _, how := range []cut{{request: request * i / samples, response: whole}, {request: whole, response: response * i / samples}} {
				how.once, how.reset = true, i%2 == 0
				t.Run(fmt.Sprintf("%s/%+v", c.name, how), func(t *testing.T) {
					t.Parallel() // most of the time they wait for the backoff
					ended, _, _ := c.through(t, true, how, func(cfg *sailpoint.Config) { cfg.MaxRetries = 3 })
					if c.name == "list" || c.name == "delete" || i == 0 {
						require.Equal(t, success, ended)
					} else {
						require.NotEqual(t, notCarriedOut, ended)
					}
				})
			}
		}
	}
}

// TestSlowConnection shows that a slow attempt fails only when its time is
// over.
func TestSlowConnection(t *testing.T) {
	t.Parallel()
	slow := cut{request: whole, response: whole, pause: time.Millisecond}
	for _, http2 := range []bool{false, true} {
		for _, c := range cutCalls {
			t.Run(fmt.Sprintf("%s/HTTP2 %t", c.name, http2), func(t *testing.T) {
				t.Parallel()
				ended, _, _ := c.through(t, http2, slow)
				assert.Equal(t, success, ended)
				ended, _, _ = c.through(t, http2, slow, func(cfg *sailpoint.Config) { cfg.AttemptTimeout = 10 * time.Millisecond })
				assert.NotEqual(t, success, ended)
			})
		}
	}
}

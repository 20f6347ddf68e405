package sailpoint_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// The proxy requires authentication, and a private CA issued the certificate of
// the API.
func ExampleNewTransport() {
	baseURL, proxyHost, caPEM, cfg, closeAll := exampleNetwork("proxy-user", "proxy-password")
	defer closeAll()

	pool := x509.NewCertPool()     // or x509.SystemCertPool, to trust public CAs too
	pool.AppendCertsFromPEM(caPEM) // such as of os.ReadFile("/etc/ssl/company-ca.pem")
	transport := sailpoint.NewTransport()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	transport.Proxy = http.ProxyURL(&url.URL{
		Scheme: "http", Host: proxyHost, User: url.UserPassword("proxy-user", "proxy-password"),
	})
	defer transport.CloseIdleConnections()

	cfg.BaseURL = baseURL
	cfg.HTTPClient = &http.Client{Transport: transport}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	self, err := client.PersonalAccessTokens.Self(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(self.Name)
	// Output: tenant
}

// companyTransport adds a header to each request, and keeps the last list as
// the server sent it.
type companyTransport struct {
	next http.RoundTripper

	mu   sync.Mutex
	list *bytes.Buffer
}

func (c *companyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context()) // a RoundTripper must not change the request that it is given
	req.Header.Set("X-Company-Team", "identity")
	resp, err := c.next.RoundTrip(req)
	// The responses to other operations may contain a secret.
	if op, _ := sailpoint.OperationFromContext(req.Context()); err == nil && strings.HasPrefix(op.Name, http.MethodGet) {
		body := new(bytes.Buffer)
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(resp.Body, body), resp.Body}
		c.mu.Lock()
		c.list = body
		c.mu.Unlock()
	}
	return resp, err
}

// Custom headers, and the raw response of a call that succeeded.
func ExampleConfig_customHeaders() {
	tenant := sailpointtest.NewTenant()
	cfg := tenant.Config()

	transport := &companyTransport{next: cfg.HTTPClient.Transport} // otherwise sailpoint.NewTransport()
	cfg.HTTPClient = &http.Client{Transport: transport}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.PersonalAccessTokens.List(context.Background(), sailpoint.ListPersonalAccessTokensOptions{})
	if err != nil {
		log.Fatal(err)
	}
	var raw []map[string]any
	if err := json.Unmarshal(transport.list.Bytes(), &raw); err != nil {
		log.Fatal(err)
	}
	fmt.Println(raw[0]["name"])
	for _, req := range tenant.Requests() {
		fmt.Println(req.Path, req.Header.Get("X-Company-Team"))
	}
	// Output:
	// tenant
	// /oauth/token identity
	// /v2024/personal-access-tokens identity
}

// The token endpoint is on another host than the API.
func ExampleConfig_tokenURL() {
	tenant := sailpointtest.NewTenant()
	cfg := tenant.Config()
	cfg.HTTPClient = &http.Client{Transport: printsHosts{cfg.HTTPClient.Transport}}

	cfg.BaseURL = "https://acme.api.identitynow.com"
	cfg.TokenURL = "https://acme.login.sailpoint.com/oauth/token"
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.PersonalAccessTokens.Self(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// acme.login.sailpoint.com /oauth/token
	// acme.api.identitynow.com /v2024/personal-access-tokens
}

// A bearer from elsewhere, such as from the environment of a CI job.
func ExampleConfig_staticBearer() {
	tenant := sailpointtest.NewTenant()
	bearer := exampleBearer(tenant) // such as sailpoint.NewSecret(os.Getenv("SAIL_BEARER"))

	cfg := tenant.Config()
	cfg.ClientSecret = sailpoint.Secret{}
	cfg.TokenSource = func(_ context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
		if bearer.Equal(refused) {
			return sailpoint.AccessToken{}, errors.New("the bearer has expired: set SAIL_BEARER to a new one")
		}
		return sailpoint.AccessToken{Bearer: bearer}, nil
	}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	self, err := client.PersonalAccessTokens.Self(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(self.Name)

	tenant.ExpireAccessTokens()
	_, err = client.PersonalAccessTokens.Self(context.Background())
	fmt.Println(errors.Is(err, sailpoint.ErrUnauthorized), strings.Contains(err.Error(), "set SAIL_BEARER"))
	// Output:
	// tenant
	// true true
}

// loginSource returns the bearers of a user who has logged in, by the
// authorization code grant.
type loginSource struct {
	config *oauth2.Config
	mu     sync.Mutex
	token  *oauth2.Token // from config.Exchange
}

func (s *loginSource) AccessToken(ctx context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if refused.Equal(sailpoint.NewSecret(s.token.AccessToken)) {
		s.token.Expiry = time.Unix(1, 0) // so that oauth2 uses the refresh token
	}
	token, err := s.config.TokenSource(ctx, s.token).Token()
	var failure *oauth2.RetrieveError
	if errors.As(err, &failure) { // whose text has the whole response in it
		return sailpoint.AccessToken{}, fmt.Errorf("%s: log in again", failure.ErrorCode)
	}
	if err != nil {
		return sailpoint.AccessToken{}, err
	}
	s.token = token // it may have a new refresh token
	return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(token.AccessToken), Expiry: token.Expiry}, nil
}

// A client that acts for a user who has logged in with the authorization code
// grant.
func ExampleTokenSource() {
	tenant := sailpointtest.NewTenant()
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: exampleLogin{tenant}})

	config := &oauth2.Config{
		ClientID: "company-portal", ClientSecret: "portal-secret", RedirectURL: "https://portal.example/callback",
		Endpoint: oauth2.Endpoint{TokenURL: "https://acme.api.identitynow.com/oauth/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	token, err := config.Exchange(ctx, "the code of the callback")
	if err != nil {
		log.Fatal(err)
	}
	source := &loginSource{config: config, token: token}

	cfg := tenant.Config()
	cfg.ClientID, cfg.ClientSecret = "", sailpoint.Secret{}
	cfg.TokenSource = source.AccessToken
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		tokens, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(tokens))
		tenant.ExpireAccessTokens()
	}
	// Output:
	// grant_type authorization_code
	// 1
	// grant_type refresh_token
	// 1
}

// oauth2Source makes a client the source of the bearers of other programs and
// SDKs.
type oauth2Source struct{ client *sailpoint.Client }

func (s oauth2Source) Token() (*oauth2.Token, error) {
	token, err := s.client.AccessToken(context.Background(), sailpoint.Secret{})
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: token.Bearer.Reveal(), TokenType: "Bearer", Expiry: token.Expiry}, nil
}

// oneOrigin sends nothing to other hosts. oauth2.Transport would send the
// bearer to any, also after a redirect.
type oneOrigin struct {
	host string
	next http.RoundTripper
}

func (o oneOrigin) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || req.URL.Host != o.host {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, errors.New("not the tenant's host: the bearer stays here")
	}
	return o.next.RoundTrip(req)
}

// Other APIs of the platform, with a plain http.Client.
func ExampleClient_AccessToken() {
	tenant := sailpointtest.NewTenant()
	cfg := tenant.Config()
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	base, err := url.Parse(cfg.BaseURL)
	if err != nil {
		log.Fatal(err)
	}
	other := &http.Client{Timeout: time.Minute, Transport: oneOrigin{
		host: base.Host,
		next: &oauth2.Transport{Source: oauth2Source{client}, Base: cfg.HTTPClient.Transport},
	}}
	resp, err := other.Get(cfg.BaseURL + "/v2024/personal-access-tokens?owner-id=me") // or any other API
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)

	_, err = other.Get("https://elsewhere.example/")
	fmt.Println(err)
	// Output:
	// 200
	// Get "https://elsewhere.example/": not the tenant's host: the bearer stays here
}

// requestBudget is a Limiter that ends a job after a number of requests. To stay
// below the API's rate limit use rate.NewLimiter(10, 1) of golang.org/x/time/rate
// instead.
type requestBudget struct{ left atomic.Int64 }

var errBudgetSpent = errors.New("the job has sent all the requests that it may send")

func (b *requestBudget) Wait(ctx context.Context) error {
	if b.left.Add(-1) < 0 {
		return errBudgetSpent
	}
	return ctx.Err()
}

func ExampleLimiter() {
	budget := &requestBudget{}
	budget.left.Store(2)
	cfg := sailpointtest.NewTenant().Config()
	cfg.Limiter = budget // or rate.NewLimiter(10, 1)
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		_, err := client.PersonalAccessTokens.Self(context.Background())
		fmt.Println(errors.Is(err, errBudgetSpent))
	}
	// Output:
	// false
	// false
	// true
}

// Try the secret of a new token before anybody relies on it.
func ExampleClient_WithCredentials() {
	ctx := context.Background()
	client := exampleClient()
	created, err := client.PersonalAccessTokens.Create(ctx, sailpoint.CreatePersonalAccessTokenRequest{
		Name: "nightly-report", Scope: []string{"sp:my-personal-access-tokens:read"},
	})
	if err != nil {
		log.Fatal(err)
	}
	other, err := client.WithCredentials(created.ID, created.Secret)
	if err != nil {
		log.Fatal(err)
	}
	self, err := other.PersonalAccessTokens.Self(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(self.Name)
	// Output: nightly-report
}

// A record for each request, wait and new bearer. This handler leaves out what
// differs from run to run.
func ExampleConfig_logging() {
	tenant := sailpointtest.NewTenant()
	tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 503})
	cfg := tenant.Config()
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug, // Info leaves out the requests
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if slices.Contains([]string{"time", "duration", "expiry", "wait", "request_id", "token_id"}, a.Key) {
				return slog.Attr{}
			}
			return a
		},
	})
	cfg.Logger = slog.New(handler)
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.PersonalAccessTokens.Self(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// level=DEBUG msg="sailpoint: request" operation="POST /oauth/token" method=POST path=/oauth/token attempt=1 status=200
	// level=INFO msg="sailpoint: new bearer" reason="no bearer yet"
	// level=DEBUG msg="sailpoint: request" operation="GET /v2024/personal-access-tokens" method=GET path=/v2024/personal-access-tokens attempt=1 status=503 error="503 Service Unavailable"
	// level=INFO msg="sailpoint: wait" operation="GET /v2024/personal-access-tokens" attempt=2 reason="503 Service Unavailable"
	// level=DEBUG msg="sailpoint: request" operation="GET /v2024/personal-access-tokens" method=GET path=/v2024/personal-access-tokens attempt=2 status=200
}

// A RoundTripper that counts requests by operation, without ids.
func ExampleOperationFromContext() {
	cfg := sailpointtest.NewTenant().Config()
	cfg.HTTPClient = &http.Client{Transport: printsOperations{cfg.HTTPClient.Transport}}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	_ = client.PersonalAccessTokens.Delete(context.Background(), "0123456789abcdef0123456789abcdef")
	// Output:
	// POST /oauth/token 1
	// DELETE /v2024/personal-access-tokens/{id} 1
}

type printsOperations struct{ next http.RoundTripper }

func (p printsOperations) RoundTrip(req *http.Request) (*http.Response, error) {
	if op, ok := sailpoint.OperationFromContext(req.Context()); ok {
		fmt.Println(op.Name, op.Attempt)
	}
	return p.next.RoundTrip(req)
}

type printsHosts struct{ next http.RoundTripper }

func (p printsHosts) RoundTrip(req *http.Request) (*http.Response, error) {
	fmt.Println(req.URL.Host, req.URL.Path)
	return p.next.RoundTrip(req)
}

// exampleBearer is a bearer of the tenant.
func exampleBearer(tenant *sailpointtest.Tenant) sailpoint.Secret {
	client, err := sailpoint.NewClient(tenant.Config())
	if err != nil {
		log.Fatal(err)
	}
	token, err := client.AccessToken(context.Background(), sailpoint.Secret{})
	if err != nil {
		log.Fatal(err)
	}
	return token.Bearer
}

// exampleLogin is a token endpoint with the grants of a login.
type exampleLogin struct{ tenant *sailpointtest.Tenant }

func (l exampleLogin) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.ParseForm(); err != nil {
		return nil, err
	}
	fmt.Println("grant_type", req.PostForm.Get("grant_type"))
	recorder := httptest.NewRecorder()
	recorder.Header().Set("Content-Type", "application/json")
	err := json.NewEncoder(recorder).Encode(map[string]any{
		"access_token": exampleBearer(l.tenant).Reveal(), "token_type": "bearer", "expires_in": 43200, "refresh_token": "next",
	})
	return recorder.Result(), err
}

// exampleNetwork serves a tenant over TLS, and an HTTP proxy that requires
// authentication.
func exampleNetwork(user, password string) (baseURL, proxyHost string, caPEM []byte, cfg sailpoint.Config, closeAll func()) {
	tenant := sailpointtest.NewTenant()
	api := httptest.NewTLSServer(tenant)
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodConnect || req.Header.Get("Proxy-Authorization") != want {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		tunnel(w, req)
	}))
	caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})
	return api.URL, proxy.Listener.Addr().String(), caPEM, tenant.Config(), func() { proxy.Close(); api.Close() }
}

// tunnel connects a client of a proxy with the host that it asks for.
func tunnel(w http.ResponseWriter, req *http.Request) {
	server, err := new(net.Dialer).DialContext(req.Context(), "tcp", req.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer server.Close()
	w.WriteHeader(http.StatusOK)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	go func() {
		_, _ = io.Copy(server, buffered)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}

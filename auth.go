package sailpoint

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/sailpoint-go/sailpoint/internal/redact"
)

const (
	maxBearerBytes    = 16 << 10
	assumedLifetime   = 5 * time.Minute // of a bearer with no reported lifetime
	maxLifetime       = 24 * time.Hour  // the API's own maximum is 12 h
	renewalMargin     = time.Minute     // before expiry, but at most a quarter of the lifetime
	renewalRetryDelay = 5 * time.Second // between renewals while the old bearer is valid
	refusalLifetime   = 5 * time.Second // how long rejected credentials are not sent again
	abandonedWait     = 5 * time.Second // how long a new fetch waits for a cancelled one
)

// bearer is an access token and when to replace it.
type bearer struct {
	Secret
	authorization              Secret // the header's value, built once because a bearer has 1 to 2 KB
	requested, renewAt, expiry time.Time
	redactor                   func() *redact.Redactor
	clientID                   string // of its PAT, if the TokenSource returned it
	insteadOf                  Secret // the rejected bearer that its fetch replaced

	accepted atomic.Bool // the API has carried out a call with this bearer
}

// newBearer checks an access token from the token endpoint or a TokenSource.
// Its lifetime may have begun when it was requested.
func newBearer(secret Secret, requested, expiry time.Time) (*bearer, error) {
	value := secret.Reveal()
	switch {
	case value == "":
		return nil, errors.New("no access token")
	case len(value) > maxBearerBytes:
		return nil, fmt.Errorf("an access token of more than %d bytes", maxBearerBytes)
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("an access token with a character that can't stand in a header")
	}
	lifetime := min(expiry.Sub(requested), maxLifetime)
	if lifetime <= 0 {
		return nil, errors.New("an access token that has expired")
	}
	expiry = requested.Add(lifetime)
	return &bearer{
		Secret: secret, authorization: NewSecret("Bearer " + value), redactor: newRedactor(secret),
		requested: requested, renewAt: expiry.Add(-min(renewalMargin, lifetime/4)), expiry: expiry,
	}, nil
}

// bearerSource caches a client's bearer. All waiting calls share one fetch.
type bearerSource struct {
	fetch func(ctx context.Context, refused Secret) (*bearer, error)

	current atomic.Pointer[bearer] // nil if there is no bearer
	pause   pause                  // holds back fetches

	mu          sync.Mutex
	flight      *flight // the running fetch
	refused     Secret  // the bearer that the API rejected since the last fetch
	clientID    string  // of the last bearer that came with one
	nextAttempt time.Time
}

// flight is one fetch. When its last waiter gives up it is cancelled, so that
// it doesn't outlive its callers.
type flight struct {
	waiters int
	left    time.Time // when the last waiter gave up
	cancel  context.CancelFunc
	done    chan struct{}
	bearer  *bearer
	err     error
}

func (f *flight) abandoned() bool { return !f.left.IsZero() }

// cached returns the bearer unless it needs renewal.
func (s *bearerSource) cached() *bearer {
	if b := s.current.Load(); b != nil && time.Now().Before(b.renewAt) {
		return b
	}
	return nil
}

// usable returns the bearer unless it has expired.
func (s *bearerSource) usable() *bearer {
	if b := s.current.Load(); b != nil && time.Now().Before(b.expiry) {
		return b
	}
	return nil
}

// get returns a bearer. Each caller waits until its own ctx ends, even if
// another caller began the fetch. One caller renews a bearer that is about to
// expire, and the others use the old one meanwhile. If the renewal fails, the
// old one is used too.
func (s *bearerSource) get(ctx context.Context) (*bearer, error) {
	for {
		old, f, abandoned := s.join(ctx)
		switch {
		case f == nil:
			return old, nil
		case abandoned:
			if err := f.awaitEnd(ctx); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			s.leave(f)
			return nil, ended(ctx)
		}
		if f.err != nil && old != nil && time.Now().Before(old.expiry) {
			return old, nil
		}
		return f.bearer, f.err
	}
}

// getInsteadOf is get for a caller whose last bearer was rejected. A fetch that
// began before the rejection may return that bearer again, and is repeated
// once.
func (s *bearerSource) getInsteadOf(ctx context.Context, refused Secret) (*bearer, error) {
	b, err := s.get(ctx)
	if err != nil || refused.IsZero() || !b.Equal(refused) || b.insteadOf.Equal(refused) {
		return b, err
	}
	s.discard(b)
	return s.get(ctx)
}

// join returns the fetch to wait for and begins one if necessary. It returns no
// fetch if the caller should use the old bearer.
func (s *bearerSource) join(ctx context.Context) (old *bearer, f *flight, abandoned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flight; f != nil && f.abandoned() && time.Since(f.left) >= abandonedWait {
		s.flight = nil // its fetch ignores its context
	}
	now := time.Now()
	if old = s.usable(); old != nil &&
		(s.flight != nil || s.pause.left() > 0 || now.Before(old.renewAt) || now.Before(s.nextAttempt)) {
		return old, nil, false
	}
	if s.flight == nil {
		s.flight = s.start(ctx)
	}
	if abandoned = s.flight.abandoned(); !abandoned {
		s.flight.waiters++
	}
	return old, s.flight, abandoned
}

// awaitEnd waits for an abandoned fetch, so that only one runs at a time. After
// abandonedWait it returns, because the fetch may ignore its context.
func (f *flight) awaitEnd(ctx context.Context) error {
	timer := time.NewTimer(time.Until(f.left.Add(abandonedWait)))
	defer timer.Stop()
	select {
	case <-f.done:
	case <-timer.C:
	case <-ctx.Done():
		return ended(ctx)
	}
	return nil
}

// start begins a fetch, which keeps the values of ctx but not its deadline.
func (s *bearerSource) start(ctx context.Context) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{cancel: cancel, done: make(chan struct{})}
	refused := s.refused
	go func() {
		// fetch may panic, or call runtime.Goexit as a test's FailNow does,
		// instead of returning. A panic of a TokenSource or transport must not
		// end the program from a goroutine that the caller doesn't know. Its
		// value may hold a secret, so it isn't repeated.
		f.err = errors.New("the fetch of an access token panicked")
		defer s.land(f)
		defer func() { _ = recover() }()
		f.bearer, f.err = s.fetch(ctx, refused)
		if f.err == nil {
			f.bearer.insteadOf = refused
		}
	}()
	return f
}

// land ends a fetch and stores its bearer.
func (s *bearerSource) land(f *flight) {
	defer close(f.done) // last, so that the fetch has ended when a waiter returns
	s.mu.Lock()
	defer s.mu.Unlock()
	f.cancel()
	if s.flight != f {
		return // another fetch has replaced this one
	}
	s.flight = nil
	if f.err != nil {
		s.nextAttempt = time.Now().Add(renewalRetryDelay)
		return
	}
	s.refused = Secret{}
	s.clientID = cmp.Or(f.bearer.clientID, s.clientID)
	s.current.Store(f.bearer)
}

func (s *bearerSource) leave(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.left = time.Now()
		f.cancel()
	}
}

// drop removes b after a 401 and reports whether to retry with another bearer.
// The API would probably reject the next bearer too if it has never accepted b.
// The retry then needs pay to return true. Otherwise a later call replaces b,
// and only after renewalRetryDelay. If the API rejects every bearer, each call
// thus sends one request.
func (s *bearerSource) drop(b *bearer, pay func() bool) (retry bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.Load() != b {
		return true // another call has dropped it
	}
	retry = b.accepted.Load() || pay()
	if retry || time.Since(b.requested) >= renewalRetryDelay {
		s.forget(b.Secret)
	}
	return retry
}

// discard makes the next caller fetch another bearer than b.
func (s *bearerSource) discard(b *bearer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.Load() == b {
		s.forget(b.Secret)
	}
}

// refuseElsewhere drops the bearer if the API has rejected it in a request of
// another user of the bearer.
func (s *bearerSource) refuseElsewhere(refused Secret) {
	if refused.IsZero() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.usable(); b == nil || b.Equal(refused) {
		s.forget(refused)
	}
}

// forget drops the bearer and has the next fetch replace refused. Call it with
// s.mu held.
func (s *bearerSource) forget(refused Secret) {
	s.current.Store(nil)
	s.refused = refused
}

// lastClientID returns the id that came with a bearer, or "".
func (s *bearerSource) lastClientID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clientID
}

// askTokenSource returns a fetch that calls a Config.TokenSource.
func askTokenSource(source TokenSource) func(context.Context, Secret) (*bearer, error) {
	return func(ctx context.Context, refused Secret) (*bearer, error) {
		requested := time.Now()
		token, err := source(ctx, refused)
		if err != nil {
			return nil, fmt.Errorf("TokenSource: %w", redact.New(refused.Reveal()).Error(err))
		}
		if token.Expiry.IsZero() {
			token.Expiry = requested.Add(assumedLifetime)
		}
		b, err := newBearer(token.Bearer, requested, token.Expiry)
		if err != nil {
			return nil, fmt.Errorf("TokenSource returned %w", err)
		}
		b.clientID = token.ClientID
		return b, nil
	}
}

// refusal records that the token endpoint rejected a client's credentials.
type refusal struct {
	err   error
	until time.Time // the credentials are not sent again before
}

// fetchBearer gets a bearer for the client's credentials. It doesn't send
// rejected credentials again for refusalLifetime.
func (c *Client) fetchBearer(ctx context.Context, _ Secret) (*bearer, error) {
	if r := c.refusal.Load(); r != nil && time.Now().Before(r.until) {
		return nil, r.err
	}
	b, err := c.requestBearer(ctx)
	if errors.Is(err, ErrInvalidCredentials) {
		c.refusal.Store(&refusal{err, time.Now().Add(refusalLifetime)})
	}
	return b, err
}

// tokenOperation returns the request for a bearer, without its form.
func (c *Client) tokenOperation() operation {
	template, below := strings.CutPrefix(c.cfg.TokenURL, c.cfg.BaseURL+"/")
	if !below {
		_, template, _ = strings.Cut(c.cfg.TokenURL, "://")
		_, template, _ = strings.Cut(template, "/")
	}
	return operation{method: http.MethodPost, url: c.cfg.TokenURL, template: "/" + template, kind: kindFetch}
}

// requestBearer gets a bearer from the token endpoint. Package
// clientcredentials only writes the request of RFC 6749 section 4.4. An
// exchange sends it and checks the response.
func (c *Client) requestBearer(ctx context.Context) (*bearer, error) {
	exchange := &exchange{client: c}
	config := clientcredentials.Config{
		ClientID: c.cfg.ClientID, ClientSecret: c.cfg.ClientSecret.Reveal(),
		TokenURL: c.cfg.TokenURL, AuthStyle: oauth2.AuthStyleInParams,
	}
	_, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: exchange}))
	return exchange.bearer, err
}

// exchange is the [http.RoundTripper] of one request for a bearer. It sends the
// request as a call, with the retries and errors of all calls. It also checks
// the response, because clientcredentials accepts any lifetime and token type,
// and repeats the response in its errors. clientcredentials receives only the
// checked bearer.
type exchange struct {
	client *Client
	bearer *bearer
}

// RoundTrip implements [http.RoundTripper].
func (e *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	defer req.Body.Close()
	form, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	op := e.client.tokenOperation()
	op.contentType, op.body = req.Header.Get("Content-Type"), form
	var request *call
	request = e.client.call(req.Context(), op, func(body io.Reader) (err error) {
		// The lifetime begins at the earliest with this attempt.
		e.bearer, err = decodeBearer(body, request.attempt.started)
		return err
	})
	if err := request.do(); err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]string{"access_token": e.bearer.Reveal()})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body))}, err
}

// tokenResponse holds the members used of the token endpoint's response. Other
// members are ignored.
type tokenResponse struct {
	AccessToken uniqueValue `json:"access_token"`
	TokenType   uniqueValue `json:"token_type"`
	ExpiresIn   uniqueValue `json:"expires_in"`
	Error       uniqueValue `json:"error"`
}

// uniqueValue is the value of a member. The member may be repeated, but only
// with the same value.
type uniqueValue jsontext.Value

// UnmarshalJSON implements [json.Unmarshaler].
func (v *uniqueValue) UnmarshalJSON(value []byte) error {
	if *v != nil && !bytes.Equal(*v, value) {
		return errors.New("a repeated member")
	}
	*v = bytes.Clone(value)
	return nil
}

// text returns the string in v. It is empty for null and for a missing member.
func (v uniqueValue) text() (s string, ok bool) {
	if v == nil {
		return "", true
	}
	return s, json.Unmarshal(v, &s, tolerant) == nil
}

// decodeBearer decodes the token endpoint's response (RFC 6749 section 5.1).
func decodeBearer(body io.Reader, requested time.Time) (*bearer, error) {
	var response tokenResponse
	data, err := io.ReadAll(newBoundedReader(body))
	if err == nil {
		err = json.Unmarshal(data, &response, tolerant)
	}
	if err != nil {
		return nil, withoutValues(err)
	}
	value, isString := response.AccessToken.text()
	if !isString {
		return nil, errors.New("an access token that isn't a string")
	}
	if code, _ := response.Error.text(); value == "" && oauthCodes[code] {
		return nil, &oauthError{code}
	}
	if kind, ok := response.TokenType.text(); !ok || kind != "" && !strings.EqualFold(kind, "bearer") {
		return nil, errors.New("an access token of a type that isn't bearer")
	}
	lifetime := assumedLifetime
	if expiresIn := jsontext.Value(response.ExpiresIn); expiresIn != nil && expiresIn.Kind() != 'n' {
		seconds, ok := parseSeconds(expiresIn)
		if !ok || seconds <= 0 {
			return nil, errors.New("an access token whose expires_in is not a positive number of seconds")
		}
		lifetime = time.Duration(seconds) * time.Second
	}
	return newBearer(NewSecret(value), requested, requested.Add(lifetime))
}

// oauthError is an error object of RFC 6749 section 5.2 in a successful
// response. Its code is one of oauthCodes, so that it doesn't repeat the
// server's text.
type oauthError struct{ code string }

func (e *oauthError) Error() string { return "an error object instead of an access token" }

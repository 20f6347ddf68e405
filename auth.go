package sailpoint

import (
	"bytes"
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
	assumedLifetime   = 5 * time.Minute // of a bearer whose lifetime isn't told
	maxLifetime       = 24 * time.Hour  // the API's own maximum is 12 h
	renewalMargin     = time.Minute     // before the end of a bearer, or a quarter of its lifetime if that is less
	renewalRetryDelay = 5 * time.Second // after a renewal failed while the old bearer is still good
	refusalLifetime   = 5 * time.Second // for which a refusal is returned again instead of sending the secret again
	abandonedWait     = 5 * time.Second // for a cancelled fetch to end, before another begins beside it
)

// bearer is an access token and when to replace it.
type bearer struct {
	Secret
	authorization              Secret // the header with it, made once: a bearer is a kilobyte or two
	requested, renewAt, expiry time.Time
	redactor                   func() *redact.Redactor

	accepted atomic.Bool // the API has carried out a call with it
}

// newBearer checks what a token endpoint or a TokenSource returned. requested is when it was asked: the lifetime may
// have begun then.
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

// bearerSource keeps the bearer of a client. It is fetched once for all calls that wait for it.
type bearerSource struct {
	fetch func(ctx context.Context, refused Secret) (*bearer, error)

	current atomic.Pointer[bearer] // nil: none
	pause   pause                  // of the fetches

	mu          sync.Mutex
	flight      *flight // the fetch under way
	refused     Secret  // by the API, since the last fetch that succeeded
	nextAttempt time.Time
}

// flight is one fetch. It is cancelled when nobody waits for it any more, so that it outlives no caller.
type flight struct {
	waiters int
	left    time.Time // when the last waiter left
	cancel  context.CancelFunc
	done    chan struct{}
	bearer  *bearer
	err     error
}

func (f *flight) abandoned() bool { return !f.left.IsZero() }

// cached returns the bearer, if it needs no renewal.
func (s *bearerSource) cached() *bearer {
	if b := s.current.Load(); b != nil && time.Now().Before(b.renewAt) {
		return b
	}
	return nil
}

// usable returns the bearer, if it has not expired.
func (s *bearerSource) usable() *bearer {
	if b := s.current.Load(); b != nil && time.Now().Before(b.expiry) {
		return b
	}
	return nil
}

// get returns a bearer. Each caller waits until its own ctx ends, whoever began the fetch. One caller renews a bearer
// that is about to expire, and the others use the old one meanwhile. The old one is also used where the renewal fails.
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

// join returns the fetch to wait for, which it begins if necessary. There is none where the old bearer is to be used.
func (s *bearerSource) join(ctx context.Context) (old *bearer, f *flight, abandoned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flight; f != nil && f.abandoned() && time.Since(f.left) >= abandonedWait {
		s.flight = nil // it ignores its context
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

// awaitEnd waits for an abandoned fetch, so that one fetch runs at a time, but not for one that ignores its context.
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

// start begins a fetch with the values of ctx, but not its end.
func (s *bearerSource) start(ctx context.Context) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{cancel: cancel, done: make(chan struct{})}
	refused := s.refused
	go func() {
		// What stands for a fetch that doesn't return: a panic of a TokenSource or a transport, which would end the
		// program from a goroutine that the caller doesn't know, or runtime.Goexit, which a test's FailNow calls. The
		// panic's value isn't repeated: it may hold what it was about.
		f.err = errors.New("the fetch of an access token panicked")
		defer s.land(f)
		defer func() { _ = recover() }()
		f.bearer, f.err = s.fetch(ctx, refused)
	}()
	return f
}

// land ends a fetch, and keeps its bearer.
func (s *bearerSource) land(f *flight) {
	defer close(f.done) // last, so that a waiter finds nothing of the fetch still under way
	s.mu.Lock()
	defer s.mu.Unlock()
	f.cancel()
	if s.flight != f {
		return // another was begun beside it
	}
	s.flight = nil
	if f.err != nil {
		s.nextAttempt = time.Now().Add(renewalRetryDelay)
		return
	}
	s.refused = Secret{}
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

// refuse drops b after a 401, and reports whether to retry with another bearer. Without pay's consent it reports false
// for a bearer that the API has never accepted, because the next one would be refused too. Such a bearer is replaced by a
// later call, and only after a while, so that an API that refuses everything costs one request a call.
func (s *bearerSource) refuse(b *bearer, pay func() bool) (retry bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.Load() != b {
		return true // another call has dropped it
	}
	retry = b.accepted.Load() || pay()
	if retry || time.Since(b.requested) >= renewalRetryDelay {
		s.current.Store(nil)
		s.refused = b.Secret
	}
	return retry
}

// ended returns why ctx ended, in an error that matches its Err.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return errors.Join(err, cause)
}

// askTokenSource makes a Config.TokenSource a fetch.
func askTokenSource(source func(context.Context, Secret) (AccessToken, error)) func(context.Context, Secret) (*bearer, error) {
	return func(ctx context.Context, refused Secret) (*bearer, error) {
		requested := time.Now()
		token, err := source(ctx, refused)
		if err != nil {
			return nil, fmt.Errorf("TokenSource: %w", err)
		}
		if token.Expiry.IsZero() {
			token.Expiry = requested.Add(assumedLifetime)
		}
		b, err := newBearer(token.Bearer, requested, token.Expiry)
		if err != nil {
			return nil, fmt.Errorf("TokenSource returned %w", err)
		}
		return b, nil
	}
}

// refusal is the token endpoint's refusal of a client's credentials.
type refusal struct {
	err   error
	until time.Time // when the credentials may be sent again
}

// fetchBearer gets a bearer for the client's credentials. Refused credentials are not sent again for a while.
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

// tokenOperation returns the request of a bearer, without its form.
func (c *Client) tokenOperation() operation {
	template, below := strings.CutPrefix(c.cfg.TokenURL, c.cfg.BaseURL+"/")
	if !below {
		_, template, _ = strings.Cut(c.cfg.TokenURL, "://")
		_, template, _ = strings.Cut(template, "/")
	}
	return operation{method: http.MethodPost, url: c.cfg.TokenURL, template: "/" + template, column: fetch}
}

// requestBearer asks the token endpoint. clientcredentials writes the request of RFC 6749 section 4.4, and an exchange
// carries it out.
func (c *Client) requestBearer(ctx context.Context) (*bearer, error) {
	exchange := &exchange{client: c}
	config := clientcredentials.Config{
		ClientID: c.cfg.ClientID, ClientSecret: c.cfg.ClientSecret.Reveal(),
		TokenURL: c.cfg.TokenURL, AuthStyle: oauth2.AuthStyleInParams,
	}
	_, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: exchange}))
	return exchange.bearer, err
}

// exchange is the [http.RoundTripper] of one request for a bearer. It sends the request like any other of this package,
// and checks the response, because clientcredentials accepts any lifetime and token type and repeats the response in its
// errors. clientcredentials gets the checked bearer alone.
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
		// The lifetime may have begun when this attempt began, but not before.
		e.bearer, err = decodeBearer(body, request.attempt.started)
		return err
	})
	if err := request.do(); err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]string{"access_token": e.bearer.Reveal()})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body))}, err
}

// tokenResponse holds those members of the token endpoint's response that are used. Whatever else the response holds,
// and however odd it is, doesn't matter.
type tokenResponse struct {
	AccessToken uniqueValue `json:"access_token"`
	TokenType   uniqueValue `json:"token_type"`
	ExpiresIn   uniqueValue `json:"expires_in"`
	Error       uniqueValue `json:"error"`
}

// uniqueValue is the value of a member that may be repeated only with the same value.
type uniqueValue jsontext.Value

// UnmarshalJSON implements [json.Unmarshaler].
func (v *uniqueValue) UnmarshalJSON(value []byte) error {
	if *v != nil && !bytes.Equal(*v, value) {
		return errors.New("a repeated member")
	}
	*v = bytes.Clone(value)
	return nil
}

// text returns a string, which is empty for null and for a missing member.
func (v uniqueValue) text() (s string, ok bool) {
	if v == nil {
		return "", true
	}
	return s, json.Unmarshal(v, &s, lenient) == nil
}

// lenient accepts what can't matter: repeated names, and bytes that aren't UTF-8.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// decodeBearer reads the response of the token endpoint (RFC 6749 section 5.1).
func decodeBearer(body io.Reader, requested time.Time) (*bearer, error) {
	var response tokenResponse
	data, err := io.ReadAll(bounded(body, maxTokenBytes))
	if err == nil {
		err = json.Unmarshal(data, &response, lenient)
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
	if told := jsontext.Value(response.ExpiresIn); told != nil && told.Kind() != 'n' {
		seconds, ok := parseSeconds(told)
		if !ok || seconds <= 0 {
			return nil, errors.New("an access token whose expires_in is no number of seconds")
		}
		lifetime = time.Duration(seconds) * time.Second
	}
	return newBearer(NewSecret(value), requested, requested.Add(lifetime))
}

// oauthError is an error object of RFC 6749 section 5.2 in a successful response. Its code is one of oauthCodes, so that
// it repeats no text of the server.
type oauthError struct{ code string }

func (e *oauthError) Error() string { return "an error object instead of an access token" }

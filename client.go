package sailpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// callTimeout bounds a call whose context has no deadline.
const callTimeout = 2 * time.Minute

// Client calls one tenant's API with one PAT's rights. It is safe for concurrent use, needs no closing, and is made
// by [NewClient].
type Client struct {
	PersonalAccessTokens *PersonalAccessTokensService

	cfg         Config // complete
	userAgent   string
	bearers     *bearerSource
	pause       pause
	budget      budget
	clockOffset atomic.Int64            // of the server's clock, in nanoseconds
	redactor    func() *redact.Redactor // of the client secret
	timeout     *timeoutError           // AttemptTimeout
	refusal     atomic.Pointer[refusal] // of its credentials, the last one
}

// NewClient returns a client for cfg, or every problem of cfg at once, each wrapping ErrInvalidArgument. It reads no
// environment and sends nothing: credentials are first tried by the first call.
func NewClient(cfg Config) (*Client, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, userAgent: userAgent(), redactor: newRedactor(cfg.ClientSecret), timeout: &timeoutError{"no answer", cfg.AttemptTimeout}}
	if cfg.UserAgent != "" {
		c.userAgent = cfg.UserAgent + " " + c.userAgent
	}
	c.bearers = &bearerSource{fetch: c.fetchBearer}
	if cfg.TokenSource != nil {
		c.bearers.fetch = askTokenSource(cfg.TokenSource)
	}
	c.bearers.fetch = c.logFetches(c.bearers.fetch)
	c.PersonalAccessTokens = &PersonalAccessTokensService{client: c}
	return c, nil
}

// ClientID returns the id of the PAT that the client uses, or "" where a TokenSource doesn't tell it.
func (c *Client) ClientID() string {
	if c == nil {
		return ""
	}
	return c.cfg.ClientID
}

// APIVersion returns the version of the API that the client speaks.
func (c *Client) APIVersion() APIVersion {
	if c == nil {
		return ""
	}
	return c.cfg.APIVersion
}

// WithCredentials returns a client that works with another PAT of the same tenant: on the same transport, limiter and
// logger, but with a bearer of its own. It doesn't repeat a refusal of c's credentials.
func (c *Client) WithCredentials(clientID string, clientSecret Secret) (*Client, error) {
	if c == nil || c.PersonalAccessTokens == nil {
		return nil, invalidArgument("no client: make one with NewClient")
	}
	cfg := c.cfg
	cfg.ClientID, cfg.ClientSecret, cfg.TokenSource = clientID, clientSecret, nil
	return NewClient(cfg)
}

// serverTime returns t, taken from the local clock, by the server's.
func (c *Client) serverTime(t time.Time) time.Time {
	return t.Add(time.Duration(c.clockOffset.Load()))
}

// userAgent is "sailpoint-go/" and the version of this module in the running program.
var userAgent = sync.OnceValue(func() string {
	const path = "github.com/sailpoint-go/sailpoint"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range append(info.Deps, &info.Main) {
			if module.Path == path && module.Version != "" && module.Version != "(devel)" {
				return "sailpoint-go/" + module.Version
			}
		}
	}
	return "sailpoint-go/devel"
})

// operation is one call of the API, as pat.go states it.
type operation struct {
	method      string
	url         string
	template    string // the path without what differs between calls
	tokenID     string // of the token that it is about; "" if it is about none or several
	contentType string
	body        []byte
	kind        kind
}

func (op *operation) name() string { return op.method + " " + op.template }

// expects reports whether an answer with this status says that op was carried out.
func (op *operation) expects(status int) bool {
	switch op.kind {
	case kindDelete:
		return status/100 == 2
	case kindCreate:
		return status == http.StatusOK || status == http.StatusCreated
	}
	return status == http.StatusOK
}

// call is one operation under way: everything that its attempts share. It is the http.RoundTripper of its own
// http.Client, so that each attempt is known to be this call's.
type call struct {
	operation
	client  *Client
	decode  func(io.Reader) error // reads the body of an answer of success
	streams bool                  // leave the body of the answer open
	http    http.Client

	ctx      context.Context // the caller's
	deadline time.Time       // ctx's, or callTimeout from the start

	bearer    *bearer
	earlier   []*bearer // of attempts before
	attempt   *attempt
	failure   *Error // the last attempt's
	attempts  int
	retries   int // what counts against MaxRetries
	paid      int // the part of it that the budget paid for
	renewed   bool
	repeated  bool
	certainty certainty
	wait      time.Duration // before the next attempt
}

// call returns op ready to be done, with decode to read the answer within the attempt.
func (c *Client) call(ctx context.Context, op operation, decode func(io.Reader) error) *call {
	call := &call{operation: op, client: c, decode: decode, ctx: ctx, http: *c.cfg.HTTPClient}
	call.http.Transport = call
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(callTimeout)
	}
	call.deadline = deadline
	return call
}

// do sends the request until it succeeds or the matrix says that it failed.
func (c *call) do() error {
	err := c.prepare(nil)
	if err == nil {
		err = c.send()
	}
	if err == nil && c.streams {
		return nil
	}
	c.close()
	if err != nil {
		return c.fail(err)
	}
	return nil
}

func (c *call) send() error {
	var body any
	if c.body != nil {
		body = c.body
	}
	req, err := retryablehttp.NewRequestWithContext(c.ctx, c.method, c.url, body)
	if err != nil {
		return err
	}
	retrying := retryablehttp.Client{
		HTTPClient:   &c.http,
		RetryMax:     math.MaxInt, // check counts
		PrepareRetry: c.prepare,
		CheckRetry:   c.check,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return c.wait },
		ErrorHandler: func(_ *http.Response, err error, _ int) (*http.Response, error) { return nil, err },
	}
	_, err = retrying.Do(req) //nolint:bodyclose // check reads the body and close closes it
	return err
}

// prepare gets what an attempt needs before it may leave: the end of a pause, the limiter's consent, a bearer.
func (c *call) prepare(*http.Request) error {
	c.attempt = nil
	if err := c.ctx.Err(); err != nil {
		return err
	}
	limiter, bearers := c.client.cfg.Limiter, c.client.bearers
	if c.kind == kindFetch && bearers.pause.left() == 0 {
		return nil
	}
	if b := bearers.cached(); b != nil && limiter == nil && c.client.pause.left() == 0 && c.kind != kindFetch {
		c.use(b)
		return nil
	}

	ctx, cancel := c.bounded()
	defer cancel()
	if c.kind == kindFetch {
		return c.waitOut(ctx, &bearers.pause)
	}
	if err := c.waitOut(ctx, &c.client.pause); err != nil {
		return err
	}
	if limiter != nil {
		if err := limiter.Wait(ctx); err != nil {
			return fmt.Errorf("limiter: %w", err)
		}
	}
	bearer, err := c.getBearer(ctx)
	if err != nil {
		return err
	}
	c.use(bearer)
	return c.waitOut(ctx, &c.client.pause) // another may have begun meanwhile
}

// bounded returns the caller's context with the end of the call, if it has none of its own.
func (c *call) bounded() (context.Context, context.CancelFunc) {
	if _, ok := c.ctx.Deadline(); ok {
		return c.ctx, func() {}
	}
	return context.WithDeadlineCause(c.ctx, c.deadline, errCallTimeout)
}

// getBearer returns the bearer for the next attempt.
func (c *call) getBearer(ctx context.Context) (*bearer, error) {
	bearers := c.client.bearers
	if left := bearers.pause.left(); left > 0 && bearers.usable() == nil && !c.mayWait(left, left) {
		op := c.client.tokenOperation()
		return nil, bearers.pause.heldBack(&Error{Op: op.name()})
	}
	bearer, err := bearers.get(ctx)
	if err == nil && c.renewed && bearer.Equal(c.bearer.Secret) {
		return nil, c.failure // the 401: with the same bearer the response would be the same
	}
	return bearer, err
}

// waitOut waits until nothing is held back by p any more.
func (c *call) waitOut(ctx context.Context, p *pause) error {
	for left := p.left(); left > 0; left = p.left() {
		wait := left + jitter(spread)
		if !c.mayWait(left, wait) {
			return p.heldBack(c.lastFailure())
		}
		c.logWait(wait, p.heldBack(&Error{}).reason(), "earlier call")
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}

// mayWait reports whether a pause with so much left is short enough, and the wait for its end ends before the call has to.
func (c *call) mayWait(left, wait time.Duration) bool {
	return left-spread <= c.client.cfg.MaxRetryWait && c.fits(wait)
}

// RoundTrip sends one attempt.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	a := c.begin(req.Context())
	c.attempt = a
	c.attempts++
	req = c.outgoing(req)

	transport := c.client.cfg.HTTPClient.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	_, isHTTPTransport := transport.(*http.Transport)
	a.ownTransport = !isHTTPTransport
	resp, err := transport.RoundTrip(req)
	c.attempts += a.replays()
	c.retries += a.replays()
	if err == nil && resp == nil {
		err = errNoResponse
	}
	if resp != nil && resp.Body == nil {
		resp.Body = http.NoBody
	}
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close()
		}
		a.mayHaveBeenSent = a.sent()
		a.end()
		return nil, withoutServerBytes(err, a.ownTransport)
	}
	if resp.StatusCode/100 == 3 {
		if to, err := req.URL.Parse(resp.Header.Get("Location")); err == nil {
			a.redirect = to.Host
		}
		resp.Header.Del("Location") // without it http.Client follows no redirect, and needs to understand none
	}
	a.body, resp.Body = resp.Body, a
	return resp, nil
}

// errNoResponse is a transport that breaks the contract of http.RoundTripper.
var errNoResponse = errors.New("the transport returned neither an answer nor an error")

// outgoing returns req as the transport gets it.
func (c *call) outgoing(req *http.Request) *http.Request {
	req = req.WithContext(httptrace.WithClientTrace(c.attempt.ctx, c.attempt.trace()))
	req.GetBody = nil // net/http would send the body again by itself, also where the API may have carried the request out
	req.Cancel = nil  //nolint:staticcheck // http.Client sets it beside the context, which alone tells when it ended
	// What follows the response's end on the same connection would be printed by net/http, or be read as the response to
	// the next request: here it may be a secret.
	req.Close = c.kind == kindCreate || c.kind == kindFetch
	if c.attempts > 1 {
		req.Header = req.Header.Clone() // the transport may still read the last attempt's
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.client.userAgent)
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	if c.bearer != nil {
		req.Header.Set("Authorization", c.bearer.authorization.Reveal())
	}
	return req
}

// check is told how an attempt ended, and reports whether to send again.
func (c *call) check(_ context.Context, resp *http.Response, err error) (bool, error) {
	event, failure := c.examine(resp, err)
	c.log(resp, failure)
	row := &matrix[event]
	verdict := row.verdicts[c.kind]
	if failure == nil || verdict == gone && c.certainty != notCarriedOut {
		c.client.budget.refund(c.paid)
		c.accepted()
		return false, nil
	}
	c.failure = failure
	c.certainty = max(c.certainty, row.certainty)
	if !c.repeats(verdict, event) {
		return false, failure
	}
	if c.wait > 0 { // a new bearer has a record of its own
		from := ""
		if failure.RetryAfter > 0 {
			from = "response"
		}
		c.logWait(c.wait, failure.reason(), from)
	}
	return true, nil
}

// examine reads an answer and returns what is wrong with it, or with not getting one; nil: nothing.
func (c *call) examine(resp *http.Response, err error) (event, *Error) {
	if err != nil {
		failure := c.lastFailure()
		failure.Err = c.cause(err)
		ended := c.ctx.Err()
		failure.noReply = ended == nil || !errors.Is(failure.Err, ended)
		sent := 0
		if c.attempt != nil {
			sent = c.attempt.mayHaveBeenSent
		}
		return transportEvent(err, sent), failure
	}

	if c.expects(resp.StatusCode) {
		return c.readSuccess(resp)
	}
	return c.readFailure(resp)
}

// readSuccess decodes a successful response.
func (c *call) readSuccess(resp *http.Response) (event, *Error) {
	err := c.decode(resp.Body)
	if err == nil && c.streams {
		c.attempt.stream(c.client.cfg.AttemptTimeout)
	} else {
		_ = resp.Body.Close()
	}
	if err == nil {
		if c.kind != kindDelete { // whose response has no body that could show whose it is
			c.readClock(resp)
		}
		return 0, nil
	}
	event, failure := c.damage(c.answered(resp), err)
	if event == incomplete {
		c.readClock(resp)
	}
	return event, failure
}

// readFailure returns what a response that is not successful says.
func (c *call) readFailure(resp *http.Response) (event, *Error) {
	failure := c.answered(resp)
	if resp.StatusCode < http.StatusMultipleChoices {
		_ = resp.Body.Close() // unread: it may hold a secret
		failure.invalid = true
		failure.Err = errors.New("an answer with an unexpected status")
		return untrusted, failure
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	_ = resp.Body.Close()
	failure.readProblem(body, c.redactor())
	wait, readable := retryAfter(resp.Header, time.Now())
	failure.RetryAfter, failure.retryAfterUnreadable = wait, !readable
	if failure.own {
		c.readClock(resp)
	}
	if c.kind == kindFetch {
		failure.limitToOAuth()
	}
	if resp.StatusCode/100 == 3 {
		failure.Err = c.redirected()
	}
	return statusEvent(resp.StatusCode, failure.own), failure
}

// maxClockOffset is the largest difference from the local clock that a Date header is believed. A clock that is wrong
// by more would fail TLS sooner or later, and StartedAt a day late would hide the token that it helps to find.
const maxClockOffset = 24 * time.Hour

// readClock sets the server's clock from a response that the API itself sent.
func (c *call) readClock(resp *http.Response) {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil || !strings.HasPrefix(c.url, c.client.cfg.BaseURL+"/") { // a TokenURL elsewhere has another clock
		return
	}
	if offset := date.Sub(time.Now().Truncate(time.Second)); offset.Abs() < maxClockOffset {
		c.client.clockOffset.Store(int64(offset))
	}
}

// answered returns the start of what is wrong with an answer.
func (c *call) answered(resp *http.Response) *Error {
	return &Error{StatusCode: resp.StatusCode, RequestID: c.requestID(resp)}
}

// requestID returns the gateway's id of the request, or "" for the token endpoint, which no text is shown of.
func (c *call) requestID(resp *http.Response) string {
	if c.kind == kindFetch {
		return ""
	}
	return c.redactor().Text(resp.Header.Get("SLPT-Request-ID"))
}

// redirected returns the error of a 3xx response. For the token endpoint it doesn't name the host.
func (c *call) redirected() error {
	if c.kind == kindFetch {
		return errors.New("a redirect was not followed")
	}
	return fmt.Errorf("a redirect to the host %.200q was not followed", c.redactor().Text(c.attempt.redirect))
}

// damage fills failure with what is wrong with an answer of success that was read up to err.
func (c *call) damage(failure *Error, err error) (event, *Error) {
	failure.Err = c.cause(err)
	var object *oauthError
	if errors.As(err, &object) {
		failure.DetailCode = object.code
	}
	if c.kind == kindFetch {
		failure.limitToOAuth()
	}
	if failure.badCredentials {
		return rejected, failure
	}
	failure.invalid = true
	return bodyEvent(err, c.attempt.readErr != nil), failure
}

// repeats reports whether the call is to be sent again, and sets how long to wait before.
func (c *call) repeats(verdict verdict, event event) bool {
	switch verdict {
	case renew:
		if c.renewed || !c.client.bearers.drop(c.bearer, c.pay) {
			return false
		}
		c.renewed, c.wait = true, 0
		return true
	case once:
		if c.repeated {
			return false
		}
		c.repeated = true
	case retry:
	default:
		return false
	}

	c.wait = backoff(c.retries)
	asked := c.askedWait()
	if asked > 0 {
		c.wait = max(asked, asked+jitter(spread)) // the sum may overflow
	}
	if p := c.pausedBy(event, asked); p != nil {
		p.extend(time.Now().Add(min(c.wait, maxPause)), c.failure.StatusCode)
	}
	if asked > c.client.cfg.MaxRetryWait {
		return false
	}
	if err := c.ctx.Err(); err != nil {
		c.failure.Err = errors.Join(err, c.failure.Err)
		c.failure.noReply = false
		return false
	}
	if c.retries >= c.client.cfg.MaxRetries || !c.fits(c.wait) {
		return false
	}
	if event != rateLimited && !c.pay() {
		return false
	}
	c.retries++
	return true
}

// askedWait returns how long the last response asked to wait, or the stand-in for what can't be read.
func (c *call) askedWait() time.Duration {
	if c.failure.retryAfterUnreadable {
		return min(unreadableWait, c.client.cfg.MaxRetryWait)
	}
	return c.failure.RetryAfter
}

// pay reports whether the client's budget allows one more retry, and takes it from there.
func (c *call) pay() bool {
	if !c.client.budget.take() {
		return false
	}
	c.paid++
	return true
}

// accepted notes that the API has accepted the call's bearer.
func (c *call) accepted() {
	if c.bearer != nil && !c.bearer.accepted.Load() {
		c.bearer.accepted.Store(true)
	}
}

// pausedBy returns the pause that a response begins, or nil. The gateway of the API counts all calls of a client, and
// the token endpoint, whose 503 counts if it asks to wait, all fetches.
func (c *call) pausedBy(event event, asked time.Duration) *pause {
	switch {
	case c.kind == kindFetch && (event == rateLimited || asked > 0 && event == serverFailed && c.failure.StatusCode == http.StatusServiceUnavailable):
		return &c.client.bearers.pause
	case c.kind != kindFetch && event == rateLimited:
		return &c.client.pause
	}
	return nil
}

// fits reports whether a wait ends before the call has to.
func (c *call) fits(wait time.Duration) bool { return wait < time.Until(c.deadline) }

// lastFailure returns a copy of the last attempt's failure, for one without an answer of its own: what the last answer
// said still holds.
func (c *call) lastFailure() *Error {
	if c.failure == nil {
		return &Error{}
	}
	failure := *c.failure
	failure.noReply = false
	return &failure
}

// fail returns the error of a call that ended in err: one *Error, of this call's own.
func (c *call) fail(err error) error {
	var failure *Error
	if errors.As(err, &failure) {
		own := *failure // it may be shared by the calls that waited for one bearer
		failure = &own
	} else { // the context ended, or the limiter refused, perhaps while a failure was to be tried again
		failure = c.lastFailure()
		failure.Err = errors.Join(c.redactor().Error(err), failure.Err)
	}
	if failure.Op == "" {
		failure.Op = c.name()
		failure.TokenID = c.tokenID
		failure.Attempts = c.attempts
	}
	failure.unknown = c.kind.changes() && c.certainty != notCarriedOut
	return failure
}

// cutShort returns the error of an answer that was read in part, up to err.
func (c *call) cutShort(err error) error {
	_, failure := c.damage(&Error{StatusCode: http.StatusOK}, err)
	return c.fail(failure)
}

// cause returns err as an Error keeps it: without the URL, saying which time limit it was, and nothing secret.
func (c *call) cause(err error) error {
	for wrapper := (*url.Error)(nil); errors.As(err, &wrapper) && wrapper.Err != nil; {
		err = wrapper.Err
	}
	switch ended := c.ctx.Err(); {
	case ended != nil && !errors.Is(err, ended):
		err = errors.Join(ended, err)
	case c.attempt != nil && c.attempt.limitReached() != nil:
		err = c.attempt.limitReached()
	}
	return c.redactor().Error(err)
}

// use makes b the bearer of the next attempt.
func (c *call) use(b *bearer) {
	if c.bearer != nil && c.bearer != b {
		c.earlier = append(c.earlier, c.bearer)
	}
	c.bearer = b
}

// redactor returns what replaces the secrets that this call sent: a server, or a proxy before it, may echo them.
func (c *call) redactor() *redact.Redactor {
	redactors := []*redact.Redactor{c.client.redactor()}
	for _, b := range c.earlier {
		redactors = append(redactors, b.redactor())
	}
	if c.bearer != nil {
		redactors = append(redactors, c.bearer.redactor())
	}
	return redact.Join(redactors...)
}

// log writes the record of an attempt.
func (c *call) log(resp *http.Response, failure *Error) {
	if c.attempt == nil || !c.client.logs(c.ctx, slog.LevelDebug) {
		return
	}
	attrs := append(c.logAttrs(8), slog.String("method", c.method), slog.String("path", c.template),
		slog.Int("attempt", c.attempts), slog.Duration("duration", time.Since(c.attempt.started)))
	if resp != nil {
		attrs = append(attrs, slog.Int("status", resp.StatusCode), slog.String("request_id", redact.Printable(c.requestID(resp))))
		if strings.EqualFold(resp.Header.Get("X-Deprecated"), "true") {
			attrs = append(attrs, slog.Bool("deprecated", true))
		}
	}
	if failure != nil {
		attrs = append(attrs, slog.String("error", failure.reason()))
	}
	c.client.record(c.ctx, slog.LevelDebug, "sailpoint: request", attrs...)
}

// logWait writes the record of a wait before the next attempt. from says whose Retry-After it is; "": nobody's.
func (c *call) logWait(wait time.Duration, reason, from string) {
	if !c.client.logs(c.ctx, slog.LevelInfo) {
		return
	}
	attrs := append(c.logAttrs(4), slog.Int("attempt", c.attempts+1), slog.Duration("wait", wait), slog.String("reason", reason))
	if from != "" {
		attrs = append(attrs, slog.String("retry_after_from", from))
	}
	c.client.record(c.ctx, slog.LevelInfo, "sailpoint: wait", attrs...)
}

// logAttrs returns what every record of the call begins with, with room for so many more.
func (c *call) logAttrs(more int) []slog.Attr {
	attrs := append(make([]slog.Attr, 0, more+2), slog.String("operation", c.name()))
	if c.tokenID != "" {
		attrs = append(attrs, slog.String("token_id", c.tokenID))
	}
	return attrs
}

// logFetches returns fetch with a record of each bearer that it got or failed to get.
func (c *Client) logFetches(fetch func(context.Context, Secret) (*bearer, error)) func(context.Context, Secret) (*bearer, error) {
	return func(ctx context.Context, refused Secret) (*bearer, error) {
		reason := "the client has none"
		switch {
		case !refused.IsZero():
			reason = "the API refused the last one"
		case c.bearers.current.Load() != nil:
			reason = "the last one expires"
		}
		b, err := fetch(ctx, refused)
		switch {
		case err == nil:
			c.record(ctx, slog.LevelInfo, "sailpoint: new bearer", slog.String("reason", reason), slog.Time("expiry", b.expiry))
		case ctx.Err() == nil: // else nobody waits for it any more
			var failure *Error
			if errors.As(err, &failure) {
				err = failure // without net/http's text, which has the URL
			}
			secrets := redact.Join(c.redactor(), redact.New(refused.Reveal())) // which a TokenSource was given
			text := redact.Printable(secrets.Text(err.Error()))
			c.record(ctx, slog.LevelWarn, "sailpoint: no new bearer", slog.String("reason", reason), slog.String("error", text))
		}
		return b, err
	}
}

// logs reports whether records of this level are wanted.
func (c *Client) logs(ctx context.Context, level slog.Level) (wanted bool) {
	defer func() { _ = recover() }() // as in record
	return c.cfg.Logger != nil && c.cfg.Logger.Enabled(ctx, level)
}

// record writes a record. A handler that panics must not cost the caller the secret of a token that was just created.
func (c *Client) record(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	defer func() { _ = recover() }()
	if c.cfg.Logger != nil {
		c.cfg.Logger.LogAttrs(ctx, level, message, attrs...)
	}
}

// close ends the last attempt.
func (c *call) close() {
	if c.attempt != nil {
		_ = c.attempt.Close()
	}
}

// attempt is one request under way, and the body of its answer.
type attempt struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	started time.Time
	timer   *time.Timer // cancels ctx with limit; nil: no limit
	limit   atomic.Pointer[timeoutError]

	// A streamed body has limits for the time inside its reads: its reader may take as long as it likes between them.
	streaming, ending bool
	silence, trickle  *timeoutError // of one read, and of those that got the last minTrickle bytes; nil: no limit
	waited            time.Duration // in reads, for received
	received          int

	// What the transport told by httptrace. One that tells nothing proves nothing.
	hooks           httptrace.ClientTrace
	connecting      atomic.Bool
	connected       atomic.Bool
	headersWritten  atomic.Int32
	mayHaveBeenSent int // how often, as told when the transport returned its error

	ownTransport bool // not net/http's

	redirect string // the host that an answer points to
	body     io.ReadCloser
	readErr  error // that ended the reading of body
}

// begin starts an attempt and its time limit.
func (c *call) begin(ctx context.Context) *attempt {
	a := &attempt{started: time.Now()}
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	limit := c.client.cfg.AttemptTimeout
	if _, bounded := c.ctx.Deadline(); !bounded {
		if left := time.Until(c.deadline); limit < 0 || left < limit {
			a.within(left, errCallTimeout)
			return a
		}
	}
	if limit >= 0 {
		a.within(limit, c.client.timeout)
	}
	return a
}

// How often a request without a body may be sent again within an attempt.
const (
	maxReplays = 1 // by net/http: its repair of a connection that the server had closed

	// A transport that isn't net/http's may send requests of its own with the attempt's context: retries, or a fetch of
	// what it signs with. They look the same.
	maxOwnReplays = 10
)

// errReplays is a request that net/http would send again and again.
var errReplays = errors.New("net/http sent the request again, and the connection failed each time")

// trace returns the hooks by which the transport tells what it does. They may be called by other goroutines.
func (a *attempt) trace() *httptrace.ClientTrace {
	a.hooks = httptrace.ClientTrace{
		GetConn: func(string) {
			a.connecting.Store(true)
			if written := a.headersWritten.Load(); written > maxOwnReplays || written > maxReplays && !a.ownTransport {
				a.cancel(errReplays)
			}
		},
		GotConn:      func(httptrace.GotConnInfo) { a.connected.Store(true) },
		WroteHeaders: func() { a.headersWritten.Add(1) },
	}
	return &a.hooks
}

// replays returns how often the transport sent the request again by itself.
func (a *attempt) replays() int {
	if a.ownTransport {
		return 0 // the header may be that of another request
	}
	return max(int(a.headersWritten.Load())-1, 0)
}

// sent returns how often the request may have been sent. It is 0 where the transport proves that no header left.
func (a *attempt) sent() int {
	switch written := int(a.headersWritten.Load()); {
	case written > 0:
		return written
	case !a.connecting.Load():
		return 1
	case a.connected.Load() && a.ctx.Err() != nil: // HTTP/2 doesn't wait for the end of a header that is being written
		return 1
	}
	return 0
}

// limitReached returns the limit of this package that ended the attempt, or nil.
func (a *attempt) limitReached() error {
	var timeout *timeoutError
	switch cause := context.Cause(a.ctx); {
	case errors.As(cause, &timeout):
		return timeout
	case errors.Is(cause, errReplays):
		return errReplays
	}
	return nil
}

// within replaces the time limit.
func (a *attempt) within(left time.Duration, limit *timeoutError) {
	a.limit.Store(limit)
	if a.timer != nil {
		a.timer.Reset(left)
		return
	}
	a.timer = time.AfterFunc(left, func() { a.cancel(a.limit.Load()) })
}

// The limits of a streamed body.
const (
	minTrickle      = 1 << 10         // bytes that have to arrive
	trickleTimeouts = 10              // while reads wait for so many times AttemptTimeout
	endTimeout      = 5 * time.Second // behind the last token, where only the end is missing
)

// stream replaces the time limit of the whole body by those of its reads.
func (a *attempt) stream(timeout time.Duration) {
	a.streaming = true
	if a.timer != nil {
		a.timer.Stop()
	}
	if timeout > 0 {
		most := trickleTimeouts * min(timeout, math.MaxInt64/trickleTimeouts)
		a.silence = &timeoutError{"no answer", timeout}
		a.trickle = &timeoutError{"less than 1 KiB of the answer", most}
	}
}

// expectEnd gives a streamed body a short time to end.
func (a *attempt) expectEnd() {
	if a.streaming {
		a.ending = true
		a.within(endTimeout, &timeoutError{"no end of the answer", endTimeout})
	}
}

// Read implements io.Reader for the body of the answer.
func (a *attempt) Read(p []byte) (int, error) {
	if a.ending || a.silence == nil {
		return a.read(p)
	}
	if left := a.trickle.limit - a.waited; left < a.silence.limit {
		a.within(left, a.trickle)
	} else {
		a.within(a.silence.limit, a.silence)
	}
	started := time.Now()
	n, err := a.read(p)
	a.timer.Stop()
	a.waited += time.Since(started)
	if a.received += n; a.received >= minTrickle {
		a.waited, a.received = 0, 0
	}
	return n, err
}

func (a *attempt) read(p []byte) (int, error) {
	n, err := a.body.Read(p)
	if err != nil && err != io.EOF {
		a.readErr = withoutServerBytes(err, a.ownTransport)
		return n, a.readErr
	}
	return n, err
}

// Close implements io.Closer for the body of the answer.
func (a *attempt) Close() error {
	if a.body != nil {
		_ = a.body.Close()
	}
	a.end()
	return nil
}

func (a *attempt) end() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.cancel(nil)
}

// timeoutError is a time limit of this package, not of the caller's context, and what is missing at its end.
type timeoutError struct {
	missing string
	limit   time.Duration
}

func (e *timeoutError) Error() string { return fmt.Sprintf("%s within %s", e.missing, e.limit) }

var errCallTimeout = &timeoutError{"no answer to a call without a deadline", callTimeout}

// Is matches context.DeadlineExceeded, as the time limits of net/http do.
func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// Timeout implements net.Error's way to tell.
func (e *timeoutError) Timeout() bool { return true }

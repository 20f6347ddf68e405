package sailpoint

import (
	"cmp"
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

// Client calls the API of one tenant with the rights of one PAT. Make one with
// [NewClient]. It is safe for concurrent use and doesn't have to be closed.
type Client struct {
	PersonalAccessTokens *PersonalAccessTokensService

	cfg         Config // complete
	userAgent   string
	bearers     *bearerSource
	pause       pause
	budget      budget
	clockOffset atomic.Int64            // server time minus local time, in nanoseconds
	redactor    func() *redact.Redactor // of the client secret
	timeout     *timeoutError           // AttemptTimeout
	refusal     atomic.Pointer[refusal] // the last one
}

// NewClient returns a client for cfg. If cfg is invalid, the error lists all
// its problems and matches [ErrInvalidArgument]. NewClient sends nothing, so
// wrong credentials are an error only of the first call. It doesn't read the
// environment. [LoadConfig] does that.
func NewClient(cfg Config) (*Client, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, userAgent: userAgent(), redactor: newRedactor(cfg.ClientSecret), timeout: &timeoutError{"no response", cfg.AttemptTimeout}}
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

// APIVersion returns the version of the API that the client calls.
func (c *Client) APIVersion() APIVersion {
	if c == nil {
		return ""
	}
	return c.cfg.APIVersion
}

// WithCredentials returns a client for another PAT of the same tenant, for
// example to try the secret of a token that was just created. The new client
// has the configuration of c, with these credentials instead of c's, and
// without its TokenSource. Both use the same transport, limiter and logger.
// Each gets its own bearer and does its own waits and retries.
func (c *Client) WithCredentials(clientID string, clientSecret Secret) (*Client, error) {
	if c == nil || c.PersonalAccessTokens == nil {
		return nil, invalidArgument("no client: make one with NewClient")
	}
	cfg := c.cfg
	cfg.ClientID, cfg.ClientSecret, cfg.TokenSource = clientID, clientSecret, nil
	return NewClient(cfg)
}

// serverTime converts t from the local clock to the server's. Like the dates of
// tokens it is cut to whole milliseconds. It may be a second early, and is
// never late.
func (c *Client) serverTime(t time.Time) time.Time {
	return t.Add(time.Duration(c.clockOffset.Load())).Truncate(time.Millisecond)
}

// userAgent returns "sailpoint-go/" and this module's version in the program.
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

// operation is an operation of the API with its arguments.
type operation struct {
	method      string
	url         string
	template    string // the path with {id} for the token's id
	tokenID     string // "" if the operation is not about one token
	contentType string
	body        []byte
	kind        kind
}

func (op *operation) name() string { return operationName(op.method, op.template) }

// expects reports whether a response with this status means success.
func (op *operation) expects(status int) bool {
	switch op.kind {
	case kindDelete:
		return status/100 == 2
	case kindCreate:
		return status == http.StatusOK || status == http.StatusCreated
	}
	return status == http.StatusOK
}

// call is a running operation, with the state that its attempts share:
//
//  1. prepare waits for a pause to end, for a bearer and for the Limiter.
//  2. RoundTrip adds the headers and sends the request, with a time limit.
//  3. readResponse decodes the response, or returns the failure and its event.
//  4. checkRetry ends a successful call, or looks up the event in the matrix.
//  5. planRetry sets the wait before the next prepare, or ends the call.
//  6. finalError turns the last failure into the error of the call.
//
// A call is the http.RoundTripper of its own http.Client, so that an attempt
// can be related to its call.
type call struct {
	operation
	client  *Client
	decode  func(io.Reader) error // reads the body of a successful response
	streams bool                  // leave the body of the response open
	// sparesOwn rejects the client's own token. A TokenSource may name it only
	// together with a bearer.
	sparesOwn bool
	aboutOwn  bool // tokenID is that of the bearer's token
	http      http.Client

	ctx      context.Context // the caller's
	deadline time.Time       // ctx's, or else callTimeout after the start

	bearer    *bearer
	earlier   []*bearer // of earlier attempts
	attempt   *attempt
	failure   *Error // of the last attempt
	attempts  int
	retries   int    // compared with MaxRetries
	paid      int    // retries taken from the budget
	refused   Secret // the bearer that a 401 rejected
	repeated  bool
	certainty certainty
	wait      time.Duration // before the next attempt
}

// call returns a call of op. decode reads the response as part of an attempt,
// so that its failure can be retried.
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

// do sends the request until it succeeds or may not be retried.
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
		return c.finalError(err)
	}
	return nil
}

// send runs the loop of attempts. go-retryablehttp provides the body for each
// attempt and the wait between them. The call itself makes all decisions,
// because the library's own ones would retry a Create.
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
		RetryMax:     math.MaxInt, // planRetry counts
		PrepareRetry: c.prepare,
		CheckRetry:   c.checkRetry,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return c.wait },
		ErrorHandler: func(_ *http.Response, err error, _ int) (*http.Response, error) { return nil, err },
	}
	_, err = retrying.Do(req) //nolint:bodyclose // checkRetry reads the body and close closes it
	return err
}

// prepare waits until the next attempt may be sent, and gets its bearer. It
// calls the limiter last, because its consent may be valid only for a moment.
func (c *call) prepare(*http.Request) error {
	c.attempt = nil
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if c.kind == kindFetch {
		return c.prepareFetch()
	}
	bearers := c.client.bearers
	if b := bearers.cached(); b != nil && !c.mustWait() {
		return c.use(b)
	}

	ctx, cancel := c.bounded()
	defer cancel()
	if err := c.waitOut(ctx, &c.client.pause); err != nil {
		return err
	}
	bearer, err := c.getBearer(ctx)
	if err != nil {
		return err
	}
	if bearer, err = c.awaitConsentFor(ctx, bearer); err != nil {
		return err
	}
	if err := c.use(bearer); err != nil {
		return err
	}
	return c.waitOut(ctx, &c.client.pause) // one may have begun meanwhile
}

// awaitConsentFor waits until a request may be sent. It returns b, or another
// bearer if b expired or was rejected during the wait. A fetch may outlast the
// consent of a SharedLimiter, which is then asked once more.
func (c *call) awaitConsentFor(ctx context.Context, b *bearer) (*bearer, error) {
	_, isShared := c.client.cfg.Limiter.(SharedLimiter)
	for again := isShared; ; again = false {
		if err := c.awaitConsent(ctx); err != nil {
			return nil, err
		}
		current := c.client.bearers.usable()
		if current == b {
			return b, nil
		}
		var err error
		if b, err = c.getBearer(ctx); err != nil || current != nil || !again {
			return b, err
		}
	}
}

// mustWait reports whether an attempt may have to wait although the client has
// a bearer.
func (c *call) mustWait() bool {
	return c.client.cfg.Limiter != nil || c.client.pause.left() > 0 || !c.refused.IsZero()
}

// prepareFetch waits until the next request for a bearer may be sent.
func (c *call) prepareFetch() error {
	pause := &c.client.bearers.pause
	if pause.left() == 0 {
		return nil
	}
	ctx, cancel := c.bounded()
	defer cancel()
	return c.waitOut(ctx, pause)
}

// bounded returns the caller's context, with the call's deadline if it has
// none.
func (c *call) bounded() (context.Context, context.CancelFunc) {
	if _, ok := c.ctx.Deadline(); ok {
		return c.ctx, func() {}
	}
	return context.WithDeadlineCause(c.ctx, c.deadline, errCallTimeout)
}

// getBearer returns the bearer for the next attempt.
func (c *call) getBearer(ctx context.Context) (*bearer, error) {
	bearer, err := c.bearerInsteadOf(ctx, c.refused)
	if err == nil && !c.refused.IsZero() && bearer.Equal(c.refused) {
		return nil, c.failure // the 401, because the same bearer would be rejected again
	}
	return bearer, err
}

// waitOut waits for the end of p.
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

// mayWait reports whether the rest of a pause is at most MaxRetryWait, and
// whether the wait for its end fits the call's deadline.
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
	replays := a.replays(resp != nil)
	if replays > 0 && c.body == nil {
		c.certainty = max(c.certainty, maybeCarriedOut) // by an earlier copy of the request
	}
	if !a.ownTransport { // whose headers may be those of other requests
		c.attempts += replays
		c.retries += replays
	}
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
		resp.Header.Del("Location") // so that http.Client doesn't follow or even parse it
	}
	a.body, resp.Body = resp.Body, a
	return resp, nil
}

// errNoResponse reports a transport that breaks the rules of http.RoundTripper.
var errNoResponse = errors.New("the transport returned neither a response nor an error")

// outgoing returns req with everything that the transport needs.
func (c *call) outgoing(req *http.Request) *http.Request {
	req = req.WithContext(httptrace.WithClientTrace(c.attempt, c.attempt.trace()))
	req.GetBody = nil // net/http would repeat a request that the API may have carried out
	req.Cancel = nil  //nolint:staticcheck // http.Client sets it, but only the context has a cause
	// Extra bytes after the response may hold a secret. On a connection that
	// stays open, net/http would print them, or read them as the next response.
	req.Close = c.kind == kindCreate || c.kind == kindFetch
	if c.attempts > 1 {
		req.Header = req.Header.Clone() // the last attempt's may still be in use
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

// checkRetry handles the end of an attempt and reports whether to retry.
func (c *call) checkRetry(_ context.Context, resp *http.Response, err error) (bool, error) {
	event, failure := c.readResponse(resp, err)
	c.log(resp, failure)
	if failure == nil {
		c.succeed()
		return false, nil
	}
	row := &matrix[event]
	verdict := row.verdicts[c.kind]
	if verdict == gone && c.certainty != notCarriedOut {
		c.succeed()
		return false, nil
	}
	c.failure = failure
	c.certainty = max(c.certainty, row.certainty)
	if !c.planRetry(verdict, event) {
		return false, failure
	}
	if c.wait > 0 { // it is 0 for a new bearer, which has a record of its own
		from := ""
		if failure.RetryAfter > 0 {
			from = "response"
		}
		c.logWait(c.wait, failure.reason(), from)
	}
	return true, nil
}

// readResponse reads a response and returns its failure, or that of a request
// without one. The event has no meaning if the failure is nil.
func (c *call) readResponse(resp *http.Response, err error) (event, *Error) {
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
		c.attempt.stream(c.client.timeout)
	} else {
		_ = resp.Body.Close()
	}
	if err == nil {
		if c.kind != kindDelete { // without a body, an intermediary may have sent the response
			c.readClock(resp)
		}
		return 0, nil
	}
	event, failure := c.bodyFailure(c.newFailure(resp), err)
	if event == incomplete {
		c.readClock(resp)
	}
	return event, failure
}

// readFailure returns the failure in an unsuccessful response.
func (c *call) readFailure(resp *http.Response) (event, *Error) {
	failure := c.newFailure(resp)
	if resp.StatusCode < http.StatusMultipleChoices {
		_ = resp.Body.Close() // not read, because it may hold a secret
		failure.invalid = true
		failure.Err = errors.New("the response has an unexpected status")
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

// maxClockOffset is the largest difference between a trusted Date header and
// the local clock. A clock that is wrong by more would fail TLS sooner or
// later. A StartedAt that is a day late would hide the token that it helps to
// find.
const maxClockOffset = 24 * time.Hour

// readClock sets clockOffset from a response that the API itself sent.
func (c *call) readClock(resp *http.Response) {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil || !strings.HasPrefix(c.url, c.client.cfg.BaseURL+"/") { // a TokenURL elsewhere has another clock
		return
	}
	// The server cut its Date to seconds and sent it a while ago, so this is the
	// least that the offset can be.
	if offset := time.Until(date); offset.Abs() < maxClockOffset {
		c.client.clockOffset.Store(int64(offset))
	}
}

// newFailure returns the failure of an attempt that got resp.
func (c *call) newFailure(resp *http.Response) *Error {
	return &Error{StatusCode: resp.StatusCode, RequestID: c.requestID(resp)}
}

// requestID returns the gateway's id of the request. For the token endpoint it
// is "", because an Error shows none of its texts.
func (c *call) requestID(resp *http.Response) string {
	if c.kind == kindFetch {
		return ""
	}
	return c.redactor().Text(resp.Header.Get("SLPT-Request-ID"))
}

// redirected returns the error of a 3xx response. It doesn't name the host for
// the token endpoint.
func (c *call) redirected() error {
	if c.kind == kindFetch {
		return errors.New("a redirect was not followed")
	}
	return fmt.Errorf("a redirect to the host %.200q was not followed", c.redactor().Text(c.attempt.redirect))
}

// bodyFailure completes the failure of a successful response whose body was
// read up to err.
func (c *call) bodyFailure(failure *Error, err error) (event, *Error) {
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

// planRetry reports whether to retry, and sets the wait. It drops a rejected
// bearer, begins a pause and takes the cost from the budget.
func (c *call) planRetry(verdict verdict, event event) bool {
	switch verdict {
	case renew:
		if !c.refused.IsZero() || !c.client.bearers.drop(c.bearer, c.pay) {
			return false
		}
		c.refused, c.wait = c.bearer.Secret, 0
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
		c.wait = max(asked, asked+jitter(spread)) // max, because the sum may overflow
	}
	if p := c.pausedBy(event, asked); p != nil {
		p.extend(time.Now().Add(min(c.wait, maxPause)), c.failure.StatusCode)
		c.reportPause(p, cmp.Or(asked, c.wait))
	}
	if asked > c.client.cfg.MaxRetryWait {
		return false
	}
	if err := c.ctx.Err(); err != nil {
		c.failure.Err = joinOnce(err, c.failure.Err)
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

// askedWait returns how long the last response asked to wait. For an unreadable
// Retry-After it returns a default.
func (c *call) askedWait() time.Duration {
	if c.failure.retryAfterUnreadable {
		return min(unreadableWait, c.client.cfg.MaxRetryWait)
	}
	return c.failure.RetryAfter
}

// pay reports whether the client's budget allows another retry, and takes its
// cost.
func (c *call) pay() bool {
	if !c.client.budget.take() {
		return false
	}
	c.paid++
	return true
}

// succeed refunds the call's retries and marks its bearer as accepted.
func (c *call) succeed() {
	c.client.budget.refund(c.paid)
	if c.bearer != nil && !c.bearer.accepted.Load() {
		c.bearer.accepted.Store(true)
	}
}

// pausedBy returns the pause that a response begins, or nil. A 429 of the API's
// gateway holds back all calls of the client. The token endpoint's 429, and its
// 503 with a Retry-After, hold back all fetches.
func (c *call) pausedBy(event event, asked time.Duration) *pause {
	switch {
	case c.kind == kindFetch && (event == rateLimited || asked > 0 && event == serverFailed && c.failure.StatusCode == http.StatusServiceUnavailable):
		return &c.client.bearers.pause
	case c.kind != kindFetch && event == rateLimited:
		return &c.client.pause
	}
	return nil
}

// fits reports whether a wait ends before the call's deadline.
func (c *call) fits(wait time.Duration) bool { return wait < time.Until(c.deadline) }

// lastFailure returns a copy of the last attempt's failure, for a failure
// without a response. What the last response said is still true.
func (c *call) lastFailure() *Error {
	if c.failure == nil {
		return &Error{}
	}
	failure := *c.failure
	failure.noReply = false
	return &failure
}

// finalError returns the error of a call that failed with err. Its chain has
// one *Error, which belongs to this call alone.
func (c *call) finalError(err error) error {
	var failure *Error
	if errors.As(err, &failure) {
		own := *failure // calls that waited for the same bearer may share it
		failure = &own
	} else { // the context ended or the limiter failed, perhaps before a retry
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

// cutShort returns the error of a response that was partly read, up to err.
func (c *call) cutShort(err error) error {
	_, failure := c.bodyFailure(&Error{StatusCode: http.StatusOK}, err)
	return c.finalError(failure)
}

// cause returns err for use in an Error. It removes the URL and secrets, and
// names the time limit that has passed.
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

// use sets the bearer of the next attempt. It rejects a Delete of the bearer's
// own token.
func (c *call) use(b *bearer) error {
	own := c.client.clientIDOf(b)
	if c.sparesOwn && strings.EqualFold(c.tokenID, own) {
		return errOwnToken
	}
	if c.aboutOwn {
		c.tokenID = cmp.Or(own, c.tokenID)
	}
	if c.bearer != nil && c.bearer != b {
		c.earlier = append(c.earlier, c.bearer)
	}
	c.bearer = b
	return nil
}

// redactor returns the redactor of the secrets that this call sent. The server
// or a proxy may echo them.
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

// log writes the log record of an attempt.
func (c *call) log(resp *http.Response, failure *Error) {
	ctx := c.logContext(c.attempts)
	if c.attempt == nil || !c.client.logs(ctx, slog.LevelDebug) {
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
	c.client.record(ctx, slog.LevelDebug, "sailpoint: request", attrs...)
}

// logWait writes the log record of a wait before the next attempt. from names
// the source of the Retry-After, or is "" if there was none.
func (c *call) logWait(wait time.Duration, reason, from string) {
	ctx := c.logContext(c.attempts + 1)
	if !c.client.logs(ctx, slog.LevelInfo) {
		return
	}
	attrs := append(c.logAttrs(4), slog.Int("attempt", c.attempts+1), slog.Duration("wait", wait), slog.String("reason", reason))
	if from != "" {
		attrs = append(attrs, slog.String("retry_after_from", from))
	}
	c.client.record(ctx, slog.LevelInfo, "sailpoint: wait", attrs...)
}

// logAttrs returns the first attributes of each log record of the call, with
// capacity for more.
func (c *call) logAttrs(more int) []slog.Attr {
	attrs := append(make([]slog.Attr, 0, more+2), slog.String("operation", c.name()))
	if c.tokenID != "" {
		attrs = append(attrs, slog.String("token_id", c.tokenID))
	}
	return attrs
}

// logFetches returns a fetch that logs each new bearer and each failure.
func (c *Client) logFetches(fetch func(context.Context, Secret) (*bearer, error)) func(context.Context, Secret) (*bearer, error) {
	return func(ctx context.Context, refused Secret) (*bearer, error) {
		reason := "no bearer yet"
		switch {
		case !refused.IsZero():
			reason = "the API rejected the last bearer"
		case c.bearers.current.Load() != nil:
			reason = "the last bearer expires"
		}
		b, err := fetch(ctx, refused)
		switch {
		case err == nil:
			c.record(ctx, slog.LevelInfo, "sailpoint: new bearer", slog.String("reason", reason), slog.Time("expiry", b.expiry))
		case ctx.Err() == nil: // otherwise the last waiter gave up
			var failure *Error
			if errors.As(err, &failure) {
				err = failure // because net/http's text has the URL
			}
			secrets := redact.Join(c.redactor(), redact.New(refused.Reveal())) // a TokenSource has it
			text := redact.PrintableError(secrets.Error(err))
			c.record(ctx, slog.LevelWarn, "sailpoint: no new bearer", slog.String("reason", reason), slog.String("error", text))
		}
		return b, err
	}
}

// logs reports whether the logger accepts records of this level.
func (c *Client) logs(ctx context.Context, level slog.Level) (wanted bool) {
	defer func() { _ = recover() }() // as in record
	return c.cfg.Logger != nil && c.cfg.Logger.Enabled(ctx, level)
}

// record writes a log record. A panic of the handler must not lose the secret
// of a token that was just created.
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

// attempt is one request and the body of its response.
type attempt struct {
	operationContext // the request's
	cancel           context.CancelCauseFunc
	started          time.Time
	timer            *time.Timer // cancels ctx with limit, or nil without a limit
	limit            atomic.Pointer[timeoutError]

	// A streamed body limits the time of its reads. The caller may take any
	// time between them.
	streaming, ending bool
	silence           *timeoutError // the limit of one read, or nil without limits
	trickle           timeoutError  // the limit of the reads of minTrickle bytes
	waited            time.Duration // in reads, for the bytes in received
	received          int

	// These report what the transport did. If it doesn't call the hooks, every
	// failure is treated as possibly sent.
	hooks           httptrace.ClientTrace
	connecting      atomic.Bool
	connected       atomic.Bool
	headersWritten  atomic.Int32
	writtenBefore   atomic.Int32 // headersWritten when the last connection was requested
	mayHaveBeenSent int          // how often, when the transport returned its error

	ownTransport bool // not net/http's

	redirect string // the host in the response's Location
	body     io.ReadCloser
	readErr  error // from reading body
}

// begin starts an attempt with its time limit.
func (c *call) begin(ctx context.Context) *attempt {
	a := &attempt{started: time.Now()}
	a.Context, a.cancel = context.WithCancelCause(ctx)
	a.method, a.template, a.attempt = c.method, c.template, c.attempts+1
	limit := c.client.cfg.AttemptTimeout
	if _, bounded := c.ctx.Deadline(); !bounded {
		if left := time.Until(c.deadline); limit < 0 || left < limit {
			a.setLimit(left, errCallTimeout)
			return a
		}
	}
	if limit >= 0 {
		a.setLimit(limit, c.client.timeout)
	}
	return a
}

// These limit how often a request without a body is repeated in an attempt.
const (
	maxReplays = 1 // by net/http, after the server closed a connection

	// Another transport may send its own requests with the attempt's context,
	// such as retries or a request for credentials. The hooks can't tell them
	// apart.
	maxOwnReplays = 10
)

// errReplays reports a request that net/http would repeat forever.
var errReplays = errors.New("net/http repeated the request, and the connection failed each time")

// trace returns the hooks for the transport. Other goroutines may call them.
func (a *attempt) trace() *httptrace.ClientTrace {
	a.hooks = httptrace.ClientTrace{
		GetConn: func(string) {
			a.connecting.Store(true)
			written := a.headersWritten.Load()
			a.writtenBefore.Store(written)
			if written > maxOwnReplays || written > maxReplays && !a.ownTransport {
				a.cancel(errReplays)
			}
		},
		GotConn:      func(httptrace.GotConnInfo) { a.connected.Store(true) },
		WroteHeaders: func() { a.headersWritten.Add(1) },
	}
	return &a.hooks
}

// replays returns how often the transport repeated the request. HTTP/2 may
// return a response before it calls WroteHeaders for its request.
func (a *attempt) replays(responded bool) int {
	replays := int(a.headersWritten.Load()) - 1
	if responded {
		replays = max(replays, int(a.writtenBefore.Load()))
	}
	return max(replays, 0)
}

// sent returns how often the request may have been sent. It is 0 if the hooks
// prove that no header was written.
func (a *attempt) sent() int {
	switch written := int(a.headersWritten.Load()); {
	case written > 0:
		return written
	case !a.connecting.Load():
		return 1
	case a.connected.Load() && a.Err() != nil: // HTTP/2 may still be writing the header
		return 1
	}
	return 0
}

// limitReached returns the limit of this package that ended the attempt, or
// nil.
func (a *attempt) limitReached() error {
	var timeout *timeoutError
	switch cause := context.Cause(a); {
	case errors.As(cause, &timeout):
		return timeout
	case errors.Is(cause, errReplays):
		return errReplays
	}
	return nil
}

// setLimit replaces the time limit of the attempt.
func (a *attempt) setLimit(left time.Duration, limit *timeoutError) {
	a.limit.Store(limit)
	if a.timer != nil {
		a.timer.Reset(left)
		return
	}
	a.timer = time.AfterFunc(left, func() { a.cancel(a.limit.Load()) })
}

// These limit a streamed body.
const (
	minTrickle      = 1 << 10         // bytes that must arrive in trickleTimeouts
	trickleTimeouts = 10              // times AttemptTimeout
	endTimeout      = 5 * time.Second // for the end after the last token
)

// stream replaces the time limit of the whole body with limits of its reads.
func (a *attempt) stream(timeout *timeoutError) {
	a.streaming = true
	if a.timer != nil {
		a.timer.Stop()
	}
	if timeout.limit > 0 {
		most := trickleTimeouts * min(timeout.limit, math.MaxInt64/trickleTimeouts)
		a.silence = timeout
		a.trickle = timeoutError{"less than 1 KiB of the response", most}
	}
}

// errNoEnd reports that a streamed body did not end in time.
var errNoEnd = &timeoutError{"no end of the response", endTimeout}

// expectEnd limits the time until a streamed body ends to endTimeout.
func (a *attempt) expectEnd() {
	if a.streaming {
		a.ending = true
		a.setLimit(endTimeout, errNoEnd)
	}
}

// Read implements io.Reader for the body of the response.
func (a *attempt) Read(p []byte) (int, error) {
	if a.ending || a.silence == nil {
		return a.read(p)
	}
	if left := a.trickle.limit - a.waited; left < a.silence.limit {
		a.setLimit(left, &a.trickle)
	} else {
		a.setLimit(a.silence.limit, a.silence)
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

// Close implements io.Closer for the body of the response.
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

// timeoutError reports that a time limit of this package has passed, and not
// the caller's deadline.
type timeoutError struct {
	missing string
	limit   time.Duration
}

func (e *timeoutError) Error() string { return fmt.Sprintf("%s within %s", e.missing, e.limit) }

var errCallTimeout = &timeoutError{"no response to a call without a deadline", callTimeout}

// Is matches context.DeadlineExceeded, as the time limits of net/http do.
func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// Timeout implements the method of net.Error.
func (e *timeoutError) Timeout() bool { return true }

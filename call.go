package sailpoint

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// callTimeout bounds a call whose context has no deadline.
const callTimeout = 2 * time.Minute

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
	if c.wait > 0 { // it is over
		c.failure.RetryAfter, c.failure.retryAfterUnreadable = 0, false
	}
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
	a.status, a.requestID = resp.StatusCode, resp.Header.Get("Slpt-Request-Id") // canonical, which costs no allocation
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
	if ended := c.ctx.Err(); ended != nil && errors.Is(failure.Err, ended) {
		if cause := context.Cause(c.ctx); !errors.Is(failure.Err, cause) {
			failure.Err = errors.Join(failure.Err, c.redactor().Error(withoutOtherCall(cause)))
		}
	}
	if failure.Op == "" {
		failure.Op = c.name()
		failure.TokenID = c.tokenID
		failure.Attempts = c.attempts
	} else {
		failure.foreign = true
	}
	failure.unknown = ""
	if c.kind.changes() && c.certainty != notCarriedOut {
		failure.unknown = c.name()
	}
	return failure
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

// close ends the last attempt.
func (c *call) close() {
	if c.attempt != nil {
		_ = c.attempt.Close()
	}
}

package sailpoint

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// kind is what the retries of an operation depend on. Each kind is a column of
// the matrix.
type kind int

const (
	kindRead    kind = iota // List, Get, Self, and All up to its first token
	kindDelete              // Delete and DeleteSelf
	kindReplace             // a Patch or BulkUpdate that only replaces whole fields, so twice is the same as once
	kindPatch               // any other Patch or BulkUpdate
	kindCreate              // Create, where a second one can't return the first one's secret
	kindFetch               // the request for a bearer
	kinds
)

// changes reports whether an operation of this kind may have changed server
// state when its response is lost.
func (k kind) changes() bool { return k != kindRead && k != kindFetch }

// verdict is what to do after a failed attempt.
type verdict int

const (
	stop  verdict = iota // return the failure
	retry                // retry as often as the configuration, the deadline and the budget allow
	once                 // retry once in a call
	renew                // retry once in a call, with a new bearer
	gone                 // a success if an earlier attempt may have been carried out, else stop
)

// certainty says whether a changing operation was carried out.
type certainty int

const (
	notCarriedOut certainty = iota
	maybeCarriedOut
	carriedOut
)

// event is how an attempt failed. Each event is a row of the matrix.
type event int

const (
	notSent      event = iota // never sent according to httptrace, or not processed according to HTTP/2
	peerRefused               // never sent, because TLS failed or the proxy requires authentication
	unanswered                // may have been sent, but no complete response header came
	cutShort                  // a successful response ended too early
	untrusted                 // a successful response that the API didn't send, but perhaps an intermediary
	incomplete                // the API's response to a Create, without a complete id and secret
	tooLarge                  // a response beyond its limit
	redirected                // 301, 307, 308, which ask for the same request elsewhere, so it was not carried out
	seeOther                  // any other 3xx, because 303, and by custom 302, may follow a request that was carried out
	rejected                  // 501, 505, and every 4xx without a row of its own
	unauthorized              // 401
	notFound                  // 404 from the API
	unrouted                  // 404 from an intermediary, which says nothing about the token
	timedOut                  // 408
	tooEarly                  // 425, not carried out (RFC 8470 section 5.2)
	rateLimited               // 429 from the gateway, not carried out
	serverFailed              // 500, 502, 503, 504
	unexpected                // any other status
	events
)

// matrix alone decides what is retried, and what a failure means for a changing
// operation.
var matrix = [events]struct {
	verdicts  [kinds]verdict
	certainty certainty
}{
	//                          read   delete replace patch create fetch
	notSent:      {[...]verdict{retry, retry, retry, retry, retry, retry}, notCarriedOut},
	peerRefused:  {[...]verdict{stop, stop, stop, stop, stop, stop}, notCarriedOut},
	unanswered:   {[...]verdict{retry, retry, retry, stop, stop, retry}, maybeCarriedOut},
	cutShort:     {[...]verdict{retry, retry, stop, stop, stop, retry}, carriedOut},
	untrusted:    {[...]verdict{stop, stop, stop, stop, stop, once}, maybeCarriedOut},
	incomplete:   {[...]verdict{stop, stop, stop, stop, stop, stop}, carriedOut},
	tooLarge:     {[...]verdict{stop, stop, stop, stop, stop, stop}, maybeCarriedOut},
	redirected:   {[...]verdict{stop, stop, stop, stop, stop, stop}, notCarriedOut},
	seeOther:     {[...]verdict{stop, stop, stop, stop, stop, stop}, maybeCarriedOut},
	rejected:     {[...]verdict{stop, stop, stop, stop, stop, stop}, notCarriedOut},
	unauthorized: {[...]verdict{renew, renew, renew, renew, renew, stop}, notCarriedOut},
	notFound:     {[...]verdict{stop, gone, stop, stop, stop, stop}, notCarriedOut},
	unrouted:     {[...]verdict{stop, stop, stop, stop, stop, stop}, notCarriedOut},
	timedOut:     {[...]verdict{retry, retry, retry, stop, stop, retry}, maybeCarriedOut},
	tooEarly:     {[...]verdict{once, once, once, once, once, once}, notCarriedOut},
	rateLimited:  {[...]verdict{retry, retry, retry, retry, retry, retry}, notCarriedOut},
	serverFailed: {[...]verdict{retry, retry, retry, stop, stop, retry}, maybeCarriedOut},
	unexpected:   {[...]verdict{stop, stop, stop, stop, stop, stop}, maybeCarriedOut},
}

// statusEvent returns the event of an unsuccessful response. own reports
// whether the API itself sent it.
func statusEvent(status int, own bool) event {
	switch status {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return redirected
	case http.StatusUnauthorized:
		return unauthorized
	case http.StatusNotFound:
		if own {
			return notFound
		}
		return unrouted
	case http.StatusRequestTimeout:
		return timedOut
	case http.StatusTooEarly:
		return tooEarly
	case http.StatusTooManyRequests:
		return rateLimited
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return serverFailed
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return rejected
	}
	switch status / 100 {
	case 3:
		return seeOther
	case 4:
		return rejected
	}
	return unexpected
}

// notProcessedTexts are net/http's texts for a request that the server didn't
// process. Its stream was refused, or it came after the last one that a GOAWAY
// names (RFC 9113 sections 8.7 and 6.8). PROTOCOL_ERROR is not one of them,
// because servers also send it for requests that they processed.
var notProcessedTexts = []string{
	"; REFUSED_STREAM; received from peer", "received Server's graceful shutdown GOAWAY", "Transport received GOAWAY from server",
}

// tooLargeHeaderTexts are net/http's texts for a response header that is too
// large. They are those of HTTP/1.1, of HTTP/2, and of a single field in
// HTTP/2.
var tooLargeHeaderTexts = []string{"server response headers exceeded", "response header list larger than", "connection error: COMPRESSION_ERROR"}

// transportEvent returns the event of a request that failed with err from
// withoutServerBytes. net/http has no types for most failures, so their texts
// are compared. sent is how often the request's header may have been written.
func transportEvent(err error, sent int) event {
	says := func(texts []string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
	}
	switch {
	case sent == 1 && says(notProcessedTexts): // the text is only about the last request
		return notSent
	case sent > 0 && says(tooLargeHeaderTexts):
		return tooLarge
	case sent > 0:
		// Other texts prove nothing. A TLS alert, for example, may come after
		// the request was carried out.
		return unanswered
	}
	var certificate *tls.CertificateVerificationError
	var network *net.OpError
	var proxy *proxyError
	switch {
	case errors.As(err, &certificate), errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &proxy) && proxy.wantsAuthentication(),
		errors.As(err, &network) && (network.Op == "remote error" || network.Op == "local error"): // TLS alerts
		return peerRefused
	}
	return notSent
}

// bodyEvent returns the event of a successful response whose body was read up
// to err. failed reports that the read itself failed, and not the decoding.
func bodyEvent(err error, failed bool) event {
	var list *listTooLargeError
	switch {
	case errors.Is(err, errIncomplete):
		return incomplete
	case errors.Is(err, errNotObject), errors.Is(err, errNotToken):
		return untrusted
	case errors.Is(err, errTooLarge), errors.As(err, &list):
		return tooLarge
	case failed, errors.Is(err, io.ErrUnexpectedEOF):
		return cutShort
	}
	return untrusted
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

const (
	minBackoff = 250 * time.Millisecond
	maxBackoff = 10 * time.Second
	spread     = 250 * time.Millisecond // maximum wait after a Retry-After, so that callers don't return at the same time
	maxPause   = time.Hour              // so that an absurd Retry-After doesn't stop a client forever
)

// backoff returns how long to wait before retry n, which is 0 for the first.
// Full jitter spreads callers best.
func backoff(n int) time.Duration {
	return jitter(min(minBackoff<<min(n, 10), maxBackoff))
}

// jitter returns a random time below limit.
func jitter(limit time.Duration) time.Duration {
	return rand.N(limit) //nolint:gosec // needs no unpredictability
}

// unreadableWait is how long to wait after an unreadable Retry-After.
const unreadableWait = 30 * time.Second

// dateLayouts are accepted for a Retry-After date in addition to those of RFC
// 9110.
var dateLayouts = []string{
	"Mon, 2 Jan 2006 15:04:05 GMT", "Mon, 2 Jan 2006 15:04:05 UTC", "Mon, 2 Jan 2006 15:04:05 -0700", time.RFC3339,
}

// retryAfter returns how long a response asks to wait. A date is compared with
// the server's own clock. The wait is 0 if there is no Retry-After or its date
// is in the past. readable is false if the Retry-After has an unknown form.
func retryAfter(h http.Header, now time.Time) (wait time.Duration, readable bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0, true
	}
	// ParseFloat alone would also read NaN, Inf and hexadecimal numbers.
	if strings.Trim(value, "+-.0123456789eE") == "" {
		seconds, err := strconv.ParseFloat(value, 64)
		if err == nil || errors.Is(err, strconv.ErrRange) { // which returns an infinite number
			const most = float64(math.MaxInt64 / int64(time.Second))
			return time.Duration(math.Ceil(max(0, min(seconds, most)))) * time.Second, true
		}
	}
	at, err := http.ParseTime(value)
	for i := 0; err != nil && i < len(dateLayouts); i++ {
		at, err = time.Parse(dateLayouts[i], value)
	}
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0), true
}

// pause holds back requests until a time that an earlier response asked for. If
// a call can't wait that long, it fails without sending a request.
type pause struct{ hold atomic.Pointer[hold] }

// hold is the end of a pause and the status of the response that began it.
type hold struct {
	until  time.Time
	status int
}

// extend makes calls wait at least until t.
func (p *pause) extend(t time.Time, status int) {
	for {
		old := p.hold.Load()
		if old != nil && !old.until.Before(t) || p.hold.CompareAndSwap(old, &hold{t, status}) {
			return
		}
	}
}

// left returns how long calls must still wait.
func (p *pause) left() time.Duration {
	h := p.hold.Load()
	if h == nil {
		return 0
	}
	return max(time.Until(h.until), 0)
}

// heldBack turns failure into that of a call that can't wait for the end of p.
func (p *pause) heldBack(failure *Error) *Error {
	h := p.hold.Load()
	failure.RetryAfter, failure.heldBackBy = time.Until(h.until), h.status
	return failure
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

const (
	budgetSize = 100
	retryCost  = 10
)

// budget limits the retries of all calls of a client, so that during an outage
// each call sends about one request. A retry takes retryCost from it. A
// successful call refunds its own retries and adds one unit. A retry after 429
// is free, because the pause already holds it back.
type budget struct{ spent atomic.Int64 }

// take reports whether the budget allows a retry, and takes its cost.
func (b *budget) take() bool {
	if b.spent.Add(retryCost) > budgetSize {
		b.spent.Add(-retryCost)
		return false
	}
	return true
}

// refund returns the cost of a successful call's retries plus one unit.
func (b *budget) refund(retries int) {
	if b.spent.Load() == 0 {
		return
	}
	if left := b.spent.Add(int64(-retries*retryCost - 1)); left < 0 {
		b.spent.CompareAndSwap(left, 0)
	}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}

// ended returns the cause of ctx's end, in an error that matches ctx.Err().
func ended(ctx context.Context) error {
	return joinOnce(ctx.Err(), withoutOtherCall(context.Cause(ctx)))
}

// joinOnce returns an error that matches ended and err. That is err alone if it
// already matches ended.
func joinOnce(ended, err error) error {
	if errors.Is(err, ended) {
		return err
	}
	return errors.Join(ended, err)
}

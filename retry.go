package sailpoint

import (
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

// column is what an operation's repetition depends on: its column of the matrix.
type column int

const (
	read         column = iota // List and All, up to the first token
	remove                     // Delete
	patchReplace               // Patch and BulkUpdate that replace whole fields only: twice is the same as once
	patchAny                   // any other
	create                     // Create: a second one can't return the first one's secret
	fetch                      // of a bearer
	columns
)

// changes reports whether an operation of this column may leave something behind when its answer is lost.
func (c column) changes() bool { return c != read && c != fetch }

// verdict is what follows a failure.
type verdict int

const (
	stop  verdict = iota // return the failure
	again                // send again, as often as the configuration, the deadline and the budget allow
	once                 // send again, once in a call
	renew                // send again with a new bearer, once in a call
	gone                 // no failure if an earlier attempt may have been carried out; else return it
)

// certainty says whether a changing operation was carried out.
type certainty int

const (
	no certainty = iota
	maybe
	yes
)

// event is how an attempt failed: its row of the matrix.
type event int

const (
	notSent      event = iota // never sent, as httptrace proves, or not processed, as HTTP/2 says
	peerRefused               // never sent, because TLS can't be agreed on, or the proxy wants authentication
	unanswered                // may have been sent; no answer came, or not the whole header of one
	cutShort                  // the answer of success ended too early
	untrusted                 // an answer of success that isn't the API's: an intermediary may have sent it
	incomplete                // the API's answer to a Create, with its id or secret missing or damaged
	tooLarge                  // an answer beyond its bound
	redirected                // 301, 307, 308: the same request belongs elsewhere, so that it was not carried out
	seeOther                  // any other 3xx: 303, and 302 by custom, may follow a request that was carried out
	rejected                  // 4xx that has no row of its own, 501, 505
	unauthorized              // 401
	notFound                  // 404 of the API
	unrouted                  // 404 of something between, which says nothing of the token
	timedOut                  // 408
	tooEarly                  // 425: RFC 8470 section 5.2, not carried out
	rateLimited               // 429: answered by the gateway, not carried out
	serverFailed              // 500, 502, 503, 504
	unexpected                // any other status
	events
)

// matrix is the one place that says what is sent again and what a failure means for a changing operation.
var matrix = [events]struct {
	carriedOut certainty
	verdicts   [columns]verdict
}{
	//                       read    remove  replace patch  create  fetch
	notSent:      {no, [...]verdict{again, again, again, again, again, again}},
	peerRefused:  {no, [...]verdict{stop, stop, stop, stop, stop, stop}},
	unanswered:   {maybe, [...]verdict{again, again, again, stop, stop, again}},
	cutShort:     {yes, [...]verdict{again, again, stop, stop, stop, again}},
	untrusted:    {maybe, [...]verdict{stop, stop, stop, stop, stop, once}},
	incomplete:   {yes, [...]verdict{stop, stop, stop, stop, stop, stop}},
	tooLarge:     {maybe, [...]verdict{stop, stop, stop, stop, stop, stop}},
	redirected:   {no, [...]verdict{stop, stop, stop, stop, stop, stop}},
	seeOther:     {maybe, [...]verdict{stop, stop, stop, stop, stop, stop}},
	rejected:     {no, [...]verdict{stop, stop, stop, stop, stop, stop}},
	unauthorized: {no, [...]verdict{renew, renew, renew, renew, renew, stop}},
	notFound:     {no, [...]verdict{stop, gone, stop, stop, stop, stop}},
	unrouted:     {no, [...]verdict{stop, stop, stop, stop, stop, stop}},
	timedOut:     {maybe, [...]verdict{again, again, again, stop, stop, again}},
	tooEarly:     {no, [...]verdict{once, once, once, once, once, once}},
	rateLimited:  {no, [...]verdict{again, again, again, again, again, again}},
	serverFailed: {maybe, [...]verdict{again, again, again, stop, stop, again}},
	unexpected:   {maybe, [...]verdict{stop, stop, stop, stop, stop, stop}},
}

// statusEvent returns the row of a response that is not successful. own says whether the API itself sent it.
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

// notCarriedOut are the texts by which net/http says that the server processed nothing of a request: a stream that was
// refused, or one beyond the last that a GOAWAY names (RFC 9113 sections 8.7 and 6.8). PROTOCOL_ERROR is not among them:
// servers send it for requests that they processed too.
var notCarriedOut = []string{
	"; REFUSED_STREAM; received from peer", "received Server's graceful shutdown GOAWAY", "Transport received GOAWAY from server",
}

// tooLargeHeader are the texts of HTTP/1.1, of HTTP/2, and of HTTP/2 where a single field is beyond the bound.
var tooLargeHeader = []string{"server response headers exceeded", "response header list larger than", "connection error: COMPRESSION_ERROR"}

// transportEvent returns the row of a request that ended in err, by withoutServerBytes, because net/http has no types for
// most of it. sent says how often the request's header may have been written.
func transportEvent(err error, sent int) event {
	says := func(texts []string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
	}
	switch {
	case sent == 1 && says(notCarriedOut): // of two, it is said of the last one only
		return notSent
	case sent > 0 && says(tooLargeHeader):
		return tooLarge
	case sent > 0:
		// Whatever else it says: a TLS alert, for one, may come after the request was carried out.
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

// bodyEvent returns the row of an answer of success whose body was read up to err. failed says whether the reading
// failed, and not what was read.
func bodyEvent(err error, failed bool) event {
	var large *tooLargeError
	var list *listTooLargeError
	switch {
	case errors.Is(err, errIncomplete):
		return incomplete
	case errors.Is(err, errNotObject), errors.Is(err, errNotToken):
		return untrusted
	case errors.As(err, &large), errors.As(err, &list):
		return tooLarge
	case failed, errors.Is(err, io.ErrUnexpectedEOF):
		return cutShort
	}
	return untrusted
}

const (
	minBackoff = 250 * time.Millisecond
	maxBackoff = 10 * time.Second
	spread     = 250 * time.Millisecond // what is waited beyond a Retry-After, so that callers don't return at once
	maxPause   = time.Hour              // so that one absurd Retry-After doesn't silence a client for good
)

// backoff returns how long to wait before retry n, the first being 0: full jitter, which spreads callers best.
func backoff(n int) time.Duration {
	return jitter(min(minBackoff<<min(n, 10), maxBackoff))
}

// jitter returns a time below limit.
func jitter(limit time.Duration) time.Duration {
	return rand.N(limit) //nolint:gosec // needs no unpredictability
}

// unreadableWait is how long to wait after a Retry-After that can't be read.
const unreadableWait = 30 * time.Second

// dateLayouts are the forms of a Retry-After date in addition to those of RFC 9110.
var dateLayouts = []string{
	"Mon, 2 Jan 2006 15:04:05 GMT", "Mon, 2 Jan 2006 15:04:05 UTC", "Mon, 2 Jan 2006 15:04:05 -0700", time.RFC3339,
}

// retryAfter returns how long a response asks to wait. A date is compared with the server's own clock. The wait is 0
// without a Retry-After, and for one that is past. readable is false for a Retry-After of no known form.
func retryAfter(h http.Header, now time.Time) (wait time.Duration, readable bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0, true
	}
	// ParseFloat alone would also read NaN, Inf and hexadecimal numbers.
	if strings.Trim(value, "+-.0123456789eE") == "" {
		seconds, err := strconv.ParseFloat(value, 64)
		if err == nil || errors.Is(err, strconv.ErrRange) { // beyond its range it is infinite
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

// pause is a time before which nothing is sent, because an earlier response asked for that. Where it is longer than a
// call may wait, the call fails without being sent.
type pause struct{ hold atomic.Pointer[hold] }

// hold is the end of a pause, and the status of the response that began it.
type hold struct {
	until  time.Time
	status int
}

// extend makes calls wait until t.
func (p *pause) extend(t time.Time, status int) {
	for {
		old := p.hold.Load()
		if old != nil && !old.until.Before(t) || p.hold.CompareAndSwap(old, &hold{t, status}) {
			return
		}
	}
}

// left returns how long calls have to wait from now on.
func (p *pause) left() time.Duration {
	h := p.hold.Load()
	if h == nil {
		return 0
	}
	return max(time.Until(h.until), 0)
}

// heldBack sets what is wrong with a call that can't wait for the end of p.
func (p *pause) heldBack(failure *Error) *Error {
	h := p.hold.Load()
	failure.RetryAfter, failure.heldBackBy = time.Until(h.until), h.status
	return failure
}

const (
	budgetSize = 100
	retryCost  = 10
)

// budget bounds the retries of all calls of a client: in an outage they cost about one request a call. A retry takes
// from it, a success gives back what its call took, and one more. A retry after 429 is free: the pause holds it back.
type budget struct{ spent atomic.Int64 }

// take reports whether there is budget for a retry, and takes it.
func (b *budget) take() bool {
	if b.spent.Add(retryCost) > budgetSize {
		b.spent.Add(-retryCost)
		return false
	}
	return true
}

// give is told of a call that succeeded after so many paid retries.
func (b *budget) give(retries int) {
	if b.spent.Load() == 0 {
		return
	}
	if left := b.spent.Add(int64(-retries*retryCost - 1)); left < 0 {
		b.spent.CompareAndSwap(left, 0)
	}
}

// sleep waits for d, or until ctx ends.
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
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return errors.Join(err, cause)
}

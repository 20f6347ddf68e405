package sailpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

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

	// These are of the response. The attempt doesn't hold all of it, because
	// reflection on a context could print the bearer in its request.
	status    int
	requestID string // not redacted
	redirect  string // the host in its Location
	body      io.ReadCloser
	readErr   error // from reading body
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

var errCallTimeout = &timeoutError{"no complete response to a call without a deadline", callTimeout}

// Is matches context.DeadlineExceeded, as the time limits of net/http do.
func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// Timeout implements the method of net.Error.
func (e *timeoutError) Timeout() bool { return true }

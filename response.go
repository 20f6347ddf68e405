package sailpoint

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// readResponse reads a response and returns its failure, or that of a request
// without one. The event has no meaning if the failure is nil.
func (c *call) readResponse(resp *http.Response, err error) (event, *Error) {
	if err != nil {
		failure := c.lastFailure()
		if failure.StatusCode == http.StatusUnauthorized {
			failure = &Error{} // about an earlier bearer
		}
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
	event, failure := c.bodyFailure(err)
	if event == incomplete {
		c.readClock(resp)
	}
	return event, failure
}

// readFailure returns the failure in an unsuccessful response.
func (c *call) readFailure(resp *http.Response) (event, *Error) {
	failure := c.newFailure()
	if resp.StatusCode < http.StatusMultipleChoices {
		_ = resp.Body.Close() // not read, because it may hold a secret
		failure.invalid = true
		failure.Err = errors.New("the response has an unexpected status")
		return untrusted, failure
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	_ = resp.Body.Close()
	failure.readProblem(body, c.kind == kindFetch, c.redactor())
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

// newFailure returns the failure of an attempt that got a response.
func (c *call) newFailure() *Error {
	return &Error{StatusCode: c.attempt.status, RequestID: c.requestID()}
}

// requestID returns the gateway's id of the request. For the token endpoint it
// is "", because an Error shows none of its texts.
func (c *call) requestID() string {
	if c.kind == kindFetch {
		return ""
	}
	return c.redactor().Text(c.attempt.requestID)
}

// redirected returns the error of a 3xx response. It doesn't name the host for
// the token endpoint.
func (c *call) redirected() error {
	if c.kind == kindFetch {
		return errors.New("a redirect was not followed")
	}
	return fmt.Errorf("a redirect to the host %.200q was not followed", c.redactor().Text(c.attempt.redirect))
}

// bodyFailure returns the failure of a successful response whose body was read
// up to err.
func (c *call) bodyFailure(err error) (event, *Error) {
	failure := c.newFailure()
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

// cutShort returns the error of a response that was partly read, up to err.
func (c *call) cutShort(err error) error {
	_, failure := c.bodyFailure(err)
	return c.finalError(failure)
}

// cause returns err for use in an Error. It removes the URL and secrets, and
// names the time limit that has passed.
func (c *call) cause(err error) error {
	for wrapper := (*url.Error)(nil); errors.As(err, &wrapper) && wrapper.Err != nil; {
		err = wrapper.Err
	}
	err = withoutOtherCall(err)
	switch ended := c.ctx.Err(); {
	case ended != nil && !errors.Is(err, ended):
		err = errors.Join(ended, err)
	case c.attempt != nil && c.attempt.limitReached() != nil:
		err = c.attempt.limitReached()
	}
	return c.redactor().Error(err)
}

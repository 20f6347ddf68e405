package sailpointtest

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Fault describes one failure, for [Tenant.Inject]. A fault applies to the
// first request that it matches, and only to that one. To make three requests
// fail, inject it three times. If several faults match a request, the one
// injected first applies. A fault that replaces the response also does so for a
// request with invalid credentials or over the rate limit.
//
// The fields decide whether the request is carried out, and which response it
// gets:
//
//	Fault{Err: err}                         not carried out; no response
//	Fault{Status: 503}                      not carried out; response 503
//	Fault{Committed: true}                  carried out; no response (io.ErrUnexpectedEOF)
//	Fault{Committed: true, Err: err}        carried out; no response
//	Fault{Committed: true, Status: 503}     carried out; response 503
//	Fault{CutAfter: 10}                     carried out; ten bytes of the tenant's own response
//	Fault{Header: h}, Fault{Body: "<html>"} carried out; the tenant's own response with that replaced
//	Fault{Delay: d}                         carried out after d; the tenant's own response
//	Fault{Committed: true, Delay: d}        carried out; no response, after d
//	Fault{Committed: true, Delay: -d}       no response; carried out after d, as if a proxy held it back
//	Fault{}                                 carried out; the tenant's own response
//
// A 429 that asks to wait is
//
//	Fault{Status: 429, Header: http.Header{"Retry-After": {"7"}}}
//
// A 404 as the API sends it has a detailCode or a trackingId. Without them the
// client treats it as a proxy's, which doesn't show that a token is gone:
//
//	Fault{Method: "DELETE", Status: 404, Body: `{"detailCode":"404 Not found"}`}
//
// To make a later request fail, first let the earlier ones pass. This loses the
// response to the second list:
//
//	tenant.Inject(Fault{Method: "GET"}, Fault{Method: "GET", Committed: true})
//
// To send a stale response, set Status to 200 and Body to that of an earlier
// response.
type Fault struct {
	// Method and Path select the requests that match. An empty one matches any.
	// Path is the template of the operation, such as
	// "/v2024/personal-access-tokens/{id}", as in the Op of the client's
	// errors. For the token endpoint it is "/oauth/token".
	Method, Path string

	// Committed makes the tenant carry the request out and then lose the
	// response, as if the connection broke. If Status, Header, Body, CutAfter
	// or Err is set, the caller gets what these say instead.
	Committed bool

	// Delay passes before the response, and before the request is carried out
	// unless Committed is set. If the request's context ends during the delay,
	// there is no response, and the steps after the delay are skipped.
	//
	// With Committed, a negative Delay ends the request at once and carries it
	// out that much later, as if a proxy held it back. The bearer is checked
	// when the request arrives. There is no response unless Status is set,
	// because the tenant's own isn't known yet. Without Committed, a negative
	// Delay is ignored.
	Delay time.Duration

	Status int         // replaces the tenant's own, unless it is 0
	Header http.Header // replaces headers by name; a nil value removes one

	// Body replaces the tenant's own body. If Body is "", the body is empty if
	// Status is set, and otherwise the tenant's own. An error without a body
	// has no trackingId and no messages.
	Body string

	// CutAfter ends the body after this many bytes with io.ErrUnexpectedEOF.
	// Over HTTP it closes the connection. 0 sends the whole body. A negative
	// value sends none of it. It has no effect on a body that isn't longer.
	CutAfter int

	// Err is returned by RoundTrip instead of a response. Over HTTP the
	// connection is closed.
	//
	// Without Committed, an Err that wraps a [*net.OpError] of a dial or a
	// [*net.DNSError] means that no connection was made. Then the GotConn hook
	// of a [net/http/httptrace.ClientTrace] is not called. [Tenant.Requests]
	// doesn't return the request, because it never arrived.
	Err error
}

// Inject adds faults, which make later requests fail. Each stays until one
// request has matched it. [Tenant.Unused] returns those that are left.
func (t *Tenant) Inject(faults ...Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = append(t.faults, cloneFaults(faults)...)
}

// Unused returns a copy of the injected faults that no request has matched yet.
// At the end of a test it should be empty.
func (t *Tenant) Unused() []Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	return cloneFaults(t.faults)
}

func cloneFaults(faults []Fault) []Fault {
	faults = slices.Clone(faults)
	for i := range faults {
		faults[i].Header = faults[i].Header.Clone()
	}
	return faults
}

// takeFault removes and returns the fault that matches a request. If no fault
// matches, it returns the zero Fault.
func (t *Tenant) takeFault(req *request) Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.faults, func(f Fault) bool {
		return (f.Method == "" || f.Method == req.method) && (f.Path == "" || f.Path == req.template)
	})
	if i < 0 {
		return Fault{}
	}
	f := t.faults[i]
	t.faults = slices.Delete(t.faults, i, i+1)
	return f
}

// failsToConnect reports whether the request never reaches the tenant.
func (f *Fault) failsToConnect() bool {
	var dial *net.OpError
	var lookup *net.DNSError
	return !f.Committed && (errors.As(f.Err, &dial) && dial.Op == "dial" || errors.As(f.Err, &lookup))
}

// lostResponse returns the error that replaces the response, or nil.
func (f *Fault) lostResponse() error {
	switch {
	case f.Err != nil:
		return f.Err
	case !f.Committed || f.Status != 0:
		return nil
	case f.Delay < 0, f.Header == nil && f.Body == "" && f.CutAfter == 0:
		return io.ErrUnexpectedEOF
	}
	return nil
}

// respond carries a request out as far as f allows, and returns the response as
// it is sent.
func (t *Tenant) respond(ctx context.Context, req *request, f Fault) (wireResponse, error) {
	var own response
	switch {
	case f.Committed && f.Delay < 0:
		t.carryOutLate(req, -f.Delay)
	case f.Committed:
		own = t.carryOut(req)
	}
	if err := sleep(ctx, f.Delay); err != nil {
		return wireResponse{}, err
	}
	if err := f.lostResponse(); err != nil {
		return wireResponse{}, err
	}
	if !f.Committed && f.Status == 0 {
		own = t.carryOut(req)
	}
	return f.apply(own, t.now()), nil
}

// apply replaces parts of the tenant's own response, and adds the headers that
// every response has.
func (f *Fault) apply(own response, now time.Time) wireResponse {
	r := wireResponse{status: own.status, header: http.Header{}}
	maps.Copy(r.header, own.header)
	switch {
	case f.Status != 0 || f.Body != "":
		r.body = []byte(f.Body)
		r.header = http.Header{}
		if f.Body != "" {
			r.header.Set("Content-Type", contentType(r.body))
		}
	case own.body != nil:
		r.body = own.body()
	}
	if f.Status != 0 {
		r.status = f.Status
	}
	r.header.Set("Date", now.UTC().Format(http.TimeFormat))
	r.header.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	r.header.Set("SLPT-Request-ID", randomHex(16))
	if r.status < 200 || r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		r.body = nil // these statuses have no body (RFC 9110 section 6.4.1)
	} else {
		r.header.Set("Content-Length", strconv.Itoa(len(r.body)))
	}
	for name, values := range f.Header {
		r.header[http.CanonicalHeaderKey(name)] = values
	}
	r.sent = len(r.body)
	if f.CutAfter != 0 {
		r.sent = min(r.sent, max(f.CutAfter, 0))
	}
	return r
}

func contentType(body []byte) string {
	if jsontext.Value(body).IsValid() {
		return "application/json"
	}
	return http.DetectContentType(body)
}

// sleep waits for d. If ctx ends first, it returns the cause.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lateRequest is carried out after its response.
type lateRequest struct {
	due       time.Time
	operation operation
}

func (t *Tenant) carryOutLate(req *request, delay time.Duration) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.carryOutDue(now)
	t.late = append(t.late, lateRequest{now.Add(delay), t.admit(req, now)})
}

// carryOutDue carries out the late requests that are due. It runs before every
// access to the tenant. This looks the same as carrying them out on time, and
// needs no goroutine.
func (t *Tenant) carryOutDue(now time.Time) {
	slices.SortStableFunc(t.late, func(a, b lateRequest) int { return a.due.Compare(b.due) })
	for len(t.late) > 0 && !now.Before(t.late[0].due) {
		due := t.late[0]
		t.late = t.late[1:]
		due.operation(due.due)
	}
}

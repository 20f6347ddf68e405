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

// Fault is one thing that goes wrong, for [Tenant.Inject]. It meets the first request that it matches, before anything
// else does (the rate limit and the check of credentials too), and is used up by it.
//
// What it says of the reply decides whether the request is carried out:
//
//	Fault{Err: err}                         not carried out; no answer
//	Fault{Status: 503}                      not carried out; answered 503
//	Fault{Committed: true}                  carried out; no answer (io.ErrUnexpectedEOF)
//	Fault{Committed: true, Err: err}        carried out; no answer
//	Fault{Committed: true, Status: 503}     carried out; answered 503
//	Fault{CutAfter: 10}                     carried out; ten bytes of the tenant's own answer
//	Fault{Header: h}, Fault{Body: "<html>"} carried out; the tenant's own answer with that replaced
//	Fault{Delay: d}                         carried out after d, and answered
//	Fault{Committed: true, Delay: d}        carried out; after d, no answer
//	Fault{Committed: true, Delay: -d}       no answer; carried out after d, as a request that a proxy held back
//
// A stale answer is one with the Body of an earlier answer and Status 200.
type Fault struct {
	// Method and Path say which requests match; "" matches any. Path is the template of the operation, such as
	// "/v2024/personal-access-tokens/{id}", as in the Op of the client's errors, or "/oauth/token".
	Method, Path string

	// Committed carries the request out and then loses the reply, or replaces it where Status, Header, Body, CutAfter
	// or Err say by what.
	Committed bool

	// Delay passes before the reply, and before the request is carried out unless Committed. If the request's context
	// ends meanwhile there is no reply, and what was to come after the delay doesn't come.
	//
	// A negative Delay together with Committed is the time from the reply to the carrying out. The request has been
	// authenticated by then, and the tenant's own answer, which is not known yet, is lost. Otherwise it is none.
	Delay time.Duration

	Status int         // replaces the tenant's own; 0: doesn't
	Header http.Header // replaces the tenant's headers of these names; a nil value removes one
	Body   string      // replaces the tenant's own; "" with a Status is an empty body, else the tenant's own

	// CutAfter ends the body after so many bytes with io.ErrUnexpectedEOF, or over HTTP by closing the connection.
	// 0: whole; negative: before the first byte. A body that is not longer is left whole.
	CutAfter int

	// Err is returned by RoundTrip instead of an answer. Over HTTP the connection is closed.
	//
	// A [*net.OpError] of a dial, or a [*net.DNSError], in its chain makes it the failure to get a connection, unless
	// Committed: the GotConn hook of a [net/http/httptrace.ClientTrace] is not called, and [Tenant.Requests] doesn't
	// hold the request, which has never arrived.
	Err error
}

// Inject adds faults to those that wait for a request.
func (t *Tenant) Inject(faults ...Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = append(t.faults, cloneFaults(faults)...)
}

// Unused returns the faults that no request has met yet.
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

// takeFault returns the fault that a request meets. The zero Fault is none.
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

// noConnection reports whether the request doesn't get as far as to the tenant.
func (f *Fault) noConnection() bool {
	var dial *net.OpError
	var lookup *net.DNSError
	return !f.Committed && (errors.As(f.Err, &dial) && dial.Op == "dial" || errors.As(f.Err, &lookup))
}

// noReply returns the error in place of an answer, or nil.
func (f *Fault) noReply() error {
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

// answer carries a request out as far as f lets it, and returns the answer as it goes on the wire.
func (t *Tenant) answer(ctx context.Context, req *request, f Fault) (wireReply, error) {
	var own reply
	switch {
	case f.Committed && f.Delay < 0:
		t.carryOutLate(req, -f.Delay)
	case f.Committed:
		own = t.carryOut(req)
	}
	if err := sleep(ctx, f.Delay); err != nil {
		return wireReply{}, err
	}
	if err := f.noReply(); err != nil {
		return wireReply{}, err
	}
	if !f.Committed && f.Status == 0 {
		own = t.carryOut(req)
	}
	return f.apply(own, t.now()), nil
}

// apply replaces what f replaces in the tenant's own answer, and adds what all answers have.
func (f *Fault) apply(own reply, now time.Time) wireReply {
	r := wireReply{status: own.status, header: http.Header{}}
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
		r.body = nil // has none, whatever it is given (RFC 9110 section 6.4.1)
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

// sleep waits, unless ctx ends before.
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

// lateRequest is one that is carried out after its reply.
type lateRequest struct {
	due       time.Time
	operation operation
}

func (t *Tenant) carryOutLate(req *request, delay time.Duration) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(now)
	t.late = append(t.late, lateRequest{now.Add(delay), t.admit(req, now)})
}

// settle carries out the late requests that are due. It runs before anyone looks at the tenant, which takes no
// goroutine and can't be told from their being carried out in time.
func (t *Tenant) settle(now time.Time) {
	slices.SortStableFunc(t.late, func(a, b lateRequest) int { return a.due.Compare(b.due) })
	for len(t.late) > 0 && !now.Before(t.late[0].due) {
		due := t.late[0]
		t.late = t.late[1:]
		due.operation(due.due)
	}
}

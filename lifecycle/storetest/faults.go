package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sailpoint-go/sailpoint/internal/faultproxy"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

const (
	callTimeout = time.Second            // after which the context of a call that hangs ends
	overdue     = 5 * time.Second        // after which a call that should have returned counts as hanging
	saveTimeout = 10 * time.Second       // of a Save whose response is cut, which may be retried
	lateWrite   = 300 * time.Millisecond // in which a Save that has returned may still take effect
)

var errOverdue = errors.New("the call did not return when its context ended")

// withTimeout calls f with a context that ends after callTimeout.
func withTimeout(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case err := <-done:
		return err
	case <-time.After(overdue):
		return errOverdue
	}
}

// requireError returns an error unless a call that can't succeed returned one
// in time.
func requireError(call string, err error) error {
	if err == nil {
		return fmt.Errorf("%s returned no error", call)
	}
	if errors.Is(err, errOverdue) {
		return fmt.Errorf("%s: %w", call, err)
	}
	return nil
}

// outcome returns what is stored after a Save of c over now returned saveErr.
// It returns an error if saveErr is not true.
func (p Place) outcome(ctx context.Context, saveErr error, now, c lifecycle.Credential) (lifecycle.Credential, error) {
	time.Sleep(lateWrite)
	got, err := p.Open().Load(ctx)
	switch {
	case err != nil:
	case equal(got, c) && saysUnchanged(saveErr):
		err = fmt.Errorf("the Credential is stored, but Save returned an error that says it is not: %w\n%s", saveErr, adviceOn(saveErr))
	case !equal(got, c) && saveErr == nil:
		err = errors.New("the Credential is not stored, but Save returned nil")
	case !equal(got, c) && !equal(got, now):
		err = errors.New("neither the Credential of before nor the saved one is stored")
	}
	return got, withoutSecret(err)
}

// adviceOn says what to do about a saveErr that wrongly says that nothing was
// changed.
func adviceOn(saveErr error) string {
	if errors.Is(saveErr, lifecycle.ErrStoreConflict) {
		return "Switch the client's retries off: a write that is sent twice conflicts with itself."
	}
	return "Don't wrap ErrNotStored around a timeout, a lost connection or a 5xx."
}

func (p Place) newProxy() (*faultproxy.Proxy, error) {
	if p.OpenAt == nil {
		return nil, notSet("OpenAt")
	}
	return faultproxy.NewOn(p.network, p.Address)
}

// openBehindProxy returns a store that has a connection through a proxy, and
// what it has stored.
func (p Place) openBehindProxy(ctx context.Context) (s lifecycle.Store, proxy *faultproxy.Proxy, now lifecycle.Credential, err error) {
	if proxy, err = p.newProxy(); err != nil {
		return nil, nil, now, err
	}
	s = p.OpenAt(proxy.Address)
	if _, now, err = put(ctx, s); err != nil {
		proxy.Close()
	}
	return s, proxy, now, err
}

func checkUnreachable(ctx context.Context, p Place) error {
	proxy, err := p.newProxy()
	if err != nil {
		return err
	}
	proxy.Close() // nobody listens there any more
	s := p.OpenAt(proxy.Address)
	err = withTimeout(ctx, func(ctx context.Context) error { _, err := s.Load(ctx); return err })
	if err := requireError("Load", err); err != nil {
		return err
	}
	now, err := p.Open().Load(ctx)
	if err != nil {
		return err
	}
	err = withTimeout(ctx, func(ctx context.Context) error { return save(ctx, s, newCredential(now.Version)) })
	if err := requireError("Save", err); err != nil {
		return err
	}
	if errors.Is(err, lifecycle.ErrStoreConflict) {
		return errors.New("Save returned ErrStoreConflict without a server")
	}
	return requireStored(ctx, p, now)
}

func checkHanging(ctx context.Context, p Place) error {
	s, proxy, now, err := p.openBehindProxy(ctx)
	if err != nil {
		return err
	}
	defer proxy.Close()
	for _, mode := range []faultproxy.Mode{faultproxy.HoldRequests, faultproxy.HoldResponses} {
		proxy.Set(mode)
		err := withTimeout(ctx, func(ctx context.Context) error { _, err := s.Load(ctx); return err })
		if err := requireError("Load", err); err != nil {
			return err
		}
		c := newCredential(now.Version)
		saveErr := withTimeout(ctx, func(ctx context.Context) error { return save(ctx, s, c) })
		if err := requireError("Save", saveErr); err != nil {
			return err
		}
		proxy.Set(faultproxy.Pass)
		if now, err = p.outcome(ctx, saveErr, now, c); err != nil {
			return err
		}
	}
	return nil
}

// maxResponses is how many responses of one Save are lost in turn.
const maxResponses = 4

func checkLostResponse(ctx context.Context, p Place) error {
	if p.OpenAt == nil {
		return notSet("OpenAt")
	}
	anyStored := false
	for n := range maxResponses {
		// A client that retries gets a response to its second request, or it
		// doesn't.
		for _, mode := range []faultproxy.Mode{faultproxy.CutResponse, faultproxy.CutResponses} {
			stored, err := p.saveWithCut(ctx, n, mode)
			if err != nil {
				return fmt.Errorf("response %d was lost: %w", n+1, err)
			}
			anyStored = anyStored || stored
		}
	}
	if !anyStored {
		return errors.New("no Save whose response was cut took effect, so nothing was checked: make OpenAt connect to its address")
	}
	return nil
}

func checkLostRequest(ctx context.Context, p Place) error {
	stored, err := p.saveWithCut(ctx, 0, faultproxy.CutRequests)
	if err == nil && stored {
		err = errors.New("the Credential is stored: the client sent it again later, or OpenAt does not connect to its address")
	}
	return err
}

// saveWithCut saves while the proxy cuts connections once this many responses
// have passed: a new Credential, and the same one again as a fence. It reports
// whether one of them was cut and took effect.
func (p Place) saveWithCut(ctx context.Context, responses int, mode faultproxy.Mode) (stored bool, err error) {
	for _, isFence := range []bool{false, true} {
		took, err := p.saveOnceWithCut(ctx, responses, mode, isFence)
		if err != nil {
			return false, err
		}
		stored = stored || took
	}
	return stored, nil
}

func (p Place) saveOnceWithCut(ctx context.Context, responses int, mode faultproxy.Mode, isFence bool) (stored bool, err error) {
	s, proxy, now, err := p.openBehindProxy(ctx)
	if err != nil {
		return false, err
	}
	defer proxy.Close()
	c := newCredential(now.Version)
	if isFence {
		c = rewritten(now)
	}
	proxy.SetAfter(responses, mode)
	short, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	saveErr := save(short, s, c)
	wasCut := proxy.Cuts() > 0 || mode == faultproxy.CutRequests
	proxy.Set(faultproxy.Pass)
	got, err := p.outcome(ctx, saveErr, now, c)
	if err != nil {
		return false, err
	}
	if _, _, err := put(ctx, s); err != nil {
		return false, fmt.Errorf("with the connection restored: %w", err)
	}
	return wasCut && equal(got, c), nil
}

func checkDenied(ctx context.Context, p Place) error {
	if p.Deny == nil {
		return notSet("Deny")
	}
	s := p.Open()
	_, now, err := put(ctx, s)
	if err != nil {
		return err
	}
	restore := p.Deny()
	c, loadErr := s.Load(ctx)
	saveErr := save(ctx, s, newCredential(now.Version))
	checker, hasCheck := s.(lifecycle.SaveChecker)
	allowed := hasCheck && checker.CheckSave(ctx) == nil
	restore()
	if loadErr == nil {
		return fmt.Errorf("Load returned no error and id %.8q", c.ID)
	}
	if saveErr == nil || errors.Is(saveErr, lifecycle.ErrStoreConflict) {
		return fmt.Errorf("Save returned %w", orNil(saveErr))
	}
	if allowed {
		return errors.New("CheckSave returned nil, although Save fails")
	}
	return requireStored(ctx, p, now)
}

func checkRestart(ctx context.Context, p Place) error {
	if p.Restart == nil {
		return notSet("Restart")
	}
	s := p.Open()
	_, now, err := put(ctx, s)
	if err != nil {
		return err
	}
	p.Restart()
	if err := requireStored(ctx, p, now); err != nil {
		return err
	}
	for range 20 { // until the store knows that its connection has ended
		if _, _, err = put(ctx, s); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("a store that was open before the restart does not recover: %w", err)
}

package sailpoint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Limiter delays requests to the API, so that they stay below its rate limit.
// The *rate.Limiter of package golang.org/x/time/rate implements it.
type Limiter interface {
	// Wait returns when the next request may be sent. An error ends the call.
	Wait(ctx context.Context) error
}

// SharedLimiter is a Limiter for several processes, for example one that keeps
// its state in a database. If one process receives a 429, all of them wait. Set
// it as Config.Limiter.
//
// After a 429 the client calls RateLimited, and the SharedLimiter stores until
// when to wait. Until then its Wait returns an [*Error] with RetryAfter set to
// the time that is left. The client waits for that time and calls Wait again.
// If the time is longer than Config.MaxRetryWait, the call fails as after a 429
// of its own. This wait doesn't count as a retry.
type SharedLimiter interface {
	Limiter
	// RateLimited is called after a 429. For the time retryAfter the client
	// sends nothing. ctx has the values of the call's context, but it ends
	// after 1 s and not when the call's context ends.
	RateLimited(ctx context.Context, retryAfter time.Duration)
}

// rateLimitedTimeout is the time limit of SharedLimiter.RateLimited.
const rateLimitedTimeout = time.Second

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

// awaitConsent waits until the limiter and the client's pause let a request
// through. A SharedLimiter is called again after a pause, because its consent
// may be valid only for a moment.
func (c *call) awaitConsent(ctx context.Context) error {
	_, isShared := c.client.cfg.Limiter.(SharedLimiter)
	for {
		consent, err := c.askLimiter(ctx)
		if err != nil {
			return err
		}
		outdated := isShared && c.client.pause.left() > 0
		if err := c.waitOut(ctx, &c.client.pause); err != nil {
			return err
		}
		if consent && !outdated {
			return nil
		}
	}
}

// askLimiter waits for the limiter. It reports false if a SharedLimiter
// returned the rate limit of another client. The client then pauses.
func (c *call) askLimiter(ctx context.Context) (consent bool, err error) {
	limiter := c.client.cfg.Limiter
	if limiter == nil {
		return true, nil
	}
	err = limiter.Wait(ctx)
	if err == nil {
		return true, nil
	}
	if ctx.Err() != nil {
		return false, fmt.Errorf("limiter: %w", joinOnce(ctx.Err(), withoutOtherCall(err)))
	}
	var limited *Error
	if _, isShared := limiter.(SharedLimiter); isShared && errors.As(err, &limited) && limited.RetryAfter > 0 {
		wait := min(max(limited.RetryAfter, spread), maxPause) // a shorter one could end before the wait begins
		c.client.pause.extend(time.Now().Add(wait), http.StatusTooManyRequests)
		return false, nil
	}
	return false, fmt.Errorf("limiter: %w", err)
}

// reportPause reports a pause of the client to a SharedLimiter, even if the
// call has ended meanwhile.
func (c *call) reportPause(p *pause, retryAfter time.Duration) {
	shared, isShared := c.client.cfg.Limiter.(SharedLimiter)
	if !isShared || p != &c.client.pause {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), rateLimitedTimeout)
	defer cancel()
	shared.RateLimited(ctx, min(retryAfter, maxPause))
}

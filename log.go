package sailpoint

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// log writes the log record of an attempt.
func (c *call) log(resp *http.Response, failure *Error) {
	ctx := c.logContext(c.attempts)
	if c.attempt == nil || !c.client.logs(ctx, slog.LevelDebug) {
		return
	}
	attrs := append(c.logAttrs(8), slog.String("method", c.method), slog.String("path", c.template),
		slog.Int("attempt", c.attempts), slog.Duration("duration", time.Since(c.attempt.started)))
	if resp != nil {
		attrs = append(attrs, slog.Int("status", resp.StatusCode), slog.String("request_id", redact.Printable(c.requestID())))
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

// logContext returns the context of a record about the attempt with this
// number. It doesn't end with the attempt, so that the handler may use it
// afterwards.
func (c *call) logContext(attempt int) context.Context {
	if c.client.cfg.Logger == nil {
		return c.ctx
	}
	return &operationContext{c.ctx, c.method, c.template, attempt}
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

package sailpoint_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}

// operations are the columns of the matrix. Each call returns the error of one operation that never ends in a success.
var operations = []struct {
	name    string
	call    func(context.Context, *sailpoint.Client) error
	success reply
}{
	{"list", func(ctx context.Context, c *sailpoint.Client) error {
		_, err := c.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
		return err
	}, ok(`[` + aToken + `]`)},
	{"all", func(ctx context.Context, c *sailpoint.Client) error {
		for _, err := range c.PersonalAccessTokens.All(ctx, sailpoint.ListPersonalAccessTokensOptions{}) {
			return err
		}
		return nil
	}, ok(`[` + aToken + `]`)},
	{"delete", func(ctx context.Context, c *sailpoint.Client) error {
		return c.PersonalAccessTokens.Delete(ctx, "id")
	}, reply{status: 204}},
	{"patch that replaces", func(ctx context.Context, c *sailpoint.Client) error {
		_, err := c.PersonalAccessTokens.Patch(ctx, "id", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
		return err
	}, ok(aToken)},
	{"any patch", func(ctx context.Context, c *sailpoint.Client) error {
		_, err := c.PersonalAccessTokens.Patch(ctx, "id", sailpoint.NewPersonalAccessTokenPatch().With(
			sailpoint.PatchOperation{Op: sailpoint.OpAdd, Path: "/scope/-", Value: "a"}))
		return err
	}, ok(aToken)},
	{"create", func(ctx context.Context, c *sailpoint.Client) error {
		_, err := c.PersonalAccessTokens.Create(ctx, inAYear)
		return err
	}, ok(created)},
}

// What follows a failure that comes again and again, with three retries allowed: how often the request is sent, and
// what the caller is told of a changing operation.
const (
	fails    = "1"  // the failure is returned: not carried out
	unsure   = "1?" // the failure is returned: it may have been carried out
	surely   = "1!" // the failure is returned: it was carried out
	retries  = "4"
	retries4 = "4?" // sent again, and in the end it may have been carried out
	repeats  = "2"
	succeeds = "ok"
)

// TestMatrix is the matrix of what is sent again and what a failure means, written down a second time: every cell of
// the table in retry.go has one here.
func TestMatrix(t *testing.T) {
	cut := reply{status: 200, body: `[{"id":`, cut: io.ErrUnexpectedEOF}
	for _, row := range []struct {
		name  string
		reply reply
		want  [6]string // list, all, delete, patch that replaces, any patch, create
	}{
		{"never sent", reply{err: errRefused, unsent: true}, [...]string{retries, retries, retries, retries, retries, retries}},
		{"temporary failure of DNS", reply{err: &net.DNSError{IsTemporary: true}, unsent: true}, [...]string{retries, retries, retries, retries, retries, retries}},
		{"host unknown", reply{err: &net.DNSError{IsNotFound: true}, unsent: true}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"certificate", reply{err: &tls.CertificateVerificationError{Err: errors.New("unknown authority")}, unsent: true}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"TLS alert", reply{err: &net.OpError{Op: "remote error", Err: errors.New("tls: protocol version")}, unsent: true}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"no TLS", reply{err: http.ErrSchemeMismatch, unsent: true}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"reset", reply{err: errReset}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"end of file", reply{err: io.EOF}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"header too large", reply{err: errors.New("net/http: server response headers exceeded 262144 bytes; aborted")}, [...]string{fails, fails, unsure, unsure, unsure, unsure}},
		{"answer cut short", cut, [...]string{retries, retries, succeeds, surely, surely, surely}},
		{"HTML of success", ok("<html>Sign in</html>"), [...]string{fails, fails, unsure, unsure, unsure, unsure}},
		{"answer too large", ok(`[{"id":"` + strings.Repeat("x", 3<<20)), [...]string{fails, fails, unsure, unsure, unsure, unsure}},
		{"other success", reply{status: 206}, [...]string{fails, fails, succeeds, unsure, unsure, unsure}},
		{"302", reply{status: 302, header: map[string]string{"Location": "https://evil.example/"}}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"307", reply{status: 307, header: map[string]string{"Location": "/v2024/personal-access-tokens/"}}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"400", reply{status: 400}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"401", reply{status: 401}, [...]string{repeats, repeats, repeats, repeats, repeats, repeats}},
		{"403", reply{status: 403}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"404", reply{status: 404}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"408", reply{status: 408}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"409", reply{status: 409}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"418", reply{status: 418}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"425", reply{status: 425}, [...]string{repeats, repeats, repeats, repeats, repeats, repeats}},
		{"429", reply{status: 429}, [...]string{retries, retries, retries, retries, retries, retries}},
		{"500", reply{status: 500}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"501", reply{status: 501}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"502", reply{status: 502}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"503", reply{status: 503}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"504", reply{status: 504}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"505", reply{status: 505}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"511", reply{status: 511}, [...]string{fails, fails, unsure, unsure, unsure, unsure}},
		{"999", reply{status: 999}, [...]string{fails, fails, unsure, unsure, unsure, unsure}},
	} {
		for i, op := range operations {
			t.Run(row.name+"/"+op.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := &wire{script: []reply{row.reply}}
					client := w.client(t, func(cfg *sailpoint.Config) { cfg.MaxListBytes = 2 << 20 })
					err := op.call(t.Context(), client)
					assertOutcome(t, row.want[i], w.calls(), err)
				})
			})
		}
	}
}

func assertOutcome(t *testing.T, want string, sent int, err error) {
	t.Helper()
	if want == succeeds {
		require.NoError(t, err)
		require.Equal(t, 1, sent)
		return
	}
	require.Error(t, err)
	assert.Equal(t, want[:1], fmt.Sprint(sent), "requests")
	unknown := strings.ContainsAny(want, "?!")
	assert.Equal(t, unknown, errors.Is(err, sailpoint.ErrOutcomeUnknown), "ErrOutcomeUnknown: %v", err)
	var failure *sailpoint.Error
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, sent, failure.Attempts)
	var outcome *sailpoint.CreateOutcomeError
	if errors.As(err, &outcome) {
		assert.True(t, unknown)
		assert.Equal(t, want == surely, outcome.Created)
	}
}

// TestRecovery: a failure that passes is not the caller's.
func TestRecovery(t *testing.T) {
	for _, op := range operations {
		for name, failure := range map[string]reply{
			"never sent": {err: errRefused, unsent: true}, "401": {status: 401}, "425": {status: 425}, "429": {status: 429},
		} {
			t.Run(op.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := &wire{script: []reply{failure, op.success}}
					require.NoError(t, op.call(t.Context(), w.client(t)))
					require.Equal(t, 2, w.calls())
					first, second := w.sent[0], w.sent[1]
					if name == "401" {
						require.Equal(t, 2, w.fetches)
						first = strings.Replace(first, "bearer-1", "bearer-2", 1)
					}
					require.Equal(t, first, second)
				})
			})
		}
	}
}

func TestDeleteAnswered404(t *testing.T) {
	for name, tt := range map[string]struct {
		script []reply
		want   error
	}{
		"at first":                           {[]reply{{status: 404}}, sailpoint.ErrNotFound},
		"after a lost answer":                {[]reply{{err: errReset}, {status: 404}}, nil},
		"after 503":                          {[]reply{{status: 503}, {status: 404}}, nil},
		"after an attempt that was not sent": {[]reply{{err: errRefused, unsent: true}, {status: 404}}, sailpoint.ErrNotFound},
		"after 429":                          {[]reply{{status: 429}, {status: 404}}, sailpoint.ErrNotFound},
		"after 503 and 401":                  {[]reply{{status: 503}, {status: 401}, {status: 404}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{script: tt.script}
				err := w.client(t).PersonalAccessTokens.Delete(t.Context(), "id")
				require.ErrorIs(t, err, tt.want)
				require.Equal(t, len(tt.script), w.calls())
			})
		})
	}
}

// TestDoubtStays: a later definite answer doesn't tell what became of the earlier attempt.
func TestDoubtStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{script: []reply{{err: errReset}, {status: 403}}}
		_, err := w.client(t).PersonalAccessTokens.Patch(t.Context(), "id", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
		require.ErrorIs(t, err, sailpoint.ErrForbidden)
		require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
	})
}

func TestMaxRetries(t *testing.T) {
	for configured, want := range map[int]int{0: 4, 1: 2, 5: 6, -1: 1} {
		t.Run(fmt.Sprint(configured), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{script: []reply{{status: 503}}}
				client := w.client(t, func(cfg *sailpoint.Config) { cfg.MaxRetries = configured })
				_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
				require.ErrorIs(t, err, sailpoint.ErrServer)
				require.Equal(t, want, w.calls())
			})
		})
	}
}

func TestRefusedBearerIsRenewedWithoutRetries(t *testing.T) {
	w := &wire{script: []reply{{status: 401}, ok(`[]`)}}
	client := w.client(t, func(cfg *sailpoint.Config) { cfg.MaxRetries = -1 })
	_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
	require.NoError(t, err)
}

// TestRetryAfter: what the server asks for is waited in full, or returned at once.
func TestRetryAfter(t *testing.T) {
	const date = "Fri, 31 Dec 1999 23:00:00 GMT" // an hour behind the bubble's clock
	for _, tt := range []struct {
		value, date string
		want        time.Duration // -1: not understood, so the backoff's
		returned    bool
	}{
		{value: "17", want: 17 * time.Second},
		{value: "60", want: 60 * time.Second},
		{value: "61", want: 61 * time.Second, returned: true},
		{value: "86400", want: 24 * time.Hour, returned: true},
		{value: "9223372037", want: 9223372036 * time.Second, returned: true},
		{value: "18446744073", want: 9223372036 * time.Second, returned: true},
		{value: "99999999999999999999999", want: 9223372036 * time.Second, returned: true},
		{value: "Sat, 01 Jan 2000 00:00:20 GMT", want: 20 * time.Second},
		{value: "Fri, 31 Dec 1999 23:00:30 GMT", date: date, want: 30 * time.Second},
		{value: "Friday, 31-Dec-99 23:00:30 GMT", date: date, want: 30 * time.Second},
		{value: "Fri Dec 31 23:00:30 1999", date: date, want: 30 * time.Second},
		{value: "Fri, 31 Dec 9999 23:59:59 GMT", want: 1<<63 - 1, returned: true},
		{value: "Fri, 31 Dec 1999 00:00:00 GMT", want: -1},
		{value: "0", want: -1},
		{value: "-1", want: -1},
		{value: "1.5", want: -1},
		{value: "5, 10", want: -1},
		{value: "NaN", want: -1},
		{value: "", want: -1},
	} {
		t.Run(tt.value, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limited := reply{status: 429, header: map[string]string{"Retry-After": tt.value}}
				if tt.date != "" {
					limited.header["Date"] = tt.date
				}
				w := &wire{script: []reply{limited, ok(created)}}
				started := time.Now()
				_, err := w.client(t).PersonalAccessTokens.Create(t.Context(), inAYear)
				waited := time.Since(started)
				if tt.returned {
					require.ErrorIs(t, err, sailpoint.ErrRateLimited)
					require.NotErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
					var failure *sailpoint.Error
					require.ErrorAs(t, err, &failure)
					assert.Equal(t, tt.want, failure.RetryAfter)
					assert.Zero(t, waited)
					assert.Equal(t, 1, w.calls())
					return
				}
				require.NoError(t, err)
				assert.Equal(t, 2, w.calls())
				if tt.want < 0 {
					assert.Less(t, waited, time.Second, "full jitter of the first backoff, and of the pause")
					return
				}
				assert.GreaterOrEqual(t, waited, tt.want)
				assert.Less(t, waited, tt.want+time.Second)
			})
		})
	}
}

func TestMaxRetryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{script: []reply{{status: 429, header: map[string]string{"Retry-After": "120"}}, ok(`[]`)}}
		client := w.client(t, func(cfg *sailpoint.Config) { cfg.MaxRetryWait = 3 * time.Minute })
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		_, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
		require.NoError(t, err)
	})
}

// TestNoWaitPastTheDeadline: a wait that can't fit is not begun.
func TestNoWaitPastTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{script: []reply{{status: 429, header: map[string]string{"Retry-After": "30"}}, ok(`[]`)}}
		client := w.client(t)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		started := time.Now()
		for range 2 { // the second is held back by the pause, and not sent at all
			_, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
			require.ErrorIs(t, err, sailpoint.ErrRateLimited)
			var failure *sailpoint.Error
			require.ErrorAs(t, err, &failure)
			assert.GreaterOrEqual(t, failure.RetryAfter, 30*time.Second)
			assert.Less(t, failure.RetryAfter, 31*time.Second)
		}
		require.Zero(t, time.Since(started))
		require.Equal(t, 1, w.calls())
	})
}

func TestCallEndsAfterTwoMinutesWithoutADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := (&wire{}).client(t, func(cfg *sailpoint.Config) {
			cfg.HTTPClient.Transport = silent(&wire{})
			cfg.AttemptTimeout = 50 * time.Second
		})
		started := time.Now()
		_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, t.Context().Err())
		require.Equal(t, 2*time.Minute, time.Since(started))
	})
}

// silent answers token requests, and nothing else until the request is cancelled.
func silent(w *wire) transportFunc {
	return func(req *http.Request) (*http.Response, error) {
		if strings.HasSuffix(req.URL.Path, "/oauth/token") {
			return w.RoundTrip(req)
		}
		<-req.Context().Done()
		return nil, context.Cause(req.Context())
	}
}

func TestAttemptTimeout(t *testing.T) {
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{}
				client := w.client(t, func(cfg *sailpoint.Config) {
					cfg.HTTPClient.Transport = silent(w)
					cfg.AttemptTimeout, cfg.MaxRetries = 5*time.Second, -1
				})
				started := time.Now()
				err := op.call(t.Context(), client)
				require.Equal(t, 5*time.Second, time.Since(started))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.NotErrorIs(t, err, context.Canceled)
				require.ErrorContains(t, err, "no answer within 5s")
			})
		})
	}
}

// TestContextThatEndsLater matches the context's error and the last failure.
func TestContextThatEndsLater(t *testing.T) {
	t.Run("in the backoff", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			w := &wire{script: []reply{{status: 503, header: map[string]string{"Retry-After": "10"}}}}
			time.AfterFunc(5*time.Second, cancel)
			err := w.client(t).PersonalAccessTokens.Delete(ctx, "id")
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, sailpoint.ErrServer)
			require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
			require.Equal(t, 1, w.calls())
		})
	})
	t.Run("after the request was sent", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &wire{script: []reply{{then: cancel}}}
		_, err := w.client(t).PersonalAccessTokens.Create(ctx, inAYear)
		require.ErrorIs(t, err, context.Canceled)
		var outcome *sailpoint.CreateOutcomeError
		require.ErrorAs(t, err, &outcome)
		require.Equal(t, 1, w.calls())
	})
	t.Run("with a cause", func(t *testing.T) {
		cause := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		w := &wire{script: []reply{{status: 503, then: func() { cancel(cause) }}}}
		_, err := w.client(t).PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
		require.ErrorIs(t, err, context.Canceled)
	})
}

// TestPauseIsShared: while one call waits for a Retry-After, no other is sent (F32).
func TestPauseIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{script: []reply{{status: 429, header: map[string]string{"Retry-After": "10"}}, ok(`[]`)}}
		client := w.client(t)
		list := func() {
			_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
			assert.NoError(t, err)
		}
		go list()
		synctest.Wait()
		for range 50 {
			go list()
		}
		<-time.After(9 * time.Second)
		synctest.Wait()
		require.Equal(t, 1, w.calls())
		<-time.After(2 * time.Second)
		synctest.Wait()
		require.Equal(t, 52, w.calls())
	})
}

// TestOutageCostsAboutOneRequestACall: the retries of all calls have one budget (F35).
func TestOutageCostsAboutOneRequestACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{script: []reply{{status: 503}}}
		client := w.client(t)
		for range 1000 {
			_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
			require.ErrorIs(t, err, sailpoint.ErrServer)
		}
		require.Equal(t, 1010, w.calls())

		w.script = []reply{ok(`[]`)}
		for range 100 {
			require.NoError(t, operations[0].call(t.Context(), client))
		}
		sent := w.calls()
		w.script = []reply{{status: 503}}
		require.Error(t, operations[0].call(t.Context(), client))
		require.Equal(t, sent+4, w.calls(), "after as many successes the budget is back")
	})
}

func TestRetriesThatSucceedCostNoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		for range 100 {
			w.script = append(w.script, reply{status: 503}, reply{status: 503}, ok(`[]`))
		}
		client := w.client(t)
		for range 100 {
			require.NoError(t, operations[0].call(t.Context(), client))
		}
	})
}

// TestBackoffIsBoundedAndSpread: full jitter below 250 ms, doubled each time up to 10 s.
func TestBackoffIsBoundedAndSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits [8]map[time.Duration]bool
		var longest [8]time.Duration
		for range 200 {
			w := &wire{script: []reply{{status: 429}}}
			var at []time.Time
			client := w.client(t, func(cfg *sailpoint.Config) {
				cfg.MaxRetries = 8
				cfg.Limiter = limiterFunc(func(context.Context) error { at = append(at, time.Now()); return nil })
			})
			require.ErrorIs(t, operations[0].call(t.Context(), client), sailpoint.ErrRateLimited)
			require.Len(t, at, 9)
			for i := range waits {
				if waits[i] == nil {
					waits[i] = map[time.Duration]bool{}
				}
				wait := at[i+1].Sub(at[i])
				waits[i][wait] = true
				longest[i] = max(longest[i], wait)
			}
		}
		for i, bound := 0, 250*time.Millisecond; i < len(waits); i, bound = i+1, min(bound*2, 10*time.Second) {
			assert.Greater(t, len(waits[i]), 190, "spread of wait %d", i)
			assert.LessOrEqual(t, longest[i], bound+250*time.Millisecond, "wait %d", i)
			assert.Greater(t, longest[i], bound*3/4, "wait %d", i)
		}
	})
}

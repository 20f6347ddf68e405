package sailpoint_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
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
	success answer
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
	}, answer{status: 204}},
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

// bulkOperations are in the columns of the two kinds of patch, in this order, and in V1 only.
var bulkOperations = []struct {
	name    string
	call    func(context.Context, *sailpoint.Client) error
	success answer
}{
	{"bulk update that replaces", func(ctx context.Context, c *sailpoint.Client) error {
		_, err := c.PersonalAccessTokens.BulkUpdate(ctx, []string{"id"}, sailpoint.NewPersonalAccessTokenPatch().NeverExpire())
		return err
	}, ok(`[` + aToken + `]`)},
	{"any bulk update", func(ctx context.Context, c *sailpoint.Client) error {
		_, err := c.PersonalAccessTokens.BulkUpdate(ctx, []string{"id"}, sailpoint.NewPersonalAccessTokenPatch().With(
			sailpoint.PatchOperation{Op: sailpoint.OpTest, Path: "/userAwareTokenNeverExpires", Value: true}))
		return err
	}, ok(`[` + aToken + `]`)},
}

func inV1(cfg *sailpoint.Config) { cfg.APIVersion = sailpoint.V1 }

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
	cut := answer{body: `[{"id":`, cut: io.ErrUnexpectedEOF}
	for _, row := range []struct {
		name  string
		reply answer
		want  [6]string // list, all, delete, patch that replaces, any patch, create
	}{
		{"never sent", answer{err: errRefused, unsent: true}, [...]string{retries, retries, retries, retries, retries, retries}},
		{"temporary failure of DNS", answer{err: &net.DNSError{IsTemporary: true}, unsent: true}, [...]string{retries, retries, retries, retries, retries, retries}},
		{"host unknown", answer{err: &net.DNSError{IsNotFound: true}, unsent: true}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"certificate", answer{err: &tls.CertificateVerificationError{Err: errors.New("unknown authority")}, unsent: true}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"TLS alert", answer{err: &net.OpError{Op: "remote error", Err: errors.New("tls: protocol version")}, unsent: true}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"no TLS", answer{err: http.ErrSchemeMismatch, unsent: true}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"reset", answer{err: errReset}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"end of file", answer{err: io.EOF}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"header too large", answer{err: errors.New("net/http: server response headers exceeded 262144 bytes; aborted")}, [...]string{fails, fails, unsure, unsure, unsure, unsure}},
		{"answer cut short", cut, [...]string{retries, retries, succeeds, surely, surely, surely}},
		{"HTML of success", ok("<html>Sign in</html>"), [...]string{fails, fails, unsure, unsure, unsure, unsure}},
		{"answer too large", ok(`[{"id":"` + strings.Repeat("x", 3<<20)), [...]string{fails, fails, unsure, unsure, unsure, unsure}},
		{"other success", answer{status: 206}, [...]string{fails, fails, succeeds, unsure, unsure, unsure}},
		{"302", answer{status: 302, header: map[string]string{"Location": "https://evil.example/"}}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"307", answer{status: 307, header: map[string]string{"Location": "/v2024/personal-access-tokens/"}}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"400", answer{status: 400}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"401", answer{status: 401}, [...]string{repeats, repeats, repeats, repeats, repeats, repeats}},
		{"403", answer{status: 403}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"404", answer{status: 404}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"408", answer{status: 408}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"409", answer{status: 409}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"418", answer{status: 418}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"425", answer{status: 425}, [...]string{repeats, repeats, repeats, repeats, repeats, repeats}},
		{"429", answer{status: 429}, [...]string{retries, retries, retries, retries, retries, retries}},
		{"500", answer{status: 500}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"501", answer{status: 501}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"502", answer{status: 502}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"503", answer{status: 503}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"504", answer{status: 504}, [...]string{retries, retries, retries4, retries4, unsure, unsure}},
		{"505", answer{status: 505}, [...]string{fails, fails, fails, fails, fails, fails}},
		{"511", answer{status: 511}, [...]string{fails, fails, unsure, unsure, unsure, unsure}},
		{"999", answer{status: 999}, [...]string{fails, fails, unsure, unsure, unsure, unsure}},
	} {
		for i, op := range operations {
			t.Run(row.name+"/"+op.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := scripted(row.reply)
					client := n.client(t, func(cfg *sailpoint.Config) { cfg.MaxListBytes = 2 << 20 })
					err := op.call(t.Context(), client)
					assertOutcome(t, row.want[i], len(n.calls), err)
				})
			})
		}
		for i, op := range bulkOperations {
			t.Run(row.name+"/"+op.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := scripted(row.reply)
					client := n.client(t, inV1, func(cfg *sailpoint.Config) { cfg.MaxListBytes = 2 << 20 })
					err := op.call(t.Context(), client)
					assertOutcome(t, row.want[3+i], len(n.calls), err)
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
	for _, op := range slices.Concat(operations, bulkOperations) {
		for name, failure := range map[string]answer{
			"never sent": {err: errRefused, unsent: true}, "401": {status: 401}, "425": {status: 425}, "429": {status: 429},
		} {
			t.Run(op.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := scripted(failure, op.success)
					require.NoError(t, op.call(t.Context(), n.client(t, inV1)))
					require.Len(t, n.calls, 2)
					first, second := n.calls[0].onTheWire(), n.calls[1].onTheWire()
					if name == "401" {
						require.Len(t, n.fetches, 2)
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
		script []answer
		want   error
	}{
		"at first":                           {[]answer{{status: 404}}, sailpoint.ErrNotFound},
		"after a lost answer":                {[]answer{{err: errReset}, {status: 404}}, nil},
		"after 503":                          {[]answer{{status: 503}, {status: 404}}, nil},
		"after an attempt that was not sent": {[]answer{{err: errRefused, unsent: true}, {status: 404}}, sailpoint.ErrNotFound},
		"after 429":                          {[]answer{{status: 429}, {status: 404}}, sailpoint.ErrNotFound},
		"after 503 and 401":                  {[]answer{{status: 503}, {status: 401}, {status: 404}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted(tt.script...)
				err := n.client(t).PersonalAccessTokens.Delete(t.Context(), "id")
				require.ErrorIs(t, err, tt.want)
				require.Len(t, n.calls, len(tt.script))
			})
		})
	}
}

// TestDoubtStays: a later definite answer doesn't tell what became of the earlier attempt.
func TestDoubtStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(answer{err: errReset}, answer{status: 403})
		_, err := n.client(t).PersonalAccessTokens.Patch(t.Context(), "id", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
		require.ErrorIs(t, err, sailpoint.ErrForbidden)
		require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
	})
}

func TestMaxRetries(t *testing.T) {
	for configured, want := range map[int]int{0: 4, 1: 2, 5: 6, -1: 1} {
		t.Run(fmt.Sprint(configured), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted(answer{status: 503})
				client := n.client(t, func(cfg *sailpoint.Config) { cfg.MaxRetries = configured })
				_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
				require.ErrorIs(t, err, sailpoint.ErrServer)
				require.Len(t, n.calls, want)
			})
		})
	}
}

func TestRefusedBearerIsRenewedWithoutRetries(t *testing.T) {
	n := scripted(answer{status: 401}, ok(`[]`))
	client := n.client(t, func(cfg *sailpoint.Config) { cfg.MaxRetries = -1 })
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
				limited := answer{status: 429, header: map[string]string{"Retry-After": tt.value}}
				if tt.date != "" {
					limited.header["Date"] = tt.date
				}
				n := scripted(limited, ok(created))
				started := time.Now()
				_, err := n.client(t).PersonalAccessTokens.Create(t.Context(), inAYear)
				waited := time.Since(started)
				if tt.returned {
					require.ErrorIs(t, err, sailpoint.ErrRateLimited)
					require.NotErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
					var failure *sailpoint.Error
					require.ErrorAs(t, err, &failure)
					assert.Equal(t, tt.want, failure.RetryAfter)
					assert.Zero(t, waited)
					assert.Len(t, n.calls, 1)
					return
				}
				require.NoError(t, err)
				assert.Len(t, n.calls, 2)
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
		n := scripted(answer{status: 429, header: map[string]string{"Retry-After": "120"}}, ok(`[]`))
		client := n.client(t, func(cfg *sailpoint.Config) { cfg.MaxRetryWait = 3 * time.Minute })
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		_, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
		require.NoError(t, err)
	})
}

// TestNoWaitPastTheDeadline: a wait that can't fit is not begun.
func TestNoWaitPastTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(answer{status: 429, header: map[string]string{"Retry-After": "30"}}, ok(`[]`))
		client := n.client(t)
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
		require.Len(t, n.calls, 1)
	})
}

func TestCallEndsAfterTwoMinutesWithoutADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := scripted(silence).client(t, func(cfg *sailpoint.Config) { cfg.AttemptTimeout = 50 * time.Second })
		started := time.Now()
		_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, t.Context().Err())
		require.Equal(t, 2*time.Minute, time.Since(started))
	})
}

// silence is no answer for as long as anybody may wait.
var silence = answer{after: 24 * time.Hour}

func TestAttemptTimeout(t *testing.T) {
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := scripted(silence).client(t, func(cfg *sailpoint.Config) {
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
			n := scripted(answer{status: 503, header: map[string]string{"Retry-After": "10"}})
			time.AfterFunc(5*time.Second, cancel)
			err := n.client(t).PersonalAccessTokens.Delete(ctx, "id")
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, sailpoint.ErrServer)
			require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
			require.Len(t, n.calls, 1)
		})
	})
	t.Run("after the request was sent", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n := scripted(answer{then: cancel})
		_, err := n.client(t).PersonalAccessTokens.Create(ctx, inAYear)
		require.ErrorIs(t, err, context.Canceled)
		var outcome *sailpoint.CreateOutcomeError
		require.ErrorAs(t, err, &outcome)
		require.Len(t, n.calls, 1)
	})
	t.Run("with a cause", func(t *testing.T) {
		cause := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		n := scripted(answer{status: 503, then: func() { cancel(cause) }})
		_, err := n.client(t).PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
		require.ErrorIs(t, err, context.Canceled)
	})
}

// TestPauseIsShared: while one call waits for a Retry-After, no other is sent (F32).
func TestPauseIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(answer{status: 429, header: map[string]string{"Retry-After": "10"}}, ok(`[]`))
		client := n.client(t)
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
		require.Len(t, n.calls, 1)
		<-time.After(2 * time.Second)
		synctest.Wait()
		require.Len(t, n.calls, 52)
	})
}

// TestOutageCostsAboutOneRequestACall: the retries of all calls have one budget (F35).
func TestOutageCostsAboutOneRequestACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(answer{status: 503})
		client := n.client(t)
		for range 1000 {
			_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
			require.ErrorIs(t, err, sailpoint.ErrServer)
		}
		require.Len(t, n.calls, 1010)

		n.api = always(ok(`[]`))
		for range 100 {
			require.NoError(t, operations[0].call(t.Context(), client))
		}
		sent := len(n.calls)
		n.api = always(answer{status: 503})
		require.Error(t, operations[0].call(t.Context(), client))
		require.Len(t, n.calls, sent+4, "after as many successes the budget is back")
	})
}

func TestRetriesThatSucceedCostNoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answers []answer
		for range 100 {
			answers = append(answers, answer{status: 503}, answer{status: 503}, ok(`[]`))
		}
		client := scripted(answers...).client(t)
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
			n := scripted(answer{status: 429})
			var at []time.Time
			client := n.client(t, func(cfg *sailpoint.Config) {
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

package sailpoint_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/sampletest"
)

// These are the results of a failure that repeats, with three retries allowed.
// Each says how many requests are sent, and what the caller learns.
const (
	omitted       = ""        // does not apply to this operation
	fails         = "1"       // fails, not carried out
	unsure        = "1?"      // fails, may have been carried out
	exists        = "1!"      // fails, but the token was created
	retries       = "4"       // retries, then fails, not carried out
	retriesUnsure = "4?"      // retries, then fails, may have been carried out
	oneRetry      = "2"       // retries once, then fails
	renews        = "2r"      // retries with a new bearer, then fails
	succeeds      = "1ok"     // succeeds
	alreadyGone   = "1 or ok" // succeeds only after a doubtful attempt
)

// matrixRow is a failure and its result for each operation.
type matrixRow struct {
	name     string
	response response
	part     bool // after the beginning of a successful response
	want     [7]string
}

// matrixRows repeat the matrix of retries and outcomes independently of
// retry.go.
var matrixRows = []matrixRow{
	// list, all, delete, patch that replaces, any patch, create, fetch
	{"never sent", response{err: errRefused, unsent: true}, false, [...]string{retries, retries, retries, retries, retries, retries, retries}},
	{"temporary failure of DNS", response{err: &net.DNSError{IsTemporary: true}, unsent: true}, false, [...]string{retries, retries, retries, retries, retries, retries, retries}},
	{"host unknown", response{err: &net.DNSError{IsNotFound: true}, unsent: true}, false, [...]string{retries, retries, retries, retries, retries, retries, retries}},
	{"certificate", response{err: &tls.CertificateVerificationError{Err: errors.New("unknown authority")}, unsent: true}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"TLS alert", response{err: errAlert, unsent: true}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"no TLS", response{err: http.ErrSchemeMismatch, unsent: true}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"TLS alert on a connection", response{err: errAlert}, false, [...]string{retries, retries, retriesUnsure, retriesUnsure, unsure, unsure, retries}},
	{"host unknown after a connection", response{err: &net.DNSError{IsNotFound: true}}, false, [...]string{retries, retries, retriesUnsure, retriesUnsure, unsure, unsure, retries}},
	{"reset", response{err: errReset}, false, [...]string{retries, retries, retriesUnsure, retriesUnsure, unsure, unsure, retries}},
	{"end of file", response{err: io.EOF}, false, [...]string{retries, retries, retriesUnsure, retriesUnsure, unsure, unsure, retries}},
	{"header too large", response{err: errors.New("net/http: server response headers exceeded 262144 bytes; aborted")}, false, [...]string{fails, fails, unsure, unsure, unsure, unsure, fails}},
	{"response cut short", response{cut: io.ErrUnexpectedEOF}, true, [...]string{retries, retries, unsure, unsure, unsure, exists, retries}},
	{"nothing of a response", response{cut: errReset}, false, [...]string{retries, retries, retriesUnsure, unsure, unsure, exists, retries}},
	{"HTML of success", ok("<html>Sign in</html>"), false, [...]string{fails, fails, unsure, unsure, unsure, unsure, oneRetry}},
	{"HTML of success, cut short", response{body: "<html>Sign", cut: io.ErrUnexpectedEOF}, false, [...]string{fails, fails, unsure, unsure, unsure, unsure, retries}},
	{"a chunked body without any chunk", response{status: 204, cut: io.ErrUnexpectedEOF}, false, [...]string{fails, fails, retriesUnsure, unsure, unsure, unsure, oneRetry}},
	{"response too large", ok(strings.Repeat("x", 3<<20)), true, [...]string{fails, fails, unsure, unsure, unsure, exists, fails}},
	{"neither id nor secret", ok(`{}`), false, [...]string{omitted, omitted, omitted, omitted, omitted, unsure, oneRetry}},
	{"no secret", ok(`{"id":"abc"}`), false, [...]string{omitted, omitted, omitted, omitted, omitted, exists, omitted}},
	{"101", response{status: 101}, false, [...]string{fails, fails, unsure, unsure, unsure, unsure, oneRetry}},
	{"202", response{status: 202}, false, [...]string{fails, fails, succeeds, unsure, unsure, unsure, oneRetry}},
	{"204", response{status: 204}, false, [...]string{fails, fails, succeeds, unsure, unsure, unsure, oneRetry}},
	{"206", response{status: 206}, false, [...]string{fails, fails, succeeds, unsure, unsure, unsure, oneRetry}},
	{"300", response{status: 300}, false, [...]string{fails, fails, unsure, unsure, unsure, unsure, fails}},
	{"301", response{status: 301, header: map[string]string{"Location": "https://evil.example/"}}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"302", response{status: 302, header: map[string]string{"Location": "https://evil.example/"}}, false, [...]string{fails, fails, unsure, unsure, unsure, unsure, fails}},
	{"303", response{status: 303, header: map[string]string{"Location": "/v2024/personal-access-tokens/new"}}, false, [...]string{fails, fails, unsure, unsure, unsure, unsure, fails}},
	{"304", response{status: 304}, false, [...]string{fails, fails, unsure, unsure, unsure, unsure, fails}},
	{"305", response{status: 305}, false, [...]string{fails, fails, unsure, unsure, unsure, unsure, fails}},
	{"307", response{status: 307, header: map[string]string{"Location": "/v2024/personal-access-tokens/"}}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"308", response{status: 308}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"400", response{status: 400}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"401", response{status: 401}, false, [...]string{renews, renews, renews, renews, renews, renews, fails}},
	{"403", response{status: 403}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"404", notFound, false, [...]string{fails, fails, alreadyGone, fails, fails, fails, fails}},
	{"404 of a gateway", response{status: 404, body: "default backend - 404"}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"408", response{status: 408}, false, [...]string{retries, retries, retriesUnsure, retriesUnsure, unsure, unsure, retries}},
	{"409", response{status: 409}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"418", response{status: 418}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"413", response{status: 413}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"425", response{status: 425}, false, [...]string{oneRetry, oneRetry, oneRetry, oneRetry, oneRetry, oneRetry, oneRetry}},
	{"429", response{status: 429}, false, [...]string{retries, retries, retries, retries, retries, retries, retries}},
	{"431", response{status: 431}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"451", response{status: 451}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"500", response{status: 500}, false, [...]string{retries, retries, retriesUnsure, retriesUnsure, unsure, unsure, retries}},
	{"501", response{status: 501}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"502", response{status: 502}, false, [...]string{retries, retries, retriesUnsure, retriesUnsure, unsure, unsure, retries}},
	{"503", response{status: 503}, false, [...]string{retries, retries, retriesUnsure, retriesUnsure, unsure, unsure, retries}},
	{"504", response{status: 504}, false, [...]string{retries, retries, retriesUnsure, retriesUnsure, unsure, unsure, retries}},
	{"505", response{status: 505}, false, [...]string{fails, fails, fails, fails, fails, fails, fails}},
	{"511", response{status: 511}, false, [...]string{fails, fails, unsure, unsure, unsure, unsure, fails}},
	{"999", response{status: 999}, false, [...]string{fails, fails, unsure, unsure, unsure, unsure, fails}},
}

func TestMatrix(t *testing.T) {
	for _, row := range matrixRows {
		for i, op := range operations {
			if row.want[i] != omitted {
				t.Run(row.name+"/"+op.name, func(t *testing.T) { require.Empty(t, row.difference(t, op, row.want[i])) })
			}
		}
		for _, op := range bulkOperations {
			if want := row.want[op.column+1]; want != omitted {
				t.Run(row.name+"/"+op.name, func(t *testing.T) { require.Empty(t, row.difference(t, op, want)) })
			}
		}
	}
}

// TestMatrixCellsMatter shows that matrixRows detect a change of any cell of
// the table in retry.go.
func TestMatrixCellsMatter(t *testing.T) {
	if raceDetector {
		t.Skip("ten thousand calls without concurrency are too slow with the race detector")
	}
	equivalent := func(cell string) bool {
		row, rest, _ := strings.Cut(cell, ": ")
		column, value, _ := strings.Cut(rest, ": ")
		// Only the response to a Create can be incomplete. Without a retry
		// after doubt, gone means stop.
		return row == "incomplete" && column != "create" && column != "carried out" ||
			(column == "create" || column == "patch") && value == "stop to gone"
	}
	first, step := sampletest.Choose(t, 9)
	cells := 0
	latest := 0 // the row that detected the last change, and most likely detects the next one
	sailpoint.FlipMatrix(func(cell string, column int) {
		cells++
		if cells%step != first {
			return
		}
		detected := false
		for n := range matrixRows {
			at := (latest + n) % len(matrixRows)
			row := matrixRows[at]
			for i, op := range operations {
				if row.want[i] != omitted && (column < 0 || column == op.column) {
					detected = detected || row.difference(t, op, row.want[i]) != ""
				}
			}
			if detected {
				latest = at
				break
			}
		}
		assert.Equal(t, !equivalent(cell), detected, cell)
	})
	require.Equal(t, 18*2+18*6*4, cells, "18 rows, with 2 other certainties and 6 cells of 4 other verdicts")
}

// difference returns how op differs from the wanted result, or "". It tries the
// failure from the first request on, and then after a doubtful attempt.
func (row *matrixRow) difference(t *testing.T, op operation, want string) string {
	failure := row.response
	if row.part {
		failure.body = op.part + failure.body
	}
	first, second, _ := strings.Cut(want, " or ")
	if got := outcomeOf(t, op, failure); got != first {
		return fmt.Sprintf("%s: %q instead of %q", op.name, got, first)
	}
	if op.column == columnCreate || op.column == columnPatchAny {
		return ""
	}
	want = strings.NewReplacer("1", "2", "2", "3").Replace(first)
	switch {
	case second != "":
		want = "2" + second
	case op.column == columnRemove, op.column == columnPatchReplace:
		if !strings.HasSuffix(want, "ok") {
			want = strings.TrimSuffix(want, "?") + "?"
		}
	}
	if got := outcomeOf(t, op, response{status: 503}, failure); got != want {
		return fmt.Sprintf("%s after doubt: %q instead of %q", op.name, got, want)
	}
	return ""
}

// outcomeOf returns the result of these responses to op, as matrixRow writes
// it.
func outcomeOf(t *testing.T, op operation, responses ...response) (got string) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(responses...)
		requests := &n.calls
		if op.column == columnFetch {
			n = &network{token: inTurn(responses...)}
			requests = &n.fetches
		}
		client := n.client(t, inV1, func(cfg *sailpoint.Config) { cfg.MaxListBytes = 2 << 20 })
		var err error
		panicked := true
		func() {
			defer func() { _ = recover() }() // a verdict that doesn't fit may panic
			err = op.call(t.Context(), client)
			panicked = false
		}()
		got = fmt.Sprint(len(*requests))
		if len(n.fetches) == 2 && requests == &n.calls {
			got += "r"
		}
		var outcome *sailpoint.CreateOutcomeError
		var failure *sailpoint.Error
		var wrapper *url.Error
		switch {
		case panicked:
			got += " and a panic"
		case err == nil:
			got += "ok"
		case errors.As(err, &wrapper):
			got += " with the URL"
		case !errors.As(err, &failure) || failure.Attempts != len(*requests):
			got += " but another count in the error"
		case errors.As(err, &outcome) != (op.column == columnCreate && errors.Is(err, sailpoint.ErrOutcomeUnknown)):
			got += " of another type"
		case errors.As(err, &outcome) && outcome.Created:
			got += "!"
		case errors.Is(err, sailpoint.ErrOutcomeUnknown):
			got += "?"
		}
	})
	return got
}

// TestRecovery shows that a retry hides a failure that does not repeat.
func TestRecovery(t *testing.T) {
	for _, op := range slices.Concat(operations[:6], bulkOperations) {
		for name, failure := range map[string]response{
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

func TestDeleteGets404(t *testing.T) {
	for name, tt := range map[string]struct {
		script []response
		want   error
	}{
		"at first":                           {[]response{notFound}, sailpoint.ErrNotFound},
		"after a lost response":              {[]response{{err: errReset}, notFound}, nil},
		"after 503":                          {[]response{{status: 503}, notFound}, nil},
		"after a cut before the first byte":  {[]response{{cut: io.ErrUnexpectedEOF}, notFound}, nil},
		"after an attempt that was not sent": {[]response{{err: errRefused, unsent: true}, notFound}, sailpoint.ErrNotFound},
		"after 429":                          {[]response{{status: 429}, notFound}, sailpoint.ErrNotFound},
		"after 503 and 401":                  {[]response{{status: 503}, {status: 401}, notFound}, nil},
		"with a detail code only":            {[]response{{status: 503}, {status: 404, body: `{"detailCode":"404 Not found"}`}}, nil},
		"with a tracking id only":            {[]response{{status: 503}, {status: 404, body: `{"trackingId":"t"}`}}, nil},
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

// TestDeleteGets404FromAGateway shows that a gateway's 404 proves nothing about
// the token.
func TestDeleteGets404FromAGateway(t *testing.T) {
	for name, body := range map[string]string{
		"empty":            ``,
		"HTML":             `<html><head><title>404 Not Found</title></head></html>`,
		"an ingress":       `default backend - 404`,
		"Spring":           `{"timestamp":"2026-01-01T00:00:00.000+00:00","status":404,"error":"Not Found","path":"/v2024/personal-access-tokens/id"}`,
		"a gateway's JSON": `{"message":"no Route matched with those values"}`,
		"OAuth's":          `{"error":"invalid_request"}`,
		"null members":     `{"detailCode":null,"trackingId":null}`,
		"blank members":    `{"detailCode":" ","trackingId":""}`,
		"RFC 9457":         `{"type":"about:blank","title":"Not Found","status":404,"detail":"no such route"}`,
		"cut short":        `{"detailCo`,
	} {
		for before, doubt := range map[string]response{"503": {status: 503}, "lost": {err: errReset}} {
			t.Run(name+" after "+before, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := scripted(doubt, response{status: 404, body: body})
					err := n.client(t).PersonalAccessTokens.Delete(t.Context(), "id")
					requireMatches(t, err, sailpoint.ErrNotFound, sailpoint.ErrOutcomeUnknown)
					require.Len(t, n.calls, 2)
					failure := requireOneError(t, err)
					require.Empty(t, failure.DetailCode+failure.TrackingID, "these show a caller the API's own")
				})
			})
		}
		t.Run(name+" at first", func(t *testing.T) {
			n := scripted(response{status: 404, body: body})
			err := n.client(t).PersonalAccessTokens.Delete(t.Context(), "id")
			requireMatches(t, err, sailpoint.ErrNotFound)
			require.Len(t, n.calls, 1)
		})
	}
}

// TestDeleteGetsABody matters because the API sends no body. A proxy that sent
// it may not have passed the request on.
func TestDeleteGetsABody(t *testing.T) {
	for _, status := range []int{200, 202, 204, 206} {
		for _, body := range []string{" ", "{}", "null", "<html>Sign in</html>", aToken} {
			for name, cut := range map[string]error{"whole": nil, "cut": io.ErrUnexpectedEOF, "reset": errReset} {
				t.Run(fmt.Sprint(status, name, body), func(t *testing.T) {
					n := scripted(response{status: status, body: body, cut: cut})
					err := n.client(t).PersonalAccessTokens.Delete(t.Context(), "id")
					requireMatches(t, err, sailpoint.ErrInvalidResponse, sailpoint.ErrOutcomeUnknown)
					require.Len(t, n.calls, 1)
				})
			}
		}
	}
}

// TestUnknownOutcomeStaysUnknown shows that a later definite response does not
// settle an earlier doubtful attempt.
func TestUnknownOutcomeStaysUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{err: errReset}, response{status: 403})
		_, err := n.client(t).PersonalAccessTokens.Patch(t.Context(), "id", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
		require.ErrorIs(t, err, sailpoint.ErrForbidden)
		require.ErrorIs(t, err, sailpoint.ErrOutcomeUnknown)
	})
}

func TestMaxRetries(t *testing.T) {
	for configured, want := range map[int]int{0: 4, 1: 2, 5: 6, -1: 1} {
		t.Run(fmt.Sprint(configured), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted(response{status: 503})
				client := n.client(t, func(cfg *sailpoint.Config) { cfg.MaxRetries = configured })
				_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
				require.ErrorIs(t, err, sailpoint.ErrServer)
				require.Len(t, n.calls, want)
			})
		})
	}
}

func TestRejectedBearerIsRenewedWithoutRetries(t *testing.T) {
	n := scripted(response{status: 401}, ok(`[]`))
	client := n.client(t, func(cfg *sailpoint.Config) { cfg.MaxRetries = -1 })
	_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
	require.NoError(t, err)
}

// retryAfter is a header that a server may send, and the wait that follows.
type retryAfter struct {
	value, date string
	want        time.Duration // -1 for the usual backoff
	returned    bool          // the call fails at once
}

const anHourBehind = "Fri, 31 Dec 1999 23:00:00 GMT" // an hour before the bubble's clock

var (
	retryAfterSeconds = []retryAfter{
		{value: "1", want: time.Second},
		{value: "17", want: 17 * time.Second},
		{value: "60", want: 60 * time.Second},
	}
	retryAfterTooLong = []retryAfter{
		{value: "61", want: 61 * time.Second, returned: true},
		{value: "86400", want: 24 * time.Hour, returned: true},
	}
	retryAfterOdd = []retryAfter{
		{value: " 5", want: 5 * time.Second},
		{value: "9223372037", want: 9223372036 * time.Second, returned: true},
		{value: "18446744073", want: 9223372036 * time.Second, returned: true},
		{value: "99999999999999999999999", want: 9223372036 * time.Second, returned: true},
		{value: "0", want: -1},
		{value: "-1", want: -1},
		{value: "-0.5", want: -1},
		{value: "", want: -1},
		{value: "1.5", want: 2 * time.Second},
		{value: "30.0", want: 30 * time.Second},
		{value: "29.997", want: 30 * time.Second},
		{value: "0.001", want: time.Second},
		{value: "+30", want: 30 * time.Second},
		{value: "3e1", want: 30 * time.Second},
		{value: "300.0", want: 300 * time.Second, returned: true},
		{value: "299.997", want: 300 * time.Second, returned: true},
		{value: "+300", want: 300 * time.Second, returned: true},
		{value: "1e999", want: 9223372036 * time.Second, returned: true},
	}
	retryAfterUnreadable = []retryAfter{
		{value: "5, 10", want: 30 * time.Second},
		{value: "NaN", want: 30 * time.Second},
		{value: "Inf", want: 30 * time.Second},
		{value: "0x10", want: 30 * time.Second},
		{value: "1_0", want: 30 * time.Second},
		{value: "1-2", want: 30 * time.Second},
		{value: "5s", want: 30 * time.Second},
		{value: "soon", want: 30 * time.Second},
		{value: "Sat, 01 Jan 2000 00:00:20 PST", want: 30 * time.Second},
		{value: "2000-01-01", want: 30 * time.Second},
	}
	retryAfterDates = []retryAfter{
		{value: "Sat, 01 Jan 2000 00:00:20 GMT", want: 20 * time.Second},
		{value: "Fri, 31 Dec 1999 23:00:30 GMT", date: anHourBehind, want: 30 * time.Second},
		{value: "Friday, 31-Dec-99 23:00:30 GMT", date: anHourBehind, want: 30 * time.Second},
		{value: "Fri Dec 31 23:00:30 1999", date: anHourBehind, want: 30 * time.Second},
		{value: "Fri, 31 Dec 9999 23:59:59 GMT", want: 1<<63 - 1, returned: true},
		{value: "Fri, 31 Dec 1999 00:00:00 GMT", want: -1},
		{value: "Sat, 01 Jan 2000 00:00:20 UTC", want: 20 * time.Second},
		{value: "Sat, 01 Jan 2000 00:00:20 +0000", want: 20 * time.Second},
		{value: "Fri, 31 Dec 1999 17:00:20 -0700", want: 20 * time.Second},
		{value: "Sat, 1 Jan 2000 00:00:20 GMT", want: 20 * time.Second},
		{value: "Sat, 1 Jan 2000 00:00:20 UTC", want: 20 * time.Second},
		{value: "2000-01-01T00:00:20Z", want: 20 * time.Second},
		{value: "2000-01-01T02:00:20.5+02:00", want: 20*time.Second + 500*time.Millisecond},
		{value: "1999-12-31T23:00:30Z", date: anHourBehind, want: 30 * time.Second},
		{value: "1999-12-31T00:00:00Z", want: -1},
	}
)

// TestRetryAfter shows that a call waits in full, or fails at once.
func TestRetryAfter(t *testing.T) {
	for _, tt := range slices.Concat(retryAfterSeconds, retryAfterTooLong, retryAfterOdd, retryAfterUnreadable, retryAfterDates) {
		t.Run(tt.value, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limited := response{status: 429, header: map[string]string{"Retry-After": tt.value}}
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

// TestRetryAfterIsWaitedForOnce covers what may follow the wait, besides another
// response.
func TestRetryAfterIsWaitedForOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		value  string
		change func(*sailpoint.Config)
		calls  int
	}{
		"no response":                        {"20", func(*sailpoint.Config) {}, 4},
		"no response, the wait is a default": {"soon", func(*sailpoint.Config) {}, 4},
		"an error of the limiter": {"20", func(cfg *sailpoint.Config) {
			asked := 0
			cfg.Limiter = limiterFunc(func(context.Context) error {
				if asked++; asked > 1 {
					return errors.New("no quota")
				}
				return nil
			})
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted(response{status: 503, header: map[string]string{"Retry-After": tt.value}}, response{err: errReset})
				client := n.client(t, tt.change, func(cfg *sailpoint.Config) { cfg.MaxRetryWait = 20 * time.Second })
				started := time.Now()
				failure := requireOneError(t, list(t.Context(), client))
				assert.Zero(t, failure.RetryAfter)
				assert.Equal(t, 503, failure.StatusCode)
				assert.GreaterOrEqual(t, time.Since(started), 20*time.Second)
				assert.Less(t, time.Since(started), 22*time.Second)
				n.requireCounts(t, tt.calls, 1)
			})
		})
	}
}

func TestMaxRetryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{status: 429, header: map[string]string{"Retry-After": "120"}}, ok(`[]`))
		client := n.client(t, func(cfg *sailpoint.Config) { cfg.MaxRetryWait = 3 * time.Minute })
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		_, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
		require.NoError(t, err)
	})
}

// TestUnreadableRetryAfterIsNotReported matters because this package chooses
// the wait.
func TestUnreadableRetryAfterIsNotReported(t *testing.T) {
	for _, tt := range retryAfterUnreadable {
		t.Run(tt.value, func(t *testing.T) {
			n := scripted(response{status: 503, header: map[string]string{"Retry-After": tt.value}})
			err := list(t.Context(), n.client(t, withoutRetries))
			requireMatches(t, err, sailpoint.ErrServer)
			assert.Zero(t, requireOneError(t, err).RetryAfter)
			n.requireCounts(t, 1, 1)
		})
	}
}

// TestUnreadableRetryAfterAndMaxRetryWait shows that a call never waits longer
// than configured.
func TestUnreadableRetryAfterAndMaxRetryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{status: 503, header: map[string]string{"Retry-After": "soon"}}, ok(`[]`))
		client := n.client(t, func(cfg *sailpoint.Config) { cfg.MaxRetryWait = 5 * time.Second })
		started := time.Now()
		require.NoError(t, list(t.Context(), client))
		assert.GreaterOrEqual(t, time.Since(started), 5*time.Second)
		assert.Less(t, time.Since(started), 6*time.Second)
		n.requireCounts(t, 2, 1)
	})
}

// TestUnreadableRetryAfterHoldsBackTheOtherCalls shows that it does so like a
// valid header.
func TestUnreadableRetryAfterHoldsBackTheOtherCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{status: 429, header: map[string]string{"Retry-After": "soon"}}, ok(`[]`))
		client := n.client(t, withoutRetries)
		started := time.Now()
		requireMatches(t, list(t.Context(), client), sailpoint.ErrRateLimited)
		assert.Zero(t, time.Since(started))
		require.NoError(t, list(t.Context(), client))
		assert.GreaterOrEqual(t, time.Since(started), 30*time.Second)
		assert.Less(t, time.Since(started), 31*time.Second)
		n.requireCounts(t, 2, 1)
	})
}

// TestNoWaitPastTheDeadline shows that a wait past the deadline does not begin.
func TestNoWaitPastTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{status: 429, header: map[string]string{"Retry-After": "30"}}, ok(`[]`))
		client := n.client(t)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		started := time.Now()
		for range 2 { // the pause holds back the second call, which sends nothing
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

// TestPauseIsShared shows that no call is sent while one waits for a
// Retry-After.
func TestPauseIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{status: 429, header: map[string]string{"Retry-After": "10"}}, ok(`[]`))
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
		n.requireCounts(t, 1, 1)
		<-time.After(2 * time.Second)
		synctest.Wait()
		n.requireCounts(t, 52, 1)
	})
}

// TestPauseLongerThanACallMayWait shows that calls fail like the first one
// without being sent, until the pause ends.
func TestPauseLongerThanACallMayWait(t *testing.T) {
	for asked, held := range map[string]time.Duration{"61": 61 * time.Second, "18446744073709551616": time.Hour} {
		t.Run(asked, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted(response{status: 429, header: map[string]string{"Retry-After": asked}}, ok(`[]`))
				client := n.client(t, func(cfg *sailpoint.Config) { cfg.MaxRetryWait = time.Second })
				require.ErrorIs(t, list(t.Context(), client), sailpoint.ErrRateLimited)
				for range 5 {
					err := list(t.Context(), client)
					requireMatches(t, err, sailpoint.ErrRateLimited)
					require.ErrorContains(t, err, "not sent because")
					failure := requireOneError(t, err)
					assert.Zero(t, failure.Attempts)
					assert.GreaterOrEqual(t, failure.RetryAfter, held)
					assert.LessOrEqual(t, failure.RetryAfter, held+250*time.Millisecond)
				}
				n.requireCounts(t, 1, 1)
				<-time.After(held - 500*time.Millisecond)
				require.NoError(t, list(t.Context(), client), "the rest is short enough to wait for")
				n.requireCounts(t, 2, 1)
			})
		})
	}
}

// TestPauseThatBeginsMeanwhile shows that it also holds back a call that waited
// for its limiter.
func TestPauseThatBeginsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{api: func(a arrival) response {
			if a.n == 1 {
				return response{status: 429, header: map[string]string{"Retry-After": "10"}}
			}
			return ok(`[]`)
		}}
		asked := 0
		client := n.client(t, func(cfg *sailpoint.Config) {
			cfg.Limiter = limiterFunc(func(context.Context) error {
				if asked++; asked == 1 {
					<-time.After(5 * time.Second)
				}
				return nil
			})
		})
		started := time.Now()
		var calls sync.WaitGroup
		for range 2 {
			calls.Go(func() { assert.NoError(t, list(t.Context(), client)) })
			synctest.Wait()
		}
		calls.Wait()
		require.Len(t, n.calls, 3)
		for _, call := range n.calls[1:] {
			assert.GreaterOrEqual(t, call.at.Sub(started), 10*time.Second)
		}
		assert.Equal(t, 3, asked, "once for each request")
	})
}

// TestOutageCostsAboutOneRequestPerCall shows that the retries of all calls
// share a budget.
func TestOutageCostsAboutOneRequestPerCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{status: 503})
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
		n.api = always(response{status: 503})
		require.Error(t, operations[0].call(t.Context(), client))
		require.Len(t, n.calls, sent+4, "these successes restore the budget")
	})
}

func TestRetriesThatSucceedCostNoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var responses []response
		for range 100 {
			responses = append(responses, response{status: 503}, response{status: 503}, ok(`[]`))
		}
		client := scripted(responses...).client(t)
		for range 100 {
			require.NoError(t, operations[0].call(t.Context(), client))
		}
	})
}

// TestBackoffIsBoundedAndSpread checks full jitter below a bound of 250 ms,
// which doubles up to 10 s.
func TestBackoffIsBoundedAndSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits [8]map[time.Duration]bool
		var longest [8]time.Duration
		for range 200 {
			n := scripted(response{status: 429})
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

func TestEndlessRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{status: 429, header: map[string]string{"Retry-After": "7"}, body: `{"trackingId":"t","message":" Rate Limit Exceeded "}`})
		err := create(t.Context(), n.client(t))
		requireMatches(t, err, sailpoint.ErrRateLimited)
		failure := requireOneError(t, err)
		assert.Equal(t, 7*time.Second, failure.RetryAfter)
		assert.Equal(t, "t", failure.TrackingID)
		assert.Equal(t, 4, failure.Attempts)
		n.requireCounts(t, 4, 1)
	})
}

// TestHTTP2FailuresAreJudgedByTheMatrix covers requests with a body, which
// net/http never replays. Only two failures prove that a request was not
// carried out: REFUSED_STREAM, and a GOAWAY whose last stream is an earlier
// one.
func TestHTTP2FailuresAreJudgedByTheMatrix(t *testing.T) {
	t.Parallel()
	const protocolError, refusedStream, codes = 1, 7, 14
	goAway := func(last uint32, code byte) func(io.Writer, int, uint32) bool {
		return func(conn io.Writer, _ int, _ uint32) bool {
			_, _ = conn.Write(frame(frameGoAway, 0, 0, []byte{0, 0, 0, byte(last), 0, 0, 0, code}))
			return last == 0 // an end while the body is written would hide the GOAWAY
		}
	}
	type failure struct {
		name         string
		handle       func(io.Writer, int, uint32) bool
		notProcessed bool
	}
	failures := []failure{
		{"GOAWAY before the stream", goAway(0, 0), true},
		{"GOAWAY before the stream with an error", goAway(0, protocolError), true},
		{"GOAWAY after the stream", goAway(1, 0), false},
		{"GOAWAY after the stream with an error", goAway(1, protocolError), false},
	}
	for code := range byte(codes + 1) {
		failures = append(failures, failure{fmt.Sprintf("reset with code %d", code), resetWith(code), code == refusedStream})
	}
	for _, f := range failures {
		for _, op := range operations[3:6] { // those with a body
			t.Run(f.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				client, streams := overHTTP2(t, f.handle)
				err := op.call(t.Context(), client)
				retried := f.notProcessed || op.column == columnPatchReplace
				want := map[bool]int{false: 1, true: 2}[retried]
				assert.EqualValues(t, want, streams.Load())
				assert.Equal(t, want, requireOneError(t, err).Attempts)
				assert.Equal(t, !f.notProcessed, errors.Is(err, sailpoint.ErrOutcomeUnknown))
			})
		}
	}
}

// TestRefusedStreamIsRetried includes a Create, because the server has not
// processed it.
func TestRefusedStreamIsRetried(t *testing.T) {
	client, streams := overHTTP2(t, func(conn io.Writer, n int, stream uint32) bool {
		if n == 1 {
			return resetWith(7)(conn, n, stream)
		}
		respondOverHTTP2(conn, stream, created)
		return true
	})
	require.NoError(t, create(t.Context(), client))
	require.EqualValues(t, 2, streams.Load())
}

// FuzzRetryAfter shows that a reported wait is never negative. It follows RFC
// 9110 or another known form.
func FuzzRetryAfter(f *testing.F) {
	for _, list := range [][]retryAfter{retryAfterSeconds, retryAfterTooLong, retryAfterOdd, retryAfterUnreadable, retryAfterDates} {
		for _, tt := range list {
			f.Add(tt.value, tt.date)
		}
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		synctest.Test(t, func(t *testing.T) {
			n := scripted(response{status: 429, header: map[string]string{"Retry-After": value, "Date": date}})
			failure := requireOneError(t, list(t.Context(), n.client(t, withoutRetries)))
			require.GreaterOrEqual(t, failure.RetryAfter, time.Duration(0))

			var want time.Duration
			trimmed := strings.TrimSpace(value)
			now, err := http.ParseTime(date)
			if err != nil {
				now = time.Now()
			}
			if decimal.MatchString(trimmed) {
				seconds, _ := strconv.ParseFloat(trimmed, 64)
				whole := int64(max(0, min(math.Ceil(seconds), float64(math.MaxInt64/int64(time.Second)))))
				want = time.Duration(whole) * time.Second
			}
			for _, layout := range []string{
				http.TimeFormat, time.RFC850, time.ANSIC, time.RFC3339,
				"Mon, 2 Jan 2006 15:04:05 GMT", "Mon, 2 Jan 2006 15:04:05 UTC", "Mon, 2 Jan 2006 15:04:05 -0700",
			} {
				if at, err := time.Parse(layout, trimmed); err == nil {
					want = max(at.Sub(now), 0)
				}
			}
			require.Equal(t, want, failure.RetryAfter)
		})
	})
}

var decimal = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

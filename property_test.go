package sailpoint_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/sampletest"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// TestNoSilentLoss shows that the outcome of each call is reported truthfully,
// whatever goes wrong and whenever the caller gives up. A successful call was
// carried out once. A call that failed for certain was not carried out. Any
// other call matches ErrOutcomeUnknown. Each script is a call to a tenant of
// its own, whose requests meet faults in turn. No script has an API that says
// one thing and does another, which no client could detect.
func TestNoSilentLoss(t *testing.T) {
	t.Parallel()
	const batches = 100
	perBatch, environment := 10, ""
	if sampletest.Exhaustive() {
		perBatch, environment = 1000, "SAILPOINT_TEST_EXHAUSTIVE=1 "
	}
	var tally [3]atomic.Int64
	t.Run("scripts", func(t *testing.T) {
		for i, scriptSeed := range []uint64{1, sampletest.Seed()} {
			for batch := range uint64(batches / 2) {
				t.Run(fmt.Sprintf("seed %d batch %d", scriptSeed, batch), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						for n := range perBatch {
							s := newScript(rand.New(rand.NewPCG(scriptSeed, batch<<32|uint64(n))))
							ended, err := s.run(t)
							if err != nil {
								t.Fatalf("script %d: %v\n%+v\nTo repeat it: %sgo test -run '^TestNoSilentLoss$' -seed %d", n, err, s, environment, sampletest.Seed())
							}
							tally[ended].Add(1)
						}
					})
				})
			}
			t.Logf("seed %d of %d: %d", i+1, 2, scriptSeed)
		}
	})
	t.Logf("%d scripts: %d successes, %d not carried out, %d unknown", batches*perBatch,
		tally[success].Load(), tally[notCarriedOut].Load(), tally[unknown].Load())
	require.EqualValues(t, batches*perBatch, tally[success].Load()+tally[notCarriedOut].Load()+tally[unknown].Load())
	for ended := range tally {
		assert.Positive(t, tally[ended].Load())
	}
}

// script is a call and its faults.
type script struct {
	Operation  string
	Faults     []sailpointtest.Fault // of the requests to the API, in turn
	Token      []sailpointtest.Fault // of the requests to the token endpoint, in turn
	MaxRetries int
	Deadline   time.Duration // 0 for no deadline
	Cancel     time.Duration // 0 for never
}

const (
	collectionPath = "/v2024/personal-access-tokens"
	itemPath       = collectionPath + "/{id}"
	bulkPath       = "/personal-access-tokens/v1/bulk-update"
)

// newScript returns a random script.
func newScript(r *rand.Rand) *script {
	s := &script{
		Operation:  pick(r, "create", "create", "delete", "patch that replaces", "any patch", "bulk update"),
		MaxRetries: pick(r, -1, 0, 0, 1, 6),
	}
	for range r.IntN(5) {
		s.Faults = append(s.Faults, s.fault(r))
	}
	if r.IntN(4) == 0 {
		for range 1 + r.IntN(2) {
			s.Token = append(s.Token, tokenFault(r))
		}
	}
	if r.IntN(3) == 0 {
		s.Deadline = time.Duration(1 + r.Int64N(int64(2*time.Minute)))
	}
	if r.IntN(3) == 0 {
		s.Cancel = time.Duration(1 + r.Int64N(int64(40*time.Second)))
	}
	return s
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func retryAfterHeader(r *rand.Rand) http.Header {
	return http.Header{"Retry-After": {pick(r, "", "0", "1", "7", "60", "61", "86400", "-1", "18446744073709551616", "soon")}}
}

// request returns a fault that matches the requests of the script's operation.
func (s *script) request() sailpointtest.Fault {
	switch s.Operation {
	case "delete":
		return sailpointtest.Fault{Method: http.MethodDelete, Path: itemPath}
	case "patch that replaces", "any patch":
		return sailpointtest.Fault{Method: http.MethodPatch, Path: itemPath}
	case "bulk update":
		return sailpointtest.Fault{Method: http.MethodPatch, Path: bulkPath}
	}
	return sailpointtest.Fault{Method: http.MethodPost, Path: collectionPath}
}

// fault returns a random fault for a request to the API.
func (s *script) fault(r *rand.Rand) sailpointtest.Fault {
	f := s.request()
	switch r.IntN(10) {
	case 0:
		f.Err = pick[error](r, errRefused, &net.DNSError{IsTemporary: true}, &net.DNSError{IsTimeout: true}, &net.DNSError{IsNotFound: true})
	case 1:
		f.Err = pick[error](r, errReset, errAlert, io.EOF, io.ErrUnexpectedEOF)
		f.Committed = r.IntN(2) == 0
	case 2: // carried out after the response was lost
		f.Committed, f.Delay = true, -time.Duration(r.Int64N(int64(5*time.Minute)))
	case 3:
		f.Status, f.Header = pick(r, 400, 401, 403, 405, 409, 413, 422, 425, 429, 429, 429, 501, 505, 301, 307, 308), retryAfterHeader(r)
	case 4:
		f.Status, f.Header, f.Committed = pick(r, 302, 303, 408, 500, 502, 503, 503, 504, 511, 999), retryAfterHeader(r), r.IntN(2) == 0
	case 5:
		f.Body = "<html>Sign in</html>"
		if r.IntN(2) == 0 { // from a proxy that did not pass the request on
			f.Status = 200
		}
	case 6:
		f.CutAfter = pick(r, -1, 1+r.IntN(400))
	case 7:
		f.Delay = time.Duration(r.Int64N(int64(time.Minute)))
		f.Committed = r.IntN(2) == 0
	case 8:
		f.Body = pick(r, "{}", `{"id":"`, "null", "[]", `{"secret":""}`, "\xff")
	case 9:
		if s.Operation != "delete" { // a Delete treats these as success
			f.Status, f.Committed = pick(r, 202, 204, 206, 404), false
		}
		if f.Status != 404 {
			f.Committed = r.IntN(2) == 0
		}
	}
	return f
}

// tokenFault returns a random fault for a request to the token endpoint.
func tokenFault(r *rand.Rand) sailpointtest.Fault {
	f := sailpointtest.Fault{Path: "/oauth/token"}
	switch r.IntN(5) {
	case 0:
		f.Err = pick[error](r, errRefused, errReset, io.EOF, &net.DNSError{IsNotFound: true})
	case 1:
		f.Status, f.Header = pick(r, 400, 401, 403, 408, 425, 429, 500, 502, 503, 504), retryAfterHeader(r)
	case 2:
		f.Body = pick(r, "<html>", "{}", "null", `{"access_token":"a b"}`)
	case 3:
		f.Delay = time.Duration(r.Int64N(int64(time.Minute)))
	case 4:
		f.CutAfter = pick(r, -1, 1+r.IntN(800))
	}
	return f
}

// definite reports whether f proves that the request was not carried out.
func definite(f sailpointtest.Fault) bool {
	switch {
	case f.Committed:
		return false
	case f.Status != 0:
		return f.Status == 301 || f.Status == 307 || f.Status == 308 || f.Status/100 == 4 && f.Status != 408 ||
			f.Status == 501 || f.Status == 505
	}
	dial, isDial := f.Err.(*net.OpError) //nolint:errorlint // the very error
	_, isLookup := f.Err.(*net.DNSError) //nolint:errorlint // the very error
	return isDial && dial.Op == "dial" || isLookup
}

// run makes the call. It returns how the call ended, and an error if that is
// wrong.
func (s *script) run(t *testing.T) (end, error) {
	tenant := sailpointtest.NewTenant()
	addVictim(tenant)
	tenant.Inject(s.Faults...)
	tenant.Inject(s.Token...)
	requests := 0
	client, err := s.client(tenant, &requests)
	if err != nil {
		return 0, err
	}
	ctx, cancel := s.context(t.Context())
	defer cancel()
	if s.Cancel > 0 {
		defer time.AfterFunc(s.Cancel, cancel).Stop()
	}
	got, committed, err := s.call(ctx, client.PersonalAccessTokens)
	<-time.After(time.Hour) // by now, late requests have been carried out

	for range tenant.Unused() { // so that checkNoSilentLoss meets no fault
		_, _ = bearerOf(tenant, "", sailpoint.Secret{})
	}
	if problem := checkNoSilentLoss(tenant, got, err, committed(tenant.Tokens())); problem != nil {
		return endOf(err), problem
	}
	return endOf(err), s.checkRequests(requests, err)
}

// client returns a client of tenant that counts the requests to the API.
func (s *script) client(tenant *sailpointtest.Tenant, requests *int) (*sailpoint.Client, error) {
	cfg := tenant.Config()
	cfg.MaxRetries = s.MaxRetries
	cfg.HTTPClient = &http.Client{Transport: transportFunc(func(req *http.Request) (*http.Response, error) {
		if !strings.HasSuffix(req.URL.Path, "/token") {
			*requests++
		}
		return tenant.RoundTrip(req)
	})}
	if s.Operation == "bulk update" {
		inV1(&cfg)
	}
	return sailpoint.NewClient(cfg)
}

func (s *script) context(parent context.Context) (context.Context, context.CancelFunc) {
	if s.Deadline > 0 {
		return context.WithTimeout(parent, s.Deadline)
	}
	return context.WithCancel(parent)
}

// call makes the call. committed returns how often the tenant carried it out.
func (s *script) call(ctx context.Context, service *sailpoint.PersonalAccessTokensService) (
	got *sailpoint.CreatePersonalAccessTokenResponse, committed func([]sailpoint.PersonalAccessToken) int, err error,
) {
	patch := sailpoint.NewPersonalAccessTokenPatch()
	committed = named("renamed")
	switch s.Operation {
	case "create":
		committed = named("deploy")
		got, err = service.Create(ctx, newToken())
	case "delete":
		committed = func(tokens []sailpoint.PersonalAccessToken) int { return 2 - len(tokens) }
		err = service.Delete(ctx, victim)
	case "patch that replaces":
		_, err = service.Patch(ctx, victim, patch.ReplaceName("renamed"))
	case "bulk update":
		committed = neverExpiring
		_, err = service.BulkUpdate(ctx, []string{victim}, patch.NeverExpire())
	case "any patch": // the tenant rejects it the second time
		_, err = service.Patch(ctx, victim, patch.With(sailpoint.PatchOperation{Op: sailpoint.OpTest, Path: "/name", Value: "old"}).ReplaceName("renamed"))
	}
	return got, committed, err
}

// checkRequests returns an error if a call was wrongly retried, or failed
// without a fault.
func (s *script) checkRequests(requests int, err error) error {
	if s.Operation == "create" || s.Operation == "any patch" {
		for i := range requests - 1 {
			if i >= len(s.Faults) || !definite(s.Faults[i]) {
				return fmt.Errorf("request %d of %d may have been carried out, and was retried", i+1, requests)
			}
		}
	}
	if s.Cancel == 0 && s.Deadline == 0 && len(s.Faults)+len(s.Token) == 0 && err != nil {
		return fmt.Errorf("the call failed without a fault: %w", err)
	}
	return nil
}

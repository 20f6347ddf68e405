package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/sampletest"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

const item = "/personal-access-tokens/v1/{id}"

// marked is the temporary name of the successor of markedID. markedOther is
// that of another token's successor.
const (
	markedID    = "0123abcd0123abcd0123abcd0123abcd"
	marked      = "deploy-next-d07e96e389ef45675476b34e"
	markedOther = "deploy-next-8888abcd89ef4567ff46772f"
)

// expiredTokens adds tokens t0, t1 and so on, which have expired and were last
// used long ago.
func expiredTokens(tenant *sailpointtest.Tenant, n int) {
	for i := range n {
		tenant.Add(sailpoint.PersonalAccessToken{
			ID: fmt.Sprint("t", i), Name: fmt.Sprint("token ", i), Scope: []string{"s"}, Created: time.Now().Add(-300 * day),
			LastUsed: ptr(time.Now().Add(-200 * day)), ExpirationDate: ptr(time.Now().Add(-100 * day)),
			Owner: sailpoint.PersonalAccessTokenOwner{ID: fmt.Sprint("owner", i/5)},
		})
	}
}

func audit(t *testing.T, client *sailpoint.Client) *lifecycle.Report {
	t.Helper()
	report, err := lifecycle.Audit(t.Context(), client, lifecycle.AuditPolicy{})
	require.NoError(t, err)
	return report
}

// statuses returns each change as "id status reason".
func statuses(changes []lifecycle.Change) []string {
	list := []string{}
	for _, c := range changes {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s %s %s", c.Token.ID, c.Status, c.Reason)))
	}
	return list
}

func count(changes []lifecycle.Change, status lifecycle.Status) (n int) {
	for _, c := range changes {
		if c.Status == status {
			n++
		}
	}
	return n
}

// requests counts the API's responses with this method and status.
func requests(tenant *sailpointtest.Tenant, method string, status int) (n int) {
	for _, r := range tenant.Requests() {
		if r.Method == method && r.Path != "/oauth/token" && r.Status == status {
			n++
		}
	}
	return n
}

var expired = []lifecycle.Kind{lifecycle.FindingExpired}

func TestPruneIsADryRunWithoutApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiredTokens(tenant, 2)
		client := clientOf(t, tenant)
		report := audit(t, client)
		changes, err := lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{Kinds: []lifecycle.Kind{lifecycle.FindingStale, lifecycle.FindingExpired}})
		require.NoError(t, err)
		assert.Equal(t, []string{"t0 planned", "t1 planned"}, statuses(changes), "each token once, although it has two findings")
		assert.Len(t, tenant.Tokens(), 3)
		assert.Equal(t, []string{"GET /personal-access-tokens/v1 200", "GET /personal-access-tokens/v1 200"}, calls(tenant))

		changes, err = lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{Kinds: expired, Apply: true})
		require.NoError(t, err)
		assert.Equal(t, []string{"t0 deleted", "t1 deleted"}, statuses(changes))
		assert.Len(t, tenant.Tokens(), 1)
		assert.ElementsMatch(t, []string{"GET /personal-access-tokens/v1 200", "DELETE /personal-access-tokens/v1/t0 204", "DELETE /personal-access-tokens/v1/t1 204"}, calls(tenant)[2:])

		changes, err = lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{Kinds: expired, Apply: true})
		require.NoError(t, err)
		assert.Equal(t, []string{"t0 gone", "t1 gone"}, statuses(changes), "again")
		assert.Zero(t, requests(tenant, http.MethodDelete, 404), "no deletion may be sent for a token that is gone")
	})
}

// TestPruneSkipsTokens covers each reason to keep a token.
func TestPruneSkipsTokens(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(*sailpoint.PersonalAccessToken)                                  // before the audit
		after  func(tenant *sailpointtest.Tenant, pat sailpoint.PersonalAccessToken) // between audit and pruning
		report func(*lifecycle.Report)                                               // changes the report
		policy lifecycle.AuditPolicy
		want   string
	}{
		"used meanwhile": {
			after: func(tenant *sailpointtest.Tenant, pat sailpoint.PersonalAccessToken) {
				pat.LastUsed = ptr(time.Now())
				tenant.Add(pat)
			},
			want: "it was used since the audit looked",
		},
		"used meanwhile for the first time": {
			before: func(pat *sailpoint.PersonalAccessToken) { pat.LastUsed = nil },
			after: func(tenant *sailpointtest.Tenant, pat sailpoint.PersonalAccessToken) {
				pat.LastUsed = ptr(time.Now())
				tenant.Add(pat)
			},
			want: "it was used since the audit looked",
		},
		"renewed meanwhile": {
			after: func(tenant *sailpointtest.Tenant, pat sailpoint.PersonalAccessToken) {
				pat.ExpirationDate = ptr(time.Now().Add(day))
				tenant.Add(pat)
			},
			want: "it was changed since the audit looked",
		},
		"renamed meanwhile": {
			after: func(tenant *sailpointtest.Tenant, pat sailpoint.PersonalAccessToken) {
				pat.Name = "keep"
				tenant.Add(pat)
			},
			want: "it was changed since the audit looked",
		},
		"given more rights meanwhile": {
			after: func(tenant *sailpointtest.Tenant, pat sailpoint.PersonalAccessToken) {
				pat.Scope = []string{"s", "t"}
				tenant.Add(pat)
			},
			want: "it was changed since the audit looked",
		},
		"managed meanwhile": {
			after: func(tenant *sailpointtest.Tenant, pat sailpoint.PersonalAccessToken) {
				pat.Managed = true
				tenant.Add(pat)
			},
			want: "the platform manages it",
		},
		"managed, by a report made by hand": {
			before: func(pat *sailpoint.PersonalAccessToken) { pat.Managed = true },
			report: func(r *lifecycle.Report) { r.Findings[len(r.Findings)-1].Kind = lifecycle.FindingExpired },
			want:   "the platform manages it",
		},
		"the mark of a rotation": {
			before: func(pat *sailpoint.PersonalAccessToken) { pat.Name = markedOther },
			want:   "its rotation has not finished",
		},
		"the mark of a rotation that the audit's Grace excuses": {
			before: func(pat *sailpoint.PersonalAccessToken) { pat.Name = markedOther },
			policy: lifecycle.AuditPolicy{Grace: 365 * day},
			want:   "its rotation has not finished",
		},
		"the mark of a rotation meanwhile": {
			after: func(tenant *sailpointtest.Tenant, pat sailpoint.PersonalAccessToken) {
				pat.Name = markedOther
				tenant.Add(pat)
			},
			want: "its rotation has not finished",
		},
		"about to be replaced by a rotation": {
			after: func(tenant *sailpointtest.Tenant, _ sailpoint.PersonalAccessToken) {
				tenant.Add(sailpoint.PersonalAccessToken{Name: marked})
			},
			want: "its rotation has not finished",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant := sailpointtest.NewTenant()
				pat := sailpoint.PersonalAccessToken{
					ID: markedID, Name: "n", Scope: []string{"s"}, Created: time.Now().Add(-300 * day),
					LastUsed: ptr(time.Now().Add(-200 * day)), ExpirationDate: ptr(time.Now().Add(-100 * day)),
				}
				if tt.before != nil {
					tt.before(&pat)
				}
				tenant.Add(pat)
				client := clientOf(t, tenant)
				report, err := lifecycle.Audit(t.Context(), client, tt.policy)
				require.NoError(t, err)
				if tt.after != nil {
					tt.after(tenant, pat)
				}
				if tt.report != nil {
					tt.report(report)
				}
				changes, err := lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{Kinds: expired, Apply: true})
				require.NoError(t, err)
				assert.Equal(t, []string{markedID + " skipped " + tt.want}, statuses(changes))
				assert.Len(t, calls(tenant), 2, "two lists and no deletion")
			})
		})
	}
}

// TestPruneComparesScopesAsSets because the API promises no order.
func TestPruneComparesScopesAsSets(t *testing.T) {
	for name, tt := range map[string]struct {
		before, now string
		want        string
	}{
		"another order":     {`["a","b"]`, `["b","a"]`, "t deleted"},
		"one of them twice": {`["a","b"]`, `["b","a","b"]`, "t deleted"},
		"none and null":     {`[]`, `null`, "t deleted"},
		"one more":          {`["a","b"]`, `["b","a","c"]`, "t skipped it was changed since the audit looked"},
		"one less":          {`["a","b"]`, `["b","b"]`, "t skipped it was changed since the audit looked"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant := sailpointtest.NewTenant()
				tenant.Add(sailpoint.PersonalAccessToken{ID: "t"})
				for _, scope := range []string{tt.before, tt.now} {
					tenant.Inject(sailpointtest.Fault{
						Method: "GET", Status: 200, Body: `[{"id":"t","name":"n","scope":` + scope + `,"expirationDate":"1999-01-02T00:00:00Z"}]`,
					})
				}
				client := clientOf(t, tenant)
				changes, err := lifecycle.Prune(t.Context(), client, audit(t, client), lifecycle.PruneOptions{Kinds: expired, Apply: true})
				require.NoError(t, err)
				assert.Equal(t, []string{tt.want}, statuses(changes))
			})
		})
	}
}

func TestPruneNeverDeletesItsOwnToken(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	client := clientOf(t, tenant)
	changes, err := lifecycle.Prune(t.Context(), client, audit(t, client), lifecycle.PruneOptions{
		Kinds: []lifecycle.Kind{lifecycle.FindingEveryRight, lifecycle.FindingNoExpiry}, Apply: true,
	})
	require.NoError(t, err)
	require.Equal(t, []string{client.ClientID() + " skipped it is the client's own token"}, statuses(changes))
	require.Len(t, tenant.Tokens(), 1)
}

// TestPruneKnowsItsOwnTokenByTheBearer covers a client whose TokenSource names
// the token, which Rotate replaces before Prune.
func TestPruneKnowsItsOwnTokenByTheBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, store, a := stored(t)
		service, admin := serviceOf(t, tenant, store), clientOf(t, tenant)
		prune := func() []string {
			report, err := lifecycle.Audit(t.Context(), admin, lifecycle.AuditPolicy{OwnerID: sailpoint.OwnerMe})
			require.NoError(t, err)
			changes, err := lifecycle.Prune(t.Context(), service, report, lifecycle.PruneOptions{Kinds: []lifecycle.Kind{lifecycle.FindingNoExpiry}})
			require.NoError(t, err)
			return statuses(changes)
		}
		assert.Contains(t, prune(), a.ID+" skipped it is the client's own token", "before its first bearer")

		b := replaceStored(t, tenant, store)
		assert.Contains(t, prune(), b.ID+" skipped it is the client's own token", "with the bearer of the token before")
	})
}

// TestPruneWithoutABearer checks that the error of the TokenSource is returned.
func TestPruneWithoutABearer(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	expiredTokens(tenant, 1)
	mine := errors.New("mine")
	client := clientOf(t, tenant, func(cfg *sailpoint.Config) {
		cfg.ClientID, cfg.ClientSecret = "", sailpoint.Secret{}
		cfg.TokenSource = func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
			return sailpoint.AccessToken{}, mine
		}
	})
	_, err := lifecycle.Prune(t.Context(), client, audit(t, clientOf(t, tenant)), lifecycle.PruneOptions{Kinds: expired, Apply: true})
	require.ErrorIs(t, err, mine)
}

func TestPruneCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for limit, want := range map[int]int{0: 100, 1: 1, 104: 104, 200: 105} {
			tenant := sailpointtest.NewTenant()
			expiredTokens(tenant, 105)
			client := clientOf(t, tenant)
			report := audit(t, client)
			for _, apply := range []bool{false, true} {
				changes, err := lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{Kinds: expired, MaxDeletions: limit, Apply: apply})
				require.NoError(t, err)
				status := map[bool]lifecycle.Status{false: lifecycle.StatusPlanned, true: lifecycle.StatusDeleted}[apply]
				assert.Equal(t, want, count(changes, status))
				assert.Equal(t, 105-want, count(changes, lifecycle.StatusDeferred))
				if want < 105 {
					assert.Equal(t, "not tried, because the limit of deletions is reached", changes[104].Reason)
					assert.NoError(t, changes[104].Err)
				}
			}
			assert.Len(t, tenant.Tokens(), 106-want)
			assert.Equal(t, want, requests(tenant, http.MethodDelete, 204))
		}
	})
}

// TestPruneCountsOnlyDeletionsAgainstTheCeiling in a list that begins with two
// tokens that Prune skips.
func TestPruneCountsOnlyDeletionsAgainstTheCeiling(t *testing.T) {
	tenant := sailpointtest.NewTenant() // with the client's own token
	tenant.Add(sailpoint.PersonalAccessToken{ID: "rotating", Name: marked})
	tenant.Add(sailpoint.PersonalAccessToken{ID: "a"})
	tenant.Add(sailpoint.PersonalAccessToken{ID: "b"})
	client := clientOf(t, tenant)
	changes, err := lifecycle.Prune(t.Context(), client, audit(t, client), lifecycle.PruneOptions{
		Kinds: []lifecycle.Kind{lifecycle.FindingEveryRight}, MaxDeletions: 1, Apply: true,
	})
	require.NoError(t, err)
	assert.Equal(t, []string{
		client.ClientID() + " skipped it is the client's own token", "rotating skipped its rotation has not finished",
		"a deleted", "b deferred not tried, because the limit of deletions is reached",
	}, statuses(changes))
}

// TestPruneSkipsOnlyRealRotations makes one by a Rotate that fails. A name that
// somebody typed has no checksum.
func TestPruneSkipsOnlyRealRotations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, store, old := stored(t)
		tenant.Add(sailpoint.PersonalAccessToken{ID: "typed", Name: "job-next-0123456789abcdef01234567", Scope: jobScope})
		client := clientOf(t, tenant)
		tenant.Inject(sailpointtest.Fault{Method: http.MethodDelete, Status: 403})
		_, err := lifecycle.Rotate(t.Context(), client, store, lifecycle.RotateOptions{Lifetime: 20 * day})
		require.ErrorIs(t, err, sailpoint.ErrForbidden)
		successor, err := store.Load(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, old.ID, successor.ID)

		changes, err := lifecycle.Prune(t.Context(), client, audit(t, client), lifecycle.PruneOptions{
			Kinds: []lifecycle.Kind{lifecycle.FindingNoExpiry, lifecycle.FindingExpiringSoon}, Apply: true,
		})
		require.NoError(t, err)
		assert.ElementsMatch(t, []string{
			client.ClientID() + " skipped it is the client's own token", old.ID + " skipped its rotation has not finished",
			successor.ID + " skipped its rotation has not finished", "typed deleted",
		}, statuses(changes))
	})
}

// TestPruneContinuesAfterFailures checks the status of each failure.
func TestPruneContinuesAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiredTokens(tenant, 6)
		client := clientOf(t, tenant, func(cfg *sailpoint.Config) { cfg.MaxRetries = -1 })
		report := audit(t, client)
		tenant.Inject(
			sailpointtest.Fault{Path: item, Status: 403},
			sailpointtest.Fault{Path: item, Committed: true},
			sailpointtest.Fault{Path: item, Err: io.ErrUnexpectedEOF},
			sailpointtest.Fault{Path: item, Status: 404, Body: `{"detailCode":"404 Not found"}`},
		)
		var told []string
		changes, err := lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{
			Kinds: expired, Apply: true, Concurrency: 1,
			Progress: func(done, total int, c lifecycle.Change) {
				told = append(told, fmt.Sprintf("%d/%d %s %s", done, total, c.Token.ID, c.Status))
			},
		})
		require.NoError(t, err)
		assert.Equal(t, []string{"t0 failed", "t1 unknown", "t2 unknown", "t3 gone", "t4 deleted", "t5 deleted"}, statuses(changes))
		assert.Equal(t, []string{"1/6 t0 failed", "2/6 t1 unknown", "3/6 t2 unknown", "4/6 t3 gone", "5/6 t4 deleted", "6/6 t5 deleted"}, told)
		assert.ErrorIs(t, changes[0].Err, sailpoint.ErrForbidden)
		assert.ErrorIs(t, changes[1].Err, sailpoint.ErrOutcomeUnknown)
		for _, c := range changes[3:] {
			assert.NoError(t, c.Err)
		}
		ids := []string{}
		for _, pat := range tenant.Tokens()[1:] {
			ids = append(ids, pat.ID)
		}
		assert.Equal(t, []string{"t0", "t2", "t3"}, ids, "one of the two unknown tokens was deleted")
		assert.Empty(t, tenant.Unused())
	})
}

// TestPruneBelievesOnlyTheAPIsNotFound checks that a gateway's 404 proves
// nothing.
func TestPruneBelievesOnlyTheAPIsNotFound(t *testing.T) {
	for body, want := range map[string]lifecycle.Status{
		`{"detailCode":"404 Not found"}`: lifecycle.StatusGone,
		`{"trackingId":"e7eab60924f6"}`:  lifecycle.StatusGone,
		``:                               lifecycle.StatusFailed,
		`<html><h1>Not Found</h1>`:       lifecycle.StatusFailed,
		`default backend - 404`:          lifecycle.StatusFailed,
		`{"timestamp":"2000-01-01T00:00:00Z","status":404,"error":"Not Found","path":"/"}`: lifecycle.StatusFailed,
		`{"error":{"code":404,"message":"Not found.","status":"NOT_FOUND"}}`:               lifecycle.StatusFailed,
	} {
		synctest.Test(t, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			expiredTokens(tenant, 1)
			client := clientOf(t, tenant)
			report := audit(t, client)
			tenant.Inject(sailpointtest.Fault{Path: item, Status: 404, Body: body})
			changes, err := lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{Kinds: expired, Apply: true})
			require.NoError(t, err)
			require.Len(t, changes, 1)
			assert.Equal(t, want, changes[0].Status, body)
			assert.Equal(t, want == lifecycle.StatusFailed, errors.Is(changes[0].Err, sailpoint.ErrNotFound), body)
			assert.Equal(t, 1, requests(tenant, http.MethodDelete, 404))
		})
	}
}

// TestPruneStopsAtRejectedCredentials because they would fail every deletion.
func TestPruneStopsAtRejectedCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiredTokens(tenant, 50)
		client := clientOf(t, tenant)
		report := audit(t, client)
		tenant.Inject(slices.Repeat([]sailpointtest.Fault{{Path: item, Delay: time.Millisecond}}, 10)...)
		tenant.Inject(slices.Repeat([]sailpointtest.Fault{{Path: item, Status: 401}}, 2)...) // also with a new bearer
		changes, err := lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{Kinds: expired, Apply: true, Concurrency: 1})
		require.ErrorIs(t, err, sailpoint.ErrUnauthorized)
		require.Len(t, changes, 50)
		assert.Equal(t, 10, count(changes, lifecycle.StatusDeleted))
		assert.Equal(t, lifecycle.StatusFailed, changes[10].Status)
		for _, c := range changes[11:] {
			assert.Equal(t, lifecycle.StatusDeferred, c.Status)
			assert.NoError(t, c.Err)
			assert.Equal(t, "not tried, because the tenant rejected the client's credentials", c.Reason)
		}
		assert.Len(t, tenant.Tokens(), 41)
		assert.Equal(t, 2, requests(tenant, http.MethodDelete, 401))
	})
}

// TestPruneStopsAtRejectedCredentialsAmongRateLimits also defers deletions that
// got a 429 before.
func TestPruneStopsAtRejectedCredentialsAmongRateLimits(t *testing.T) {
	limited := sailpointtest.Fault{Path: item, Status: 429, Header: http.Header{"Retry-After": {"1"}}}
	deletes, denied := sailpointtest.Fault{Path: item, Delay: time.Millisecond}, sailpointtest.Fault{Path: item, Status: 401}
	const deferred = " deferred not tried, because the tenant rejected the client's credentials"
	for name, tt := range map[string]struct {
		faults []sailpointtest.Fault
		want   []string
	}{
		"in the first round":  {[]sailpointtest.Fault{limited, denied, denied}, []string{"t0" + deferred, "t1 failed", "t2" + deferred}},
		"in the second round": {[]sailpointtest.Fault{limited, deletes, limited, denied, denied}, []string{"t0 failed", "t1 deleted", "t2" + deferred}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant := sailpointtest.NewTenant()
				expiredTokens(tenant, 3)
				client := clientOf(t, tenant, func(cfg *sailpoint.Config) { cfg.MaxRetries = -1 })
				report := audit(t, client)
				tenant.Inject(tt.faults...)
				changes, err := lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{Kinds: expired, Apply: true, Concurrency: 1})
				require.ErrorIs(t, err, sailpoint.ErrUnauthorized)
				assert.Equal(t, tt.want, statuses(changes))
				for _, c := range changes {
					assert.Equal(t, c.Status == lifecycle.StatusFailed, c.Err != nil, c.Token.Name)
				}
			})
		})
	}
}

// TestPruneUnderAnEndlessRateLimit checks that a round without any deletion is
// the last one.
func TestPruneUnderAnEndlessRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiredTokens(tenant, 10)
		client := clientOf(t, tenant, func(cfg *sailpoint.Config) { cfg.MaxRetries = -1 })
		report := audit(t, client)
		// The first and the second round delete one token each, and the third
		// none.
		limited := sailpointtest.Fault{Path: item, Status: 429, Header: http.Header{"Retry-After": {"1"}}}
		tenant.Inject(slices.Repeat([]sailpointtest.Fault{limited}, 9)...)
		tenant.Inject(sailpointtest.Fault{Path: item, Delay: time.Millisecond})
		tenant.Inject(slices.Repeat([]sailpointtest.Fault{limited}, 8)...)
		tenant.Inject(sailpointtest.Fault{Path: item, Delay: time.Millisecond})
		tenant.Inject(slices.Repeat([]sailpointtest.Fault{limited}, 8)...)
		changes, err := lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{Kinds: expired, Apply: true, Concurrency: 1})
		require.NoError(t, err)
		assert.Equal(t, 2, count(changes, lifecycle.StatusDeleted))
		assert.Equal(t, 8, count(changes, lifecycle.StatusFailed))
		for _, c := range changes {
			if c.Status == lifecycle.StatusFailed {
				assert.ErrorIs(t, c.Err, sailpoint.ErrRateLimited)
			} else {
				assert.NoError(t, c.Err)
			}
		}
		assert.Equal(t, 25, requests(tenant, http.MethodDelete, 429))
		assert.Empty(t, tenant.Unused())
	})
}

// TestPruneDefersWhatALongRetryAfterHoldsBack checks that a deletion that was
// not sent has not failed.
func TestPruneDefersWhatALongRetryAfterHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiredTokens(tenant, 5)
		client := clientOf(t, tenant)
		report := audit(t, client)
		tenant.Inject(sailpointtest.Fault{Path: item, Status: 429, Header: http.Header{"Retry-After": {"300"}}})
		changes, err := lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{Kinds: expired, Apply: true, Concurrency: 1})
		require.NoError(t, err)
		const deferred = " deferred not tried, because an earlier response asked to wait"
		assert.Equal(t, []string{"t0 failed", "t1" + deferred, "t2" + deferred, "t3" + deferred, "t4" + deferred}, statuses(changes))
		for _, c := range changes {
			assert.ErrorIs(t, c.Err, sailpoint.ErrRateLimited)
		}
		assert.Equal(t, 1, requests(tenant, http.MethodDelete, 429))
		assert.Len(t, calls(tenant), 3, "two lists and one deletion")
	})
}

// TestPruneThatIsCanceled checks the statuses of finished, deferred and
// canceled deletions.
func TestPruneThatIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiredTokens(tenant, 40)
		client := clientOf(t, tenant)
		report := audit(t, client)
		// Eight deletions get a response. Four take effect, but their responses
		// are late.
		tenant.Inject(slices.Repeat([]sailpointtest.Fault{{Path: item, Delay: time.Millisecond}}, 8)...)
		tenant.Inject(slices.Repeat([]sailpointtest.Fault{{Path: item, Committed: true, Delay: time.Minute}}, 4)...)
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(time.Second, cancel).Stop()
		settled := 0
		changes, err := lifecycle.Prune(ctx, client, report, lifecycle.PruneOptions{
			Kinds: expired, Apply: true, Progress: func(done, _ int, _ lifecycle.Change) { settled = done },
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, changes, 40)
		assert.Equal(t, 40, settled)
		assert.Equal(t, 8, count(changes, lifecycle.StatusDeleted))
		assert.Equal(t, 4, count(changes, lifecycle.StatusUnknown), "the deletions in progress")
		assert.Equal(t, 28, count(changes, lifecycle.StatusDeferred))
		assert.Len(t, tenant.Tokens(), 1+28, "the statuses must match the tenant")
		for _, c := range changes {
			switch c.Status {
			case lifecycle.StatusUnknown:
				assert.ErrorIs(t, c.Err, sailpoint.ErrOutcomeUnknown)
				assert.ErrorIs(t, c.Err, context.Canceled)
			case lifecycle.StatusDeferred:
				assert.ErrorIs(t, c.Err, context.Canceled)
				assert.Equal(t, "not tried, because the context ended", c.Reason)
			}
		}
	})
}

// TestPruneOfAContextThatHasEnded checks that nothing is deleted.
func TestPruneOfAContextThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiredTokens(tenant, 3)
		client := clientOf(t, tenant)
		report := audit(t, client)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := lifecycle.Prune(ctx, client, report, lifecycle.PruneOptions{Kinds: expired, Apply: true})
		require.ErrorIs(t, err, context.Canceled)
		assert.Len(t, tenant.Tokens(), 4)
	})
}

// bucket is a limiter with a burst, and then one request at a time.
type bucket struct {
	mu    sync.Mutex
	every time.Duration
	next  time.Time
}

func (b *bucket) Wait(ctx context.Context) error {
	b.mu.Lock()
	now := time.Now()
	if b.next.Before(now) {
		b.next = now
	}
	wait := b.next.Sub(now)
	b.next = b.next.Add(b.every)
	b.mu.Unlock()
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestPruneOf5000 meets the tenant's limit of 100 requests in 10 seconds. With
// a limiter the tenant rejects no request. Without one, no deletion is lost.
func TestPruneOf5000(t *testing.T) {
	first, step := sampletest.Choose(t, 4)
	for n := first; n < 4; n += step {
		limited, concurrency := n < 2, []int{0, 32}[n%2]
		t.Run(fmt.Sprintf("limited %t, concurrency %d", limited, concurrency), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tenant := sailpointtest.NewTenant(sailpointtest.WithRateLimit())
				expiredTokens(tenant, 5000)
				client := clientOf(t, tenant, func(cfg *sailpoint.Config) {
					if limited {
						cfg.Limiter = &bucket{every: 100 * time.Millisecond}
					}
				})
				report := audit(t, client)
				started := time.Now()
				told := 0
				changes, err := lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{
					Kinds: expired, Apply: true, MaxDeletions: 5000, Concurrency: concurrency,
					Progress: func(done, total int, _ lifecycle.Change) {
						told++
						assert.Equal(t, [2]int{told, 5000}, [2]int{done, total})
					},
				})
				require.NoError(t, err)
				assert.Equal(t, 5000, count(changes, lifecycle.StatusDeleted))
				assert.Equal(t, 1, len(tenant.Tokens())) //nolint:testifylint // Len would print thousands of tokens
				assert.Equal(t, 5000, requests(tenant, http.MethodDelete, 204))
				assert.Equal(t, 5000, told)
				rejected := requests(tenant, http.MethodDelete, 429)
				took := time.Since(started)
				t.Logf("%d responses with 429 in %s", rejected, took)
				if limited {
					assert.Zero(t, rejected)
				}
				assert.Less(t, took, 10*time.Minute)
			})
		})
	}
}

func TestPruneRejectsArguments(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	client := clientOf(t, tenant)
	sourced := clientOf(t, tenant, func(cfg *sailpoint.Config) {
		cfg.ClientID, cfg.ClientSecret = "", sailpoint.Secret{}
		cfg.TokenSource = func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
			return sailpoint.AccessToken{Bearer: sailpoint.NewSecret("a-bearer")}, nil
		}
	})
	report := &lifecycle.Report{Findings: []lifecycle.Finding{{Kind: lifecycle.FindingExpired, Token: sailpoint.PersonalAccessToken{ID: "id"}}}}
	for name, tt := range map[string]struct {
		client *sailpoint.Client
		report *lifecycle.Report
		opts   lifecycle.PruneOptions
		want   string
	}{
		"no client":            {nil, report, lifecycle.PruneOptions{Kinds: expired}, "NewClient"},
		"zero client":          {&sailpoint.Client{}, report, lifecycle.PruneOptions{Kinds: expired}, "NewClient"},
		"own token unknown":    {sourced, report, lifecycle.PruneOptions{Kinds: expired}, "Config.ClientID"},
		"no report":            {client, nil, lifecycle.PruneOptions{Kinds: expired}, "Audit"},
		"no kinds":             {client, report, lifecycle.PruneOptions{}, "Kinds is empty"},
		"unknown kind":         {client, report, lifecycle.PruneOptions{Kinds: []lifecycle.Kind{"all"}}, `"all" is not a kind`},
		"managed":              {client, report, lifecycle.PruneOptions{Kinds: []lifecycle.Kind{lifecycle.FindingManaged}}, "never a reason"},
		"unfinished":           {client, report, lifecycle.PruneOptions{Kinds: []lifecycle.Kind{lifecycle.FindingExpired, lifecycle.FindingUnfinished}}, "never a reason"},
		"near the limit":       {client, report, lifecycle.PruneOptions{Kinds: []lifecycle.Kind{lifecycle.FindingNearLimit}}, "never a reason"},
		"negative ceiling":     {client, report, lifecycle.PruneOptions{Kinds: expired, MaxDeletions: -1}, "not be negative"},
		"negative concurrency": {client, report, lifecycle.PruneOptions{Kinds: expired, Concurrency: -1}, "not be negative"},
	} {
		tt.opts.Apply = true
		_, err := lifecycle.Prune(t.Context(), tt.client, tt.report, tt.opts)
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument, name)
		require.ErrorContains(t, err, tt.want, name)
	}
	require.Empty(t, tenant.Requests())

	changes, err := lifecycle.Prune(t.Context(), client, &lifecycle.Report{}, lifecycle.PruneOptions{Kinds: expired, Apply: true})
	require.NoError(t, err)
	require.Empty(t, changes)
	require.Empty(t, tenant.Requests(), "nothing was selected")
}

// TestPruneWhoseSecondListFails checks that nothing is deleted.
func TestPruneWhoseSecondListFails(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	expiredTokens(tenant, 3)
	client := clientOf(t, tenant)
	report := audit(t, client)
	tenant.Inject(sailpointtest.Fault{Method: http.MethodGet, CutAfter: 1000})
	_, err := lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{Kinds: expired, Apply: true})
	require.ErrorIs(t, err, sailpoint.ErrInvalidResponse)
	require.Len(t, tenant.Tokens(), 4)
}

// TestProgressThatPanics checks that no deletion starts or continues after the
// panic.
func TestProgressThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiredTokens(tenant, 20)
		client := clientOf(t, tenant)
		report := audit(t, client)
		tenant.Inject(slices.Repeat([]sailpointtest.Fault{{Path: item, Delay: time.Second}}, 20)...)
		require.PanicsWithValue(t, "progress", func() {
			_, _ = lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{
				Kinds: expired, Apply: true, Concurrency: 1, Progress: func(int, int, lifecycle.Change) { panic("progress") },
			})
		})
		require.Len(t, tenant.Tokens(), 1+18, "one deletion was done and one in progress")
		synctest.Wait()
		require.Len(t, tenant.Tokens(), 1+18)
	})
}

// TestPruneOfOwnTokens checks that it needs no right to list others' tokens.
func TestPruneOfOwnTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		owner := sailpoint.PersonalAccessTokenOwner{ID: "someone"}
		id, secret := tenant.Add(sailpoint.PersonalAccessToken{Owner: owner})
		tenant.Add(sailpoint.PersonalAccessToken{ID: "old", Owner: owner, ExpirationDate: ptr(time.Now())})
		client, err := clientOf(t, tenant).WithCredentials(id, secret)
		require.NoError(t, err)
		report, err := lifecycle.Audit(t.Context(), client, lifecycle.AuditPolicy{OwnerID: sailpoint.OwnerMe})
		require.NoError(t, err)
		changes, err := lifecycle.Prune(t.Context(), client, report, lifecycle.PruneOptions{Kinds: expired, Apply: true})
		require.NoError(t, err)
		assert.Equal(t, []string{"old deleted"}, statuses(changes))
	})
}

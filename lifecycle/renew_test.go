package lifecycle_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

const bulkPath = "/personal-access-tokens/v1/bulk-update"

// expiringTokens adds tokens t00, t01 and so on of other owners, which expire
// in an hour.
func expiringTokens(tenant *sailpointtest.Tenant, n int) {
	for i := range n {
		tenant.Add(sailpoint.PersonalAccessToken{
			ID: fmt.Sprintf("t%02d", i), Scope: []string{"s"}, ExpirationDate: ptr(time.Now().Add(time.Hour)),
			Owner: sailpoint.PersonalAccessTokenOwner{ID: fmt.Sprint("owner", i/5)},
		})
	}
}

// inVersion makes a client use this API version.
func inVersion(v sailpoint.APIVersion) func(*sailpoint.Config) {
	return func(cfg *sailpoint.Config) { cfg.APIVersion = v }
}

// bodies returns the bodies of the requests to the API.
func bodies(tenant *sailpointtest.Tenant) (list []string) {
	for _, r := range tenant.Requests() {
		if r.Path != "/oauth/token" && r.Body != "" {
			list = append(list, r.Body)
		}
	}
	return list
}

func TestRenewInBulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiringTokens(tenant, 55)
		client := clientOf(t, tenant)
		opts := lifecycle.RenewOptions{Lifetime: 90 * day}
		changes, err := lifecycle.Renew(t.Context(), client, opts)
		require.NoError(t, err)
		assert.Equal(t, 55, count(changes, lifecycle.StatusPlanned), "without Apply it is a dry run")
		assert.Equal(t, []string{"GET /personal-access-tokens/v1 200"}, calls(tenant))

		opts.Apply = true
		changes, err = lifecycle.Renew(t.Context(), client, opts)
		require.NoError(t, err)
		assert.Equal(t, 55, count(changes, lifecycle.StatusRenewed))
		bulk := "PATCH " + bulkPath + " 200"
		assert.Equal(t, []string{"GET /personal-access-tokens/v1 200", bulk, bulk, bulk}, calls(tenant)[1:])
		assert.Equal(t, `{"ids":["t50","t51","t52","t53","t54"],"patch":[{"op":"replace","path":"/expirationDate","value":"2000-03-31T00:00:00.000Z"}]}`, bodies(tenant)[2])
		for _, c := range changes {
			assert.WithinDuration(t, time.Now().Add(90*day), *c.Token.ExpirationDate, 0)
		}
		for _, pat := range tenant.Tokens()[1:] {
			assert.WithinDuration(t, time.Now().Add(90*day), *pat.ExpirationDate, 0)
		}

		changes, err = lifecycle.Renew(t.Context(), client, opts)
		require.NoError(t, err)
		assert.Empty(t, changes, "again")
	})
}

// TestRenewWithoutBulk checks that the status of a missing route is not applied
// to any token.
func TestRenewWithoutBulk(t *testing.T) {
	for _, status := range []int{302, 403, 404, 405, 406, 410, 415, 501} {
		synctest.Test(t, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			for i := range 30 {
				tenant.Add(sailpoint.PersonalAccessToken{ID: fmt.Sprintf("t%02d", i), ExpirationDate: ptr(time.Now().Add(day))})
			}
			tenant.Inject(sailpointtest.Fault{Method: "PATCH", Path: bulkPath, Status: status})
			changes, err := lifecycle.Renew(t.Context(), clientOf(t, tenant), lifecycle.RenewOptions{Lifetime: 90 * day, Apply: true})
			require.NoError(t, err)
			assert.Equal(t, 30, count(changes, lifecycle.StatusRenewed), status)
			assert.Len(t, calls(tenant), 32, "a list, one bulk update, and 30 updates")
		})
	}
}

// TestRenewIfBulkUpdatesAreRejected checks that all tokens are renewed one by
// one if even a bulk update of one token is rejected.
func TestRenewIfBulkUpdatesAreRejected(t *testing.T) {
	for _, status := range []int{400, 408, 409, 413, 422} {
		synctest.Test(t, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			for i := range 60 {
				tenant.Add(sailpoint.PersonalAccessToken{ID: fmt.Sprintf("t%02d", i), ExpirationDate: ptr(time.Now().Add(day))})
			}
			tenant.Inject(slices.Repeat([]sailpointtest.Fault{{Method: "PATCH", Path: bulkPath, Status: status}}, 200)...)
			client := clientOf(t, tenant, func(cfg *sailpoint.Config) { cfg.MaxRetries = -1 })
			changes, err := lifecycle.Renew(t.Context(), client, lifecycle.RenewOptions{Lifetime: 90 * day, Apply: true})
			require.NoError(t, err)
			assert.Equal(t, 60, count(changes, lifecycle.StatusRenewed), status)
			assert.Equal(t, 5, requests(tenant, "PATCH", status), "25 tokens, 12, 6, 3, 1")
			assert.Equal(t, 60, requests(tenant, "PATCH", 200))
		})
	}
}

// TestRenewReportsBothErrors for another owner's token. The bulk update's error
// is the important one.
func TestRenewReportsBothErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiringTokens(tenant, 1)
		tenant.Inject(sailpointtest.Fault{Path: bulkPath, Status: 400, Body: `{"messages":[{"text":"Too far ahead."}]}`},
			sailpointtest.Fault{Method: "PATCH", Status: 403})
		changes, err := lifecycle.Renew(t.Context(), clientOf(t, tenant), lifecycle.RenewOptions{Lifetime: 90 * day, Apply: true})
		require.NoError(t, err)
		assert.Equal(t, []string{"t00 failed"}, statuses(changes))
		require.ErrorIs(t, changes[0].Err, sailpoint.ErrBadRequest)
		require.ErrorIs(t, changes[0].Err, sailpoint.ErrForbidden)
		require.ErrorContains(t, changes[0].Err, "Too far ahead")
	})
}

// TestRenewOfAListWithOddTokens has a token that is listed twice, and one whose
// ID no request can carry. All others must be renewed.
func TestRenewOfAListWithOddTokens(t *testing.T) {
	for _, version := range []sailpoint.APIVersion{sailpoint.V2026, sailpoint.V1} {
		synctest.Test(t, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			list := []string{}
			for _, id := range []string{"t0", "t1", "a/b", "t2", "t0", "{bulk-update}", "t3", "bulk-update"} {
				if !strings.ContainsAny(id, "/{") && id != "bulk-update" {
					tenant.Add(sailpoint.PersonalAccessToken{ID: id, ExpirationDate: ptr(time.Now().Add(day))})
				}
				list = append(list, `{"id":"`+id+`","name":"n","expirationDate":"2000-01-02T00:00:00Z"}`)
			}
			tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 200, Body: "[" + strings.Join(list, ",") + "]"})
			changes, err := lifecycle.Renew(t.Context(), clientOf(t, tenant, inVersion(version)), lifecycle.RenewOptions{Lifetime: 90 * day, Apply: true})
			require.NoError(t, err)
			assert.Equal(t, []string{
				"t0 renewed", "t1 renewed", "a/b failed", "t2 renewed", "{bulk-update} failed", "t3 renewed", "bulk-update failed",
			}, statuses(changes))
			for _, i := range []int{2, 4, 6} {
				assert.ErrorIs(t, changes[i].Err, sailpoint.ErrInvalidArgument)
			}
		})
	}
}

// TestRenewComparesTheResponse checks that a successful status alone is not
// enough.
func TestRenewComparesTheResponse(t *testing.T) {
	const old, asked = `"expirationDate":"2000-01-02T00:00:00Z"`, `"expirationDate":"2000-03-31T00:00:00Z"`
	lifetime, never := lifecycle.RenewOptions{Lifetime: 90 * day}, lifecycle.RenewOptions{NeverExpires: true}
	for name, tt := range map[string]struct {
		opts  lifecycle.RenewOptions
		shown string
		text  string // of the error, or "" if renewed
	}{
		"unchanged":                     {lifetime, old, "expires on 2000-01-02T00:00:00Z instead of 2000-03-31T00:00:00Z"},
		"unchanged, without expiry":     {never, old, "expires on 2000-01-02T00:00:00Z instead of never"},
		"another expiry":                {lifetime, `"expirationDate":"2000-03-30T23:59:59Z"`, "instead of"},
		"none":                          {lifetime, `"expirationDate":null`, "has no expiry instead of 2000-03-31T00:00:00Z"},
		"not reported":                  {lifetime, `"managed":false`, "has no expiry instead of"},
		"another token":                 {lifetime, `"id":"other"`, "does not show the token"},
		"as requested":                  {lifetime, asked, ""},
		"as requested, within a second": {lifetime, `"expirationDate":"2000-03-31T00:00:00.999Z"`, ""},
		"as requested, in another zone": {lifetime, `"expirationDate":"2000-03-31T02:00:00+02:00"`, ""},
		"no expiry":                     {never, `"expirationDate":null`, ""},
		"no expiry, acknowledged":       {never, `"userAwareTokenNeverExpires":true`, ""},
	} {
		for _, version := range []sailpoint.APIVersion{sailpoint.V2025, sailpoint.V1} {
			t.Run(name+" "+string(version), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tenant := sailpointtest.NewTenant()
					tenant.Add(sailpoint.PersonalAccessToken{ID: "id", ExpirationDate: ptr(time.Now().Add(day))})
					body := `{"id":"id","name":"n",` + tt.shown + `}`
					if strings.Contains(tt.shown, `"id"`) {
						body = `{"name":"n",` + asked + `,` + tt.shown + `}`
					}
					if version == sailpoint.V1 {
						body = "[" + body + "]"
					}
					tenant.Inject(sailpointtest.Fault{Method: "PATCH", Status: 200, Body: body})
					tt.opts.Apply = true
					changes, err := lifecycle.Renew(t.Context(), clientOf(t, tenant, inVersion(version)), tt.opts)
					require.NoError(t, err)
					require.Len(t, changes, 1)
					assert.Len(t, calls(tenant), 2)
					if tt.text == "" {
						assert.Equal(t, lifecycle.StatusRenewed, changes[0].Status)
						assert.NoError(t, changes[0].Err)
						return
					}
					require.ErrorContains(t, changes[0].Err, tt.text)
					if name == "another token" {
						assert.Equal(t, lifecycle.StatusUnknown, changes[0].Status)
						assert.ErrorIs(t, changes[0].Err, sailpoint.ErrOutcomeUnknown)
						return
					}
					assert.Equal(t, lifecycle.StatusFailed, changes[0].Status)
					assert.ErrorIs(t, changes[0].Err, lifecycle.ErrNotAsRequested)
				})
			})
		}
	}
}

// TestRenewReportsEachFailure checks that Renew itself returns no error,
// because other tokens may have been renewed.
func TestRenewReportsEachFailure(t *testing.T) {
	for _, status := range []int{429, 500, 503} {
		synctest.Test(t, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			expiringTokens(tenant, 30)
			tenant.Inject(sailpointtest.Fault{Path: bulkPath, Status: status}, sailpointtest.Fault{Path: bulkPath, Status: status})
			client := clientOf(t, tenant, func(cfg *sailpoint.Config) { cfg.MaxRetries = -1 })
			changes, err := lifecycle.Renew(t.Context(), client, lifecycle.RenewOptions{Lifetime: 90 * day, Apply: true})
			require.NoError(t, err)
			for _, c := range changes {
				assert.Contains(t, []lifecycle.Status{lifecycle.StatusFailed, lifecycle.StatusUnknown}, c.Status)
				assert.Error(t, c.Err)
			}
			assert.Len(t, calls(tenant), 3, "a list and two bulk updates")
		})
	}
}

// TestRenewDefersWhatALongRetryAfterHoldsBack checks that a renewal that was
// not sent has not failed.
func TestRenewDefersWhatALongRetryAfterHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiringTokens(tenant, 30)
		tenant.Inject(sailpointtest.Fault{Path: bulkPath, Status: 429, Header: http.Header{"Retry-After": {"300"}}})
		changes, err := lifecycle.Renew(t.Context(), clientOf(t, tenant), lifecycle.RenewOptions{Lifetime: 90 * day, Apply: true})
		require.NoError(t, err)
		assert.Equal(t, 25, count(changes, lifecycle.StatusFailed))
		assert.Equal(t, 5, count(changes, lifecycle.StatusDeferred))
		for _, c := range changes {
			assert.ErrorIs(t, c.Err, sailpoint.ErrRateLimited)
		}
		assert.Len(t, calls(tenant), 2, "a list and one bulk update")
	})
}

// TestRenewStopsHalvingAtRejectedCredentials checks that the rest of a halved
// batch is deferred.
func TestRenewStopsHalvingAtRejectedCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiringTokens(tenant, 30)
		for _, status := range []int{400, 401, 401} {
			tenant.Inject(sailpointtest.Fault{Method: "PATCH", Path: bulkPath, Status: status})
		}
		changes, err := lifecycle.Renew(t.Context(), clientOf(t, tenant), lifecycle.RenewOptions{Lifetime: 90 * day, Apply: true})
		require.ErrorIs(t, err, sailpoint.ErrUnauthorized)
		assert.Equal(t, 12, count(changes, lifecycle.StatusFailed))
		assert.Equal(t, 18, count(changes, lifecycle.StatusDeferred))
		assert.Len(t, calls(tenant), 4)
	})
}

func TestRenewWithoutExpiry(t *testing.T) {
	for version, path := range map[sailpoint.APIVersion]string{
		sailpoint.V2025: "/v2025/personal-access-tokens/id", sailpoint.V2026: "/v2026/personal-access-tokens/id", sailpoint.V1: bulkPath,
	} {
		synctest.Test(t, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			tenant.Add(sailpoint.PersonalAccessToken{ID: "id", ExpirationDate: ptr(time.Now().Add(day))})
			changes, err := lifecycle.Renew(t.Context(), clientOf(t, tenant, inVersion(version)), lifecycle.RenewOptions{NeverExpires: true, Apply: true})
			require.NoError(t, err)
			assert.Equal(t, []string{"id renewed"}, statuses(changes))
			assert.Nil(t, changes[0].Token.ExpirationDate)
			assert.Nil(t, tenant.Tokens()[1].ExpirationDate)
			assert.True(t, *tenant.Tokens()[1].UserAwareTokenNeverExpires)
			assert.Equal(t, "PATCH "+path+" 200", calls(tenant)[1])
		})
	}
}

// TestRenewOwnTokens checks that versions without bulk updates don't list
// others' tokens, which nobody could renew.
func TestRenewOwnTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiringTokens(tenant, 1)
		tenant.Add(sailpoint.PersonalAccessToken{ID: "mine", ExpirationDate: ptr(time.Now().Add(day))})
		client := clientOf(t, tenant, inVersion(sailpoint.V2026))
		changes, err := lifecycle.Renew(t.Context(), client, lifecycle.RenewOptions{Lifetime: 90 * day, Apply: true})
		require.NoError(t, err)
		assert.Equal(t, []string{"mine renewed"}, statuses(changes))
		assert.Equal(t, []string{"GET /v2026/personal-access-tokens?owner-id=me 200", "PATCH /v2026/personal-access-tokens/mine 200"}, calls(tenant))
		assert.Equal(t, []string{`[{"op":"replace","path":"/expirationDate","value":"2000-03-31T00:00:00.000Z"}]`}, bodies(tenant))
	})
}

// TestRenewWithoutTheRightToBulkUpdates checks that one's own tokens are
// renewed one by one.
func TestRenewWithoutTheRightToBulkUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		id, secret := tenant.Add(sailpoint.PersonalAccessToken{
			ID: "mine", ExpirationDate: ptr(time.Now().Add(day)),
			Scope: []string{"sp:my-personal-access-tokens:manage", "sp:all-personal-access-tokens:read"},
		})
		expiringTokens(tenant, 26)
		client, err := clientOf(t, tenant).WithCredentials(id, secret)
		require.NoError(t, err)
		changes, err := lifecycle.Renew(t.Context(), client, lifecycle.RenewOptions{Lifetime: 90 * day, Apply: true})
		require.NoError(t, err)
		assert.Equal(t, []string{"mine renewed", "t00 failed"}, statuses(changes)[:2])
		assert.Equal(t, 26, count(changes, lifecycle.StatusFailed))
		assert.ErrorIs(t, changes[1].Err, sailpoint.ErrForbidden)
		assert.Equal(t, []string{
			"GET /personal-access-tokens/v1 200", "PATCH " + bulkPath + " 403",
			"PATCH /personal-access-tokens/v1/mine 200", "PATCH /personal-access-tokens/v1/t00 403",
		}, calls(tenant)[:4])
		assert.Len(t, calls(tenant), 2+27, "the bulk update must not be retried")
	})
}

// TestRenewSelectsTokens by their expiry, and skips tokens that must not
// change.
func TestRenewSelectsTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		add := func(id string, left time.Duration, change ...func(*sailpoint.PersonalAccessToken)) {
			pat := sailpoint.PersonalAccessToken{ID: id, Name: id, ExpirationDate: ptr(time.Now().Add(left))}
			for _, f := range change {
				f(&pat)
			}
			tenant.Add(pat)
		}
		add("expired", 0)
		add("soon", time.Second)
		add("edge", 30*day)
		add("later", 30*day+time.Second)
		add("managed", day, func(pat *sailpoint.PersonalAccessToken) { pat.Managed = true })
		add("rotating", day, func(pat *sailpoint.PersonalAccessToken) { pat.Name = marked })
		add("unselected", day)
		renew := func(opts lifecycle.RenewOptions) []string {
			opts.Select = func(pat sailpoint.PersonalAccessToken) bool { return pat.ID != "unselected" }
			changes, err := lifecycle.Renew(t.Context(), clientOf(t, tenant), opts)
			require.NoError(t, err)
			return statuses(changes)
		}
		const managed, rotating = "managed skipped the platform manages it", "rotating skipped its rotation has not finished"
		assert.Equal(t, []string{"soon planned", "edge planned", managed, rotating}, renew(lifecycle.RenewOptions{Lifetime: 31 * day}))
		assert.Equal(t, []string{"soon planned", "edge skipped it would expire sooner than before", managed, rotating}, renew(lifecycle.RenewOptions{Lifetime: 30 * day}))
		assert.Equal(t, []string{"soon planned", managed, rotating}, renew(lifecycle.RenewOptions{Lifetime: 31 * day, Within: 2 * day}))
		assert.Equal(t, []string{"soon planned", "edge planned", "later planned", managed, rotating}, renew(lifecycle.RenewOptions{NeverExpires: true, Within: 40 * day}))
	})
}

// TestRenewContinuesAfterFailures checks that one token that fails a bulk
// update is found.
func TestRenewContinuesAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		expiringTokens(tenant, 27)
		client := clientOf(t, tenant, func(cfg *sailpoint.Config) {
			cfg.HTTPClient = &http.Client{Transport: deleting{tenant, "t07"}}
		})
		changes, err := lifecycle.Renew(t.Context(), client, lifecycle.RenewOptions{Lifetime: 90 * day, Apply: true})
		require.NoError(t, err)
		assert.Equal(t, 26, count(changes, lifecycle.StatusRenewed))
		assert.Equal(t, lifecycle.StatusGone, changes[7].Status, "the token's own update reports it")
		assert.NoError(t, changes[7].Err)
		assert.LessOrEqual(t, requests(tenant, "PATCH", 200)+requests(tenant, "PATCH", 400), 12)
		assert.Equal(t, 1, requests(tenant, "PATCH", 404))
	})
}

// deleting deletes a token before the first bulk update arrives.
type deleting struct {
	tenant *sailpointtest.Tenant
	id     string
}

func (d deleting) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/bulk-update") {
		cfg := d.tenant.Config()
		cfg.APIVersion = sailpoint.V1
		client, err := sailpoint.NewClient(cfg)
		if err != nil {
			return nil, err
		}
		_ = client.PersonalAccessTokens.Delete(req.Context(), d.id) // it is already gone the second time
	}
	return d.tenant.RoundTrip(req)
}

// TestRenewStatusByResponse covers a lost response, one without the token, and
// one for a token that is gone.
func TestRenewStatusByResponse(t *testing.T) {
	for name, tt := range map[string]struct {
		version sailpoint.APIVersion
		fault   sailpointtest.Fault
		want    lifecycle.Status
		err     error
	}{
		"bulk, lost":            {sailpoint.V1, sailpointtest.Fault{Path: bulkPath, Committed: true}, lifecycle.StatusUnknown, sailpoint.ErrOutcomeUnknown},
		"bulk, no connection":   {sailpoint.V1, sailpointtest.Fault{Path: bulkPath, Err: io.ErrUnexpectedEOF}, lifecycle.StatusUnknown, sailpoint.ErrOutcomeUnknown},
		"bulk, token not shown": {sailpoint.V1, sailpointtest.Fault{Path: bulkPath, Status: 200, Body: `[]`}, lifecycle.StatusUnknown, sailpoint.ErrOutcomeUnknown},
		"bulk, rejected":        {sailpoint.V1, sailpointtest.Fault{Path: bulkPath, Status: 400}, lifecycle.StatusRenewed, nil},
		"single, lost":          {sailpoint.V2025, sailpointtest.Fault{Method: "PATCH", Committed: true}, lifecycle.StatusUnknown, sailpoint.ErrOutcomeUnknown},
		"single, gone":          {sailpoint.V2025, sailpointtest.Fault{Method: "PATCH", Status: 404, Body: `{"trackingId":"1"}`}, lifecycle.StatusGone, nil},
		"single, not routed":    {sailpoint.V2025, sailpointtest.Fault{Method: "PATCH", Status: 404}, lifecycle.StatusFailed, sailpoint.ErrNotFound},
		"single, rejected":      {sailpoint.V2025, sailpointtest.Fault{Method: "PATCH", Status: 403}, lifecycle.StatusFailed, sailpoint.ErrForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenant := sailpointtest.NewTenant()
				tenant.Add(sailpoint.PersonalAccessToken{ID: "id", ExpirationDate: ptr(time.Now().Add(day))})
				client := clientOf(t, tenant, inVersion(tt.version), func(cfg *sailpoint.Config) { cfg.MaxRetries = -1 })
				tenant.Inject(tt.fault)
				changes, err := lifecycle.Renew(t.Context(), client, lifecycle.RenewOptions{Lifetime: 90 * day, Apply: true})
				require.NoError(t, err)
				require.Len(t, changes, 1)
				assert.Equal(t, tt.want, changes[0].Status)
				if tt.err != nil {
					assert.ErrorIs(t, changes[0].Err, tt.err)
				}
				assert.Equal(t, tt.want == lifecycle.StatusFailed, changes[0].Err != nil && tt.want != lifecycle.StatusUnknown)
				assert.Empty(t, tenant.Unused())
			})
		})
	}
}

func TestRenewStops(t *testing.T) {
	for _, version := range []sailpoint.APIVersion{sailpoint.V2025, sailpoint.V1} {
		synctest.Test(t, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			for i := range 60 {
				tenant.Add(sailpoint.PersonalAccessToken{ID: fmt.Sprintf("t%02d", i), ExpirationDate: ptr(time.Now().Add(day))})
			}
			client := clientOf(t, tenant, inVersion(version))
			tenant.Inject(sailpointtest.Fault{Method: "PATCH", Status: 401}, sailpointtest.Fault{Method: "PATCH", Status: 401})
			opts := lifecycle.RenewOptions{Lifetime: 90 * day, Apply: true}
			changes, err := lifecycle.Renew(t.Context(), client, opts)
			require.ErrorIs(t, err, sailpoint.ErrUnauthorized)
			assert.Equal(t, 60, count(changes, lifecycle.StatusFailed)+count(changes, lifecycle.StatusDeferred))
			assert.Equal(t, "t59 deferred not tried, because the tenant rejected the client's credentials", statuses(changes)[59])
			assert.Equal(t, 2, requests(tenant, "PATCH", 401))

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			tenant.Inject(sailpointtest.Fault{Method: "PATCH", Committed: true, Delay: time.Minute})
			defer time.AfterFunc(time.Second, cancel).Stop()
			changes, err = lifecycle.Renew(ctx, client, opts)
			require.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, lifecycle.StatusUnknown, changes[0].Status)
			assert.Equal(t, "t59 deferred not tried, because the context ended", statuses(changes)[59])
			assert.WithinDuration(t, time.Now().Add(90*day-time.Second), *tenant.Tokens()[1].ExpirationDate, 0)
			assert.WithinDuration(t, time.Now().Add(day-time.Second), *tenant.Tokens()[60].ExpirationDate, 0)
		})
	}
}

func TestRenewRejectsArguments(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	for _, version := range []sailpoint.APIVersion{sailpoint.V3, sailpoint.Beta, sailpoint.V2024} {
		_, err := lifecycle.Renew(t.Context(), clientOf(t, tenant, inVersion(version)), lifecycle.RenewOptions{Lifetime: day})
		require.ErrorIs(t, err, lifecycle.ErrNotRenewable)
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
		require.ErrorContains(t, err, "rotate the tokens")
	}
	for name, opts := range map[string]lifecycle.RenewOptions{
		"neither":           {},
		"both":              {Lifetime: day, NeverExpires: true},
		"negative lifetime": {Lifetime: -day},
		"negative window":   {Lifetime: day, Within: -day},
	} {
		_, err := lifecycle.Renew(t.Context(), clientOf(t, tenant), opts)
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument, name)
		require.NotErrorIs(t, err, lifecycle.ErrNotRenewable)
	}
	_, err := lifecycle.Renew(t.Context(), nil, lifecycle.RenewOptions{Lifetime: day})
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	require.Empty(t, tenant.Requests())

	tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 403})
	changes, err := lifecycle.Renew(t.Context(), clientOf(t, tenant), lifecycle.RenewOptions{Lifetime: day, Apply: true})
	require.ErrorIs(t, err, sailpoint.ErrForbidden)
	require.Empty(t, changes)
}

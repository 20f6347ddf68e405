package sailpointtest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// filterable returns a user who can list tokens last used in 2021 (a), 2022
// (b), 2023 (c) and never (n).
func filterable(t *testing.T) user {
	t.Helper()
	tenant := sailpointtest.NewTenant()
	owner := sailpoint.PersonalAccessTokenOwner{ID: "owner"}
	for year, id := range []string{"a", "b", "c"} {
		lastUsed := time.Date(2021+year, 2, 5, 10, 59, 27, 214_000_000, time.UTC)
		tenant.Add(sailpoint.PersonalAccessToken{ID: id, Owner: owner, LastUsed: &lastUsed})
	}
	tenant.Add(sailpoint.PersonalAccessToken{ID: "n", Owner: owner})
	return admin(t, tenant)
}

func (u user) filter(t *testing.T, filter string) response {
	t.Helper()
	return u.list(t, "?owner-id=owner&filters="+url.QueryEscape(filter))
}

func TestFilters(t *testing.T) {
	const (
		le21 = "lastUsed le 2021-12-31T00:00:00Z"
		le22 = "lastUsed le 2022-12-31T00:00:00Z"
	)
	u := filterable(t)
	for filter, want := range map[string]string{
		"":                                     "abcn",
		"lastUsed isnull":                      "n",
		"  lastUsed   isnull ":                 "n",
		"lastUsed le 2022-02-05T10:59:27.214Z": "ab", // the same millisecond
		"lastUsed le 2022-02-05T10:59:27.213Z": "a",
		"lastUsed le 2022-02-05T11:59:27.214+01:00":                             "ab",
		"lastUsed le 2020-01-01T00:00:00Z":                                      "",
		"not lastUsed isnull":                                                   "abc",
		"not " + le22:                                                           "cn",
		"not not lastUsed isnull":                                               "n",
		le21 + " or lastUsed isnull":                                            "an",
		le22 + " and not " + le21:                                               "b",
		"lastUsed isnull or " + le22 + " and " + le21:                           "an", // and binds more tightly than or
		"(lastUsed isnull or " + le22 + ") and " + le21:                         "a",
		"not lastUsed isnull or lastUsed isnull":                                "abcn", // not binds more tightly than or
		"not (lastUsed isnull or " + le21 + ")":                                 "bc",
		"not lastUsed isnull and " + le22:                                       "ab", // not binds more tightly than and
		"((lastUsed isnull))":                                                   "n",
		"(lastUsed isnull)or(" + le21 + ")":                                     "an",
		le21 + " or " + le22 + " or lastUsed isnull":                            "abn",
		le22 + " and " + le21 + " and not lastUsed isnull":                      "a",
		strings.Repeat("(", 100) + "lastUsed isnull" + strings.Repeat(")", 100): "n",
	} {
		got := u.filter(t, filter)
		assert.Equal(t, 200, got.status, filter)
		assert.Equal(t, want, strings.Join(got.ids(t), ""), filter)
	}
}

func TestInvalidFilters(t *testing.T) {
	u := filterable(t)
	for _, filter := range []string{
		"isnull lastUsed",
		"pr lastUsed",
		"lastUsed",
		"lastUsed le",
		"lastUsed ISNULL",
		"lastUsed LE 2022-02-05T10:59:27.214Z",
		"lastused isnull",
		"LastUsed isnull",
		`lastUsed le "2022-02-05T10:59:27.214Z"`,
		"lastUsed le 2022",
		"lastUsed le 2022-02-05",
		"lastUsed le 2022-02-05T10:59:27",
		"lastUsed le 2022-02-05 10:59:27Z",
		"lastUsed le 2022-02-05T9:59:27Z",
		"lastUsed le 2022-02-05T10:59:27,214Z",
		"lastUsed le 2022-02-05T10:59:27+24:00",
		"lastUsed le 2022-02-30T10:59:27Z",
		"lastUsed le yesterday",
		"lastUsed le null",
		"lastUsed le (2022-02-05T10:59:27.214Z)",
		"lastUsed lt 2022-02-05T10:59:27.214Z",
		"lastUsed ge 2022-02-05T10:59:27.214Z",
		"lastUsed eq 2022-02-05T10:59:27.214Z",
		"lastUsed in (2022-02-05T10:59:27.214Z)",
		`name eq "x"`,
		"created le 2022-02-05T10:59:27.214Z",
		"created isnull",
		"lastUsed isnull AND lastUsed isnull",
		"lastUsed isnull NOT lastUsed isnull",
		"lastUsed isnull && lastUsed isnull",
		"lastUsed isnull lastUsed isnull",
		"lastUsed isnull and",
		"lastUsed isnull or",
		"and lastUsed isnull",
		"not",
		"lastUsed not isnull",
		"(lastUsed isnull",
		"lastUsed isnull)",
		"()",
		"(",
		")",
		"lastUsed isnull;",
		"\x00",
		strings.Repeat("(", 102) + "lastUsed isnull" + strings.Repeat(")", 102),
		strings.Repeat("not ", 100_000),
	} {
		assertProblem(t, u.filter(t, filter), 400, "400.1")
	}
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"lastUsed isnull", "not (lastUsed le 2022-02-05T10:59:27.214Z or lastUsed isnull) and", `name eq "("`, "((("} {
		f.Add(seed)
	}
	tenant := sailpointtest.NewTenant()
	id, secret := tenant.Add(sailpoint.PersonalAccessToken{})
	tenant.Add(sailpoint.PersonalAccessToken{Owner: sailpoint.PersonalAccessTokenOwner{ID: "owner"}})
	f.Fuzz(func(t *testing.T, filter string) {
		u := login(t, tenant, id, secret)
		got := u.filter(t, filter)
		if got.status != http.StatusOK {
			assertProblem(t, got, 400, "400.1")
			return
		}
		if nested := strings.Count(filter, "(") + strings.Count(filter, "not"); nested > 90 || strings.TrimSpace(filter) == "" {
			return
		}
		every := u.filter(t, "not ("+filter+") or "+filter)
		assert.Equal(t, u.filter(t, "").body, every.body, "a filter or its negation matches every token")
	})
}

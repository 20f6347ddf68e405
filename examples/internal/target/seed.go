package target

import (
	"fmt"
	"io"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// SeededClient returns a client of the tenant that Config selects. For a tenant
// in memory, it prints a note and adds tokens like those of a tenant that
// nobody has audited for a while.
func SeededClient(notes io.Writer, version sailpoint.APIVersion) (*sailpoint.Client, error) {
	cfg, memory, err := Config()
	if err != nil {
		return nil, err
	}
	if memory != nil {
		fmt.Fprintln(notes, "using a tenant in memory; to use another, set SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET")
		seed(memory)
	}
	cfg.APIVersion = version
	return sailpoint.NewClient(cfg)
}

func seed(tenant *sailpointtest.Tenant) {
	const day = 24 * time.Hour
	now := time.Now()
	days := func(n int) *time.Time { // from now
		t := now.Add(time.Duration(n) * day)
		return &t
	}
	read := []string{"sp:my-personal-access-tokens:read"}
	all := []string{sailpoint.ScopeAll}
	admin := []string{"sp:all-personal-access-tokens:manage"}
	for _, pat := range []struct {
		owner, name      string
		created          int // in days from now, like the other dates
		lastUsed, expiry *time.Time
		scope            []string
		managed          bool
	}{
		{"", "weekly-report", -100, days(-1), days(12), read, false}, // the owner of the client's token
		{"Ana Lima", "nightly-export", -170, days(-1), days(10), read, false},
		{"Ana Lima", "old laptop", -400, days(-310), days(-220), all, false},
		{"Ana Lima", "trial", -60, nil, days(120), read, false},
		{"Bo Larsson", "terraform", -175, days(0), days(5), admin, false},
		{"Bo Larsson", "terraform (copy)", -300, days(-200), nil, all, false},
		{"Bo Larsson", "<b>test</b>", -90, nil, days(-1), read, false},
		{"Bo Larsson", "workflow", -30, days(0), nil, all, true},
	} {
		token := sailpoint.PersonalAccessToken{
			Name: pat.name, Created: *days(pat.created), LastUsed: pat.lastUsed, ExpirationDate: pat.expiry, Scope: pat.scope, Managed: pat.managed,
		}
		if pat.owner != "" {
			token.Owner = sailpoint.PersonalAccessTokenOwner{ID: "id of " + pat.owner, Name: pat.owner}
		}
		tenant.Add(token)
	}
}

package lifecycle_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// tenantToAudit has an expired token and one that will expire soon.
func tenantToAudit() *sailpoint.Client {
	tenant := sailpointtest.NewTenant()
	for name, left := range map[string]time.Duration{"old": -48 * time.Hour, "ci-nightly": 73 * time.Hour} {
		expiry := time.Now().Add(left)
		tenant.Add(sailpoint.PersonalAccessToken{Name: name, Scope: []string{"sp:my-personal-access-tokens:read"}, ExpirationDate: &expiry})
	}
	cfg := tenant.Config()
	cfg.APIVersion = sailpoint.V1
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	return client
}

func ExampleAudit() {
	ctx := context.Background()
	client := tenantToAudit()
	report, err := lifecycle.Audit(ctx, client, lifecycle.AuditPolicy{StaleAfter: 30 * 24 * time.Hour, MaxBearer: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Tokens, "tokens,", report.Counts[lifecycle.FindingExpired], "expired")
	for _, f := range report.Of(lifecycle.FindingEveryRight, lifecycle.FindingAdminScope) {
		fmt.Printf("%q of %q: %s\n", f.Token.Name, f.Token.Owner.Name, f.Text)
	}
	// Output:
	// 3 tokens, 1 expired
	// "tenant" of "Support": It may do whatever its owner may (sp:scopes:all).
}

func ExamplePrune() {
	ctx := context.Background()
	client := tenantToAudit()
	report, err := lifecycle.Audit(ctx, client, lifecycle.AuditPolicy{NeverUsedAfter: 90 * 24 * time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	changes, err := lifecycle.Prune(ctx, client, report, lifecycle.PruneOptions{
		Kinds: []lifecycle.Kind{lifecycle.FindingExpired, lifecycle.FindingStale, lifecycle.FindingNeverUsed},
		Apply: true, // the default only returns what would be deleted
	})
	for _, c := range changes { // check each: err is nil even if every token failed
		fmt.Println(c.Token.Name, c.Status, c.Reason, c.Err)
	}
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// old deleted  <nil>
}

func ExampleRenew() {
	ctx := context.Background()
	client := tenantToAudit()
	changes, err := lifecycle.Renew(ctx, client, lifecycle.RenewOptions{
		Lifetime: 180 * 24 * time.Hour,
		Select:   func(pat sailpoint.PersonalAccessToken) bool { return strings.HasPrefix(pat.Name, "ci-") },
		Apply:    true,
	})
	for _, c := range changes { // check each: err is nil even if every token failed
		fmt.Println(c.Token.Name, c.Status, c.Reason, c.Err)
	}
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// ci-nightly renewed  <nil>
}

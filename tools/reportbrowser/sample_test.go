package reportbrowser

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/report"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

var demo = report.Options{Tenant: "acme.api.identitynow.com", Demo: true}

// inDays returns a time so many days from now, or nil for 0.
func inDays(n int) *time.Time {
	if n == 0 {
		return nil
	}
	return new(time.Now().AddDate(0, 0, n))
}

// audit returns the audit of a tenant with these tokens and the client's own,
// whose name is tenant. An owner's ID is its name.
func audit(t testing.TB, tokens []sailpoint.PersonalAccessToken) *lifecycle.Report {
	t.Helper()
	tenant := sailpointtest.NewTenant()
	for _, token := range tokens {
		token.Owner.ID = token.Owner.Name
		tenant.Add(token)
	}
	client, err := sailpoint.NewClient(tenant.Config())
	require.NoError(t, err)
	r, err := lifecycle.Audit(t.Context(), client, lifecycle.AuditPolicy{})
	require.NoError(t, err)
	return r
}

// small has a few tokens of most kinds.
func small(t testing.TB) *lifecycle.Report {
	t.Helper()
	ana, bo, celik := sailpoint.PersonalAccessTokenOwner{Name: "Ana Lima"}, sailpoint.PersonalAccessTokenOwner{Name: "Bo Larsson"}, sailpoint.PersonalAccessTokenOwner{Name: "Çelik"}
	read, all := []string{"sp:my-personal-access-tokens:read"}, []string{sailpoint.ScopeAll}
	tokens := []sailpoint.PersonalAccessToken{
		{Owner: ana, Name: "nightly 10", Scope: read, Created: *inDays(-170), LastUsed: inDays(-1), ExpirationDate: inDays(10)},
		{Owner: ana, Name: "nightly 9", Scope: read, Created: *inDays(-150), LastUsed: inDays(-2), ExpirationDate: inDays(9)},
		{Owner: ana, Name: "old laptop", Scope: all, Created: *inDays(-400), LastUsed: inDays(-310), ExpirationDate: inDays(-220)},
		{Owner: bo, Name: "Terraform", Scope: []string{"sp:all-personal-access-tokens:manage"}, Created: *inDays(-175), LastUsed: inDays(-3), ExpirationDate: inDays(5)},
		{Owner: bo, Name: "workflow", Scope: all, Created: *inDays(-30), LastUsed: inDays(-1), Managed: true},
	}
	for i := range 8 {
		tokens = append(tokens, sailpoint.PersonalAccessToken{Owner: celik, Name: fmt.Sprintf("job %d", i), Scope: read, Created: *inDays(-60 - i), ExpirationDate: inDays(100 + i)})
	}
	return audit(t, tokens)
}

// large has 5,000 tokens, each with findings.
func large(t testing.TB) *lifecycle.Report {
	t.Helper()
	tokens := make([]sailpoint.PersonalAccessToken, 0, 5000)
	for i := range cap(tokens) - 1 {
		tokens = append(tokens, sailpoint.PersonalAccessToken{
			ID: fmt.Sprintf("id-%d", i), Name: fmt.Sprintf("job %d", i), Scope: []string{sailpoint.ScopeAll},
			Owner:   sailpoint.PersonalAccessTokenOwner{Name: fmt.Sprintf("Person %d", i/9)},
			Created: *inDays(-1 - i%1000), LastUsed: inDays(-(i % 200)), ExpirationDate: inDays(i%500 - 200),
		})
	}
	return audit(t, tokens)
}

package lifecycle

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// isWhole reports whether the response to a create shows every value that is
// compared or used.
func isWhole(req sailpoint.CreatePersonalAccessTokenRequest, created *sailpoint.CreatePersonalAccessTokenResponse) bool {
	return created.Name != "" && created.Scope != nil && !created.Created.IsZero() &&
		(created.AccessTokenValiditySeconds != 0 || req.AccessTokenValiditySeconds == 0) &&
		(created.ExpirationDate != nil || req.UserAwareTokenNeverExpires)
}

// complete fills values that the response did not show from the list.
func complete(created *sailpoint.CreatePersonalAccessTokenResponse, listed sailpoint.PersonalAccessToken) {
	created.Name = cmp.Or(created.Name, listed.Name)
	created.AccessTokenValiditySeconds = cmp.Or(created.AccessTokenValiditySeconds, listed.AccessTokenValiditySeconds)
	created.ExpirationDate = cmp.Or(created.ExpirationDate, listed.ExpirationDate)
	if created.Scope == nil {
		created.Scope = listed.Scope
	}
	if created.Created.IsZero() {
		created.Created = listed.Created
	}
}

// compareCreated returns how a new token's name, scope and validity differ from
// the request. It ignores unreadable values.
func compareCreated(req sailpoint.CreatePersonalAccessTokenRequest, created *sailpoint.CreatePersonalAccessTokenResponse) error {
	wanted, got := req.AccessTokenValiditySeconds, created.AccessTokenValiditySeconds
	switch {
	case created.Name != req.Name && !strings.ContainsRune(created.Name, utf8.RuneError):
		return fmt.Errorf("the name of the token is %q instead of %q", redact.Cut(created.Name), req.Name)
	case created.Scope != nil && !sameRights(created.Scope, req.Scope):
		return fmt.Errorf("the scope of the token is %s instead of %q", redact.Cut(fmt.Sprintf("%q", created.Scope)), req.Scope)
	case wanted != 0 && got != 0 && got != wanted:
		return fmt.Errorf("the bearers of the token last %d seconds instead of %d", got, wanted)
	}
	return nil
}

// compareExpiry compares the expiry of a new token with the request. An earlier
// one is worth a warning, or an error if the replaced token would have lasted
// longer. A nil expiry means that the token has none only if the token was
// listed. The response to a create may hold an unreadable one.
func compareExpiry(req sailpoint.CreatePersonalAccessTokenRequest, expiry *time.Time, listed bool, old sailpoint.PersonalAccessToken) (warning string, err error) {
	wanted, never := req.ExpirationDate, req.UserAwareTokenNeverExpires
	if expiry == nil {
		if listed && !never && (!wanted.IsZero() || old.ExpirationDate != nil) {
			return "", errors.New("the token has no expiry, but one was requested")
		}
		return "", nil
	}
	text := "never"
	switch {
	case never:
	case wanted.IsZero() || sameSecond(*expiry, wanted):
		return "", nil // the tenant's default, or as requested
	default:
		text = timestamp(wanted)
	}
	text = fmt.Sprintf("the token expires on %s instead of %s", timestamp(*expiry), text)
	switch {
	case !never && expiry.After(wanted):
		return "", errors.New(text)
	case old.ExpirationDate != nil && expiry.Before(*old.ExpirationDate), never && old.ID != "" && old.ExpirationDate == nil:
		return "", errors.New(text + ", and earlier than the token that it replaces")
	}
	return "The tenant shortened the lifetime: " + text + ".", nil
}

// sameScope compares scopes as sets, because the API promises no order.
func sameScope(a, b []string) bool { return containsAll(a, b) && containsAll(b, a) }

// sameRights compares the rights that scopes grant. ScopeAll includes every
// other scope.
func sameRights(a, b []string) bool {
	all := slices.Contains(a, sailpoint.ScopeAll)
	return all && slices.Contains(b, sailpoint.ScopeAll) || sameScope(a, b)
}

func containsAll(set, members []string) bool {
	return !slices.ContainsFunc(members, func(member string) bool { return !slices.Contains(set, member) })
}

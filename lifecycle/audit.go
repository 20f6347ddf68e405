package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

// Kind is what a [Finding] is about.
type Kind string

// The kinds of findings. The first five are about time, the next three about what a token may do.
const (
	FindingNeverUsed    Kind = "never-used"
	FindingStale        Kind = "stale"
	FindingExpired      Kind = "expired"
	FindingExpiringSoon Kind = "expiring-soon"
	FindingNoExpiry     Kind = "no-expiry" // none is told: it never expires, or the API leaves its expiry out
	FindingEveryRight   Kind = "every-right"
	FindingAdminScope   Kind = "admin-scope" // over other people's tokens
	FindingLongBearer   Kind = "long-bearer"
	FindingNearLimit    Kind = "near-limit" // of the tokens that an owner may have; its Token holds the Owner only
	FindingUnfinished   Kind = "unfinished-rotation"
	FindingManaged      Kind = "managed" // for information: the only finding of a managed token
)

// Kinds returns every kind, in the order in which a token's findings come.
func Kinds() []Kind {
	return []Kind{
		FindingNeverUsed, FindingStale, FindingExpired, FindingExpiringSoon, FindingNoExpiry, FindingEveryRight, FindingAdminScope, FindingLongBearer, FindingNearLimit, FindingUnfinished, FindingManaged,
	}
}

// AuditPolicy says what [Audit] looks at, and from when on it is worth a finding.
type AuditPolicy struct {
	// OwnerID is whose tokens are audited: an identity's id, or [sailpoint.OwnerMe], which needs no right to others'
	// tokens. "": everybody's.
	OwnerID string
	// NeverUsedAfter is how old a token that was never used may be; 0: 30 days.
	NeverUsedAfter time.Duration
	// StaleAfter is for how long a token may be out of use; 0: 90 days. The API moves lastUsed at most once a day:
	// stale is what was certainly not used for so long, which is a day later than lastUsed says.
	StaleAfter time.Duration
	// ExpiringWithin is how far ahead of its expiry a token is found; 0: 30 days.
	ExpiringWithin time.Duration
	// MaxBearer is how long a token's bearers may last; 0: the API's 12 hours at most, which no token exceeds. A
	// bearer is what is stolen most easily, and nobody can revoke it alone.
	MaxBearer time.Duration
	// NearLimit is from how many tokens on an owner is found; 0: 8. The API allows ten, and a rotation needs a free one.
	NearLimit int
}

// Finding is one thing to know about one token, or with [FindingNearLimit] about one owner.
type Finding struct {
	Kind  Kind
	Token sailpoint.PersonalAccessToken // as the audit saw it
	Text  string                        // one sentence, without anything that a token's owner could have written
}

// Report is what [Audit] found.
type Report struct {
	At       time.Time   // when the audit started, which ages count to
	Policy   AuditPolicy // with its defaults
	Tokens   int         // looked at
	Counts   map[Kind]int
	Owners   []OwnerTotal // the one with most tokens first
	Findings []Finding    // in the order of the list; those of owners at the end
}

// OwnerTotal is what a [Report] says of one owner.
type OwnerTotal struct {
	Owner    sailpoint.PersonalAccessTokenOwner
	Tokens   int // without the managed ones
	Managed  int
	Findings int // without [FindingManaged]
}

// Of returns the findings of these kinds.
func (r *Report) Of(kinds ...Kind) []Finding {
	var some []Finding
	for _, f := range r.Findings {
		if slices.Contains(kinds, f.Kind) {
			some = append(some, f)
		}
	}
	return some
}

// Audit looks at every token that the policy covers, one at a time. It changes nothing.
//
// It holds in memory the tokens with a finding and a total for each owner. More than 100,000 of them together, which is
// ten tokens for each of 10,000 owners, or more than 256 MiB is an error: audit by OwnerID then.
//
// Ages and expiries are counted by the local clock; one that is off by minutes matters to none of the defaults. An
// audit that could not be read to its end is an error, not a shorter report.
//
// Needs sp:all-personal-access-tokens:read, with OwnerMe sp:my-personal-access-tokens:read; managed tokens are seen
// only with idn:managed-personal-access-tokens:read.
func Audit(ctx context.Context, client *sailpoint.Client, policy AuditPolicy) (*Report, error) {
	policy, err := policy.complete()
	if err != nil {
		return nil, err
	}
	tokens, err := service(client)
	if err != nil {
		return nil, err
	}
	r := &Report{At: time.Now(), Policy: policy, Counts: map[Kind]int{}}
	owners := map[string]*OwnerTotal{}
	var held holding
	for token, err := range tokens.All(ctx, sailpoint.ListPersonalAccessTokensOptions{OwnerID: policy.OwnerID}) {
		if err != nil {
			return nil, err
		}
		owner, known := owners[token.Owner.ID]
		if !known {
			owner = &OwnerTotal{Owner: token.Owner}
			owners[token.Owner.ID] = owner
		}
		if found := r.look(owner, &token); found || !known {
			if err := held.add(&token); err != nil {
				return nil, err
			}
		}
	}
	r.addOwners(owners)
	return r, nil
}

// look adds what is found of a token, and reports whether it is anything.
func (r *Report) look(owner *OwnerTotal, token *sailpoint.PersonalAccessToken) (found bool) {
	r.Tokens++
	before := len(r.Findings)
	if token.Managed {
		owner.Managed++
		r.add(owner, Finding{FindingManaged, *token, "The platform made it and uses it: this is for information only."})
		return true
	}
	owner.Tokens++
	r.Policy.examine(token, r.At, func(kind Kind, text string) {
		r.add(owner, Finding{kind, *token, text})
	})
	return len(r.Findings) > before
}

// addOwners adds the totals of the owners, and what is found of these.
func (r *Report) addOwners(owners map[string]*OwnerTotal) {
	for _, owner := range owners {
		r.Owners = append(r.Owners, *owner)
	}
	slices.SortFunc(r.Owners, func(a, b OwnerTotal) int {
		return cmp.Or(b.Tokens-a.Tokens, b.Findings-a.Findings, cmp.Compare(a.Owner.ID, b.Owner.ID))
	})
	for i := range r.Owners {
		if owner := &r.Owners[i]; owner.Tokens >= r.Policy.NearLimit {
			text := fmt.Sprintf("The owner has %d of the %d tokens that one may have, and a rotation needs a free one.", owner.Tokens, maxTokens)
			r.add(owner, Finding{FindingNearLimit, sailpoint.PersonalAccessToken{Owner: owner.Owner}, text})
		}
	}
}

func (r *Report) add(owner *OwnerTotal, f Finding) {
	r.Findings = append(r.Findings, f)
	r.Counts[f.Kind]++
	if f.Kind != FindingManaged {
		owner.Findings++
	}
}

// complete returns p with its defaults, or what is wrong with it.
func (p AuditPolicy) complete() (AuditPolicy, error) {
	if min(p.NeverUsedAfter, p.StaleAfter, p.ExpiringWithin, p.MaxBearer, time.Duration(p.NearLimit)) < 0 {
		return p, invalidArgument("a policy's limits are not negative: leave one at 0 for its default")
	}
	p.NeverUsedAfter = cmp.Or(p.NeverUsedAfter, 30*day)
	p.StaleAfter = cmp.Or(p.StaleAfter, 90*day)
	p.ExpiringWithin = cmp.Or(p.ExpiringWithin, 30*day)
	p.MaxBearer = cmp.Or(p.MaxBearer, 12*time.Hour)
	p.NearLimit = cmp.Or(p.NearLimit, 8)
	return p, nil
}

// examine finds what is worth saying of a token, in the order of Kinds. Each sentence says what the API told, and no
// more.
func (p *AuditPolicy) examine(token *sailpoint.PersonalAccessToken, at time.Time, found func(Kind, string)) {
	p.examineUse(token, at, found)
	p.examineExpiry(token, at, found)
	p.examineRights(token, found)
	if marked(token.Name) {
		found(FindingUnfinished, "Its name carries the mark of a rotation that has not finished. It may hold the only working secret: let the rotation run again.")
	}
}

func (p *AuditPolicy) examineUse(token *sailpoint.PersonalAccessToken, at time.Time, found func(Kind, string)) {
	if token.LastUsed == nil {
		if age := at.Sub(token.Created); age > p.NeverUsedAfter && !token.Created.IsZero() {
			found(FindingNeverUsed, fmt.Sprintf("It was never used since it was created on %s, %s ago.", date(token.Created), span(age)))
		}
		return
	}
	if idle := at.Sub(token.LastUsed.Add(day)); idle >= p.StaleAfter {
		found(FindingStale, fmt.Sprintf("It was last used on %s or up to a day later, at least %s ago.", date(*token.LastUsed), span(idle)))
	}
}

func (p *AuditPolicy) examineExpiry(token *sailpoint.PersonalAccessToken, at time.Time, found func(Kind, string)) {
	if token.ExpirationDate == nil {
		text := "No expiry is told: it never expires, or the API leaves its expiry out."
		if told := token.UserAwareTokenNeverExpires; told != nil && *told {
			text = "It never expires, as was acknowledged for it."
		}
		found(FindingNoExpiry, text)
		return
	}
	switch left := token.ExpirationDate.Sub(at); {
	case left <= 0:
		found(FindingExpired, fmt.Sprintf("It expired on %s, %s ago.", date(*token.ExpirationDate), span(-left)))
	case left <= p.ExpiringWithin:
		found(FindingExpiringSoon, fmt.Sprintf("It expires on %s, in %s.", date(*token.ExpirationDate), span(left)))
	}
}

// The rights over other people's tokens, behind the prefix sp: that they have as scopes, or idn: as rights.
const (
	allManage = "all-personal-access-tokens:manage"
	allRead   = "all-personal-access-tokens:read"
)

func (p *AuditPolicy) examineRights(token *sailpoint.PersonalAccessToken, found func(Kind, string)) {
	grants := func(right string) bool {
		return slices.ContainsFunc(token.Scope, func(scope string) bool {
			return scope == "sp:"+right || scope == "idn:"+right
		})
	}
	switch {
	case len(token.Scope) == 0:
		found(FindingEveryRight, "No scope is told. A token that was made without one may do whatever its owner may.")
	case slices.Contains(token.Scope, sailpoint.ScopeAll):
		found(FindingEveryRight, "It may do whatever its owner may ("+sailpoint.ScopeAll+").")
	}
	switch {
	case grants(allManage):
		found(FindingAdminScope, "It may delete other people's tokens, if its owner may ("+allManage+").")
	case grants(allRead):
		found(FindingAdminScope, "It may list other people's tokens, if its owner may ("+allRead+").")
	}
	// What is beyond a Duration is cut.
	bearer := time.Duration(min(int64(token.AccessTokenValiditySeconds), math.MaxInt64/int64(time.Second))) * time.Second
	if bearer > p.MaxBearer {
		found(FindingLongBearer, fmt.Sprintf("Its bearers last %s, longer than %s.", span(bearer), span(p.MaxBearer)))
	}
}

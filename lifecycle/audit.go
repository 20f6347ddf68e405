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

// Kind says what a [Finding] is about.
type Kind string

// The kinds of findings. The first five concern time, and the next three
// concern rights. The limits are those of [AuditPolicy].
const (
	FindingNeverUsed    Kind = "never-used" // and is older than NeverUsedAfter
	FindingStale        Kind = "stale"      // last used StaleAfter plus a day ago, or earlier
	FindingExpired      Kind = "expired"
	FindingExpiringSoon Kind = "expiring-soon"       // within ExpiringWithin
	FindingNoExpiry     Kind = "no-expiry"           // it never expires, or the API omits its expiry
	FindingEveryRight   Kind = "every-right"         // no scope, or [sailpoint.ScopeAll]
	FindingAdminScope   Kind = "admin-scope"         // rights to other people's tokens
	FindingLongBearer   Kind = "long-bearer"         // its bearers last longer than MaxBearer
	FindingNearLimit    Kind = "near-limit"          // the owner has at least NearLimit tokens; Token holds only the Owner
	FindingUnfinished   Kind = "unfinished-rotation" // a temporary name, and older than Grace; in addition to its other findings
	FindingManaged      Kind = "managed"             // no fault; a managed token has no other finding
)

// Kinds returns every kind, in the order of a token's findings.
func Kinds() []Kind {
	return []Kind{
		FindingNeverUsed, FindingStale, FindingExpired, FindingExpiringSoon, FindingNoExpiry, FindingEveryRight, FindingAdminScope, FindingLongBearer, FindingNearLimit, FindingUnfinished, FindingManaged,
	}
}

// AuditPolicy selects the tokens that [Audit] looks at, and sets the limits
// from which it reports them.
type AuditPolicy struct {
	// OwnerID selects the tokens of one owner. It is an identity's ID or
	// [sailpoint.OwnerMe], which needs no right to others' tokens. The default
	// is every owner.
	OwnerID string
	// NeverUsedAfter is the maximum age of a token that was never used. The
	// default is 30 days.
	NeverUsedAfter time.Duration
	// StaleAfter is the maximum time since the last use. The default is 90
	// days. For tokens that were never used, set NeverUsedAfter. The API
	// updates lastUsed at most once a day, so the last use may be up to a day
	// later. Audit adds that day, and reports only tokens that were certainly
	// unused for this long.
	StaleAfter time.Duration
	// ExpiringWithin is how long before its expiry a token is reported as
	// expiring soon. The default is 30 days.
	ExpiringWithin time.Duration
	// MaxBearer is the maximum lifetime of a token's bearers. The default is 12
	// hours. This is also the API's limit, so by default no token is reported.
	// A shorter limit is safer, because bearers are easily stolen and nobody
	// can revoke a single one.
	MaxBearer time.Duration
	// NearLimit is the number of tokens from which an owner is reported. The
	// default is 8. The API allows ten, and a rotation temporarily needs one
	// more.
	NearLimit int
	// Grace is the age up to which a token with a temporary name is not
	// reported as an unfinished rotation. Set it to [RotateOptions].Grace plus
	// the time until the next run. The default is 0, so every such token is
	// reported. [Prune] skips these tokens in any case.
	Grace time.Duration
}

// Finding is one fact about a token. A [FindingNearLimit] is about an owner.
type Finding struct {
	Kind  Kind
	Token sailpoint.PersonalAccessToken // as seen by the audit
	Text  string                        // in English; it contains nothing that the token's owner wrote
}

// Report is the result of [Audit].
type Report struct {
	At       time.Time    // when the audit started; ages are relative to it
	Policy   AuditPolicy  // the given one, with defaults filled in
	Tokens   int          // number of tokens audited
	Counts   map[Kind]int // number of findings of each kind
	Owners   []OwnerTotal // those with the most tokens first
	Findings []Finding    // in list order, with findings about owners at the end
}

// OwnerTotal counts one owner's tokens and findings.
type OwnerTotal struct {
	Owner    sailpoint.PersonalAccessTokenOwner
	Tokens   int // except managed ones
	Managed  int
	Findings int // except [FindingManaged]
}

// Of returns the findings of these kinds in their order in Findings.
func (r *Report) Of(kinds ...Kind) []Finding {
	var some []Finding
	for _, f := range r.Findings {
		if slices.Contains(kinds, f.Kind) {
			some = append(some, f)
		}
	}
	return some
}

// Audit lists every token that the policy selects and reports those that exceed
// its limits. It changes nothing. The zero policy selects the tokens of every
// owner and has useful limits.
//
// Audit compares the dates of tokens with the local clock. The default limits
// are days, so minutes of difference don't matter.
//
// Audit sends one list request. It is retried after a temporary failure, but
// not after its first token. If the list can't be read to its end, Audit
// returns no report, and its error has a [*sailpoint.Error] in its chain. A
// negative limit in the policy matches [sailpoint.ErrInvalidArgument].
//
// Audit keeps in memory every token with findings and one total for each owner.
// If these are more than 100,000 together, or need more than 256 MiB, Audit
// returns an error. This is enough for 10,000 owners with ten tokens each.
// Audit more owners one by one, with policy.OwnerID.
//
// Needs sp:all-personal-access-tokens:read, or with OwnerMe
// sp:my-personal-access-tokens:read. To see managed tokens it also needs
// idn:managed-personal-access-tokens:read.
func Audit(ctx context.Context, client *sailpoint.Client, policy AuditPolicy) (*Report, error) {
	policy, err := policy.complete()
	if err != nil {
		return nil, err
	}
	tokens, err := serviceOf(client)
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
		if found := r.addToken(owner, &token); found || !known {
			if err := held.add(&token); err != nil {
				return nil, err
			}
		}
	}
	r.addOwners(owners)
	return r, nil
}

// addToken counts a token, adds its findings, and reports whether it has any.
func (r *Report) addToken(owner *OwnerTotal, token *sailpoint.PersonalAccessToken) (found bool) {
	r.Tokens++
	before := len(r.Findings)
	if token.Managed {
		owner.Managed++
		r.add(owner, Finding{FindingManaged, *token, "The platform created and uses this token, so there is nothing to do."})
		return true
	}
	owner.Tokens++
	r.Policy.examine(token, r.At, func(kind Kind, text string) {
		r.add(owner, Finding{kind, *token, text})
	})
	return len(r.Findings) > before
}

// addOwners adds the totals of the owners and the findings about them.
func (r *Report) addOwners(owners map[string]*OwnerTotal) {
	for _, owner := range owners {
		r.Owners = append(r.Owners, *owner)
	}
	slices.SortFunc(r.Owners, func(a, b OwnerTotal) int {
		return cmp.Or(b.Tokens-a.Tokens, b.Findings-a.Findings, cmp.Compare(a.Owner.ID, b.Owner.ID))
	})
	for i := range r.Owners {
		if owner := &r.Owners[i]; owner.Tokens >= r.Policy.NearLimit {
			text := fmt.Sprintf("The owner has %d of at most %d tokens, and a rotation needs a free one: delete unused tokens.", owner.Tokens, maxTokens)
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

// complete fills in the defaults, or returns an error for an invalid policy.
func (p AuditPolicy) complete() (AuditPolicy, error) {
	if min(p.NeverUsedAfter, p.StaleAfter, p.ExpiringWithin, p.MaxBearer, p.Grace, time.Duration(p.NearLimit)) < 0 {
		return p, invalidArgument("a policy's limits must not be negative: use 0 for the default")
	}
	p.NeverUsedAfter = cmp.Or(p.NeverUsedAfter, 30*day)
	p.StaleAfter = cmp.Or(p.StaleAfter, 90*day)
	p.ExpiringWithin = cmp.Or(p.ExpiringWithin, 30*day)
	p.MaxBearer = cmp.Or(p.MaxBearer, 12*time.Hour)
	p.NearLimit = cmp.Or(p.NearLimit, 8)
	return p, nil
}

// examine finds what to report about a token, in the order of Kinds. Each
// sentence says only what the API reported.
func (p *AuditPolicy) examine(token *sailpoint.PersonalAccessToken, at time.Time, found func(Kind, string)) {
	p.examineUse(token, at, found)
	p.examineExpiry(token, at, found)
	p.examineRights(token, found)
	if marked(token.Name) && !p.isInGrace(token, at) {
		found(FindingUnfinished, "Its name has the mark of an unfinished rotation or issue. It may hold the only working secret, so run that job again.")
	}
}

// isInGrace reports whether a marked token is younger than Grace. A token whose
// creation time isn't reported is not.
func (p *AuditPolicy) isInGrace(token *sailpoint.PersonalAccessToken, at time.Time) bool {
	return !token.Created.IsZero() && at.Sub(token.Created) < p.Grace
}

func (p *AuditPolicy) examineUse(token *sailpoint.PersonalAccessToken, at time.Time, found func(Kind, string)) {
	if token.LastUsed == nil {
		if age := at.Sub(token.Created); age > p.NeverUsedAfter && !token.Created.IsZero() {
			found(FindingNeverUsed, fmt.Sprintf("It was never used since its creation on %s, %s ago.", date(token.Created), span(age)))
		}
		return
	}
	if idle := at.Sub(token.LastUsed.Add(day)); idle >= p.StaleAfter {
		found(FindingStale, fmt.Sprintf("It was last used on %s or up to a day later, at least %s ago.", date(*token.LastUsed), span(idle)))
	}
}

func (p *AuditPolicy) examineExpiry(token *sailpoint.PersonalAccessToken, at time.Time, found func(Kind, string)) {
	if token.ExpirationDate == nil {
		text := "No expiry reported. It never expires, or the API omits its expiry."
		if acknowledged := token.UserAwareTokenNeverExpires; acknowledged != nil && *acknowledged {
			text = "It never expires, and this was acknowledged."
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

// The rights to other people's tokens. Scopes have the prefix sp: and rights
// have the prefix idn: before them.
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
		found(FindingEveryRight, "No scope reported. A token without a scope may do whatever its owner may.")
	case slices.Contains(token.Scope, sailpoint.ScopeAll):
		found(FindingEveryRight, "It may do whatever its owner may ("+sailpoint.ScopeAll+").")
	}
	switch {
	case grants(allManage):
		found(FindingAdminScope, "It may delete other people's tokens, if its owner may ("+allManage+").")
	case grants(allRead):
		found(FindingAdminScope, "It may list other people's tokens, if its owner may ("+allRead+").")
	}
	// Cut to the longest Duration.
	bearer := time.Duration(min(int64(token.AccessTokenValiditySeconds), math.MaxInt64/int64(time.Second))) * time.Second
	if bearer > p.MaxBearer {
		found(FindingLongBearer, fmt.Sprintf("Its bearers last %s, which is longer than the limit of %s.", span(bearer), span(p.MaxBearer)))
	}
}

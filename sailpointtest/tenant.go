package sailpointtest

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

const (
	baseURL      = "https://tenant.api.identitynow.com"
	org          = "tenant"
	pod          = "stg01-useast1"
	seedName     = "tenant"
	adminID      = "2c9180a46faadee4016fb4e018c20639"
	adminName    = "Support"
	identityType = "IDENTITY"
	scopeAll     = "sp:scopes:all"
)

// Tenant is a tenant in memory: an [http.RoundTripper], for tests without sockets, and an [http.Handler]. It is made
// by [NewTenant], safe for concurrent use, and needs no closing.
type Tenant struct {
	now     func() time.Time
	limited bool
	id      string

	clientID     string // of the seed
	clientSecret sailpoint.Secret

	mu         sync.Mutex
	identities map[string]Identity
	tokens     []*token // in the order of creation
	byID       map[string]*token
	bearers    map[bearerKey]*bearer
	admitted   map[quota][]time.Time // the requests that count against a rate limit
	late       []lateRequest
	faults     []Fault
	requests   []*Request
}

// token is a PAT. It is never changed, only replaced, so that a list goes on from what it found without a lock.
type token struct {
	id, name             string
	secret               sailpoint.Secret
	scope                []string
	ownerID, ownerName   string
	created              time.Time
	lastUsed, expiration time.Time // zero: never
	managed              bool
	validitySeconds      int
	acknowledged         *bool // userAwareTokenNeverExpires; nil: from before there was one
}

// Identity is an owner of tokens.
type Identity struct {
	ID, Name string
	// Rights are what the identity's tokens can be used for at most, under the names of scopes, such as
	// "sp:my-personal-access-tokens:read", or of rights, such as "idn:managed-personal-access-tokens:read": the two
	// prefixes are taken for the same. "sp:scopes:all" is every right; none is none.
	Rights []string
}

// Option is a choice about a tenant, for [NewTenant].
type Option func(*Tenant)

// WithClock makes now the tenant's clock: for the dates of tokens and answers, expiry and rate limit. Without it that
// is [time.Now], which in a synctest bubble is the bubble's. [Fault.Delay] passes by the latter in any case.
func WithClock(now func() time.Time) Option {
	return func(t *Tenant) { t.now = now }
}

// WithRateLimit answers 429 beyond 100 requests in 10 seconds for a client id and version of the API.
func WithRateLimit() Option {
	return func(t *Tenant) { t.limited = true }
}

// WithCredentials sets the client id and secret that [Tenant.Config] returns. An empty one stays random.
func WithCredentials(id, secret string) Option {
	return func(t *Tenant) { t.clientID, t.clientSecret = id, sailpoint.NewSecret(secret) }
}

// WithIdentity adds an identity, or replaces the default one if it has its id. [Tenant.Add] makes credentials for it.
func WithIdentity(identity Identity) Option {
	identity.Rights = slices.Clone(identity.Rights)
	return func(t *Tenant) { t.identities[identity.ID] = identity }
}

// NewTenant returns a tenant with one identity, an administrator who has every right and the id
// 2c9180a46faadee4016fb4e018c20639, and one token of its own, the seed, whose credentials [Tenant.Config] returns. The
// seed is named "tenant", never expires, is listed and counts like any other.
func NewTenant(opts ...Option) *Tenant {
	t := &Tenant{
		now:        time.Now,
		id:         randomHex(16),
		identities: map[string]Identity{adminID: {ID: adminID, Name: adminName, Rights: []string{scopeAll}}},
		byID:       make(map[string]*token),
		bearers:    make(map[bearerKey]*bearer),
		admitted:   make(map[quota][]time.Time),
	}
	for _, opt := range opts {
		opt(t)
	}
	if t.clientID == "" {
		t.clientID = randomHex(16)
	}
	if t.clientSecret.IsZero() {
		t.clientSecret = newSecret()
	}
	t.add(sailpoint.PersonalAccessToken{ID: t.clientID, Name: seedName}, t.clientSecret)
	return t
}

// Config returns the configuration of a client that acts for the default identity, wired to the tenant in memory.
func (t *Tenant) Config() sailpoint.Config {
	return sailpoint.Config{
		BaseURL:      baseURL,
		ClientID:     t.clientID,
		ClientSecret: t.clientSecret,
		HTTPClient:   &http.Client{Transport: t},
	}
}

// Add puts a token into the tenant and returns its credentials. Whatever the API would refuse is taken: an eleventh
// token, a name that exists, a past expiry, Managed, LastUsed; dates are cut to milliseconds.
//
// What is missing is filled in: ID, Name, Created (now), Owner (the default identity), Scope (every right of the
// owner), AccessTokenValiditySeconds (43200). A nil ExpirationDate is a token that never expires. An owner that is not
// known yet becomes an identity with the rights to its own tokens. A token of the same ID is replaced.
//
//	cfg.ClientID, cfg.ClientSecret = tenant.Add(pat) // a client with the rights of pat
func (t *Tenant) Add(pat sailpoint.PersonalAccessToken) (id string, secret sailpoint.Secret) {
	added := t.add(pat, newSecret())
	return added.id, added.secret
}

func (t *Tenant) add(pat sailpoint.PersonalAccessToken, secret sailpoint.Secret) *token {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(now)

	ownerID := pat.Owner.ID
	if ownerID == "" {
		ownerID = adminID
	}
	owner, known := t.identities[ownerID]
	if !known {
		owner = Identity{ownerID, pat.Owner.Name, []string{"sp:" + myRead, "sp:" + myManage}}
		t.identities[ownerID] = owner
	}
	added := &token{
		id: pat.ID, secret: secret, name: pat.Name, scope: slices.Clone(pat.Scope),
		ownerID: owner.ID, ownerName: owner.Name, created: milliseconds(pat.Created), managed: pat.Managed,
		validitySeconds: pat.AccessTokenValiditySeconds, acknowledged: clone(pat.UserAwareTokenNeverExpires),
	}
	if added.id == "" {
		added.id = randomHex(16)
	}
	if added.name == "" {
		added.name = "token " + randomHex(4)
	}
	if pat.Scope == nil {
		added.scope = []string{scopeAll}
	}
	if pat.Created.IsZero() {
		added.created = milliseconds(now)
	}
	if added.validitySeconds == 0 {
		added.validitySeconds = maxValiditySeconds
	}
	if pat.LastUsed != nil {
		added.lastUsed = milliseconds(*pat.LastUsed)
	}
	if pat.ExpirationDate != nil {
		added.expiration = milliseconds(*pat.ExpirationDate)
	}
	if old := t.byID[added.id]; old != nil {
		t.remove(old)
	}
	t.insert(added)
	return added
}

// Tokens returns a copy of all tokens, managed and expired ones too, in the order of their creation.
func (t *Tenant) Tokens() []sailpoint.PersonalAccessToken {
	now := t.now()
	t.mu.Lock()
	t.settle(now)
	tokens := slices.Clone(t.tokens)
	t.mu.Unlock()

	pats := make([]sailpoint.PersonalAccessToken, 0, len(tokens))
	for _, tok := range tokens {
		pat := sailpoint.PersonalAccessToken{
			ID: tok.id, Name: tok.name, Scope: slices.Clone(tok.scope), Created: tok.created, Managed: tok.managed,
			Owner:                      sailpoint.PersonalAccessTokenOwner{Type: identityType, ID: tok.ownerID, Name: tok.ownerName},
			AccessTokenValiditySeconds: tok.validitySeconds,
			UserAwareTokenNeverExpires: clone(tok.acknowledged),
		}
		if !tok.lastUsed.IsZero() {
			pat.LastUsed = clone(&tok.lastUsed)
		}
		if !tok.expiration.IsZero() {
			pat.ExpirationDate = clone(&tok.expiration)
		}
		pats = append(pats, pat)
	}
	return pats
}

// ExpireAccessTokens makes every bearer issued so far an expired one.
func (t *Tenant) ExpireAccessTokens() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range t.bearers {
		b.expired = true
	}
}

func (t *Tenant) insert(tok *token) {
	t.tokens = append(t.tokens, tok)
	t.byID[tok.id] = tok
}

func (t *Tenant) replace(old, tok *token) {
	t.tokens[slices.Index(t.tokens, old)] = tok
	t.byID[tok.id] = tok
}

func (t *Tenant) remove(tok *token) {
	i := slices.Index(t.tokens, tok)
	t.tokens = slices.Delete(t.tokens, i, i+1)
	delete(t.byID, tok.id)
}

// randomHex returns n random bytes in hex: 16 for an id.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func newSecret() sailpoint.Secret { return sailpoint.NewSecret(randomHex(32)) }

// milliseconds returns t as the API keeps it. The zero time stays zero.
func milliseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

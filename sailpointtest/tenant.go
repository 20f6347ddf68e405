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

// Tenant is a fake tenant in memory. [NewTenant] makes one. It is an
// [http.RoundTripper], for tests without sockets, and an [http.Handler], for
// tests over HTTP. It is safe for concurrent use and needs no closing.
type Tenant struct {
	now     func() time.Time
	limited bool
	id      string

	clientID     string // of the seed token
	clientSecret sailpoint.Secret

	mu         sync.Mutex
	identities map[string]Identity
	tokens     []*token // in the order in which they were added
	byID       map[string]*token
	bearers    map[bearerKey]*bearer
	admitted   map[quota][]time.Time // requests that count against the rate limit
	late       []lateRequest
	faults     []Fault
	requests   []*Request
}

// token is a PAT. It is never changed, only replaced. A list can therefore be
// encoded without the lock.
type token struct {
	id, name             string
	secret               sailpoint.Secret
	scope                []string
	ownerID, ownerName   string
	created              time.Time
	lastUsed, expiration time.Time // zero means never
	managed              bool
	validitySeconds      int
	acknowledged         *bool // userAwareTokenNeverExpires; nil for a token older than that member
}

// Identity is an owner of tokens.
type Identity struct {
	ID, Name string
	// Rights limit what the identity's tokens can do. A token can do only what
	// both its scope and these rights allow. A right is written like a scope,
	// such as "sp:my-personal-access-tokens:read", or with the prefix idn, such
	// as "idn:managed-personal-access-tokens:read". The two prefixes mean the
	// same. "sp:scopes:all" is every right. An identity with empty Rights has
	// no right.
	Rights []string
}

// Option configures a tenant, for [NewTenant].
type Option func(*Tenant)

// WithClock sets the tenant's clock, which gives the dates of tokens and
// responses, and drives expiry and the rate limit. The default is [time.Now],
// which in a synctest bubble is the bubble's clock. [Fault.Delay] always uses
// [time.Now]'s clock, and so do the client and package lifecycle. To move the
// time of all of them, use [testing/synctest] instead of WithClock.
func WithClock(now func() time.Time) Option {
	return func(t *Tenant) { t.now = now }
}

// WithRateLimit turns on the rate limit, which is off by default. The tenant
// then accepts 100 requests in 10 seconds for each client id and version of the
// API. It responds to further ones with 429 and Retry-After.
func WithRateLimit() Option {
	return func(t *Tenant) { t.limited = true }
}

// WithCredentials sets the client id and secret that [Tenant.Config] returns.
// If one is empty, it is random, as by default.
func WithCredentials(id, secret string) Option {
	return func(t *Tenant) { t.clientID, t.clientSecret = id, sailpoint.NewSecret(secret) }
}

// WithIdentity adds an identity. With the id of the default identity (see
// [NewTenant]) it replaces that one. To act as the identity, add a token with
// this Owner by [Tenant.Add].
func WithIdentity(identity Identity) Option {
	identity.Rights = slices.Clone(identity.Rights)
	return func(t *Tenant) { t.identities[identity.ID] = identity }
}

// NewTenant returns a tenant with one identity and one token. The default
// identity is an administrator with every right, the name "Support" and the id
// 2c9180a46faadee4016fb4e018c20639. The token belongs to it, is named "tenant"
// and never expires. [Tenant.Config] returns its credentials. It is listed and
// counted like any other token, so a new tenant's list has one entry.
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

// Config returns the configuration of a client that acts for the default
// identity. The client sends its requests directly to the tenant, without a
// network.
func (t *Tenant) Config() sailpoint.Config {
	return sailpoint.Config{
		BaseURL:      baseURL,
		ClientID:     t.clientID,
		ClientSecret: t.clientSecret,
		HTTPClient:   &http.Client{Transport: t},
	}
}

// Add adds a token and returns its credentials. It also accepts what can't be
// created through the API, such as an eleventh token, an existing name, an
// expiry in the past, a managed token, or a date of the last use. Dates are cut
// to milliseconds.
//
// Missing fields get defaults:
//   - ID and Name are random, and Created is the current time.
//   - Owner is the default identity.
//   - Scope is every right of the owner.
//   - AccessTokenValiditySeconds is 43200.
//
// A token with a nil ExpirationDate never expires. An unknown owner becomes an
// identity with the rights to its own tokens. An existing token with the same
// ID is replaced.
//
//	cfg.ClientID, cfg.ClientSecret = tenant.Add(pat) // a client with the rights of pat
func (t *Tenant) Add(pat sailpoint.PersonalAccessToken) (id string, secret sailpoint.Secret) {
	return t.AddWithSecret(pat, sailpoint.Secret{})
}

// AddWithSecret adds a token like [Tenant.Add], with a secret that the test
// chooses. If secret is empty, it is random.
func (t *Tenant) AddWithSecret(pat sailpoint.PersonalAccessToken, secret sailpoint.Secret) (string, sailpoint.Secret) {
	if secret.IsZero() {
		secret = newSecret()
	}
	added := t.add(pat, secret)
	return added.id, added.secret
}

func (t *Tenant) add(pat sailpoint.PersonalAccessToken, secret sailpoint.Secret) *token {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.carryOutDue(now)

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

// Tokens returns a copy of all tokens in the order in which they were added or
// created, whatever their Created says. It includes managed and expired tokens.
func (t *Tenant) Tokens() []sailpoint.PersonalAccessToken {
	now := t.now()
	t.mu.Lock()
	t.carryOutDue(now)
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

// ExpireAccessTokens makes every bearer (access token) that was issued so far
// expire. Requests with it then get a 401. The PATs stay valid, so a client can
// get new bearers.
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

// randomHex returns n random bytes in hex. An id has 16.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func newSecret() sailpoint.Secret { return sailpoint.NewSecret(randomHex(32)) }

// milliseconds returns t with the precision of the API. The zero time stays
// zero.
func milliseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

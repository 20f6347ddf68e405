package sailpoint

import (
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// ScopeAll grants every right of the token's owner. The API also takes it where scope is left out, which this
	// package therefore refuses: a grant of everything is said aloud.
	ScopeAll = "sp:scopes:all"

	// OwnerMe as an owner id means the identity that the client acts for.
	OwnerMe = "me"
)

// The bounds of AccessTokenValiditySeconds (schema of the create request), and the default where it is not set.
const (
	minValiditySeconds = 15
	maxValiditySeconds = 43200
)

// PersonalAccessToken is a personal access token (PAT) as List, All and Patch return it. It never holds the secret.
type PersonalAccessToken struct {
	ID                         string                   `json:"id"` // also the OAuth2 client id
	Name                       string                   `json:"name"`
	Scope                      []string                 `json:"scope"`
	Owner                      PersonalAccessTokenOwner `json:"owner"`
	Created                    time.Time                `json:"created"`
	LastUsed                   *time.Time               `json:"lastUsed,omitzero"`       // nil: never used. The API moves it at most once a day.
	ExpirationDate             *time.Time               `json:"expirationDate,omitzero"` // nil: never expires, or not told
	Managed                    bool                     `json:"managed,omitzero"`        // made and used by the platform, such as for a workflow
	AccessTokenValiditySeconds int                      `json:"accessTokenValiditySeconds,omitzero"`
	UserAwareTokenNeverExpires *bool                    `json:"userAwareTokenNeverExpires,omitzero"` // nil: not returned, as by BulkUpdate; V2025 and later
}

// PersonalAccessTokenOwner is the identity that a token belongs to.
type PersonalAccessTokenOwner struct {
	Type string `json:"type"` // IDENTITY
	ID   string `json:"id"`
	Name string `json:"name"`
}

// CreatePersonalAccessTokenRequest says what token Create makes. It belongs to the identity that the client acts for.
type CreatePersonalAccessTokenRequest struct {
	// Name is required and unique among the owner's tokens.
	Name string `json:"name"`
	// Scope is required: what bearers of the token may do. Every right of the owner is []string{ScopeAll}.
	Scope []string `json:"scope"`
	// AccessTokenValiditySeconds is how long a bearer of the token lasts, 15 to 43200 seconds; 0: 43200.
	AccessTokenValiditySeconds int `json:"accessTokenValiditySeconds,omitzero"`
	// ExpirationDate is sent in milliseconds. Zero: in V3, Beta and V2024 six months, which is also their maximum;
	// in V2025 and later the token never expires, which UserAwareTokenNeverExpires has to acknowledge.
	ExpirationDate time.Time `json:"expirationDate,omitzero"`
	// UserAwareTokenNeverExpires acknowledges a token without an expiry. V2025 and later.
	UserAwareTokenNeverExpires bool `json:"userAwareTokenNeverExpires,omitzero"`
}

// MarshalJSON writes the expiry as the API does, in milliseconds and UTC, and leaves out what is not set, as versions
// before V2025 don't have every member.
func (r CreatePersonalAccessTokenRequest) MarshalJSON() ([]byte, error) {
	type fields CreatePersonalAccessTokenRequest // without this method
	wire := struct {
		fields
		ExpirationDate string `json:"expirationDate,omitzero"`
	}{fields: fields(r)}
	if !r.ExpirationDate.IsZero() {
		wire.ExpirationDate = formatTime(r.ExpirationDate)
	}
	return json.Marshal(wire)
}

// CreatePersonalAccessTokenResponse is the token that Create made, with its secret. Where the response holds an unreadable
// value, everything but ID and Secret may be zero.
type CreatePersonalAccessTokenResponse struct {
	ID                         string                   `json:"id"` // also the OAuth2 client id
	Name                       string                   `json:"name"`
	Scope                      []string                 `json:"scope"`
	Owner                      PersonalAccessTokenOwner `json:"owner"`
	Created                    time.Time                `json:"created"`
	ExpirationDate             *time.Time               `json:"expirationDate,omitzero"` // nil: never expires, or not told
	AccessTokenValiditySeconds int                      `json:"accessTokenValiditySeconds,omitzero"`
	// Secret is shown only here: store it before anything else. Marshalling it is an error; use Reveal.
	Secret Secret `json:"secret,omitzero"`
}

// ListPersonalAccessTokensOptions narrows List and All. The zero value asks for every token of the tenant.
type ListPersonalAccessTokensOptions struct {
	// OwnerID is an identity's id, or OwnerMe. "": the tokens of all owners.
	OwnerID string
	// Filter narrows by lastUsed; see [LastUsedLE] and [LastUsedIsNull].
	Filter PersonalAccessTokenFilter
}

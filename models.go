package sailpoint

import (
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// ScopeAll is the scope that grants every right of the token's owner. The
	// API also grants every right if the scope is missing. This package rejects
	// an empty scope, so that nobody grants every right by mistake.
	ScopeAll = "sp:scopes:all"

	// OwnerMe can be used as ListPersonalAccessTokensOptions.OwnerID. It stands
	// for the owner of the client's PAT.
	OwnerMe = "me"
)

// These are the bounds of AccessTokenValiditySeconds (schema of the create
// request).
const (
	minValiditySeconds = 15
	maxValiditySeconds = 43200
)

// PersonalAccessToken is a personal access token (PAT). It never holds the
// secret, which only Create returns.
type PersonalAccessToken struct {
	// ID is also the OAuth2 client id of the token.
	ID      string                   `json:"id"`
	Name    string                   `json:"name"`
	Scope   []string                 `json:"scope"`
	Owner   PersonalAccessTokenOwner `json:"owner"`
	Created time.Time                `json:"created"`
	// LastUsed is nil if the token was never used. The API updates it at most
	// once a day, so the token may have been used since then.
	LastUsed *time.Time `json:"lastUsed,omitzero"`
	// ExpirationDate is nil if the token never expires, or if the API reported
	// no expiry.
	ExpirationDate *time.Time `json:"expirationDate,omitzero"`
	// Managed reports whether SailPoint itself created the token and uses it,
	// such as for a workflow.
	Managed bool `json:"managed,omitzero"`
	// AccessTokenValiditySeconds is the lifetime of the token's bearers, and
	// not of the token.
	AccessTokenValiditySeconds int `json:"accessTokenValiditySeconds,omitzero"`
	// UserAwareTokenNeverExpires reports whether somebody confirmed that the
	// token may have no expiry. It is nil if the API didn't return it, as in
	// versions before V2025 and in the response to BulkUpdate.
	UserAwareTokenNeverExpires *bool `json:"userAwareTokenNeverExpires,omitzero"`
}

// PersonalAccessTokenOwner is the identity that a token belongs to.
type PersonalAccessTokenOwner struct {
	Type string `json:"type"` // such as "IDENTITY"
	ID   string `json:"id"`
	Name string `json:"name"`
}

// CreatePersonalAccessTokenRequest describes the token that Create makes. Name
// and Scope are required. The token belongs to the owner of the client's PAT.
type CreatePersonalAccessTokenRequest struct {
	// Name must be unique among the owner's tokens.
	Name string `json:"name"`
	// Scope lists the rights of the token, such as
	// sp:my-personal-access-tokens:read. Use []string{ScopeAll} to grant every
	// right of the owner.
	Scope []string `json:"scope"`
	// AccessTokenValiditySeconds is the lifetime of the token's bearers, and
	// not of the token. It is from 15 to 43200. The default is 43200 (12 h).
	AccessTokenValiditySeconds int `json:"accessTokenValiditySeconds,omitzero"`
	// ExpirationDate is when the token expires, cut to whole milliseconds. In
	// V3, Beta and V2024 the default is six months from now, which is also the
	// maximum. In V2025, V2026 and V1 a token without it never expires, and
	// UserAwareTokenNeverExpires must be true.
	ExpirationDate time.Time `json:"expirationDate,omitzero"`
	// UserAwareTokenNeverExpires confirms that the token may have no expiry. It
	// needs V2025, V2026 or V1.
	UserAwareTokenNeverExpires bool `json:"userAwareTokenNeverExpires,omitzero"`
}

// MarshalJSON writes the request body. The expiry is in UTC with milliseconds.
// Fields that are not set are omitted, because versions before V2025 don't know
// all of them.
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

// CreatePersonalAccessTokenResponse is the token that Create made, with its
// secret. ID and Secret are always set. The other fields may be zero if a part
// of the API's response can't be read.
type CreatePersonalAccessTokenResponse struct {
	// ID is also the OAuth2 client id of the token.
	ID      string                   `json:"id"`
	Name    string                   `json:"name"`
	Scope   []string                 `json:"scope"`
	Owner   PersonalAccessTokenOwner `json:"owner"`
	Created time.Time                `json:"created"`
	// ExpirationDate is nil if the token never expires, or if the API reported
	// no expiry.
	ExpirationDate             *time.Time `json:"expirationDate,omitzero"`
	AccessTokenValiditySeconds int        `json:"accessTokenValiditySeconds,omitzero"`
	// Secret can't be read again later, so store it before anything else. Use
	// its method Reveal. To marshal a Secret, or this whole struct, is an error.
	Secret Secret `json:"secret,omitzero"`
}

// ListPersonalAccessTokensOptions selects the tokens that List and All return.
// The zero value selects every token of the tenant.
type ListPersonalAccessTokensOptions struct {
	// OwnerID is the id of an identity, or OwnerMe. The default selects the
	// tokens of all owners.
	OwnerID string
	// Filter selects tokens by their last use, with LastUsedLE or
	// LastUsedIsNull. The API can't filter by anything else.
	Filter PersonalAccessTokenFilter
}

// formatTime writes t as the API does, in UTC and milliseconds.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

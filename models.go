package sailpoint

import (
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// ScopeAll grants every right of the token's owner. The API also grants
	// every right if scope is missing. This package rejects a missing scope, so
	// that such a grant must be set explicitly.
	ScopeAll = "sp:scopes:all"

	// OwnerMe is an owner id that means the identity that the client acts for.
	OwnerMe = "me"
)

// These are the bounds of AccessTokenValiditySeconds (schema of the create
// request).
const (
	minValiditySeconds = 15
	maxValiditySeconds = 43200
)

// PersonalAccessToken is a personal access token (PAT) as List, All, Patch and
// BulkUpdate return it. It never holds the secret.
type PersonalAccessToken struct {
	// ID is also the OAuth2 client id.
	ID      string                   `json:"id"`
	Name    string                   `json:"name"`
	Scope   []string                 `json:"scope"`
	Owner   PersonalAccessTokenOwner `json:"owner"`
	Created time.Time                `json:"created"`
	// LastUsed is nil for a token that was never used. The API updates it at
	// most once a day.
	LastUsed *time.Time `json:"lastUsed,omitzero"`
	// ExpirationDate is nil if the token never expires, or if the API reported
	// no expiry.
	ExpirationDate *time.Time `json:"expirationDate,omitzero"`
	// Managed tokens are created and used by the platform, such as for a
	// workflow.
	Managed bool `json:"managed,omitzero"`
	// AccessTokenValiditySeconds is the lifetime of the token's bearers.
	AccessTokenValiditySeconds int `json:"accessTokenValiditySeconds,omitzero"`
	// UserAwareTokenNeverExpires is set in V2025 and later. It is nil if the
	// API didn't return it, as in the response to BulkUpdate.
	UserAwareTokenNeverExpires *bool `json:"userAwareTokenNeverExpires,omitzero"`
}

// PersonalAccessTokenOwner is the identity that a token belongs to.
type PersonalAccessTokenOwner struct {
	Type string `json:"type"` // IDENTITY
	ID   string `json:"id"`
	Name string `json:"name"`
}

// CreatePersonalAccessTokenRequest describes the token that Create makes. The
// token belongs to the identity that the client acts for.
type CreatePersonalAccessTokenRequest struct {
	// Name is required and unique among the owner's tokens.
	Name string `json:"name"`
	// Scope lists the rights of the token's bearers and is required. Use
	// []string{ScopeAll} to grant every right of the owner.
	Scope []string `json:"scope"`
	// AccessTokenValiditySeconds is the lifetime of a bearer of the token, from
	// 15 to 43200 seconds. The default is 43200.
	AccessTokenValiditySeconds int `json:"accessTokenValiditySeconds,omitzero"`
	// ExpirationDate is sent in milliseconds. In V3, Beta and V2024 the default
	// is six months from now, which is also the maximum. In V2025 and later a
	// token without it never expires, and UserAwareTokenNeverExpires must be
	// true.
	ExpirationDate time.Time `json:"expirationDate,omitzero"`
	// UserAwareTokenNeverExpires acknowledges a token without an expiry. It
	// needs V2025 or later.
	UserAwareTokenNeverExpires bool `json:"userAwareTokenNeverExpires,omitzero"`
}

// MarshalJSON writes the expiry as the API does, in milliseconds and UTC. It
// omits members that are not set, because versions before V2025 don't know all
// of them.
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
// secret. If the API's response holds an unreadable value, everything but ID
// and Secret may be zero.
type CreatePersonalAccessTokenResponse struct {
	// ID is also the OAuth2 client id.
	ID      string                   `json:"id"`
	Name    string                   `json:"name"`
	Scope   []string                 `json:"scope"`
	Owner   PersonalAccessTokenOwner `json:"owner"`
	Created time.Time                `json:"created"`
	// ExpirationDate is nil if the token never expires, or if the API reported
	// no expiry.
	ExpirationDate             *time.Time `json:"expirationDate,omitzero"`
	AccessTokenValiditySeconds int        `json:"accessTokenValiditySeconds,omitzero"`
	// Secret is returned only here, so store it first. Use Reveal to write it
	// out, because marshalling a Secret is an error.
	Secret Secret `json:"secret,omitzero"`
}

// ListPersonalAccessTokensOptions selects the tokens that List and All return.
// The zero value selects every token of the tenant.
type ListPersonalAccessTokensOptions struct {
	// OwnerID is an identity's id, or OwnerMe. The default is the tokens of all
	// owners.
	OwnerID string
	// Filter selects tokens by lastUsed. See [LastUsedLE] and [LastUsedIsNull].
	Filter PersonalAccessTokenFilter
}

// formatTime writes t as the API does, in UTC and milliseconds.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

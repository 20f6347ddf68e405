package sailpointtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

// bearer is an access token. It keeps the scope that its PAT had when it was issued.
type bearer struct {
	clientID, ownerID string
	scope             []string
	expiry            time.Time
	expired           bool // before its time, by ExpireAccessTokens
}

// bearerKey stands for a bearer where a tenant that is printed would show it.
type bearerKey [sha256.Size]byte

func keyOf(bearer string) bearerKey { return sha256.Sum256([]byte(bearer)) }

// lastUsedInterval is how seldom lastUsed moves.
const lastUsedInterval = 24 * time.Hour

// issued is the answer of the token endpoint.
type issued struct {
	AccessToken         string `json:"access_token"`
	TokenType           string `json:"token_type"`
	ExpiresIn           int64  `json:"expires_in"`
	Scope               string `json:"scope"`
	TenantID            string `json:"tenant_id"`
	Internal            bool   `json:"internal"`
	Pod                 string `json:"pod"`
	Org                 string `json:"org"`
	IdentityID          string `json:"identity_id"`
	UserName            string `json:"user_name"`
	UserID              string `json:"user_id"`
	StrongAuth          bool   `json:"strong_auth"`
	StrongAuthSupported bool   `json:"strong_auth_supported"`
	ClaimsSupported     bool   `json:"claims_supported"`
	Enabled             bool   `json:"enabled"`
	AccessType          string `json:"accessType"`
	JTI                 string `json:"jti"`
}

// claims are what a bearer says of itself, for a client that looks into it.
type claims struct {
	TenantID            string   `json:"tenant_id"`
	Internal            bool     `json:"internal"`
	Pod                 string   `json:"pod"`
	Org                 string   `json:"org"`
	IdentityID          string   `json:"identity_id"`
	UserName            string   `json:"user_name"`
	UserID              string   `json:"user_id"`
	StrongAuth          bool     `json:"strong_auth"`
	StrongAuthSupported bool     `json:"strong_auth_supported"`
	Authorities         []string `json:"authorities"`
	ClientID            string   `json:"client_id"`
	Scope               []string `json:"scope"`
	Exp                 int64    `json:"exp"`
	JTI                 string   `json:"jti"`
}

// issue is POST on /oauth/token.
func (t *Tenant) issue(req *request, now time.Time) reply {
	sent, err := grantIn(req)
	if err != nil {
		return oauthError(http.StatusBadRequest, "invalid_request", err.Error())
	}
	tok := t.byID[sent.clientID]
	switch {
	case sent.clientID == "" || sent.clientSecret == "":
		return oauthError(http.StatusUnauthorized, "unauthorized", "Full authentication is required to access this resource")
	case tok == nil || !tok.secret.Equal(sailpoint.NewSecret(sent.clientSecret)) || tok.expiredAt(now):
		return oauthError(http.StatusUnauthorized, "invalid_client", "Bad client credentials")
	case sent.grantType == "":
		return oauthError(http.StatusBadRequest, "invalid_request", "Missing grant type")
	case sent.grantType != "client_credentials":
		return oauthError(http.StatusBadRequest, "unsupported_grant_type", "Unsupported grant type: "+sent.grantType)
	}

	lifetime := time.Duration(tok.validitySeconds) * time.Second
	if !tok.expiration.IsZero() {
		lifetime = min(lifetime, tok.expiration.Sub(now))
	}
	if tok.lastUsed.IsZero() || now.Sub(tok.lastUsed) >= lastUsedInterval {
		used := *tok
		used.lastUsed = milliseconds(now)
		t.replace(tok, &used)
	}
	answer := issued{
		TokenType: "bearer", ExpiresIn: int64(lifetime / time.Second), Scope: strings.Join(tok.scope, " "),
		TenantID: t.id, Internal: true, Pod: pod, Org: org,
		IdentityID: tok.ownerID, UserName: tok.ownerName, UserID: tok.ownerID,
		StrongAuthSupported: true, ClaimsSupported: true, Enabled: true, AccessType: "OFFLINE", JTI: randomHex(16),
	}
	answer.AccessToken = jwt(claims{
		TenantID: t.id, Internal: true, Pod: pod, Org: org,
		IdentityID: tok.ownerID, UserName: tok.ownerName, UserID: tok.ownerID, StrongAuthSupported: true,
		Authorities: t.identities[tok.ownerID].Rights, ClientID: tok.id, Scope: tok.scope,
		Exp: now.Add(lifetime).Unix(), JTI: answer.JTI,
	})
	t.bearers[keyOf(answer.AccessToken)] = &bearer{tok.id, tok.ownerID, tok.scope, now.Add(lifetime), false}
	return jsonReply(http.StatusOK, answer)
}

func (tok *token) expiredAt(now time.Time) bool {
	return !tok.expiration.IsZero() && !now.Before(tok.expiration)
}

// jwt looks like the API's bearers, but its signature is random: only the tenant knows which ones it has issued.
func jwt(c claims) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + part(encode(c)) + "." + part([]byte(randomHex(32)))
}

func oauthError(status int, code, description string) reply {
	return jsonReply(status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, description})
}

// grant is what a request to the token endpoint asks for.
type grant struct{ grantType, clientID, clientSecret string }

// grantIn reads a grant wherever clients put one: in the Basic header first, then the query, then the body as a form,
// each parameter by itself.
func grantIn(req *request) (grant, error) {
	query, err := url.ParseQuery(req.rawQuery)
	if err != nil {
		return grant{}, &refusal{badContent, "The query is malformed"}
	}
	form, err := formIn(req)
	if err != nil {
		return grant{}, &refusal{badContent, "The form is malformed"}
	}
	param := func(name string) string {
		return slices.Concat(query[name], form[name], []string{""})[0]
	}
	sent := grant{param("grant_type"), param("client_id"), param("client_secret")}
	if id, secret, ok := (&http.Request{Header: req.header}).BasicAuth(); ok {
		sent.clientID, sent.clientSecret = unescape(id), unescape(secret)
	}
	return sent, nil
}

// unescape undoes the form encoding that RFC 6749 section 2.3.1 wants inside of a Basic header and few clients use.
func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil && strings.Contains(s, "%") {
		return plain
	}
	return s
}

// formIn returns the parameters in a body; none in one that is no form.
func formIn(req *request) (url.Values, error) {
	mediaType, params, err := mime.ParseMediaType(req.header.Get("Content-Type"))
	switch {
	case err != nil:
		return nil, nil //nolint:nilerr // a type that can't be read is none of a form
	case mediaType == "application/x-www-form-urlencoded":
		return url.ParseQuery(string(req.body))
	case mediaType != "multipart/form-data":
		return nil, nil
	}
	form := make(url.Values)
	parts := multipart.NewReader(bytes.NewReader(req.body), params["boundary"])
	for {
		part, err := parts.NextPart()
		if err == io.EOF { //nolint:errorlint // NextPart returns it unwrapped at the end only
			return form, nil
		}
		if err != nil {
			return nil, err
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		form.Add(part.FormName(), string(value))
	}
}

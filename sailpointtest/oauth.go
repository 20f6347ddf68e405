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

// bearer is an access token. It keeps the scope that its PAT had when the
// bearer was issued.
type bearer struct {
	clientID, ownerID string
	scope             []string
	expiry            time.Time
	expired           bool // set by ExpireAccessTokens
}

// bearerKey is the hash of a bearer, so that a printed tenant doesn't show
// bearers.
type bearerKey [sha256.Size]byte

func keyOf(bearer string) bearerKey { return sha256.Sum256([]byte(bearer)) }

// lastUsedInterval is the least time between two changes of lastUsed.
const lastUsedInterval = 24 * time.Hour

// tokenResponse is the response of the token endpoint.
type tokenResponse struct {
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

// claims are the contents of a bearer, for clients that decode it.
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

// issueBearer handles POST /oauth/token.
func (t *Tenant) issueBearer(req *request, now time.Time) response {
	sent, err := readGrant(req)
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
	resp := tokenResponse{
		TokenType: "bearer", ExpiresIn: int64(lifetime / time.Second), Scope: strings.Join(tok.scope, " "),
		TenantID: t.id, Internal: true, Pod: pod, Org: org,
		IdentityID: tok.ownerID, UserName: tok.ownerName, UserID: tok.ownerID,
		StrongAuthSupported: true, ClaimsSupported: true, Enabled: true, AccessType: "OFFLINE", JTI: randomHex(16),
	}
	resp.AccessToken = jwt(claims{
		TenantID: t.id, Internal: true, Pod: pod, Org: org,
		IdentityID: tok.ownerID, UserName: tok.ownerName, UserID: tok.ownerID, StrongAuthSupported: true,
		Authorities: t.identities[tok.ownerID].Rights, ClientID: tok.id, Scope: tok.scope,
		Exp: now.Add(lifetime).Unix(), JTI: resp.JTI,
	})
	t.bearers[keyOf(resp.AccessToken)] = &bearer{tok.id, tok.ownerID, tok.scope, now.Add(lifetime), false}
	return jsonResponse(http.StatusOK, resp)
}

func (tok *token) expiredAt(now time.Time) bool {
	return !tok.expiration.IsZero() && !now.Before(tok.expiration)
}

// jwt returns a bearer that looks like the API's. Its signature is random,
// because only the tenant checks its bearers.
func jwt(c claims) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + part(encode(c)) + "." + part([]byte(randomHex(32)))
}

func oauthError(status int, code, description string) response {
	return jsonResponse(status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, description})
}

// grant holds the parameters of a request to the token endpoint.
type grant struct{ grantType, clientID, clientSecret string }

// readGrant reads the parameters from every place that clients use. For each
// one it tries the Basic header, then the query, then the body as a form.
func readGrant(req *request) (grant, error) {
	query, err := url.ParseQuery(req.rawQuery)
	if err != nil {
		return grant{}, &requestError{badContent, "The query is malformed"}
	}
	form, err := readForm(req)
	if err != nil {
		return grant{}, &requestError{badContent, "The form is malformed"}
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

// unescape decodes credentials of a Basic header. RFC 6749 section 2.3.1
// requires them to be form-encoded, but few clients do that.
func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil && strings.Contains(s, "%") {
		return plain
	}
	return s
}

// readForm returns the parameters in a body. If the body isn't a form, there
// are none.
func readForm(req *request) (url.Values, error) {
	mediaType, params, err := mime.ParseMediaType(req.header.Get("Content-Type"))
	switch {
	case err != nil:
		return nil, nil //nolint:nilerr // with an invalid type the body isn't a form
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

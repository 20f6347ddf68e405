package sailpointtest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxTokens          = 10 // for each owner
	minValiditySeconds = 15
	maxValiditySeconds = 43200 // and the default
	maxMonths          = 6     // longest and default life of a token before v2025
)

// The members of the wire structs are in the order of the API's documents.

type wireOwner struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

type wireToken struct {
	ID                         string         `json:"id"`
	Name                       string         `json:"name"`
	Scope                      []string       `json:"scope"`
	Owner                      wireOwner      `json:"owner"`
	Created                    string         `json:"created"`
	LastUsed                   *string        `json:"lastUsed"`
	Managed                    bool           `json:"managed"`
	AccessTokenValiditySeconds int            `json:"accessTokenValiditySeconds"`
	ExpirationDate             jsontext.Value `json:"expirationDate,omitzero"`
	UserAwareTokenNeverExpires *bool          `json:"userAwareTokenNeverExpires,omitzero"`
}

type wireCreated struct {
	ID                         string         `json:"id"`
	Secret                     string         `json:"secret"`
	Scope                      []string       `json:"scope"`
	Name                       string         `json:"name"`
	Owner                      wireOwner      `json:"owner"`
	Created                    string         `json:"created"`
	AccessTokenValiditySeconds int            `json:"accessTokenValiditySeconds"`
	ExpirationDate             jsontext.Value `json:"expirationDate,omitzero"`
}

// wire returns tok as this version shows it.
func (v *version) wire(tok *token) wireToken {
	w := wireToken{
		ID: tok.id, Name: tok.name, Scope: tok.scope, Owner: tok.wireOwner(), Created: formatTime(tok.created),
		Managed: tok.managed, AccessTokenValiditySeconds: tok.validitySeconds, ExpirationDate: v.wireExpiration(tok),
	}
	if !tok.lastUsed.IsZero() {
		lastUsed := formatTime(tok.lastUsed)
		w.LastUsed = &lastUsed
	}
	if v.neverExpires {
		w.UserAwareTokenNeverExpires = tok.acknowledged
	}
	return w
}

func (v *version) wireExpiration(tok *token) jsontext.Value {
	switch {
	case !tok.expiration.IsZero():
		return jsontext.Value(`"` + formatTime(tok.expiration) + `"`)
	case v.nullExpiry:
		return jsontext.Value("null")
	}
	return nil
}

func (tok *token) wireOwner() wireOwner { return wireOwner{identityType, tok.ownerID, tok.ownerName} }

func formatTime(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z07:00") }

// parseTime parses RFC 3339 as strictly as the JSON library does.
// [time.Time.UnmarshalText] also accepts hours of one digit and fractions after
// a comma.
func parseTime(s string) (time.Time, error) {
	var t time.Time
	quoted, err := jsontext.AppendQuote(nil, s)
	if err == nil {
		err = json.Unmarshal(quoted, &t)
	}
	if err != nil || t.UTC().Year() > 9999 { // a response couldn't write it
		return time.Time{}, &requestError{illegalValue, fmt.Sprintf("%.80q is not a date and time.", s)}
	}
	return milliseconds(t), nil
}

// list handles GET on the collection.
func (t *Tenant) list(c caller, req *request, _ time.Time) response {
	query, err := url.ParseQuery(req.rawQuery)
	if err != nil {
		return badRequest(&requestError{badContent, "The query is malformed."})
	}
	owner := query.Get("owner-id")
	if owner == "me" {
		owner = c.identity.ID
	} else if !c.may(allRead, allManage) {
		return forbidden()
	}
	matches, err := parseFilter(query.Get("filters"))
	if err != nil {
		return badRequest(err)
	}

	seesManaged := c.may(managedRead)
	var found []*token
	for _, tok := range t.tokens {
		if (owner == "" || tok.ownerID == owner) && (!tok.managed || seesManaged) && matches(tok.lastUsed) {
			found = append(found, tok)
		}
	}
	return response{status: http.StatusOK, header: jsonHeader(), body: func() []byte { return req.version.encodeList(found) }}
}

func (v *version) encodeList(tokens []*token) []byte {
	var list bytes.Buffer
	list.WriteByte('[')
	for i, tok := range tokens {
		if i > 0 {
			list.WriteByte(',')
		}
		list.Write(encode(v.wire(tok)))
	}
	list.WriteByte(']')
	return list.Bytes()
}

// createRequest is the body of a POST on the collection.
type createRequest struct {
	Name                       *string  `json:"name"`
	Scope                      []string `json:"scope"`
	AccessTokenValiditySeconds *int32   `json:"accessTokenValiditySeconds"`
	ExpirationDate             *string  `json:"expirationDate"`
}

// create handles POST on the collection.
func (t *Tenant) create(c caller, req *request, now time.Time) response {
	if !req.hasMediaType("application/json") {
		return unsupportedMediaType()
	}
	var in struct {
		createRequest
		UserAwareTokenNeverExpires bool `json:"userAwareTokenNeverExpires"`
	}
	var target any = &in.createRequest // without the member that the version doesn't know
	if req.version.neverExpires {
		target = &in
	}
	if err := json.Unmarshal(req.body, target, json.RejectUnknownMembers(true)); err != nil {
		return badRequest(&requestError{badContent, "The body is malformed, of the wrong type, or has an unknown or repeated member."})
	}
	tok, err := t.newToken(c.identity, in.createRequest, in.UserAwareTokenNeverExpires, req.version, milliseconds(now))
	if err != nil {
		return badRequest(err)
	}
	t.insert(tok)
	return jsonResponse(http.StatusOK, wireCreated{
		ID: tok.id, Secret: tok.secret.Reveal(), Scope: tok.scope, Name: tok.name, Owner: tok.wireOwner(),
		Created: formatTime(tok.created), AccessTokenValiditySeconds: tok.validitySeconds,
		ExpirationDate: req.version.wireExpiration(tok),
	})
}

func (t *Tenant) newToken(owner Identity, in createRequest, acknowledged bool, v *version, now time.Time) (*token, error) {
	tok := &token{
		id: randomHex(16), secret: newSecret(), ownerID: owner.ID, ownerName: owner.Name, created: now,
		validitySeconds: maxValiditySeconds, acknowledged: &acknowledged,
	}
	if in.Name != nil {
		tok.name = *in.Name
	}
	if err := t.checkName(tok); err != nil {
		return nil, err
	}
	var err error
	if tok.scope, err = scopeOrAll(in.Scope); err != nil {
		return nil, err
	}
	if s := in.AccessTokenValiditySeconds; s != nil {
		tok.validitySeconds = int(*s)
	}
	if s := tok.validitySeconds; s < minValiditySeconds || s > maxValiditySeconds {
		return nil, &requestError{illegalValue, fmt.Sprintf("'accessTokenValiditySeconds' must be %d to %d.", minValiditySeconds, maxValiditySeconds)}
	}

	if tok.expiration, err = v.newExpiration(in.ExpirationDate, acknowledged, now); err != nil {
		return nil, err
	}
	return tok, t.checkCount(owner.ID)
}

// newExpiration returns the expiry of a new token. The zero time means never.
func (v *version) newExpiration(requested *string, acknowledged bool, now time.Time) (time.Time, error) {
	latest := latestExpiration(now)
	switch {
	case requested != nil:
		expiration, err := futureTime(*requested, now)
		if err == nil && !v.neverExpires && expiration.After(latest) {
			err = &requestError{illegalValue, "'expirationDate' must be at most 6 months from now."}
		}
		return expiration, err
	case !v.neverExpires:
		return latest, nil
	case !acknowledged:
		return time.Time{}, errNotAcknowledged
	}
	return time.Time{}, nil
}

// checkCount returns an error if the owner can't have another token.
func (t *Tenant) checkCount(ownerID string) error {
	count := 0
	for _, tok := range t.tokens {
		if tok.ownerID == ownerID && !tok.managed {
			count++
		}
	}
	if count >= maxTokens {
		return &requestError{overLimit, fmt.Sprintf("The owner has %d personal access tokens already.", maxTokens)}
	}
	return nil
}

var errNotAcknowledged = &requestError{
	missingData,
	"'userAwareTokenNeverExpires' must be true where 'expirationDate' is null or empty.",
}

// checkName returns an error if the name is blank, or if another token of the
// owner has it.
func (t *Tenant) checkName(tok *token) error {
	if strings.TrimSpace(tok.name) == "" {
		return &requestError{missingData, "Required field 'name' was missing or empty."}
	}
	if slices.ContainsFunc(t.tokens, func(other *token) bool {
		return other.name == tok.name && other.ownerID == tok.ownerID && other.id != tok.id
	}) {
		return &requestError{exists, fmt.Sprintf("A personal access token with the name %q already exists.", tok.name)}
	}
	return nil
}

// scopeOrAll returns scope. A null, missing or empty scope means every right of
// the owner.
func scopeOrAll(scope []string) ([]string, error) {
	if len(scope) == 0 {
		return []string{scopeAll}, nil
	}
	if slices.Contains(scope, "") {
		return nil, &requestError{illegalValue, "'scope' has an empty entry."}
	}
	return scope, nil
}

// latestExpiration adds maxMonths to now. If the last month is too short for the
// day, the result is its last day. Six months after 31 August is 28 February.
func latestExpiration(now time.Time) time.Time {
	later := now.AddDate(0, maxMonths, 0)
	if later.Day() != now.Day() {
		later = later.AddDate(0, 0, -later.Day())
	}
	return later
}

func futureTime(s string, now time.Time) (time.Time, error) {
	t, err := parseTime(s)
	if err == nil && !t.After(now) {
		err = &requestError{illegalValue, "'expirationDate' must be in the future."}
	}
	return t, err
}

// delete handles DELETE on one token.
func (t *Tenant) delete(c caller, req *request, _ time.Time) response {
	tok, failure := t.find(c, req.id, c.may(allManage))
	if failure != nil {
		return *failure
	}
	t.remove(tok)
	return response{status: http.StatusNoContent}
}

// patch handles PATCH on one token.
func (t *Tenant) patch(c caller, req *request, now time.Time) response {
	if !req.hasMediaType("application/json-patch+json") {
		return unsupportedMediaType()
	}
	tok, failure := t.find(c, req.id, false)
	if failure != nil {
		return *failure
	}
	changed, err := req.version.applyPatch(*tok, req.body, false, now)
	if err == nil && changed.name != tok.name {
		err = t.checkName(changed)
	}
	if err != nil {
		return badRequest(err)
	}
	t.replace(tok, changed)
	return jsonResponse(http.StatusOK, req.version.wire(changed))
}

// maxBulkIDs is the largest number of tokens in a bulk update.
const maxBulkIDs = 25

// bulkUpdate handles PATCH and POST on the bulk update.
func (t *Tenant) bulkUpdate(c caller, req *request, now time.Time) response {
	if !req.hasMediaType("application/json") {
		return unsupportedMediaType()
	}
	changed, err := t.applyBulk(c, req, now)
	if err != nil {
		return badRequest(err)
	}
	resp := make([]wireToken, 0, len(changed))
	for _, tok := range changed {
		t.replace(t.byID[tok.id], tok)
		shown := req.version.wire(tok)
		shown.UserAwareTokenNeverExpires = nil
		resp = append(resp, shown)
	}
	return jsonResponse(http.StatusOK, resp)
}

// applyBulk returns the changed tokens of a bulk update, sorted by id. It
// doesn't store them.
func (t *Tenant) applyBulk(c caller, req *request, now time.Time) ([]*token, error) {
	var in struct {
		IDs   []string         `json:"ids"`
		Patch []jsontext.Value `json:"patch"`
	}
	if err := json.Unmarshal(req.body, &in, json.RejectUnknownMembers(true)); err != nil {
		return nil, &requestError{badContent, "The body is malformed, of the wrong type, or has an unknown or repeated member."}
	}
	switch {
	case len(in.IDs) == 0:
		return nil, &requestError{missingData, "Required field 'ids' was missing or empty."}
	case len(in.IDs) > maxBulkIDs:
		return nil, &requestError{overLimit, fmt.Sprintf("'ids' must be at most %d.", maxBulkIDs)}
	case len(in.Patch) == 0:
		return nil, &requestError{missingData, "Required field 'patch' was missing or empty."}
	}
	slices.Sort(in.IDs)
	blank := func(id string) bool { return strings.TrimSpace(id) == "" }
	if len(slices.Compact(slices.Clone(in.IDs))) < len(in.IDs) || slices.ContainsFunc(in.IDs, blank) {
		return nil, &requestError{illegalValue, "'ids' must be unique and not blank."}
	}
	changed := make([]*token, 0, len(in.IDs))
	for _, id := range in.IDs {
		tok, failure := t.find(c, id, true)
		if failure != nil {
			return nil, &requestError{notListed, fmt.Sprintf("Referenced personal access token with id '%.80s' not found.", id)}
		}
		tok, err := req.version.applyPatch(*tok, encode(in.Patch), true, now)
		if err != nil {
			return nil, err
		}
		changed = append(changed, tok)
	}
	return changed, nil
}

// find returns a token that the caller may change: its own, or with others set
// anyone's. If the caller can't see the token, the response is a 404. If it can
// see but not change it, the response is a 403.
func (t *Tenant) find(c caller, id string, others bool) (*token, *response) {
	failure := notFound()
	tok := t.byID[id]
	if tok == nil || tok.managed && !c.may(managedRead) {
		return nil, &failure
	}
	if others || tok.ownerID == c.identity.ID {
		return tok, nil
	}
	if c.may(allRead, allManage) {
		failure = forbidden()
	}
	return nil, &failure
}

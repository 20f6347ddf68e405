package sailpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// PersonalAccessTokensService is the API of personal access tokens: see [Client].
type PersonalAccessTokensService struct {
	client *Client
}

// Create makes a token for the identity that the client acts for, and returns it with its secret, which is shown only
// here.
//
//	POST /{version}/personal-access-tokens
//
// Needs sp:my-personal-access-tokens:manage or sp:all-personal-access-tokens:manage. An owner has at most ten tokens,
// with unique names.
//
// It is sent again only where the API can't have carried it out: never sent, 429, once after 401 and 425. A second
// Create could not return the first one's secret, so where it was or may have been carried out and the secret is lost,
// the error is a [CreateOutcomeError]. A response with a whole id and a whole secret is a success, even if it is cut
// short behind them or ctx has ended meanwhile. Any other member that can't be read is zero in the result.
func (s *PersonalAccessTokensService) Create(ctx context.Context, req CreatePersonalAccessTokenRequest) (*CreatePersonalAccessTokenResponse, error) {
	op, err := s.collection(ctx, http.MethodPost, create)
	if err != nil {
		return nil, err
	}
	if err := req.check(s.client.cfg.APIVersion); err != nil {
		return nil, err
	}
	if op.body, err = json.Marshal(req); err != nil {
		return nil, invalidArgument("the request can't be sent: %v", err)
	}
	op.contentType = "application/json"

	started := time.Now()
	var created CreatePersonalAccessTokenResponse
	call := s.client.call(ctx, op, func(body io.Reader) error { return decodeCreated(body, &created) })
	err = call.do()
	var failure *Error
	if errors.As(err, &failure) && failure.unknown {
		if call.redactor().Text(created.ID) != created.ID {
			created.ID = "" // an echo of a secret is not an id
		}
		return nil, &CreateOutcomeError{
			Name:      req.Name,
			StartedAt: s.client.serverTime(started),
			Created:   call.carriedOut == yes,
			ID:        created.ID,
			Err:       err,
		}
	}
	if err != nil {
		return nil, err
	}
	return &created, nil
}

// List returns every token that opts select: the API has no pages, and no order is promised.
//
//	GET /{version}/personal-access-tokens
//
// Needs sp:my-personal-access-tokens:read for OwnerMe, sp:all-personal-access-tokens:read otherwise; managed tokens
// are listed only with idn:managed-personal-access-tokens:read. It is sent again after any failure that may pass.
//
// It fails with ErrInvalidResponse where the tokens need more memory than Config.MaxListBytes (use All instead), where
// a token takes more than 1 MiB of JSON, and where a member can't be read; the error names the token and the member. A
// name that isn't valid UTF-8 is returned with U+FFFD in place of what is lost.
func (s *PersonalAccessTokensService) List(ctx context.Context, opts ListPersonalAccessTokensOptions) ([]PersonalAccessToken, error) {
	op, err := s.collection(ctx, http.MethodGet, read)
	if err != nil {
		return nil, err
	}
	op.url += opts.query()
	return s.tokens(ctx, op)
}

// All is List for a loop: it yields each token as it arrives and holds one at a time, however large the tenant. It
// yields one error at most, and then stops.
//
//	GET /{version}/personal-access-tokens
//
// Each range over it is a request of its own, sent again only before its first token. The answer stays open while the
// loop runs. After the first token only the time in which All waits for the server is limited, not the loop's own:
// Config.AttemptTimeout says how. A token takes at most 1 MiB of JSON and a few MiB of memory. Rights and unreadable
// members as for List.
func (s *PersonalAccessTokensService) All(ctx context.Context, opts ListPersonalAccessTokensOptions) iter.Seq2[PersonalAccessToken, error] {
	return func(yield func(PersonalAccessToken, error) bool) {
		op, err := s.collection(ctx, http.MethodGet, read)
		if err != nil {
			yield(PersonalAccessToken{}, err)
			return
		}
		op.url += opts.query()
		var stream *tokenStream
		var call *call
		call = s.client.call(ctx, op, func(body io.Reader) (err error) {
			stream, err = openTokenStream(body, func() { call.attempt.expectEnd() })
			return err
		})
		call.streams = true
		if err := call.do(); err != nil {
			yield(PersonalAccessToken{}, err)
			return
		}
		defer call.close()
		defer stream.close()
		for stream.next() {
			if !yield(stream.token, nil) {
				return
			}
		}
		if stream.err != nil {
			yield(PersonalAccessToken{}, call.cutShort(stream.err))
		}
	}
}

// Patch changes the token with this id as patch says, all of it or nothing, and returns the token as it is then.
//
//	PATCH /{version}/personal-access-tokens/{id}
//
// Needs sp:my-personal-access-tokens:manage, also for an administrator: another owner's token can't be patched. A patch
// that only replaces whole fields is sent again after any failure that may pass, the last writer winning; any other is
// sent again only where it can't have been carried out. Where it may have been and no answer says so, the error matches
// ErrOutcomeUnknown.
func (s *PersonalAccessTokensService) Patch(ctx context.Context, id string, patch *PersonalAccessTokenPatch) (*PersonalAccessToken, error) {
	op, err := s.item(ctx, http.MethodPatch, id, patchAny)
	if err != nil {
		return nil, err
	}
	body, idempotent, err := patch.encode(s.client.cfg.APIVersion)
	if err != nil {
		return nil, err
	}
	if idempotent {
		op.column = patchReplace
	}
	op.body, op.contentType = body, "application/json-patch+json"
	var token PersonalAccessToken
	err = s.client.call(ctx, op, func(body io.Reader) error { return decodeToken(body, &token) }).do()
	if err != nil {
		return nil, err
	}
	return &token, nil
}

// bulkUpdate stands in V1 where other paths have an id.
const bulkUpdate = "bulk-update"

// maxBulkIDs is how many tokens one BulkUpdate changes at most.
const maxBulkIDs = 25

// BulkUpdate changes the expiry of 1 to 25 tokens, of any owner, and returns them as they are then, in the order of
// their ids. The patch may name the expiry and its acknowledgement only: ReplaceExpirationDate or NeverExpire.
//
//	PATCH /personal-access-tokens/v1/bulk-update
//
// V1 only. Needs sp:all-personal-access-tokens:manage. It is sent again as Patch is. Every id must be that of a token of
// the tenant, and none may be blank or there twice. The status for an unknown id is not documented: compare what is
// returned with what was requested. The acknowledgement is stored, and not returned.
func (s *PersonalAccessTokensService) BulkUpdate(ctx context.Context, ids []string, patch *PersonalAccessTokenPatch) ([]PersonalAccessToken, error) {
	op, err := s.collection(ctx, http.MethodPatch, patchAny)
	if err != nil {
		return nil, err
	}
	if s.client.cfg.APIVersion != V1 {
		return nil, invalidArgument("%s has no bulk update: set Config.APIVersion to V1", s.client.cfg.APIVersion)
	}
	if err := checkBulkIDs(ids); err != nil {
		return nil, err
	}
	body, idempotent, err := patch.encode(V1)
	if err != nil {
		return nil, err
	}
	for i, operation := range patch.ops {
		if operation.touches(pathName) || operation.touches(pathScope) {
			return nil, operation.invalid(i, "a bulk update changes %s and %s only", pathExpiration, pathNeverExpires)
		}
	}
	if idempotent {
		op.column = patchReplace
	}
	op.url += "/" + bulkUpdate
	op.template += "/" + bulkUpdate
	op.contentType = "application/json"
	op.body, err = json.Marshal(struct {
		IDs   []string       `json:"ids"`
		Patch jsontext.Value `json:"patch"`
	}{ids, body})
	if err != nil {
		return nil, invalidArgument("the request can't be sent: %v", err)
	}
	return s.tokens(ctx, op)
}

func checkBulkIDs(ids []string) error {
	if len(ids) == 0 || len(ids) > maxBulkIDs {
		return invalidArgument("%d ids: a bulk update takes 1 to %d", len(ids), maxBulkIDs)
	}
	named := make(map[string]bool, len(ids))
	for _, id := range ids {
		if err := checkID(id); err != nil {
			return err
		}
		if named[id] {
			return invalidArgument("the id %q is named twice", id)
		}
		named[id] = true
	}
	return nil
}

// Delete revokes the token with this id for good. The token that the client itself uses is ErrSelf: see DeleteSelf.
//
//	DELETE /{version}/personal-access-tokens/{id}
//
// Needs sp:my-personal-access-tokens:manage, for other owners' tokens sp:all-personal-access-tokens:manage. It is sent
// again after any failure that may pass. The API's own 404 after an attempt that may have been carried out is success.
// Where no response tells (a gateway's 404 doesn't, nor does a response with a body), the error matches
// ErrOutcomeUnknown, and calling it again is safe.
func (s *PersonalAccessTokensService) Delete(ctx context.Context, id string) error {
	op, err := s.item(ctx, http.MethodDelete, id, remove)
	if err != nil {
		return err
	}
	if strings.EqualFold(id, s.client.cfg.ClientID) {
		return fmt.Errorf("%w: deleting it ends this client's access: call DeleteSelf if that is meant", ErrSelf)
	}
	return s.client.call(ctx, op, decodeNothing).do()
}

// DeleteSelf revokes the token that the client itself uses, after which its calls fail. With a TokenSource it needs
// Config.ClientID.
//
//	DELETE /{version}/personal-access-tokens/{id}
//
// Rights, repetition and errors as for Delete.
func (s *PersonalAccessTokensService) DeleteSelf(ctx context.Context) error {
	op, err := s.collection(ctx, http.MethodDelete, remove)
	if err != nil {
		return err
	}
	self := s.client.cfg.ClientID
	if self == "" {
		return invalidArgument("the client's own token is not known: set Config.ClientID beside TokenSource")
	}
	if op, err = op.of(self); err != nil {
		return err
	}
	return s.client.call(ctx, op, decodeNothing).do()
}

// tokens returns the tokens that are the whole answer to op.
func (s *PersonalAccessTokensService) tokens(ctx context.Context, op operation) ([]PersonalAccessToken, error) {
	var tokens []PersonalAccessToken
	err := s.client.call(ctx, op, func(body io.Reader) (err error) {
		tokens, err = decodeTokens(body, s.client.cfg.MaxListBytes)
		return err
	}).do()
	if err != nil {
		return nil, err
	}
	return tokens, nil
}

// collection returns an operation on all tokens.
func (s *PersonalAccessTokensService) collection(ctx context.Context, method string, column column) (operation, error) {
	if s == nil || s.client == nil {
		return operation{}, invalidArgument("no client: make one with NewClient")
	}
	if ctx == nil {
		return operation{}, invalidArgument("the context is nil: use context.Background")
	}
	path := "/" + string(s.client.cfg.APIVersion) + "/personal-access-tokens"
	if s.client.cfg.APIVersion == V1 {
		path = "/personal-access-tokens/v1"
	}
	return operation{method: method, url: s.client.cfg.BaseURL + path, template: path, column: column}, nil
}

// item returns an operation on one token.
func (s *PersonalAccessTokensService) item(ctx context.Context, method, id string, column column) (operation, error) {
	op, err := s.collection(ctx, method, column)
	if err != nil {
		return op, err
	}
	return op.of(id)
}

// of returns op on the token with this id.
func (op operation) of(id string) (operation, error) {
	if err := checkID(id); err != nil {
		return op, err
	}
	op.url += "/" + id
	op.template += "/{id}"
	op.tokenID = id
	return op, nil
}

func checkID(id string) error {
	if !validID(id) {
		return invalidArgument("the id %.80q is not a token's: ids are letters, digits, - and _", id)
	}
	return nil
}

// validID is an allow-list, because an id such as "..", "a?b", "" or, in V1, "bulk-update" would reach another resource.
// It is wider than the 32 hexadecimal digits of today's ids.
func validID(id string) bool {
	const digits, lower, upper = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return id != "" && len(id) <= 128 && id != bulkUpdate && strings.Trim(id, digits+lower+upper+"-_") == ""
}

func (o ListPersonalAccessTokensOptions) query() string {
	values := url.Values{}
	if o.OwnerID != "" {
		values.Set("owner-id", o.OwnerID)
	}
	if o.Filter != "" {
		values.Set("filters", string(o.Filter))
	}
	if len(values) == 0 {
		return ""
	}
	// The API's documents show a space as %20 only; a literal plus is %2B by now.
	return "?" + strings.ReplaceAll(values.Encode(), "+", "%20")
}

// check refuses what can't be right, and what would grant every right or never expire without saying so.
func (r CreatePersonalAccessTokenRequest) check(version APIVersion) error {
	var problems []error
	if strings.TrimSpace(r.Name) == "" || !utf8.ValidString(r.Name) {
		problems = append(problems, invalidArgument("Name %.80q: a token needs a name in UTF-8", r.Name))
	}
	if err := checkScope(r.Scope); err != nil {
		problems = append(problems, invalidArgument("Scope: %v", err))
	}
	if v := r.AccessTokenValiditySeconds; v != 0 && (v < minValiditySeconds || v > maxValiditySeconds) {
		problems = append(problems, invalidArgument("AccessTokenValiditySeconds %d: must be %d to %d, or 0 for the API's default",
			v, minValiditySeconds, maxValiditySeconds))
	}
	switch {
	case !r.ExpirationDate.IsZero():
		if err := checkExpiry(r.ExpirationDate); err != nil {
			problems = append(problems, invalidArgument("ExpirationDate: %v", err))
		}
	case version.hasNeverExpires() && !r.UserAwareTokenNeverExpires:
		problems = append(problems, invalidArgument("ExpirationDate: set it, or acknowledge a token that never expires by UserAwareTokenNeverExpires"))
	}
	if r.UserAwareTokenNeverExpires && !version.hasNeverExpires() {
		problems = append(problems, invalidArgument("UserAwareTokenNeverExpires: %s knows no token that never expires: use V2025 or later", version))
	}
	return errors.Join(problems...)
}

// checkScope refuses an empty scope, which the API takes for every right of the owner, and names that can't be one.
func checkScope(scope []string) error {
	if len(scope) == 0 {
		return errors.New("it is empty, which would grant every right: name the scopes, or say ScopeAll")
	}
	for _, name := range scope {
		if !isScopeToken(name) {
			return fmt.Errorf("%.80q is no scope: each is a name of its own without spaces, quotes, backslashes or control characters", name)
		}
	}
	return nil
}

// isScopeToken reports whether name is a scope-token of RFC 6749 section 3.3.
func isScopeToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r < '!' || r > '~' || r == '"' || r == '\\'
	})
}

// checkExpiry refuses an expiry that the API can't take.
func checkExpiry(t time.Time) error {
	if !t.After(time.Now()) {
		return fmt.Errorf("%s is in the past", formatTime(t))
	}
	if t.UTC().Year() > 9999 {
		return errors.New("it is after the year 9999, which RFC 3339 can't write")
	}
	return nil
}

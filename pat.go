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

// PersonalAccessTokensService calls the API of personal access tokens. It is
// the field PersonalAccessTokens of a [Client].
type PersonalAccessTokensService struct {
	client *Client
}

// Create makes a token for the owner of the client's PAT. It returns the token
// with its secret, which the API never returns again.
//
//	POST /{version}/personal-access-tokens
//
// Needs sp:my-personal-access-tokens:manage or
// sp:all-personal-access-tokens:manage. An owner has at most ten tokens, and
// their names are unique. SailPoint doesn't document the status of a Create
// that breaks this rule.
//
// Create is retried only if the API can't have carried it out, such as after
// 429. It is not retried after a temporary failure, because a second Create
// could not return the secret of the first. If the token exists or may exist
// and its secret is lost, the error is a [*CreateOutcomeError].
//
// Create succeeds if the response contains a complete id and a complete secret,
// even if the rest is cut short or ctx has ended. Other fields that can't be
// read are zero in the result.
func (s *PersonalAccessTokensService) Create(ctx context.Context, req CreatePersonalAccessTokenRequest) (*CreatePersonalAccessTokenResponse, error) {
	op, err := s.collection(ctx, http.MethodPost, kindCreate)
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
	if errors.As(err, &failure) && failure.unknown != "" {
		if call.redactor().Text(created.ID) != created.ID {
			created.ID = "" // it repeats a secret
		}
		return nil, &CreateOutcomeError{
			Name:      req.Name,
			StartedAt: s.client.serverTime(started),
			Created:   call.certainty == carriedOut,
			ID:        created.ID,
			Err:       err,
		}
	}
	if err != nil {
		return nil, err
	}
	return &created, nil
}

// List returns all tokens that opts selects, in no particular order. The API
// has no pages.
//
//	GET /{version}/personal-access-tokens
//
// Needs sp:my-personal-access-tokens:read for [OwnerMe], and
// sp:all-personal-access-tokens:read otherwise. Managed tokens are listed only
// with idn:managed-personal-access-tokens:read. List is retried after a
// temporary failure.
//
// The error matches [ErrInvalidResponse] if the tokens need more memory than
// Config.MaxListBytes. Use All then. It also matches if a token has more than 1
// MiB of JSON, or if a JSON field can't be read. The error then names the token
// and the field. In a name that isn't valid UTF-8, U+FFFD replaces the invalid
// bytes.
func (s *PersonalAccessTokensService) List(ctx context.Context, opts ListPersonalAccessTokensOptions) ([]PersonalAccessToken, error) {
	op, err := s.collection(ctx, http.MethodGet, kindRead)
	if err != nil {
		return nil, err
	}
	op.url += opts.query()
	return s.tokens(ctx, op)
}

// All returns an iterator over the tokens that List would return. It yields
// each token as it arrives, and holds only one in memory. A failure is yielded
// once, as the last value.
//
//	GET /{version}/personal-access-tokens
//
// Needs the rights of List. Each range over the iterator sends a new request.
// It is retried after a temporary failure, but not after the first token.
//
// The response stays open while the loop runs. Your loop may take as long as it
// likes, because only the time in which All waits for the server is limited.
// See Config.AttemptTimeout. A token may have at most 1 MiB of JSON, which
// takes a few MiB of memory. A larger token, or a JSON field that can't be
// read, is an error that matches [ErrInvalidResponse].
func (s *PersonalAccessTokensService) All(ctx context.Context, opts ListPersonalAccessTokensOptions) iter.Seq2[PersonalAccessToken, error] {
	return func(yield func(PersonalAccessToken, error) bool) {
		op, err := s.collection(ctx, http.MethodGet, kindRead)
		if err != nil {
			yield(PersonalAccessToken{}, err)
			return
		}
		op.url += opts.query()
		var stream *tokenStream
		call := s.client.call(ctx, op, func(body io.Reader) (err error) {
			stream, err = openTokenStream(body)
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
		call.attempt.expectEnd()
		if err := stream.end(); err != nil {
			yield(PersonalAccessToken{}, call.cutShort(err))
		}
	}
}

// Get returns the token with this id. The API has no such operation, so Get
// lists the caller's own tokens. If the token isn't one of them, Get lists the
// tokens of all owners.
//
//	GET /{version}/personal-access-tokens
//
// Needs sp:my-personal-access-tokens:read for one of the caller's own tokens,
// and sp:all-personal-access-tokens:read for any other. Get is retried after a
// temporary failure.
//
// The error matches [ErrNotFound] if the token isn't listed. If the caller may
// list only its own tokens, the error also matches [ErrForbidden], because the
// token may belong to another owner. If the caller may list neither, the error
// matches only ErrForbidden. Managed tokens are listed only with
// idn:managed-personal-access-tokens:read. Without it, Get can't tell a managed
// token from one that doesn't exist. A 404 to the list itself, for example from
// a gateway, also matches ErrNotFound. Its StatusCode is 404 instead of 200, and
// it doesn't show that the token is gone.
//
// Get holds one token in memory at a time. In tokens with another id, it
// ignores JSON fields that can't be read, except the id.
func (s *PersonalAccessTokensService) Get(ctx context.Context, id string) (*PersonalAccessToken, error) {
	own, ownErr := s.find(ctx, OwnerMe, id, false)
	var notListed *notListedError
	notOwn := errors.As(ownErr, &notListed) // unlike a 404 to the list
	if !notOwn && !errors.Is(ownErr, ErrForbidden) {
		return own, ownErr
	}
	token, err := s.find(ctx, "", id, false)
	var failure *Error
	if notOwn && errors.Is(err, ErrForbidden) && errors.As(err, &failure) {
		failure.Err = &notListedError{"is one of the caller's own, and those of other owners can't be listed"}
	}
	return token, err
}

// Self returns the client's own token, for example to see when it expires. The
// API has no such operation, so Self lists the caller's own tokens.
//
//	GET /{version}/personal-access-tokens
//
// Needs sp:my-personal-access-tokens:read. Self is retried after a temporary
// failure. The error matches [ErrNotFound] if the token isn't listed, and
// [ErrInvalidArgument] if neither Config.ClientID nor the TokenSource names the
// token.
func (s *PersonalAccessTokensService) Self(ctx context.Context) (*PersonalAccessToken, error) {
	if _, err := s.collection(ctx, http.MethodGet, kindRead); err != nil {
		return nil, err
	}
	id, err := s.client.ownTokenID(ctx)
	if err != nil {
		return nil, err
	}
	return s.find(ctx, OwnerMe, id, true)
}

// Patch applies patch to the token with this id and returns the changed token.
// The API applies either the whole patch or nothing.
//
//	PATCH /{version}/personal-access-tokens/{id}
//
// Needs sp:my-personal-access-tokens:manage. Nobody can patch another owner's
// token, not even an administrator.
//
// A patch whose operations all set whole fields is retried after a temporary
// failure. The Replace methods, NeverExpire, OpReplace and OpAdd do so. The
// retry may overwrite a change that somebody else made in between.
//
// A patch with OpRemove, OpMove, OpCopy or OpTest, or with a path into a field,
// such as "/scope/0", is retried only if the API can't have carried it out. If
// the API may have carried out a patch and no response confirms it, the error
// matches [ErrOutcomeUnknown].
func (s *PersonalAccessTokensService) Patch(ctx context.Context, id string, patch *PersonalAccessTokenPatch) (*PersonalAccessToken, error) {
	op, err := s.item(ctx, http.MethodPatch, id, kindPatch)
	if err != nil {
		return nil, err
	}
	body, idempotent, err := patch.encode(s.client.cfg.APIVersion)
	if err != nil {
		return nil, err
	}
	if idempotent {
		op.kind = kindReplace
	}
	op.body, op.contentType = body, "application/json-patch+json"
	var token PersonalAccessToken
	err = s.client.call(ctx, op, func(body io.Reader) error { return decodeToken(body, &token) }).do()
	if err != nil {
		return nil, err
	}
	return &token, nil
}

// bulkUpdate takes the place of an id in a path of V1.
const bulkUpdate = "bulk-update"

// maxBulkIDs is the maximum number of tokens in one BulkUpdate.
const maxBulkIDs = 25

// BulkUpdate changes the expiry of 1 to 25 tokens of any owners. It returns the
// changed tokens. The API sorts them by id, and not in the order of ids. Make
// the patch with ReplaceExpirationDate or NeverExpire, because the API changes
// no other fields in a bulk update.
//
//	PATCH /personal-access-tokens/v1/bulk-update
//
// Needs sp:all-personal-access-tokens:manage. Config.APIVersion must be [V1].
// BulkUpdate is retried in the same cases as Patch.
//
// Every id must belong to a token of the tenant, and no id may be blank or
// repeated. SailPoint doesn't document the status for an unknown id, so check
// that every token was returned. The API stores UserAwareTokenNeverExpires but
// doesn't return it, so it is nil in the result.
func (s *PersonalAccessTokensService) BulkUpdate(ctx context.Context, ids []string, patch *PersonalAccessTokenPatch) ([]PersonalAccessToken, error) {
	op, err := s.collection(ctx, http.MethodPatch, kindPatch)
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
			return nil, operation.invalid(i, "a bulk update can only change %s and %s: use Patch for the rest", pathExpiration, pathNeverExpires)
		}
	}
	if idempotent {
		op.kind = kindReplace
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
		return invalidArgument("%d ids: give a bulk update 1 to %d", len(ids), maxBulkIDs)
	}
	named := make(map[string]bool, len(ids))
	for _, id := range ids {
		if err := checkID(id); err != nil {
			return err
		}
		if named[id] {
			return invalidArgument("the id %q is there twice: name each id once", id)
		}
		named[id] = true
	}
	return nil
}

// Delete permanently revokes the token with this id. If it is the client's own
// token, the error matches ErrSelf and nothing is sent. See DeleteSelf.
//
//	DELETE /{version}/personal-access-tokens/{id}
//
// Needs sp:my-personal-access-tokens:manage, and for other owners' tokens
// sp:all-personal-access-tokens:manage. The API's successful response is a 204.
// Delete is retried after a temporary failure. If an attempt may have deleted
// the token and its retry gets a 404 from the API, Delete succeeds. Any 404 to
// the first attempt is an error that matches [ErrNotFound]. Only the API's own
// has a DetailCode or a TrackingID. A gateway's doesn't show that the token is
// gone.
//
// If the token may be deleted but no response confirms it, the error matches
// [ErrOutcomeUnknown]. You can then safely call Delete again. Some responses
// confirm nothing, because a proxy and not the API may have sent them. These
// are a successful response with a body, and, to a retry after an attempt that
// may have deleted the token, a 404 without the API's detailCode or trackingId.
func (s *PersonalAccessTokensService) Delete(ctx context.Context, id string) error {
	op, err := s.item(ctx, http.MethodDelete, id, kindDelete)
	if err != nil {
		return err
	}
	if strings.EqualFold(id, s.client.ClientID()) {
		return errOwnToken
	}
	call := s.client.call(ctx, op, decodeNothing)
	call.sparesOwn = true
	return call.do()
}

// DeleteSelf permanently revokes the client's own token, so that later calls of
// the client fail. The error matches [ErrInvalidArgument] if neither
// Config.ClientID nor the TokenSource names the token.
//
//	DELETE /{version}/personal-access-tokens/{id}
//
// DeleteSelf needs the same right as a Delete of an own token. Its retries and
// other errors are those of Delete.
func (s *PersonalAccessTokensService) DeleteSelf(ctx context.Context) error {
	op, err := s.collection(ctx, http.MethodDelete, kindDelete)
	if err != nil {
		return err
	}
	self, err := s.client.ownTokenID(ctx)
	if err != nil {
		return err
	}
	if op, err = op.of(self); err != nil {
		return err
	}
	return s.client.call(ctx, op, decodeNothing).do()
}

// find lists the tokens of one owner, or of all owners, and returns the one with
// this id. If own is set, a retry with the bearer of another token looks for
// that token.
func (s *PersonalAccessTokensService) find(ctx context.Context, ownerID, id string, own bool) (*PersonalAccessToken, error) {
	op, err := s.collection(ctx, http.MethodGet, kindRead)
	if err != nil {
		return nil, err
	}
	if err := checkID(id); err != nil {
		return nil, err
	}
	op.url += ListPersonalAccessTokensOptions{OwnerID: ownerID}.query()
	op.tokenID = id
	var (
		token *PersonalAccessToken
		call  *call
	)
	call = s.client.call(ctx, op, func(body io.Reader) (err error) {
		token, err = findToken(body, call.tokenID) // here, so that a list that was cut short is retried
		return err
	})
	call.aboutOwn = own
	if err := call.do(); err != nil {
		return nil, err
	}
	if token == nil {
		failure := call.newFailure()
		failure.Err = &notListedError{"is listed"}
		return nil, call.finalError(failure)
	}
	return token, nil
}

// tokens carries out op and returns the tokens in its response.
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
func (s *PersonalAccessTokensService) collection(ctx context.Context, method string, kind kind) (operation, error) {
	if s == nil || s.client == nil {
		return operation{}, invalidArgument("no client: make one with NewClient")
	}
	if ctx == nil {
		return operation{}, invalidArgument("the context is nil: use context.Background()")
	}
	path := "/" + string(s.client.cfg.APIVersion) + "/personal-access-tokens"
	if s.client.cfg.APIVersion == V1 {
		path = "/personal-access-tokens/v1"
	}
	return operation{method: method, url: s.client.cfg.BaseURL + path, template: path, kind: kind}, nil
}

// item returns an operation on one token.
func (s *PersonalAccessTokensService) item(ctx context.Context, method, id string, kind kind) (operation, error) {
	op, err := s.collection(ctx, method, kind)
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
		return invalidArgument("the id %.80q is not a token's: an id has only letters, digits, - and _", id)
	}
	return nil
}

// validID reports whether id is safe in a path. Ids such as "..", "a?b", "" or,
// in V1, "bulk-update" would reach another resource. Today's ids have 32
// hexadecimal digits, but other letters, digits, - and _ are allowed too.
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
	// The API's documents show a space only as %20. Encode has already escaped
	// a literal plus as %2B.
	return "?" + strings.ReplaceAll(values.Encode(), "+", "%20")
}

// check rejects an invalid request. It also rejects a token that would have
// every right or never expire unless the request sets that explicitly.
func (r CreatePersonalAccessTokenRequest) check(version APIVersion) error {
	var problems []error
	if strings.TrimSpace(r.Name) == "" || !utf8.ValidString(r.Name) {
		problems = append(problems, invalidArgument("Name %.80q: a token needs a name that isn't blank, in UTF-8", r.Name))
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
		problems = append(problems, invalidArgument("ExpirationDate is missing: set it, or set UserAwareTokenNeverExpires for a token that never expires"))
	}
	if r.UserAwareTokenNeverExpires && !version.hasNeverExpires() {
		problems = append(problems, invalidArgument("UserAwareTokenNeverExpires: every token expires in %s: use V2025 or later", version))
	}
	return errors.Join(problems...)
}

// checkScope rejects invalid names and an empty scope. The API treats an empty
// scope as every right of the owner.
func checkScope(scope []string) error {
	if len(scope) == 0 {
		return errors.New("the scope is empty, which would grant every right: name the scopes, or use ScopeAll")
	}
	for _, name := range scope {
		if !isScopeToken(name) {
			return fmt.Errorf("%.80q is not a scope: use one name for each entry, without spaces, quotes, backslashes or control characters", name)
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

// checkExpiry rejects an expiry that the API can't accept.
func checkExpiry(t time.Time) error {
	if !t.After(time.Now()) {
		return fmt.Errorf("%s is in the past: use a later time", formatTime(t))
	}
	if t.UTC().Year() > 9999 {
		return errors.New("the expiry is after the year 9999: RFC 3339 can't write it")
	}
	return nil
}

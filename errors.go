package sailpoint

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// ErrInvalidArgument reports an invalid argument or configuration. Nothing was
// sent.
var ErrInvalidArgument = errors.New("sailpoint: invalid argument")

// ErrSelf reports a Delete of the client's own token. The token was not
// deleted. Use DeleteSelf instead.
var ErrSelf = errors.New("sailpoint: the client's own token")

// errOwnToken is the error of such a Delete.
var errOwnToken = fmt.Errorf("%w: deleting it would end this client's access: call DeleteSelf to do so", ErrSelf)

// These match an [Error] by the status of its last response. That may be the
// token endpoint's, but its 404 and 409 match none of them, because they say
// nothing about a token. ErrRateLimited and ErrServer also match a call that was
// not sent because an earlier response with such a status asked the client to
// wait.
var (
	ErrBadRequest   = errors.New("sailpoint: bad request")  // 400
	ErrUnauthorized = errors.New("sailpoint: unauthorized") // 401
	ErrForbidden    = errors.New("sailpoint: forbidden")    // 403
	ErrNotFound     = errors.New("sailpoint: not found")    // 404, or no such token in the lists of Get and Self
	ErrConflict     = errors.New("sailpoint: conflict")     // 409
	ErrRateLimited  = errors.New("sailpoint: rate limited") // 429
	ErrServer       = errors.New("sailpoint: server error") // 500 and above
)

// statusErrors are those that only one status of a response matches.
var statusErrors = map[int]error{
	http.StatusBadRequest: ErrBadRequest, http.StatusUnauthorized: ErrUnauthorized, http.StatusForbidden: ErrForbidden,
	http.StatusNotFound: ErrNotFound, http.StatusConflict: ErrConflict,
}

// These match an [Error] by how its call ended.
var (
	// ErrUnreachable reports that the last attempt got no response, or only a
	// part of its header. The connection or the TLS handshake failed, a proxy
	// refused to connect, or Config.AttemptTimeout passed. The error doesn't
	// match if the caller's context ended, or if Config.Limiter or a
	// Config.TokenSource of your own failed. It also matches ErrOutcomeUnknown
	// if the call may have changed a token.
	ErrUnreachable = errors.New("sailpoint: no response")

	// ErrInvalidCredentials reports that the token endpoint rejected the client
	// id or secret. For the next 5 s, calls that need a new bearer return the
	// same error and send nothing. The error doesn't match the variable of its
	// status. ErrUnauthorized means that the API rejected a bearer.
	ErrInvalidCredentials = errors.New("sailpoint: invalid credentials")

	// ErrInvalidResponse reports a successful (2xx) response that the client
	// can't use. It is cut short, too large, or not the API's JSON.
	ErrInvalidResponse = errors.New("sailpoint: invalid response")

	// ErrOutcomeUnknown reports that a Create, Patch, BulkUpdate or Delete was
	// or may have been carried out, but its result is lost. The error also
	// matches the variable of its status. After a 503, for example, it also
	// matches ErrServer.
	ErrOutcomeUnknown = errors.New("sailpoint: outcome unknown")
)

// Error describes a failed call whose arguments were valid. Use [errors.As] to
// get it from the error of a call, and [errors.Is] to compare that error with
// this package's variables. The chain of an error never has two of them.
//
// Statuses such as 302, 405, 408, 418 and 422 have no variable. Compare
// StatusCode instead.
//
// If the caller's context ended, or if Config.Limiter or Config.TokenSource
// returned an error, Error wraps that error. [errors.Is] therefore matches
// [context.Canceled] or [context.DeadlineExceeded]. DeadlineExceeded also
// matches if Config.AttemptTimeout passed, or the 2 minutes of a call without a
// deadline. To tell these cases apart, look at the Err method of your context.
// It returns nil unless your context itself has ended. If the cause of its end
// is the error of another call, as in an errgroup, Error matches that error, but
// not the variables that it matches.
//
// An Error prints, logs and marshals without its Body.
type Error struct {
	Op         string        // such as "PATCH /v2024/personal-access-tokens/{id}" or "POST /oauth/token"
	TokenID    string        // the id of the call's token, or "" for List, All, Create, BulkUpdate and the request for a bearer
	StatusCode int           // the status of the last response, or 0 if there was none. A 401 is forgotten when another bearer is sent.
	DetailCode string        // the API's detailCode, or an OAuth2 error code such as "invalid_client"
	TrackingID string        // the API's trackingId, which SailPoint's support asks for, or "" for a 429 and the token endpoint
	RequestID  string        // the response's header SLPT-Request-ID, for support if there is no TrackingID, or "" for the token endpoint
	Messages   []string      // the API's texts about the failure
	Causes     []string      // the API's texts about its causes
	RetryAfter time.Duration // how long to wait according to the server, or 0 if it sent no readable Retry-After or the client has waited for it
	Attempts   int           // the number of requests sent, including those that net/http repeated
	Body       []byte        `json:"-" xml:"-" yaml:"-"` // at most 64 KiB of the last response's body
	Err        error         `json:"-" xml:"-" yaml:"-"` // from the transport, context, decoder, Limiter or TokenSource, or nil if the response itself is the failure

	badCredentials bool // the token endpoint rejected the credentials
	own            bool // the API itself responded, since an intermediary sets neither detailCode nor trackingId
	invalid        bool // a successful response can't be trusted
	noReply        bool // the last attempt got no complete response header
	foreign        bool // of another operation, such as the request for a bearer

	heldBackBy int    // the status of the earlier response that holds this call back
	unknown    string // the operation that may have been carried out, or ""

	retryAfterUnreadable bool
}

// Error returns the operation, the status, the API's code, messages and ids,
// and the token. The text contains no secrets. Control characters from a server
// are escaped.
func (e *Error) Error() string {
	text := strings.Join(append([]string{"sailpoint: " + e.Op}, e.reasons()...), ": ")
	if notes := e.notes(); len(notes) > 0 {
		text += " (" + strings.Join(notes, ", ") + ")"
	}
	return text
}

// reasons returns the causes of the failure in the order of the error text.
func (e *Error) reasons() (parts []string) {
	status := strings.TrimRight(strconv.Itoa(e.StatusCode)+" "+http.StatusText(e.StatusCode), " ")
	if e.StatusCode != 0 {
		parts = append(parts, status)
	}
	if e.DetailCode != "" && !strings.EqualFold(e.DetailCode, status) { // as it is for 403 and 404
		parts = append(parts, redact.Printable(e.DetailCode))
	}
	for _, texts := range [][]string{e.Messages, e.Causes} {
		for _, text := range texts[:min(len(texts), 3)] {
			parts = append(parts, redact.Printable(strings.TrimSuffix(strings.TrimSpace(text), ".")))
		}
	}
	switch {
	case e.badCredentials:
		parts = append(parts, "the client id or secret was rejected: check both")
	case e.heldBackBy == http.StatusTooManyRequests:
		parts = append(parts, "not sent because an earlier call was rate limited")
	case e.heldBackBy != 0:
		parts = append(parts, "not sent because an earlier "+strconv.Itoa(e.heldBackBy)+" response asked to wait")
	}
	if e.Err != nil {
		parts = append(parts, redact.PrintableError(e.Err))
	}
	switch e.unknown {
	case "":
	case e.Op:
		parts = append(parts, "it may have been carried out")
	default: // the request for a bearer failed, before a retry
		parts = append(parts, e.unknown+" may have been carried out")
	}
	return parts
}

// reason returns why the attempt that e is about failed.
func (e *Error) reason() string {
	if e.Err != nil {
		return redact.PrintableError(e.Err)
	}
	return strings.Join(e.reasons(), ": ")
}

// notes returns the details that help to investigate the error.
func (e *Error) notes() (notes []string) {
	if e.TokenID != "" {
		notes = append(notes, "token "+redact.Printable(e.TokenID))
	}
	if e.RetryAfter > 0 {
		notes = append(notes, "retry after "+e.RetryAfter.String())
	}
	if e.Attempts > 1 {
		notes = append(notes, strconv.Itoa(e.Attempts)+" attempts")
	}
	if e.TrackingID != "" {
		notes = append(notes, "tracking id "+redact.Printable(e.TrackingID))
	}
	if e.RequestID != "" {
		notes = append(notes, "request id "+redact.Printable(e.RequestID))
	}
	return notes
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether e matches target, which is one of this package's
// variables.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrUnreachable:
		return e.noReply
	case ErrInvalidCredentials:
		return e.badCredentials
	case ErrInvalidResponse:
		return e.invalid
	case ErrOutcomeUnknown:
		return e.unknown != ""
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests || e.heldBackBy == http.StatusTooManyRequests
	}
	if e.badCredentials || e.foreign && (target == ErrNotFound || target == ErrConflict) {
		return false
	}
	if target == ErrServer {
		return max(e.StatusCode, e.heldBackBy) >= http.StatusInternalServerError
	}
	match, ok := statusErrors[e.StatusCode]
	return ok && target == match
}

// Format implements [fmt.Formatter]. Every verb prints the text of Error, and
// none prints the Body. It has a value receiver, so that this is also true of
// an Error that is not a pointer.
func (e Error) Format(f fmt.State, verb rune) {
	if verb == 'q' {
		_, _ = fmt.Fprintf(f, "%q", e.Error())
		return
	}
	_, _ = f.Write([]byte(e.Error()))
}

// LogValue implements [slog.LogValuer]. It returns the fields without the Body.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("op", e.Op), slog.Int("status", e.StatusCode), slog.Int("attempts", e.Attempts)}
	for _, field := range []struct{ key, value string }{
		{"token_id", e.TokenID}, {"detail_code", e.DetailCode}, {"tracking_id", e.TrackingID}, {"request_id", e.RequestID},
	} {
		if field.value != "" {
			attrs = append(attrs, slog.String(field.key, redact.Printable(field.value)))
		}
	}
	return slog.GroupValue(append(attrs, slog.String("message", e.Error()))...)
}

// CreateOutcomeError reports that Create made or may have made a token whose
// secret is lost. The API returns a token's secret only in the response to the
// request that created it. The error matches [ErrOutcomeUnknown] and everything
// that Err matches.
//
// List the tokens with [OwnerMe], and look for one with this Name that was
// created at or after StartedAt. Delete it before you create another. It can
// still be used by whoever got its secret, and it counts toward the ten tokens
// that an owner may have.
type CreateOutcomeError struct {
	Name      string
	StartedAt time.Time // when Create was called, by the API's clock, or by the local one if they differ by a day or the API's is unknown
	Created   bool      // true if the token exists, false if it may exist
	ID        string    // the token's id, or "" if it is unknown
	Err       error     // wraps an *Error
}

// Error says which token may exist and why its secret is lost.
func (e *CreateOutcomeError) Error() string {
	what := "a token named " + strconv.Quote(e.Name) + " may have been created"
	if e.Created {
		what = "the token named " + strconv.Quote(e.Name) + " was created"
	}
	if e.ID != "" {
		what += " with id " + redact.Printable(e.ID)
	}
	text := "sailpoint: " + what + " and its secret is lost"
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *CreateOutcomeError) Unwrap() error { return e.Err }

// Is reports whether target is ErrOutcomeUnknown.
func (e *CreateOutcomeError) Is(target error) bool { return target == ErrOutcomeUnknown }

// otherCallError is the error of another call, such as the one that ended the
// context of an errgroup. It matches itself, but none of this package's
// variables, because they would say something about this call.
type otherCallError struct{ err error }

// withoutOtherCall returns err, or an otherCallError if err wraps an *Error.
func withoutOtherCall(err error) error {
	if failure := (*Error)(nil); errors.As(err, &failure) {
		return &otherCallError{err}
	}
	return err
}

// Error returns the text of the other call's error.
func (e *otherCallError) Error() string { return e.err.Error() }

// Is reports whether target is the other call's error.
func (e *otherCallError) Is(target error) bool {
	failure := (*Error)(nil)
	return errors.As(target, &failure) && errors.Is(e.err, target)
}

// notListedError reports that a token is in no list that the caller may see.
type notListedError struct{ where string }

func (e *notListedError) Error() string { return "no token with this id " + e.where }

// Is matches ErrNotFound.
func (e *notListedError) Is(target error) bool { return target == ErrNotFound }

// invalidArgument returns an error that matches ErrInvalidArgument. The text
// says what is wrong and what to do.
func invalidArgument(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalidArgument}, args...)...)
}

// maxErrorBytes is how much of an unsuccessful response's body is read and
// kept.
const maxErrorBytes = 64 << 10

// readProblem fills e from the body of an unsuccessful response. The body may
// have the form of the API, of its gateway, of RFC 6749, of RFC 9457 or of
// other services. A body that isn't JSON is kept but not shown. Secrets are
// redacted before anything is cut.
func (e *Error) readProblem(body []byte, isFetch bool, secrets *redact.Redactor) {
	e.Body = []byte(secrets.Text(string(body)))
	e.Body = e.Body[:min(len(e.Body), maxErrorBytes)] // a placeholder may be longer than the secret

	value := jsontext.Value(bytes.TrimPrefix(body, []byte("\ufeff")))
	e.Messages = redactAll(secrets, messagesIn(value, maxProblemDepth))
	if value.Kind() == '[' {
		if entries := entriesOf(value); len(entries) > 0 {
			value = entries[0]
		}
	}
	members := membersOf(value)
	e.Causes = redactAll(secrets, messagesIn(members["causes"], maxProblemDepth))
	e.TrackingID = secrets.Text(textOf(members["trackingId"]))
	e.own = e.TrackingID != "" || textOf(members["detailCode"]) != ""
	e.DetailCode = secrets.Text(e.codeIn(members, isFetch))
	e.Messages = slices.DeleteFunc(e.Messages, func(message string) bool { return message == e.DetailCode && oauthCodes[message] })
}

// codeIn returns the code of a problem with these members. It skips a code that
// only repeats the status. A 404 about a token has a code only if it is the
// API's own.
func (e *Error) codeIn(members map[string]jsontext.Value, isFetch bool) string {
	oauth := textOf(members["error"])
	if !oauthCodes[oauth] || e.StatusCode == http.StatusNotFound && !isFetch {
		oauth = ""
	}
	for _, code := range []string{textOf(members["detailCode"]), oauth} {
		if code != "" && code != strconv.Itoa(e.StatusCode) {
			return code
		}
	}
	return ""
}

// messageMembers are the members whose texts are messages, in the order of the
// error text.
var messageMembers = []string{
	"text", "messages", "error", "error_description", "message", "errorMessage", "detailMessage", "formatted_msg",
	"title", "detail", "errors",
}

// maxProblemDepth is the maximum nesting of a message in lists and objects.
const maxProblemDepth = 6

// messagesIn returns the texts in value. In a list it searches each entry, and
// in an object its messageMembers.
func messagesIn(value jsontext.Value, depth int) (list []string) {
	switch kind := value.Kind(); {
	case kind == '"':
		if text := textOf(value); text != "" {
			list = append(list, text)
		}
	case depth == 0:
	case kind == '[':
		for _, entry := range entriesOf(value) {
			list = append(list, messagesIn(entry, depth-1)...)
		}
	case kind == '{':
		members := membersOf(value)
		for _, name := range messageMembers {
			list = append(list, messagesIn(members[name], depth-1)...)
		}
	}
	return list
}

// tolerant accepts repeated names and text that is not UTF-8, so that the rest
// of a response can still be read.
var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// membersOf returns the readable members of an object.
func membersOf(value jsontext.Value) (members map[string]jsontext.Value) {
	_ = json.Unmarshal(value, &members, tolerant)
	return members
}

// entriesOf returns the readable entries of a list.
func entriesOf(value jsontext.Value) (entries []jsontext.Value) {
	_ = json.Unmarshal(value, &entries, tolerant)
	return entries
}

// textOf returns the text of a string, or of a number.
func textOf(value jsontext.Value) (text string) {
	if value.Kind() == '0' {
		return string(value)
	}
	_ = json.Unmarshal(value, &text, tolerant)
	return strings.TrimSpace(text)
}

// redactAll redacts the secrets in texts.
func redactAll(secrets *redact.Redactor, texts []string) []string {
	for i, text := range texts {
		texts[i] = secrets.Text(text)
	}
	return texts
}

// oauthCodes are the error codes of RFC 6749 section 5.2, and those of Spring
// for a request without credentials.
var oauthCodes = map[string]bool{
	"invalid_request": true, "invalid_client": true, "invalid_grant": true, "unauthorized_client": true,
	"unsupported_grant_type": true, "invalid_scope": true, "unauthorized": true, "invalid_token": true,
}

// credentialCodes are the oauthCodes about the credentials.
var credentialCodes = map[string]bool{
	"invalid_client": true, "invalid_grant": true, "unauthorized_client": true, "unauthorized": true,
}

// limitToOAuth removes all texts of the token endpoint's response except a
// known code. A text may hold a bearer, or repeat the client secret in an
// encoding that the redactor doesn't know.
func (e *Error) limitToOAuth() {
	e.Body, e.Messages, e.Causes, e.TrackingID, e.RequestID = nil, nil, nil, "", ""
	if !oauthCodes[e.DetailCode] {
		e.DetailCode = ""
	}
	e.badCredentials = e.StatusCode == http.StatusUnauthorized || credentialCodes[e.DetailCode] &&
		(e.StatusCode == http.StatusOK || e.StatusCode/100 == 4 && e.StatusCode != http.StatusTooManyRequests)
}

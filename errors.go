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

	"github.com/sailpoint-go/sailpoint/internal/origin"
	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// ErrInvalidArgument is matched by every refusal of an argument or a configuration. Nothing was sent.
var ErrInvalidArgument = errors.New("sailpoint: invalid argument")

// ErrSelf refuses a Delete of the token that the client itself uses: see DeleteSelf. Nothing was sent.
var ErrSelf = errors.New("sailpoint: the client's own token")

// Matched by the status of the last answer.
var (
	ErrBadRequest   = errors.New("sailpoint: bad request")  // 400
	ErrUnauthorized = errors.New("sailpoint: unauthorized") // 401
	ErrForbidden    = errors.New("sailpoint: forbidden")    // 403
	ErrNotFound     = errors.New("sailpoint: not found")    // 404
	ErrConflict     = errors.New("sailpoint: conflict")     // 409
	ErrRateLimited  = errors.New("sailpoint: rate limited") // 429
	ErrServer       = errors.New("sailpoint: server error") // 500 and above
)

// Matched by what became of a call.
var (
	// ErrUnreachable says that the last attempt got no complete header of a response: no connection, a failed
	// handshake, a proxy that refused, a broken connection, or AttemptTimeout. It is not matched where the caller's
	// context ended, nor where Config.Limiter or Config.TokenSource failed. A changing call that may have left matches
	// ErrOutcomeUnknown as well.
	ErrUnreachable = errors.New("sailpoint: no response")

	// ErrInvalidCredentials says that the token endpoint refused the client id or secret. For 5 s after that the client's
	// calls return the same refusal, and the secret isn't sent again. It matches instead of the
	// status: ErrUnauthorized is about a bearer.
	ErrInvalidCredentials = errors.New("sailpoint: invalid credentials")

	// ErrInvalidResponse says that an answer of success can't be trusted: cut short, not the API's JSON, too large.
	ErrInvalidResponse = errors.New("sailpoint: invalid response")

	// ErrOutcomeUnknown says that a changing call was, or may have been, carried out and its result is lost. It
	// matches beside the class of the last answer: a lost Delete answered 503 is also ErrServer.
	ErrOutcomeUnknown = errors.New("sailpoint: outcome unknown")
)

// Error is a call that passed the local checks and failed; there is exactly one in the chain of every such error. Use
// [errors.As] for its fields and [errors.Is] with this package's variables to branch.
//
// Statuses without a variable, such as 302, 405, 408, 418 and 422, match none: branch on StatusCode. An error of the
// caller's context, of Config.Limiter or of Config.TokenSource matches what it wraps. [context.DeadlineExceeded] also
// matches AttemptTimeout, and the two minutes of a call without a deadline. The caller's context lives in both cases:
// its Err method tells.
//
// It holds no request and no response, and it prints, logs and marshals without the Body.
type Error struct {
	Op         string // such as "PATCH /v2024/personal-access-tokens/{id}" or "POST /oauth/token"
	TokenID    string // of the token that the call was about; "" for List, All, Create, BulkUpdate and a bearer's fetch
	StatusCode int    // of the last answer; 0: none came
	DetailCode string // the API's code, or RFC 6749's where it is a known one
	TrackingID string // the API's id of the failure, for its support; "" for the token endpoint
	RequestID  string // the gateway's id of the request, from SLPT-Request-ID; "" for the token endpoint
	Messages   []string
	Causes     []string
	RetryAfter time.Duration // how long the last answer asked to wait; 0: it did not, or in a form that can't be read
	Attempts   int           // requests sent, with those that an http.Transport sent again by itself
	Body       []byte        `json:"-" xml:"-" yaml:"-"` // of the last answer, at most 64 KiB
	Err        error         `json:"-" xml:"-" yaml:"-"` // transport, context, decoding, limiter; nil where the answer itself is the error

	refused bool // the token endpoint refused the credentials
	own     bool // the API itself answered: something between has neither detailCode nor trackingId
	invalid bool // an answer of success that can't be trusted
	noReply bool // no complete header of a response came to the last attempt
	unknown bool // the call may have been carried out

	heldBackBy int // the status of the earlier response because of which nothing was sent

	retryAfterUnreadable bool
}

// Error names the operation, the status, the API's code, messages and ids, and the token. It holds nothing secret, and control
// characters in what a server sent are escaped.
func (e *Error) Error() string {
	text := strings.Join(append([]string{"sailpoint: " + e.Op}, e.reasons()...), ": ")
	if notes := e.notes(); len(notes) > 0 {
		text += " (" + strings.Join(notes, ", ") + ")"
	}
	return text
}

// reasons returns what went wrong, in the order in which it is shown.
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
	case e.refused:
		parts = append(parts, "the client id or secret was refused")
	case e.heldBackBy == http.StatusTooManyRequests:
		parts = append(parts, "held back: an earlier call was rate limited")
	case e.heldBackBy != 0:
		parts = append(parts, "held back: an earlier response was "+strconv.Itoa(e.heldBackBy)+" and asked to wait")
	}
	if e.Err != nil {
		parts = append(parts, redact.Printable(e.Err.Error()))
	}
	if e.unknown {
		parts = append(parts, "it may have been carried out")
	}
	return parts
}

// reason returns why the attempt that e is about failed.
func (e *Error) reason() string {
	if e.Err != nil {
		return redact.Printable(e.Err.Error())
	}
	return strings.Join(e.reasons(), ": ")
}

// notes returns what a reader needs to follow the error up.
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

// Is matches this package's variables.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrUnreachable:
		return e.noReply
	case ErrInvalidCredentials:
		return e.refused
	case ErrInvalidResponse:
		return e.invalid
	case ErrOutcomeUnknown:
		return e.unknown
	case origin.ErrAPI:
		return e.own
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests || e.heldBackBy == http.StatusTooManyRequests
	}
	if e.refused {
		return false
	}
	switch e.StatusCode {
	case http.StatusBadRequest:
		return target == ErrBadRequest
	case http.StatusUnauthorized:
		return target == ErrUnauthorized
	case http.StatusForbidden:
		return target == ErrForbidden
	case http.StatusNotFound:
		return target == ErrNotFound
	case http.StatusConflict:
		return target == ErrConflict
	}
	return max(e.StatusCode, e.heldBackBy) >= http.StatusInternalServerError && target == ErrServer
}

// Format implements [fmt.Formatter]: every verb prints the text of Error, so that no verb prints the Body.
func (e *Error) Format(f fmt.State, verb rune) {
	if verb == 'q' {
		_, _ = fmt.Fprintf(f, "%q", e.Error())
		return
	}
	_, _ = f.Write([]byte(e.Error()))
}

// LogValue implements [slog.LogValuer]: the fields, without the Body.
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

// CreateOutcomeError is a Create that was, or may have been, carried out and whose secret is lost, because a PAT's
// secret is shown only in the answer to its Create. It matches [ErrOutcomeUnknown] and whatever Err matches.
//
// Look for a token of this Name created at StartedAt or later and delete it before creating another: it takes one of
// the owner's ten slots (documented limit), and it is a live credential.
type CreateOutcomeError struct {
	Name      string
	StartedAt time.Time // by the server's clock: corrected by the last Date of the API itself, if less than a day off
	Created   bool      // true: the token exists; false: it may
	ID        string    // of the token; "" if not known
	Err       error     // holds an *Error
}

// Error says what may exist and why its secret is lost.
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

// Is matches ErrOutcomeUnknown.
func (e *CreateOutcomeError) Is(target error) bool { return target == ErrOutcomeUnknown }

// invalidArgument returns an error that says what is wrong and what to do.
func invalidArgument(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalidArgument}, args...)...)
}

// maxErrorBytes is how much of a failed answer's body is read and kept.
const maxErrorBytes = 64 << 10

// readProblem fills e from the body of a response that is not a success, whatever shape that has: the API's own, its
// gateway's, that of RFC 6749 or RFC 9457, or one of other services. A body that isn't JSON is kept and not shown. What
// it repeats of secrets is replaced before anything is cut.
func (e *Error) readProblem(body []byte, secrets *redact.Redactor) {
	e.Body = []byte(secrets.Text(string(body)))
	e.Body = e.Body[:min(len(e.Body), maxErrorBytes)] // a placeholder may be longer than what it replaces

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
	e.DetailCode = secrets.Text(e.codeIn(members))
	e.Messages = slices.DeleteFunc(e.Messages, func(message string) bool { return message == e.DetailCode && oauthCodes[message] })
}

// codeIn returns the code of a problem with these members. One that only repeats the status is none.
func (e *Error) codeIn(members map[string]jsontext.Value) string {
	oauth, nested := textOf(members["error"]), membersOf(members["error"])
	if !oauthCodes[oauth] {
		oauth = ""
	}
	for _, code := range []string{textOf(members["detailCode"]), oauth, textOf(nested["code"]), textOf(nested["status"])} {
		if code != "" && code != strconv.Itoa(e.StatusCode) {
			return code
		}
	}
	return ""
}

// messageMembers are the members whose texts are messages, in the order in which they are shown.
var messageMembers = []string{
	"text", "messages", "error", "error_description", "message", "errorMessage", "detailMessage", "formatted_msg",
	"title", "detail", "errors",
}

// maxProblemDepth is how many lists and objects a message may be in.
const maxProblemDepth = 6

// messagesIn returns the texts in value: itself, those of each entry of a list, or those of an object's messageMembers.
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

// tolerant accepts names that are there twice and text that is not UTF-8, which must not cost whatever else is there.
var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// membersOf returns the members of an object, as many as can be read.
func membersOf(value jsontext.Value) (members map[string]jsontext.Value) {
	_ = json.Unmarshal(value, &members, tolerant)
	return members
}

// entriesOf returns the entries of a list, as many as can be read.
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

// redactAll replaces what each text repeats of secrets.
func redactAll(secrets *redact.Redactor, texts []string) []string {
	for i, text := range texts {
		texts[i] = secrets.Text(text)
	}
	return texts
}

// oauthCodes are the error codes of RFC 6749 section 5.2, and Spring's for a request without credentials.
var oauthCodes = map[string]bool{
	"invalid_request": true, "invalid_client": true, "invalid_grant": true, "unauthorized_client": true,
	"unsupported_grant_type": true, "invalid_scope": true, "unauthorized": true, "invalid_token": true,
}

// refusalCodes are those that are about the credentials.
var refusalCodes = map[string]bool{
	"invalid_client": true, "invalid_grant": true, "unauthorized_client": true, "unauthorized": true,
}

// limitToOAuth drops every text of a response of the token endpoint but a known code: it may repeat the client secret
// that it was sent in an encoding that nobody thought of, or hold a bearer.
func (e *Error) limitToOAuth() {
	e.Body, e.Messages, e.Causes, e.TrackingID, e.RequestID = nil, nil, nil, "", ""
	if !oauthCodes[e.DetailCode] {
		e.DetailCode = ""
	}
	e.refused = e.StatusCode == http.StatusUnauthorized || refusalCodes[e.DetailCode] &&
		(e.StatusCode == http.StatusOK || e.StatusCode/100 == 4 && e.StatusCode != http.StatusTooManyRequests)
}

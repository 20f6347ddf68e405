package sailpoint

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
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
	// ErrInvalidCredentials says that the token endpoint refused the client id or secret. It matches instead of the
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
// It holds no request and no response, and it prints, logs and marshals without the Body.
type Error struct {
	Op         string // such as "PATCH /v2024/personal-access-tokens/{id}" or "POST /oauth/token"
	StatusCode int    // of the last answer; 0: none came
	DetailCode string // the API's code, or RFC 6749's where it is a known one
	TrackingID string // the API's id of the failure, for its support
	RequestID  string // the gateway's id of the request, from SLPT-Request-ID
	Messages   []string
	Causes     []string
	RetryAfter time.Duration // how long the last answer asked to wait; 0: it did not, or in a form that can't be read
	Attempts   int           // requests sent
	Body       []byte        `json:"-" xml:"-" yaml:"-"` // of the last answer, at most 64 KiB
	Err        error         `json:"-" xml:"-" yaml:"-"` // transport, context, decoding, limiter; nil where the answer itself is the error

	refused bool // the token endpoint refused the credentials
	invalid bool // an answer of success that can't be trusted
	unknown bool // the call may have been carried out
	paused  bool // held back after an earlier 429 of the same client

	retryAfterUnreadable bool
}

// Error names the operation, the status, the API's code, messages and ids. It holds nothing secret, and control
// characters in what a server sent are escaped.
func (e *Error) Error() string {
	parts := []string{"sailpoint: " + e.Op}
	status := strings.TrimRight(strconv.Itoa(e.StatusCode)+" "+http.StatusText(e.StatusCode), " ")
	if e.StatusCode != 0 {
		parts = append(parts, status)
	}
	if e.DetailCode != "" && !strings.EqualFold(e.DetailCode, status) { // as it is for 403 and 404
		parts = append(parts, printable(e.DetailCode))
	}
	for _, texts := range [][]string{e.Messages, e.Causes} {
		for _, text := range texts[:min(len(texts), 3)] {
			parts = append(parts, printable(strings.TrimSuffix(strings.TrimSpace(text), ".")))
		}
	}
	switch {
	case e.refused:
		parts = append(parts, "the client id or secret was refused")
	case e.paused:
		parts = append(parts, "held back: an earlier call was rate limited")
	}
	if e.Err != nil {
		parts = append(parts, printable(e.Err.Error()))
	}
	if e.unknown {
		parts = append(parts, "it may have been carried out")
	}

	var notes []string
	if e.RetryAfter > 0 {
		notes = append(notes, "retry after "+e.RetryAfter.String())
	}
	if e.Attempts > 1 {
		notes = append(notes, strconv.Itoa(e.Attempts)+" attempts")
	}
	if e.TrackingID != "" {
		notes = append(notes, "tracking id "+printable(e.TrackingID))
	}
	if e.RequestID != "" {
		notes = append(notes, "request id "+printable(e.RequestID))
	}
	text := strings.Join(parts, ": ")
	if len(notes) > 0 {
		text += " (" + strings.Join(notes, ", ") + ")"
	}
	return text
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is matches this package's variables.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrInvalidCredentials:
		return e.refused
	case ErrInvalidResponse:
		return e.invalid
	case ErrOutcomeUnknown:
		return e.unknown
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests || e.paused
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
	return e.StatusCode >= http.StatusInternalServerError && target == ErrServer
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
		{"detail_code", e.DetailCode}, {"tracking_id", e.TrackingID}, {"request_id", e.RequestID},
	} {
		if field.value != "" {
			attrs = append(attrs, slog.String(field.key, printable(field.value)))
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
	StartedAt time.Time // by the server's clock: corrected by the last Date header seen
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
		what += " with id " + printable(e.ID)
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

// readProblem fills e from the body of an answer that is not a success, whatever shape that has: the API's own
// (detailCode, trackingId, messages, causes), the gateway's ({"error"} on 401, {"message"} on 429), RFC 6749's, or
// those of services beside it. A body that isn't JSON is kept and not shown. Secrets are replaced in all of it.
func (e *Error) readProblem(body []byte, scrub func(string) string) {
	e.Body = []byte(scrub(string(body)))
	e.Body = e.Body[:min(len(e.Body), maxErrorBytes)] // what stands for a secret may be longer

	// Member by member, because one of an unexpected type must not cost the others.
	tolerant := json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	var members map[string]jsontext.Value
	_ = json.Unmarshal(body, &members, tolerant)
	text := func(name string) string {
		var s string
		_ = json.Unmarshal(members[name], &s, tolerant)
		return strings.TrimSpace(scrub(s))
	}
	texts := func(name string) (list []string) {
		var entries []jsontext.Value
		_ = json.Unmarshal(members[name], &entries, tolerant)
		for _, value := range entries {
			var entry struct {
				Text string `json:"text"`
			}
			_ = json.Unmarshal(value, &entry, tolerant)
			if s := strings.TrimSpace(scrub(entry.Text)); s != "" {
				list = append(list, s)
			}
		}
		return list
	}

	e.DetailCode = text("detailCode")
	e.TrackingID = text("trackingId")
	e.Messages = texts("messages")
	e.Causes = texts("causes")
	for _, name := range []string{
		"error", "error_description", "message", "errorMessage", "detailMessage", "formatted_msg",
	} {
		switch s := text(name); {
		case s == "":
		case name == "error" && oauthCodes[s] && e.DetailCode == "":
			e.DetailCode = s
		default:
			e.Messages = append(e.Messages, s)
		}
	}
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

// limitToOAuth drops what an answer of the token endpoint may hold of the client secret that it was sent, in whatever
// encoding, or of a bearer: all but a known code, and ids that look like ids.
func (e *Error) limitToOAuth() {
	e.Body, e.Messages, e.Causes = nil, nil, nil
	if !oauthCodes[e.DetailCode] {
		e.DetailCode = ""
	}
	for _, id := range []*string{&e.TrackingID, &e.RequestID} {
		if !validID(*id) {
			*id = ""
		}
	}
	e.refused = e.StatusCode == http.StatusUnauthorized ||
		e.StatusCode/100 == 4 && e.StatusCode != http.StatusTooManyRequests && refusalCodes[e.DetailCode]
}

// maxTextBytes bounds each text from outside in an error's text.
const maxTextBytes = 512

// printable returns s cut to maxTextBytes, and quoted if a terminal or a log could take a part of it for more than text.
func printable(s string) string {
	if len(s) > maxTextBytes {
		s = strings.ToValidUTF8(s[:maxTextBytes], "") + "…"
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return strconv.Quote(s)
	}
	return s
}

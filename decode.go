package sailpoint

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxTokenBytes       = 1 << 20 // of one token, alone or in a list
	defaultMaxListBytes = 256 << 20
)

// errIncomplete is the API's answer to a Create whose secret or id is missing or damaged.
var errIncomplete = errors.New("the answer holds no usable id and secret")

// errNotObject is an answer that is no object of JSON: something between has sent it.
var errNotObject = errors.New("not a JSON object")

// tooLargeError is an answer beyond its bound.
type tooLargeError struct{ limit int64 }

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("the answer is larger than %d bytes", e.limit)
}

// boundedReader fails once more than limit bytes were read.
type boundedReader struct {
	r           io.Reader
	limit, left int64
}

func bounded(r io.Reader, limit int64) *boundedReader {
	return &boundedReader{r: r, limit: limit, left: limit}
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, &tooLargeError{b.limit}
	}
	// One byte more than is left, to tell an answer of exactly this size from a larger one.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, &tooLargeError{b.limit}
	}
	return n, err
}

// decodeToken reads the one token of an answer.
func decodeToken(body io.Reader, t *PersonalAccessToken) error {
	dec := jsontext.NewDecoder(bounded(body, maxTokenBytes))
	if err := readToken(dec, t); err != nil {
		return err
	}
	return readEnd(dec)
}

// readToken reads the next token of dec.
func readToken(dec *jsontext.Decoder, t *PersonalAccessToken) error {
	*t = PersonalAccessToken{}
	if err := json.UnmarshalDecode(dec, t); err != nil {
		if err == io.EOF { //nolint:errorlint // UnmarshalDecode returns it unwrapped for an empty input only
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if t.ID == "" {
		return errors.New("a token without an id")
	}
	return nil
}

// readEnd refuses what stands behind the answer's one value.
func readEnd(dec *jsontext.Decoder) error {
	switch _, err := dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return errors.New("more than one JSON value")
}

// tokenStream reads a list token by token.
type tokenStream struct {
	token PersonalAccessToken // after next returned true
	err   error               // after next returned false: nil at the end of the list

	dec     *jsontext.Decoder
	bound   *boundedReader // of each token, where it is not nil
	fetched bool           // token was read ahead
	ended   bool
}

// openTokenStream reads a list up to its first token, and bounds each token instead of the whole.
func openTokenStream(body io.Reader) (*tokenStream, error) {
	bound := bounded(body, maxTokenBytes)
	s := newTokenStream(bound)
	s.bound = bound
	s.fetched = s.next()
	return s, s.err
}

func newTokenStream(body io.Reader) *tokenStream {
	s := &tokenStream{dec: jsontext.NewDecoder(body)}
	switch start, err := s.dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		s.err = io.ErrUnexpectedEOF
	case err != nil:
		s.err = err
	case start.Kind() != '[':
		s.err = errors.New("not a list")
	}
	return s
}

// next reads the next token, and the end of the answer behind the last one.
func (s *tokenStream) next() bool {
	if s.fetched {
		s.fetched = false
		return true
	}
	if s.err != nil || s.ended {
		return false
	}
	if s.dec.PeekKind() != ']' {
		if s.bound != nil {
			s.bound.left = s.bound.limit
		}
		s.err = readToken(s.dec, &s.token)
		return s.err == nil
	}
	s.ended = true
	if _, s.err = s.dec.ReadToken(); s.err == nil {
		s.err = readEnd(s.dec)
	}
	return false
}

// decodeTokens reads a whole list of at most limit bytes.
func decodeTokens(body io.Reader, limit int64) ([]PersonalAccessToken, error) {
	s := newTokenStream(bounded(body, limit))
	tokens := []PersonalAccessToken{}
	for s.next() {
		tokens = append(tokens, s.token)
	}
	return tokens, s.err
}

// decodeCreated reads the answer to a Create. Of a damaged one c holds the token's id at best, which also tells that it
// is the API's and that the token exists.
func decodeCreated(body io.Reader, c *CreatePersonalAccessTokenResponse) error {
	data, readErr := io.ReadAll(bounded(body, maxTokenBytes))
	err := unmarshalObject(data, c)
	if err == nil && (damaged(c.ID) || damaged(c.Secret.Reveal())) {
		err = errIncomplete
	}
	if err == nil && !errors.Is(readErr, gzip.ErrChecksum) {
		return nil // a whole object, even if the end of the transfer is missing: its secret is not to be had again
	}
	var large *tooLargeError
	switch foreign := errors.Is(err, errNotObject) && len(data) > 0; {
	case readErr == nil, foreign, errors.Is(err, errIncomplete):
		err = withoutValues(err)
	case errors.As(readErr, &large):
		err = fmt.Errorf("%w: %w", errIncomplete, readErr)
	default:
		err = withoutValues(readErr)
	}
	*c = CreatePersonalAccessTokenResponse{ID: salvageID(data)}
	if c.ID != "" && !errors.Is(err, errIncomplete) {
		err = fmt.Errorf("%w: %w", errIncomplete, err)
	}
	return err
}

// unmarshalObject reads data, one JSON object, into v.
func unmarshalObject(data []byte, v any) error {
	if data = bytes.TrimLeft(data, " \t\r\n"); len(data) == 0 || data[0] != '{' {
		return errNotObject
	}
	return json.Unmarshal(data, v)
}

// damaged reports whether s is empty or holds what stands for lost characters.
func damaged(s string) bool { return s == "" || strings.ContainsRune(s, utf8.RuneError) }

// salvageID returns the id in a damaged answer to a Create, so that the token can be deleted.
func salvageID(data []byte) string {
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if start, err := dec.ReadToken(); err != nil || start.Kind() != '{' {
		return ""
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		isID := name.String() == "id"
		value, err := dec.ReadValue()
		if err != nil {
			return ""
		}
		var id string
		if isID && json.Unmarshal(value, &id) == nil && validID.MatchString(id) {
			return id
		}
	}
	return ""
}

// withoutValues replaces the JSON library's errors, whose texts hold values of the answer, such as its secret.
func withoutValues(err error) error {
	var syntactic *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the answer is cut short: %w", io.ErrUnexpectedEOF)
	case errors.As(err, &syntactic):
		return fmt.Errorf("not the API's JSON, at byte %d", syntactic.ByteOffset)
	case errors.As(err, &semantic):
		return fmt.Errorf("not the API's JSON, at byte %d", semantic.ByteOffset)
	}
	return err
}

// decodeNothing accepts an answer without a body.
func decodeNothing(body io.Reader) error {
	n, err := io.Copy(io.Discard, bounded(body, maxTokenBytes))
	if err == nil && n > 0 {
		return errors.New("an answer with a body where none is expected")
	}
	return err
}

// decodeBearer reads the answer of the token endpoint (RFC 6749 section 5.1).
func decodeBearer(body io.Reader, requested time.Time) (*bearer, error) {
	var reply struct {
		AccessToken Secret         `json:"access_token"`
		TokenType   string         `json:"token_type"`
		ExpiresIn   jsontext.Value `json:"expires_in"`
	}
	data, err := io.ReadAll(bounded(body, maxTokenBytes))
	if err == nil {
		err = json.Unmarshal(data, &reply)
	}
	if err != nil {
		return nil, withoutValues(err)
	}
	if reply.TokenType != "" && !strings.EqualFold(reply.TokenType, "bearer") {
		return nil, errors.New("an access token of a type that isn't bearer")
	}
	lifetime := assumedLifetime
	if told := reply.ExpiresIn; len(told) > 0 && told.Kind() != 'n' {
		// Some servers send the number as a string.
		seconds, err := strconv.ParseInt(strings.Trim(string(told), `"`), 10, 32)
		if err != nil || seconds <= 0 {
			return nil, errors.New("an access token whose expires_in is no number of seconds")
		}
		lifetime = time.Duration(seconds) * time.Second
	}
	return newBearer(reply.AccessToken, requested, requested.Add(lifetime))
}

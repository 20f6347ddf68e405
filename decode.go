package sailpoint

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxTokenBytes       = 1 << 20 // of the JSON of one token, alone or in a list
	defaultMaxListBytes = 256 << 20
)

// errIncomplete reports a response to a Create that the API sent, but whose
// secret or id is missing or damaged.
var errIncomplete = errors.New("the response has no usable id and secret")

// These report a response to a Create that was probably sent by a proxy.
var (
	errNotObject = errors.New("the response is not a JSON object")
	errNotToken  = errors.New("the response is an object without any member of a token")
)

// errTooLarge reports a response, or a token in a list, of more than
// maxTokenBytes.
var errTooLarge = fmt.Errorf("the response is larger than %d bytes", maxTokenBytes)

// listTooLargeError reports a list that takes more memory than its limit.
type listTooLargeError struct{ limit int64 }

func (e *listTooLargeError) Error() string {
	return fmt.Sprintf("the tokens take more than %d bytes of memory: use All, or set Config.MaxListBytes", e.limit)
}

// boundedReader fails after more than maxTokenBytes.
type boundedReader struct {
	r    io.Reader
	left int64
}

func newBoundedReader(r io.Reader) *boundedReader { return &boundedReader{r, maxTokenBytes} }

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLarge
	}
	// Read one byte more, to know whether the response is larger than the
	// limit.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, errTooLarge
	}
	return n, err
}

// decodeToken decodes a response with one token.
func decodeToken(body io.Reader, t *PersonalAccessToken) error {
	r := newTokenReader(body)
	defer r.release()
	r.token(t)
	r.end()
	return r.failure()
}

// decodeTokens decodes a whole list of tokens, which may take limit bytes of
// memory.
func decodeTokens(body io.Reader, limit int64) ([]PersonalAccessToken, error) {
	r := newTokenReader(body)
	defer r.release()
	// Chunks and one copy at the end are faster than growing a slice.
	const largestChunk = 1 << 10
	var chunks [][]PersonalAccessToken
	chunk := make([]PersonalAccessToken, 0, 1)
	left := limit
	for r.open('['); r.more(']'); {
		if left -= 2 * tokenBytes; left < 0 { // for its chunk and for the copy
			return nil, &listTooLargeError{limit}
		}
		if len(chunk) == cap(chunk) {
			chunks = append(chunks, chunk)
			chunk = make([]PersonalAccessToken, 0, min(4*cap(chunk), largestChunk))
		}
		chunk = chunk[:len(chunk)+1]
		r.nextToken(&chunk[len(chunk)-1])
		if left -= r.held; left < 0 {
			return nil, &listTooLargeError{limit}
		}
	}
	r.end()
	if err := r.failure(); err != nil {
		return nil, err
	}
	if chunks == nil {
		return chunk, nil
	}
	return slices.Concat(append(chunks, chunk)...), nil
}

// findToken decodes a whole list, and returns the token with this id or nil. In
// the other tokens only the id must be readable.
func findToken(body io.Reader, id string) (*PersonalAccessToken, error) {
	r := newTokenReader(body)
	defer r.release()
	var found *PersonalAccessToken
	for r.open('['); r.more(']'); {
		var t PersonalAccessToken
		r.beginToken()
		r.tolerantToken(&t)
		matches := strings.EqualFold(t.ID, id)
		if matches || t.ID == "" {
			r.requireReadable(&t)
		}
		if matches && found == nil {
			found = &t
		}
	}
	r.end()
	return found, r.failure()
}

// tokenStream decodes a list token by token.
type tokenStream struct {
	token   PersonalAccessToken // set if next returns true
	reader  *tokenReader
	fetched bool // token was read ahead
}

// openTokenStream reads a list up to its first token.
func openTokenStream(body io.Reader) (*tokenStream, error) {
	s := &tokenStream{reader: newTokenReader(body)}
	s.reader.open('[')
	if s.fetched = s.next(); s.fetched {
		return s, nil
	}
	err := s.end()
	if err != nil {
		s.close()
	}
	return s, err
}

// next reads the next token, or the end of the list.
func (s *tokenStream) next() bool {
	if s.fetched {
		s.fetched = false
		return true
	}
	r := s.reader
	if !r.more(']') {
		return false
	}
	r.nextToken(&s.token)
	return r.err == nil
}

// end reads the end of the response after the list. It returns the error of
// next, if there is one.
func (s *tokenStream) end() error {
	s.reader.end()
	return s.reader.failure()
}

// close returns the reader of s to the pool.
func (s *tokenStream) close() { s.reader.release() }

// decodeCreated decodes the response to a Create. It succeeds if id and secret
// are complete, because the API won't return the secret again. Otherwise c has
// the token's id at most.
func decodeCreated(body io.Reader, c *CreatePersonalAccessTokenResponse) error {
	data, readErr := io.ReadAll(newBoundedReader(body))
	data = bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\ufeff")), " \t\r\n") // some proxies write a byte order mark
	if len(data) == 0 && readErr != nil {
		return withoutValues(readErr)
	}
	if len(data) == 0 || data[0] != '{' {
		return errNotObject
	}

	r := &tokenReader{ // not from the pool, which would keep the secret
		dec:          jsontext.NewDecoder(bytes.NewBuffer(data), tolerant),
		members:      memberSet{table: createdMembers},
		ownerMembers: memberSet{table: ownerMembers},
		scopes:       map[string][]string{},
	}
	var t PersonalAccessToken
	r.tolerantToken(&t)
	if t.ID != "" && !r.secret.IsZero() && !corrupted(readErr) {
		*c = CreatePersonalAccessTokenResponse{
			ID: t.ID, Name: whole(t.Name), Scope: t.Scope, Created: t.Created, ExpirationDate: t.ExpirationDate,
			Owner:                      PersonalAccessTokenOwner{Type: whole(t.Owner.Type), ID: t.Owner.ID, Name: whole(t.Owner.Name)},
			AccessTokenValiditySeconds: t.AccessTokenValiditySeconds, Secret: r.secret,
		}
		if strings.Contains(strings.Join(t.Scope, ""), string(replacement)) {
			c.Scope = nil
		}
		return nil
	}
	*c = CreatePersonalAccessTokenResponse{}
	if validID(t.ID) {
		c.ID = t.ID
	}
	return r.incomplete(c.ID != "", readErr)
}

// incomplete returns why a response to a Create is not a success. bodyEvent
// learns from the error whether the token exists.
func (r *tokenReader) incomplete(identified bool, readErr error) error {
	foreign := r.members.seen == 0 && r.members.other
	err := r.err
	switch {
	case !r.hasToken && (err == nil || foreign):
		return errNotToken
	case errors.Is(readErr, errTooLarge):
		return fmt.Errorf("%w: %w", errIncomplete, readErr)
	case readErr != nil:
		err = withoutValues(readErr)
	case err == nil:
		return errIncomplete
	}
	if identified {
		return fmt.Errorf("%w: %w", errIncomplete, err)
	}
	return err
}

// whole returns s, or "" if a part of s is lost.
func whole(s string) string {
	if strings.Contains(s, string(replacement)) {
		return ""
	}
	return s
}

// corrupted reports whether the end of a response proves that its body was
// changed in transit.
func corrupted(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.As(err, &corrupt)
}

// withoutValues replaces the JSON library's errors. Their texts hold values of
// the response, such as a secret.
func withoutValues(err error) error {
	var syntactic *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the response is cut short: %w", io.ErrUnexpectedEOF)
	case errors.As(err, &syntactic):
		return fmt.Errorf("the response is not the API's JSON, at byte %d", syntactic.ByteOffset)
	case errors.As(err, &semantic):
		return fmt.Errorf("the response is not the API's JSON, at byte %d", semantic.ByteOffset)
	}
	// jsontext puts its own name before the error of a read.
	if read := errors.Unwrap(err); read != nil && strings.HasPrefix(err.Error(), "jsontext: ") {
		return read
	}
	return err
}

// decodeNothing accepts a response without a body. A first byte proves that the
// API did not send it.
func decodeNothing(body io.Reader) error {
	switch _, err := io.ReadFull(body, make([]byte, 1)); err {
	case nil:
		return errors.New("the response has an unexpected body")
	case io.EOF:
		return nil
	default:
		return err
	}
}

package sailpoint

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	r := newTokenReader(body, maxTokenBytes)
	defer r.release()
	r.token(t)
	r.end()
	return r.failure()
}

// decodeTokens reads a whole list of at most limit bytes.
func decodeTokens(body io.Reader, limit int64) ([]PersonalAccessToken, error) {
	r := newTokenReader(body, limit)
	defer r.release()
	// Chunks and one copy at the end cost less than the copies of a slice that grows.
	const largestChunk = 1 << 10
	var chunks [][]PersonalAccessToken
	chunk := make([]PersonalAccessToken, 0, 1)
	for r.open('['); r.more(']'); {
		if len(chunk) == cap(chunk) {
			chunks = append(chunks, chunk)
			chunk = make([]PersonalAccessToken, 0, min(4*cap(chunk), largestChunk))
		}
		chunk = chunk[:len(chunk)+1]
		r.token(&chunk[len(chunk)-1])
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

// tokenStream reads a list token by token.
type tokenStream struct {
	token PersonalAccessToken // after next returned true
	err   error               // after next returned false: nil at the end of the list

	reader  *tokenReader
	fetched bool // token was read ahead
}

// openTokenStream reads a list up to its first token, and bounds each token instead of the whole.
func openTokenStream(body io.Reader) (*tokenStream, error) {
	s := &tokenStream{reader: newTokenReader(body, maxTokenBytes)}
	s.reader.open('[')
	if s.fetched = s.next(); s.err != nil {
		s.close()
	}
	return s, s.err
}

// next reads the next token, and the end of the answer behind the last one.
func (s *tokenStream) next() bool {
	if s.fetched {
		s.fetched = false
		return true
	}
	r := s.reader
	if r.bound.left = r.bound.limit; r.more(']') {
		r.token(&s.token)
	} else {
		r.end()
	}
	s.err = r.failure()
	return r.err == nil
}

// close lets others use what s reads with.
func (s *tokenStream) close() { s.reader.release() }

// tokenReader reads tokens in one pass: jsontext knows the grammar, the tables of members what to do with a value. It
// keeps its first error and then reads nothing, so that loops need not ask for one.
type tokenReader struct {
	dec    *jsontext.Decoder
	buffer *bufio.Reader // jsontext's own is of 4 KiB, and a read of an answer has its price
	bound  boundedReader
	err    error // io.EOF: everything was read

	members, ownerMembers  memberSet
	scopes                 map[string][]string // by their JSON: a tenant has few different ones
	scopeBytes             int                 // that scopes takes
	text                   []byte              // the strings of a token, which share one allocation
	id, name               span
	kind, owner, ownerName span // of the owner
}

// span is a part of tokenReader.text.
type span struct{ start, end int }

const (
	readBytes     = 64 << 10
	maxScopeBytes = 64 << 10 // of scopes that a tokenReader remembers
	maxOtherBytes = 64 << 10 // of other names, beyond an object
	entryBytes    = 128      // that a map's entry takes beside its key: many short ones are not small
)

// laxNames leaves the names to memberSet, which finds a duplicate faster.
var laxNames = jsontext.AllowDuplicateNames(true)

var tokenReaders = sync.Pool{New: func() any {
	buffer := bufio.NewReaderSize(nil, readBytes)
	return &tokenReader{
		dec:          jsontext.NewDecoder(buffer, laxNames),
		buffer:       buffer,
		members:      memberSet{table: tokenMembers},
		ownerMembers: memberSet{table: ownerMembers},
		scopes:       map[string][]string{},
	}
}}

func newTokenReader(body io.Reader, limit int64) *tokenReader {
	r := tokenReaders.Get().(*tokenReader) //nolint:forcetypeassert // the pool holds nothing else
	r.bound = *bounded(body, limit)
	r.buffer.Reset(&r.bound)
	r.dec.Reset(r.buffer, laxNames)
	r.err = nil
	return r
}

// release gives r back, unless an unusual answer made it large.
func (r *tokenReader) release() {
	r.bound = boundedReader{}
	r.buffer.Reset(nil)
	r.dec.Reset(r.buffer)
	r.members.trim()
	r.ownerMembers.trim()
	if cap(r.dec.UnreadBuffer()) <= readBytes && cap(r.text) <= readBytes {
		tokenReaders.Put(r)
	}
}

// fail keeps err, if it is the first.
func (r *tokenReader) fail(err error) {
	if r.err != nil || err == nil {
		return
	}
	if err == io.EOF { //nolint:errorlint // jsontext returns it unwrapped where nothing is left
		err = io.ErrUnexpectedEOF
	}
	r.err = withoutValues(err)
}

// refuse fails because of the JSON that was just read.
func (r *tokenReader) refuse(why string) {
	r.fail(fmt.Errorf("not the API's JSON, at byte %d: %s", r.dec.InputOffset(), why))
}

// failure returns the error of reading, which the end of the answer is not.
func (r *tokenReader) failure() error {
	if r.err == io.EOF { //nolint:errorlint // set by end
		return nil
	}
	return r.err
}

// end refuses what stands behind the answer's one value.
func (r *tokenReader) end() {
	if r.err != nil {
		return
	}
	switch _, err := r.dec.ReadToken(); {
	case err == io.EOF: //nolint:errorlint // jsontext returns it unwrapped, a broken answer's wrapped
		r.err = io.EOF
	case err != nil:
		r.fail(err)
	default:
		r.fail(errors.New("more than one JSON value"))
	}
}

// value reads the next value, which is only valid until the next read.
func (r *tokenReader) value() jsontext.Value {
	if r.err != nil {
		return nil
	}
	v, err := r.dec.ReadValue()
	r.fail(err)
	return v
}

// open reads the start of an object or a list.
func (r *tokenReader) open(start jsontext.Kind) {
	if r.err != nil {
		return
	}
	switch token, err := r.dec.ReadToken(); {
	case err != nil:
		r.fail(err)
	case token.Kind() != start:
		r.refuse("not the object or list that stands here")
	}
}

// more reports whether another member or element follows, and reads the end if not.
func (r *tokenReader) more(end jsontext.Kind) bool {
	if r.err != nil {
		return false
	}
	if r.dec.PeekKind() != end {
		return true
	}
	_, err := r.dec.ReadToken()
	r.fail(err)
	return false
}

// token reads a token into the zero t.
func (r *tokenReader) token(t *PersonalAccessToken) {
	*t = PersonalAccessToken{}
	r.text = r.text[:0]
	r.id, r.name, r.kind, r.owner, r.ownerName = span{}, span{}, span{}, span{}, span{}
	r.object(&r.members, t)
	if r.err == nil && r.id.start == r.id.end {
		r.fail(errors.New("a token without an id"))
	}
	if r.err != nil {
		return
	}
	text := string(r.text)
	t.ID, t.Name = text[r.id.start:r.id.end], text[r.name.start:r.name.end]
	t.Owner.Type = text[r.kind.start:r.kind.end]
	t.Owner.ID = text[r.owner.start:r.owner.end]
	t.Owner.Name = text[r.ownerName.start:r.ownerName.end]
}

// object reads an object, member by member; null is one without any.
func (r *tokenReader) object(members *memberSet, t *PersonalAccessToken) {
	if r.err == nil && r.dec.PeekKind() == 'n' {
		r.value()
		return
	}
	members.begin()
	for r.open('{'); r.more('}'); {
		name := r.value()
		if r.err != nil {
			return
		}
		member, ok := members.find(name)
		switch {
		case !ok:
			r.refuse("a name that is there twice")
		case member == nil:
			r.skip()
		default:
			member.read(r, t)
		}
	}
}

// skip reads a value of no meaning here.
func (r *tokenReader) skip() {
	if v := r.value(); r.err == nil && (v[0] == '{' || v[0] == '[') && !v.IsValid() {
		r.refuse("a name that is there twice")
	}
}

// string reads a string, or null as an empty one.
func (r *tokenReader) string() span {
	start := len(r.text)
	switch v := r.value(); v.Kind() {
	case 'n':
	case '"':
		r.text = appendUnquoted(r.text, v)
	default:
		r.refuse("not a string")
	}
	return span{start, len(r.text)}
}

// appendUnquoted appends the JSON string v, which is known to be a valid one.
func appendUnquoted(text []byte, v jsontext.Value) []byte {
	if bytes.IndexByte(v, '\\') < 0 {
		return append(text, v[1:len(v)-1]...)
	}
	text, _ = jsontext.AppendUnquote(text, v)
	return text
}

func (r *tokenReader) bool() bool {
	v := r.value()
	if k := v.Kind(); k != 't' && k != 'f' && k != 'n' {
		r.refuse("not true or false")
	}
	return v.Kind() == 't'
}

func (r *tokenReader) int() int {
	v := r.value()
	if v.Kind() == 'n' {
		return 0
	}
	n, ok := parseSeconds(v)
	if !ok {
		r.refuse("not a number of seconds")
	}
	return n
}

// parseSeconds reads a whole number, also one such as 3600.0, 3.6e3 or "3600". It cuts a number beyond 32 bits, which
// every time limit of the API is far below.
func parseSeconds(v jsontext.Value) (seconds int, ok bool) {
	if n, err := strconv.ParseInt(string(v), 10, 32); err == nil {
		return int(n), true
	}
	if v.Kind() == '"' {
		text, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return 0, false
		}
		v = bytes.TrimSpace(text)
	}
	if v.Kind() != '0' || !v.IsValid() {
		return 0, false
	}
	n, _ := strconv.ParseFloat(string(v), 64) // an infinite one, if it is out of range
	return int(max(math.MinInt32, min(n, math.MaxInt32))), n == math.Trunc(n)
}

func (r *tokenReader) time() time.Time {
	v := r.value()
	if r.err != nil {
		return time.Time{}
	}
	if t, ok := parsePlainTime(v); ok {
		return t
	}
	return r.anyTime(v)
}

// parsePlainTime reads a time of the form that the API uses. UnmarshalText by itself also takes times that are none.
func parsePlainTime(v jsontext.Value) (t time.Time, ok bool) {
	const plain = `"2006-01-02T15:04:05Z"`
	ok = len(v) >= len(plain) && v[len(`"2006-01-02T15`)] == ':' && v[len(v)-2] == 'Z' &&
		(v[len(plain)-2] == 'Z' || v[len(plain)-2] == '.') && t.UnmarshalText(v[1:len(v)-1]) == nil
	return t, ok
}

// anyTime is a function of its own because its time is always on the heap.
func (r *tokenReader) anyTime(v jsontext.Value) (t time.Time) {
	r.unmarshal(v, &t)
	return t
}

// scope reads a list of strings.
func (r *tokenReader) scope() []string {
	v := r.value()
	if r.err != nil {
		return nil
	}
	if known, ok := r.scopes[string(v)]; ok {
		return slices.Clone(known) // the caller may write to it
	}
	var scope []string
	r.unmarshal(v, &scope)
	if r.err == nil && len(v) <= maxScopeBytes {
		if r.scopeBytes += len(v) + entryBytes; r.scopeBytes > maxScopeBytes {
			clear(r.scopes)
			r.scopeBytes = len(v) + entryBytes
		}
		r.scopes[string(v)] = slices.Clone(scope)
	}
	return scope
}

// unmarshal leaves v to the library.
func (r *tokenReader) unmarshal(v jsontext.Value, to any) {
	if err := json.Unmarshal(v, to); err != nil {
		r.refuse("not the value that stands here") // err would repeat it
	}
}

// optional reads a value that may be null.
func optional[T any](r *tokenReader, read func(*tokenReader) T) *T {
	if r.err != nil {
		return nil
	}
	if r.dec.PeekKind() == 'n' {
		r.value()
		return nil
	}
	v := read(r)
	return &v
}

// member is a name as it stands in the JSON, and what reads its value.
type member struct {
	name string
	read func(*tokenReader, *PersonalAccessToken)
}

// The members in the order of the API's answers, which is the order in which they are found fastest.
var (
	tokenMembers = []member{
		{`"id"`, func(r *tokenReader, _ *PersonalAccessToken) { r.id = r.string() }},
		{`"name"`, func(r *tokenReader, _ *PersonalAccessToken) { r.name = r.string() }},
		{`"scope"`, func(r *tokenReader, t *PersonalAccessToken) { t.Scope = r.scope() }},
		{`"owner"`, func(r *tokenReader, t *PersonalAccessToken) { r.object(&r.ownerMembers, t) }},
		{`"created"`, func(r *tokenReader, t *PersonalAccessToken) { t.Created = r.time() }},
		{`"lastUsed"`, func(r *tokenReader, t *PersonalAccessToken) { t.LastUsed = optional(r, (*tokenReader).time) }},
		{`"managed"`, func(r *tokenReader, t *PersonalAccessToken) { t.Managed = r.bool() }},
		{`"accessTokenValiditySeconds"`, func(r *tokenReader, t *PersonalAccessToken) { t.AccessTokenValiditySeconds = r.int() }},
		{`"expirationDate"`, func(r *tokenReader, t *PersonalAccessToken) { t.ExpirationDate = optional(r, (*tokenReader).time) }},
		{`"userAwareTokenNeverExpires"`, func(r *tokenReader, t *PersonalAccessToken) {
			t.UserAwareTokenNeverExpires = optional(r, (*tokenReader).bool)
		}},
	}
	ownerMembers = []member{
		{`"type"`, func(r *tokenReader, _ *PersonalAccessToken) { r.kind = r.string() }},
		{`"id"`, func(r *tokenReader, _ *PersonalAccessToken) { r.owner = r.string() }},
		{`"name"`, func(r *tokenReader, _ *PersonalAccessToken) { r.ownerName = r.string() }},
	}
)

// memberSet tells the members of an object by their names, and notices a name that is there twice.
type memberSet struct {
	table   []member
	next    int  // in table: objects have their members in one order
	seen    uint // a bit for each of table
	objects int  // begun so far

	others     map[string]*int // by a name that is not in table: the last object that had it
	otherBytes int             // that others takes
}

// begin is called for each object.
func (m *memberSet) begin() {
	m.next, m.seen = 0, 0
	m.objects++
	m.trim()
}

// trim forgets other names if there were many.
func (m *memberSet) trim() {
	if m.otherBytes > maxOtherBytes {
		m.others, m.otherBytes = nil, 0
	}
}

// find returns the member with this name, nil if there is none in the table, and whether the object has it just once.
func (m *memberSet) find(name jsontext.Value) (found *member, once bool) {
	i := m.index(name)
	if i < 0 && bytes.IndexByte(name, '\\') >= 0 {
		name = name.Clone()
		_ = name.Canonicalize() // it is valid
		i = m.index(name)
	}
	if i >= 0 {
		once = m.seen&(1<<i) == 0
		m.seen |= 1 << i
		return &m.table[i], once
	}
	last := m.others[string(name)]
	if last == nil {
		if m.others == nil {
			m.others = map[string]*int{}
		}
		last = new(int)
		m.others[string(name)] = last
		m.otherBytes += len(name) + entryBytes
	}
	once = *last != m.objects
	*last = m.objects
	return nil, once
}

// index returns where the table has name, or -1, looking first behind the member that was found last.
func (m *memberSet) index(name jsontext.Value) int {
	for range m.table {
		i := m.next
		if m.next++; m.next == len(m.table) {
			m.next = 0
		}
		if m.table[i].name == string(name) {
			return i
		}
	}
	return -1
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
		if isID && json.Unmarshal(value, &id) == nil && validID(id) {
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

// decodeNothing accepts a response without a body. Its first byte is enough to know that the API did not send it.
func decodeNothing(body io.Reader) error {
	switch _, err := io.ReadFull(body, make([]byte, 1)); err { //nolint:errorlint // io.EOF itself: nothing was read
	case nil:
		return errors.New("a body where none is expected")
	case io.EOF:
		return nil
	default:
		return err
	}
}

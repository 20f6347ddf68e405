package sailpoint

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// tokenReader decodes tokens in one pass. Package jsontext knows the grammar,
// and the tables of members know what to do with a value. The reader keeps its
// first error and then reads nothing, so that loops need not check for one.
//
// A member with an unexpected value is marked as unreadable, and reading
// continues. The id may follow it, and Create needs the other members.
type tokenReader struct {
	dec    *jsontext.Decoder
	buffer *bufio.Reader // larger than jsontext's own 4 KiB, because each read has a price
	bound  boundedReader
	err    error // io.EOF after the end of the response

	members, ownerMembers memberSet
	asNull                bool                // treat the next value as null
	scopes                map[string][]string // by their JSON, because a tenant has few different ones
	scopeBytes            int                 // the memory of scopes

	// These belong to the current token.
	text                          []byte // its strings, which share one allocation
	id, name                      span
	ownerType, ownerID, ownerName span
	secret                        Secret
	optional                      optionalMembers
	held                          int64  // its memory in addition to the PersonalAccessToken
	unreadable                    string // the first unreadable member
	why                           string // why it is unreadable
	hasToken                      bool   // an id or a secret was found, complete or not
}

// span is a part of tokenReader.text.
type span struct{ start, end int }

// optionalMembers holds the members that may be missing. They share one
// allocation.
type optionalMembers struct {
	lastUsed, expirationDate time.Time
	neverExpires             bool
}

const (
	readBytes     = 64 << 10
	maxScopeBytes = 64 << 10 // of the scopes that a tokenReader caches
	maxScopes     = 1 << 17  // of a token, because short scopes take more memory than JSON
	entryBytes    = 128      // of a map's entry in addition to its key
	stringBytes   = 24       // of a string in addition to its text, rounded up like its allocation
	tokenBytes    = int64(unsafe.Sizeof(PersonalAccessToken{}))
)

// replacement replaces text that is not UTF-8.
var replacement = []byte("\ufffd")

var tokenReaders = sync.Pool{New: func() any {
	buffer := bufio.NewReaderSize(nil, readBytes)
	return &tokenReader{
		dec:          jsontext.NewDecoder(buffer, tolerant),
		buffer:       buffer,
		members:      memberSet{table: tokenMembers},
		ownerMembers: memberSet{table: ownerMembers, of: "owner's "},
		scopes:       map[string][]string{},
	}
}}

func newTokenReader(body io.Reader) *tokenReader {
	r := tokenReaders.Get().(*tokenReader) //nolint:forcetypeassert // the pool holds nothing else
	r.bound = *newBoundedReader(body)
	r.buffer.Reset(&r.bound)
	r.dec.Reset(r.buffer, tolerant)
	r.err, r.asNull = nil, false
	return r
}

// release returns r to the pool, unless an unusual response made it large.
func (r *tokenReader) release() {
	r.bound = boundedReader{}
	r.buffer.Reset(nil)
	r.dec.Reset(r.buffer)
	if cap(r.dec.UnreadBuffer()) <= readBytes && cap(r.text) <= readBytes {
		tokenReaders.Put(r)
	}
}

// fail keeps err if it is the first error.
func (r *tokenReader) fail(err error) {
	if r.err != nil || err == nil {
		return
	}
	if err == io.EOF { //nolint:errorlint // jsontext returns it unwrapped at the end
		err = io.ErrUnexpectedEOF
	}
	r.err = withoutValues(err)
}

// reject marks the current member as unreadable if it is the token's first such
// member.
func (r *tokenReader) reject(why string) {
	if r.err == nil && r.why == "" {
		r.why = why
	}
}

// failure returns the error of reading, or nil at the end of the response.
func (r *tokenReader) failure() error {
	if r.err == io.EOF { //nolint:errorlint // set by end
		return nil
	}
	return r.err
}

// end fails if anything follows the response's one value.
func (r *tokenReader) end() {
	if r.err != nil {
		return
	}
	switch _, err := r.dec.ReadToken(); {
	case err == io.EOF: //nolint:errorlint // jsontext wraps that of a broken response
		r.err = io.EOF
	case err != nil:
		r.fail(err)
	default:
		r.fail(errors.New("the response has more than one JSON value"))
	}
}

// peek returns the kind of the next value.
func (r *tokenReader) peek() jsontext.Kind {
	switch {
	case r.err != nil:
		return 0
	case r.asNull:
		return 'n'
	}
	return r.dec.PeekKind()
}

// value reads the next value, which is valid until the next read.
func (r *tokenReader) value() jsontext.Value {
	if r.err != nil {
		return nil
	}
	v, err := r.dec.ReadValue()
	r.fail(err)
	if r.asNull {
		r.asNull = false
		return jsontext.Value("null")
	}
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
		r.fail(fmt.Errorf("the response is not the API's JSON, at byte %d: expected an object or a list", r.dec.InputOffset()))
	}
}

// more reports whether another member or element follows. If not, it reads the
// end of the object or list.
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

// nextToken reads a token of a list.
func (r *tokenReader) nextToken(t *PersonalAccessToken) {
	r.beginToken()
	r.token(t)
}

// beginToken begins a token of a list. Its limit is that of a single token.
func (r *tokenReader) beginToken() { r.bound.left = maxTokenBytes }

// token reads a token into t, and fails if a member is unreadable.
func (r *tokenReader) token(t *PersonalAccessToken) {
	r.tolerantToken(t)
	r.requireReadable(t)
}

// requireReadable fails if t, the last token read, has no id or an unreadable
// member.
func (r *tokenReader) requireReadable(t *PersonalAccessToken) {
	switch {
	case r.err != nil:
	case t.ID == "":
		r.fail(fmt.Errorf("a token without a usable id, before byte %d", r.dec.InputOffset()))
	case r.why == "":
	case validID(t.ID):
		r.fail(fmt.Errorf("the %s of token %s %s", r.unreadable, t.ID, r.why))
	default:
		r.fail(fmt.Errorf("the %s of a token before byte %d %s", r.unreadable, r.dec.InputOffset(), r.why))
	}
}

// tolerantToken reads a token into t. Unreadable members are zero.
func (r *tokenReader) tolerantToken(t *PersonalAccessToken) {
	*t = PersonalAccessToken{}
	r.text = r.text[:0]
	r.id, r.name, r.ownerType, r.ownerID, r.ownerName = span{}, span{}, span{}, span{}, span{}
	r.held, r.unreadable, r.why = 0, "", ""
	r.open('{')
	r.object(&r.members, t)
	text := string(r.text)
	r.held += int64(len(text)+len(text)/8) + stringBytes
	t.ID, t.Name = text[r.id.start:r.id.end], text[r.name.start:r.name.end]
	t.Owner.Type = text[r.ownerType.start:r.ownerType.end]
	t.Owner.ID = text[r.ownerID.start:r.ownerID.end]
	t.Owner.Name = text[r.ownerName.start:r.ownerName.end]
	r.keepOptional(t)
}

// keepOptional copies the optional members from r to their own allocation.
func (r *tokenReader) keepOptional(t *PersonalAccessToken) {
	if t.LastUsed == nil && t.ExpirationDate == nil && t.UserAwareTokenNeverExpires == nil {
		return
	}
	kept := new(optionalMembers)
	*kept = r.optional
	r.held += int64(unsafe.Sizeof(*kept))
	if t.LastUsed != nil {
		t.LastUsed = &kept.lastUsed
	}
	if t.ExpirationDate != nil {
		t.ExpirationDate = &kept.expirationDate
	}
	if t.UserAwareTokenNeverExpires != nil {
		t.UserAwareTokenNeverExpires = &kept.neverExpires
	}
}

// object reads the members and the end of an object.
func (r *tokenReader) object(members *memberSet, t *PersonalAccessToken) {
	for members.begin(); r.more('}'); {
		name, err := r.dec.ReadValue()
		if err != nil {
			r.fail(err)
			return
		}
		member, once := members.find(name)
		if member == nil {
			r.value()
			continue
		}
		if !once {
			r.reject("is there twice")
			r.asNull = true
		}
		member.read(r, t)
		if r.why != "" && r.unreadable == "" {
			r.unreadable = members.of + strings.Trim(member.name, `"`)
		}
	}
}

// readOwner reads the owner. It treats null as an owner without members.
func (r *tokenReader) readOwner(t *PersonalAccessToken) {
	r.ownerType, r.ownerID, r.ownerName = span{}, span{}, span{}
	if r.peek() == '{' {
		r.open('{')
		r.object(&r.ownerMembers, t)
		return
	}
	if v := r.value(); v.Kind() != 'n' {
		r.reject("is not an object")
	}
}

// string reads a string. It treats null as an empty string. U+FFFD replaces
// bytes that are not UTF-8.
func (r *tokenReader) string() span {
	start := len(r.text)
	v := r.value()
	switch kind := v.Kind(); {
	case kind == '"' && bytes.IndexByte(v, '\\') < 0 && (isASCII(v) || utf8.Valid(v)):
		r.text = append(r.text, v[1:len(v)-1]...)
	case kind == '"':
		r.text, _ = jsontext.AppendUnquote(r.text, v) // the error is about invalid UTF-8
	case kind != 'n':
		r.reject("is not a string")
	}
	return span{start, len(r.text)}
}

// isASCII reports whether b is ASCII only. It is faster than utf8.Valid for
// short texts.
func isASCII(b []byte) bool {
	var all uint64
	if len(b) < 8 {
		for _, c := range b {
			all |= uint64(c)
		}
	} else {
		all = binary.LittleEndian.Uint64(b[len(b)-8:])
		for ; len(b) > 8; b = b[8:] {
			all |= binary.LittleEndian.Uint64(b)
		}
	}
	return all&0x8080808080808080 == 0
}

// exactString reads an id or a secret, which is useless if a part of it is
// lost.
func (r *tokenReader) exactString() span {
	s := r.string()
	// IndexByte is faster than Contains, and ids are ASCII.
	if text := r.text[s.start:]; bytes.IndexByte(text, replacement[0]) >= 0 && bytes.Contains(text, replacement) {
		r.reject("is not UTF-8")
		r.text = r.text[:s.start]
		return span{s.start, s.start}
	}
	return s
}

// readSecret reads the secret. It doesn't share memory with the other strings.
func (r *tokenReader) readSecret(*PersonalAccessToken) {
	r.hasToken = r.hasToken || r.peek() == '"'
	s := r.exactString()
	r.secret = NewSecret(string(r.text[s.start:s.end]))
	r.text = r.text[:s.start]
}

func (r *tokenReader) bool() bool {
	v := r.value()
	if k := v.Kind(); k != 't' && k != 'f' && k != 'n' {
		r.reject("is not true or false")
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
		r.reject("is not a whole number of seconds")
		return 0
	}
	return n
}

// parseSeconds reads a whole number, which may be written 3600.0, 3.6e3 or
// "3600". It limits the result to 32 bits, which is far above every time limit
// of the API.
func parseSeconds(v jsontext.Value) (seconds int, ok bool) {
	if n, err := strconv.Atoi(string(v)); err == nil && math.MinInt32 <= n && n <= math.MaxInt32 {
		return n, true
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
	n, _ := strconv.ParseFloat(string(v), 64) // infinite if it is out of range
	return int(max(math.MinInt32, min(n, math.MaxInt32))), n == math.Trunc(n)
}

// time reads a time into to and returns to. It returns nil for null and for "",
// which mean no expiry in the API's documents.
func (r *tokenReader) time(to *time.Time) *time.Time {
	v := r.value()
	if parsePlainTime(v, to) {
		return to
	}
	*to = time.Time{}
	if r.err != nil || v.Kind() == 'n' || string(v) == `""` {
		return nil
	}
	t, ok := parseTime(v)
	if !ok {
		r.reject("is not a date with a time")
		return nil
	}
	*to = t
	return to
}

// parsePlainTime reads a time in the form that the API uses. UnmarshalText
// alone would accept invalid times.
func parsePlainTime(v jsontext.Value, to *time.Time) bool {
	const plain = `"2006-01-02T15:04:05Z"`
	return len(v) >= len(plain) && v[len(`"2006-01-02T15`)] == ':' && v[len(v)-2] == 'Z' &&
		(v[len(plain)-2] == 'Z' || v[len(plain)-2] == '.') && to.UnmarshalText(v[1:len(v)-1]) == nil
}

// timeForm matches RFC 3339 and variants with the same meaning. These have
// another T or Z, no seconds, a leap second, a comma, or an offset without
// colon or minutes.
var timeForm = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d)(?::([0-5]\d|60)(?:[.,](\d+))?)?` +
	` ?(?:[Zz]|([+-](?:[01]\d|2[0-3])):?([0-5]\d)?)?$`)

// parseTime reads a time in any unambiguous form. Without a zone it is UTC.
func parseTime(v jsontext.Value) (time.Time, bool) {
	if v.Kind() != '"' {
		return time.Time{}, false
	}
	text, _ := jsontext.AppendUnquote(nil, v) // invalid UTF-8 won't match timeForm
	parts := timeForm.FindStringSubmatch(string(text))
	if parts == nil {
		return time.Time{}, false
	}
	date, clock, second, fraction, zone := parts[1], parts[2], cmp.Or(parts[3], "00"), cmp.Or(parts[4], "0"), "Z"
	if parts[5] != "" {
		zone = parts[5] + ":" + cmp.Or(parts[6], "00")
	}
	var leap time.Duration
	if second == "60" { // which time.Parse rejects
		second, leap = "59", time.Second
	}
	t, err := time.Parse(time.RFC3339, date+"T"+clock+":"+second+"."+fraction+zone)
	return t.Add(leap), err == nil
}

// scope reads a list of strings.
func (r *tokenReader) scope() []string {
	v := r.value()
	if r.err != nil {
		return nil
	}
	scope, known := r.scopes[string(v)]
	if !known {
		scope = r.newScope(v)
	}
	if len(v) <= maxScopeBytes { // it is cached, and the caller may change its copy
		scope = slices.Clone(scope)
	}
	r.held += int64(len(v) + stringBytes*cap(scope))
	return scope
}

// newScope reads a list of strings that isn't cached.
func (r *tokenReader) newScope(v jsontext.Value) []string {
	if k := v.Kind(); k != '[' && k != 'n' {
		r.reject("is not a list of strings")
		return nil
	}
	most := bytes.Count(v, []byte(",")) + 1
	if most > maxScopes {
		r.reject("has too many entries")
		return nil
	}
	scope := make([]string, 0, most)
	if err := json.Unmarshal(v, &scope, tolerant); err != nil {
		r.reject("is not a list of strings")
		return nil
	}
	if len(v) <= maxScopeBytes {
		if r.scopeBytes += len(v) + entryBytes; r.scopeBytes > maxScopeBytes {
			clear(r.scopes)
			r.scopeBytes = len(v) + entryBytes
		}
		r.scopes[string(v)] = scope
	}
	return scope
}

// optionalBool reads true or false into to and returns to. It returns nil for
// null.
func (r *tokenReader) optionalBool(to *bool) *bool {
	if r.peek() == 'n' {
		r.value()
		return nil
	}
	*to = r.bool()
	return to
}

// member is the name of a member in JSON and the function that reads its value.
type member struct {
	name string
	read func(*tokenReader, *PersonalAccessToken)
}

// The members are in the order of the API's responses, because find is fastest
// in this order.
var (
	tokenMembers = []member{
		{`"id"`, func(r *tokenReader, _ *PersonalAccessToken) {
			r.hasToken = r.hasToken || r.peek() == '"'
			r.id = r.exactString()
		}},
		{`"name"`, func(r *tokenReader, _ *PersonalAccessToken) { r.name = r.string() }},
		{`"scope"`, func(r *tokenReader, t *PersonalAccessToken) { t.Scope = r.scope() }},
		{`"owner"`, (*tokenReader).readOwner},
		{`"created"`, func(r *tokenReader, t *PersonalAccessToken) { r.time(&t.Created) }},
		{`"lastUsed"`, func(r *tokenReader, t *PersonalAccessToken) { t.LastUsed = r.time(&r.optional.lastUsed) }},
		{`"managed"`, func(r *tokenReader, t *PersonalAccessToken) { t.Managed = r.bool() }},
		{`"accessTokenValiditySeconds"`, func(r *tokenReader, t *PersonalAccessToken) { t.AccessTokenValiditySeconds = r.int() }},
		{`"expirationDate"`, func(r *tokenReader, t *PersonalAccessToken) {
			t.ExpirationDate = r.time(&r.optional.expirationDate)
		}},
		{`"userAwareTokenNeverExpires"`, func(r *tokenReader, t *PersonalAccessToken) {
			t.UserAwareTokenNeverExpires = r.optionalBool(&r.optional.neverExpires)
		}},
	}
	createdMembers = append(slices.Clone(tokenMembers), member{`"secret"`, (*tokenReader).readSecret})
	ownerMembers   = []member{
		{`"type"`, func(r *tokenReader, _ *PersonalAccessToken) { r.ownerType = r.string() }},
		{`"id"`, func(r *tokenReader, _ *PersonalAccessToken) { r.ownerID = r.exactString() }},
		{`"name"`, func(r *tokenReader, _ *PersonalAccessToken) { r.ownerName = r.string() }},
	}
)

// memberSet finds the members of an object by name and detects repeated ones.
// Members that are not in its table may be repeated.
type memberSet struct {
	table []member
	of    string // prefix of a member's name in errors
	next  int    // index in table of the member that probably follows
	seen  uint   // bits of the members found
	other bool   // a member that is not in table was found
}

// begin prepares m for the next object.
func (m *memberSet) begin() { m.next, m.seen, m.other = 0, 0, false }

// find returns the member with this name, or nil if the table doesn't have it.
// once reports whether the name is the first of its kind in the object.
func (m *memberSet) find(name jsontext.Value) (found *member, once bool) {
	i := m.index(name)
	if i < 0 && bytes.IndexByte(name, '\\') >= 0 {
		name = name.Clone()
		_ = name.Canonicalize() // a name that isn't UTF-8 is not in the table
		i = m.index(name)
	}
	if i < 0 {
		m.other = true
		return nil, true
	}
	once = m.seen&(1<<i) == 0
	m.seen |= 1 << i
	return &m.table[i], once
}

// index returns the index of name in the table, or -1. It starts after the
// member that was found last.
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

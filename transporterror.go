package sailpoint

import (
	"crypto/tls"
	"errors"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// notShown replaces an unknown text.
const notShown = "the transport failed with an error that may repeat what the server sent, so it is not shown"

// knownText matches the start of those texts of net/http and crypto/tls that
// hold nothing from the server. The text after the match may be the server's.
// Only numbers and the names of HTTP/2's error codes vary within a match.
var knownText = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:` + strings.Join(knownTexts, "|") + `)`) })

var knownTexts = []string{
	`EOF`, `unexpected EOF`, `context canceled`, `io: read/write on closed pipe`, `gzip: invalid (?:header|checksum)`,
	`net/http: invalid header`,

	// A response that is not HTTP/1.1.
	`malformed HTTP (?:response|status code|version)`, `malformed MIME header(?: initial line| line|: missing colon)?`,
	`header line too long`, `net/http: server response headers exceeded \d+ bytes; aborted`, `read limit of \d+ bytes exhausted`,
	`bad Content-Length`, `invalid empty Content-Length`, `http: message cannot contain multiple Content-Length headers`,
	`too many transfer encodings`, `unsupported transfer encoding`, `bad trailer key`, `invalid Trailer key`,
	`http: unexpected EOF reading trailer`, `http: suspiciously long trailer after chunked body`,
	`malformed chunked encoding`, `chunked encoding contains too much non-data`, `chunked line ends with bare LF`,
	`invalid CR in chunked line`, `empty hex number for chunk length`, `invalid byte in chunk length`,
	`http chunk length too large`, `http: server gave HTTP response to HTTPS client`,

	// A connection that ended.
	`http: server closed idle connection`, `http: putIdleConn: [a-zA-Z :]+`, `http: CloseIdleConnections called`,
	`http: persistConn\.readLoop exiting`, `http: idle connection timeout`,
	`net/http: request canceled(?: while waiting for connection)?`, `net/http: timeout awaiting response headers`,
	`net/http: TLS handshake timeout`, `net/http: cannot rewind body after connection loss`,
	`http: invalid Read on closed Body`, `http: read on closed response body`, `http: concurrent read on response body`,
	`http: Request\.ContentLength=\d+ with nil Body`, `http: ContentLength=\d+ with Body length \d+`, `unknown status code`,
	`net/http: Transport\.Dial(?:Context)? hook returned \(nil, nil\)`,

	// HTTP/2.
	`stream error: stream ID \d+; ` + http2Code + `(?:; (?:` + strings.Join(http2Causes, "|") + `))?`, `connection error: ` + http2Code,
	`http2: server sent GOAWAY and closed the connection; LastStreamID=\d+, ErrCode=` + http2Code,
	`http2: Transport received GOAWAY from server ErrCode:` + http2Code,
	`http2: Transport received Server's graceful shutdown GOAWAY`,
	`http2: client conn(?: is closed| not usable| could not be established)`, `http2: client connection (?:lost|force closed)`,
	`http2: (?:timeout awaiting response headers|frame too large|stream closed|response body closed|canceling request)`,
	`http2: response header list larger than advertised limit`, `http2: request header list larger than peer's advertised limit`,
	`http2: no cached connection was available`, `http2: could not negotiate protocol mutually`, `http2: unexpected ALPN protocol`,
	`http2: concurrent read on response body`, `connection exceeded flow control window size`,
	`malformed response from server: [a-z -]+ pseudo header`,
	`1xx informational response with END_STREAM flag`, `header list too large`,
	`net/http: server replied with more than declared Content-Length; truncated`,

	// These are about TLS before a request was sent. Only the text about a
	// certificate that can't be parsed holds bytes of the server.
	`tls: failed to parse certificate from server`, `tls: [^"\n]*`,
}

// http2Causes may follow the code in the text of a stream's error.
var http2Causes = []string{
	`received from peer`, `http2: response header list larger than advertised limit`, `(?:invalid|duplicate) pseudo-header`,
	`invalid header field (?:name|value)`, `mix of request and response pseudo headers`, `pseudo header field after regular`,
	`protocol error: headers after END_STREAM`, `malformed response from server: [a-z -]+ pseudo header`,
}

const http2Code = `(?:NO_ERROR|PROTOCOL_ERROR|INTERNAL_ERROR|FLOW_CONTROL_ERROR|SETTINGS_TIMEOUT|STREAM_CLOSED|FRAME_SIZE_ERROR|` +
	`REFUSED_STREAM|CANCEL|COMPRESSION_ERROR|CONNECT_ERROR|ENHANCE_YOUR_CALM|INADEQUATE_SECURITY|HTTP_1_1_REQUIRED|` +
	`unknown error code 0x[0-9a-f]{1,8})`

// http2NotRewound precedes the failure of a request whose body net/http can't
// resend.
const http2NotRewound = "http2: Transport: cannot retry err ["

// transportError is an error of a transport. Its text omits the server's bytes
// that net/http repeats in its own texts.
type transportError struct {
	text  string
	shown []error      // the errors in the chain that hold nothing from the server
	whole func() error // the original error, in a closure so that it is never printed
}

func (e *transportError) Error() string { return e.text }

// Unwrap returns the errors in the chain that hold nothing from the server.
func (e *transportError) Unwrap() []error { return e.shown }

// Is reports whether the original error matches target.
func (e *transportError) Is(target error) bool { return errors.Is(e.whole(), target) }

// As finds the types in the original error's chain, except interfaces and the
// types of net/http.
func (e *transportError) As(target any) bool {
	t := reflect.TypeOf(target).Elem()
	return t.Kind() != reflect.Interface && !anonymous(t) && errors.As(e.whole(), target)
}

// withoutServerBytes returns an error of a transport or of reading a body
// without bytes of the server in its text. Errors with types of net, crypto/tls
// and other packages keep their text. The text of an error of errors.New,
// fmt.Errorf or net/http is cut to its known constant part.
//
// ownTransport reports that the transport isn't an *http.Transport. Its text is
// shown up to the first quote, because net/http quotes what the server sent.
func withoutServerBytes(err error, ownTransport bool) error {
	if err == nil || repeatsNothing(err) {
		return err
	}
	e := &transportError{whole: func() error { return err }}
	walk(err, func(link error) (deeper bool) {
		if repeatsNothing(link) {
			e.shown = append(e.shown, link)
			return false
		}
		if e.text == "" {
			e.text = constantText(link)
		}
		return true
	})
	if e.text == "" && ownTransport {
		before, _, _ := strings.Cut(err.Error(), `"`)
		e.text = strings.TrimRight(before, " :=[(")
	}
	switch {
	case e.text != "":
	case len(e.shown) > 0:
		e.text = e.shown[0].Error()
	default:
		e.text = notShown
	}
	return e
}

// repeatsNothing reports whether the text of err has no bytes of the server.
func repeatsNothing(err error) bool {
	switch err.(type) { //nolint:errorlint // looks at one link of the chain
	case *net.OpError, *net.DNSError, *tls.CertificateVerificationError, *timeoutError:
		return true
	}
	if anonymous(reflect.TypeOf(err)) {
		return err.Error() != "" && constantText(err) == err.Error()
	}
	return !slices.ContainsFunc(wrapped(err), func(inner error) bool { return !repeatsNothing(inner) })
}

// anonymous reports whether t doesn't show where an error's text comes from, or
// belongs to net/http or its parts.
func anonymous(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch path := t.PkgPath(); path {
	case "", "errors", "fmt", "strconv", "net/url", "net/textproto", "golang.org/x/net/http2":
		return true
	default:
		return path == "net/http" || strings.HasPrefix(path, "net/http/")
	}
}

// constantText returns the constant part of err's text.
func constantText(err error) string {
	text := err.Error()
	if inner, ok := strings.CutPrefix(text, http2NotRewound); ok {
		text = inner
	}
	return knownText().FindString(text)
}

// walk calls visit for err. If visit returns true, it also walks the errors
// that err wraps.
func walk(err error, visit func(error) (deeper bool)) {
	if visit(err) {
		for _, inner := range wrapped(err) {
			walk(inner, visit)
		}
	}
}

// wrapped returns the errors that err directly wraps.
func wrapped(err error) []error {
	switch wrapper := err.(type) { //nolint:errorlint // looks at one link of the chain
	case interface{ Unwrap() error }:
		if inner := wrapper.Unwrap(); inner != nil {
			return []error{inner}
		}
	case interface{ Unwrap() []error }:
		return slices.DeleteFunc(slices.Clone(wrapper.Unwrap()), func(inner error) bool { return inner == nil })
	}
	return nil
}

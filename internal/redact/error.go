package redact

import "errors"

// Error returns err if no text in its chain contains a secret. Otherwise it
// returns an error with the redacted text. That error matches the same targets
// by errors.Is as err, and wraps nothing.
func (r *Redactor) Error(err error) error {
	if err == nil || !r.inChain(err) {
		return err
	}
	return &redactedError{text: r.Text(err.Error()), is: func(target error) bool { return errors.Is(err, target) }}
}

// inChain reports whether the text of err or of an error that it wraps contains
// a secret.
func (r *Redactor) inChain(err error) bool {
	if text := err.Error(); r.Text(text) != text {
		return true
	}
	switch wrapper := err.(type) { //nolint:errorlint // this walks the chain
	case interface{ Unwrap() error }:
		inner := wrapper.Unwrap()
		return inner != nil && r.inChain(inner)
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			if inner != nil && r.inChain(inner) {
				return true
			}
		}
	}
	return false
}

// redactedError keeps the original error in a func, because fmt and reflection
// can't look into a func.
type redactedError struct {
	text string
	is   func(target error) bool
}

// Error returns the redacted text.
func (e *redactedError) Error() string { return e.text }

// Is reports whether the original error matches target.
func (e *redactedError) Is(target error) bool { return e.is(target) }

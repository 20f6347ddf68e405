package redact

import "errors"

// Error returns err if neither its text nor that of an error in its chain repeats a secret. Otherwise it returns an
// error with the redacted text that matches what err matches by errors.Is, and unwraps to nothing.
func (r *Redactor) Error(err error) error {
	if err == nil || !r.repeated(err) {
		return err
	}
	return &redactedError{text: r.Text(err.Error()), is: func(target error) bool { return errors.Is(err, target) }}
}

// repeated reports whether err or an error that it wraps repeats a secret.
func (r *Redactor) repeated(err error) bool {
	if text := err.Error(); r.Text(text) != text {
		return true
	}
	switch wrapper := err.(type) { //nolint:errorlint // this walks the chain
	case interface{ Unwrap() error }:
		inner := wrapper.Unwrap()
		return inner != nil && r.repeated(inner)
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			if inner != nil && r.repeated(inner) {
				return true
			}
		}
	}
	return false
}

// redactedError keeps the original error in a func, which neither fmt nor reflection can look into.
type redactedError struct {
	text string
	is   func(target error) bool
}

// Error returns the redacted text.
func (e *redactedError) Error() string { return e.text }

// Is reports whether the original error matches target.
func (e *redactedError) Is(target error) bool { return e.is(target) }

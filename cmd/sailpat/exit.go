package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// The exit codes, from the least to the most that a person has to do.
const (
	exitDone   = 0
	exitAgain  = 1 // failed, and the next run may do better
	exitUsage  = 2 // the command line or the settings are wrong
	exitPerson = 3 // a person has to look
)

// usageError is an error of the command line or the settings.
type usageError string

func (e usageError) Error() string { return string(e) }

// outcome is the exit code of a command that has already printed everything.
type outcome int

func (outcome) Error() string { return "" }

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// streamError is the error of a response that was reset over HTTP/2. The type
// of net/http itself isn't exported, but fills in one with the same fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "" }

// exitCode returns 1 only for an error that may pass by itself, because --quiet
// doesn't print such an error.
func exitCode(err error) int {
	var code outcome
	var failure *sailpoint.Error
	var lookup *net.DNSError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, &lookup) && lookup.IsNotFound,
		errors.As(err, new(*sailpoint.CreateOutcomeError)) && !errors.As(err, new(*lifecycle.Error)): // whose next run deletes a lost token
		return exitPerson
	case isAny(err, sailpoint.ErrInvalidArgument, sailpoint.ErrSelf) && !errors.As(err, new(*lifecycle.Error)): // which comes after requests
		return exitUsage
	// The next run may get past these, whatever caused them.
	case isAny(err, lifecycle.ErrNewSecretRejected, lifecycle.ErrInProgress, lifecycle.ErrSuperseded,
		lifecycle.ErrStoreUnknown, lifecycle.ErrStoreConflict, errNotConfirmed):
		return exitAgain
	// The next run gets no further, even if the cause alone would pass.
	case isAny(err, lifecycle.ErrNoFreeSlot, lifecycle.ErrNameTaken, lifecycle.ErrStoredCredential, lifecycle.ErrNotListed,
		lifecycle.ErrManaged, lifecycle.ErrNotAsRequested, lifecycle.ErrClientReplaced, sailpoint.ErrInvalidCredentials):
		return exitPerson
	// These causes pass by themselves.
	case isAny(err, sailpoint.ErrUnreachable, sailpoint.ErrServer, sailpoint.ErrRateLimited, sailpoint.ErrOutcomeUnknown,
		context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF),
		errors.As(err, new(*net.OpError)), errors.As(err, new(streamError)),
		errors.As(err, &failure) && (failure.StatusCode == http.StatusRequestTimeout || failure.StatusCode == http.StatusTooEarly):
		return exitAgain
	}
	return exitPerson
}

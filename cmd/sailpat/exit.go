package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"

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

// Another run may get past these, whatever caused them.
var passing = []error{
	lifecycle.ErrNewSecretRejected, lifecycle.ErrInProgress, lifecycle.ErrSuperseded, lifecycle.ErrStoreUnknown, lifecycle.ErrStoreConflict,
	errNotConfirmed,
}

// Another run gets no further, even if the cause alone would pass.
var settled = []error{
	lifecycle.ErrNoFreeSlot, lifecycle.ErrNameTaken, lifecycle.ErrStoredCredential, lifecycle.ErrNotListed, lifecycle.ErrManaged,
	lifecycle.ErrNotAsRequested, lifecycle.ErrClientReplaced,
	sailpoint.ErrInvalidCredentials, sailpoint.ErrUnauthorized, sailpoint.ErrForbidden, sailpoint.ErrBadRequest, sailpoint.ErrNotFound,
	sailpoint.ErrConflict,
}

// These causes pass by themselves.
var temporary = []error{
	sailpoint.ErrUnreachable, sailpoint.ErrServer, sailpoint.ErrRateLimited, sailpoint.ErrOutcomeUnknown,
	context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF,
}

// exitCode returns 1 only for an error that certainly may pass by itself,
// because --quiet doesn't print such an error.
func exitCode(err error) int {
	var code outcome
	var lost *sailpoint.CreateOutcomeError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, new(usageError)), errors.Is(err, sailpoint.ErrInvalidArgument), errors.Is(err, sailpoint.ErrSelf):
		return exitUsage
	case matches(err, passing):
		return exitAgain
	case errors.As(err, &lost) && !errors.As(err, new(*lifecycle.Error)): // the next Issue or Rotate deletes its lost tokens
		return exitPerson
	case matches(err, settled), errors.As(err, new(*tls.CertificateVerificationError)):
		return exitPerson
	case matches(err, temporary), errors.As(err, new(*net.OpError)), hasStatus(err, 408, 425):
		return exitAgain
	}
	return exitPerson
}

func matches(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func hasStatus(err error, statuses ...int) bool {
	var failure *sailpoint.Error
	if !errors.As(err, &failure) {
		return false
	}
	for _, status := range statuses {
		if failure.StatusCode == status {
			return true
		}
	}
	return false
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

func TestExitCode(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	run := func(kind, cause error) error {
		return &lifecycle.Error{Op: "rotate", Step: lifecycle.StepSave, Err: fmt.Errorf("%w: %w", kind, cause)}
	}
	for _, tt := range []struct {
		err  error
		code int
	}{
		{nil, 0},
		{outcome(3), 3},
		{usageError("x"), 2},
		{sailpoint.ErrInvalidArgument, 2},
		{fmt.Errorf("x: %w", lifecycle.ErrNotRenewable), 3}, // the command itself words this one
		{sailpoint.ErrSelf, 2},

		{sailpoint.ErrUnreachable, 1},
		{&sailpoint.Error{StatusCode: 408}, 1},
		{&sailpoint.Error{StatusCode: 425}, 1},
		{&sailpoint.Error{StatusCode: 429}, 1},
		{&sailpoint.Error{StatusCode: 500}, 1},
		{&sailpoint.Error{StatusCode: 503}, 1},
		{context.Canceled, 1},
		{context.DeadlineExceeded, 1},
		{fmt.Errorf("read the store: %w", dial), 1},
		{fmt.Errorf("x: %w", io.ErrUnexpectedEOF), 1},
		{errNotConfirmed, 1},
		{fmt.Errorf("x: %w", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}), 1},
		{run(lifecycle.ErrInProgress, dial), 1},
		{run(lifecycle.ErrSuperseded, lifecycle.ErrStoreConflict), 1},
		{run(lifecycle.ErrStoreUnknown, errors.New("x")), 1},
		{run(lifecycle.ErrNewSecretRejected, sailpoint.ErrInvalidCredentials), 1},
		{run(errors.New("x"), &sailpoint.CreateOutcomeError{Err: sailpoint.ErrUnreachable}), 1}, // the next run deletes it

		{&sailpoint.CreateOutcomeError{Err: sailpoint.ErrUnreachable}, 3},
		{&sailpoint.Error{StatusCode: 302}, 3},
		{&sailpoint.Error{StatusCode: 400}, 3},
		{&sailpoint.Error{StatusCode: 401}, 3},
		{&sailpoint.Error{StatusCode: 403}, 3},
		{&sailpoint.Error{StatusCode: 404}, 3},
		{&sailpoint.Error{StatusCode: 409}, 3},
		{&sailpoint.Error{StatusCode: 422}, 3},
		{sailpoint.ErrInvalidCredentials, 3},
		{fmt.Errorf("x: %w", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}), 3},
		{run(errors.New("no lifetime"), sailpoint.ErrInvalidArgument), 3}, // something was sent
		{sailpoint.ErrInvalidResponse, 3},
		{errors.Join(sailpoint.ErrUnreachable, &tls.CertificateVerificationError{}), 3},
		{run(lifecycle.ErrNoFreeSlot, sailpoint.ErrServer), 3},
		{run(lifecycle.ErrNameTaken, dial), 3},
		{run(lifecycle.ErrStoredCredential, dial), 3},
		{run(lifecycle.ErrNotListed, dial), 3},
		{run(lifecycle.ErrManaged, dial), 3},
		{run(lifecycle.ErrNotAsRequested, dial), 3},
		{run(lifecycle.ErrClientReplaced, dial), 3},
		{errors.New("a store that says something else"), 3},
	} {
		assert.Equal(t, tt.code, exitCode(tt.err), "%v", tt.err)
	}
}

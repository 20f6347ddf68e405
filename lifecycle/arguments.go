package lifecycle

import (
	"context"
	"fmt"

	"github.com/sailpoint-go/sailpoint"
)

// checkArguments rejects invalid arguments of Issue and Rotate before anything
// is sent.
func checkArguments(ctx context.Context, client *sailpoint.Client, store Store) error {
	if _, err := serviceOf(client); err != nil {
		return err
	}
	switch {
	case ctx == nil:
		return invalidArgument("the context is nil: use context.Background")
	case store == nil:
		return invalidArgument("no store: use a FileStore or your own Store")
	}
	if save, ok := store.(SaveFunc); ok && save == nil {
		return invalidArgument("the SaveFunc is nil: give Issue a function that stores the credential")
	}
	return nil
}

// serviceOf returns the client's calls. It is an error if the client can't have
// any.
func serviceOf(client *sailpoint.Client) (*sailpoint.PersonalAccessTokensService, error) {
	if client == nil || client.PersonalAccessTokens == nil {
		return nil, invalidArgument("no client: make one with sailpoint.NewClient")
	}
	return client.PersonalAccessTokens, nil
}

// invalidArgument returns an error that matches sailpoint.ErrInvalidArgument.
func invalidArgument(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{sailpoint.ErrInvalidArgument}, args...)...)
}

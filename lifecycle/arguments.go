package lifecycle

import (
	"context"
	"fmt"

	"github.com/sailpoint-go/sailpoint"
)

// checkArguments refuses what Issue and Rotate can't work with. Nothing is sent.
func checkArguments(ctx context.Context, client *sailpoint.Client, store Store) error {
	if _, err := service(client); err != nil {
		return err
	}
	switch {
	case ctx == nil:
		return invalidArgument("the context is nil: use context.Background")
	case store == nil:
		return invalidArgument("no store: use a FileStore, or one of your own")
	}
	if save, ok := store.(SaveFunc); ok && save == nil {
		return invalidArgument("the SaveFunc is nil")
	}
	return nil
}

// service returns the calls of a client, or what is wrong with it.
func service(client *sailpoint.Client) (*sailpoint.PersonalAccessTokensService, error) {
	if client == nil || client.PersonalAccessTokens == nil {
		return nil, invalidArgument("no client: make one with sailpoint.NewClient")
	}
	return client.PersonalAccessTokens, nil
}

// invalidArgument returns the error of an argument that can't be right. Nothing was sent.
func invalidArgument(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{sailpoint.ErrInvalidArgument}, args...)...)
}

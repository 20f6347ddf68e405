// Package commandstore keeps a token's secret wherever a program of yours puts
// it. The command sailpat uses it for exec:COMMAND. For a program of your own,
// copy this file.
package commandstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// Store runs Command with "load" or "save" as its last argument. On load the
// program writes a JSON object with id, secret, note and version to its
// standard output. On save it reads one from its standard input. It exits with
// 0 when it is done, with 3 if another version is stored, with 4 if it
// certainly stored nothing, and with any other status if it can't tell.
type Store struct {
	Command []string
}

type message struct {
	ID      string `json:"id"`
	Secret  string `json:"secret"`
	Note    string `json:"note"`
	Version string `json:"version"`
}

const (
	exitConflict  = 3
	exitNotStored = 4
)

// Load runs the program with "load".
func (s Store) Load(ctx context.Context) (lifecycle.Credential, error) {
	output, err := s.run(ctx, "load", nil)
	if err != nil {
		return lifecycle.Credential{}, err
	}
	var m message
	decoder := json.NewDecoder(bytes.NewReader(output))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&m) != nil || decoder.More() {
		return lifecycle.Credential{}, fmt.Errorf("%s load wrote something that is not a credential", s.Command[0])
	}
	return lifecycle.Credential{ID: m.ID, Secret: sailpoint.NewSecret(m.Secret), Note: m.Note, Version: m.Version}, nil
}

// Save runs the program with "save".
func (s Store) Save(ctx context.Context, c lifecycle.Credential) error {
	input, err := json.Marshal(message{c.ID, c.Secret.Reveal(), c.Note, c.Version}) //nolint:gosec // the secret is for the command
	if err != nil {
		return lifecycle.ErrNotStored
	}
	_, err = s.run(ctx, "save", input)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == exitConflict:
		return lifecycle.ErrStoreConflict
	case errors.As(err, &exit) && exit.ExitCode() == exitNotStored, errors.Is(err, exec.ErrNotFound):
		return errors.Join(lifecycle.ErrNotStored, err)
	}
	return err
}

// run doesn't return what the program writes to its standard error, which may
// repeat the secret.
func (s Store) run(ctx context.Context, verb string, input []byte) ([]byte, error) {
	args := slices.Concat(s.Command[1:], []string{verb})
	command := exec.CommandContext(ctx, s.Command[0], args...) //nolint:gosec // the command is the caller's to choose
	command.Stdin = bytes.NewReader(input)
	command.WaitDelay = time.Second // its children may hold the pipes open
	var output bytes.Buffer
	command.Stdout = &output
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("%s %s: %w", s.Command[0], verb, err)
	}
	return output.Bytes(), nil
}

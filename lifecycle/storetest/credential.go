package storetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// secretMark is in every secret, so that it can be found where it must not be.
const secretMark = "5ecf00d1"

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// newCredential returns a Credential with ID, Secret and Note as long as Rotate
// saves them.
func newCredential(version string) lifecycle.Credential {
	return lifecycle.Credential{
		ID: randomHex(16), Secret: sailpoint.NewSecret(secretMark + randomHex(28)),
		Note: "v1;replaces=" + randomHex(16) + ";w=" + randomHex(8), Version: version,
	}
}

// newFence returns a Credential without ID, as a run saves it to make a new
// Version.
func newFence(version string) lifecycle.Credential {
	return rewritten(lifecycle.Credential{Version: version})
}

// rewritten returns c with another Note.
func rewritten(c lifecycle.Credential) lifecycle.Credential {
	c.Note = "v1;replaces=;w=" + randomHex(8)
	return c
}

// equal reports whether both have the same ID, Secret and Note.
func equal(a, b lifecycle.Credential) bool {
	return a.ID == b.ID && a.Secret.Equal(b.Secret) && a.Note == b.Note
}

// withoutSecret returns err, or another error if its text contains a secret.
func withoutSecret(err error) error {
	if err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secretMark) {
		return errors.New("the error contains the secret")
	}
	return err
}

func save(ctx context.Context, s lifecycle.Store, c lifecycle.Credential) error {
	return withoutSecret(s.Save(ctx, c))
}

// put saves a new Credential. It returns what was stored before and what Load
// returns then.
func put(ctx context.Context, s lifecycle.Store) (before, now lifecycle.Credential, err error) {
	if before, err = s.Load(ctx); err != nil {
		return before, now, fmt.Errorf("Load returned an error: %w", withoutSecret(err))
	}
	c := newCredential(before.Version)
	if err = save(ctx, s, c); err != nil {
		return before, now, fmt.Errorf("Save with the Version that Load had just returned: %w", err)
	}
	if now, err = s.Load(ctx); err == nil && !equal(now, c) {
		err = fmt.Errorf("Load returned another %s than was saved", difference(now, c))
	}
	return before, now, withoutSecret(err)
}

// difference names the members in which a and b differ.
func difference(a, b lifecycle.Credential) string {
	var names []string
	if a.ID != b.ID {
		names = append(names, "ID")
	}
	if !a.Secret.Equal(b.Secret) {
		names = append(names, "Secret")
	}
	if a.Note != b.Note {
		names = append(names, "Note")
	}
	return strings.Join(names, " and ")
}

// requireStored returns an error unless another store of this place loads c
// with its Version.
func requireStored(ctx context.Context, p Place, c lifecycle.Credential) error {
	got, err := p.Open().Load(ctx)
	if err != nil {
		return withoutSecret(err)
	}
	if !equal(got, c) || got.Version != c.Version {
		return fmt.Errorf("id %.8q with version %q was stored, and Load returned id %.8q with version %q", c.ID, c.Version, got.ID, got.Version)
	}
	return nil
}

// requireConflict returns an error unless a Save returned ErrStoreConflict.
func requireConflict(err error) error {
	if errors.Is(err, lifecycle.ErrStoreConflict) {
		return nil
	}
	return fmt.Errorf("Save returned %w instead of ErrStoreConflict", orNil(err))
}

// orNil makes the nil error printable.
func orNil(err error) error {
	if err == nil {
		return errors.New("nil")
	}
	return err
}

// saysUnchanged reports whether the error of a Save says that nothing was
// changed.
func saysUnchanged(err error) bool {
	return errors.Is(err, lifecycle.ErrStoreConflict) || errors.Is(err, lifecycle.ErrNotStored)
}

package lifecycle

import (
	"context"
	"errors"

	"github.com/sailpoint-go/sailpoint"
)

// Credential is one token's ID and secret as a [Store] keeps them.
type Credential struct {
	ID     string // the token's ID, which is also the OAuth2 client ID
	Secret sailpoint.Secret
	// Note holds what a later run must know about this secret, such as the ID
	// of the token that it replaced. It is opaque and not secret. It differs at
	// each Save, even if the secret is the same. Store it in the same write as
	// the secret. Allow at least 63 bytes. IDs may grow.
	Note string
	// Version identifies the write that Load read. Only Load sets it. Save
	// takes effect only if the store still holds that write. An empty Version
	// means that the store does not compare versions. See Store.
	Version string
}

// Store keeps one [Credential], for example in a file, a Vault path or a
// Kubernetes secret. Keep one token in one store. [FileStore] and [MemoryStore]
// are stores.
//
// Prefer a store with versions. Its Load returns a non-empty Version, even if
// nothing is stored yet. Its Save returns ErrStoreConflict and changes nothing
// if the given Version is no longer current. Each effective Save makes a new
// Version. With such a store Issue and Rotate are safe with concurrent
// instances, late writes and reads that lag. They do not depend on a clock.
//
// A store without versions has three duties. Only one instance may use it at a
// time. Load must see the last Save. A Save that returned an error must take
// effect within [RotateOptions].AbandonAfter (15 minutes for Issue) or never.
//
// If a store can tell in advance that a Save would fail, also implement
// [SaveChecker].
type Store interface {
	// Load returns the stored credential, or one without an ID if nothing is
	// stored.
	Load(ctx context.Context) (Credential, error)
	// Save replaces the stored credential with all of c. When it returns nil, c
	// is on stable storage. ErrStoreConflict and ErrNotStored mean that nothing
	// was changed. After any other error c may be stored. Issue or Rotate may
	// save an empty Credential first. Store it and give it a new Version.
	Save(ctx context.Context, c Credential) error
}

// SaveChecker is an optional interface of a [Store]. Issue and Rotate call
// CheckSave right before they create a token, so a broken store costs no token.
type SaveChecker interface {
	// CheckSave returns an error if a Save would fail now. It must change
	// neither the stored credential nor its Version.
	CheckSave(ctx context.Context) error
}

var (
	// ErrStoreConflict says that the Version given to Save is no longer
	// current. A [Store] returns it.
	ErrStoreConflict = errors.New("lifecycle: the store has been written since it was loaded")
	// ErrNotStored says that a Save certainly changed nothing. A [Store] wraps
	// it in that error.
	ErrNotStored = errors.New("lifecycle: not stored")
)

// SaveFunc is a [Store] for [Issue] that can only be written, such as the
// secrets of a CI system. An error from it means that nothing was stored, so
// Issue deletes the new token again. After a crash Issue can't tell whether a
// token that it finds was stored. It then names the token and stops. [Rotate]
// rejects a SaveFunc.
type SaveFunc func(ctx context.Context, c Credential) error

// Load returns [errors.ErrUnsupported].
func (f SaveFunc) Load(context.Context) (Credential, error) {
	return Credential{}, errors.ErrUnsupported
}

// Save calls f.
func (f SaveFunc) Save(ctx context.Context, c Credential) error {
	if err := f(ctx, c); err != nil {
		return errors.Join(ErrNotStored, err)
	}
	return nil
}

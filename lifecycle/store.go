package lifecycle

import (
	"context"
	"errors"

	"github.com/sailpoint-go/sailpoint"
)

// Credential is one token's id and secret as a [Store] keeps them.
type Credential struct {
	ID     string // of the token: also the OAuth2 client id
	Secret sailpoint.Secret
	// Note is what a later run must know about this secret, such as the id of the token that it replaced. It is opaque,
	// not secret, and differs at each Save, also at one that saves the same secret again. Keep it in the same write as
	// the secret. It takes 31 bytes and an id, which today has 32.
	Note string
	// Version is set by Load: it names the write that Load read. Save takes effect only if the store still holds that
	// write. Empty: this store compares nothing. See Store.
	Version string
}

// Store keeps one [Credential]: a file, a Vault path, a Kubernetes secret. One token belongs in one store. [FileStore]
// and [MemoryStore] are two.
//
// A store with versions is preferred: Load returns a Version that is not empty, also when nothing is stored yet, and
// Save with a Version that is no longer the store's changes nothing and returns ErrStoreConflict. Each Save that takes effect
// makes a new Version. With such a store Issue and Rotate are safe beside other instances of themselves, with writes
// that arrive late, and with reads that lag; no clock matters.
//
// A store without versions must be used by one instance at a time, Load must see the last Save, and a Save that has
// returned an error must take effect within [RotateOptions].AbandonAfter (Issue: 15 minutes) or never.
//
// A store that can tell beforehand whether a Save would fail should also be a [SaveChecker].
type Store interface {
	// Load returns what is stored, or a Credential without ID if nothing is.
	Load(ctx context.Context) (Credential, error)
	// Save replaces what is stored: all of c or none of it, on stable storage when it returns nil. ErrStoreConflict and
	// ErrNotStored say that nothing was changed; after any other error c may be stored. A Credential without ID is
	// saved while nothing is stored yet, for its new Version.
	Save(ctx context.Context, c Credential) error
}

// SaveChecker is an optional interface of a [Store]. Issue and Rotate call CheckSave directly before they create a token,
// so that a store that can't be written costs no token.
type SaveChecker interface {
	// CheckSave returns an error if a Save would fail now. It must not change what the store holds, nor its Version.
	CheckSave(ctx context.Context) error
}

var (
	// ErrStoreConflict is what a [Store] returns from a Save whose Version is no longer the one that is stored.
	ErrStoreConflict = errors.New("lifecycle: the store has been written since it was loaded")
	// ErrNotStored is what a [Store] wraps in the error of a Save that certainly changed nothing.
	ErrNotStored = errors.New("lifecycle: not stored")
)

// SaveFunc is a [Store] that can only be written, for [Issue]. An error from it means that nothing was stored: the new
// token is deleted again. After a crash Issue can't tell whether a token that it finds was stored; it names it and
// stops. [Rotate] refuses it.
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

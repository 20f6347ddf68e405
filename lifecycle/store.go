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
	// of the token that it replaced. Treat it as opaque. It is not secret.
	// Store it in the same write as the secret. It differs at each Save, even
	// if the secret is the same, so that each write changes something. Allow at
	// least 63 bytes, or more in case IDs become longer.
	Note string
	// Version identifies the write whose content Load returned, such as the
	// version number of a Vault secret. Only Load sets it. Save must store
	// nothing if the store has been written since that Load. An empty Version
	// means that the store does not compare versions. See [Store].
	Version string
}

// Store keeps one [Credential], for example in a file, a Vault path or a
// Kubernetes secret. Use a separate store for each token. [FileStore],
// [MemoryStore] and the packages vaultstore, kubestore and sqlstore implement
// Store. ExampleStore shows how to write your own. Package storetest checks it.
//
// Prefer a store with versions. Its Load returns a non-empty Version, even if
// nothing is stored yet. Its Save returns ErrStoreConflict and changes nothing
// if the given Version is no longer current. Each Save that takes effect makes
// a new Version. With such a store several instances of a job can call Issue
// and Rotate at once. Both then tolerate writes that take effect late, reads
// that return an old credential, and wrong clocks.
//
// A store without versions is safe only under three conditions. Only one
// instance of the job uses it at a time. Load returns what the last Save
// stored. A Save that returned an error takes effect within
// [RotateOptions].AbandonAfter (15 minutes for Issue) or never.
//
// If a store can tell in advance that a Save would fail, also implement
// [SaveChecker].
//
// Give Issue and Rotate a context with a deadline, because clients of some
// stores retry for minutes. A store must not retry a Save whose response was
// lost: the second attempt would conflict with the first.
type Store interface {
	// Load returns the stored credential. If nothing is stored, it returns a
	// nil error and a Credential without ID, Secret and Note. If it can't tell,
	// for example because the server refuses the read, it returns an error.
	Load(ctx context.Context) (Credential, error)
	// Save replaces the stored credential by c. It stores ID, Secret and Note
	// unchanged. Get the secret's text with c.Secret.Reveal, because
	// marshalling a Secret fails. When Save returns nil, c is on stable
	// storage. ErrStoreConflict and ErrNotStored, also wrapped, mean that
	// nothing was changed. After any other error c may be stored, and Issue or
	// Rotate finds out by a Load.
	//
	// Issue or Rotate may first save a Credential with a Note but no ID and no
	// Secret. They do so to get a new Version, which makes late writes of other
	// runs fail. Readers of the store see an empty ID and secret until the next
	// Save. If c.Version is empty, a store with versions may return
	// ErrNotStored.
	Save(ctx context.Context, c Credential) error
}

// SaveChecker is an optional interface of a [Store]. Issue and Rotate call
// CheckSave right before they create a token. If it returns an error, they
// create none.
type SaveChecker interface {
	// CheckSave returns an error if a Save would fail now. It must change
	// neither the stored credential nor its Version.
	CheckSave(ctx context.Context) error
}

var (
	// ErrStoreConflict says that a Save stored nothing, because the given
	// Version is no longer current. The Save of a [Store] returns it or an
	// error that wraps it.
	ErrStoreConflict = errors.New("lifecycle: the store has been written since it was loaded")
	// ErrNotStored says that a Save changed nothing and never will. If a
	// [Store] is certain of that, its Save returns an error that wraps
	// ErrNotStored. Issue and Rotate then delete the new token if Load returns
	// another one. If the new secret is stored later after all, the stored
	// credential no longer works. [Issue] with a [SaveFunc] deletes the token
	// without a Load. When in doubt, return an error that wraps neither
	// ErrNotStored nor ErrStoreConflict.
	ErrNotStored = errors.New("lifecycle: not stored")
)

// SaveFunc is a [Store] for [Issue] that can be written but not read, such as
// the secrets of a CI system. If it returns an error, it must have stored
// nothing. Issue then deletes the new token again.
//
// After a crash Issue can't know whether the secret of a token that it finds
// was stored. It then returns an error that names the token and says what to
// do. Nor can it know what an earlier call stored, so a second call returns
// [ErrNameTaken]. [Rotate] rejects a SaveFunc, because it must read the stored
// credential.
type SaveFunc func(ctx context.Context, c Credential) error

// Load returns [errors.ErrUnsupported].
func (f SaveFunc) Load(context.Context) (Credential, error) {
	return Credential{}, errors.ErrUnsupported
}

// Save calls f.
func (f SaveFunc) Save(ctx context.Context, c Credential) error {
	if err := f(ctx, c); err != nil {
		return wrap(ErrNotStored, err)
	}
	return nil
}

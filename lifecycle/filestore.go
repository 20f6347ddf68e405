package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sailpoint-go/sailpoint"
)

// FileStore is a [Store] with versions in a file that only its owner can read. The file is replaced as a whole, so that
// a reader finds the old secret or the new one, also after a loss of power. It holds a JSON object:
//
//	{"id":"…","secret":"…","note":"…"}
//
// A file of one's own with id and secret is a beginning for [Rotate]; one with anything else is none of this store's, and
// refused, as is a folder or the end of a link that is not there: a disk that is missing is no empty store. While it writes, a Save holds a lock on a file
// beside it, Path with ".lock". That file stays, and says nothing: the lock is the operating system's, which ends it
// with the process that holds it, so that no crash leaves a lock behind. Where the file system has no such locks, or
// the operating system is not Unix or Windows, Save returns an error. Programs on hosts that share a directory need
// locks that the hosts share.
type FileStore struct {
	Path string
}

// storedFile is what the file holds.
type storedFile struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
	Note   string `json:"note"`
}

const (
	lockTimeout = 30 * time.Second // of a lock that is held for milliseconds
	lockPause   = 20 * time.Millisecond
)

// Load reads the file. One that doesn't exist is an empty store.
func (s FileStore) Load(context.Context) (Credential, error) {
	path, err := s.resolve()
	if err != nil {
		return Credential{}, err
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return Credential{}, err
	}
	return load(path)
}

func load(path string) (Credential, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the path is the caller's to choose
	var file storedFile
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return Credential{}, err
	case json.Unmarshal(content, &file, json.RejectUnknownMembers(true)) != nil: // whose text could hold a part of the secret
		return Credential{}, fmt.Errorf("the file %q is not a JSON object with id, secret and note as texts, and nothing else", path)
	}
	return Credential{
		ID: file.ID, Secret: sailpoint.NewSecret(file.Secret), Note: file.Note,
		Version: "id=" + file.ID + ";" + file.Note, // Note differs at each write
	}, nil
}

// Save replaces the file, unless it has been written since c was loaded. A Credential without Version is stored in any
// case: one that no Load has returned.
func (s FileStore) Save(ctx context.Context, c Credential) error {
	path, err := s.resolve()
	if err != nil {
		return errors.Join(ErrNotStored, err)
	}
	unlock, err := lock(ctx, path+".lock")
	if err != nil {
		return errors.Join(ErrNotStored, err)
	}
	defer unlock()
	if c.Version != "" {
		now, err := load(path)
		if err != nil {
			return errors.Join(ErrNotStored, err)
		}
		if now.Version != c.Version {
			return ErrStoreConflict
		}
	}
	next := path + ".next"
	if err := write(next, storedFile{c.ID, c.Secret.Reveal(), c.Note}); err != nil {
		_ = os.Remove(next)
		return errors.Join(ErrNotStored, err)
	}
	// From here on c may be stored.
	if err := os.Rename(next, path); err != nil {
		_ = os.Remove(next) // if it is still there: nobody would use the secret, or delete it
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// resolve returns the path of the file itself: to replace a link would leave those who read what it leads to with the
// old secret.
func (s FileStore) resolve() (string, error) {
	if s.Path == "" {
		return "", invalidArgument("FileStore: the path is empty")
	}
	path, err := filepath.EvalSymlinks(s.Path)
	if err == nil {
		return path, nil
	}
	if info, lstatErr := os.Lstat(s.Path); lstatErr == nil && info.Mode()&os.ModeSymlink != 0 {
		return "", err // a link that leads nowhere
	}
	return s.Path, nil
}

// lock gets the lock on the file with this path.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockTimeout, fmt.Errorf("another process has held the lock %q for %s", path, lockTimeout))
	defer cancel()
	for {
		unlock, err := tryLock(path)
		if err != nil || unlock != nil {
			return unlock, err
		}
		if err := sleep(ctx, lockPause); err != nil {
			return nil, err
		}
	}
}

// write makes a file with this content, which is on stable storage when it returns nil.
func write(path string, content storedFile) error {
	data, err := json.Marshal(content)
	if err != nil {
		return errors.New("the credential is not UTF-8") // err could hold a part of the secret
	}
	// One that a crash left. A new one can't be one that somebody else prepared for reading.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // as above
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

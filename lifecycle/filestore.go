package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sailpoint-go/sailpoint"
)

// FileStore is a [Store] with versions in a file. It replaces the file as a whole, so that a reader finds the old secret
// or the new one, also after a loss of power. The file holds a JSON object:
//
//	{"id":"…","secret":"…","note":"…"}
//
// You may write the first file yourself, with id and secret, for [Rotate]. Other content, more than 1 MiB, a directory, a
// named pipe, a device and a link to nothing are errors, never an empty store.
//
// A new file can be read and written by its owner only. A file that is replaced keeps its owner, its group, its mode
// without the bits of all other users, and on Linux its POSIX ACL. Where the process may not keep them, Save stores
// nothing. It also refuses a file with several hard links, because the others would keep the old secret, and a file that
// is mounted by itself, which can't be replaced: mount its folder. On Windows the new file inherits the folder's rights.
//
// Save writes a new file, Path with ".next", and renames it. It holds a lock on a third file, Path with ".lock", which
// stays and is empty. The operating system ends the lock with the process, so that no crash leaves one behind. Where the
// file system has no such locks, or the operating system is not Unix or Windows, Save returns an error. Programs on hosts
// that share a directory need locks that the hosts share. Nobody else should have the right to write to the folder.
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

	lockSuffix = ".lock"
	nextSuffix = ".next"
)

// placeholder is what CheckSave writes: about as much as a credential, so that a full disk is found.
var placeholder = bytes.Repeat([]byte("-"), 1024)

// Load reads the file. A file that doesn't exist is an empty store. Load changes nothing, so that it needs only the
// right to read.
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
	content, err := readRegular(path)
	var file storedFile
	switch {
	case errors.Is(err, fs.ErrNotExist):
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

// maxFileBytes is far more than a credential takes.
const maxFileBytes = 1 << 20

// readRegular returns the content of a regular file without a byte order mark.
// It never waits for the writer of a named pipe. Its errors never repeat the
// content.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := checkRegular(path, info); err != nil { // before the open, which can have effects on a device
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0) //nolint:gosec // the path is the caller's to choose
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if err := checkRegular(path, info); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) > maxFileBytes:
		return nil, fmt.Errorf("the file %q has more than 1 MiB", path)
	case bytes.HasPrefix(content, []byte("\xff\xfe")), bytes.HasPrefix(content, []byte("\xfe\xff")):
		return nil, fmt.Errorf("the file %q is UTF-16: save it as UTF-8", path)
	}
	return bytes.TrimPrefix(content, []byte("\ufeff")), nil
}

// checkRegular returns an error that names the kind of a file that is not a
// regular one.
func checkRegular(path string, info os.FileInfo) error {
	kind := "a special file"
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		kind = "a directory"
	case mode&os.ModeSymlink != 0:
		kind = "a symbolic link"
	case mode&os.ModeNamedPipe != 0:
		kind = "a named pipe"
	case mode&os.ModeSocket != 0:
		kind = "a socket"
	case mode&os.ModeDevice != 0:
		kind = "a device"
	}
	return fmt.Errorf("%q is %s: it has to be a regular file", path, kind)
}

// CheckSave is the [SaveChecker] of FileStore. It does what Save does with a file of dashes, except the rename, so that
// it also finds a full disk and a folder that can't be synced.
func (s FileStore) CheckSave(ctx context.Context) error {
	path, unlock, err := s.lock(ctx)
	if err != nil {
		return errors.Join(ErrNotStored, err)
	}
	defer unlock()
	if err = writeNext(path, placeholder); err == nil {
		err = errors.Join(os.Remove(path+nextSuffix), syncFolder(filepath.Dir(path)))
	}
	if err != nil {
		return errors.Join(ErrNotStored, err)
	}
	return nil
}

// Save replaces the file, unless it has been written since c was loaded. A Credential without Version is stored in any
// case: one that no Load has returned.
func (s FileStore) Save(ctx context.Context, c Credential) error {
	content, err := json.Marshal(storedFile{c.ID, c.Secret.Reveal(), c.Note})
	if err != nil {
		return errors.Join(ErrNotStored, errors.New("the credential is not UTF-8")) // err could hold a part of the secret
	}
	path, unlock, err := s.lock(ctx)
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
	if err := writeNext(path, append(content, '\n')); err != nil {
		return errors.Join(ErrNotStored, err)
	}
	// From here on c may be stored.
	if err := os.Rename(path+nextSuffix, path); err != nil {
		if isMountPoint(err) {
			err = errMounted(path)
		}
		if os.Remove(path+nextSuffix) == nil { // it was not renamed, and can't be any more
			err = errors.Join(ErrNotStored, err)
		}
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

// lock gets the lock of the file, and returns the file's path.
func (s FileStore) lock(ctx context.Context) (path string, unlock func(), err error) {
	if path, err = s.resolve(); err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lockTimeout, fmt.Errorf("another process has held the lock %q for %s", path+lockSuffix, lockTimeout))
	defer cancel()
	for {
		unlock, err := tryLock(path)
		if err != nil || unlock != nil {
			return path, unlock, err
		}
		if err := sleep(ctx, lockPause); err != nil {
			return "", nil, err
		}
	}
}

// writeNext writes the file that is to replace the one with this path. When it returns nil the content is on stable
// storage, otherwise there is no such file.
func writeNext(path string, content []byte) error {
	old, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = nil
	case err != nil:
		return err
	default:
		if err := errors.Join(checkRegular(path, old), checkReplaceable(path, old)); err != nil {
			return err
		}
	}
	next := path + nextSuffix
	// One that a crash left. A new one can't be one that somebody else prepared for reading, or a link.
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // beside the caller's own path
	if err != nil {
		return err
	}
	if err = keepAttributes(f, path, old); err == nil { // before the secret is in it
		_, err = f.Write(content)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(next)
	}
	return err
}

// errMounted says why a file can't be replaced and what to do.
func errMounted(path string) error {
	return fmt.Errorf("the file %q is mounted by itself, so that it can't be replaced: mount its folder instead", path)
}

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

// FileStore is a [Store] with versions that keeps a credential in a file. A
// reader always finds either the whole old or the whole new credential, even
// after a power loss. The file holds a JSON object:
//
//	{"id":"…","secret":"…","note":"…"}
//
// [Issue] writes this file. To rotate a token that you already have, write the
// first file yourself, with id and secret only. A missing file is an empty
// store. Other content, more than 1 MiB, a directory, a named pipe, a device,
// or a symbolic link to a missing file is an error.
//
// On Unix a new file has the mode 0600, so only its owner can read and write
// it. A replaced file keeps its owner, group and mode, except that users
// outside the group lose all rights. On Linux the file also keeps its POSIX
// ACL. On Windows a new file inherits the folder's rights. If the process lacks
// the right to set these attributes, Save stores nothing and returns an error.
//
// Save also returns an error for a file with several hard links, because the
// other links would keep the old secret. It also does so for a file that is
// mounted into a container by itself, which can't be replaced. Mount its folder
// instead.
//
// Save writes a new file, named Path followed by ".next", and renames it to
// Path. Meanwhile it locks an empty file, named Path followed by ".lock", which
// it never deletes. The operating system releases the lock when the process
// ends, even after a crash. Save waits up to 30 seconds for a lock that another
// process holds. It returns an error if the file system has no such locks, or
// if the operating system is neither Unix nor Windows. If several hosts share
// the folder over a network, its file system must share the locks as well.
//
// Nobody else should be able to write to the folder.
type FileStore struct {
	Path string
}

// storedFile is the content of the file.
type storedFile struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
	Note   string `json:"note"`
}

const (
	lockTimeout = 30 * time.Second // a lock is normally held for milliseconds
	lockPause   = 20 * time.Millisecond

	lockSuffix = ".lock"
	nextSuffix = ".next"
)

// placeholder is the text that CheckSave writes. It is about as long as a
// credential, so that a full disk is found.
var placeholder = bytes.Repeat([]byte("-"), 1024)

// Load reads the file. If the file is missing, it returns a Credential without
// an ID. A missing folder is an error. Load changes nothing and needs only the
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
	case json.Unmarshal(content, &file, json.RejectUnknownMembers(true)) != nil: // its text could hold part of the secret
		return Credential{}, fmt.Errorf("the file %q is not a JSON object with the strings id, secret and note, and nothing else: correct it or delete it", path)
	}
	return Credential{
		ID: file.ID, Secret: sailpoint.NewSecret(file.Secret), Note: file.Note,
		Version: "id=" + file.ID + ";" + file.Note, // Note differs at each write
	}, nil
}

// maxFileBytes is far more than a credential needs.
const maxFileBytes = 1 << 20

// readRegular returns the content of a regular file without a byte order mark.
// It never waits for the writer of a named pipe. Its errors never repeat the
// content.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := checkRegular(path, info); err != nil { // before the open, which can have side effects on a device
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
		return nil, fmt.Errorf("the file %q has more than 1 MiB: check the path", path)
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
	return fmt.Errorf("%q is %s: use a regular file", path, kind)
}

// CheckSave implements [SaveChecker]. It does the same as Save, but writes 1
// KiB of dashes as the new file and deletes that instead of renaming it. So it
// also finds a full disk, and a folder that can't be written to stable storage
// (fsync).
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

// Save replaces the file, unless it was written since Load returned c.Version.
// If c.Version is empty, Save does not compare and always replaces the file.
func (s FileStore) Save(ctx context.Context, c Credential) error {
	content, err := json.Marshal(storedFile{c.ID, c.Secret.Reveal(), c.Note})
	if err != nil {
		return errors.Join(ErrNotStored, errors.New("the credential must be valid UTF-8")) // err could hold part of the secret
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
		if os.Remove(path+nextSuffix) == nil { // it was not renamed and never will be
			err = errors.Join(ErrNotStored, err)
		}
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// resolve returns the path of the file itself. To replace a link would leave
// the old secret for readers of its target.
func (s FileStore) resolve() (string, error) {
	if s.Path == "" {
		return "", invalidArgument("FileStore.Path is empty: set the path of the file")
	}
	path, err := filepath.EvalSymlinks(s.Path)
	if err == nil {
		return path, nil
	}
	if info, lstatErr := os.Lstat(s.Path); lstatErr == nil && info.Mode()&os.ModeSymlink != 0 {
		return "", err // a dangling link
	}
	return s.Path, nil
}

// lock acquires the lock of the file, and returns the file's path.
func (s FileStore) lock(ctx context.Context) (path string, unlock func(), err error) {
	if path, err = s.resolve(); err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lockTimeout, fmt.Errorf("another process has held the lock %q for %s: end that process or try again", path+lockSuffix, lockTimeout))
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

// writeNext writes the file that will replace the one with this path. If it
// returns nil the content is on stable storage. Otherwise it leaves no file.
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
	// Remove a file that a crash left. A new one can't be a link, or be one
	// that somebody else opened for reading.
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // next to the caller's own path
	if err != nil {
		return err
	}
	if err = keepAttributes(f, path, old); err == nil { // before it holds the secret
		_, err = f.Write(content)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(next)
	}
	return err
}

// errMounted returns the error for a file that is mounted by itself.
func errMounted(path string) error {
	return fmt.Errorf("the file %q is mounted by itself and can't be replaced: mount its folder instead", path)
}

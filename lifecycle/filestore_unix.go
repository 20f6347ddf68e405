//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// tryLock acquires the lock of this file. It returns nil if another process has
// it.
func tryLock(path string) (unlock func(), err error) {
	f, err := openLock(path)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil // another process just created it
	}
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil && isAt(f, path+lockSuffix) {
		return func() { _ = f.Close() }, nil // this releases the lock
	}
	_ = f.Close()
	if err == nil || errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, &os.PathError{Op: "lock", Path: path + lockSuffix, Err: err}
}

// nonblock keeps the open of a named pipe from waiting for a writer.
const nonblock = syscall.O_NONBLOCK

// isAt reports whether f is still the file with this path. Other processes do
// not see a lock on a removed file.
func isAt(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, now)
}

// openLock opens or creates the lock file, and follows no link.
func openLock(path string) (*os.File, error) {
	info, err := os.Lstat(path + lockSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return createLock(path)
	}
	if err == nil {
		err = checkRegular(path+lockSuffix, info)
	}
	if err != nil {
		return nil, err
	}
	return os.OpenFile(path+lockSuffix, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0) //nolint:gosec // next to the caller's own path
}

// createLock creates the lock file. It belongs to the owner of the stored file,
// who could not open root's.
func createLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path+lockSuffix, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) //nolint:gosec // as above
	if err != nil {
		return nil, err
	}
	if info, statErr := os.Lstat(path); statErr == nil {
		err = keepOwner(f, info)
	}
	if err != nil {
		_ = os.Remove(path + lockSuffix)
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// checkReplaceable returns an error for a file that a rename would not replace
// everywhere.
func checkReplaceable(path string, info os.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
		return fmt.Errorf("the file %q has %d hard links, and the others would keep the old secret: use a symbolic link or a separate file", path, stat.Nlink)
	}
	return checkMount(path)
}

// keepAttributes gives f the owner, group, mode and ACL of the file that it
// will replace. old is nil if there is no such file.
func keepAttributes(f *os.File, path string, old os.FileInfo) error {
	mode := fs.FileMode(0o600)
	if old != nil {
		mode = old.Mode().Perm() &^ 0o007
		if err := keepOwner(f, old); err != nil { // first, because the mode may let the group read
			return err
		}
		if err := copyACL(path, f.Name()); err != nil {
			return fmt.Errorf("the access control list of %q can't be kept, so nothing was stored: %w", path, err)
		}
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	now, err := f.Stat() // some file systems silently ignore a change
	if err != nil {
		return err
	}
	if got := now.Mode().Perm(); got != mode {
		return fmt.Errorf("the file would have the mode %s instead of %s: use a file system that keeps modes", got, mode)
	}
	return nil
}

// keepOwner gives f the owner and group of another file.
func keepOwner(f *os.File, other os.FileInfo) error {
	want, known := other.Sys().(*syscall.Stat_t)
	for range 2 {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		got, ok := info.Sys().(*syscall.Stat_t)
		if !known || !ok || got.Uid == want.Uid && got.Gid == want.Gid {
			return nil
		}
		if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
			return fmt.Errorf("the file must keep its owner %d and group %d: run this as that user or as root: %w", want.Uid, want.Gid, err)
		}
	}
	return fmt.Errorf("the file must keep its owner %d and group %d: use a file system that keeps owners", want.Uid, want.Gid)
}

// isMountPoint reports whether a rename failed because its target is mounted by
// itself.
func isMountPoint(err error) bool {
	return errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV)
}

// syncFolder makes a rename in this folder survive a power loss.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the folder of the caller's own path
	if err == nil {
		err = errors.Join(folder.Sync(), folder.Close())
	}
	if err != nil {
		return fmt.Errorf("the folder can't be synced, so a power loss could bring back the old secret: "+
			"let this user read the folder, or use a local file system: %w", err)
	}
	return nil
}

//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// tryLock gets the lock of the file with this path. It returns nil if another process has it.
func tryLock(path string) (unlock func(), err error) {
	f, err := openLock(path)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil // another process made it at this moment
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
		return func() { _ = f.Close() }, nil // which ends the lock
	}
	_ = f.Close()
	if err == nil || errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, &os.PathError{Op: "lock", Path: path + lockSuffix, Err: err}
}

// nonblock keeps the open of a named pipe from waiting for a writer.
const nonblock = syscall.O_NONBLOCK

// isAt reports whether f is still the file with this path. A lock on a file that was removed is seen by nobody else.
func isAt(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, now)
}

// openLock opens or makes the file that is locked, and follows no link.
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
	return os.OpenFile(path+lockSuffix, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0) //nolint:gosec // beside the caller's own path
}

// createLock makes the file that is locked. It belongs to the owner of the file, who could not open root's.
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

// checkReplaceable returns an error for a file that would not be replaced everywhere.
func checkReplaceable(path string, info os.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
		return fmt.Errorf("the file %q has %d hard links, and the others would keep the old secret: use a symbolic link, or a file of its own", path, stat.Nlink)
	}
	return checkMount(path)
}

// keepAttributes gives f the owner, group, mode and ACL of the file that it is to replace. old is nil if there is none.
func keepAttributes(f *os.File, path string, old os.FileInfo) error {
	mode := fs.FileMode(0o600)
	if old != nil {
		mode = old.Mode().Perm() &^ 0o007
		if err := keepOwner(f, old); err != nil { // first: the mode may let the group read
			return err
		}
		if err := copyACL(path, f.Name()); err != nil {
			return fmt.Errorf("the access control list of %q can't be kept: %w", path, err)
		}
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	now, err := f.Stat() // some file systems ignore a change silently
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
			return fmt.Errorf("the file has to keep its owner %d and group %d: run this as that user or as root: %w", want.Uid, want.Gid, err)
		}
	}
	return fmt.Errorf("the file has to keep its owner %d and group %d: use a file system that keeps owners", want.Uid, want.Gid)
}

// isMountPoint reports whether err is that of a rename onto a file that is mounted by itself.
func isMountPoint(err error) bool {
	return errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV)
}

// syncFolder makes what was renamed in a folder stay so after a loss of power.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the folder of the caller's own path
	if err == nil {
		err = errors.Join(folder.Sync(), folder.Close())
	}
	if err != nil {
		return fmt.Errorf("the folder can't be synced, so that a loss of power could bring the old secret back: "+
			"give this user the right to read the folder, or use a local file system: %w", err)
	}
	return nil
}

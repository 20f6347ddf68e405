//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package lifecycle

import (
	"errors"
	"os"
	"syscall"
)

// tryLock gets the lock on the file with this path; nil: another has it. The file is never removed: one who waits for a
// file that is removed would get a lock that nobody else sees.
func tryLock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // beside the caller's own path
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		return func() { _ = f.Close() }, nil // which ends the lock
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, &os.PathError{Op: "lock", Path: path, Err: err}
}

// syncFolder makes what was renamed in a folder stay so after a loss of power.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the folder of the caller's own path
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package lifecycle

import (
	"errors"
	"os"
)

// nonblock is available on Unix only.
const nonblock = 0

// tryLock fails. Without a lock that ends with its process, a crash could block
// the store, or two processes could write at once.
func tryLock(path string) (unlock func(), err error) {
	return nil, &os.PathError{Op: "lock", Path: path + lockSuffix, Err: errors.ErrUnsupported}
}

// These are never called, because tryLock fails.

func checkReplaceable(string, os.FileInfo) error         { return nil }
func keepAttributes(*os.File, string, os.FileInfo) error { return nil }
func isMountPoint(error) bool                            { return false }
func syncFolder(string) error                            { return nil }

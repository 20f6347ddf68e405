package lifecycle

import (
	"errors"
	"os"
	"syscall"
)

// nonblock is available on Unix only.
const nonblock = 0

// tryLock acquires the lock of this file. It returns nil if another process has
// it. The lock is a separate file that nobody else can open. If that is a link,
// tryLock opens the link itself and does not follow it.
func tryLock(path string) (unlock func(), err error) {
	const sharingViolation = syscall.Errno(32)
	path += lockSuffix
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS,
		syscall.FILE_ATTRIBUTE_NORMAL|syscall.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	switch {
	case err == nil:
		return func() { _ = syscall.CloseHandle(h) }, nil
	case errors.Is(err, sharingViolation):
		return nil, nil
	}
	return nil, &os.PathError{Op: "lock", Path: path, Err: err}
}

// A new file inherits its rights from the folder. No file is mounted by itself.

func checkReplaceable(string, os.FileInfo) error         { return nil }
func keepAttributes(*os.File, string, os.FileInfo) error { return nil }
func isMountPoint(error) bool                            { return false }

// syncFolder does nothing. Windows has no such call, and its file system keeps
// a journal of names.
func syncFolder(string) error { return nil }

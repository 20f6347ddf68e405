package lifecycle

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	aclAttribute = "system.posix_acl_access"
	maxACLBytes  = 64 << 10 // the limit of any extended attribute
)

// copyACL copies the POSIX ACL of a file to another. If there is none, it
// removes the one that the new file inherited from its folder.
func copyACL(from, to string) error {
	acl := make([]byte, maxACLBytes)
	n, err := syscall.Getxattr(from, aclAttribute, acl)
	switch {
	case err == nil:
		return syscall.Setxattr(to, aclAttribute, acl[:n], 0)
	case errors.Is(err, syscall.ENODATA):
		if err = syscall.Removexattr(to, aclAttribute); errors.Is(err, syscall.ENODATA) {
			return nil
		}
	}
	if errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) {
		return nil // the file system has no ACLs
	}
	return err
}

// checkMount returns an error if this file is mounted by itself. Without /proc
// the rename finds that.
func checkMount(path string) error {
	file, folder := mountID(path), mountID(filepath.Dir(path))
	if file == "" || folder == "" || file == folder {
		return nil
	}
	return errMounted(path)
}

// mountID returns the ID of the mount that a path is on, or "".
func mountID(path string) string {
	const oPath = 0x200000 // O_PATH, which needs no read permission
	fd, err := syscall.Open(path, oPath|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer syscall.Close(fd) //nolint:errcheck // nothing was written
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(info) {
		if id, ok := bytes.CutPrefix(line, []byte("mnt_id:")); ok {
			return string(bytes.TrimSpace(id))
		}
	}
	return ""
}

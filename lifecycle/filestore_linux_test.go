package lifecycle_test

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/lifecycle"
)

const otherUser = 1000

// asUser calls f with another user's file permissions. The test must be root.
// Linux keeps them per thread.
func asUser(t *testing.T, id int, f func()) {
	t.Helper()
	requireRoot(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, so the thread ends with these permissions
		if errors.Join(syscall.Setfsgid(id), syscall.Setfsuid(id)) != nil {
			t.Error("the rights of another user can't be had")
			return
		}
		f()
	}()
	<-done
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to have files of another user")
	}
}

// ofUser returns a store in a folder of the other user, with a credential and a mode.
func ofUser(t *testing.T, mode os.FileMode) lifecycle.FileStore {
	t.Helper()
	requireRoot(t)
	folder, err := os.MkdirTemp("", "") //nolint:usetesting // other users can't enter the folders of t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	store := lifecycle.FileStore{Path: filepath.Join(folder, "deploy.json")}
	require.NoError(t, os.WriteFile(store.Path, []byte(`{"id":"old","secret":"s"}`), 0o600))
	require.NoError(t, os.Chmod(store.Path, mode))
	require.NoError(t, os.Chown(store.Path, otherUser, otherUser))
	require.NoError(t, os.Chown(folder, otherUser, otherUser))
	return store
}

func requireOwner(t *testing.T, path string, gid uint32, mode os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	require.Equal(t, []uint32{otherUser, gid}, []uint32{stat.Uid, stat.Gid}, path)
	require.Equal(t, mode, info.Mode(), path)
}

// TestRootKeepsTheFileOfAnotherUser checks that readers of the file can also
// read the new secret, and that its owner can replace it again.
func TestRootKeepsTheFileOfAnotherUser(t *testing.T) {
	for _, mode := range []os.FileMode{0o600, 0o640, 0o400} {
		store := ofUser(t, mode)
		require.NoError(t, store.CheckSave(t.Context()))
		require.NoError(t, store.Save(t.Context(), credential(1)))
		requireOwner(t, store.Path, otherUser, mode)
		requireOwner(t, store.Path+".lock", otherUser, 0o600)
		asUser(t, otherUser, func() {
			got, err := store.Load(t.Context())
			assert.NoError(t, err)
			assert.Equal(t, "id-1", got.ID)
			c := credential(2)
			c.Version = got.Version
			assert.NoError(t, store.CheckSave(t.Context()))
			assert.NoError(t, store.Save(t.Context(), c))
		})
		requireOwner(t, store.Path, otherUser, mode)
	}
}

// TestFileOfAnotherUserThatCantBeKept uses a user who may write to the folder
// but not change owners. Save must store nothing, and leave no file that blocks
// the owner.
func TestFileOfAnotherUserThatCantBeKept(t *testing.T) {
	store := ofUser(t, 0o640)
	require.NoError(t, os.Chown(filepath.Dir(store.Path), otherUser, 1001))
	require.NoError(t, os.Chmod(filepath.Dir(store.Path), 0o770))
	require.NoError(t, os.Chown(store.Path, otherUser, 1001))
	asUser(t, 1001, func() {
		got, err := store.Load(t.Context())
		assert.NoError(t, err)
		c := credential(1)
		c.Version = got.Version
		for _, err := range []error{store.CheckSave(t.Context()), store.Save(t.Context(), c)} {
			assert.ErrorIs(t, err, lifecycle.ErrNotStored)
			assert.ErrorContains(t, err, "the file must keep its owner 1000 and group 1001: run this as that user or as root")
		}
	})
	requireOwner(t, store.Path, 1001, 0o640)
	entries, err := os.ReadDir(filepath.Dir(store.Path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// TestReaderNeedsNoRightToWrite checks that Load changes nothing in the folder.
func TestReaderNeedsNoRightToWrite(t *testing.T) {
	store := ofUser(t, 0o640)
	require.NoError(t, os.Chmod(filepath.Dir(store.Path), 0o550))
	require.NoError(t, os.Chown(store.Path, 0, otherUser))
	asUser(t, otherUser, func() {
		got, err := store.Load(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, "old", got.ID)
		assert.ErrorIs(t, store.CheckSave(t.Context()), lifecycle.ErrNotStored)
	})
}

// TestFolderThatCantBeSynced uses a folder without the read permission, which
// can't be opened.
func TestFolderThatCantBeSynced(t *testing.T) {
	store := ofUser(t, 0o600)
	require.NoError(t, os.Chmod(filepath.Dir(store.Path), 0o300))
	asUser(t, otherUser, func() {
		err := store.CheckSave(t.Context())
		assert.ErrorIs(t, err, lifecycle.ErrNotStored)
		assert.ErrorContains(t, err, "the folder can't be synced, so a power loss could bring back the old secret")
		got, err := store.Load(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, "old", got.ID)

		c := credential(1)
		c.Version = got.Version
		err = store.Save(t.Context(), c)
		assert.ErrorContains(t, err, "the folder can't be synced")
		assert.NotErrorIs(t, err, lifecycle.ErrNotStored, "the new secret can already be read")
		got, err = store.Load(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, "id-1", got.ID)
	})
}

// accessList returns a POSIX ACL that lets a user read.
func accessList(user uint32) []byte {
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range []struct {
		tag, rights uint16
		id          uint32
	}{{1, 6, ^uint32(0)}, {2, 4, user}, {4, 0, ^uint32(0)}, {16, 4, ^uint32(0)}, {32, 0, ^uint32(0)}} {
		list = binary.LittleEndian.AppendUint16(list, entry.tag)
		list = binary.LittleEndian.AppendUint16(list, entry.rights)
		list = binary.LittleEndian.AppendUint32(list, entry.id)
	}
	return list
}

func setAccessList(t *testing.T, path, name string, list []byte) {
	t.Helper()
	if err := syscall.Setxattr(path, name, list, 0); errors.Is(err, syscall.ENOTSUP) {
		t.Skip("the file system of the test has no POSIX ACLs")
	} else {
		require.NoError(t, err)
	}
}

func getAccessList(t *testing.T, path string) []byte {
	t.Helper()
	list := make([]byte, 1024)
	n, err := syscall.Getxattr(path, "system.posix_acl_access", list)
	if errors.Is(err, syscall.ENODATA) {
		return nil
	}
	require.NoError(t, err)
	return list[:n]
}

// TestFileStoreKeepsTheACL also checks that a file without an ACL gets none
// from its folder.
func TestFileStoreKeepsTheACL(t *testing.T) {
	store := inFile(t)
	require.NoError(t, store.Save(t.Context(), credential(1)))
	setAccessList(t, store.Path, "system.posix_acl_access", accessList(otherUser))
	require.NoError(t, store.CheckSave(t.Context()))
	require.NoError(t, store.Save(t.Context(), credential(2)))
	assert.Equal(t, accessList(otherUser), getAccessList(t, store.Path))

	plain := inFile(t)
	require.NoError(t, plain.Save(t.Context(), credential(1)))
	require.NoError(t, os.Chmod(plain.Path, 0o640))
	setAccessList(t, filepath.Dir(plain.Path), "system.posix_acl_default", accessList(otherUser))
	require.NoError(t, plain.Save(t.Context(), credential(2)))
	assert.Nil(t, getAccessList(t, plain.Path))
	info, err := os.Stat(plain.Path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode())
}

// TestFileThatIsMountedByItself runs itself in a separate mount namespace, as
// in a container with such a volume. With /proc, CheckSave finds the mount.
// Without it the rename fails.
func TestFileThatIsMountedByItself(t *testing.T) {
	const variable = "LIFECYCLE_TEST_MOUNT"
	folder := os.Getenv(variable)
	if folder == "" {
		requireRoot(t)
		cmd := exec.Command(os.Args[0], "-test.run=^TestFileThatIsMountedByItself$", "-test.v")
		cmd.Env = append(os.Environ(), variable+"="+t.TempDir())
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		output, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) {
			t.Skip("mount namespaces are not permitted here")
		}
		require.NoError(t, err, "%s", output)
		require.Contains(t, string(output), "--- PASS: TestFileThatIsMountedByItself")
		return
	}
	volume := filepath.Join(folder, "volume.json")
	store := lifecycle.FileStore{Path: filepath.Join(folder, "deploy.json")}
	const content = `{"id":"old","secret":"s"}`
	require.NoError(t, os.WriteFile(volume, []byte(content), 0o600))
	require.NoError(t, os.WriteFile(store.Path, nil, 0o600))
	require.NoError(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	require.NoError(t, syscall.Mount(volume, store.Path, "", syscall.MS_BIND, ""))
	requireNothingStored := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, lifecycle.ErrNotStored)
		require.ErrorContains(t, err, "is mounted by itself and can't be replaced: mount its folder instead")
		after, err := os.ReadFile(volume)
		require.NoError(t, err)
		require.Equal(t, content, string(after))
		require.NoFileExists(t, store.Path+".next")
	}
	requireNothingStored(store.CheckSave(t.Context()))
	requireNothingStored(store.Save(t.Context(), credential(1)))
	require.NoError(t, syscall.Mount("none", "/proc", "tmpfs", 0, ""))
	require.NoError(t, store.CheckSave(t.Context()), "the mount can't be found without /proc")
	requireNothingStored(store.Save(t.Context(), credential(1)))
}

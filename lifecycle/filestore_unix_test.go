//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package lifecycle_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// hold locks the file as another process would.
func hold(t *testing.T, path string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
	return func() { require.NoError(t, f.Close()) }
}

// TestFileStoreWaitsForTheLock checks that Save waits until the context ends,
// but at most 30 seconds.
func TestFileStoreWaitsForTheLock(t *testing.T) {
	store := inFile(t)
	unlock := hold(t, store.Path+".lock")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the caller has left"))
	err := store.Save(ctx, credential(1))
	require.ErrorIs(t, err, lifecycle.ErrNotStored)
	require.ErrorContains(t, err, "the caller has left")
	synctest.Test(t, func(t *testing.T) {
		err := store.Save(t.Context(), credential(1))
		require.ErrorIs(t, err, lifecycle.ErrNotStored)
		require.ErrorContains(t, err, "another process has held the lock")
	})
	assert.NoFileExists(t, store.Path)
	unlock()
	require.NoError(t, store.Save(t.Context(), credential(1)))
}

// TestLockOfAProcessThatIsKilled runs this program again, which locks the file
// and is killed.
func TestLockOfAProcessThatIsKilled(t *testing.T) {
	if path := os.Getenv("LIFECYCLE_TEST_LOCK"); path != "" {
		hold(t, path)
		_, _ = os.Stdout.WriteString("locked\n")
		select {}
	}
	store := inFile(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockOfAProcessThatIsKilled$")
	cmd.Env = append(os.Environ(), "LIFECYCLE_TEST_LOCK="+store.Path+".lock")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "locked\n", line)
	_, err = os.Stat(store.Path + ".lock")
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.NoError(t, store.Save(t.Context(), credential(1)), "the lock must end with its process")
}

// TestFileStoreNeverWaitsForAPipe checks that a file that isn't regular is an
// error at once, and that no device is read.
func TestFileStoreNeverWaitsForAPipe(t *testing.T) {
	store := inFile(t)
	require.NoError(t, syscall.Mkfifo(store.Path, 0o600))
	for path, want := range map[string]string{store.Path: "is a named pipe", "/dev/zero": "is a device"} {
		odd := lifecycle.FileStore{Path: path}
		_, err := odd.Load(t.Context())
		require.ErrorContains(t, err, want)
		if path == "/dev/zero" {
			continue // no lock file can be created next to it
		}
		for _, err := range []error{odd.CheckSave(t.Context()), odd.Save(t.Context(), credential(1))} {
			require.ErrorIs(t, err, lifecycle.ErrNotStored)
			require.ErrorContains(t, err, want)
		}
	}
	info, err := os.Lstat(store.Path)
	require.NoError(t, err)
	assert.Equal(t, os.ModeNamedPipe, info.Mode().Type())
	assert.NoFileExists(t, store.Path+".next")
}

// TestFileStoreFollowsNoPlantedLink checks that a planted file or link is an
// error or is replaced.
func TestFileStoreFollowsNoPlantedLink(t *testing.T) {
	const content = "of somebody else"
	for suffix, want := range map[string]string{".lock": "is a symbolic link", ".next": ""} {
		for _, exists := range []bool{true, false} {
			store := inFile(t)
			victim := filepath.Join(t.TempDir(), "victim")
			if exists {
				require.NoError(t, os.WriteFile(victim, []byte(content), 0o600))
			}
			require.NoError(t, os.Symlink(victim, store.Path+suffix))
			for _, err := range []error{store.CheckSave(t.Context()), store.Save(t.Context(), credential(1))} {
				if want == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, lifecycle.ErrNotStored)
				require.ErrorContains(t, err, want)
			}
			if exists {
				got, err := os.ReadFile(victim)
				require.NoError(t, err)
				assert.Equal(t, content, string(got))
			} else {
				assert.NoFileExists(t, victim)
			}
		}
	}
	store := inFile(t)
	require.NoError(t, syscall.Mkfifo(store.Path+".lock", 0o600))
	require.ErrorContains(t, store.CheckSave(t.Context()), "is a named pipe")
}

func TestFileStoreRefusesAHardLink(t *testing.T) {
	store := inFile(t)
	require.NoError(t, store.Save(t.Context(), credential(1)))
	other := filepath.Join(t.TempDir(), "other")
	require.NoError(t, os.Link(store.Path, other))
	for _, err := range []error{store.CheckSave(t.Context()), store.Save(t.Context(), credential(2))} {
		require.ErrorIs(t, err, lifecycle.ErrNotStored)
		require.ErrorContains(t, err, "has 2 hard links")
	}
	got, err := store.Load(t.Context())
	require.NoError(t, err, "a hard link must not stop a reader")
	assert.Equal(t, "id-1", got.ID)
	assert.NoFileExists(t, store.Path+".next")
	require.NoError(t, os.Remove(other))
	require.NoError(t, store.Save(t.Context(), credential(2)))
}

func TestFileStoreKeepsTheMode(t *testing.T) {
	for _, tt := range []struct{ before, after os.FileMode }{
		{0o600, 0o600}, {0o400, 0o400}, {0o640, 0o640}, {0o660, 0o660}, {0o644, 0o640}, {0o666, 0o660}, {0o777, 0o770}, {0o604, 0o600},
	} {
		store := inFile(t)
		require.NoError(t, store.Save(t.Context(), credential(1)))
		require.NoError(t, os.Chmod(store.Path, tt.before))
		require.NoError(t, store.CheckSave(t.Context()))
		require.NoError(t, store.Save(t.Context(), credential(2)))
		info, err := os.Stat(store.Path)
		require.NoError(t, err)
		assert.Equal(t, tt.after, info.Mode(), tt.before)
	}
}

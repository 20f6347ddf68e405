//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package lifecycle_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
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

// TestFileStoreWaitsForTheLock as long as its caller does, and half a minute at most.
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

// TestLockOfAProcessThatIsKilled: the program runs itself, gets the lock, and is killed.
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
	require.NoError(t, store.Save(t.Context(), credential(1)), "the lock ended with its process")
}

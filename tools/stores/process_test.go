package stores_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain fails if a goroutine outlives the tests. If a variable says so, it
// is the program of a commandstore.
func TestMain(m *testing.M) {
	if path := os.Getenv(commandFile); path != "" {
		os.Exit(runCommand(path, os.Args[len(os.Args)-1]))
	}
	goleak.VerifyTestMain(m)
}

// fromEnvironment returns a path that the environment names, or skips the test.
func fromEnvironment(t *testing.T, variable, meaning string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("Set %s to %s to run this test. The gate does.", variable, meaning)
	}
	return path
}

// process is a server in a process of its own. It ends with the test, or at the
// latest with this program.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// start starts a program, as account unless that is nil.
func start(t *testing.T, account *account, log string, program string, args ...string) *process {
	t.Helper()
	p := &process{ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), program, args...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if account != nil {
		p.cmd.SysProcAttr.Credential = account.credential
	}
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer output.Close()
	if p.cmd.Stdout == nil {
		p.cmd.Stdout = output
	}
	p.cmd.Stderr = output
	started := make(chan error)
	go func() {
		defer close(p.ended)
		// The kernel kills the server when the thread ends that started it, so
		// that thread waits for it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
	}()
	require.NoError(t, <-started)
	return p
}

// kill ends the process without a warning.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// freeAddress returns a loopback address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// waitFor tries until ready returns true.
func waitFor(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ready(); {
		require.True(t, time.Now().Before(end), "%s", what)
		time.Sleep(50 * time.Millisecond)
	}
}

// account is a user of this machine without special rights.
type account struct{ credential *syscall.Credential }

// unprivileged returns an account for servers that refuse to run as root. It is
// nil if this program doesn't.
func unprivileged(t *testing.T) *account {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	require.NoError(t, err)
	return &account{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// folder returns a new folder of the account.
func (a *account) folder(t *testing.T) string {
	t.Helper()
	if a == nil {
		return t.TempDir()
	}
	path, err := os.MkdirTemp("", "stores-") //nolint:usetesting // only its owner can enter a folder of t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(path) })
	require.NoError(t, os.Chown(path, int(a.credential.Uid), int(a.credential.Gid)))
	return path
}

// logged returns the end of a log, for a failure.
func logged(folder string) string {
	content, _ := os.ReadFile(filepath.Join(folder, "log"))
	return string(content[max(0, len(content)-2000):])
}

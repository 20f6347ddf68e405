//go:build unix

package jsonfile_test

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/internal/jsonfile"
)

// TestReadNeverWaits for a writer of a pipe, or for the end of a device that has none.
func TestReadNeverWaits(t *testing.T) {
	t.Chdir(t.TempDir()) // the path of a socket has about a hundred bytes at most
	require.NoError(t, syscall.Mkfifo("pipe", 0o600))
	socket, err := net.Listen("unix", "socket")
	require.NoError(t, err)
	defer socket.Close()
	require.NoError(t, os.Symlink("pipe", "link"))
	for path, want := range map[string]string{
		"pipe":      "is a named pipe",
		"link":      "is a named pipe",
		"socket":    "is a socket",
		"/dev/zero": "is a device",
	} {
		_, err := jsonfile.Read(filepath.Clean(path))
		require.ErrorContains(t, err, want)
	}
}

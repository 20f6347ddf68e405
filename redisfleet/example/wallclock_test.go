package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/redisfleet/internal/redistest"
)

// TestMembersHaveWrongClocks runs a fleet whose members' wall clocks are up to
// 600 s slow or fast.
func TestMembersHaveWrongClocks(t *testing.T) {
	t.Parallel()
	if !realistic() {
		t.Skip("Set SAILPOINT_TEST_EXHAUSTIVE=1 to run this test. It compiles the standard library, which takes minutes.")
	}
	server := redistest.Start(t)
	f := startFleet(t, server.Address, setup{program: buildWithWallClock(t), environment: func(member int) []string {
		return []string{fmt.Sprint(wallClockVariable, "=", 60*member-600)}
	}})
	f.await(3 * windowAndHalf)
	m := f.stop()
	requireQuota(t, m)
	assert.Equal(t, 1, m.fetches)
}

// wallClockVariable sets the wall clock of a member ahead by so many seconds.
const wallClockVariable = "FLEET_TEST_WALL_CLOCK"

// buildWithWallClock builds the example with a time.Now that reads this variable.
func buildWithWallClock(t *testing.T) (program string) {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	require.NoError(t, err)
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	source, err := os.ReadFile(original)
	require.NoError(t, err)
	const reading = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	require.Equal(t, 1, strings.Count(string(source), reading))
	changed := strings.Replace(string(source), reading, reading+"\tsec += wallClockOffset\n", 1)
	changed = strings.Replace(changed, "import (\n", "import (\n\t\"syscall\"\n", 1)
	changed += `
var wallClockOffset = func() int64 {
	text, _ := syscall.Getenv("` + wallClockVariable + `")
	seconds, _ := atoi(text)
	return int64(seconds)
}()
`
	folder := t.TempDir()
	replacement, overlay := filepath.Join(folder, "time.go"), filepath.Join(folder, "overlay.json")
	require.NoError(t, os.WriteFile(replacement, []byte(changed), 0o600))
	content, err := json.Marshal(map[string]any{"Replace": map[string]string{original: replacement}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, content, 0o600))
	program = filepath.Join(folder, "example")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-overlay="+overlay, "-o="+program, ".").CombinedOutput()
	require.NoError(t, err, string(output))
	return program
}

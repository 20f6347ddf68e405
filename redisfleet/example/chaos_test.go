package main

import (
	"encoding/binary"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/redisfleet/internal/redistest"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// windowAndHalf is how many requests a fleet sends in one and a half windows.
const windowAndHalf = 150

// TestStoppedMembers stops half of the members for longer than a window. They
// must not use the grants of before.
func TestStoppedMembers(t *testing.T) {
	t.Parallel()
	f := startFleet(t, redistest.Start(t).Address, setup{})
	f.await(windowAndHalf)
	f.signal(syscall.SIGSTOP)
	f.await(windowAndHalf)
	f.signal(syscall.SIGCONT)
	f.await(windowAndHalf)
	requireQuota(t, f.stop())
	assert.Less(t, longestSilence(f.tenant.log()), limitWindow/2, "the others don't wait for them")
}

// longestSilence returns the longest time between two requests to the API.
func longestSilence(log []request) (longest time.Duration) {
	var last time.Time
	for _, r := range log {
		if r.Path == tokenPath {
			continue
		}
		if !last.IsZero() {
			longest = max(longest, r.At.Sub(last))
		}
		last = r.At
	}
	return longest
}

func TestRedisLosesItsData(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := startFleet(t, server.Address, setup{})
	f.await(windowAndHalf)
	server.Restart(t)
	f.await(windowAndHalf)
	requireQuota(t, f.stop())
}

// TestRedisLosesItsDataUnnoticed shows that TestRedisLosesItsData would fail if
// the fleet didn't wait after a start of Redis.
func TestRedisLosesItsDataUnnoticed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := startFleet(t, server.Address, setup{environment: func(int) []string { return []string{noColdVariable + "=1"} }})
	f.await(windowAndHalf)
	server.Restart(t)
	f.await(windowAndHalf)
	m := f.stop()
	assert.Greater(t, m.window, limitRequests)
	assert.Positive(t, m.status429)
}

func TestRedisHasAnOldSnapshot(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := startFleet(t, server.Address, setup{})
	f.await(windowAndHalf)
	rdb := server.Client(t)
	require.NoError(t, rdb.Save(t.Context()).Err())
	f.await(60)
	server.Restart(t)
	require.NotZero(t, rdb.DBSize(t.Context()).Val(), "the snapshot is loaded")
	f.await(windowAndHalf)
	requireQuota(t, f.stop())
}

// clock is a wall clock of Redis that can be changed.
type clock string

// startWithClock starts a Redis with such a clock.
func startWithClock(t *testing.T) (*redistest.Server, clock) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("Run this test on Linux, which has LD_PRELOAD. The gate does.")
	}
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("Install a C compiler (apt-get install gcc) to run this test. The gate has one.")
	}
	library := filepath.Join(t.TempDir(), "clock.so")
	output, err := exec.CommandContext(t.Context(), compiler, "-shared", "-fPIC", "-o", library, "testdata/clock.c").CombinedOutput()
	require.NoError(t, err, string(output))
	c := clock(filepath.Join(t.TempDir(), "offset"))
	c.set(t, 0)
	server := redistest.StartWithEnv(t, []string{"LD_PRELOAD=" + library, "CLOCK_OFFSET_FILE=" + string(c)})
	return server, c
}

// set sets the clock, relative to the right time.
func (c clock) set(t *testing.T, offset time.Duration) {
	t.Helper()
	file, err := os.OpenFile(string(c), os.O_CREATE|os.O_WRONLY, 0o600) // not truncated, because Redis reads it
	require.NoError(t, err)
	defer file.Close()
	_, err = file.Write(binary.LittleEndian.AppendUint64(nil, uint64(offset.Microseconds())))
	require.NoError(t, err)
}

func TestRedisClockIsSetBack(t *testing.T) {
	t.Parallel()
	server, clock := startWithClock(t)
	f := startFleet(t, server.Address, setup{})
	f.await(windowAndHalf)
	clock.set(t, -time.Hour)
	assert.WithinDuration(t, time.Now().Add(-time.Hour), server.Client(t).Time(t.Context()).Val(), time.Minute)
	f.await(windowAndHalf)
	requireQuota(t, f.stop())
}

// TestRedisClockIsSetAhead sets the clock ahead by half a window. The member that
// waits next notices it. If it didn't, the fleet would wait after one 429.
func TestRedisClockIsSetAhead(t *testing.T) {
	t.Parallel()
	server, clock := startWithClock(t)
	f := startFleet(t, server.Address, setup{})
	f.await(windowAndHalf)
	clock.set(t, time.Duration(5/f.settings.speed*float64(time.Second)))
	f.await(2 * windowAndHalf)
	m := f.stop()
	assert.LessOrEqual(t, m.status429, 1)
	assert.LessOrEqual(t, m.window, limitRequests+m.status429)
}

func TestRequestsTakeDifferentTimes(t *testing.T) {
	t.Parallel()
	opts := setup{delay: 200 * time.Millisecond} // half of the slack
	if realistic() {
		opts.delay = 600 * time.Millisecond
	}
	f := startFleet(t, redistest.Start(t).Address, opts)
	f.await(3 * windowAndHalf)
	requireQuota(t, f.stop())
}

// TestOneMemberReceivesA429 checks that no member sends anything before its
// Retry-After has passed.
func TestOneMemberReceivesA429(t *testing.T) {
	t.Parallel()
	f := startFleet(t, redistest.Start(t).Address, setup{})
	f.await(windowAndHalf)
	f.tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 429, Header: http.Header{"Retry-After": {"10"}}})
	f.until("the fault is used", func() bool { return len(f.tenant.Unused()) == 0 })
	f.await(windowAndHalf)
	m := f.stop()
	assert.Equal(t, 1, m.status429)
	assert.LessOrEqual(t, m.window, limitRequests)

	log := f.tenant.log()
	i := 0
	for log[i].Status != http.StatusTooManyRequests {
		i++
	}
	// Requests that were on their way when the response came can't be held back.
	onTheWay := time.Duration(0.2 * f.settings.speed * float64(time.Second))
	rest := after(log, log[i].At.Add(onTheWay))
	assert.GreaterOrEqual(t, rest[0].At.Sub(log[i].At), 10*time.Second)
	assert.LessOrEqual(t, len(log)-i-1-len(rest), len(f.members), "requests on their way")
}

// after returns the requests after a time.
func after(log []request, at time.Time) (rest []request) {
	for _, r := range log {
		if r.At.After(at) {
			rest = append(rest, r)
		}
	}
	return rest
}

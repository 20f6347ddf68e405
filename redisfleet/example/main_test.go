package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint/redisfleet/internal/redistest"
)

// TestMain fails if a goroutine outlives the tests. With a role as its first
// argument, this program is a worker or the tenant of a test.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == workerRole || os.Args[1] == tenantRole) {
		os.Exit(runRole(context.Background(), os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

// realistic reports whether tests run as long as in real use.
func realistic() bool { return os.Getenv("SAILPOINT_TEST_EXHAUSTIVE") != "" }

// example runs the command. It returns the exit code, stdout and stderr.
func example(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errOut)
	t.Log(out.String(), errOut.String())
	return code, out.String(), errOut.String()
}

// lastLine reads the last line of the command.
func lastLine(t *testing.T, stdout string) (m measured) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	_, err := fmt.Sscanf(lines[len(lines)-1], "requests=%d status429=%d window=%d fetches=%d", &m.requests, &m.status429, &m.window, &m.fetches)
	require.NoError(t, err, stdout)
	return m
}

// load returns the size of a comparison. The long one is timed, so it runs alone.
func load(t *testing.T) (processes, calls int) {
	t.Helper()
	if realistic() {
		return 20, 5000
	}
	t.Parallel()
	return 8, 400
}

func TestFleet(t *testing.T) {
	processes, calls := load(t)
	server := redistest.Start(t)
	start := time.Now()
	code, stdout, stderr := example(t, fmt.Sprint("-processes=", processes), fmt.Sprint("-calls=", calls), "-speed=5", "-redis="+server.Address)
	assert.Equal(t, exitOK, code)
	assert.Empty(t, stderr)
	assert.Contains(t, stdout, fmt.Sprintf("%d, each with %d calls, on one fleet\n", processes, calls/processes))
	m := lastLine(t, stdout)
	assert.Equal(t, measured{requests: calls, window: m.window, fetches: 1}, m)
	assert.LessOrEqual(t, m.window, limitRequests)
	assert.Greater(t, m.window, limitRequests/2, "the quota is used")
	if realistic() {
		assert.Less(t, time.Since(start), 109*time.Second)
	}
}

func TestWithoutAFleet(t *testing.T) {
	processes, calls := load(t)
	code, stdout, stderr := example(t, fmt.Sprint("-processes=", processes), fmt.Sprint("-calls=", calls), "-speed=5", "-alone")
	assert.Equal(t, exitOK, code)
	assert.Empty(t, stderr)
	m := lastLine(t, stdout)
	assert.Equal(t, processes, m.fetches, "each process fetches a bearer")
	assert.Greater(t, m.window, limitRequests)
	assert.Positive(t, m.status429)
	if realistic() {
		assert.Greater(t, m.status429, 200)
	}
}

// TestFleetWithoutRedis checks that the command says what to do.
func TestFleetWithoutRedis(t *testing.T) {
	code, stdout, stderr := example(t, "-processes=1", "-calls=1", "-redis="+redistest.FreeAddress(t))
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "start one, for example with redis-server, or use -alone")
}

// TestMissed lists the results that make a fleet's exit code 1.
func TestMissed(t *testing.T) {
	good := measured{requests: 50, successful: 50, window: 100, fetches: 1}
	assert.NoError(t, good.missed(50))
	for want, spoil := range map[string]func(*measured){
		"50 calls took 51 requests":                 func(m *measured) { m.requests++ },
		"49 of 50 calls were successful":            func(m *measured) { m.successful-- },
		"1 requests got a 429":                      func(m *measured) { m.status429++ },
		"the fleet sent 101 requests in one window": func(m *measured) { m.window++ },
		"the fleet fetched 2 bearers":               func(m *measured) { m.fetches++ },
	} {
		m := good
		spoil(&m)
		assert.EqualError(t, m.missed(50), want)
	}
}

func TestUsage(t *testing.T) {
	for name, args := range map[string][]string{
		"an argument":     {"fast"},
		"an unknown flag": {"-fast"},
		"no processes":    {"-processes=0"},
		"too few calls":   {"-processes=9", "-calls=8"},
		"too slow":        {"-speed=0.5"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := example(t, args...)
			assert.Equal(t, exitUsage, code)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, "-processes")
		})
	}
}

// runRole is a process of a test. It is like that of the command, but for the
// faults that the environment asks for.
func runRole(ctx context.Context, args []string) int {
	logging.Disable()
	if args[0] == tenantRole {
		return run(ctx, args, os.Stdin, os.Stdout, os.Stderr)
	}
	s, err := parse(args[1:], os.Stderr)
	if err != nil {
		return exitUsage
	}
	rdb := newRedis(s.redis)
	if err := addFaults(rdb); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	if err := runWorker(untilEnd(ctx, os.Stdin), s, rdb, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	return exitOK
}

package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/redisfleet/internal/redistest"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

const (
	lease     = 10 * time.Second // of the member that was elected to fetch
	tokenPath = "/oauth/token"
)

// TestFetcherIsKilled kills the first member before and after each of its
// scripts. The first script elects it to fetch the bearer, the second stores the
// bearer, and the third asks for the time of a request.
func TestFetcherIsKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for at, fetches := range map[string]int{
		"before 1": 1,
		"after 1":  1,
		"before 2": 2,
		"after 2":  1,
		"before 3": 1,
		"after 3":  1,
	} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			f := startFleet(t, server.Address, setup{oneMember: true, begun: true, calls: 4, environment: func(member int) []string {
				if member > 0 {
					return nil
				}
				return []string{killVariable + "=" + at}
			}})
			_, err := f.members[0].cmd.Process.Wait()
			require.NoError(t, err)
			f.startOthers()
			requireServed(t, f, time.Now())
			assert.Equal(t, fetches, f.stop().fetches)
		})
	}
}

// TestFetcherIsKilledWhileItFetches kills the elected member after the token
// endpoint has received its request.
func TestFetcherIsKilledWhileItFetches(t *testing.T) {
	t.Parallel()
	f := startFetch(t)
	require.NoError(t, f.members[0].cmd.Process.Kill())
	f.startOthers()
	requireServed(t, f, time.Now())
	assert.Equal(t, 2, f.stop().fetches)
}

// TestFetcherIsStoppedWhileItFetches stops the elected member for longer than
// its lease.
func TestFetcherIsStoppedWhileItFetches(t *testing.T) {
	t.Parallel()
	f := startFetch(t)
	require.NoError(t, f.members[0].cmd.Process.Signal(syscall.SIGSTOP))
	f.startOthers()
	requireServed(t, f, time.Now())
	require.NoError(t, f.members[0].cmd.Process.Signal(syscall.SIGCONT))
	f.until("the stopped member is served too", func() bool { return served(f)["worker-0"] })
	m := f.stop()
	assert.Equal(t, 2, m.fetches)
	assert.Zero(t, m.status429)
}

// startFetch starts the first member of a fleet, and returns while it waits for
// the token endpoint.
func startFetch(t *testing.T) *fleet {
	t.Helper()
	server := redistest.Start(t)
	f := startFleet(t, server.Address, setup{oneMember: true, begun: true, calls: 4, fault: sailpointtest.Fault{Path: tokenPath, Delay: time.Second}})
	f.until("the first member fetches", func() bool { return len(f.tenant.Requests()) > 0 })
	return f
}

// requireServed waits until all members but the first have made a call. They may
// wait for a lease, and a second more.
func requireServed(t *testing.T, f *fleet, since time.Time) {
	t.Helper()
	f.until("the others are served", func() bool {
		names := served(f)
		delete(names, "worker-0")
		return len(names) == f.settings.processes-1
	})
	after := time.Since(since)
	t.Logf("the others are served after %.1f s", after.Seconds())
	assert.Less(t, after, lease+time.Second)
}

// served returns the members that have made a successful call.
func served(f *fleet) map[string]bool {
	names := map[string]bool{}
	for _, r := range f.tenant.log() {
		if r.Path != tokenPath && r.Status == http.StatusOK {
			name, _, _ := strings.Cut(r.UserAgent, " ")
			names[name] = true
		}
	}
	return names
}

// TestBearersExpire renews bearers before they expire. One member fetches each.
func TestBearersExpire(t *testing.T) {
	t.Parallel()
	validity := 6 * time.Second
	if realistic() {
		validity = 24 * time.Second
	}
	f := startFleet(t, redistest.Start(t).Address, setup{
		unlimited: true, token: sailpoint.PersonalAccessToken{AccessTokenValiditySeconds: int(validity.Seconds())},
	})
	began := time.Now()
	f.until("bearers expire", func() bool { return time.Since(began) > validity*70/24 })
	m := f.stop()
	assert.Equal(t, 4, m.fetches, "a client renews a bearer after three quarters of its lifetime")
	assert.Equal(t, m.requests, m.successful)
	assert.Greater(t, m.requests, 2*limitRequests)
}

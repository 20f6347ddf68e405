package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// patience bounds every wait of a test.
const patience = 3 * time.Minute

// setup describes a fleet of a test. The zero value is a fleet without faults.
type setup struct {
	delay       time.Duration             // each request takes up to this long to the tenant
	environment func(member int) []string // makes members faulty
	program     string                    // of the members, if it isn't this one
	token       sailpoint.PersonalAccessToken
	fault       sailpointtest.Fault // of the tenant, if it isn't zero
	calls       int                 // of each member; the default is to make calls until stop
	oneMember   bool                // until startOthers
	begun       bool                // the fleet has waited for its first window
	unlimited   bool                // the tenant has no rate limit and a real clock
}

// fleet is a fleet of a test. Its members are processes. The tenant is in this
// process.
type fleet struct {
	t        *testing.T
	setup    setup
	settings settings
	tenant   *tenant
	baseURL  string
	id       string // of the fleet's PAT
	secret   sailpoint.Secret
	arrived  atomic.Int64 // requests to the API
	members  []*process
}

// startFleet starts the members. They make calls until stop. By default they are
// few, and the tenant's clock is fast, so that tests are short. The slack then
// allows for a busy machine. A realistic fleet has the defaults of the API and of
// redisfleet.
func startFleet(t *testing.T, redis string, opts setup) *fleet {
	t.Helper()
	f := &fleet{t: t, setup: opts, settings: settings{processes: 8, speed: 5, slack: 400 * time.Millisecond, redis: redis}}
	if realistic() {
		f.settings = settings{processes: 20, speed: 1, redis: redis}
	}
	if opts.unlimited {
		f.tenant = &tenant{sailpointtest.NewTenant(), 1}
	} else {
		f.tenant = newTenant(f.settings.speed)
	}
	f.id, f.secret = f.tenant.Add(opts.token)
	if opts.fault.Path != "" {
		f.tenant.Inject(opts.fault)
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.baseURL = server.URL
	t.Cleanup(func() {
		for _, m := range f.members {
			_ = m.cmd.Process.Kill() // also if it is stopped
			m.stop()
		}
	})
	if opts.begun {
		f.begin()
	}
	f.startMember()
	if !opts.oneMember {
		f.startOthers()
	}
	return f
}

// begin uses the quota once, without a bearer.
func (f *fleet) begin() {
	f.t.Helper()
	rdb := newRedis(f.settings.redis)
	defer rdb.Close()
	cfg, err := join(sailpoint.Config{BaseURL: f.baseURL, ClientID: f.id, ClientSecret: f.secret}, f.settings, rdb)
	require.NoError(f.t, err)
	require.NoError(f.t, cfg.Limiter.Wait(f.t.Context()))
}

func (f *fleet) startOthers() {
	f.t.Helper()
	for len(f.members) < f.settings.processes {
		f.startMember()
	}
}

func (f *fleet) startMember() {
	f.t.Helper()
	i := len(f.members)
	environment := append(credentials(f.baseURL, f.id, f.secret), workerEnv(i))
	if f.setup.environment != nil {
		environment = append(environment, f.setup.environment(i)...)
	}
	program := f.setup.program
	if program == "" {
		var err error
		program, err = os.Executable()
		require.NoError(f.t, err)
	}
	m, err := startProgram(f.t.Context(), program, environment, f.settings.arguments(cmp.Or(f.setup.calls, math.MaxInt32))...)
	require.NoError(f.t, err)
	f.members = append(f.members, m)
}

// ServeHTTP is the way to the tenant.
func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/oauth/token" {
		f.arrived.Add(1)
		if f.setup.delay > 0 {
			<-time.After(rand.N(f.setup.delay))
		}
	}
	f.tenant.ServeHTTP(w, r)
}

// await waits until so many more requests have arrived.
func (f *fleet) await(requests int) {
	f.t.Helper()
	want := f.arrived.Load() + int64(requests)
	f.until("the fleet sends requests", func() bool { return f.arrived.Load() >= want })
}

func (f *fleet) until(what string, ready func() bool) {
	f.t.Helper()
	require.Eventually(f.t, ready, patience, 5*time.Millisecond, what)
}

// signal sends a signal to the first half of the members.
func (f *fleet) signal(signal syscall.Signal) {
	f.t.Helper()
	for _, m := range f.members[:len(f.members)/2] {
		require.NoError(f.t, m.cmd.Process.Signal(signal))
	}
}

// stop ends the members and returns what the tenant's log shows.
func (f *fleet) stop() measured {
	f.t.Helper()
	for _, m := range f.members {
		_ = m.stdin.Close()
	}
	failed := map[string]int{}
	for _, m := range f.members {
		var r report
		if m.read(&r) == nil { // it fails if the member was killed
			for reason, n := range r.Failed {
				failed[reason] += n
			}
		}
	}
	log := f.tenant.log()
	m := measure(log)
	f.t.Logf("%d members for %s of the tenant: %v, failed calls: %v", len(f.members), fmt.Sprint(log[len(log)-1].At.Sub(log[0].At).Round(time.Second)), m, failed)
	return m
}

// requireQuota fails if the fleet exceeded the quota, or never used it.
func requireQuota(t *testing.T, m measured) {
	t.Helper()
	assert.Zero(t, m.status429, "429s")
	assert.LessOrEqual(t, m.window, limitRequests, "requests in any window")
	assert.Greater(t, m.window, limitRequests/2, "the fleet uses its quota")
}

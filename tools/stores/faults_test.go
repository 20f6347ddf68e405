package stores_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/faultproxy"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/storetest"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// save saves a credential over what is stored.
func save(t *testing.T, s lifecycle.Store, id string) error {
	t.Helper()
	now, err := s.Load(t.Context())
	require.NoError(t, err)
	return s.Save(t.Context(), lifecycle.Credential{ID: id, Secret: sailpoint.NewSecret("5ecf00d1-" + id), Note: "note of " + id, Version: now.Version})
}

func checkSave(t *testing.T, s lifecycle.Store) error {
	t.Helper()
	checker, ok := s.(lifecycle.SaveChecker)
	require.True(t, ok)
	return checker.CheckSave(t.Context())
}

// faulty is a store with a fault at its n-th operation.
type faulty struct {
	lifecycle.Store
	at, operations int
	fault          func()
}

func (f *faulty) step() {
	if f.operations++; f.operations == f.at {
		f.fault()
	}
}

func (f *faulty) Load(ctx context.Context) (lifecycle.Credential, error) {
	f.step()
	return f.Store.Load(ctx)
}

func (f *faulty) Save(ctx context.Context, c lifecycle.Credential) error {
	f.step()
	return f.Store.Save(ctx, c)
}

func (f *faulty) CheckSave(ctx context.Context) error {
	f.step()
	if checker, ok := f.Store.(lifecycle.SaveChecker); ok {
		return checker.CheckSave(ctx)
	}
	return nil
}

// world is a tenant in memory, a client of it, and a place for the secret.
type world struct {
	tenant *sailpointtest.Tenant
	client *sailpoint.Client
	place  storetest.Place
}

func newWorld(t *testing.T, place storetest.Place) *world {
	t.Helper()
	tenant := sailpointtest.NewTenant()
	client, err := sailpoint.NewClient(tenant.Config())
	require.NoError(t, err)
	return &world{tenant, client, place}
}

// operations are the calls that faults are injected into.
var operations = map[string]func(w *world, ctx context.Context, s lifecycle.Store) (*lifecycle.Result, error){
	"issue": func(w *world, ctx context.Context, s lifecycle.Store) (*lifecycle.Result, error) {
		return lifecycle.Issue(ctx, w.client, sailpoint.CreatePersonalAccessTokenRequest{
			Name: "deploy", Scope: []string{"sp:my-personal-access-tokens:manage"}, ExpirationDate: time.Now().AddDate(0, 3, 0),
		}, s)
	},
	"rotate": func(w *world, ctx context.Context, s lifecycle.Store) (*lifecycle.Result, error) {
		return lifecycle.Rotate(ctx, w.client, s, lifecycle.RotateOptions{})
	},
}

// requireWorking returns what is stored. A tenant accepts it.
func (w *world) requireWorking(t *testing.T, what string) lifecycle.Credential {
	t.Helper()
	stored, err := w.place.Open().Load(t.Context())
	require.NoError(t, err, what)
	client, err := w.client.WithCredentials(stored.ID, stored.Secret)
	require.NoError(t, err, what)
	_, err = client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
	require.NoError(t, err, "%s: the stored secret does not work", what)
	return stored
}

// requireSettled fails unless there is one token in addition to the client's
// own, and its secret is stored and works.
func (w *world) requireSettled(t *testing.T, what string) {
	t.Helper()
	stored := w.requireWorking(t, what)
	var tokens []string
	for _, token := range w.tenant.Tokens() {
		if token.ID != w.client.ClientID() {
			tokens = append(tokens, token.Name+" "+token.ID)
		}
	}
	require.Equal(t, []string{"deploy " + stored.ID}, tokens, what)
}

// fault is what happens to a store that is in use. undo ends it.
type fault struct {
	name   string
	inject func(p storetest.Place, proxy *faultproxy.Proxy) (undo func())
}

func setMode(mode faultproxy.Mode) func(storetest.Place, *faultproxy.Proxy) func() {
	return func(_ storetest.Place, proxy *faultproxy.Proxy) func() {
		proxy.Set(mode)
		return func() { proxy.Set(faultproxy.Pass) }
	}
}

var faults = []fault{
	{"ResponseLost", setMode(faultproxy.CutResponse)},
	{"ResponsesLost", setMode(faultproxy.CutResponses)},
	{"RequestsLost", setMode(faultproxy.CutRequests)},
	{"ServerKilled", func(p storetest.Place, _ *faultproxy.Proxy) func() {
		p.Restart()
		return func() {}
	}},
	// The server is killed during the operation. Its response is cut, and later
	// operations find no server.
	{"ServerKilledMeanwhile", func(p storetest.Place, proxy *faultproxy.Proxy) func() {
		proxy.Set(faultproxy.HoldResponses)
		restarted := make(chan struct{})
		go func() {
			defer close(restarted)
			time.Sleep(50 * time.Millisecond) // the server carries out the request
			p.Restart()
			proxy.Set(faultproxy.Pass)
		}()
		return func() { <-restarted }
	}},
	{"RightsRevoked", func(p storetest.Place, _ *faultproxy.Proxy) func() { return p.Deny() }},
}

// maxOperation is above the number of store operations in a call of Issue or
// Rotate without a fault.
const maxOperation = 7

// testFaults injects each fault at each store operation of Issue and of Rotate.
// After each, what is stored works, and one clean run leaves exactly one
// working token.
func testFaults(t *testing.T, newPlace func(t *testing.T) storetest.Place) {
	injected := 0
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			for _, operation := range slices.Sorted(func(yield func(string) bool) { _ = yield("issue") && yield("rotate") }) {
				reached := 0
				for at := 1; at <= maxOperation; at++ {
					if !injectFault(t, newPlace(t), f, operation, at) {
						break
					}
					reached = at
				}
				assert.Greater(t, reached, 3, "%s: too few operations of the store were seen", operation)
				assert.Less(t, reached, maxOperation, "%s: more operations than were tried", operation)
				injected += reached
			}
		})
	}
	t.Run("TwoInstances", func(t *testing.T) { testTwoInstances(t, newPlace(t)) })
	t.Logf("%d faults injected", injected)
}

// injectFault reports whether the operation came to its at-th use of the store.
func injectFault(t *testing.T, p storetest.Place, f fault, operation string, at int) bool {
	t.Helper()
	what := fmt.Sprintf("%s with %s at %d", operation, f.name, at)
	w := newWorld(t, p)
	proxy, err := faultproxy.New(p.Address)
	require.NoError(t, err)
	defer proxy.Close()
	if operation == "rotate" {
		_, err := operations["issue"](w, t.Context(), p.Open())
		require.NoError(t, err, what)
	}
	undo := func() {}
	s := &faulty{Store: p.OpenAt(proxy.Address), at: at, fault: func() { undo = f.inject(p, proxy) }}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, err = operations[operation](w, ctx, s)
	undo()
	if s.operations < at {
		require.NoError(t, err, what)
		return false
	}
	if operation == "rotate" {
		w.requireWorking(t, what)
		_, err = lifecycle.Rotate(t.Context(), w.client, p.Open(), lifecycle.RotateOptions{IfOlderThan: time.Hour})
	} else {
		_, err = operations["issue"](w, t.Context(), p.Open())
	}
	require.NoError(t, err, "%s: the clean run", what)
	w.requireSettled(t, what)
	return true
}

// testTwoInstances runs two instances of the same job at once.
func testTwoInstances(t *testing.T, p storetest.Place) {
	w := newWorld(t, p)
	outcomes := map[string]int{}
	for round := range 16 {
		operation := "rotate"
		if round == 0 {
			operation = "issue"
		}
		results, errs := make([]*lifecycle.Result, 2), make([]error, 2)
		var group sync.WaitGroup
		for i := range 2 {
			s := p.Open()
			group.Go(func() { results[i], errs[i] = operations[operation](w, t.Context(), s) })
		}
		group.Wait()
		for i, err := range errs {
			var failure *lifecycle.Error
			switch {
			case err == nil:
				outcomes[string(results[i].Outcome)]++
			case assert.ErrorAs(t, err, &failure):
				outcomes["failed at "+string(failure.Step)]++
			}
		}
		assert.True(t, errs[0] == nil || errs[1] == nil || round > 0, "of two that issue one succeeds: %v", errors.Join(errs...))
		w.requireWorking(t, fmt.Sprint("after round ", round))
	}
	t.Log(outcomes)
	_, err := lifecycle.Rotate(t.Context(), w.client, p.Open(), lifecycle.RotateOptions{IfOlderThan: time.Hour})
	require.NoError(t, err)
	w.requireSettled(t, "after two instances")
}

package main

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/examples/internal/targettest"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRotateInMemory(t *testing.T) {
	targettest.Serve(t, nil)
	t.Chdir(t.TempDir())
	code, stdout, stderr := targettest.Run(t, run)
	require.Zero(t, code, stderr)
	assert.Regexp(t, `^rotated: [0-9a-f]{32}, "deploy"\n$`, stdout)
	for _, args := range [][]string{{"-own"}, {"-own", "-grace", "1h"}} {
		code, stdout, stderr = targettest.Run(t, run, args...)
		require.Zero(t, code, stderr)
	}
	assert.Regexp(t, `^pending: [0-9a-f]{32}, "deploy-next-[0-9a-f]{24}"\n[0-9a-f]{32} stays valid until \d{4}-`, stdout)
	left, err := filepath.Glob("*")
	require.NoError(t, err)
	assert.Empty(t, left)
}

// TestStoreFileDayByDay keeps one tenant and one file over several runs.
func TestStoreFileDayByDay(t *testing.T) {
	tenant := sailpointtest.NewTenant()
	targettest.Serve(t, tenant)
	store := lifecycle.FileStore{Path: filepath.Join(t.TempDir(), "deploy.json")}
	day := func(code int, want string, args ...string) {
		t.Helper()
		got, stdout, stderr := targettest.Run(t, run, append(args, "-store", store.Path)...)
		require.Equal(t, code, got, stderr)
		assert.Contains(t, stdout+stderr, want)
	}
	day(0, "issued: ")
	first, err := store.Load(t.Context())
	require.NoError(t, err)
	day(0, "unchanged: "+first.ID, "-own")
	tenant.Inject(sailpointtest.Fault{Method: "POST", Path: "/v2024/personal-access-tokens", Status: 429, Header: map[string][]string{"Retry-After": {"999"}}})
	day(1, "rotate: create: ", "-older", "0s", "-own")
	day(0, "rotated: ", "-older", "0s", "-own")
	second, err := store.Load(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, first.ID, second.ID)
	require.Len(t, tenant.Tokens(), 2, "the administrator's token and the stored token")
	assert.Equal(t, second.ID, tenant.Tokens()[1].ID)
}

func TestExitCodes(t *testing.T) {
	const create, item = "/v2024/personal-access-tokens", "/v2024/personal-access-tokens/{id}"
	past := time.Now().Add(-time.Hour)
	inject := func(faults ...sailpointtest.Fault) func(*sailpointtest.Tenant) {
		return func(tenant *sailpointtest.Tenant) { tenant.Inject(faults...) }
	}
	for name, tt := range map[string]struct {
		prepare func(*sailpointtest.Tenant)
		args    []string
		code    int
		out     string
	}{
		"the name is taken": {func(tenant *sailpointtest.Tenant) { tenant.Add(sailpoint.PersonalAccessToken{Name: "deploy"}) }, nil, 3, "another token has the name"},
		"no free slot": {func(tenant *sailpointtest.Tenant) {
			for range 9 {
				tenant.Add(sailpoint.PersonalAccessToken{})
			}
		}, nil, 3, "no free token slot"},
		"the client's token has expired": {func(tenant *sailpointtest.Tenant) {
			seed := tenant.Tokens()[0]
			seed.ExpirationDate = &past
			tenant.Add(seed)
		}, nil, 3, "give the client credentials that the tenant accepts and run it again"},
		"the bearer is rejected": {
			inject(sailpointtest.Fault{Method: "GET", Status: 401}, sailpointtest.Fault{Method: "GET", Status: 401}),
			nil, 3, "give the client credentials that the tenant accepts and run it again",
		},
		"no right":           {inject(sailpointtest.Fault{Method: "POST", Path: create, Status: 403}), nil, 3, "get the missing right granted"},
		"a rejected request": {inject(sailpointtest.Fault{Method: "POST", Path: create, Status: 400}), nil, 3, "change what the tenant rejects"},
		"a rejected name":    {inject(sailpointtest.Fault{Method: "PATCH", Path: item, Status: 400}), nil, 3, "change what the tenant rejects"},
		"another scope": {
			inject(sailpointtest.Fault{Method: "POST", Path: create, Body: `{"id":"a1","name":"x","secret":"0123456789","scope":["other"]}`}),
			nil, 3, "choose a name, scope, validity and expiry that the tenant keeps unchanged",
		},
		"the tenant is rate limited": {
			inject(slices.Repeat([]sailpointtest.Fault{{Method: "GET", Status: 429, Header: map[string][]string{"Retry-After": {"999"}}}}, 4)...),
			nil, 1, "429",
		},
		"no scope":            {func(*sailpointtest.Tenant) {}, []string{"-scope", ""}, 2, "list the scopes"},
		"unexpected argument": {func(*sailpointtest.Tenant) {}, []string{"deploy"}, 2, "deploy"},
		"unknown flag":        {func(*sailpointtest.Tenant) {}, []string{"-x"}, 2, "-x"},
		"help":                {func(*sailpointtest.Tenant) {}, []string{"-help"}, 0, "-grace"},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := sailpointtest.NewTenant()
			targettest.Serve(t, tenant)
			tt.prepare(tenant)
			code, _, stderr := targettest.Run(t, run, append(tt.args, "-store", filepath.Join(t.TempDir(), "deploy.json"))...)
			assert.Equal(t, tt.code, code, stderr)
			assert.Contains(t, stderr, tt.out)
			if tt.code == 1 || tt.code == 3 { // the advice must match the exit code
				assert.Equal(t, tt.code == 1, strings.HasSuffix(strings.TrimSuffix(strings.TrimSpace(stderr), "; nothing was changed"), "; run it again"), stderr)
			}
		})
	}
}

// TestExitCodeOfARejectedNewSecret expects 1, because the run deletes the new
// token and the next run creates another.
func TestExitCodeOfARejectedNewSecret(t *testing.T) {
	assert.Equal(t, 1, exitCode(errors.Join(lifecycle.ErrNewSecretRejected, sailpoint.ErrInvalidCredentials)))
	assert.Equal(t, 3, exitCode(errors.Join(lifecycle.ErrStoredCredential, sailpoint.ErrInvalidCredentials)))
}

package storetest

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint/internal/sampletest"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// TestMain fails if a goroutine outlives the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wrongStores are faults of a store, by the check that must find them, and the
// text of its failure.
var wrongStores = map[string]map[string]string{
	"Empty": {
		"nothing stored is an error":         "status 404",
		"no version where nothing is stored": "Load returned an empty Version",
	},
	"Unchanged": {
		"trims":           "another Secret than was saved",
		"keeps 255 bytes": "another Secret than was saved",
		"drops the note":  "another Note than was saved",
		"writes later":    "than was saved",
	},
	"Versions": {
		"version is a digest of the secret":    "existed before",
		"versions repeat":                      "existed before",
		"ignores a write that changes nothing": "existed before",
	},
	"Stale": {
		"compares nothing":              "returned nil instead of ErrStoreConflict",
		"a conflict is no error":        "returned nil instead of ErrStoreConflict",
		"loads again and saves over it": "returned nil instead of ErrStoreConflict",
		"a conflict is any error":       "returned status 409",
		"the error repeats the request": "the error contains the secret",
	},
	"Foreign": {"an unknown version is none": "returned nil instead of ErrStoreConflict or ErrNotStored"},
	"NoVersion": {
		"ignores a write without version": "not stored or has no new Version",
	},
	"Fence": {
		"refuses a write without id": "a Save without ID returned an error",
		"ignores a write without id": `version "v0" after a Save without ID over version "v0"`,
	},
	"First": {
		"compares, then writes":           "but another Credential is stored",
		"a create replaces what is there": "but another Credential is stored",
	},
	"Count": {"caches": "Saves in turn returned ErrStoreConflict"},
	"Torn": {
		"reads the version apart": "different contents with version",
		"writes in two parts":     "parts of two Saves",
	},
	"Ended": {"an ended context is an empty store": "Load returned no error and another Credential"},
	"CheckSave": {
		"the check writes":       "was stored, and Load returned",
		"the check always fails": "in an empty place: no check",
	},
	"Unreachable": {
		"an error is an empty store": "Load returned no error",
	},
	"Hanging": {
		"ignores the context":         "did not return when its context ended",
		"continues after its context": "is stored, but Save returned",
	},
	"LostResponse": {
		"retries a write":           "is stored, but Save returned",
		"every error is not stored": "is stored, but Save returned",
	},
	"LostRequest": {"sends the request later": "the client sent it again later"},
	"Denied": {
		"any status is an empty store": "Load returned no error",
		"the check always allows":      "CheckSave returned nil",
		"any refusal is a conflict":    "Save returned lifecycle: the store has been written",
	},
	"Restart": {"keeps nothing over a crash": "was stored, and Load returned"},
	"Cleared": {"a deletion counts anew": "with a version from before the deletion"},
	"Spoiled": {
		"invalid JSON is an empty store":       "Load returned no error",
		"the error of invalid JSON repeats it": "contains what is stored",
	},
}

// TestCorrectStorePasses runs every check, also those that need a server.
func TestCorrectStorePasses(t *testing.T) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), checkTimeout)
				defer cancel()
				require.NoError(t, c.run(ctx, newRegister(t, "")))
			})
		})
	}
}

// TestWrongStoresAreCaught runs the check that is named for each wrong store.
// By default the seed chooses one store for each check.
func TestWrongStoresAreCaught(t *testing.T) {
	t.Parallel()
	total := 0
	for _, c := range checks {
		faults := wrongStores[c.name]
		require.NotEmpty(t, faults, "a check that finds nothing: %s", c.name)
		total += len(faults)
		names := slices.Sorted(maps.Keys(faults))
		t.Run(c.name, func(t *testing.T) {
			first, step := sampletest.Choose(t, len(names))
			for n := first; n < len(names); n += step {
				t.Run(names[n], func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						ctx, cancel := context.WithTimeout(t.Context(), checkTimeout)
						defer cancel()
						assert.ErrorContains(t, c.run(ctx, newRegister(t, names[n])), faults[names[n]])
					})
				})
			}
		})
	}
	assert.GreaterOrEqual(t, total, 35)
	assert.Len(t, wrongStores, len(checks), "a check that does not exist")
}

// TestChecksSayWhyTheyAreSkipped shows in addition that the other checks need
// only Open.
func TestChecksSayWhyTheyAreSkipped(t *testing.T) {
	t.Parallel()
	var skipped []string
	for _, c := range checks {
		memory := &lifecycle.MemoryStore{}
		err := c.run(t.Context(), Place{Open: func() lifecycle.Store { return memory }})
		if err != nil && assert.ErrorAs(t, err, new(skipError), c.name) {
			skipped = append(skipped, c.name+": "+err.Error())
		}
	}
	assert.Equal(t, []string{
		"CheckSave: the store has no CheckSave", "Unreachable: Place.OpenAt is not set", "Hanging: Place.OpenAt is not set", "LostResponse: Place.OpenAt is not set",
		"LostRequest: Place.OpenAt is not set", "Denied: Place.Deny is not set", "Restart: Place.Restart is not set",
		"Cleared: Place.Clear is not set", "Spoiled: Place.Spoil is not set",
	}, skipped)
}

// forgetful is a store that loses the Note.
type forgetful struct{ lifecycle.MemoryStore }

func (f *forgetful) Save(ctx context.Context, c lifecycle.Credential) error {
	c.Note = ""
	return f.MemoryStore.Save(ctx, c)
}

// TestRunReports checks in a process of its own that failures, skips and
// incomplete places are reported.
func TestRunReports(t *testing.T) {
	if os.Getenv("SAILPOINT_TEST") == "report" {
		t.Run("Wrong", func(t *testing.T) {
			Run(t, func(*testing.T) Place {
				f := &forgetful{}
				return Place{Open: func() lifecycle.Store { return f }}
			})
		})
		t.Run("NoOpen", func(t *testing.T) { Run(t, func(*testing.T) Place { return Place{} }) })
		t.Run("NoOpenAt", func(t *testing.T) {
			Run(t, func(*testing.T) Place {
				return Place{Open: func() lifecycle.Store { return &lifecycle.MemoryStore{} }, Address: "127.0.0.1:1"}
			})
		})
		return
	}
	program, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), program, "-test.run=^TestRunReports$", "-test.v")
	command.Env = append(os.Environ(), "SAILPOINT_TEST=report")
	out, err := command.CombinedOutput()
	assert.ErrorAs(t, err, new(*exec.ExitError))
	for _, line := range []string{
		"--- PASS: TestRunReports/Wrong/Empty ",
		"--- FAIL: TestRunReports/Wrong/Unchanged ",
		"Load returns ID, Secret and Note exactly as they were saved.\n",
		"However: with \"\" around the secret: Load returned another Note than was saved\n",
		"--- SKIP: TestRunReports/Wrong/Restart ",
		"Place.Restart is not set\n",
		"--- FAIL: TestRunReports/NoOpen/Empty ",
		"set Place.Open\n",
		"--- FAIL: TestRunReports/NoOpenAt/Empty ",
		"set Place.Address and Place.OpenAt together, or neither\n",
	} {
		assert.Contains(t, string(out), line)
	}
}

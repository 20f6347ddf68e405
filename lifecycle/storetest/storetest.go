// Package storetest checks that a [lifecycle.Store] with versions does what its
// documentation requires. It fails for a store without versions.
//
// The author of a store calls [Run] from a test:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Place {
//			path := newPath(t) // where nothing is stored yet
//			return storetest.Place{
//				Open: func() lifecycle.Store { return &mystore.Store{Path: path} },
//			}
//		})
//	}
//
// Open alone runs half of the checks. Each further field of [Place] that is set
// runs more of them. If the store has a server, set Address and OpenAt. The
// checks that need them cut and hold connections, and find the faults that cost
// people their tokens.
package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sailpoint-go/sailpoint/internal/faultproxy"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// Place is where a store keeps one [lifecycle.Credential], such as one path of
// a server. It must be empty at first. If a field is not set, the checks that
// need it are skipped.
type Place struct {
	// Open returns a new store for this place. Open must be set. The stores
	// that it returns must share no client, cache or connection, as if each
	// were in another process.
	Open func() lifecycle.Store
	// Address is the TCP address of the server, such as 127.0.0.1:8200. Set it
	// together with OpenAt.
	Address string
	// OpenAt returns a new store as Open does, but one that connects to address
	// instead of Address. A proxy listens at address. It passes connections on
	// to Address, or holds or cuts them. It changes no bytes, so TLS works if
	// the store still expects the certificate of the server.
	OpenAt func(address string) lifecycle.Store
	// Restart kills the server without a warning and starts it again at the
	// same address. It returns when the server is ready.
	Restart func()
	// Deny withdraws the rights to read and write from every store of this
	// place, including stores that are already open. restore grants them again.
	// Each returns when the change is in effect.
	Deny func() (restore func())
	// Clear deletes what is stored without using the store, as a person would
	// with the server's own tools.
	Clear func()
	// Spoil replaces what is stored by something that is not a credential and
	// contains the text 5ecf00d1. The check fails if an error contains that
	// text.
	Spoil func()

	network faultproxy.Network
}

// checkTimeout bounds one check. Most take milliseconds. Those that wait for a
// store to give up take seconds.
const checkTimeout = 2 * time.Minute

// Run runs each check as a subtest. It calls newPlace once for each check, and
// newPlace must return another empty place each time. The failure text of a
// check begins with the rule that the store broke.
func Run(t *testing.T, newPlace func(t *testing.T) Place) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			place := newPlace(t)
			if place.Open == nil {
				t.Fatal("storetest: set Place.Open")
			}
			if (place.Address == "") != (place.OpenAt == nil) {
				t.Fatal("storetest: set Place.Address and Place.OpenAt together, or neither")
			}
			ctx, cancel := context.WithTimeout(t.Context(), checkTimeout)
			defer cancel()
			switch err := c.run(ctx, place); {
			case errors.As(err, new(skipError)):
				t.Skip(err)
			case err != nil:
				t.Errorf("%s.\nHowever: %v", c.rule, err)
			}
		})
	}
}

// skipError says why a check can't run.
type skipError string

func (e skipError) Error() string { return string(e) }

func notSet(field string) error { return skipError("Place." + field + " is not set") }

// check is one rule and the function that finds out whether a store keeps it.
type check struct {
	name, rule string
	run        func(context.Context, Place) error
}

var checks = []check{
	{"Empty", "Load of an empty place returns no error, no ID and a Version", checkEmpty},
	{"Unchanged", "Load returns ID, Secret and Note exactly as they were saved", checkUnchanged},
	{"Versions", "Each Save that takes effect makes a Version that never existed before, even if ID and Secret stay the same", checkVersions},
	{"Stale", "A Save with an outdated Version returns ErrStoreConflict and changes nothing", checkStale},
	{"Foreign", "A Save with a Version that no Load returned changes nothing", checkForeign},
	{"NoVersion", "A Save without a Version stores the Credential, or returns ErrNotStored", checkNoVersion},
	{"Fence", "A Save of a Credential without ID and Secret to an empty place is stored and makes a new Version", checkFence},
	{"First", "Of several concurrent Saves to an empty place exactly one succeeds", checkFirst},
	{"Count", "No Save that returned nil is lost, and none that returned ErrStoreConflict takes effect", checkCount},
	{"Torn", "Load returns the ID, Secret, Note and Version of one Save", checkTorn},
	{"Ended", "Load and Save return no wrong result when their context has ended before the call", checkEnded},
	{"CheckSave", "CheckSave returns nil where a Save succeeds, and changes nothing", checkCheckSave},
	{"Unreachable", "Without its server Load returns an error, not an empty Credential", checkUnreachable},
	{"Hanging", "Load and Save return when their context ends, and Save then claims nothing that is wrong", checkHanging},
	{"LostResponse", "Save returns ErrStoreConflict or ErrNotStored only if nothing was changed, even if a response is lost", checkLostResponse},
	{"LostRequest", "A Save whose request never reached the server stores nothing later", checkLostRequest},
	{"Denied", "Without rights Load returns an error, not an empty Credential, Save returns an error other than ErrStoreConflict, and CheckSave fails", checkDenied},
	{"Restart", "What was saved survives a crash of the server, with its Version", checkRestart},
	{"Cleared", "After somebody deleted what was stored, Load finds an empty place, and no Save with an earlier Version takes effect", checkCleared},
	{"Spoiled", "If the content is not a credential, Load returns an error, not an empty Credential, and the error does not contain the content", checkSpoiled},
}

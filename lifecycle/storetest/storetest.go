// Package storetest checks that a [lifecycle.Store] does what its documentation requires.
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
// Open alone runs half of the checks. Each further field of [Place] that is set runs more of them. The checks for lost
// responses and for servers that can't be reached find the faults that cost people their tokens, so set Address and
// OpenAt for every store with a server.
package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sailpoint-go/sailpoint/internal/faultproxy"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// Place is where a store with versions keeps one [lifecycle.Credential]. Nothing is stored there at first. A check that
// needs a field that is not set is skipped.
type Place struct {
	// Open returns a store for this place as another process would have it: with its own client, cache and connections.
	// It must be set.
	Open func() lifecycle.Store
	// Address is the TCP address of the server, such as 127.0.0.1:8200. Set OpenAt with it.
	Address string
	// OpenAt returns a store as Open does, which connects to address instead of Address. At address listens a proxy that
	// passes, holds or cuts connections to Address and leaves the bytes alone, so that TLS works. The certificate that
	// the store expects remains the server's.
	OpenAt func(address string) lifecycle.Store
	// Restart kills the server without a warning, starts it again on the same address, and returns when it is ready.
	Restart func()
	// Deny takes the rights to read and write from every store of this place, open or not. restore grants them again.
	// Both return once the change is in force.
	Deny func() (restore func())
	// Clear deletes what is stored, as a person would who does not know about the store.
	Clear func()
	// Spoil replaces what is stored by something that is not a credential. Let it contain the text 5ecf00d1, which no
	// error may repeat.
	Spoil func()

	network faultproxy.Network
}

// checkTimeout bounds one check. Most take milliseconds, and those that wait for a store to give up take seconds.
const checkTimeout = 2 * time.Minute

// Run runs each check as a subtest. newPlace returns a new place for each of them.
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

// check is one rule and what finds out whether a store keeps it.
type check struct {
	name, rule string
	run        func(context.Context, Place) error
}

var checks = []check{
	{"Empty", "Load of an empty place returns no error, no ID and a Version", checkEmpty},
	{"Unchanged", "Load returns ID, Secret and Note exactly as they were saved", checkUnchanged},
	{"Versions", "Each Save that takes effect makes a Version that never was before, also with the same ID and Secret", checkVersions},
	{"Stale", "A Save with an outdated Version returns ErrStoreConflict and changes nothing", checkStale},
	{"Foreign", "A Save with a Version that no Load returned changes nothing", checkForeign},
	{"NoVersion", "A Save without a Version stores the Credential, or returns ErrNotStored", checkNoVersion},
	{"Fence", "A Save of a Credential without ID to an empty place makes a new Version", checkFence},
	{"First", "Of several concurrent Saves to an empty place exactly one succeeds", checkFirst},
	{"Count", "No Save that returned nil is lost, and none that returned ErrStoreConflict takes effect", checkCount},
	{"Torn", "Load returns the ID, Secret, Note and Version of one Save", checkTorn},
	{"Ended", "Load and Save tell the truth when their context has ended", checkEnded},
	{"CheckSave", "CheckSave returns nil where a Save succeeds, and changes nothing", checkCheckSave},
	{"Unreachable", "Without its server Load returns an error, not an empty Credential", checkUnreachable},
	{"Hanging", "Load and Save return when their context ends", checkHanging},
	{"LostReply", "ErrStoreConflict and ErrNotStored mean that nothing was changed, also when a response is lost", checkLostReply},
	{"LostRequest", "A Save whose request is cut off stores nothing later", checkLostRequest},
	{"Denied", "Without rights Load returns an error, not an empty Credential, Save does not return ErrStoreConflict, and CheckSave fails", checkDenied},
	{"Restart", "What was saved survives a crash of the server, with its Version", checkRestart},
	{"Cleared", "After a person deleted what was stored, no Save with an earlier Version takes effect", checkCleared},
	{"Spoiled", "Content that is not a credential is an error, not an empty Credential, and the error does not repeat it", checkSpoiled},
}

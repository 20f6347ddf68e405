package storetest_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/storetest"
)

// myStore takes the place of a reader's own store.
type myStore struct{ path string }

func (s *myStore) Load(ctx context.Context) (lifecycle.Credential, error) {
	return lifecycle.FileStore{Path: s.path}.Load(ctx)
}

func (s *myStore) Save(ctx context.Context, c lifecycle.Credential) error {
	return lifecycle.FileStore{Path: s.path}.Save(ctx, c)
}

func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "credential.json") }

// TestStore is the example in the guide to stores.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		path := newPath(t) // where nothing is stored yet
		return storetest.Place{Open: func() lifecycle.Store { return &myStore{path: path} }}
	})
}

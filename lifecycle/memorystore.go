package lifecycle

import (
	"context"
	"fmt"
	"strconv"
	"sync"
)

// MemoryStore is a [Store] with versions in memory, for tests. The zero value
// is an empty store. It is safe for concurrent use.
type MemoryStore struct {
	mu     sync.Mutex
	stored Credential
	writes int
}

// Load returns the stored credential with its Version.
func (s *MemoryStore) Load(context.Context) (Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.stored
	c.Version = strconv.Itoa(s.writes)
	return c, nil
}

// Save stores c, unless another Save has taken effect since Load returned
// c.Version. If c.Version is empty, Save does not compare and always stores c.
func (s *MemoryStore) Save(_ context.Context, c Credential) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version := strconv.Itoa(s.writes); c.Version != "" && c.Version != version {
		return fmt.Errorf("%w: version %s, not %.80q", ErrStoreConflict, version, c.Version)
	}
	s.stored = c
	s.writes++
	return nil
}

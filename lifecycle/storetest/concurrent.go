package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

func checkFirst(ctx context.Context, p Place) error {
	const writers = 8
	before, err := p.Open().Load(ctx)
	if err != nil {
		return err
	}
	saved, errs := make([]lifecycle.Credential, writers), make([]error, writers)
	var group sync.WaitGroup
	for i := range writers {
		saved[i] = newCredential(before.Version)
		s := p.Open()
		group.Go(func() { errs[i] = save(ctx, s, saved[i]) })
	}
	group.Wait()
	now, err := p.Open().Load(ctx)
	if err != nil {
		return withoutSecret(err)
	}
	succeeded := 0
	for i, err := range errs {
		switch {
		case err == nil && !equal(now, saved[i]):
			return errors.New("a Save returned nil, but another Credential is stored")
		case err == nil:
			succeeded++
		case !errors.Is(err, lifecycle.ErrStoreConflict):
			return requireConflict(err)
		}
	}
	if succeeded != 1 {
		return fmt.Errorf("%d of %d Saves succeeded", succeeded, writers)
	}
	return nil
}

func checkCount(ctx context.Context, p Place) error {
	const writers, each = 4, 8
	errs := make([]error, writers)
	var group sync.WaitGroup
	for i := range writers {
		s := p.Open()
		group.Go(func() {
			for range each {
				if errs[i] == nil {
					errs[i] = increment(ctx, s)
				}
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	c, err := p.Open().Load(ctx)
	if err == nil && c.ID != counterID(writers*each) {
		err = fmt.Errorf("%d Saves returned nil and each raised the number in the ID, but id %.8q is stored instead of %q", writers*each, c.ID, counterID(writers*each))
	}
	return withoutSecret(err)
}

func counterID(n int) string { return fmt.Sprintf("n%05d", n) }

// maxConflicts is how often one writer may lose in turn. It loses to a Save of
// another one, and there are fewer of those.
const maxConflicts = 100

// increment saves a Credential with the next number as its ID, also while
// others do the same.
func increment(ctx context.Context, s lifecycle.Store) error {
	for range maxConflicts {
		c, err := s.Load(ctx)
		if err != nil {
			return withoutSecret(err)
		}
		time.Sleep(turn)                                    // so that other writers load the same
		n, _ := strconv.Atoi(strings.TrimPrefix(c.ID, "n")) // 0 if nothing is stored
		next := newCredential(c.Version)
		next.ID = counterID(n + 1)
		if err := save(ctx, s, next); !errors.Is(err, lifecycle.ErrStoreConflict) {
			return err
		}
	}
	return fmt.Errorf("%d Saves in turn returned ErrStoreConflict, each with the Version that Load had just returned", maxConflicts)
}

// turn is the pause in which readers and writers let each other in.
const turn = 100 * time.Microsecond

func checkTorn(ctx context.Context, p Place) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	contents := &versionContents{of: map[string]string{}}
	var group sync.WaitGroup
	for range 3 {
		s := p.Open()
		group.Go(func() {
			for reading.Err() == nil {
				contents.add(s.Load(ctx))
				time.Sleep(turn)
			}
		})
	}
	err := saveMatching(ctx, p.Open())
	stop()
	group.Wait()
	return errors.Join(err, contents.err)
}

// writerTime bounds how long the writer saves. Slow stores save less often, but
// a few times at least.
const writerTime = 20 * time.Second

// saveMatching saves Credentials whose Secret and Note can be told from their
// ID.
func saveMatching(ctx context.Context, s lifecycle.Store) error {
	began := time.Now()
	for n := range 60 {
		if n >= 5 && time.Since(began) > writerTime {
			break
		}
		c, err := s.Load(ctx)
		if err != nil {
			return withoutSecret(err)
		}
		time.Sleep(turn)
		id := randomHex(16)
		next := lifecycle.Credential{ID: id, Secret: sailpoint.NewSecret(secretMark + id), Note: "note-" + id, Version: c.Version}
		if err := save(ctx, s, next); err != nil {
			return err
		}
	}
	return nil
}

// versionContents is what readers found, by Version, and the first
// contradiction.
type versionContents struct {
	mu  sync.Mutex
	of  map[string]string
	err error
}

func (v *versionContents) add(c lifecycle.Credential, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	content := c.ID + " " + c.Secret.Reveal() + " " + c.Note
	before, seen := v.of[c.Version]
	switch {
	case v.err != nil:
	case err != nil:
		v.err = withoutSecret(err)
	case c.ID != "" && (c.Secret.Reveal() != secretMark+c.ID || c.Note != "note-"+c.ID):
		v.err = errors.New("Load returned parts of two Saves")
	case seen && before != content:
		v.err = fmt.Errorf("Load returned different contents with version %q", c.Version)
	default:
		v.of[c.Version] = content
	}
}

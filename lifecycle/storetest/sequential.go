package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

func checkEmpty(ctx context.Context, p Place) error {
	c, err := p.Open().Load(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("Load returned an error: %w", withoutSecret(err))
	case c.ID != "" || !c.Secret.IsZero():
		return withoutSecret(fmt.Errorf("Load returned id %q, a secret: %t: give each check a place of its own", c.ID, !c.Secret.IsZero()))
	case c.Version == "":
		return errors.New("Load returned an empty Version: storetest checks stores with versions only")
	}
	return nil
}

func checkUnchanged(ctx context.Context, p Place) error {
	s := p.Open()
	for _, odd := range []string{"", "0", " x ", "line\nend\n", `"'\$(x)%s{{.}}`, "ключ+/==", strings.Repeat("k", 4000), "s"} {
		last, err := s.Load(ctx)
		if err != nil {
			return err
		}
		c := newCredential(last.Version)
		c.Secret = sailpoint.NewSecret(odd + secretMark + odd)
		if err := save(ctx, s, c); err != nil {
			return fmt.Errorf("with %.20q around the secret: Save returned an error: %w", odd, err)
		}
		for _, other := range []lifecycle.Store{s, p.Open()} {
			got, err := other.Load(ctx)
			if err != nil {
				return withoutSecret(err)
			}
			if !equal(got, c) {
				return fmt.Errorf("with %.20q around the secret: Load returned another %s than was saved", odd, difference(got, c))
			}
		}
	}
	return nil
}

func checkVersions(ctx context.Context, p Place) error {
	a, b := p.Open(), p.Open()
	before, now, err := put(ctx, a)
	if err != nil {
		return err
	}
	seen := map[string]bool{before.Version: true}
	for range 12 { // more than the versions that some engines keep
		if now.Version == "" || seen[now.Version] {
			return fmt.Errorf("after a Save the Version is %q, which is empty or existed before", now.Version)
		}
		seen[now.Version] = true
		if err := save(ctx, a, rewritten(now)); err != nil {
			return err
		}
		if now, err = b.Load(ctx); err != nil {
			return withoutSecret(err)
		}
		a, b = b, a
	}
	return nil
}

func checkStale(ctx context.Context, p Place) error {
	a := p.Open()
	empty, _, err := put(ctx, a)
	if err != nil {
		return err
	}
	first, now, err := put(ctx, p.Open())
	if err != nil {
		return err
	}
	for _, version := range []string{empty.Version, first.Version} {
		for _, s := range []lifecycle.Store{a, p.Open()} {
			if err := requireConflict(save(ctx, s, newCredential(version))); err != nil {
				return fmt.Errorf("with version %q: %w", version, err)
			}
			if err := requireStored(ctx, p, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkForeign(ctx context.Context, p Place) error {
	s := p.Open()
	_, now, err := put(ctx, s)
	if err != nil {
		return err
	}
	for _, version := range []string{"unknown", "-1", "99999999", now.Version + "0", "0"} {
		if err := save(ctx, s, newCredential(version)); !saysUnchanged(err) {
			return fmt.Errorf("with version %q: Save returned %w instead of ErrStoreConflict or ErrNotStored", version, orNil(err))
		}
	}
	return requireStored(ctx, p, now)
}

func checkNoVersion(ctx context.Context, p Place) error {
	s := p.Open()
	_, now, err := put(ctx, s)
	if err != nil {
		return err
	}
	c := newCredential("")
	if err := save(ctx, s, c); err != nil {
		if !errors.Is(err, lifecycle.ErrNotStored) {
			return fmt.Errorf("Save returned %w instead of ErrNotStored", err)
		}
		return requireStored(ctx, p, now)
	}
	got, err := s.Load(ctx)
	if err == nil && (!equal(got, c) || got.Version == now.Version) {
		err = errors.New("Save returned nil, but the Credential is not stored or has no new Version")
	}
	return withoutSecret(err)
}

func checkFence(ctx context.Context, p Place) error {
	a, b := p.Open(), p.Open()
	before, err := a.Load(ctx)
	if err != nil {
		return err
	}
	if err := save(ctx, b, newFence(before.Version)); err != nil {
		return fmt.Errorf("a Save without ID returned an error: %w", err)
	}
	after, err := b.Load(ctx)
	if err != nil {
		return err
	}
	if after.ID != "" || after.Version == "" || after.Version == before.Version {
		return fmt.Errorf("Load returned id %q and version %q after a Save without ID over version %q", after.ID, after.Version, before.Version)
	}
	if err := requireConflict(save(ctx, a, newCredential(before.Version))); err != nil {
		return fmt.Errorf("with the version before that Save: %w", err)
	}
	_, _, err = put(ctx, a)
	return err
}

func checkEnded(ctx context.Context, p Place) error {
	s := p.Open()
	_, now, err := put(ctx, s)
	if err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if got, err := s.Load(ended); err == nil && !equal(got, now) {
		return errors.New("Load returned no error and another Credential than the stored one")
	}
	c := newCredential(now.Version)
	_, err = p.outcome(ctx, save(ended, s, c), now, c)
	return err
}

func checkCheckSave(ctx context.Context, p Place) error {
	s := p.Open()
	checker, ok := s.(lifecycle.SaveChecker)
	if !ok {
		return skipError("the store has no CheckSave")
	}
	empty, err := s.Load(ctx)
	if err != nil {
		return err
	}
	if err := withoutSecret(checker.CheckSave(ctx)); err != nil {
		return fmt.Errorf("in an empty place: %w", err)
	}
	if err := requireStored(ctx, p, empty); err != nil {
		return err
	}
	_, now, err := put(ctx, s)
	if err != nil {
		return err
	}
	if err := withoutSecret(checker.CheckSave(ctx)); err != nil {
		return err
	}
	return requireStored(ctx, p, now)
}

func checkCleared(ctx context.Context, p Place) error {
	if p.Clear == nil {
		return notSet("Clear")
	}
	s := p.Open()
	_, now, err := put(ctx, s)
	if err != nil {
		return err
	}
	p.Clear()
	after, err := s.Load(ctx)
	if err != nil {
		return fmt.Errorf("Load after the deletion returned an error: %w", withoutSecret(err))
	}
	if after.ID != "" || after.Version == "" {
		return fmt.Errorf("Load after the deletion returned id %q and version %q", after.ID, after.Version)
	}
	for range 3 { // a store that counts anew would come to the version of before
		if _, _, err := put(ctx, s); err != nil {
			return err
		}
		if err := requireConflict(save(ctx, s, newCredential(now.Version))); err != nil {
			return fmt.Errorf("with a version from before the deletion: %w", err)
		}
	}
	return nil
}

func checkSpoiled(ctx context.Context, p Place) error {
	if p.Spoil == nil {
		return notSet("Spoil")
	}
	s := p.Open()
	if _, _, err := put(ctx, s); err != nil {
		return err
	}
	p.Spoil()
	c, err := s.Load(ctx)
	switch {
	case err == nil:
		return fmt.Errorf("Load returned no error and id %q", c.ID)
	case withoutSecret(err) != err: //nolint:errorlint // whether it is the same
		return errors.New("the error of Load contains what is stored")
	}
	return nil
}

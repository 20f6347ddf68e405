package lifecycle_test

import (
	"bytes"
	"context"
	jsonv1 "encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/storetest"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

const storedSecret = "5ecf00d15ecf00d1"

// credential returns the n-th test credential.
func credential(n int) lifecycle.Credential {
	return lifecycle.Credential{ID: fmt.Sprint("id-", n), Secret: sailpoint.NewSecret(storedSecret), Note: fmt.Sprint("note-", n)}
}

func inFile(t *testing.T) lifecycle.FileStore {
	t.Helper()
	return lifecycle.FileStore{Path: filepath.Join(t.TempDir(), "deploy.json")}
}

// TestFileStorePassesStoretest also covers a person who deletes or changes the
// file.
func TestFileStorePassesStoretest(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Place {
		file := inFile(t)
		return storetest.Place{
			Open:  func() lifecycle.Store { return lifecycle.FileStore{Path: file.Path} },
			Clear: func() { require.NoError(t, os.Remove(file.Path)) },
			Spoil: func() { require.NoError(t, os.WriteFile(file.Path, []byte(`{"id":1,"secret":"5ecf00d1"`), 0o600)) },
		}
	})
}

// TestMemoryStorePassesStoretest opens the same store each time.
func TestMemoryStorePassesStoretest(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) storetest.Place {
		memory := &lifecycle.MemoryStore{}
		return storetest.Place{Open: func() lifecycle.Store { return memory }}
	})
}

// TestStores checks what Issue and Rotate require of a store.
func TestStores(t *testing.T) {
	for name, store := range map[string]lifecycle.Store{"file": inFile(t), "memory": &lifecycle.MemoryStore{}} {
		t.Run(name, func(t *testing.T) {
			empty, err := store.Load(t.Context())
			require.NoError(t, err)
			assert.Empty(t, empty.ID)
			assert.True(t, empty.Secret.IsZero())
			require.NotEmpty(t, empty.Version)

			versions := map[string]bool{empty.Version: true}
			fence := lifecycle.Credential{Note: "fence", Version: empty.Version}
			require.NoError(t, store.Save(t.Context(), fence), "nothing is stored, but the version must be new")
			fenced, err := store.Load(t.Context())
			require.NoError(t, err)
			assert.Empty(t, fenced.ID)
			assert.ErrorIs(t, store.Save(t.Context(), fence), lifecycle.ErrStoreConflict)

			last := fenced
			for n := range 3 {
				c := credential(n)
				c.ID = "same" // a write of the same secret also makes a new version
				c.Version = last.Version
				require.NoError(t, store.Save(t.Context(), c))
				require.ErrorIs(t, store.Save(t.Context(), c), lifecycle.ErrStoreConflict, "once")
				last, err = store.Load(t.Context())
				require.NoError(t, err)
				require.False(t, versions[last.Version])
				versions[last.Version] = true
				assert.Equal(t, c.ID, last.ID)
				assert.Equal(t, storedSecret, last.Secret.Reveal())
				assert.Equal(t, c.Note, last.Note)
			}

			require.NoError(t, store.Save(t.Context(), credential(9)), "a Save without a version must always succeed")
			last, err = store.Load(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "id-9", last.ID)
		})
	}
}

// TestStoresAtOnce checks that only one of several saves of the same version
// succeeds.
func TestStoresAtOnce(t *testing.T) {
	for name, store := range map[string]lifecycle.Store{"file": inFile(t), "memory": &lifecycle.MemoryStore{}} {
		t.Run(name, func(t *testing.T) {
			empty, err := store.Load(t.Context())
			require.NoError(t, err)
			errs := make([]error, 8)
			var all sync.WaitGroup
			for n := range errs {
				c := credential(n)
				c.Version = empty.Version
				all.Go(func() { errs[n] = store.Save(t.Context(), c) })
			}
			all.Wait()
			winner := ""
			for n, err := range errs {
				if err == nil {
					assert.Empty(t, winner)
					winner = credential(n).ID
				} else {
					assert.ErrorIs(t, err, lifecycle.ErrStoreConflict)
				}
			}
			last, err := store.Load(t.Context())
			require.NoError(t, err)
			assert.Equal(t, winner, last.ID)
		})
	}
}

func TestFileStoreOnTheDisk(t *testing.T) {
	store := inFile(t)
	require.NoError(t, os.WriteFile(store.Path, []byte(`{"id": "by-hand", "secret": "s"}`), 0o644))
	byHand, err := store.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "by-hand", byHand.ID)
	assert.Equal(t, "s", byHand.Secret.Reveal())

	// A crash of an earlier Save left this file. Nobody locks it.
	require.NoError(t, os.WriteFile(store.Path+".lock", nil, 0o600))
	require.NoError(t, os.WriteFile(store.Path+".next", []byte("half"), 0o644))
	reader, err := os.Open(store.Path)
	require.NoError(t, err)
	defer reader.Close()

	c := credential(1)
	c.Version = byHand.Version
	require.NoError(t, store.Save(t.Context(), c))
	content, err := os.ReadFile(store.Path)
	require.NoError(t, err)
	assert.Equal(t, `{"id":"id-1","secret":"`+storedSecret+`","note":"note-1"}`+"\n", string(content))
	info, err := os.Stat(store.Path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o640), info.Mode(), "the mode must stay, without the bits of other users")
	var before bytes.Buffer
	_, err = before.ReadFrom(reader)
	require.NoError(t, err)
	assert.Equal(t, `{"id": "by-hand", "secret": "s"}`, before.String(), "the file must be replaced, not overwritten")
	assert.NoFileExists(t, store.Path+".next")
}

// TestFileStoreReadsAByteOrderMark covers editors on Windows. Save writes none.
func TestFileStoreReadsAByteOrderMark(t *testing.T) {
	store := inFile(t)
	require.NoError(t, os.WriteFile(store.Path, []byte("\xef\xbb\xbf"+`{"id":"a","secret":"`+storedSecret+`"}`), 0o600))
	got, err := store.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "a", got.ID)
	assert.Equal(t, storedSecret, got.Secret.Reveal())
	c := credential(1)
	c.Version = got.Version
	require.NoError(t, store.Save(t.Context(), c))
	after, err := os.ReadFile(store.Path)
	require.NoError(t, err)
	assert.Equal(t, `{"id":"id-1","secret":"`+storedSecret+`","note":"note-1"}`+"\n", string(after))
}

func TestFileStoreNamesTheEncodingUTF16(t *testing.T) {
	for _, content := range []string{"\xff\xfe{\x00}\x00", "\xfe\xff\x00{\x00}"} {
		store := inFile(t)
		require.NoError(t, os.WriteFile(store.Path, []byte(content), 0o600))
		_, err := store.Load(t.Context())
		require.ErrorContains(t, err, "is UTF-16: save it as UTF-8")
	}
}

// TestCheckSaveOfFileStore checks that only the lock file is created, with or
// without a stored file.
func TestCheckSaveOfFileStore(t *testing.T) {
	store := inFile(t)
	require.NoError(t, os.WriteFile(store.Path+".next", []byte("half"), 0o644), "a crash left this file")
	require.NoError(t, store.CheckSave(t.Context()))
	assert.NoFileExists(t, store.Path)
	assert.NoFileExists(t, store.Path+".next")
	require.NoError(t, store.Save(t.Context(), credential(1)))
	before, err := store.Load(t.Context())
	require.NoError(t, err)
	require.NoError(t, store.CheckSave(t.Context()))
	after, err := store.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before.Version, after.Version)
	assert.Equal(t, storedSecret, after.Secret.Reveal())
	assert.NoFileExists(t, store.Path+".next")
}

// checkedStore is a store whose CheckSave can fail.
type checkedStore struct {
	lifecycle.Store
	check func() error
}

func (s checkedStore) CheckSave(context.Context) error { return s.check() }

// TestNoTokenIsCreatedForAStoreThatCantBeWritten checks that CheckSave is
// called once, right before the create.
func TestNoTokenIsCreatedForAStoreThatCantBeWritten(t *testing.T) {
	broken := errors.New("the disk is full")
	for name, run := range map[string]func(context.Context, *sailpoint.Client, lifecycle.Store) error{
		"issue": func(ctx context.Context, client *sailpoint.Client, store lifecycle.Store) error {
			_, err := lifecycle.Issue(ctx, client, sailpoint.CreatePersonalAccessTokenRequest{
				Name: "new", Scope: jobScope, ExpirationDate: time.Now().Add(day),
			}, store)
			return err
		},
		"rotate": func(ctx context.Context, client *sailpoint.Client, store lifecycle.Store) error {
			_, err := lifecycle.Rotate(ctx, client, store, lifecycle.RotateOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(true)
				if name == "rotate" {
					w.adopt()
				}
				p := &process{w: w}
				asked := 0
				store := checkedStore{p, func() error { asked++; return broken }}
				err := run(t.Context(), p.client(t), store)
				var failure *lifecycle.Error
				require.ErrorAs(t, err, &failure)
				require.ErrorIs(t, err, broken)
				require.ErrorIs(t, err, lifecycle.ErrNotStored)
				assert.Equal(t, lifecycle.StepSave, failure.Step)
				assert.Equal(t, "repair the store and run it again; nothing was changed", failure.Next)
				assert.Empty(t, failure.Left)
				assert.Equal(t, 1, asked)
				assert.NotRegexp(t, "POST|PATCH|DELETE|Save", strings.Join(p.trace, "\n"))

				calls := 0
				store.check = func() error { calls = p.calls; return nil }
				require.NoError(t, run(t.Context(), p.client(t), store))
				assert.Contains(t, p.trace[calls], " POST", "the next call must be the create")
			})
		})
	}
}

// TestLeftoverWhereSaveNeverSucceeds uses a folder that can't be synced. Each
// Save fails after it has replaced the file. A killed run's leftover must not
// block every later run.
func TestLeftoverWhereSaveNeverSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(true)
		w.adopt()
		killed := &process{w: w}
		killed.before = func(int) {
			if killed.like["POST"] == 1 {
				killed.crashAt = killed.calls
			}
		}
		_, err := lifecycle.Rotate(t.Context(), killed.client(t), killed, lifecycle.RotateOptions{})
		require.ErrorIs(t, err, errCrash)
		require.Len(t, w.made(), 2)

		later := &process{w: w, on: map[string]fault{"Save 1": loses, "Save 2": loses, "Save 3": loses}}
		result, err := lifecycle.Rotate(t.Context(), later.client(t), later, lifecycle.RotateOptions{})
		require.NoError(t, err)
		assert.Equal(t, lifecycle.OutcomeRotated, result.Outcome)
		assert.Empty(t, result.Left)
		assert.Len(t, w.made(), 1)
		require.NoError(t, w.works())
		assert.GreaterOrEqual(t, later.like["Save"], 2, "one for the leftover and one for the successor")
	})
}

func TestFileStoreBehindALink(t *testing.T) {
	store := inFile(t)
	link := lifecycle.FileStore{Path: filepath.Join(t.TempDir(), "link")}
	require.NoError(t, os.WriteFile(store.Path, []byte(`{}`), 0o600))
	require.NoError(t, os.Symlink(store.Path, link.Path))
	require.NoError(t, link.Save(t.Context(), credential(1)))
	got, err := store.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "id-1", got.ID)
}

// TestFileStoreFailures checks that nothing is changed, and that the error says
// so.
func TestFileStoreFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare   func(t *testing.T, path string) (changed string)
		loads     bool
		versioned bool
		want      string
	}{
		"no path":           {func(*testing.T, string) string { return "" }, false, false, "FileStore.Path is empty"},
		"no folder":         {func(_ *testing.T, path string) string { return filepath.Join(path, "none") }, false, false, "no such file or directory"},
		"no end of a link":  {linkTo("none/deploy.json"), false, false, "no such file or directory"},
		"a link to itself":  {linkTo("deploy.json"), false, false, "too many links"},
		"another program's": {write(`{"ClientId":"a","ClientSecret":"` + storedSecret + `","BaseURL":"b"}`), false, true, "and nothing else"},
		"no credential":     {write(`{"id":"a","secret":"` + storedSecret), false, true, "is not a JSON object with the strings id, secret and note"},
		"a list":            {write(`["` + storedSecret + `"]`), false, true, "is not a JSON object"},
		"another type":      {write(`{"id":"a","secret":1}`), false, true, "is not a JSON object"},
		"a repeated member": {write(`{"id":"a","id":"` + storedSecret + `"}`), false, true, "is not a JSON object"},
		"too long":          {write(`{"id":"a","secret":"` + storedSecret + `"}` + strings.Repeat(" ", 1<<20)), false, true, "has more than 1 MiB"},
		"UTF-16":            {write("\xff\xfe{\x00\""), false, true, "is UTF-16: save it as UTF-8"},
		"a folder in its way": {func(t *testing.T, path string) string {
			t.Helper()
			require.NoError(t, os.MkdirAll(filepath.Join(path+".next", "full"), 0o700))
			return path
		}, true, false, "deploy.json.next"},
		"written meanwhile": {write(`{"id":"a","secret":"b","note":"c"}`), true, true, "has been written since it was loaded"},
	} {
		t.Run(name, func(t *testing.T) {
			store := inFile(t)
			store.Path = tt.prepare(t, store.Path)
			before, _ := os.ReadFile(store.Path)
			_, err := store.Load(t.Context())
			require.Equal(t, tt.loads, err == nil)
			texts := fmt.Sprint(err)
			c := credential(1)
			if tt.versioned {
				c.Version = "another"
			}
			err = store.Save(t.Context(), c)
			require.ErrorContains(t, err, tt.want)
			require.True(t, errors.Is(err, lifecycle.ErrNotStored) || errors.Is(err, lifecycle.ErrStoreConflict))
			assert.NotContains(t, texts+err.Error(), storedSecret)
			after, _ := os.ReadFile(store.Path)
			assert.Equal(t, string(before), string(after))
			assert.NoFileExists(t, store.Path+".next")
		})
	}
}

// linkTo makes the file a link to another file in its folder.
func linkTo(name string) func(*testing.T, string) string {
	return func(t *testing.T, path string) string {
		t.Helper()
		require.NoError(t, os.Symlink(filepath.Join(filepath.Dir(path), name), path))
		return path
	}
}

func write(content string) func(*testing.T, string) string {
	return func(t *testing.T, path string) string {
		t.Helper()
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
}

func TestFileStoreRejectsInvalidUTF8(t *testing.T) {
	store := inFile(t)
	c := credential(1)
	c.Secret = sailpoint.NewSecret(storedSecret + "\xff")
	err := store.Save(t.Context(), c)
	require.ErrorIs(t, err, lifecycle.ErrNotStored)
	assert.NotContains(t, err.Error(), storedSecret)
	assert.NoFileExists(t, store.Path)
}

func TestFileStoreThatIsAFolder(t *testing.T) {
	store := inFile(t)
	require.NoError(t, os.Mkdir(store.Path, 0o700))
	_, err := store.Load(t.Context())
	require.Error(t, err)
	require.Error(t, store.Save(t.Context(), credential(1)))
	assert.NoFileExists(t, store.Path+".next", "that file would hold the secret")
}

func TestSaveFunc(t *testing.T) {
	broken := errors.New("broken")
	var got lifecycle.Credential
	store := lifecycle.SaveFunc(func(_ context.Context, c lifecycle.Credential) error { got = c; return nil })
	require.NoError(t, store.Save(t.Context(), credential(3)))
	assert.Equal(t, "id-3", got.ID)
	_, err := store.Load(t.Context())
	require.ErrorIs(t, err, errors.ErrUnsupported)

	failing := lifecycle.SaveFunc(func(context.Context, lifecycle.Credential) error { return broken })
	err = failing.Save(t.Context(), credential(1))
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, err, lifecycle.ErrNotStored)
}

// TestNoCredentialLeaks covers values of a store that a program may print by
// accident.
func TestNoCredentialLeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the source waits before it asks the store again
		c := credential(1)
		memory := &lifecycle.MemoryStore{}
		require.NoError(t, memory.Save(t.Context(), c))
		file := inFile(t)
		require.NoError(t, file.Save(t.Context(), c))
		source := lifecycle.TokenSource(clientOf(t, sailpointtest.NewTenant()), memory)
		_, err := source(t.Context(), sailpoint.Secret{})
		require.ErrorIs(t, err, sailpoint.ErrInvalidCredentials, "the source holds the secret now")
		for name, v := range map[string]any{
			"Credential": c, "*Credential": &c, "MemoryStore": memory, "FileStore": file, "TokenSource": source, "its error": err,
		} {
			requireNoSecret(t, name, v, storedSecret)
		}
	})
}

// requireNoSecret prints, logs and marshals v in every way that a program may.
func requireNoSecret(t *testing.T, name string, v any, secrets ...string) {
	t.Helper()
	hidden := struct{ v any }{v}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
		fmt.Fprintf(&out, verb+"\n"+verb+"\n"+verb+"\n", v, hidden, []any{&hidden})
	}
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		logger.Info("m", "v", v, "hidden", hidden)
	}
	for _, marshal := range []func(any) ([]byte, error){jsonv1.Marshal, func(v any) ([]byte, error) { return json.Marshal(v) }} {
		text, err := marshal(v)
		fmt.Fprintf(&out, "%s %v\n", text, err)
	}
	if err, ok := v.(error); ok {
		fmt.Fprintf(&out, "%v\n", errors.Join(err, fs.ErrExist))
	}
	for _, secret := range secrets {
		for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
			require.NotContains(t, out.String(), form, name)
		}
	}
	require.Greater(t, strings.Count(out.String(), "\n"), 30)
}

package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func clientInMemory() *sailpoint.Client {
	client, err := sailpoint.NewClient(sailpointtest.NewTenant().Config())
	if err != nil {
		log.Fatal(err)
	}
	return client
}

func ExampleIssue() {
	client := clientInMemory()
	store := &lifecycle.MemoryStore{} // a FileStore, or one of your own
	for range 2 {                     // more calls are safe
		result, err := lifecycle.Issue(context.Background(), client, sailpoint.CreatePersonalAccessTokenRequest{
			Name:           "nightly-report",
			Scope:          []string{"sp:my-personal-access-tokens:read"},
			ExpirationDate: time.Now().AddDate(0, 3, 0),
		}, store)
		var failed *lifecycle.Error
		switch {
		case errors.As(err, &failed):
			log.Fatal(failed.Step, failed.Left, failed.Next) // which tokens are left, and what to do
		case err != nil:
			log.Fatal(err)
		}
		fmt.Println(result.Outcome, result.Token.Name)
	}
	// Output:
	// issued nightly-report
	// unchanged nightly-report
}

func ExampleRotate() {
	ctx := context.Background()
	client := clientInMemory()
	store := &lifecycle.MemoryStore{}
	_, err := lifecycle.Issue(ctx, client, sailpoint.CreatePersonalAccessTokenRequest{
		Name: "nightly-report", Scope: []string{"sp:my-personal-access-tokens:read"},
	}, store)
	if err != nil {
		log.Fatal(err)
	}

	monthly := lifecycle.RotateOptions{IfOlderThan: 30 * 24 * time.Hour} // run daily
	for _, opts := range []lifecycle.RotateOptions{monthly, {}} {
		result, err := lifecycle.Rotate(ctx, client, store, opts)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Outcome, result.Token.Name)
	}
	// Output:
	// unchanged nightly-report
	// rotated nightly-report
}

// A file that a service reads, with mode 0600.
func ExampleFileStore() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "sailpoint-example") // such as /var/lib/nightly-report
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()

	store := lifecycle.FileStore{Path: filepath.Join(folder, "pat.json")}
	result, err := lifecycle.Issue(ctx, clientInMemory(), sailpoint.CreatePersonalAccessTokenRequest{
		Name: "nightly-report", Scope: []string{"sp:my-personal-access-tokens:read"},
	}, store)
	if err != nil {
		fmt.Println(err)
		return
	}
	stored, err := store.Load(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Outcome, stored.ID == result.Token.ID, stored.Secret)
	// Output: issued true [REDACTED]
}

// A store that can be written but not read, such as the secrets of a CI system.
func ExampleSaveFunc() {
	secrets := map[string]string{}
	save := lifecycle.SaveFunc(func(_ context.Context, c lifecycle.Credential) error {
		secrets["PAT_ID"], secrets["PAT_SECRET"] = c.ID, c.Secret.Reveal()
		return nil // an error means that nothing was stored
	})
	result, err := lifecycle.Issue(context.Background(), clientInMemory(), sailpoint.CreatePersonalAccessTokenRequest{
		Name: "nightly-report", Scope: []string{"sp:my-personal-access-tokens:read"},
	}, save)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Outcome, secrets["PAT_ID"] == result.Token.ID)
	// Output: issued true
}

// kv is a secret store that counts the versions of each path. A write names the
// version that it expects to be the latest, or 0 if there should be none.
// Vault's KV version 2 calls this check-and-set.
type kv struct {
	data    map[string]string
	version int
}

var errConflict = errors.New("the check-and-set parameter did not match the current version")

func (s *kv) get(ctx context.Context) (map[string]string, int, error) {
	return s.data, s.version, ctx.Err()
}

func (s *kv) put(_ context.Context, data map[string]string, version int) error {
	if version != s.version {
		return errConflict
	}
	s.data = data
	s.version++
	return nil
}

// kvStore makes a path of kv a Store.
type kvStore struct{ kv *kv }

func (s kvStore) Load(ctx context.Context) (lifecycle.Credential, error) {
	data, version, err := s.kv.get(ctx)
	return lifecycle.Credential{
		ID: data["id"], Secret: sailpoint.NewSecret(data["secret"]), Note: data["note"], Version: fmt.Sprint(version),
	}, err
}

func (s kvStore) Save(ctx context.Context, c lifecycle.Credential) error {
	var version int
	if _, err := fmt.Sscan(c.Version, &version); err != nil {
		return fmt.Errorf("%w: %w", lifecycle.ErrNotStored, err)
	}
	err := s.kv.put(ctx, map[string]string{"id": c.ID, "secret": c.Secret.Reveal(), "note": c.Note}, version)
	if errors.Is(err, errConflict) {
		return lifecycle.ErrStoreConflict
	}
	return err // it may be stored, and Issue finds out
}

// A secret store with versions can be a Store.
func ExampleStore() {
	vault := &kv{}
	result, err := lifecycle.Issue(context.Background(), clientInMemory(), sailpoint.CreatePersonalAccessTokenRequest{
		Name: "nightly-report", Scope: []string{"sp:my-personal-access-tokens:read"},
	}, kvStore{vault})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Outcome, vault.data["id"] == result.Token.ID, vault.version)
	// Output: issued true 1
}

// A service that keeps working while another program rotates its token.
func ExampleTokenSource() {
	ctx := context.Background()
	tenant := sailpointtest.NewTenant()
	store := &lifecycle.MemoryStore{}
	cfg := tenant.Config()
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	_, err = lifecycle.Issue(ctx, client, sailpoint.CreatePersonalAccessTokenRequest{
		Name: "nightly-report", Scope: []string{"sp:my-personal-access-tokens:read"},
	}, store)
	if err != nil {
		log.Fatal(err)
	}

	cfg.ClientID, cfg.ClientSecret = "", sailpoint.Secret{}
	cfg.TokenSource = lifecycle.TokenSource(client, store)
	service, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		if _, err := lifecycle.Rotate(ctx, client, store, lifecycle.RotateOptions{}); err != nil {
			log.Fatal(err)
		}
		tokens, err := service.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
		if err != nil {
			log.Fatal(err)
		}
		stored, err := store.Load(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(tokens), "tokens, with the stored credential:", service.ClientID() == stored.ID)
	}
	// Output:
	// 2 tokens, with the stored credential: true
	// 2 tokens, with the stored credential: true
}

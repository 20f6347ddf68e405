// Package vaultstore keeps a personal access token's secret in a KV version 2
// secrets engine of HashiCorp Vault or OpenBao.
//
// The Vault token that Config.Token returns needs this policy. Replace MOUNT
// and PATH by the values in Config:
//
//	path "MOUNT/data/PATH" { capabilities = ["read", "create", "update"] }
//
// Keep Vault's policy "default", which most Vault tokens have. With it the
// store can also ask what its Vault token may do, before a personal access
// token is created, and which version the engine has.
package vaultstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/internal/storehttp"
)

// Config says where the secret is kept. Address, Mount, Path and Token must be
// set.
type Config struct {
	// Address is the URL of the server, such as https://vault.example.com:8200.
	Address string
	// Mount is the path of the secrets engine, such as "secret".
	Mount string
	// Path is the path of the secret in the engine, without "data/".
	Path string
	// Namespace is the namespace of Vault Enterprise or OpenBao. The default is
	// the root namespace.
	Namespace string
	// Token returns the Vault token. It is called before each request, so it
	// may renew the Vault token.
	Token func(ctx context.Context) (sailpoint.Secret, error)
	// HTTPClient sends the requests. Redirects are not followed. The default is
	// a client with a timeout of 30 seconds.
	HTTPClient *http.Client
	// IDKey, SecretKey and NoteKey are the names of the members that hold the
	// ID, the secret and the note. The defaults are "id", "secret" and "note".
	// Save leaves other members as they are.
	IDKey, SecretKey, NoteKey string
}

// Store is a [lifecycle.Store] with versions. Its Version consists of the
// engine's version number and the time when that version was created. Several
// goroutines may use it.
type Store struct {
	server                    *storehttp.Server
	mount, path               string // escaped
	policyPath                string // of the secret, as a policy names it
	namespace                 string
	idKey, secretKey, noteKey string
}

// New returns a Store. It sends nothing.
func New(config Config) (*Store, error) {
	server, err := storehttp.New(config.Address, config.Token, config.HTTPClient)
	if err != nil {
		return nil, err
	}
	plainMount := strings.Trim(config.Mount, "/")
	mount, err := storehttp.EscapePath(plainMount)
	if err != nil {
		return nil, fmt.Errorf("%w: Mount %w: set it to the path of a KV version 2 engine, such as secret", sailpoint.ErrInvalidArgument, err)
	}
	path, err := storehttp.EscapePath(config.Path)
	if err != nil {
		return nil, fmt.Errorf("%w: Path %w: set it to the path of the secret in the engine, without data/", sailpoint.ErrInvalidArgument, err)
	}
	s := &Store{
		server: server, mount: mount, path: path, policyPath: plainMount + "/data/" + config.Path, namespace: config.Namespace,
		idKey: cmp.Or(config.IDKey, "id"), secretKey: cmp.Or(config.SecretKey, "secret"), noteKey: cmp.Or(config.NoteKey, "note"),
	}
	if s.idKey == s.secretKey || s.idKey == s.noteKey || s.secretKey == s.noteKey {
		return nil, fmt.Errorf("%w: IDKey, SecretKey and NoteKey must differ", sailpoint.ErrInvalidArgument)
	}
	return s, nil
}

// stored is the engine's current version.
type stored struct {
	members    map[string]jsontext.Value
	number     int64
	created    string
	credential lifecycle.Credential
}

// response is every response of the engine that is used.
type response struct {
	Errors []string `json:"errors"`
	Data   struct {
		Data     map[string]jsontext.Value `json:"data"`
		Metadata struct {
			Version     int64  `json:"version"`
			CreatedTime string `json:"created_time"`
		} `json:"metadata"`
		Version      int64             `json:"version"`
		Options      map[string]string `json:"options"`
		Capabilities []string          `json:"capabilities"`
	} `json:"data"`
}

// Load reads the current version. If there is none yet, or the current one was
// deleted, it returns a Credential without ID. If Mount has no engine or one of
// KV version 1, it returns an error.
func (s *Store) Load(ctx context.Context) (lifecycle.Credential, error) {
	now, err := s.read(ctx)
	return now.credential, err
}

func (s *Store) read(ctx context.Context) (stored, error) {
	status, body, refused, err := s.send(ctx, http.MethodGet, s.dataPath(), nil)
	if err != nil {
		return stored{}, err
	}
	now := stored{number: body.Data.Metadata.Version, created: body.Data.Metadata.CreatedTime}
	switch {
	case status == http.StatusOK && now.number > 0:
		now.members = body.Data.Data
	case status == http.StatusNotFound && len(body.Errors) == 0 && now.number > 0: // deleted or destroyed
	case status == http.StatusNotFound && body.Errors != nil && len(body.Errors) == 0:
		if err := s.requireVersion2(ctx); err != nil {
			return stored{}, err
		}
	case status == http.StatusOK:
		return stored{}, s.errNotVersion2()
	default:
		return stored{}, refused
	}
	for key, value := range map[string]*string{s.idKey: &now.credential.ID, s.noteKey: &now.credential.Note} {
		if *value, err = now.text(key); err != nil {
			return stored{}, err
		}
	}
	secret, err := now.text(s.secretKey)
	if err != nil {
		return stored{}, err
	}
	now.credential.Secret = sailpoint.NewSecret(secret)
	now.credential.Version = strconv.FormatInt(now.number, 10) + "/" + now.created
	return now, nil
}

// text returns a member, or "" if it is missing. The error doesn't repeat it.
func (s stored) text(key string) (text string, err error) {
	if value, ok := s.members[key]; ok && (value.Kind() != '"' || json.Unmarshal(value, &text) != nil) {
		return "", fmt.Errorf("the stored member %q is not a text: correct or delete what is stored", key)
	}
	return text, nil
}

// requireVersion2 asks which version the engine has. Version 1 sends the same
// response for a missing secret as version 2, and would store a write without
// comparing anything. If the server rejects the question, version 2 is assumed.
func (s *Store) requireVersion2(ctx context.Context) error {
	status, body, _, err := s.send(ctx, http.MethodGet, "/v1/sys/internal/ui/mounts/"+s.mount, nil)
	switch {
	case err != nil:
		return err
	case status == http.StatusOK && body.Data.Options["version"] != "2":
		return s.errNotVersion2()
	}
	return nil
}

func (s *Store) errNotVersion2() error {
	return fmt.Errorf("the secrets engine at %s is not KV version 2: enable one, or upgrade it with vault kv enable-versioning", s.mount)
}

// Save writes a new version if the one that Load read is still current. It uses
// the engine's check-and-set. For a Credential without Version it returns
// [lifecycle.ErrNotStored].
func (s *Store) Save(ctx context.Context, c lifecycle.Credential) error {
	if c.Version == "" {
		return fmt.Errorf("%w: the credential has no version: use what Load returned", lifecycle.ErrNotStored)
	}
	now, err := s.read(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", lifecycle.ErrNotStored, err)
	case now.credential.Version != c.Version:
		return lifecycle.ErrStoreConflict
	}
	body, err := s.writeRequest(now, c)
	if err != nil {
		return err
	}
	status, written, refused, err := s.send(ctx, http.MethodPost, s.dataPath(), body, c.Secret)
	switch {
	case errors.As(err, new(storehttp.NotSentError)):
		return fmt.Errorf("%w: %w", lifecycle.ErrNotStored, err)
	case err != nil:
		return err // it may be stored
	case status == http.StatusOK && written.Data.Version == now.number+1:
		return nil
	case status == http.StatusBadRequest && strings.Contains(strings.Join(written.Errors, " "), "did not match the current version"):
		return lifecycle.ErrStoreConflict
	case status/100 == 4 && len(written.Errors) > 0: // the server itself refused it
		return fmt.Errorf("%w: %w", lifecycle.ErrNotStored, refused)
	}
	return refused
}

// writeRequest is the body of a write over now. Members of others stay.
func (s *Store) writeRequest(now stored, c lifecycle.Credential) ([]byte, error) {
	members := maps.Clone(now.members)
	if members == nil {
		members = map[string]jsontext.Value{}
	}
	for key, text := range map[string]string{s.idKey: c.ID, s.secretKey: c.Secret.Reveal(), s.noteKey: c.Note} {
		value, err := json.Marshal(text)
		if err != nil {
			return nil, fmt.Errorf("%w: the credential is not UTF-8", lifecycle.ErrNotStored)
		}
		members[key] = value
	}
	body, err := json.Marshal(struct {
		Options map[string]int64          `json:"options"`
		Data    map[string]jsontext.Value `json:"data"`
	}{map[string]int64{"cas": now.number}, members}, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("%w: what is stored can't be written again", lifecycle.ErrNotStored)
	}
	return body, nil
}

// CheckSave returns an error if Load does, or if the server says that the Vault
// token may not write to the path. It makes Store a [lifecycle.SaveChecker].
func (s *Store) CheckSave(ctx context.Context) error {
	if _, err := s.read(ctx); err != nil {
		return err
	}
	body, err := json.Marshal(map[string][]string{"paths": {s.policyPath}})
	if err != nil {
		return err
	}
	status, granted, _, err := s.send(ctx, http.MethodPost, "/v1/sys/capabilities-self", body)
	allowed := granted.Data.Capabilities
	switch {
	case err != nil:
		return err
	case status != http.StatusOK: // the token may read the secret, but not ask
		return nil
	case slices.Contains(allowed, "root"), slices.Contains(allowed, "create") && slices.Contains(allowed, "update"):
		return nil
	}
	return fmt.Errorf("the token may only %q at %s: grant it read, create and update", allowed, s.policyPath)
}

func (s *Store) dataPath() string { return "/v1/" + s.mount + "/data/" + s.path }

// send returns the status and body of a response. refused is the error to
// return if the status is a failure.
func (s *Store) send(ctx context.Context, method, path string, body []byte, secrets ...sailpoint.Secret) (status int, decoded response, refused, err error) {
	header := http.Header{"X-Vault-Request": {"true"}} // required by agents that are configured so
	if s.namespace != "" {
		header.Set("X-Vault-Namespace", s.namespace)
	}
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	got, err := s.server.Send(ctx, storehttp.Request{ //nolint:gosec // the name of a header
		Method: method, Path: path, TokenHeader: "X-Vault-Token", Header: header, Body: body, Secrets: secrets,
	})
	if err != nil {
		return 0, response{}, nil, err
	}
	if json.Unmarshal(got.Body, &decoded) != nil {
		decoded = response{}
		if got.Status/100 == 2 || got.Status == http.StatusNotFound {
			// A 404 without errors means that nothing is stored, which this
			// response does not say.
			return 0, response{}, nil, fmt.Errorf("%s %s: status %d with a body that is not the engine's", method, path, got.Status)
		}
	}
	hint := ""
	switch {
	case got.Status/100 == 3:
		hint = "; it redirects: use the address of the active server"
	case got.Status == http.StatusForbidden:
		hint = "; check that the Vault token is valid and that its policy allows read, create and update"
	case got.Status == http.StatusNotFound:
		hint = "; no KV version 2 engine is there: check the mount"
	case got.Status == http.StatusServiceUnavailable:
		hint = "; the server is sealed or in maintenance"
	}
	refused = fmt.Errorf("%s %s: status %d: %s%s", method, path, got.Status, got.Printable(strings.Join(decoded.Errors, "; ")), hint)
	return got.Status, decoded, refused, nil
}

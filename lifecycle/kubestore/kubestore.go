// Package kubestore keeps a personal access token's secret in a Secret of a
// Kubernetes cluster.
//
// The role of the service account or user needs the verbs get and patch for
// this Secret. If Save is to create the Secret, it also needs the verb create
// for the secrets of the namespace.
package kubestore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/redact"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/internal/storehttp"
)

// Config says where the secret is kept. Address, Namespace, Name and Token must
// be set. [InCluster] sets all of them except Name.
type Config struct {
	// Address is the URL of the API server, such as
	// https://kubernetes.default.svc.
	Address string
	// Namespace and Name are those of the Secret. The namespace must exist.
	// Save creates the Secret if it is missing.
	Namespace, Name string
	// Token returns the bearer token for the API server. It is called before
	// each request, so it may renew that bearer token.
	Token func(ctx context.Context) (sailpoint.Secret, error)
	// HTTPClient sends the requests. It must trust the cluster's certificate
	// authority. Redirects are not followed. The default is a client with a
	// timeout of 30 seconds, which trusts what the operating system trusts.
	HTTPClient *http.Client
	// IDKey, SecretKey and NoteKey are the keys in the Secret's data that hold
	// the ID, the secret and the note. The defaults are "id", "secret" and
	// "note". Save leaves other keys, labels and annotations as they are.
	IDKey, SecretKey, NoteKey string
}

// Store is a [lifecycle.Store] with versions. Its Version consists of the
// Secret's UID and a digest of the ID, the secret and the note. A changed label
// is therefore not a conflict. Several goroutines may use it.
type Store struct {
	server                    *storehttp.Server
	namespace, name           string
	idKey, secretKey, noteKey string
}

var (
	namePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	keyPattern  = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)
)

// New returns a Store. It sends nothing.
func New(config Config) (*Store, error) {
	server, err := storehttp.New(config.Address, config.Token, config.HTTPClient)
	if err != nil {
		return nil, err
	}
	s := &Store{
		server: server, namespace: config.Namespace, name: config.Name,
		idKey: cmp.Or(config.IDKey, "id"), secretKey: cmp.Or(config.SecretKey, "secret"), noteKey: cmp.Or(config.NoteKey, "note"),
	}
	for field, name := range map[string]string{"Namespace": s.namespace, "Name": s.name} {
		if !namePattern.MatchString(name) {
			return nil, fmt.Errorf("%w: %s is not a name of Kubernetes: use lower-case letters, digits and -", sailpoint.ErrInvalidArgument, field)
		}
	}
	for _, key := range []string{s.idKey, s.secretKey, s.noteKey} {
		if !keyPattern.MatchString(key) {
			return nil, fmt.Errorf("%w: %.80q is not a key of a Secret: use letters, digits, dots, - and _", sailpoint.ErrInvalidArgument, key)
		}
	}
	if s.idKey == s.secretKey || s.idKey == s.noteKey || s.secretKey == s.noteKey {
		return nil, fmt.Errorf("%w: IDKey, SecretKey and NoteKey must differ", sailpoint.ErrInvalidArgument)
	}
	return s, nil
}

// absent is the Version where there is no Secret.
const absent = "absent"

type metadata struct {
	Name            string `json:"name,omitempty"`
	UID             string `json:"uid,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// object is a Secret as it is read and written. Its data is base64.
type object struct {
	APIVersion string            `json:"apiVersion,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Metadata   metadata          `json:"metadata"`
	Type       string            `json:"type,omitempty"`
	Immutable  bool              `json:"immutable,omitzero"`
	Data       map[string]string `json:"data"`
}

// status is what the API server says about a failure.
type status struct {
	Kind    string `json:"kind"`
	Reason  string `json:"reason"`
	Details struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
	} `json:"details"`
}

// stored is the Secret and the Credential in it.
type stored struct {
	object     object
	credential lifecycle.Credential
}

// Load reads the Secret. If the Secret doesn't exist or has no ID, Load returns
// a Credential without ID.
func (s *Store) Load(ctx context.Context) (lifecycle.Credential, error) {
	now, err := s.read(ctx)
	return now.credential, err
}

func (s *Store) read(ctx context.Context) (stored, error) {
	got, err := s.send(ctx, http.MethodGet, "/"+s.name, "", nil)
	if err != nil {
		return stored{}, err
	}
	switch {
	case s.saysAbsent(got):
		return stored{credential: lifecycle.Credential{Version: absent}}, nil
	case got.Status != http.StatusOK:
		return stored{}, s.refused(got)
	}
	o, ok := secretOf(got)
	if !ok || o.Metadata.UID == "" || o.Metadata.ResourceVersion == "" {
		return stored{}, errNotSecret
	}
	var members [3]string
	for i, key := range []string{s.idKey, s.secretKey, s.noteKey} {
		text, err := base64.StdEncoding.DecodeString(o.Data[key])
		if err != nil {
			return stored{}, fmt.Errorf("the member %q of the Secret is not base64", key)
		}
		members[i] = string(text)
	}
	digest := sha256.Sum256([]byte(strings.Join(members[:], "\x00")))
	return stored{o, lifecycle.Credential{
		ID: members[0], Secret: sailpoint.NewSecret(members[1]), Note: members[2],
		Version: o.Metadata.UID + "/" + hex.EncodeToString(digest[:8]),
	}}, nil
}

// errNotSecret doesn't repeat the response, which could contain a secret.
var errNotSecret = errors.New("the response is not a Secret: check the address of the API server")

// secretOf returns the Secret of a successful response, if it is one.
func secretOf(got response) (o object, ok bool) {
	ok = json.Unmarshal(got.Body, &o) == nil && o.Kind == "Secret"
	return o, ok
}

// saysAbsent reports whether a response says that this very Secret doesn't
// exist. If the namespace or the path is missing, it returns false.
func (s *Store) saysAbsent(got response) bool {
	return got.Status == http.StatusNotFound && got.status.Kind == "Status" &&
		got.status.Details.Kind == "secrets" && got.status.Details.Name == s.name
}

// maxTries bounds how often Save starts again because somebody else changed the
// Secret, but not the credential in it.
const maxTries = 10

// Save creates or patches the Secret if its content still has c's Version. It
// uses the Secret's resourceVersion, so it overwrites no concurrent change. For
// a Credential without Version it returns [lifecycle.ErrNotStored].
func (s *Store) Save(ctx context.Context, c lifecycle.Credential) error {
	if c.Version == "" {
		return fmt.Errorf("%w: the credential has no version: use what Load returned", lifecycle.ErrNotStored)
	}
	for range maxTries {
		now, err := s.read(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", lifecycle.ErrNotStored, err)
		case now.credential.Version != c.Version:
			return lifecycle.ErrStoreConflict
		}
		if changed, err := s.write(ctx, now.object, c, ""); !changed {
			return err
		}
	}
	return fmt.Errorf("%w: others change the Secret %s/%s all the time: stop them", lifecycle.ErrNotStored, s.namespace, s.name)
}

// CheckSave returns an error if the API server would reject a Save. It sends
// the request of a Save with dryRun=All, so that the server changes nothing. It
// makes Store a [lifecycle.SaveChecker].
func (s *Store) CheckSave(ctx context.Context) error {
	now, err := s.read(ctx)
	if err != nil {
		return err
	}
	_, err = s.write(ctx, now.object, now.credential, "&dryRun=All")
	return err
}

// write creates or patches the Secret. If somebody else has changed the Secret
// since it was read, write changes nothing and reports changed.
func (s *Store) write(ctx context.Context, now object, c lifecycle.Credential, query string) (changed bool, err error) {
	if now.Immutable {
		return false, fmt.Errorf("%w: the Secret %s/%s is immutable: delete it, and create it without immutable", lifecycle.ErrNotStored, s.namespace, s.name)
	}
	next := object{Metadata: metadata{UID: now.Metadata.UID, ResourceVersion: now.Metadata.ResourceVersion}}
	method, path, mediaType := http.MethodPatch, "/"+s.name, "application/merge-patch+json"
	if now.Metadata.UID == "" {
		next = object{APIVersion: "v1", Kind: "Secret", Type: "Opaque", Metadata: metadata{Name: s.name}}
		method, path, mediaType = http.MethodPost, "", "application/json"
	}
	next.Data = map[string]string{}
	for key, text := range map[string]string{s.idKey: c.ID, s.secretKey: c.Secret.Reveal(), s.noteKey: c.Note} {
		next.Data[key] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	body, err := json.Marshal(next, json.Deterministic(true))
	if err != nil {
		return false, fmt.Errorf("%w: %w", lifecycle.ErrNotStored, err)
	}
	got, err := s.send(ctx, method, path+"?fieldManager=sailpoint-lifecycle"+query, mediaType, body, c.Secret)
	switch {
	case errors.As(err, new(storehttp.NotSentError)):
		return false, fmt.Errorf("%w: %w", lifecycle.ErrNotStored, err)
	case err != nil:
		return false, err // it may be stored
	case got.Status/100 == 2:
		if _, ok := secretOf(got); !ok {
			return false, errNotSecret // it may be stored, or a proxy may have sent this
		}
		return false, nil
	case got.status.Kind == "Status" && got.Status == http.StatusConflict, s.saysAbsent(got):
		return true, nil
	case got.Status/100 == 4 && got.status.Kind == "Status": // the API server itself refused it
		return false, fmt.Errorf("%w: %w", lifecycle.ErrNotStored, s.refused(got))
	}
	return false, s.refused(got)
}

type response struct {
	*storehttp.Response
	method string // of the request
	status status // of a failure
}

// refused returns the error of an unsuccessful response. It does not repeat the
// message, which can quote the Secret.
func (s *Store) refused(got response) error {
	hint := ""
	switch {
	case got.Status == http.StatusNotFound && got.status.Details.Kind == "namespaces":
		hint = ": the namespace does not exist"
	case got.Status == http.StatusUnauthorized:
		hint = ": the cluster rejects the token of the service account or user: check that it is valid"
	case got.Status == http.StatusForbidden && got.method == http.MethodPost:
		hint = ": the Secret is missing: create it, or grant create"
	case got.Status == http.StatusForbidden:
		hint = ": grant get and patch for this Secret"
	case got.Status/100 == 3:
		hint = ": it redirects: use the address of the API server itself"
	}
	reason := ""
	if got.status.Reason != "" {
		reason = " " + redact.Printable(got.status.Reason)
	}
	return fmt.Errorf("the Secret %s/%s: status %d%s%s", s.namespace, s.name, got.Status, reason, hint)
}

func (s *Store) send(ctx context.Context, method, path, mediaType string, body []byte, secrets ...sailpoint.Secret) (response, error) {
	header := http.Header{"Accept": {"application/json"}}
	if mediaType != "" {
		header.Set("Content-Type", mediaType)
	}
	got, err := s.server.Send(ctx, storehttp.Request{
		Method: method, Path: "/api/v1/namespaces/" + s.namespace + "/secrets" + path,
		TokenHeader: "Authorization", TokenPrefix: "Bearer ", Header: header, Body: body, Secrets: secrets,
	})
	if err != nil {
		return response{}, err
	}
	decoded := response{Response: got, method: method}
	if got.Status/100 != 2 && json.Unmarshal(got.Body, &decoded.status) != nil {
		decoded.status = status{}
	}
	return decoded, nil
}

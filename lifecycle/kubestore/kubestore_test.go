package kubestore_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/kubestore"
	"github.com/sailpoint-go/sailpoint/lifecycle/storetest"
)

const (
	clusterToken = "eyJhbGciOiJSUzI1NiJ9.cluster-c0ffee.sig"
	storedSecret = "5ecf00d15ecf00d15ecf00d1"
	secretsPath  = "/api/v1/namespaces/ci/secrets"
)

// secret is a Secret of the fake API server.
type secret struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Data       map[string]string `json:"data"`
	Immutable  bool              `json:"immutable,omitzero"`
}

type metadata struct {
	Name            string            `json:"name"`
	UID             string            `json:"uid,omitempty"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
}

// cluster is an API server with the namespace ci, as the real one responds.
// reply, if it is set, responds instead.
type cluster struct {
	mu       sync.Mutex
	secrets  map[string]*secret
	writes   int
	denied   bool
	requests []string // method, path with query, media type and body
	reply    func(w http.ResponseWriter, r *http.Request) bool
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	c.requests = append(c.requests, strings.Join(strings.Fields(fmt.Sprint(r.Method, " ", r.URL, " ", r.Header.Get("Content-Type"), " ", string(body))), " "))
	name := path.Base(r.URL.Path)
	switch {
	case c.reply != nil && c.reply(w, r):
	case r.Header.Get("Authorization") != "Bearer "+clusterToken:
		respond(w, 401, `{"kind":"Status","status":"Failure","reason":"Unauthorized","code":401}`)
	case c.denied:
		respond(w, 403, `{"kind":"Status","status":"Failure","message":"secrets is forbidden","reason":"Forbidden","details":{"kind":"secrets"},"code":403}`)
	case !strings.HasPrefix(r.URL.Path, secretsPath) && r.Method == http.MethodPost:
		respond(w, 404, `{"kind":"Status","reason":"NotFound","details":{"name":"none","kind":"namespaces"},"code":404}`)
	case r.Method == http.MethodPost:
		c.create(w, body, r.URL.Query().Get("dryRun") != "")
	case c.secrets[name] == nil || !strings.HasPrefix(r.URL.Path, secretsPath):
		respond(w, 404, `{"kind":"Status","reason":"NotFound","details":{"name":"`+name+`","kind":"secrets"},"code":404}`)
	case r.Method == http.MethodGet:
		respondWith(w, 200, c.secrets[name])
	default:
		c.patch(w, c.secrets[name], body, r.URL.Query().Get("dryRun") != "")
	}
}

func respond(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func respondWith(w http.ResponseWriter, status int, s *secret) {
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, s)
}

func (c *cluster) next() string {
	c.writes++
	return fmt.Sprint(c.writes)
}

func (c *cluster) create(w http.ResponseWriter, body []byte, dryRun bool) {
	var s secret
	switch {
	case json.Unmarshal(body, &s) != nil:
		respond(w, 400, `{"kind":"Status","reason":"BadRequest","code":400}`)
		return
	case c.secrets[s.Metadata.Name] != nil:
		respond(w, 409, `{"kind":"Status","reason":"AlreadyExists","details":{"name":"`+s.Metadata.Name+`","kind":"secrets"},"code":409}`)
		return
	}
	s.Metadata.ResourceVersion = c.next()
	s.Metadata.UID = "uid-" + s.Metadata.ResourceVersion
	if !dryRun {
		c.secrets[s.Metadata.Name] = &s
	}
	respondWith(w, 201, &s)
}

func (c *cluster) patch(w http.ResponseWriter, s *secret, body []byte, dryRun bool) {
	var patch secret
	switch {
	case json.Unmarshal(body, &patch) != nil:
		respond(w, 400, `{"kind":"Status","reason":"BadRequest","code":400}`)
		return
	case patch.Metadata.ResourceVersion != s.Metadata.ResourceVersion, patch.Metadata.UID != s.Metadata.UID:
		respond(w, 409, `{"kind":"Status","reason":"Conflict","details":{"name":"deploy","kind":"secrets"},"code":409}`)
		return
	}
	changed := *s
	changed.Data = maps.Clone(s.Data)
	if changed.Data == nil {
		changed.Data = map[string]string{}
	}
	maps.Copy(changed.Data, patch.Data)
	changed.Metadata.ResourceVersion = c.next()
	if !dryRun {
		*s = changed
	}
	respondWith(w, 200, &changed)
}

func (c *cluster) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// label changes the Secret, but not the credential in it.
func (c *cluster) label(value string) {
	s := c.secrets["deploy"]
	s.Metadata.Labels = map[string]string{"touched": value}
	s.Metadata.ResourceVersion = c.next()
}

func (c *cluster) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.requests
	c.requests = nil
	return taken
}

// newCluster returns an API server, and a function that opens stores of it.
// Their connections end with the test.
func newCluster(t *testing.T) (c *cluster, server *httptest.Server, open func(change func(*kubestore.Config)) *kubestore.Store) {
	t.Helper()
	c = &cluster{secrets: map[string]*secret{}}
	server = httptest.NewTLSServer(c)
	trusting, ok := server.Client().Transport.(*http.Transport)
	require.True(t, ok)
	var transports []*http.Transport
	t.Cleanup(func() {
		for _, transport := range transports {
			transport.CloseIdleConnections()
		}
		server.Close()
	})
	return c, server, func(change func(*kubestore.Config)) *kubestore.Store {
		transport := trusting.Clone()
		transports = append(transports, transport)
		config := kubestore.Config{
			Address: server.URL, Namespace: "ci", Name: "deploy",
			Token:      func(context.Context) (sailpoint.Secret, error) { return sailpoint.NewSecret(clusterToken), nil },
			HTTPClient: &http.Client{Transport: transport},
		}
		if change != nil {
			change(&config)
		}
		s, err := kubestore.New(config)
		require.NoError(t, err)
		return s
	}
}

func credential(version string) lifecycle.Credential {
	return lifecycle.Credential{ID: "id-1", Secret: sailpoint.NewSecret(storedSecret), Note: "note-1", Version: version}
}

func in64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// TestStorePassesStoretest uses a cluster in memory. The checks with a proxy
// wait for seconds, so they run only with all cases.
func TestStorePassesStoretest(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		c, server, open := newCluster(t)
		place := storetest.Place{
			Open:  func() lifecycle.Store { return open(nil) },
			Clear: func() { c.set(func() { delete(c.secrets, "deploy") }) },
			Spoil: func() { c.set(func() { c.secrets["deploy"].Data["secret"] = "5ecf00d1!" }) },
			Deny: func() func() {
				c.set(func() { c.denied = true })
				return func() { c.set(func() { c.denied = false }) }
			},
		}
		if os.Getenv("SAILPOINT_TEST_EXHAUSTIVE") == "1" {
			place.Address = strings.TrimPrefix(server.URL, "https://")
			place.OpenAt = func(address string) lifecycle.Store {
				return open(func(c *kubestore.Config) { c.Address = "https://" + address })
			}
		}
		return place
	})
}

// TestWire compares each request with its exact text.
func TestWire(t *testing.T) {
	c, _, open := newCluster(t)
	s := open(func(config *kubestore.Config) {
		config.IDKey, config.SecretKey, config.NoteKey = "SAIL_CLIENT_ID", "SAIL_CLIENT_SECRET", "SAIL_NOTE"
	})
	empty, err := s.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, lifecycle.Credential{Version: "absent"}, empty)
	require.NoError(t, s.CheckSave(t.Context()))
	assert.Empty(t, c.secrets)
	require.NoError(t, s.Save(t.Context(), credential(empty.Version)))
	get := "GET " + secretsPath + "/deploy"
	post := "POST " + secretsPath + "?fieldManager=sailpoint-lifecycle"
	patch := "PATCH " + secretsPath + "/deploy?fieldManager=sailpoint-lifecycle"
	data := fmt.Sprintf(`"data":{"SAIL_CLIENT_ID":%q,"SAIL_CLIENT_SECRET":%q,"SAIL_NOTE":%q}}`, in64("id-1"), in64(storedSecret), in64("note-1"))
	assert.Equal(t, []string{
		get, get,
		post + `&dryRun=All application/json {"apiVersion":"v1","kind":"Secret","metadata":{"name":"deploy"},"type":"Opaque","data":{"SAIL_CLIENT_ID":"","SAIL_CLIENT_SECRET":"","SAIL_NOTE":""}}`,
		get,
		post + ` application/json {"apiVersion":"v1","kind":"Secret","metadata":{"name":"deploy"},"type":"Opaque",` + data,
	}, c.take())

	c.set(func() { c.secrets["deploy"].Data["other"] = in64("x"); c.label("once") })
	stored, err := s.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "id-1", stored.ID)
	assert.Equal(t, storedSecret, stored.Secret.Reveal())
	assert.Equal(t, "note-1", stored.Note)
	c.take()
	require.NoError(t, s.Save(t.Context(), credential(stored.Version)))
	assert.Equal(t, []string{
		get,
		patch + ` application/merge-patch+json {"metadata":{"uid":"uid-2","resourceVersion":"3"},` + data,
	}, c.take())
	assert.Equal(t, in64("x"), c.secrets["deploy"].Data["other"], "members of others stay")
	assert.Equal(t, map[string]string{"touched": "once"}, c.secrets["deploy"].Metadata.Labels)
}

// TestLabelsOfOthersAreNoConflict also changes labels between the read and the
// write of one Save.
func TestLabelsOfOthersAreNoConflict(t *testing.T) {
	c, _, open := newCluster(t)
	s := open(nil)
	require.NoError(t, s.Save(t.Context(), credential("absent")))
	stored, err := s.Load(t.Context())
	require.NoError(t, err)
	labels := 1
	c.reply = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && labels > 0 {
			labels--
			c.label("between")
		}
		return false
	}
	c.take()
	next := credential(stored.Version)
	next.ID = "id-2"
	require.NoError(t, s.Save(t.Context(), next))
	assert.Len(t, c.take(), 4, "it reads and patches, is refused, and does both again")
	assert.Equal(t, in64("id-2"), c.secrets["deploy"].Data["id"])

	labels = 1000
	now, err := s.Load(t.Context())
	require.NoError(t, err)
	err = s.Save(t.Context(), credential(now.Version))
	assert.ErrorIs(t, err, lifecycle.ErrNotStored)
	assert.ErrorContains(t, err, "others change the Secret ci/deploy all the time")
}

// TestResponses checks which failures say that nothing is stored.
func TestResponses(t *testing.T) {
	for name, tt := range map[string]struct {
		status    int
		body      string
		says      string
		notStored bool
	}{
		"no right":         {403, `{"kind":"Status","reason":"Forbidden"}`, "status 403 Forbidden: the Secret is missing: create it, or grant create", true},
		"no login":         {401, `{"kind":"Status","reason":"Unauthorized"}`, "status 401 Unauthorized: the cluster rejects the token of the service account or user: check that it is valid", true},
		"invalid":          {422, `{"kind":"Status","reason":"Invalid","message":"` + storedSecret + `"}`, "status 422 Invalid", true},
		"internal error":   {500, `{"kind":"Status","reason":"InternalError"}`, "status 500 InternalError", false},
		"a timeout":        {504, `{"kind":"Status","reason":"Timeout"}`, "status 504 Timeout", false},
		"a proxy's page":   {403, `<html>`, "status 403", false},
		"a proxy's 409":    {409, `<html>`, "status 409", false},
		"a proxy's 200":    {200, `<html>`, "the response is not a Secret", false},
		"a redirect":       {307, ``, "it redirects", false},
		"a proxy's reason": {400, `{"kind":"Status","reason":"a\nb"}`, `status 400 "a\nb"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, open := newCluster(t)
			c.reply = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost {
					w.Header().Set("Location", "https://127.0.0.1:1/")
					respond(w, tt.status, tt.body)
				}
				return r.Method == http.MethodPost
			}
			err := open(nil).Save(t.Context(), credential("absent"))
			require.ErrorContains(t, err, tt.says)
			assert.Equal(t, tt.notStored, errors.Is(err, lifecycle.ErrNotStored))
			assert.NotErrorIs(t, err, lifecycle.ErrStoreConflict)
			for _, secret := range []string{storedSecret, clusterToken} {
				assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), secret)
			}
			assert.Len(t, c.take(), 2, "a write is sent once")
		})
	}
}

// TestMissingRightsAreNamed checks the verbs for each request, so that nobody
// grants create if the Secret exists.
func TestMissingRightsAreNamed(t *testing.T) {
	for method, says := range map[string]string{
		http.MethodGet: "grant get and patch for this Secret", http.MethodPatch: "grant get and patch for this Secret",
		http.MethodPost: "the Secret is missing: create it, or grant create",
	} {
		c, _, open := newCluster(t)
		s := open(nil)
		if method == http.MethodPatch {
			require.NoError(t, s.Save(t.Context(), credential("absent")))
		}
		c.reply = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == method {
				respond(w, 403, `{"kind":"Status","reason":"Forbidden"}`)
			}
			return r.Method == method
		}
		err := s.CheckSave(t.Context())
		require.Error(t, err)
		assert.Equal(t, "the Secret ci/deploy: status 403 Forbidden: "+says, strings.TrimPrefix(err.Error(), "lifecycle: not stored: "))
	}
}

// TestMissingNamespaceAndImmutableSecret checks that the error says so, and
// that nothing is changed.
func TestMissingNamespaceAndImmutableSecret(t *testing.T) {
	c, _, open := newCluster(t)
	none := open(func(config *kubestore.Config) { config.Namespace = "none" })
	for _, err := range []error{none.Save(t.Context(), credential("absent")), none.CheckSave(t.Context())} {
		assert.ErrorIs(t, err, lifecycle.ErrNotStored)
		assert.ErrorContains(t, err, "the Secret none/deploy: status 404 NotFound: the namespace does not exist")
	}
	s := open(nil)
	require.NoError(t, s.Save(t.Context(), credential("absent")))
	c.set(func() { c.secrets["deploy"].Immutable = true })
	stored, err := s.Load(t.Context())
	require.NoError(t, err)
	c.take()
	for _, err := range []error{s.Save(t.Context(), credential(stored.Version)), s.CheckSave(t.Context())} {
		assert.ErrorIs(t, err, lifecycle.ErrNotStored)
		assert.ErrorContains(t, err, "is immutable")
	}
	assert.Len(t, c.take(), 2, "only reads")
}

// TestLoadRefusesWhatIsNoSecret also checks that the error does not repeat it.
func TestLoadRefusesWhatIsNoSecret(t *testing.T) {
	for _, body := range []string{
		`{"kind":"SecretList","items":[]}`, `<html>` + storedSecret, `{"kind":"Secret","metadata":{"uid":"u"},"data":{}}`,
		`{"kind":"Secret","metadata":{"uid":"u","resourceVersion":"1"},"data":{"id":["` + storedSecret + `"]}}`,
	} {
		c, _, open := newCluster(t)
		c.reply = func(w http.ResponseWriter, _ *http.Request) bool {
			respond(w, 200, body)
			return true
		}
		_, err := open(nil).Load(t.Context())
		assert.ErrorContains(t, err, "not a Secret", body)
		assert.NotContains(t, err.Error(), storedSecret)
	}
}

// TestFromServiceAccount reads the files of a pod, and the token again for each
// request.
func TestFromServiceAccount(t *testing.T) {
	c, server, _ := newCluster(t)
	folder := t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600))
	}
	_, err := kubestore.FromServiceAccount(folder)
	require.ErrorContains(t, err, "not in a pod with a service account")
	write("namespace", "ci\n")
	write("ca.crt", "none")
	_, err = kubestore.FromServiceAccount(folder)
	require.ErrorContains(t, err, "the file ca.crt of the service account has no certificate")
	write("ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	_, err = kubestore.FromServiceAccount(folder)
	require.ErrorContains(t, err, "token")
	write("token", "expired")
	config, err := kubestore.FromServiceAccount(folder)
	require.NoError(t, err)
	assert.Equal(t, "https://kubernetes.default.svc", config.Address)
	assert.Equal(t, "ci", config.Namespace)
	config.Address, config.Name = server.URL, "deploy"
	defer config.HTTPClient.CloseIdleConnections()
	s, err := kubestore.New(config)
	require.NoError(t, err)
	_, err = s.Load(t.Context())
	require.ErrorContains(t, err, "status 401 Unauthorized")
	write("token", clusterToken+"\n")
	require.NoError(t, s.Save(t.Context(), credential("absent")), "the cluster replaced the token")
	assert.Contains(t, c.secrets, "deploy")
	require.NoError(t, os.Remove(filepath.Join(folder, "token")))
	assert.ErrorIs(t, s.Save(t.Context(), credential("absent")), lifecycle.ErrNotStored)

	_, err = kubestore.InCluster()
	assert.ErrorIs(t, err, os.ErrNotExist, "this test does not run in a pod")
}

// TestNewRefuses checks that an invalid Config is an error before anything is
// sent.
func TestNewRefuses(t *testing.T) {
	token := func(context.Context) (sailpoint.Secret, error) { return sailpoint.Secret{}, nil }
	for says, config := range map[string]kubestore.Config{
		"Address is not a URL":              {Namespace: "ci", Name: "deploy", Token: token},
		"Address is not https":              {Address: "http://api.example.com", Namespace: "ci", Name: "deploy", Token: token},
		"Token is not set":                  {Address: "https://api.example.com", Namespace: "ci", Name: "deploy"},
		"Namespace is not a name":           {Address: "https://api.example.com", Name: "deploy", Token: token},
		"Name is not a name":                {Address: "https://api.example.com", Namespace: "ci", Name: "../deploy", Token: token},
		`"a/b" is not a key`:                {Address: "https://api.example.com", Namespace: "ci", Name: "deploy", Token: token, IDKey: "a/b"},
		"IDKey, SecretKey and NoteKey must": {Address: "https://api.example.com", Namespace: "ci", Name: "deploy", Token: token, IDKey: "note"},
	} {
		_, err := kubestore.New(config)
		assert.ErrorContains(t, err, says)
		assert.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	}
}

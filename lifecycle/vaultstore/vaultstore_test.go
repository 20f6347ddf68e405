package vaultstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/storetest"
	"github.com/sailpoint-go/sailpoint/lifecycle/vaultstore"
)

const (
	vaultToken   = "hvs.c0ffee-c0ffee-c0ffee"
	storedSecret = "5ecf00d15ecf00d15ecf00d1"
	dataPath     = "/v1/kv/data/ci/deploy"
)

// version is one version of the fake engine.
type version struct {
	data    jsontext.Value
	created string
	deleted bool
}

// engine is a KV version 2 engine at the mount kv, as the real one responds.
// reply, if it is set, responds instead.
type engine struct {
	mu       sync.Mutex
	versions []version
	clock    int
	denied   bool
	requests []string // method, path and body
	headers  []http.Header
	reply    func(w http.ResponseWriter, r *http.Request) bool
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	e.requests = append(e.requests, strings.TrimSpace(fmt.Sprint(r.Method, " ", r.URL.Path, " ", string(body))))
	e.headers = append(e.headers, r.Header)
	switch {
	case e.reply != nil && e.reply(w, r):
	case r.Header.Get("X-Vault-Token") != vaultToken || e.denied:
		respond(w, http.StatusForbidden, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`)
	case r.URL.Path == "/v1/sys/internal/ui/mounts/kv":
		respond(w, http.StatusOK, `{"data":{"type":"kv","path":"kv/","options":{"version":"2"}}}`)
	case r.URL.Path == "/v1/sys/internal/ui/mounts/one":
		respond(w, http.StatusOK, `{"data":{"type":"kv","path":"one/","options":{"version":"1"}}}`)
	case r.URL.Path == "/v1/sys/capabilities-self":
		respond(w, http.StatusOK, `{"data":{"capabilities":["create","read","update"],"kv/data/ci/deploy":["create","read","update"]}}`)
	case strings.HasPrefix(r.URL.Path, "/v1/one/"):
		respond(w, http.StatusNotFound, `{"errors":[]}`)
	case r.URL.Path != dataPath:
		respond(w, http.StatusNotFound, `{"errors":["no handler for route \"none/data/ci/deploy\". route entry not found."]}`)
	case r.Method == http.MethodGet:
		e.get(w)
	default:
		e.post(w, body)
	}
}

func respond(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (e *engine) get(w http.ResponseWriter) {
	n := len(e.versions)
	if n == 0 {
		respond(w, http.StatusNotFound, `{"errors":[]}`)
		return
	}
	v, status, deletion := e.versions[n-1], http.StatusOK, ""
	if v.deleted {
		v.data, status, deletion = jsontext.Value("null"), http.StatusNotFound, v.created
	}
	respond(w, status, fmt.Sprintf(`{"request_id":"r","data":{"data":%s,"metadata":{"created_time":%q,"custom_metadata":null,"deletion_time":%q,"destroyed":false,"version":%d}}}`,
		v.data, v.created, deletion, n))
}

func (e *engine) post(w http.ResponseWriter, body []byte) {
	var request struct {
		Options struct {
			CAS *int `json:"cas"`
		} `json:"options"`
		Data jsontext.Value `json:"data"`
	}
	if json.Unmarshal(body, &request) != nil {
		respond(w, http.StatusBadRequest, `{"errors":["failed to parse JSON input"]}`)
		return
	}
	if request.Options.CAS != nil && *request.Options.CAS != len(e.versions) {
		respond(w, http.StatusBadRequest, `{"errors":["check-and-set parameter did not match the current version"]}`)
		return
	}
	e.write(string(request.Data))
	respond(w, http.StatusOK, fmt.Sprintf(`{"data":{"created_time":%q,"version":%d}}`, e.versions[len(e.versions)-1].created, len(e.versions)))
}

func (e *engine) write(data string) {
	e.clock++
	e.versions = append(e.versions, version{data: jsontext.Value(data), created: fmt.Sprintf("2026-01-01T00:00:00.%09dZ", e.clock)})
}

func (e *engine) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// take returns the requests since the last take.
func (e *engine) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	taken := e.requests
	e.requests = nil
	return taken
}

// newEngine returns an engine, and a function that opens stores of it. Their
// connections end with the test.
func newEngine(t *testing.T) (e *engine, address string, open func(change func(*vaultstore.Config)) *vaultstore.Store) {
	t.Helper()
	e = &engine{}
	server := httptest.NewServer(e)
	var transports []*http.Transport
	t.Cleanup(func() {
		for _, transport := range transports {
			transport.CloseIdleConnections()
		}
		server.Close()
	})
	return e, server.URL, func(change func(*vaultstore.Config)) *vaultstore.Store {
		transport := &http.Transport{}
		transports = append(transports, transport)
		config := vaultstore.Config{
			Address: server.URL, Mount: "kv", Path: "ci/deploy",
			Token:      func(context.Context) (sailpoint.Secret, error) { return sailpoint.NewSecret(vaultToken), nil },
			HTTPClient: &http.Client{Transport: transport},
		}
		if change != nil {
			change(&config)
		}
		s, err := vaultstore.New(config)
		require.NoError(t, err)
		return s
	}
}

func credential(version string) lifecycle.Credential {
	return lifecycle.Credential{ID: "id-1", Secret: sailpoint.NewSecret(storedSecret), Note: "note-1", Version: version}
}

// TestStorePassesStoretest uses an engine in memory. The checks with a proxy
// wait for seconds, so they run only with all cases.
func TestStorePassesStoretest(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		e, address, open := newEngine(t)
		place := storetest.Place{
			Open:  func() lifecycle.Store { return open(nil) },
			Clear: func() { e.set(func() { e.versions[len(e.versions)-1].deleted = true }) },
			Spoil: func() { e.set(func() { e.write(`{"id":1,"secret":["5ecf00d1"]}`) }) },
			Deny: func() func() {
				e.set(func() { e.denied = true })
				return func() { e.set(func() { e.denied = false }) }
			},
		}
		if os.Getenv("SAILPOINT_TEST_EXHAUSTIVE") == "1" {
			place.Address = strings.TrimPrefix(address, "http://")
			place.OpenAt = func(address string) lifecycle.Store {
				return open(func(c *vaultstore.Config) { c.Address = "http://" + address })
			}
		}
		return place
	})
}

// TestWire compares each request with its exact text.
func TestWire(t *testing.T) {
	e, _, open := newEngine(t)
	s := open(func(c *vaultstore.Config) {
		c.Namespace, c.IDKey, c.SecretKey, c.NoteKey = "team", "SAIL_CLIENT_ID", "SAIL_CLIENT_SECRET", "SAIL_NOTE"
	})
	empty, err := s.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "0/", empty.Version)
	assert.Equal(t, []string{"GET " + dataPath, "GET /v1/sys/internal/ui/mounts/kv"}, e.take())

	require.NoError(t, s.Save(t.Context(), credential(empty.Version)))
	assert.Equal(t, []string{
		"GET " + dataPath, "GET /v1/sys/internal/ui/mounts/kv",
		"POST " + dataPath + ` {"options":{"cas":0},"data":{"SAIL_CLIENT_ID":"id-1","SAIL_CLIENT_SECRET":"` + storedSecret + `","SAIL_NOTE":"note-1"}}`,
	}, e.take())

	e.set(func() {
		e.write(`{"SAIL_CLIENT_ID":"id-0","SAIL_CLIENT_SECRET":"` + storedSecret + `","owner":{"phone":1e2}}`)
	})
	first, err := s.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "id-0", first.ID)
	assert.Equal(t, storedSecret, first.Secret.Reveal())
	assert.Empty(t, first.Note, "a person wrote it")
	assert.Equal(t, "2/2026-01-01T00:00:00.000000002Z", first.Version)
	e.take()
	require.NoError(t, s.CheckSave(t.Context()))
	require.NoError(t, s.Save(t.Context(), credential(first.Version)))
	assert.Equal(t, []string{
		"GET " + dataPath,
		`POST /v1/sys/capabilities-self {"paths":["kv/data/ci/deploy"]}`,
		"GET " + dataPath,
		"POST " + dataPath + ` {"options":{"cas":2},"data":{"SAIL_CLIENT_ID":"id-1","SAIL_CLIENT_SECRET":"` + storedSecret + `","SAIL_NOTE":"note-1","owner":{"phone":1e2}}}`,
	}, e.take(), "members of others stay")
	for _, header := range e.headers {
		assert.Equal(t, []string{vaultToken}, header["X-Vault-Token"])
		assert.Equal(t, []string{"team"}, header["X-Vault-Namespace"])
	}
}

// TestWhereNothingIsStored checks which responses mean an empty store, and
// which are errors.
func TestWhereNothingIsStored(t *testing.T) {
	e, _, open := newEngine(t)
	for mount, says := range map[string]string{
		"none": "no KV version 2 engine is there: check the mount",
		"one":  "the secrets engine at one is not KV version 2",
	} {
		s := open(func(c *vaultstore.Config) { c.Mount = mount })
		_, err := s.Load(t.Context())
		assert.ErrorContains(t, err, says)
		assert.ErrorContains(t, s.CheckSave(t.Context()), says)
		err = s.Save(t.Context(), credential("0/"))
		assert.ErrorContains(t, err, says)
		assert.ErrorIs(t, err, lifecycle.ErrNotStored)
	}
	s := open(nil)
	require.NoError(t, s.Save(t.Context(), credential("0/")))
	stored, err := s.Load(t.Context())
	require.NoError(t, err)
	e.set(func() { e.versions[0].deleted = true })
	deleted, err := s.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, lifecycle.Credential{Version: stored.Version}, deleted)
	e.set(func() { e.versions = nil })
	gone, err := s.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, lifecycle.Credential{Version: "0/"}, gone)
	require.NoError(t, s.Save(t.Context(), credential(gone.Version)))
	assert.ErrorIs(t, s.Save(t.Context(), credential(stored.Version)), lifecycle.ErrStoreConflict,
		"the history was deleted and counts anew, but the version of before stays outdated")
	assert.Len(t, e.versions, 1)
}

// TestResponses checks which failures say that nothing is stored.
func TestResponses(t *testing.T) {
	for name, tt := range map[string]struct {
		status    int
		body      string
		says      string
		notStored bool
	}{
		"permission denied": {403, `{"errors":["permission denied"]}`, "status 403: permission denied; check that the Vault token is valid and that its policy allows read, create and update", true},
		"sealed":            {503, `{"errors":["Vault is sealed"]}`, "status 503: Vault is sealed; the server is sealed", false},
		"internal error":    {500, `{"errors":["1 error occurred"]}`, "status 500: 1 error occurred", false},
		"a proxy's page":    {403, `<html>blocked</html>`, "status 403", false},
		"a proxy's page with the status of success": {200, `<html>` + storedSecret, "a body that is not the engine's", false},
		"the error repeats the secret":              {400, `{"errors":["bad: ` + storedSecret + `"]}`, "bad: [REDACTED]", true},
		"the error repeats the token":               {400, `{"errors":["bad: ` + vaultToken + `"]}`, "bad: [REDACTED]", true},
		"another version than expected":             {200, `{"data":{"version":7}}`, "status 200", false},
		"a redirect":                                {307, ``, "it redirects: use the address of the active server", false},
	} {
		t.Run(name, func(t *testing.T) {
			e, _, open := newEngine(t)
			s := open(nil)
			e.reply = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost {
					w.Header().Set("Location", "http://127.0.0.1:1/")
					respond(w, tt.status, tt.body)
				}
				return r.Method == http.MethodPost
			}
			err := s.Save(t.Context(), credential("0/"))
			require.ErrorContains(t, err, tt.says)
			assert.Equal(t, tt.notStored, errors.Is(err, lifecycle.ErrNotStored))
			assert.NotErrorIs(t, err, lifecycle.ErrStoreConflict)
			for _, secret := range []string{storedSecret, vaultToken} {
				assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), secret)
			}
			posts := 0
			for _, request := range e.take() {
				if strings.HasPrefix(request, "POST") {
					posts++
				}
			}
			assert.Equal(t, 1, posts, "a write is sent once")
		})
	}
	for name, reply := range map[string]string{
		"a page instead of nothing": `<html>`, "another program's nothing": `{"message":"not found"}`,
	} {
		e, _, open := newEngine(t)
		e.reply = func(w http.ResponseWriter, _ *http.Request) bool {
			respond(w, http.StatusNotFound, reply)
			return true
		}
		_, err := open(nil).Load(t.Context())
		assert.Error(t, err, name)
	}
}

// TestCheckSaveAsksForTheRights checks in addition that an unknown right
// doesn't stop a Save.
func TestCheckSaveAsksForTheRights(t *testing.T) {
	for capabilities, says := range map[string]string{
		`["root"]`: "", `["create","update"]`: "", `["create","read"]`: `may only ["create" "read"]`, `["deny"]`: `may only ["deny"]`, "": "",
	} {
		e, _, open := newEngine(t)
		e.reply = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/v1/sys/capabilities-self" {
				return false
			}
			if capabilities == "" {
				respond(w, http.StatusForbidden, `{"errors":["permission denied"]}`)
			} else {
				respond(w, http.StatusOK, `{"data":{"capabilities":`+capabilities+`}}`)
			}
			return true
		}
		err := open(nil).CheckSave(t.Context())
		if says == "" {
			assert.NoError(t, err, capabilities)
		} else {
			assert.ErrorContains(t, err, says)
		}
		assert.Empty(t, e.versions)
	}
}

// TestAPathThatMustBeEscaped checks that it is escaped in a URL, but not as the
// path of a policy.
func TestAPathThatMustBeEscaped(t *testing.T) {
	e, _, open := newEngine(t)
	e.reply = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.EscapedPath() == "/v1/kv/data/team%20a/b%C3%BCro" {
			respond(w, http.StatusOK, `{"data":{"data":{},"metadata":{"version":1,"created_time":"then"}}}`)
			return true
		}
		return false
	}
	require.NoError(t, open(func(c *vaultstore.Config) { c.Mount, c.Path = "/kv/", "team a/büro" }).CheckSave(t.Context()))
	assert.Equal(t, []string{
		"GET /v1/kv/data/team a/büro",
		`POST /v1/sys/capabilities-self {"paths":["kv/data/team a/büro"]}`,
	}, e.take())
}

// TestTokenFailures checks that a Save without a Vault token is not sent.
func TestTokenFailures(t *testing.T) {
	e, _, open := newEngine(t)
	for says, token := range map[string]func(context.Context) (sailpoint.Secret, error){
		"no login": func(context.Context) (sailpoint.Secret, error) { return sailpoint.Secret{}, errors.New("no login") },
		"the token of the store's server is empty": func(context.Context) (sailpoint.Secret, error) { return sailpoint.Secret{}, nil },
	} {
		err := open(func(c *vaultstore.Config) { c.Token = token }).Save(t.Context(), credential("0/"))
		assert.ErrorContains(t, err, says)
		assert.ErrorIs(t, err, lifecycle.ErrNotStored)
	}
	assert.Empty(t, e.take())
}

// TestNewRefuses checks that an invalid Config is an error before anything is
// sent.
func TestNewRefuses(t *testing.T) {
	token := func(context.Context) (sailpoint.Secret, error) { return sailpoint.Secret{}, nil }
	for says, config := range map[string]vaultstore.Config{
		"Address is not a URL":                          {Mount: "kv", Path: "p", Token: token},
		"Address is not https":                          {Address: "http://vault.example.com", Mount: "kv", Path: "p", Token: token},
		"Address has a user name":                       {Address: "https://u:hunter2@vault.example.com", Mount: "kv", Path: "p", Token: token},
		"Address has a query":                           {Address: "https://vault.example.com?x", Mount: "kv", Path: "p", Token: token},
		"Token is not set":                              {Address: "https://vault.example.com", Mount: "kv", Path: "p"},
		"Mount is empty":                                {Address: "https://vault.example.com", Path: "p", Token: token},
		"an empty or dot segment":                       {Address: "https://vault.example.com", Mount: "kv", Path: "a//b", Token: token},
		"Path is empty, or has an empty or dot segment": {Address: "https://vault.example.com", Mount: "kv", Path: "../sys", Token: token},
		"IDKey, SecretKey and NoteKey must":             {Address: "https://vault.example.com", Mount: "kv", Path: "p", Token: token, IDKey: "note"},
	} {
		_, err := vaultstore.New(config)
		assert.ErrorContains(t, err, says)
		assert.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
		assert.NotContains(t, fmt.Sprint(err), "hunter2")
	}
}

// TestStoreDoesNotPrintSecrets covers the Vault token.
func TestStoreDoesNotPrintSecrets(t *testing.T) {
	_, _, open := newEngine(t)
	s := open(nil)
	_, err := s.Load(t.Context())
	require.NoError(t, err)
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", s, s, s), vaultToken)
}

// TestLoadEndsWithItsContext covers a server that never responds.
func TestLoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	block := make(chan struct{})
	e, _, open := newEngine(t)
	e.reply = func(http.ResponseWriter, *http.Request) bool { <-block; return false }
	_, err := open(nil).Load(ctx)
	close(block)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

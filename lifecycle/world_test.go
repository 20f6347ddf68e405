package lifecycle_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

const jobName = "deploy"

// jobScope lets a token of the job replace itself.
var jobScope = []string{"sp:my-personal-access-tokens:manage"}

// world is a tenant and a store, with everything that happens to them. After
// each call it checks what must always hold.
type world struct {
	mu       sync.Mutex
	tenant   *sailpointtest.Tenant
	memory   lifecycle.Store
	versions bool // of the store
	late     []lateSave
	lists    []string // every response to a list, in order
	loads    []lifecycle.Credential
	persons  []sailpoint.PersonalAccessToken
	revoked  bool   // by a person, so the stored token need not work
	broken   string // the first violation
}

// contentStore uses its content as the version, as a file does. A write of the
// same content makes no new version.
type contentStore struct{ stored lifecycle.Credential }

func (s *contentStore) Load(context.Context) (lifecycle.Credential, error) {
	c := s.stored
	c.Version = "id " + c.ID + ", note " + c.Note
	return c, nil
}

func (s *contentStore) Save(ctx context.Context, c lifecycle.Credential) error {
	if now, _ := s.Load(ctx); c.Version != "" && c.Version != now.Version {
		return lifecycle.ErrStoreConflict
	}
	s.stored = c
	return nil
}

type lateSave struct {
	due time.Time
	c   lifecycle.Credential
}

// newWorld has a store, and a person's tokens with names that look like the
// job's.
func newWorld(versions bool) *world {
	w := &world{tenant: sailpointtest.NewTenant(), memory: &contentStore{}, versions: versions}
	for _, name := range []string{jobName + "-next", jobName + "-next-0123456789abcdef01234567", jobName + "-new-0123456789abcdef"} {
		w.tenant.Add(sailpoint.PersonalAccessToken{Name: name, Created: time.Now().Add(-40 * day)})
	}
	w.persons = w.tenant.Tokens()
	return w
}

// adopt stores the secret of a token that a person made.
func (w *world) adopt() (id string) {
	expiry := time.Now().Add(90 * day)
	id, secret := w.tenant.Add(sailpoint.PersonalAccessToken{
		Name: jobName, Scope: jobScope, Created: time.Now().Add(-30 * day), ExpirationDate: &expiry, AccessTokenValiditySeconds: 600,
	})
	_ = w.memory.Save(context.Background(), lifecycle.Credential{ID: id, Secret: secret})
	return id
}

// truth returns the stored credential.
func (w *world) truth() lifecycle.Credential {
	w.late = slices.DeleteFunc(w.late, func(s lateSave) bool {
		if time.Now().Before(s.due) {
			return false
		}
		_ = w.memory.Save(context.Background(), s.c)
		return true
	})
	c, _ := w.memory.Load(context.Background())
	return c
}

// check records a violation: a stored token that doesn't exist, or too many
// tokens of the job.
func (w *world) check(when string) {
	if w.broken != "" || w.revoked {
		return
	}
	stored, found := w.truth(), false
	tokens := w.tenant.Tokens()
	for _, t := range tokens {
		found = found || t.ID == stored.ID
	}
	switch {
	case stored.ID != "" && !found:
		w.broken = "after " + when + " the stored token doesn't exist"
	case len(tokens) > len(w.persons)+3:
		w.broken = "after " + when + " there are too many tokens"
	}
	for _, p := range w.persons {
		if !slices.ContainsFunc(tokens, func(t sailpoint.PersonalAccessToken) bool { return t.ID == p.ID && t.Name == p.Name }) {
			w.broken = fmt.Sprintf("after %s the token %q of a person is gone", when, p.Name)
		}
	}
}

// made returns the tokens of the job.
func (w *world) made() []sailpoint.PersonalAccessToken {
	return slices.DeleteFunc(w.tenant.Tokens(), func(t sailpoint.PersonalAccessToken) bool {
		return slices.ContainsFunc(w.persons, func(p sailpoint.PersonalAccessToken) bool { return p.ID == t.ID })
	})
}

// works reports whether the tenant accepts the stored secret.
func (w *world) works() error {
	cfg := w.tenant.Config()
	stored := w.truth()
	cfg.ClientID, cfg.ClientSecret = stored.ID, stored.Secret
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		return err
	}
	_, err = client.PersonalAccessTokens.List(context.Background(), sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
	if errors.Is(err, sailpoint.ErrForbidden) {
		return nil // its scope is too narrow, but the secret was accepted
	}
	return err
}

// rename acts as a person who renames a token of the job.
func (w *world) rename(id, name string) {
	w.byHand(http.MethodPatch, id, `[{"op":"replace","path":"/name","value":"`+name+`"}]`)
}

// revoke acts as a person who deletes a token of the job. The stored token then
// need not work.
func (w *world) revoke(t *testing.T, id string) {
	t.Helper()
	require.Equal(t, 204, w.byHand(http.MethodDelete, id, ""))
	w.revoked = true
}

// byHand sends a request of the tenant's administrator.
func (w *world) byHand(method, id, body string) (status int) {
	cfg := w.tenant.Config()
	bearer, err := mint(w.tenant, cfg.ClientID, cfg.ClientSecret)
	if err != nil {
		return 0
	}
	req, _ := http.NewRequest(method, cfg.BaseURL+collection+"/"+id, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Content-Type", "application/json-patch+json")
	resp, err := w.tenant.RoundTrip(req)
	if err != nil {
		return 0
	}
	return resp.StatusCode
}

// mint returns a bearer.
func mint(tenant *sailpointtest.Tenant, id string, secret sailpoint.Secret) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret.Reveal()}}
	req, err := http.NewRequest(http.MethodPost, tenant.Config().BaseURL+tokenPath, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := tenant.RoundTrip(req)
	if err != nil {
		return "", err
	}
	var response struct {
		Bearer string `json:"access_token"`
	}
	err = json.NewDecoder(resp.Body).Decode(&response)
	return response.Bearer, err
}

// fault is the failure of one call.
type fault string

const (
	none        fault = ""
	rejects     fault = "rejects"      // the tenant's 400, the token endpoint's invalid_client, ErrNotStored
	blocks      fault = "blocks"       // a gateway's 403, before the tenant
	hides       fault = "hides"        // a gateway's 404, before the tenant
	denies      fault = "denies"       // 401
	fails       fault = "fails"        // 503 or an error, with no effect
	loses       fault = "loses"        // takes effect, but has no response
	isLate      fault = "is late"      // no response, takes effect 5 s later
	isMuchLater fault = "is far later" // no response, takes effect 40 s later, after the last list
	cut         fault = "is cut"       // takes effect, but the response ends after the ID
	renames     fault = "renames"      // the tenant changes the name
	isStale     fault = "is stale"     // a list or a Load returns the result of the one before
	isSlow      fault = "is slow"      // rejected for 5 s, as a new token that not every server knows
	conflicts   fault = "conflicts"    // a Save that takes effect, is repeated by a proxy, and conflicts with itself
)

var (
	errDown  = errors.New("the tenant does not respond")
	errCrash = errors.New("the process is dead")
)

// process is one run of the job. It counts its calls to the tenant and the
// store from 1.
type process struct {
	w       *world
	ctx     context.Context  // the job's context, or nil for the test's
	faults  map[int]fault    // by the number of the call
	on      map[string]fault // by kind and its number, such as "POST 1"
	crashAt int              // all calls from this number on fail; 0 means never
	before  func(call int)   // called before each call
	beside  bool             // another instance runs as well
	calls   int
	like    map[string]int
	next    string                         // the next call, such as "POST 1"
	heard   func(secret string)            // receives each secret of a response
	rewrite func(what, body string) string // changes each successful response
	trace   []string
	met     bool // a fault occurred; not every call has every kind
	slow    time.Time
}

// step counts a call and returns its fault. It locks the world until the call
// is done. A bearer fetch that nobody waits for may still be active.
func (p *process) step(what string) (f fault, done func(), err error) {
	p.w.mu.Lock()
	p.calls++
	call := p.calls
	if p.like == nil {
		p.like = map[string]int{}
	}
	p.next = fmt.Sprint(what, " ", p.like[what]+1)
	dead := p.crashAt > 0 && call >= p.crashAt
	p.w.mu.Unlock()
	if dead {
		return none, nil, errCrash
	}
	if p.before != nil {
		p.before(call)
	}
	p.w.mu.Lock()
	if p.crashAt == call {
		p.w.mu.Unlock()
		return none, nil, errCrash
	}
	p.like[what]++
	if f = p.faults[call]; f == none {
		f = p.on[fmt.Sprint(what, " ", p.like[what])]
	}
	line := strings.TrimSpace(fmt.Sprintf("%d %s %s", call, what, f))
	p.trace = append(p.trace, line)
	return f, func() {
		p.w.check(line)
		p.w.mu.Unlock()
	}, nil
}

// loaded reports whether a Load had this fault.
func (p *process) loaded(f fault) bool {
	return slices.ContainsFunc(p.trace, func(line string) bool { return strings.HasSuffix(line, "Load "+string(f)) })
}

// RoundTrip sends a request to the tenant with the fault of this call.
func (p *process) RoundTrip(req *http.Request) (*http.Response, error) {
	what := req.Method
	if strings.HasSuffix(req.URL.Path, "/oauth/token") {
		what = "token"
	}
	f, done, err := p.step(what)
	if err != nil {
		return nil, err
	}
	defer done()
	fault := p.tenantFault(f, what)
	fault.Method = req.Method
	if fault.Status != 0 || fault.Committed || fault.CutAfter != 0 {
		p.met = true
		p.w.tenant.Inject(fault)
	}
	resp, err := p.w.tenant.RoundTrip(req)
	if err == nil {
		p.receive(resp, f, what, fault.Status == 0)
	}
	return resp, err
}

// tenantFaults holds the faults that are the same for every request.
var tenantFaults = map[fault]sailpointtest.Fault{
	rejects:     {Status: 400, Body: `{}`},
	blocks:      {Status: 403, Body: "<html>"},
	hides:       {Status: 404, Body: "default backend - 404"},
	denies:      {Status: 401, Body: `{"error":"JWT is required"}`},
	fails:       {Status: 503},
	loses:       {Committed: true},
	isLate:      {Committed: true, Delay: -5 * time.Second},
	isMuchLater: {Committed: true, Delay: -40 * time.Second},
}

// tenantFault returns the fault that the tenant injects.
func (p *process) tenantFault(f fault, what string) sailpointtest.Fault {
	fault := tenantFaults[f]
	switch {
	case f == isSlow && what == "token":
		p.slow = time.Now().Add(5 * time.Second)
	case f == cut && what == "POST":
		fault.CutAfter = 45
	case f == isStale && what == "GET":
		fault.Status, fault.Body = 200, "[]"
		if n := len(p.w.lists); n > 0 {
			fault.Body = p.w.lists[n-1]
		}
	}
	if what == "token" && (f == rejects || time.Now().Before(p.slow)) {
		fault.Status, fault.Body = 401, `{"error":"invalid_client"}`
	}
	return fault
}

// receive changes and records a response. fromTenant says that no fault replaced it.
func (p *process) receive(resp *http.Response, f fault, what string, fromTenant bool) {
	if f == renames && what == "POST" {
		rewriteBody(resp, func(body string) string { return strings.ReplaceAll(body, "-new-", "-NEW-") })
	}
	if p.rewrite != nil && resp.StatusCode/100 == 2 {
		rewriteBody(resp, func(body string) string { return p.rewrite(what, body) })
		resp.ContentLength = -1
		resp.Header.Del("Content-Length")
	}
	if what == "GET" && fromTenant {
		p.w.lists = append(p.w.lists, rewriteBody(resp, nil))
	}
	if p.heard != nil && (what == "POST" || what == "token") {
		p.hear(rewriteBody(resp, nil))
	}
}

// rewriteBody reads a body and puts it back, changed unless change is nil.
func rewriteBody(resp *http.Response, change func(string) string) string {
	content, _ := io.ReadAll(resp.Body)
	body := string(content)
	if change != nil {
		body = change(body)
	}
	resp.Body = io.NopCloser(strings.NewReader(body))
	return body
}

// hear passes on each secret in a body.
func (p *process) hear(body string) {
	var response struct {
		Secret string `json:"secret"`
		Bearer string `json:"access_token"`
	}
	_ = json.Unmarshal([]byte(body), &response)
	for _, secret := range []string{response.Secret, response.Bearer} {
		if secret != "" {
			p.heard(secret)
		}
	}
}

// Load reads the store with the fault of this call.
func (p *process) Load(context.Context) (lifecycle.Credential, error) {
	f, done, err := p.step("Load")
	if err != nil {
		return lifecycle.Credential{}, err
	}
	defer done()
	c := p.w.truth()
	switch {
	case f == fails || f == rejects:
		p.met = true
		return lifecycle.Credential{}, errDown
	case f == isStale && p.w.versions && len(p.w.loads) > 0:
		p.met = true
		return p.w.loads[len(p.w.loads)-1], nil
	}
	if !p.w.versions {
		c.Version = ""
	}
	p.w.loads = append(p.w.loads, c)
	return c, nil
}

// Save writes the store with the fault of this call.
func (p *process) Save(ctx context.Context, c lifecycle.Credential) error {
	f, done, err := p.step("Save")
	if err != nil {
		return err
	}
	defer done()
	p.w.truth()
	p.met = p.met || f == conflicts && p.w.versions || slices.Contains([]fault{rejects, fails, isLate, isMuchLater, loses}, f)
	switch f {
	case rejects:
		return fmt.Errorf("%w: the disk is full", lifecycle.ErrNotStored)
	case fails:
		return errDown
	case isLate:
		p.w.late = append(p.w.late, lateSave{time.Now().Add(5 * time.Second), c})
		return errDown
	case isMuchLater:
		p.w.late = append(p.w.late, lateSave{time.Now().Add(40 * time.Second), c})
		return errDown
	}
	err = p.w.memory.Save(ctx, c)
	switch {
	case f == loses:
		return errDown
	case f == conflicts && p.w.versions:
		return lifecycle.ErrStoreConflict
	}
	return err
}

// context returns the job's context.
func (p *process) context(t *testing.T) context.Context {
	t.Helper()
	if p.ctx != nil {
		return p.ctx
	}
	return t.Context()
}

// client returns the client of the process, with the tenant's seed or these
// credentials.
func (p *process) client(t *testing.T, credentials ...lifecycle.Credential) *sailpoint.Client {
	t.Helper()
	cfg := p.w.tenant.Config()
	cfg.HTTPClient = &http.Client{Transport: p}
	cfg.MaxRetries = -1 // a retry would hide the fault
	for _, c := range credentials {
		cfg.ClientID, cfg.ClientSecret = c.ID, c.Secret
	}
	client, err := sailpoint.NewClient(cfg)
	require.NoError(t, err)
	return client
}

// leftovers returns the tokens that a run reports as left.
func leftovers(result *lifecycle.Result, err error) []lifecycle.Leftover {
	var failure *lifecycle.Error
	if errors.As(err, &failure) {
		return failure.Left
	}
	if result != nil {
		return result.Left
	}
	return nil
}

// unnamed returns the job's tokens that are not stored and that no run
// reported.
func (w *world) unnamed(known []string, accounts ...[]lifecycle.Leftover) (list []string) {
	stored := w.truth().ID
	for _, t := range w.made() {
		named := t.ID == stored || slices.Contains(known, t.ID)
		for _, left := range accounts {
			named = named || slices.ContainsFunc(left, func(l lifecycle.Leftover) bool {
				return l.ID == t.ID || l.ID == "" && l.Name == t.Name
			})
		}
		if !named {
			list = append(list, t.ID+" "+t.Name)
		}
	}
	return list
}

func issueJob(t *testing.T, p *process) (*lifecycle.Result, error) {
	t.Helper()
	return lifecycle.Issue(p.context(t), p.client(t), sailpoint.CreatePersonalAccessTokenRequest{Name: jobName, Scope: jobScope}, p)
}

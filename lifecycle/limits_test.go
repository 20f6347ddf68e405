package lifecycle

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/sampletest"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// endless lists the same token again and again with new IDs, until the reader
// stops.
type endless struct {
	tenant *sailpointtest.Tenant
	token  string // its members except the ID
	listed int
}

func (e *endless) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := e.tenant.RoundTrip(req)
	if err == nil && req.Method == http.MethodGet {
		resp.Body = io.NopCloser(e)
		resp.ContentLength = -1
		resp.Header.Del("Content-Length")
	}
	return resp, err
}

func (e *endless) Read(p []byte) (int, error) {
	var b bytes.Buffer
	for b.Len() < len(p)-len(e.token)-40 {
		b.WriteString(map[bool]string{true: "[", false: ","}[e.listed == 0])
		b.WriteString(`{"id":"t` + strconv.Itoa(e.listed) + `",` + e.token + `}`)
		e.listed++
	}
	return copy(p, b.Bytes()), nil
}

// TestTokensHeld checks that an endless list fails once too many tokens would
// be held. Tokens that are not held don't count. By default the seed chooses
// one function.
func TestTokensHeld(t *testing.T) {
	const old = `"name":"n","created":"2000-01-01T00:00:00Z"`
	successor := successorOf(oldID, newNonce()).on("deploy")
	report := &Report{Findings: []Finding{{Kind: FindingExpired, Token: sailpoint.PersonalAccessToken{ID: "t1"}}}}
	tests := map[string]struct {
		token string
		call  func(client *sailpoint.Client) (int, error)
	}{
		"audit, findings": {old + `,"managed":true`, func(client *sailpoint.Client) (int, error) {
			report, err := Audit(t.Context(), client, AuditPolicy{})
			if report != nil {
				return report.Tokens, err
			}
			return 0, err
		}},
		"renew": {old + `,"expirationDate":"2100-01-01T00:00:00Z"`, func(client *sailpoint.Client) (int, error) {
			changes, err := Renew(t.Context(), client, RenewOptions{Lifetime: day, Within: 106_000 * day, Apply: true})
			return len(changes), err
		}},
		"prune, rotations": {`"name":"` + successor + `"`, func(client *sailpoint.Client) (int, error) {
			changes, err := Prune(t.Context(), client, report, PruneOptions{Kinds: []Kind{FindingExpired}, Apply: true})
			return len(changes), err
		}},
	}
	names := slices.Sorted(maps.Keys(tests))
	first, step := sampletest.Choose(t, len(names))
	for n := first; n < len(names); n += step {
		tt := tests[names[n]]
		t.Run(names[n], func(t *testing.T) {
			server := &endless{tenant: sailpointtest.NewTenant(), token: tt.token}
			cfg := server.tenant.Config()
			cfg.APIVersion = sailpoint.V1
			cfg.HTTPClient = &http.Client{Transport: server}
			client, err := sailpoint.NewClient(cfg)
			require.NoError(t, err)
			n, err := tt.call(client)
			require.ErrorContains(t, err, "more than 100000 tokens")
			require.ErrorContains(t, err, "those of one owner")
			assert.Zero(t, n)
			assert.Greater(t, server.listed, maxHeldTokens)
			assert.Less(t, server.listed, maxHeldTokens+5000, "it must stop reading")
			for _, r := range server.tenant.Requests() {
				assert.NotContains(t, []string{http.MethodPatch, http.MethodDelete}, r.Method, "nothing may be changed")
			}
		})
	}
}

// TestBytesHeld checks that a few large tokens reach the limit as well.
func TestBytesHeld(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	for name, token := range map[string]sailpoint.PersonalAccessToken{
		"id": {ID: large}, "name": {Name: large}, "scope": {Scope: []string{"a", large}},
		"owner": {Owner: sailpoint.PersonalAccessTokenOwner{ID: large[:1<<19], Name: large[1<<19:]}},
	} {
		var h holding
		for range 255 {
			require.NoError(t, h.add(&token), name)
		}
		require.ErrorContains(t, h.add(&token), "256 MiB", name)
	}
	var h holding
	for range maxHeldTokens {
		require.NoError(t, h.add(&sailpoint.PersonalAccessToken{ID: oldID, Name: "deploy", Scope: []string{"sp:my-personal-access-tokens:read"}}))
	}
}

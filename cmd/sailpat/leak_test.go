package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// TestNoStreamHasASecret runs every command with the most detailed log, and with
// responses that repeat what they got. No stream has the client's secret, the
// secret in the store, or a bearer. Only create --show-secret prints the secret
// that it made, and only bearer prints a bearer.
func TestNoStreamHasASecret(t *testing.T) {
	for _, line := range []string{
		"list", "get self", "get nobody", "create --name n --scope s", "create --name n --scope s --show-secret", "patch ID --name n",
		"delete ID", "delete self --yes", "issue --name n --scope sp:my-personal-access-tokens:manage", "rotate --if-older-than 0s", "audit",
		"audit -o openmetrics", "audit -o html", "audit -o json", "prune --apply --kinds every-right,no-expiry", "renew --apply", "bearer",
		"bearer --show", "version",
	} {
		for _, terminal := range []bool{false, true} {
			for _, fault := range []*sailpointtest.Fault{nil, {Path: "/v2024/personal-access-tokens", Status: 400}, {Path: "/oauth/token", Status: 400}} {
				for _, flags := range []string{"-vv", "-vv --log-format json", "-q"} {
					synctest.Test(t, func(t *testing.T) {
						tenant := sailpointtest.NewTenant()
						secrets := map[string]string{"the client's secret": tenant.Config().ClientSecret.Reveal()}
						path := filepath.Join(t.TempDir(), "pat.json")
						line := strings.ReplaceAll(line, "ID", tenant.Config().ClientID)
						switch {
						case strings.HasPrefix(line, "rotate"):
							path = pathOfToken(t, tenant, sailpoint.PersonalAccessToken{Name: "deploy", ExpirationDate: inDays(3)})
							line += " --store file:" + path
							secrets = map[string]string{"the old stored secret": storedSecret(t, path)}
						case strings.HasPrefix(line, "issue"):
							line += " --store file:" + path
						}
						if fault != nil {
							f := *fault
							for _, sent := range secrets {
								f.Body = `{"messages":[{"text":"` + sent + `"}]}`
							}
							tenant.Inject(f)
						}
						i := on(tenant)
						i.terminal, i.width, i.in = terminal, 80, strings.NewReader("y\n")
						_, stdout, stderr := i.run(t.Context(), line+" "+flags)
						if strings.Contains(line, "--store") {
							secrets["the stored secret"] = storedSecret(t, path)
						}
						if strings.HasPrefix(line, "create") && strings.Contains(line, "--show-secret") && fault == nil {
							assert.Regexp(t, `\nsecret: [0-9a-f]{64}\n`, stdout)
							stdout = stdout[:strings.Index(stdout, "\nsecret: ")]
						}
						if strings.HasPrefix(line, "bearer") && (fault == nil || fault.Path != "/oauth/token") && (!terminal || line == "bearer --show") {
							assert.Regexp(t, `^ey[\w-]+\.[\w-]+\.[\w-]+\n$`, stdout)
							stdout = ""
						}
						for name, secret := range secrets {
							if secret != "" {
								assert.NotContains(t, stdout+stderr, secret[:8], "%s: %s %s", name, line, flags)
							}
						}
						assert.NotRegexp(t, `ey[\w-]+\.[\w-]+\.`, stdout+stderr, "a bearer: %s %s", line, flags)
						assert.NotRegexp(t, `[0-9a-f]{64}`, stdout+stderr, "a secret: %s %s", line, flags)
					})
				}
			}
		}
	}
}

// storedSecret returns the secret in a file, or "".
func storedSecret(t *testing.T, path string) string {
	t.Helper()
	stored, err := lifecycle.FileStore{Path: path}.Load(t.Context())
	require.NoError(t, err)
	return stored.Secret.Reveal()
}

// TestCreateShowsTheSecretOnce shows that the printed secret works.
func TestCreateShowsTheSecretOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		i := on(tenant)
		_, stdout, _ := i.run(t.Context(), "create --name n --scope sp:my-personal-access-tokens:read --show-secret -o json")
		var created struct {
			Token  sailpoint.PersonalAccessToken
			Secret string
		}
		require.NoError(t, json.Unmarshal([]byte(stdout), &created))
		i.env["SAIL_CLIENT_ID"], i.env["SAIL_CLIENT_SECRET"] = created.Token.ID, created.Secret
		code, stdout, stderr := i.run(t.Context(), "get self")
		assert.Equal(t, 0, code, stderr)
		assert.Contains(t, stdout, "token_name: n\n")
	})
}

// TestIssueStoresTheSecret shows that the file alone has the secret, and that
// only its owner may read it.
func TestIssueStoresTheSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		path := filepath.Join(t.TempDir(), "pat.json")
		code, stdout, stderr := on(tenant).run(t.Context(), "issue --name n --scope sp:my-personal-access-tokens:manage --store file:"+path)
		assert.Equal(t, 0, code, stderr)
		assert.NotContains(t, stdout, storedSecret(t, path))
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	})
}

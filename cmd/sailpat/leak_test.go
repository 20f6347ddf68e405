package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
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
		"delete ID", "delete self", "issue --name n --scope sp:my-personal-access-tokens:manage", "rotate --if-older-than 0s", "audit",
		"audit -o openmetrics", "audit -o html", "audit -o json", "prune --apply --kinds every-right,no-expiry", "renew --apply", "bearer",
		"bearer --show", "version",
	} {
		for _, terminal := range []bool{false, true} {
			for _, rejecting := range []string{"", "/v2024/personal-access-tokens", "/oauth/token"} {
				for _, flags := range []string{"-vv", "-vv --log-format json", "-q"} {
					synctest.Test(t, func(t *testing.T) { checkLeak(t, line, flags, terminal, rejecting) })
				}
			}
		}
	}
}

// checkLeak runs a command. The path rejecting responds with 400 and repeats the
// secret.
func checkLeak(t *testing.T, line, flags string, terminal bool, rejecting string) {
	t.Helper()
	tenant := sailpointtest.NewTenant()
	sent, path := tenant.Config().ClientSecret.Reveal(), filepath.Join(t.TempDir(), "pat.json")
	stores := strings.HasPrefix(line, "rotate") || strings.HasPrefix(line, "issue")
	if strings.HasPrefix(line, "rotate") {
		path = pathOfToken(t, tenant, sailpoint.PersonalAccessToken{Name: "deploy", ExpirationDate: inDays(3)})
		sent = storedSecret(t, path)
	}
	if stores {
		flags += " --store file:" + path
	}
	if rejecting != "" {
		tenant.Inject(sailpointtest.Fault{Path: rejecting, Status: 400, Body: `{"messages":[{"text":"` + sent + `"}]}`})
	}
	i := on(tenant)
	i.terminal, i.width, i.in = terminal, 80, strings.NewReader("y\n")
	_, stdout, stderr := i.run(t.Context(), strings.ReplaceAll(line, "ID", tenant.Config().ClientID)+" "+flags)

	if strings.Contains(line, "--show-secret") && rejecting == "" {
		shown := regexp.MustCompile(`\nsecret: [0-9a-f]{64}\n`)
		assert.Regexp(t, shown, stdout)
		stdout = shown.ReplaceAllString(stdout, "")
	}
	if strings.HasPrefix(line, "bearer") && rejecting != "/oauth/token" && (!terminal || line == "bearer --show") {
		assert.Regexp(t, `^ey[\w-]+\.[\w-]+\.[\w-]+\n$`, stdout)
		stdout = ""
	}
	assert.NotContains(t, stdout+stderr, sent[:8], "the client's secret: %s %s", line, flags)
	if stored := storedSecret(t, path); stores && stored != "" {
		assert.NotContains(t, stdout+stderr, stored[:8], "the stored secret: %s %s", line, flags)
	}
	assert.NotRegexp(t, `ey[\w-]+\.[\w-]+\.`, stdout+stderr, "a bearer: %s %s", line, flags)
	assert.NotRegexp(t, `[0-9a-f]{64}`, stdout+stderr, "a secret: %s %s", line, flags)
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

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestWrongCallsAndSettingsExitWith2AndSendNothing(t *testing.T) {
	folder := t.TempDir() // no config.json
	t.Chdir(folder)
	require.NoError(t, os.WriteFile("stored.json", []byte(`{"id":"id","secret":"s3cr3t-s3cr3t"}`), 0o600))
	require.NoError(t, os.Link("stored.json", "link.json"))
	complete := map[string]string{"SAIL_BASE_URL": "https://acme.example", "SAIL_CLIENT_ID": "id", "SAIL_CLIENT_SECRET": "s3cr3t-s3cr3t"}
	with := func(name, value string) map[string]string { return invocation{env: complete}.with(name, value).env }
	for _, tt := range []struct {
		line   string
		env    map[string]string
		stderr string
	}{
		{"", complete, `sailpat: name a command: run "sailpat --help" for help`},
		{"audti", complete, `sailpat: unknown command "audti" (did you mean audit?): run "sailpat --help" for help`},
		{"teapot", complete, `sailpat: unknown command "teapot": run "sailpat --help" for help`},
		{"prune --apply --owner-id=", complete, "sailpat prune: --owner-id is empty: set it or leave it out"},
		{"list --store=", complete, "sailpat list: --store is empty: set it or leave it out"},
		{"list --filters=", complete, "sailpat list: --filters is empty: set it or leave it out"},
		{"audit --file=", complete, "sailpat audit: --file is empty: set it or leave it out"},
		{"create --name x --scope= --show-secret", complete, "sailpat create: --scope is empty: set it or leave it out"},
		{"patch id --name=", complete, "sailpat patch: --name is empty: set it or leave it out"},
		{"prune --apply --file missing/x", complete, `sailpat prune: --file: there is no folder "missing": create it`},
		{"list --file .", complete, `sailpat list: --file: "." is not a regular file, and only such a file is replaced: leave out --file to write to standard output`},
		{"list --file /dev/null", complete, `sailpat list: --file: "/dev/null" is not a regular file, and only such a file is replaced: leave out --file to write to standard output`},
		{"list --rate NaN", complete, "sailpat list: --rate must be more than 0"},
		{"list --owner me", complete, `sailpat list: unknown flag: --owner: run "sailpat list --help" for help`},
		{"list me", complete, `sailpat list: accepts 0 arg(s), received 1: run "sailpat list --help" for help`},
		{"get", complete, `sailpat get: accepts 1 arg(s), received 0: run "sailpat get --help" for help`},
		{"list -o html", complete, `sailpat list: invalid argument "html" for "-o, --output" flag: use one of table, json, csv: run "sailpat list --help" for help`},
		{"list --api-version v9", complete, `sailpat list: invalid argument "v9" for "--api-version" flag: use one of v3, beta, v2024, v2025, v2026, v1: run "sailpat list --help" for help`},
		{"list --timeout soon", complete, `sailpat list: invalid argument "soon" for "--timeout" flag: use a time such as 30m, 12h or 30d: run "sailpat list --help" for help`},
		{"list --rate 0", complete, "sailpat list: --rate must be more than 0"},
		{"list --log-format xml", complete, `sailpat list: invalid argument "xml" for "--log-format" flag: use one of text, json: run "sailpat list --help" for help`},
		{"audit --fail-on expired,old", complete, `sailpat audit: invalid argument "expired,old" for "--fail-on" flag: use some of [never-used stale expired expiring-soon no-expiry every-right admin-scope long-bearer near-limit unfinished-rotation managed], separated by commas: run "sailpat audit --help" for help`},
		{"list --timeout 5", complete, `sailpat list: invalid argument "5" for "--timeout" flag: use a time such as 30m, 12h or 30d: run "sailpat list --help" for help`},
		{"audit --near-limit -1", complete, "sailpat audit: --near-limit must be at least 1"},
		{"audit --stale-after 0", complete, `sailpat audit: invalid argument "0" for "--stale-after" flag: use a time such as 30m, 12h or 30d: run "sailpat audit --help" for help`},
		{"prune --apply --max-deletions 0", complete, "sailpat prune: --max-deletions must be at least 1"},
		{"renew --apply --within 0", complete, `sailpat renew: invalid argument "0" for "--within" flag: use a time such as 30m, 12h or 30d: run "sailpat renew --help" for help`},
		{"renew --lifetime 0s", complete, `sailpat renew: invalid argument "0s" for "--lifetime" flag: use a time such as 30m, 12h or 30d: run "sailpat renew --help" for help`},
		{"create --name x --scope y", complete, `sailpat create: the secret would be lost: add --show-secret to see it once, or use "sailpat issue" to store it`},
		{"create --show-secret", complete, `sailpat create: required flag(s) "name", "scope" not set: run "sailpat create --help" for help`},
		{"patch id", complete, `sailpat patch: at least one of the flags in the group [name scope expiration-date never-expires] is required: run "sailpat patch --help" for help`},
		{"patch id --expiration-date soon", complete, "sailpat patch: invalid argument \"soon\" for \"--expiration-date\" flag: invalid time format `soon` must be one of: `2006-01-02`, `2006-01-02T15:04:05Z07:00`: run \"sailpat patch --help\" for help"},
		{"patch id --expiration-date 2100-01-31", complete, "sailpat patch: /expirationDate can be changed in v2025 and later: use --api-version"},
		{"patch id --never-expires", complete, "sailpat patch: /userAwareTokenNeverExpires can be changed in v2025 and later: use --api-version"},
		{"patch id --scope a,", complete, `sailpat patch: "" is not a scope: use one name for each entry, without spaces, quotes, backslashes or control characters`},
		{"patch ../id --name x", complete, `sailpat patch: the id "../id" is not a token's: an id has only letters, digits, - and _`},
		{"create --show-secret --name x --scope a,,b", complete, `sailpat create: --scope: "" is not a scope: use one name for each entry, without spaces, quotes, backslashes or control characters`},
		{"create --show-secret --name \xff --scope a", complete, `sailpat create: --name "\xff": a token needs a name that isn't blank, in UTF-8`},
		{"create --show-secret --name x --scope a --expiration-date 2001-01-31T18:00:00+01:00", complete, "sailpat create: --expiration-date: 2001-01-31T17:00:00.000Z is in the past: use a later time"},
		{"create --show-secret --name x --scope a --api-version v1", complete, "sailpat create: --expiration-date is missing: set it, or set --user-aware-token-never-expires for a token that never expires"},
		{"create --show-secret --name x --scope a --user-aware-token-never-expires", complete, "sailpat create: --user-aware-token-never-expires: every token expires in v2024: use --api-version v2025 or later"},
		{"create --show-secret --name x --scope a --access-token-validity-seconds 5", complete, "sailpat create: --access-token-validity-seconds 5: must be 15 to 43200, or left out for the API's default"},
		{"delete id", complete, `sailpat delete: this is the token that sailpat itself uses: to delete it, use "sailpat delete self"`},
		{"issue --name x --scope y", complete, "sailpat issue: the secret needs a place: add --store"},
		{"rotate", complete, "sailpat rotate: the secret needs a place: add --store"},
		{"rotate --store pat.json", complete, "sailpat rotate: --store must be file:PATH, vault:MOUNT/PATH, kubernetes:NAMESPACE/NAME or exec:COMMAND"},
		{"rotate --store file:", complete, "sailpat rotate: --store must be file:PATH, vault:MOUNT/PATH, kubernetes:NAMESPACE/NAME or exec:COMMAND"},
		{"rotate --store file:missing/pat.json", complete, `sailpat rotate: --store: there is no folder "missing": create it`},
		{"issue --name x --scope y --store file:pat.json --file ./pat.json", complete, "sailpat issue: --file would replace the secret in the store: choose another file for the output"},
		{"issue --name x --scope y --store file:pat.json --file " + folder + "/pat.json", complete, "sailpat issue: --file would replace the secret in the store: choose another file for the output"},
		{"list --store file:link.json --file stored.json", complete, "sailpat list: --file would replace the secret in the store: choose another file for the output"},
		{"rotate --store vault:secret", complete, "sailpat rotate: --store must be file:PATH, vault:MOUNT/PATH, kubernetes:NAMESPACE/NAME or exec:COMMAND"},
		{"rotate --store vault:secret/pat", complete, "sailpat rotate: the store is in Vault: set VAULT_ADDR and VAULT_TOKEN in the environment"},
		{"rotate --store kubernetes:ci/pat", complete, "sailpat rotate: the store kubernetes: works only in a pod: not in a pod with a service account: open /var/run/secrets/kubernetes.io/serviceaccount/namespace: no such file or directory"},
		{"rotate --store exec:no-such-program", complete, `sailpat rotate: the store's command can't be run: exec: "no-such-program": executable file not found in $PATH`},
		{"rotate --demo --never-expires", nil, "sailpat rotate: --never-expires is not available in v2024: use --api-version v2025 or later"},
		{"rotate --demo --lifetime 400d", nil, "sailpat rotate: --lifetime is 9600h0m0s, but v2024 allows at most six months"},
		{"rotate --demo --lifetime 4d --never-expires", nil, `sailpat rotate: if any flags in the group [lifetime never-expires] are set none of the others can be; [lifetime never-expires] were all set: run "sailpat rotate --help" for help`},
		{"list", with("SAIL_BASE_URL", "https://acme.example/v2024"), "sailpat list: the base URL ends with a version of the API: leave it out, and use --api-version"},
		{"list", with("SAIL_BASE_URL", "https://acme.example/oauth/token"), "sailpat list: the base URL ends with the path of the token endpoint: leave it out"},
		{"list", with("SAIL_BASE_URL", "https://id:secret@acme.example"), "sailpat list: the base URL has a user name or password: put credentials in SAIL_CLIENT_ID and SAIL_CLIENT_SECRET"},
		{"list", with("SAIL_CLIENT_SECRET", "'s3cr3t-s3cr3t'"), "sailpat list: the client secret is in quotes: leave them out (some readers of env files keep them)"},
		{"rotate --store vault:secret/pat", map[string]string{"VAULT_ADDR": "vault", "VAULT_TOKEN": "x"}, "sailpat rotate: VAULT_ADDR is not a URL: set it to one such as https://vault.example.com:8200"},
		{"rotate --demo --store file:x", complete, `sailpat rotate: if any flags in the group [store demo] are set none of the others can be; [demo store] were all set: run "sailpat rotate --help" for help`},
		{"renew --lifetime 1d --never-expires", complete, `sailpat renew: if any flags in the group [lifetime never-expires] are set none of the others can be; [lifetime never-expires] were all set: run "sailpat renew --help" for help`},
		{"prune --kinds managed", complete, `sailpat prune: invalid argument "managed" for "--kinds" flag: use some of [never-used stale expired expiring-soon no-expiry every-right admin-scope long-bearer], separated by commas: run "sailpat prune --help" for help`},
		{"renew --api-version v2024", complete, "sailpat renew: this version of the API can't change an expiry: set --api-version to v2025, v2026 or v1, or rotate the tokens"},
	} {
		code, stdout, stderr := invocation{env: tt.env, transport: outside{t}}.run(t.Context(), tt.line)
		assert.Equal(t, 2, code, tt.line)
		assert.Empty(t, stdout, tt.line)
		assert.Equal(t, tt.stderr+"\n", strings.TrimPrefix(stderr, demoNote), tt.line)
		assert.NotRegexp(t, `\b[A-Z][a-z]+[A-Z]|sailpoint: |lifecycle: `, stderr, "a name of the Go packages")
	}
}

// TestEveryCommandWithEverySettings runs each command with settings that are
// complete, partial, missing or wrong, on a terminal and off it.
func TestEveryCommandWithEverySettings(t *testing.T) {
	t.Chdir(t.TempDir()) // no config.json
	const (
		missing  = "no configuration: set SAIL_BASE_URL, SAIL_CLIENT_ID, SAIL_CLIENT_SECRET in the environment, or write a file config.json"
		partial  = "no configuration: set SAIL_CLIENT_SECRET in the environment, or write a file config.json"
		badURL   = "the base URL is not https: use https (http is for loopback addresses only)"
		rejected = "the client id or secret was rejected: check both"
		refused  = "sailpat bearer: the bearer is a secret: send the output to a program, or add --show to print it to this terminal\n"
	)
	none := func(map[string]string) {}
	for _, setting := range []struct {
		name   string
		change func(env map[string]string)
		code   int
		stderr string
	}{
		{"complete", none, 0, ""},
		{"partial", func(env map[string]string) { delete(env, "SAIL_CLIENT_SECRET") }, 2, partial},
		{"missing", func(env map[string]string) { clear(env) }, 2, missing},
		{"wrong address", func(env map[string]string) { env["SAIL_BASE_URL"] = "http://acme.example" }, 2, badURL},
		{"wrong secret", func(env map[string]string) { env["SAIL_CLIENT_SECRET"] = "not-the-secret" }, 3, rejected},
	} {
		for _, command := range []struct{ line, stdout, stderrOnTerminal string }{
			{"list", "\n1 token\n", ""},
			{"get self", "\ntoken_name: tenant\n", ""},
			{"create --name x --scope y --show-secret", "\nsecret: ", ""},
			{"patch ID --name renamed", "\ntoken_name: renamed\n", ""},
			{"delete self", "\ndeleted ID\n", ""},
			{"issue --name x --scope sp:my-personal-access-tokens:manage --store file:STORE", "\nissued: ", ""},
			{"audit", "\n1 token audited. Findings: 1 no-expiry, 1 every-right\n", ""},
			{"prune", "\n0 tokens chosen\n", ""},
			{"prune --apply", "\n0 tokens chosen\n", ""},
			{"prune --apply --kinds every-right", "\n1 token chosen, 1 skipped\n", " [=================================] 1/1\n"},
			{"renew", "\n0 tokens chosen\n", ""},
			{"bearer", "ey", refused},
		} {
			for _, terminal := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/terminal=%t", command.line, setting.name, terminal), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						tenant := sailpointtest.NewTenant()
						i := on(tenant)
						i.terminal, i.width, i.in = terminal, 80, strings.NewReader("y\n")
						setting.change(i.env)
						id := tenant.Config().ClientID
						line := strings.NewReplacer("ID", id, "STORE", filepath.Join(t.TempDir(), "pat.json")).Replace(command.line)
						code, stdout, stderr := i.run(t.Context(), line)
						if terminal && line == "bearer" && setting.code != 2 {
							assert.Equal(t, 2, code)
							assert.Empty(t, stdout)
							assert.Equal(t, refused, stderr)
							return
						}
						assert.Equal(t, setting.code, code)
						if setting.code != 0 {
							assert.Contains(t, stderr, setting.stderr)
							assert.Empty(t, stdout)
							assert.True(t, setting.code == 3 || len(tenant.Requests()) == 0, "something was sent")
							return
						}
						assert.Contains(t, stdout, strings.ReplaceAll(command.stdout, "ID", id))
						if line != "bearer" {
							assert.True(t, strings.HasPrefix(stdout, "https://acme.api.identitynow.com  2000-01-01 00:00:0"), stdout)
						}
						if !terminal {
							assert.Empty(t, stderr)
						} else {
							assert.Equal(t, strings.ReplaceAll(command.stderrOnTerminal, "ID", id), stderr)
						}
					})
				})
			}
		}
	}
}

func TestConfigFileIsUsed(t *testing.T) {
	t.Chdir(t.TempDir())
	tenant := sailpointtest.NewTenant()
	env := settings(tenant)
	content, err := json.Marshal(map[string]string{
		"BaseURL": "https://file.example", "ClientId": env["SAIL_CLIENT_ID"], "ClientSecret": env["SAIL_CLIENT_SECRET"],
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("config.json", content, 0o600))
	code, stdout, stderr := invocation{transport: tenant}.run(t.Context(), "list")
	assert.Equal(t, 0, code)
	assert.Contains(t, stdout, "https://file.example  20")
	assert.Empty(t, stderr)
}

// TestStoreComesBeforeSettings shows that a command with a store needs only the
// tenant's address, and that it ignores a stale credential in the environment.
func TestStoreComesBeforeSettings(t *testing.T) {
	t.Chdir(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		path := pathOfToken(t, tenant, sailpoint.PersonalAccessToken{Name: "deploy", Created: *inDays(-40)})
		i := invocation{transport: tenant}
		for _, env := range []map[string]string{
			{},
			{"SAIL_CLIENT_ID": "stale"},
			{"SAIL_CLIENT_ID": "stale", "SAIL_CLIENT_SECRET": "stale-secret"},
		} {
			env["SAIL_BASE_URL"] = "https://acme.example"
			i.env = env
			for _, line := range []string{
				"list", "audit --owner-id me", "bearer", "rotate --if-older-than 0s",
				"issue --name deploy --scope sp:my-personal-access-tokens:manage",
			} {
				code, _, stderr := i.run(t.Context(), line+" --store file:"+path)
				assert.Equal(t, 0, code, line)
				assert.Empty(t, stderr, line)
			}
		}
		for _, request := range tenant.Requests() {
			assert.NotEqual(t, "stale", request.ClientID)
		}

		delete(i.env, "SAIL_BASE_URL")
		code, _, stderr := i.run(t.Context(), "rotate --store file:"+path)
		assert.Equal(t, 2, code)
		assert.Equal(t, "sailpat rotate: the store holds a credential, but the tenant is not known: set SAIL_BASE_URL in the environment\n", stderr)
		code, _, stderr = i.run(t.Context(), "list --store file:"+path+".missing")
		assert.Equal(t, 2, code)
		assert.Contains(t, stderr, "sailpat list: the store holds no credential yet: ")
		assert.Contains(t, stderr, "set SAIL_BASE_URL in the environment")
	})
}

// TestIssueReplacesAStoredCredentialThatNoLongerWorks shows that issue uses the
// settings if the tenant rejects the credential in the store.
func TestIssueReplacesAStoredCredentialThatNoLongerWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		path := pathOfToken(t, tenant, sailpoint.PersonalAccessToken{Name: "deploy", ExpirationDate: inDays(-1)})
		const line = "issue --name deploy --scope sp:my-personal-access-tokens:manage --store file:"
		bare := invocation{transport: tenant, env: map[string]string{"SAIL_BASE_URL": "https://acme.example"}}
		code, _, stderr := bare.run(t.Context(), line+path)
		assert.Equal(t, 3, code)
		assert.Contains(t, stderr, "set SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET to the credential of a working token of the same owner")
		code, _, stderr = bare.run(t.Context(), "rotate --store file:"+path)
		assert.Equal(t, 3, code)
		assert.Contains(t, stderr, `run "sailpat issue", or put the id and secret of a working token into the store`)
		code, stdout, stderr := on(tenant).run(t.Context(), line+path)
		assert.Equal(t, 0, code, stderr)
		assert.Contains(t, stdout, "issued: ")
		code, _, _ = bare.run(t.Context(), "rotate --store file:"+path)
		assert.Equal(t, 0, code)
	})
}

// TestUnusableStoredCredentials shows that an error about a credential names the
// store, and that nothing is sent.
func TestUnusableStoredCredentials(t *testing.T) {
	complete := map[string]string{"SAIL_BASE_URL": "https://acme.example", "SAIL_CLIENT_ID": "id", "SAIL_CLIENT_SECRET": "s3cr3t-s3cr3t"}
	for content, want := range map[string]string{
		"":                                       `the store holds no credential: run "sailpat issue", or put a token's id and secret into it`,
		`{"id":"","secret":"s3c"}`:               "the store holds only an id or only a secret: put the other of the same token into it",
		`{"id":"a1","secret":""}`:                "the store holds only an id or only a secret: put the other of the same token into it",
		`{"id":"a1\n","secret":"s3cr3t-s3cr3t"}`: "with the credential in the store: the client id has a space or a control character: remove it, perhaps a pasted line break",
	} {
		path := filepath.Join(t.TempDir(), "pat.json")
		if content != "" {
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		}
		for _, env := range []map[string]string{complete, {"SAIL_BASE_URL": "https://acme.example"}} {
			code, stdout, stderr := invocation{env: env, transport: outside{t}}.run(t.Context(), "rotate --store file:"+path)
			assert.Equal(t, 2, code, content)
			assert.Empty(t, stdout)
			assert.Equal(t, "sailpat rotate: "+want+"\n", stderr)
		}
	}
}

// TestLog shows that the log goes to standard error, and that with --log-format
// json the failure is a record as well.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		for flags, want := range map[string]string{
			"": "", "-q": "", "-v": `level=INFO msg="sailpoint: new bearer"`, "-vv": `level=DEBUG msg="sailpoint: request"`,
		} {
			code, stdout, stderr := on(tenant).run(t.Context(), "list "+flags)
			assert.Equal(t, 0, code)
			assert.Contains(t, stdout, "1 token")
			assert.Contains(t, stderr, want)
			assert.Equal(t, want == "", stderr == "", flags)
		}
		code, stdout, stderr := on(tenant).run(t.Context(), "get nobody -vv --log-format json")
		assert.Equal(t, 3, code)
		assert.Empty(t, stdout)
		var last struct {
			Level, Msg, Command string
			ExitCode            int
		}
		for line := range strings.Lines(stderr) {
			require.NoError(t, json.Unmarshal([]byte(line), &last), line)
		}
		assert.Equal(t, "ERROR", last.Level)
		assert.Contains(t, last.Msg, "no token with this id is listed")
		assert.Equal(t, "sailpat get", last.Command)
		assert.Equal(t, 3, last.ExitCode)
	})
}

// TestMissingRightIsInTheHelp shows that an error about a missing right leads to
// the text that names it.
func TestMissingRightIsInTheHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		path := pathOfToken(t, tenant, sailpoint.PersonalAccessToken{Name: "deploy", Scope: []string{"sp:scopes:default"}})
		for line, right := range map[string]string{
			"list": "or with --owner-id me\nsp:my-personal-access-tokens:read.", "audit": "or with --owner-id me\nsp:my-",
			"prune": "With --apply it needs the same right with\nmanage", "renew": "With --apply it needs the same right with\nmanage",
			"create --name x --scope y --show-secret": "sp:my-personal-access-tokens:manage.",
			"patch x --name y":                        "sp:my-personal-access-tokens:manage.",
			"delete self":                             "sp:my-personal-access-tokens:manage,",
			"get x":                                   "or for your own tokens\nsp:my-",
		} {
			command, _, _ := strings.Cut(line, " ")
			code, stdout, stderr := on(tenant).run(t.Context(), line+" --store file:"+path)
			assert.Equal(t, 3, code, line)
			assert.Empty(t, stdout)
			assert.Regexp(t, `^sailpat `+command+`: .* 403 Forbidden: .*: run "sailpat `+command+` --help" to see which right it needs\n$`, stderr)
			_, help, _ := on(tenant).run(t.Context(), command+" --help")
			assert.Contains(t, help, right)
		}
	})
}

func TestTimeoutEndsACommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		tenant.Inject(sailpointtest.Fault{Method: "GET", Delay: time.Hour})
		began := time.Now()
		code, stdout, stderr := on(tenant).run(t.Context(), "list --timeout 5s")
		assert.Equal(t, 5*time.Second, time.Since(began))
		assert.Equal(t, 1, code)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, "sailpat list: the time of --timeout has passed: ")
		assert.Contains(t, stderr, "context deadline exceeded")
	})
}

// TestWithoutATimeoutACallStillEnds shows that --timeout 0 leaves the client's own
// limit of a call.
func TestWithoutATimeoutACallStillEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		for range 4 {
			tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 429, Header: http.Header{"Retry-After": {"50"}}})
		}
		began := time.Now()
		code, _, stderr := on(tenant).run(t.Context(), "list --timeout 0")
		assert.Equal(t, 1, code)
		assert.Contains(t, stderr, "429 Too Many Requests")
		assert.LessOrEqual(t, time.Since(began), 2*time.Minute)
	})
}

// TestTimeoutWhileWaitingForTheRate shows that tokens whose turn comes after the
// time of --timeout have not failed.
func TestTimeoutWhileWaitingForTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		for _, name := range []string{"a", "b", "c"} {
			tenant.Add(sailpoint.PersonalAccessToken{Name: name, ExpirationDate: inDays(-1)})
		}
		code, stdout, stderr := on(tenant).run(t.Context(), "prune --apply --kinds expired --rate 1 --timeout 2500ms")
		assert.Equal(t, 1, code)
		assert.Contains(t, stdout, "3 tokens chosen, 2 deferred, 1 deleted\n")
		assert.Equal(t, "sailpat prune: the time of --timeout has passed: context deadline exceeded\n", stderr)
	})
}

// TestRateKeepsToTheLimit deletes more tokens than the API accepts in a burst.
func TestRateKeepsToTheLimit(t *testing.T) {
	for rate, least := range map[string]time.Duration{"10": 15 * time.Second, "5": 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			tenant := sailpointtest.NewTenant(sailpointtest.WithRateLimit())
			for n := range 150 {
				tenant.Add(sailpoint.PersonalAccessToken{Name: fmt.Sprint(n), ExpirationDate: inDays(-1)})
			}
			began := time.Now()
			code, stdout, stderr := on(tenant).run(t.Context(), "prune --apply --kinds expired --max-deletions 150 --rate "+rate)
			assert.Equal(t, 0, code, stderr)
			assert.Contains(t, stdout, "150 tokens chosen, 150 deleted")
			assert.GreaterOrEqual(t, time.Since(began), least)
			assert.Less(t, time.Since(began), least+2*time.Second)
			for _, request := range tenant.Requests() {
				assert.NotEqual(t, 429, request.Status)
			}
		})
	}
}

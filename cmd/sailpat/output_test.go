package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// schemaOf returns a definition of schema.json.
func schemaOf(t *testing.T, definition string) *jsonschema.Schema {
	t.Helper()
	content, err := os.Open("schema.json")
	require.NoError(t, err)
	defer content.Close()
	document, err := jsonschema.UnmarshalJSON(content)
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("schema.json", document))
	schema, err := compiler.Compile("schema.json#/$defs/" + definition)
	require.NoError(t, err)
	return schema
}

// TestJSONHasTheDocumentedSchema compares the output of each command with
// schema.json, which allows no other member.
func TestJSONHasTheDocumentedSchema(t *testing.T) {
	for _, tt := range []struct{ definition, line, contains string }{
		{"list", "list", `"name": "weekly-report"`},
		{"get", "get self", `"name": "tenant"`},
		{"get", "create --name x --scope y --show-secret", `"secret": "`},
		{"delete", "delete self", `"deleted": "`},
		{"rotate", "issue --name x --scope sp:my-personal-access-tokens:manage", `"outcome": "issued"`},
		{"rotate", "rotate", `"outcome": "rotated"`},
		{"rotate", "rotate --grace 1d", `"retireAt": "`},
		{"rotate", "rotate --if-older-than 60d", `"outcome": "unchanged"`},
		{"audit", "audit", `"kind": "every-right"`},
		{"audit", "audit --owner-id me --grace 1h --near-limit 1 --api-version v2025", `"kind": "near-limit"`},
		{"audit", "audit --fail-on expired", `"kind": "expired"`},
		{"prune", "prune", `"status": "planned"`},
		{"prune", "prune --apply", `"status": "deleted"`},
		{"prune", "renew --apply", `"status": "renewed"`},
		{"prune", "renew --within 1d --apply", `"changes": []`},
	} {
		synctest.Test(t, func(t *testing.T) {
			code, stdout, stderr := invocation{}.run(t.Context(), "--demo -o json "+tt.line)
			assert.Contains(t, []int{0, 3}, code, stderr)
			assert.Contains(t, stdout, tt.contains, tt.line)
			assert.Contains(t, stdout, `"demo": true`, tt.line)
			assert.Contains(t, stdout, `"tenant": "DEMO"`, tt.line)
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(stdout))
			require.NoError(t, err, tt.line)
			assert.NoError(t, schemaOf(t, tt.definition).Validate(value), tt.line)
		})
	}
	tenant := sailpointtest.NewTenant()
	_, stdout, _ := on(tenant).run(t.Context(), "patch --name x -o json "+tenant.Config().ClientID)
	patched, err := jsonschema.UnmarshalJSON(strings.NewReader(stdout))
	require.NoError(t, err)
	assert.NoError(t, schemaOf(t, "get").Validate(patched))

	var other any
	require.NoError(t, json.Unmarshal([]byte(`{"tenant":"x","demo":false,"at":"2026-01-01T00:00:00Z","tokens":[],"more":1}`), &other))
	assert.Error(t, schemaOf(t, "list").Validate(other), "a member that isn't documented")
}

// TestEveryOutputNamesTheTenantAndIsMarkedDEMO goes through the formats of each
// command.
func TestEveryOutputNamesTheTenantAndIsMarkedDEMO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for line, formats := range map[string]string{
			"list": "table json csv", "get self": "table json", "audit": "table json csv html openmetrics", "prune": "table json csv",
			"renew": "table json csv", "rotate": "table json", "delete self": "table json",
			"issue --name x --scope sp:my-personal-access-tokens:manage": "table json",
			"create --name x --scope y --show-secret":                    "table json",
		} {
			for _, format := range strings.Fields(formats) {
				code, stdout, stderr := invocation{}.run(t.Context(), "--demo "+line+" -o "+format)
				assert.Equal(t, 0, code, stderr)
				assert.Equal(t, demoNote, stderr)
				assert.Contains(t, stdout, "DEMO", "%s -o %s", line, format)

				tenant := sailpointtest.NewTenant()
				tenant.Add(sailpoint.PersonalAccessToken{Name: "old", ExpirationDate: inDays(-1)})
				tenant.Add(sailpoint.PersonalAccessToken{Name: "soon", ExpirationDate: inDays(1)})
				i := on(tenant)
				i.env["SAIL_BASE_URL"] = "https://acme.example/"
				if line == "rotate" {
					line += " --store file:" + pathOfToken(t, tenant, sailpoint.PersonalAccessToken{Name: "deploy", Created: *inDays(-40)})
				} else if strings.HasPrefix(line, "issue") {
					line += " --store file:" + filepath.Join(t.TempDir(), "pat.json")
				}
				code, stdout, stderr = i.run(t.Context(), line+" -o "+format)
				assert.Equal(t, 0, code, stderr)
				assert.Empty(t, stderr)
				assert.Contains(t, stdout, "https://acme.example", "%s -o %s", line, format)
				assert.NotContains(t, stdout, "DEMO")
				line, _, _ = strings.Cut(line, " --store")
			}
		}
	})
}

func TestCSVBeginsWithTheTenantAndTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		tenant.Add(sailpoint.PersonalAccessToken{ID: "2c91", Name: "=HYPERLINK(1)\nx", ExpirationDate: inDays(-1), Scope: []string{"a", "b"}})
		for line, want := range map[string][]string{
			"list":                  {"tenant", "time", "demo", "token_id", "token_name"},
			"audit":                 {"tenant", "time", "demo", "kind", "finding", "token_id", "token_name"},
			"prune --kinds=expired": {"tenant", "time", "demo", "status", "reason", "token_id", "token_name"},
		} {
			code, stdout, stderr := on(tenant).run(t.Context(), line+" -o csv")
			assert.Equal(t, 0, code, stderr)
			records, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
			require.NoError(t, err)
			assert.Equal(t, want, records[0][:len(want)])
			last := records[len(records)-1]
			assert.Equal(t, "https://acme.api.identitynow.com", last[0])
			assert.Regexp(t, `^2000-01-01T00:00:0\dZ$`, last[1])
			assert.Equal(t, "false", last[2])
			assert.Contains(t, last, "'=HYPERLINK(1) x", line)
		}
	})
}

// hostile is a name that would clear a terminal, set its title, and turn text
// around.
const hostile = "a\x1b[2J\u009b2Jb\x1b]0;x\a\u202ec\u200b\r\nd\U000e0041"

// TestNamesAreEscaped shows that no output to a terminal has a control
// sequence, or a character that is invisible or changes the direction of text.
func TestNamesAreEscaped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant(sailpointtest.WithIdentity(sailpointtest.Identity{
			ID: "2c9180a46faadee4016fb4e018c20639", Name: hostile, Rights: []string{sailpoint.ScopeAll},
		}))
		id, _ := tenant.Add(sailpoint.PersonalAccessToken{Name: hostile, ExpirationDate: inDays(-1)})
		const escaped = `a\u001b[2J\u009b2Jb\u001b]0;x\u0007\u202ec\u200b\u000d\u000ad\udb40\udc41`
		for _, line := range []string{
			"list", "list -o json", "list -o csv", "get " + id, "get -o json " + id, "audit", "audit -o json", "audit -o csv", "audit -o html",
			"audit -o openmetrics", "prune", "prune -o json", "prune -o csv", "renew", "delete nobody" + "\x1b[2J",
		} {
			i := on(tenant).with("NO_COLOR", "1")
			i.terminal, i.width = true, 100
			_, stdout, stderr := i.run(t.Context(), line)
			assert.NotRegexp(t, "[\x00-\x08\x0b-\x1f\x7f-\u009f\u200b\u202e\U000e0041]", stdout+stderr, line)
			if strings.HasPrefix(line, "get") && !strings.Contains(line, "json") {
				assert.Contains(t, stdout, "token_name: "+escaped+"\n", line)
			}
		}
		// Off a terminal JSON is the same, and a program reads the name as it is.
		_, stdout, _ := on(tenant).run(t.Context(), "get -o json "+id)
		var got struct{ Token sailpoint.PersonalAccessToken }
		require.NoError(t, json.Unmarshal([]byte(stdout), &got))
		assert.Equal(t, hostile, got.Token.Name)
	})
}

func TestFileIsReplacedAsAWhole(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "sailpoint.prom")
	line := "--demo audit -o openmetrics --fail-on expired --file " + path
	code, stdout, _ := invocation{terminal: true, width: 100}.run(t.Context(), line)
	assert.Equal(t, 3, code)
	assert.Contains(t, stdout, "DEMO  ")
	assert.Regexp(t, `2 expired\n$`, stdout, "with --fail-on, what triggered it is printed as well")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Regexp(t, `(?s)^# HELP.*# EOF\n$`, string(content))
	assert.NotContains(t, string(content), "\x1b")

	require.NoError(t, os.Chmod(path, 0o640))
	before, err := os.Stat(path)
	require.NoError(t, err)
	code, stdout, _ = invocation{}.run(t.Context(), "--demo list -o json --file "+path)
	assert.Equal(t, 0, code)
	assert.Empty(t, stdout)
	after, err := os.Stat(path)
	require.NoError(t, err)
	assert.False(t, os.SameFile(before, after), "a reader of the old file keeps the old content")
	assert.Equal(t, fs.FileMode(0o640), after.Mode().Perm())
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no temporary file is left")
}

// failing is a standard output that is full.
type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f }

// TestFailedWriteIsAFailure shows that no command says that it is done if its
// output is lost.
func TestFailedWriteIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, line := range []string{"list", "audit", "audit -o csv", "get self", "bearer", "version", "delete self"} {
			var notes strings.Builder
			tenant := sailpointtest.NewTenant()
			env := settings(tenant)
			s := streams{in: strings.NewReader(""), out: failing{syscall.ENOSPC}, err: &notes}
			code := run(t.Context(), strings.Fields(line), func(name string) string { return env[name] }, s, tenant)
			assert.Equal(t, 3, code, line)
			assert.Contains(t, notes.String(), syscall.ENOSPC.Error(), line)
		}
	})
}

// TestCreateNamesATokenWhoseSecretIsLost shows that a person can delete a token
// whose secret could not be printed.
func TestCreateNamesATokenWhoseSecretIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes strings.Builder
		tenant := sailpointtest.NewTenant()
		env := settings(tenant)
		s := streams{in: strings.NewReader(""), out: failing{syscall.ENOSPC}, err: &notes}
		args := strings.Fields("create --name x --scope sp:my-personal-access-tokens:read --show-secret")
		assert.Equal(t, 3, run(t.Context(), args, func(name string) string { return env[name] }, s, tenant))
		require.Len(t, tenant.Tokens(), 2)
		assert.Equal(t, "sailpat create: the secret of the new token is lost: delete the token "+tenant.Tokens()[1].ID+
			": no space left on device\n", notes.String())
	})
}

// TestAccountIsPrintedIfTheFileCannotBeWritten takes the folder away while the
// tokens are deleted.
func TestAccountIsPrintedIfTheFileCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		tenant.Add(sailpoint.PersonalAccessToken{Name: "a", ExpirationDate: inDays(-1)})
		folder := filepath.Join(t.TempDir(), "x")
		require.NoError(t, os.Mkdir(folder, 0o700))
		i := on(tenant)
		i.transport = removing{tenant, folder}
		code, stdout, stderr := i.run(t.Context(), "prune -q --apply --kinds expired -o json --file "+filepath.Join(folder, "y"))
		assert.Equal(t, 3, code)
		assert.Contains(t, stdout, "1 token chosen, 1 deleted")
		assert.Contains(t, stderr, "no such file or directory")
	})
}

// TestAccountIsPrintedIfStandardOutputIsFull shows that the account goes to
// standard error then.
func TestAccountIsPrintedIfStandardOutputIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes strings.Builder
		tenant := sailpointtest.NewTenant()
		tenant.Add(sailpoint.PersonalAccessToken{Name: "a", ExpirationDate: inDays(-1)})
		env := settings(tenant)
		s := streams{in: strings.NewReader(""), out: failing{syscall.ENOSPC}, err: &notes}
		args := strings.Fields("prune --apply --kinds expired")
		assert.Equal(t, 3, run(t.Context(), args, func(name string) string { return env[name] }, s, tenant))
		assert.Contains(t, notes.String(), "\n1 token chosen, 1 deleted\nsailpat prune: no space left on device\n")
	})
}

// TestQuietFileHasEveryChange shows that -q doesn't shorten a file.
func TestQuietFileHasEveryChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "changes.csv")
		tenant := sailpointtest.NewTenant()
		tenant.Add(sailpoint.PersonalAccessToken{Name: "a", ExpirationDate: inDays(-1)})
		code, stdout, stderr := on(tenant).run(t.Context(), "prune -q --apply --kinds expired -o csv --file "+path)
		assert.Equal(t, 0, code)
		assert.Empty(t, stdout+stderr)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Contains(t, string(content), ",deleted,")
	})
}

// removing removes a folder before each request.
type removing struct {
	http.RoundTripper
	folder string
}

func (r removing) RoundTrip(request *http.Request) (*http.Response, error) {
	_ = os.Remove(r.folder)
	return r.RoundTripper.RoundTrip(request)
}

// TestQuietStillWritesFilesAndMetrics shows that -q hides only what a person
// would read, so that a dashboard doesn't become stale.
func TestQuietStillWritesFilesAndMetrics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for _, format := range []string{"table", "json", "openmetrics"} {
		line := "--demo audit -q --owner-id nobody -o " + format
		code, stdout, _ := invocation{}.run(t.Context(), line+" --file "+path)
		assert.Equal(t, 0, code)
		assert.Empty(t, stdout)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Contains(t, string(content), "DEMO", format)
		require.NoError(t, os.Remove(path))
		_, stdout, _ = invocation{}.run(t.Context(), line)
		assert.Equal(t, format == "openmetrics", stdout != "", format)
	}
}

// TestFailOnManaged shows that a kind without a fault is printed if it is asked
// for.
func TestFailOnManaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		tenant.Add(sailpoint.PersonalAccessToken{Name: "workflow", Managed: true})
		code, stdout, _ := on(tenant).run(t.Context(), "audit -q --fail-on managed")
		assert.Equal(t, 3, code)
		assert.Contains(t, stdout, "\nmanaged  ")
		code, stdout, _ = on(tenant).run(t.Context(), "audit --fail-on managed -o openmetrics")
		assert.Equal(t, 3, code)
		assert.Contains(t, stdout, `kind="every-right"`, "metrics are complete")
	})
}

// TestKindsInTheHelpOfPruneAreThoseThatItAccepts compares them with package
// lifecycle.
func TestKindsInTheHelpOfPruneAreThoseThatItAccepts(t *testing.T) {
	client, err := sailpoint.NewClient(sailpointtest.NewTenant().Config())
	require.NoError(t, err)
	var accepted []lifecycle.Kind
	for _, kind := range lifecycle.Kinds() {
		if _, err := lifecycle.Prune(t.Context(), client, &lifecycle.Report{}, lifecycle.PruneOptions{Kinds: []lifecycle.Kind{kind}}); err == nil {
			accepted = append(accepted, kind)
		}
	}
	_, help, _ := invocation{}.run(t.Context(), "prune --help")
	assert.Contains(t, help, fmt.Sprintf("separated by commas: %v (default", accepted))
}

func TestFailOnPrintsJustWhatTriggeredIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for line, want := range map[string]map[string]bool{
			"audit --fail-on expired":                 {"expired": true},
			"audit --fail-on expired,stale":           {"expired": true, "stale": true},
			"audit --fail-on expired --fail-on stale": {"expired": true, "stale": true},
		} {
			_, stdout, _ := invocation{}.run(t.Context(), "--demo "+line)
			kinds := map[string]bool{}
			for _, match := range regexp.MustCompile(`(?m)^(\S+) +[0-9a-f]{32} `).FindAllStringSubmatch(stdout, -1) {
				kinds[match[1]] = true
			}
			assert.Equal(t, want, kinds, line)
		}
		for _, format := range []string{"table", "json", "csv"} {
			code, stdout, stderr := invocation{}.run(t.Context(), "--demo audit --fail-on near-limit -o "+format)
			assert.Equal(t, 0, code)
			assert.Empty(t, stdout, format)
			assert.Equal(t, demoNote, stderr)
		}
		code, stdout, _ := invocation{}.run(t.Context(), "--demo audit -q")
		assert.Equal(t, 0, code)
		assert.Contains(t, stdout, "Findings: 2 never-used")
		code, stdout, _ = invocation{}.run(t.Context(), "--demo audit -q --owner-id nobody")
		assert.Equal(t, 0, code)
		assert.Empty(t, stdout)
	})
}

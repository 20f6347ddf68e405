package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// repository returns a checkout whose nested modules require these versions of
// the root.
func repository(t *testing.T, requires ...string) string {
	t.Helper()
	folder := t.TempDir()
	write := func(name, text string) {
		file := filepath.Join(folder, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	write("go.mod", "module "+root+"\n")
	write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n## [0.1.0] - 2026-12-01\n")
	for i, module := range nested {
		write(module+"/go.mod", "module "+root+"/"+module+"\n\nrequire "+root+" "+requires[i]+"\n")
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "."},
		{"-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "--message=Start"},
	} {
		_, err := output(t.Context(), folder, "git", args...)
		require.NoError(t, err)
	}
	return folder
}

func TestVersionThatCannotBeReleased(t *testing.T) {
	for name, tt := range map[string]struct {
		args     []string
		rehearse bool
		requires []string
		spoil    func(t *testing.T, checkout string)
		want     string
	}{
		"none":             {want: "give one version"},
		"two":              {args: []string{"v0.1.0", "v0.2.0"}, rehearse: true, want: "give one version"},
		"without its v":    {args: []string{"0.1.0"}, want: "write it as v0.1.0"},
		"short":            {args: []string{"v0.1"}, want: "write it as v0.1.0"},
		"another major":    {args: []string{"v2.0.0"}, want: "suffix /v2"},
		"not the next one": {args: []string{"v0.2.0"}, want: "require v0.1.0 of the root"},
		"nested modules that differ": {
			args: []string{"v0.1.0"}, requires: []string{"v0.1.0", "v0.0.0"}, want: "requires v0.0.0 of the root, another nested module v0.1.0",
		},
		"changes": {args: []string{"v0.1.0"}, want: "commit or remove the changes", spoil: func(t *testing.T, checkout string) {
			require.NoError(t, os.WriteFile(filepath.Join(checkout, "new.go"), nil, 0o600))
		}},
		"not in the changelog": {
			args: []string{"v0.3.0"}, requires: []string{"v0.3.0", "v0.3.0"}, want: `no heading "## [0.3.0]"`,
		},
		"released already": {args: []string{"v0.1.0"}, want: "the tag redisfleet/v0.1.0 exists", spoil: func(t *testing.T, checkout string) {
			_, err := output(t.Context(), checkout, "git", "tag", "redisfleet/v0.1.0")
			require.NoError(t, err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.requires == nil {
				tt.requires = []string{"v0.1.0", "v0.1.0"}
			}
			checkout := repository(t, tt.requires...)
			if tt.spoil != nil {
				tt.spoil(t, checkout)
			}
			_, err := check(t.Context(), checkout, tt.args, tt.rehearse)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestVersionThatIsNext(t *testing.T) {
	checkout := repository(t, "v0.1.0", "v0.1.0")
	for name, tt := range map[string]struct {
		args     []string
		rehearse bool
	}{
		"released":          {[]string{"v0.1.0"}, false},
		"rehearsed":         {[]string{"v0.1.0"}, true},
		"rehearsed unnamed": {nil, true},
	} {
		version, err := check(t.Context(), checkout, tt.args, tt.rehearse)
		require.NoError(t, err, name)
		require.Equal(t, "v0.1.0", version, name)
	}
}

func TestTheRootIsTaggedFirst(t *testing.T) {
	require.Equal(t, []string{"v0.1.0", "redisfleet/v0.1.0", "cmd/sailpat/v0.1.0"}, tags("v0.1.0"))
}

func TestFirstProgramOfAReadme(t *testing.T) {
	readme := filepath.Join(t.TempDir(), "README.md")
	const fence = "```"
	for text, want := range map[string]string{
		"# A\n" + fence + "go\nx := 1\n" + fence + "\n\n" + fence + "go\npackage main\n\nfunc main() {}\n" + fence + "\nend": "package main\n\nfunc main() {}\n",
		"nothing": "",
	} {
		require.NoError(t, os.WriteFile(readme, []byte(text), 0o600))
		program, err := firstProgram(readme)
		require.Equal(t, want == "", err != nil)
		require.Equal(t, want, program)
	}
}

func TestAFailedProgramSaysWhy(t *testing.T) {
	_, err := output(t.Context(), t.TempDir(), "go", "mod", "edit", "-json")
	require.ErrorContains(t, err, "go mod edit -json: exit status 1\ngo: ")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = run(ctx, []string{"-rehearse"}, io.Discard, new(strings.Builder))
	require.ErrorIs(t, err, context.Canceled)
}

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOneLineForEachExportedSymbol(t *testing.T) {
	lines, err := surface(".", "./testdata/sample")
	require.NoError(t, err)
	const prefix = "github.com/sailpoint-go/sailpoint/tools/api/testdata/sample: "
	var want []string
	for _, line := range []string{
		`const Limit untyped int = 10`,
		`field Config.Name string`,
		`func New(Config, ...string) (*Config, error)`,
		`method (*Config).Rename(string)`,
		`method (Config).Copy() Config`,
		`method (SharedWaiter).Told()`,
		`method (Waiter).Wait(context.Context) error`,
		`method (Waiter).Wait(context.Context) error`,
		`type Alias = Kind`,
		`type Config struct`,
		`type Kind string`,
		`type SharedWaiter interface`,
		`type Source func(ctx context.Context, again bool) (Kind, error)`,
		`type Waiter interface`,
		`var Default Kind`,
	} {
		want = append(want, prefix+line)
	}
	require.Equal(t, want, lines)
}

func TestOnlyPackagesThatUsersImport(t *testing.T) {
	folder := t.TempDir()
	for name, source := range map[string]string{
		"go.mod":                     "module example.com/m\n\ngo 1.26.0\n",
		"m.go":                       "package m\n\nfunc Here() {}\n",
		"internal/i.go":              "package internal\n\nfunc Hidden() {}\n",
		"examples/e/e.go":            "package e\n\nfunc Example() {}\n",
		"cmd/tool/main.go":           "package main\n\nfunc Main() {}\n\nfunc main() {}\n",
		"deeper/package.go":          "package deeper\n\nvar There int\n",
		"deeper/my_test.go":          "package deeper\n\nvar Test int\n",
		"deeper/x_test.go":           "package deeper_test\n\nvar Outside int\n",
		"deeper/testdata/ignored.go": "package ignored\n\nvar Data int\n",
	} {
		path := filepath.Join(folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(source), 0o600))
	}
	lines, err := surface(folder, "./...")
	require.NoError(t, err)
	require.Equal(t, []string{"example.com/m/deeper: var There int", "example.com/m: func Here()"}, lines)
}

func TestPackagesThatDoNotCompileAreAnError(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "go.mod"), []byte("module example.com/m\n\ngo 1.26.0\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "m.go"), []byte("package m\n\nvar Broken NoSuchType\n"), 0o600))
	_, err := surface(folder, "./...")
	require.ErrorContains(t, err, "NoSuchType")
}

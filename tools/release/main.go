// Command release tags the modules of this repository that users get, in the
// order in which they need each other:
//
//	go run -C tools ./release v0.1.0
//
// It works in a temporary clone, and installs each module there as a user
// would. Only if all of that succeeds does it bring the tags into this
// checkout, and print the command that publishes them. With -rehearse it leaves
// no tags.
//
// On main, a nested module requires the root's next version and replaces it by
// the folder of the root. Only the commit that is tagged, which is not on main,
// drops the replacement.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

const root = "github.com/sailpoint-go/sailpoint"

// nested are the folders of the nested modules that have a release.
var nested = []string{"redisfleet", "cmd/sailpat"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: go run -C tools ./release [-rehearse] [vX.Y.Z]\nWithout a version, it rehearses the next one that the nested modules require.")
		flags.PrintDefaults()
	}
	rehearse := flags.Bool("rehearse", false, "leave no tags in this checkout")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	checkout, err := output(ctx, ".", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	version, err := check(ctx, checkout, flags.Args(), *rehearse)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	r := &release{version: version, clone: filepath.Join(work, "clone"), work: work, stdout: stdout}
	if _, err := output(ctx, work, "git", "clone", "--quiet", checkout, r.clone); err != nil {
		return err
	}
	if err := r.tagAll(ctx); err != nil {
		return err
	}
	if err := r.use(ctx); err != nil {
		return err
	}
	if *rehearse {
		fmt.Fprintln(stdout, "rehearsed:", strings.Join(r.tags(), " "))
		return nil
	}
	if _, err := output(ctx, checkout, "git", append([]string{"fetch", "--quiet", "--no-tags", r.clone}, refs(r.tags())...)...); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "To publish the release: git push --atomic origin", strings.Join(r.tags(), " "))
	return nil
}

// check returns the version to release, or says what is wrong with the call or
// with the checkout.
func check(ctx context.Context, checkout string, args []string, rehearse bool) (version string, err error) {
	version, err = checkVersion(checkout, args, rehearse)
	if err != nil || rehearse {
		return version, err
	}
	if changes, err := output(ctx, checkout, "git", "status", "--porcelain"); err != nil || changes != "" {
		return "", errors.Join(err, errors.New("commit or remove the changes in the checkout first"))
	}
	changelog, err := os.ReadFile(filepath.Join(checkout, "CHANGELOG.md"))
	if err != nil {
		return "", err
	}
	if heading := "## [" + strings.TrimPrefix(version, "v") + "]"; !strings.Contains(string(changelog), "\n"+heading) {
		return "", fmt.Errorf("CHANGELOG.md has no heading %q: move what is unreleased below it", heading)
	}
	for _, tag := range tags(version) {
		if found, err := output(ctx, checkout, "git", "tag", "--list", tag); err != nil || found != "" {
			return "", errors.Join(err, fmt.Errorf("the tag %s exists: a version never changes", tag))
		}
	}
	return version, nil
}

// checkVersion returns the version that args ask for.
func checkVersion(checkout string, args []string, rehearse bool) (version string, err error) {
	next, err := nextVersion(checkout)
	if err != nil {
		return "", err
	}
	switch {
	case len(args) == 0 && rehearse:
		version = next
	case len(args) != 1:
		return "", errors.New("give one version, such as v0.1.0")
	default:
		version = args[0]
	}
	if !semver.IsValid(version) || semver.Canonical(version) != version {
		return "", fmt.Errorf("%q is not a version: write it as v0.1.0", version)
	}
	if semver.Major(version) != "v0" && semver.Major(version) != "v1" {
		return "", fmt.Errorf("%s needs the suffix /%s in the path of each module", version, semver.Major(version))
	}
	if version != next {
		return "", fmt.Errorf("the nested modules require %s of the root: set %s in their go.mod first", next, version)
	}
	return version, nil
}

// nextVersion returns the version of the root that all nested modules require.
func nextVersion(checkout string) (next string, err error) {
	for _, folder := range nested {
		data, err := os.ReadFile(filepath.Join(checkout, folder, "go.mod"))
		if err != nil {
			return "", err
		}
		file, err := modfile.Parse(folder+"/go.mod", data, nil)
		if err != nil {
			return "", err
		}
		for _, require := range file.Require {
			if require.Mod.Path != root {
				continue
			}
			if next != "" && next != require.Mod.Version {
				return "", fmt.Errorf("%s requires %s of the root, another nested module %s", folder, require.Mod.Version, next)
			}
			next = require.Mod.Version
		}
	}
	if next == "" {
		return "", errors.New("no nested module requires the root")
	}
	return next, nil
}

// tags returns the tags of a release. The root comes first, because the others
// require it.
func tags(version string) []string {
	all := []string{version}
	for _, folder := range nested {
		all = append(all, folder+"/"+version)
	}
	return all
}

func refs(tags []string) (refs []string) {
	for _, tag := range tags {
		refs = append(refs, "refs/tags/"+tag+":refs/tags/"+tag)
	}
	return refs
}

// output runs a program in folder and returns what it prints, without the space
// around it. If the program fails, the error holds what it says.
func output(ctx context.Context, folder, name string, args ...string) (string, error) {
	return outputWith(ctx, folder, nil, name, args...)
}

// outputWith is output with a changed environment.
func outputWith(ctx context.Context, folder string, environment []string, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = folder
	command.Env = append(os.Environ(), environment...)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

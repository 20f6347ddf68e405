package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// release is one release that is made in a clone.
type release struct {
	version, clone, work string
	stdout               io.Writer
}

func (r *release) tags() []string { return tags(r.version) }

// proxy is the folder that serves the released modules as a module proxy does.
func (r *release) proxy() string { return filepath.Join(r.work, "proxy") }

// environment lets the go command find the released modules in the folder of
// proxy, and all others where it finds them usually. Each user has a module
// cache of their own.
func (r *release) environment(ctx context.Context, user string) ([]string, error) {
	settings, err := output(ctx, r.work, "go", "env", "GOPROXY", "GOSUMDB", "GONOSUMDB")
	if err != nil {
		return nil, err
	}
	usual := append(strings.Split(settings, "\n"), "") // output trims an empty GONOSUMDB
	return []string{
		"GOPROXY=file://" + filepath.ToSlash(r.proxy()) + "," + usual[0],
		// The checksum database doesn't know a version that is not published.
		"GOSUMDB=" + usual[1],
		"GONOSUMDB=" + strings.Trim(root+","+root+"/*,"+usual[2], ","),
		// A private module would bypass the proxy.
		"GOENV=off",
		"GOPRIVATE=",
		"GONOPROXY=",
		"GOMODCACHE=" + filepath.Join(r.work, user, "modules"),
		"GOBIN=" + filepath.Join(r.work, user, "bin"),
		"GOFLAGS=-modcacherw", // so that it can be removed
		"GOWORK=off",
	}, nil
}

// tagAll tags the root, and then each nested module at a commit that requires
// the tagged root instead of replacing it.
func (r *release) tagAll(ctx context.Context) error {
	if err := r.tag(ctx, ""); err != nil {
		return err
	}
	environment, err := r.environment(ctx, "maintainer")
	if err != nil {
		return err
	}
	for _, folder := range nested {
		if _, err := output(ctx, r.clone, "git", "checkout", "--quiet", "--detach", r.version); err != nil {
			return err
		}
		within := filepath.Join(r.clone, filepath.FromSlash(folder))
		for _, command := range [][]string{
			{"go", "mod", "edit", "-dropreplace=" + root, "-require=" + root + "@" + r.version},
			{"go", "mod", "tidy"},
			{"go", "build", "./..."},
			{"git", "-c", "user.name=release", "-c", "user.email=release@localhost", "commit", "--quiet", "--all", "--message", "Release " + folder + " " + r.version},
		} {
			if _, err := outputWith(ctx, within, environment, command[0], command[1:]...); err != nil {
				return err
			}
		}
		if err := r.tag(ctx, folder); err != nil {
			return err
		}
	}
	return nil
}

// tag tags what is checked out as the release of the module in folder, and adds
// the module to the proxy.
func (r *release) tag(ctx context.Context, folder string) error {
	name := path.Join(folder, r.version)
	if _, err := output(ctx, r.clone, "git", "tag", "--force", name); err != nil {
		return err
	}
	fmt.Fprintln(r.stdout, "tagged", name)
	return r.publish(module.Version{Path: path.Join(root, folder), Version: r.version}, folder, name)
}

// publish adds a tagged module to the proxy.
func (r *release) publish(m module.Version, folder, tag string) error {
	escaped, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	versions := filepath.Join(r.proxy(), filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(versions, 0o750); err != nil {
		return err
	}
	info, err := json.Marshal(map[string]any{"Version": m.Version, "Time": time.Now().UTC()})
	if err != nil {
		return err
	}
	goMod, err := os.ReadFile(filepath.Join(r.clone, filepath.FromSlash(folder), "go.mod"))
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"list": []byte(m.Version + "\n"), m.Version + ".info": info, m.Version + ".mod": goMod} {
		if err := os.WriteFile(filepath.Join(versions, name), data, 0o600); err != nil {
			return err
		}
	}
	archive, err := os.Create(filepath.Join(versions, m.Version+".zip"))
	if err != nil {
		return err
	}
	if err := zip.CreateFromVCS(archive, m, r.clone, tag, folder); err != nil {
		return fmt.Errorf("packing %s: %w", m, err)
	}
	return archive.Close()
}

package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/spf13/cobra"
)

// formats are the functions that write a result, by the name of the format.
type formats map[string]func(w io.Writer) error

// withOutput adds the flags for the format of a command's output.
func (a *app) withOutput(cmd *cobra.Command, others ...string) *cobra.Command {
	choices := append([]string{"table", "json"}, others...)
	choiceFlag(cmd.Flags(), &a.format, "output", "o", "`FORMAT` of the output: "+strings.Join(choices, ", ")+" (default table)", choices...)
	cmd.Flags().StringVar(&a.file, "file", "", "write the output to `PATH`, which is replaced as a whole")
	return cmd
}

// write writes a result to standard output or to the file of --file.
func (a *app) write(all formats) error {
	var content bytes.Buffer
	format := cmp.Or(a.format, "table")
	if err := all[format](&content); err != nil {
		return err
	}
	text := content.String()
	if format == "json" || format != "table" && a.toTerminal() {
		text = escape(text, "\n")
	}
	if a.file != "" {
		return replaceFile(a.file, text)
	}
	_, err := io.WriteString(a.out, text)
	return err
}

// toTerminal reports whether the output goes to a terminal.
func (a *app) toTerminal() bool { return a.outTerminal && a.file == "" }

// escape writes runes that could affect a terminal as in JSON, except those to
// keep. Such runes are control characters, and those that change the direction
// of text or are invisible.
func escape(text, keep string) string {
	const hex = "0123456789abcdef"
	var out strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) || strings.ContainsRune(keep, r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			out.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				out.WriteByte(hex[unit>>shift&0xf])
			}
		}
	}
	return out.String()
}

func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// replaceFile writes a file so that a reader finds either the old or the new
// content. A new file has the rights that the umask allows.
func replaceFile(path, content string) (err error) {
	mode := fs.FileMode(0o644)
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return usageError("--file must name a regular file")
	case err == nil:
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	// Other programs that read the folder ignore a name that starts with a dot.
	next := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text())
	f, err := os.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode) //nolint:gosec // the path is the caller's to choose
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next)
	}
	return err
}

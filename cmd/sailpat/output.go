package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf16"

	"github.com/google/renameio/v2/maybe"

	"github.com/sailpoint-go/sailpoint/internal/spreadsheet"
)

// result is what a command writes, in each of its formats.
type result struct {
	silent  bool // not written to standard output, but to a file
	columns []string
	records [][]string
	shown   []string                         // the columns in a table
	closing []string                         // lines after the table
	members map[string]any                   // of the JSON object, besides tenant, demo and at
	others  map[string]func(io.Writer) error // formats that another package writes
}

// write writes a result to standard output or to the file of --file.
func (a *app) write(s *session, r *result) error {
	if r == nil || r.silent && a.file == "" && a.format != "openmetrics" {
		return nil
	}
	var content bytes.Buffer
	if err := a.render(&content, s, r); err != nil {
		return err
	}
	text := content.String()
	if a.format == "json" || a.format != "table" && a.toTerminal() {
		text = escape(text, "\n\t")
	}
	if a.file != "" {
		err := maybe.WriteFile(a.file, []byte(text), 0o644) // as the umask allows; keeps the rights of an existing file
		if err != nil {
			a.file, a.format = "", "table"
			err = errors.Join(err, a.write(s, r)) // so that the account of changes isn't lost
		}
		return err
	}
	if a.apply {
		signal.Ignore(syscall.SIGPIPE) // a closed pipe is then an error
	}
	_, err := io.WriteString(a.out, text)
	if err != nil && a.apply {
		_, _ = io.WriteString(a.err, text)
	}
	return err
}

func (a *app) toTerminal() bool { return a.outTerminal && a.file == "" }

func (a *app) render(w io.Writer, s *session, r *result) error {
	if other, ok := r.others[a.format]; ok {
		return other(w)
	}
	switch a.format {
	case "csv":
		return spreadsheet.Write(w, spreadsheet.Source{Tenant: s.tenant, At: s.at, Demo: a.demo}, r.columns, slices.Values(r.records))
	case "json":
		maps.Copy(r.members, map[string]any{"tenant": s.tenant, "demo": a.demo, "at": s.at})
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "\t") // as package report
		return encoder.Encode(r.members)
	}
	width := 0
	if a.toTerminal() {
		width = max(a.width, 20)
	}
	fmt.Fprintf(w, "%s  %s\n", s.tenant, s.at.Format("2006-01-02 15:04:05 MST"))
	r.writeTable(w, width, a.toTerminal() && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb")
	for _, line := range r.closing {
		fmt.Fprintln(w, escape(line, ""))
	}
	return nil
}

// escape writes runes that could affect a terminal as in JSON, except those to
// keep. Such runes are control characters, and those that are invisible or
// change the direction of text.
func escape(text, keep string) string {
	var out strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) || strings.ContainsRune(keep, r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.String()
}

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/google/renameio/v2/maybe"
	"github.com/spf13/cobra"

	"github.com/sailpoint-go/sailpoint/internal/spreadsheet"
)

// result is what a command writes, in each of its formats.
type result struct {
	silent  bool // not written to standard output with --quiet
	table   table
	closing []string                         // lines after the table
	members map[string]any                   // of the JSON object
	columns []string                         // of the CSV
	records [][]string                       // of the CSV
	others  map[string]func(io.Writer) error // formats that another package writes
}

// outputFlags adds the flags for a command's output.
func (a *app) outputFlags(cmd *cobra.Command, others ...string) {
	choiceFlag(cmd.Flags(), &a.format, "output", "o", "`FORMAT` of the output: %s (default table)", append([]string{"table", "json"}, others...)...)
	cmd.Flags().StringVar(&a.file, "file", "", "write the output to `PATH`, which is replaced as a whole")
}

// write writes a result to standard output or to the file of --file.
func (a *app) write(s *session, r *result) error {
	if a.quiet && r.silent && a.file == "" && a.format != "openmetrics" {
		return nil
	}
	var content bytes.Buffer
	format := cmp.Or(a.format, "table")
	render := map[string]func(io.Writer, *session, *result) error{"table": a.writeTable, "json": a.writeJSON, "csv": a.writeCSV}[format]
	if other, ok := r.others[format]; ok {
		render = func(w io.Writer, _ *session, _ *result) error { return other(w) }
	}
	if err := render(&content, s, r); err != nil {
		return err
	}
	text := content.String()
	if format == "json" || format != "table" && a.toTerminal() {
		text = escape(text, "\n\t")
	}
	if a.file != "" {
		return maybe.WriteFile(a.file, []byte(text), 0o644) // as the umask allows; keeps the rights of an existing file
	}
	_, err := io.WriteString(a.out, text)
	return err
}

func (a *app) toTerminal() bool { return a.outTerminal && a.file == "" }

func (a *app) writeTable(w io.Writer, s *session, r *result) error {
	width := 0
	if a.toTerminal() {
		width = max(a.width, 20)
	}
	fmt.Fprintf(w, "%s  %s\n", s.tenant, s.at.Format("2006-01-02 15:04:05 MST"))
	r.table.write(w, width, a.toTerminal() && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb")
	for _, line := range r.closing {
		fmt.Fprintln(w, escape(line, ""))
	}
	return nil
}

func (a *app) writeJSON(w io.Writer, s *session, r *result) error {
	object := map[string]any{"tenant": s.tenant, "demo": a.demo, "at": s.at}
	maps.Copy(object, r.members)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "\t") // as package report
	return encoder.Encode(object)
}

func (a *app) writeCSV(w io.Writer, s *session, r *result) error {
	first := []string{s.tenant, s.at.Format(time.RFC3339), strconv.FormatBool(a.demo)} // as package report
	lines := [][]string{append([]string{"tenant", "time", "demo"}, r.columns...)}
	for _, record := range r.records {
		lines = append(lines, slices.Concat(first, record))
	}
	return spreadsheet.Write(w, slices.Values(lines))
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

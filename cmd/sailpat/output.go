package main

import (
	"bytes"
	"cmp"
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

	"github.com/charmbracelet/x/ansi"
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

// These columns are not shown as they are.
var (
	flexible  = []string{"token_name", "owner_name"} // cut to the terminal's width
	dates     = []string{"last_used", "expires"}     // without the time of the day
	alerts    = []string{"kind", "status"}           // in color
	sentences = []string{"finding", "reason"}        // last, and may move to lines of their own
)

const (
	gap      = 2  // spaces between columns
	minWidth = 10 // below it a flexible column says nothing

	bold, red, reset = "\x1b[1m", "\x1b[31m", "\x1b[0m"
)

// colors are those of statuses and kinds of findings that are not bold.
var colors = map[string]string{"failed": red, "unknown": red, "expired": red, "every-right": red, "admin-scope": red}

// writeTable writes the records for a terminal of a width. A width of 0 has no
// limit. If no columns are shown, or the terminal is too narrow, each cell has a
// line of its own.
func (r *result) writeTable(w io.Writer, width int, colored bool) {
	if len(r.records) == 0 {
		return
	}
	fmt.Fprintln(w)
	if r.shown == nil {
		writeVertical(w, append([][]string{r.columns}, r.records...))
		return
	}
	cells := r.cells()
	size, fits := r.layout(cells, width)
	if !fits {
		writeVertical(w, cells)
		return
	}
	for n, row := range cells {
		line := ""
		for i, width := range size {
			cell := ansi.Truncate(row[i], width, "…")
			padding := strings.Repeat(" ", width-ansi.StringWidth(cell)+gap)
			if colored && (n == 0 || slices.Contains(alerts, r.shown[i])) {
				cell = cmp.Or(colors[cell], bold) + cell + reset
			}
			line += cell + padding
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
		for _, text := range row[len(size):] {
			if n > 0 && text != "" {
				fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(ansi.Wrap(text, width-4, ""), "\n", "\n    "))
			}
		}
	}
	fmt.Fprintln(w)
}

// cells returns the headings and the escaped cells of the shown columns.
func (r *result) cells() [][]string {
	cells := make([][]string, len(r.records)+1)
	for _, name := range r.shown {
		heading := strings.TrimSuffix(strings.TrimPrefix(name, "token_"), "_name")
		cells[0] = append(cells[0], strings.ToUpper(strings.ReplaceAll(heading, "_", " ")))
		for i, record := range r.records {
			cell := record[slices.Index(r.columns, name)]
			if slices.Contains(dates, name) {
				cell, _, _ = strings.Cut(cell, "T")
			}
			cells[i+1] = append(cells[i+1], escape(cell, ""))
		}
	}
	return cells
}

// layout returns the widths of the columns on a line, without a sentence that
// has to be below it, and whether the line fits.
func (r *result) layout(cells [][]string, width int) (size []int, fits bool) {
	size = make([]int, len(r.shown))
	for _, row := range cells {
		for i, cell := range row {
			size[i] = max(size[i], ansi.StringWidth(cell))
		}
	}
	tooLong := func() bool {
		sum := -gap
		for _, n := range size {
			sum += n + gap
		}
		return width > 0 && sum > width
	}
	if last := len(size) - 1; tooLong() && slices.Contains(sentences, r.shown[last]) {
		size = size[:last]
	}
	for limit := width; limit >= minWidth && tooLong(); limit-- {
		for i := range size {
			if slices.Contains(flexible, r.shown[i]) {
				size[i] = min(size[i], limit)
			}
		}
	}
	return size, !tooLong()
}

func writeVertical(w io.Writer, cells [][]string) {
	for _, row := range cells[1:] {
		for i, cell := range row {
			if cell != "" {
				fmt.Fprintf(w, "%s: %s\n", cells[0][i], escape(cell, ""))
			}
		}
		fmt.Fprintln(w)
	}
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

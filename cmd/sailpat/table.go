package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

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

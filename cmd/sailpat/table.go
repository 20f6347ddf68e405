package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// column is a column of a table.
type column struct {
	name string
	kind columnKind
}

type columnKind int

const (
	whole    columnKind = iota // never cut, such as an ID
	flexible                   // cut to the terminal's width
	alert                      // never cut, and colored if a person should look
	sentence                   // the last column, which may move to lines of its own
)

// table is output for a person.
type table struct {
	columns  []column
	rows     [][]string
	vertical bool // one line for each cell
}

// minWidth is the width below which a flexible column says nothing.
const minWidth = 10

var widths = runewidth.Condition{StrictEmojiNeutral: true}

// write writes the table to a terminal of a width. A width of 0 has no limit.
func (t *table) write(w io.Writer, width int, colored bool) {
	cells := make([][]string, len(t.rows))
	for i, row := range t.rows {
		for _, cell := range row {
			cells[i] = append(cells[i], escape(cell, ""))
		}
	}
	columns := t.columns
	size := t.natural(cells)
	below := false
	if last := len(columns) - 1; width > 0 && total(size) > width && columns[last].kind == sentence {
		below, columns, size = true, columns[:last], size[:last]
	}
	if t.vertical || !shrink(columns, size, width) {
		t.writeVertical(w, cells)
		return
	}
	writeLine(w, columns, size, names(columns), func(_ int, cell string) string { return paint(colored, bold, cell) })
	for _, row := range cells {
		writeLine(w, columns, size, row, func(i int, cell string) string {
			return paint(colored && columns[i].kind == alert, colorOf(row[i]), cell)
		})
		if text := row[len(row)-1]; below && text != "" {
			fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(widths.Wrap(text, width-4), "\n", "\n    "))
		}
	}
}

// natural returns the widths of the columns.
func (t *table) natural(cells [][]string) []int {
	size := make([]int, len(t.columns))
	for _, row := range append([][]string{names(t.columns)}, cells...) {
		for i, cell := range row {
			size[i] = max(size[i], widths.StringWidth(cell))
		}
	}
	return size
}

func names(columns []column) (list []string) {
	for _, c := range columns {
		list = append(list, c.name)
	}
	return list
}

const gap = 2

func total(size []int) (sum int) {
	for _, n := range size {
		sum += n + gap
	}
	return sum - gap
}

// shrink makes the flexible columns narrower until the line fits. It reports
// whether it does.
func shrink(columns []column, size []int, width int) bool {
	for width > 0 && total(size) > width {
		widest := -1
		for i, c := range columns {
			if c.kind == flexible && size[i] > minWidth && (widest < 0 || size[i] > size[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		size[widest]--
	}
	return true
}

func writeLine(w io.Writer, columns []column, size []int, row []string, painted func(i int, cell string) string) {
	var line strings.Builder
	for i := range columns {
		cell := widths.Truncate(row[i], size[i], "…")
		line.WriteString(painted(i, cell))
		line.WriteString(strings.Repeat(" ", size[i]-widths.StringWidth(cell)+gap))
	}
	fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
}

func (t *table) writeVertical(w io.Writer, cells [][]string) {
	for i, row := range cells {
		if i > 0 {
			fmt.Fprintln(w)
		}
		for j, cell := range row {
			if cell != "" {
				fmt.Fprintf(w, "%s: %s\n", t.columns[j].name, cell)
			}
		}
	}
}

// These are colors of a terminal.
const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	normal = "\x1b[0m"
)

func paint(colored bool, color, text string) string {
	if !colored || color == "" {
		return text
	}
	return color + text + normal
}

// colorOf returns the color of a status or a kind of finding.
func colorOf(word string) string {
	switch {
	case slices.Contains([]string{"failed", "unknown", "expired", "every-right", "admin-scope"}, word):
		return red
	case slices.Contains([]string{"deleted", "renewed", "planned", "gone", "skipped", "managed"}, word):
		return ""
	}
	return yellow
}

package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// table is output for a person.
type table struct {
	columns  []column
	rows     [][]string
	vertical bool // one line for each cell
}

type column struct {
	name string
	kind columnKind
}

type columnKind int

const (
	whole    columnKind = iota // never cut, such as an ID
	flexible                   // cut to the terminal's width
	alert                      // never cut, and red if it is bad
	sentence                   // the last column, which may move to lines of its own
)

const (
	gap      = 2  // spaces between columns
	minWidth = 10 // below it a flexible column says nothing
)

// write writes the table to a terminal of a width. A width of 0 has no limit.
func (t *table) write(w io.Writer, width int, colored bool) {
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprintln(w)
	cells := t.cells()
	size, below, fits := t.layout(cells, width)
	if t.vertical || !fits {
		writeVertical(w, cells)
		return
	}
	for n, row := range cells {
		line := ""
		for i, width := range size {
			cell := ansi.Truncate(row[i], width, "…")
			padding := strings.Repeat(" ", width-ansi.StringWidth(cell)+gap)
			if colored && (n == 0 || t.columns[i].kind == alert) {
				cell = cmp.Or(colors[cell], bold) + cell + "\x1b[0m"
			}
			line += cell + padding
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
		if text := row[len(row)-1]; n > 0 && below && text != "" {
			fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(ansi.Wrap(text, width-4, ""), "\n", "\n    "))
		}
	}
	fmt.Fprintln(w)
}

const bold, red = "\x1b[1m", "\x1b[31m"

// colors are those of statuses and kinds of findings that are not bold.
var colors = map[string]string{"failed": red, "unknown": red, "expired": red, "every-right": red, "admin-scope": red}

// cells returns the names of the columns, and the escaped rows.
func (t *table) cells() [][]string {
	cells := make([][]string, len(t.rows)+1)
	for _, c := range t.columns {
		cells[0] = append(cells[0], c.name)
	}
	for i, row := range t.rows {
		for _, cell := range row {
			cells[i+1] = append(cells[i+1], escape(cell, ""))
		}
	}
	return cells
}

// layout returns the widths of the columns on a line, whether the sentence is
// below it, and whether the line fits.
func (t *table) layout(cells [][]string, width int) (size []int, below, fits bool) {
	size = make([]int, len(t.columns))
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
	if last := len(size) - 1; tooLong() && t.columns[last].kind == sentence {
		size, below = size[:last], true
	}
	for limit := width; limit >= minWidth && tooLong(); limit-- {
		for i := range size {
			if t.columns[i].kind == flexible {
				size[i] = min(size[i], limit)
			}
		}
	}
	return size, below, !tooLong()
}

func writeVertical(w io.Writer, cells [][]string) {
	for _, row := range cells[1:] {
		for i, cell := range row {
			if cell != "" {
				fmt.Fprintf(w, "%s: %s\n", cells[0][i], cell)
			}
		}
		fmt.Fprintln(w)
	}
}

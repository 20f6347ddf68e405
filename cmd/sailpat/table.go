package main

import (
	"fmt"
	"io"
	"slices"
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
	cells := make([][]string, len(t.rows)+1) // with the names of the columns
	for _, c := range t.columns {
		cells[0] = append(cells[0], c.name)
	}
	for i, row := range t.rows {
		for _, cell := range row {
			cells[i+1] = append(cells[i+1], escape(cell, ""))
		}
	}
	fmt.Fprintln(w)
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
			if colored {
				cell = t.paint(cell, n == 0, i)
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

func (t *table) paint(cell string, heading bool, column int) string {
	const bold, red, normal = "\x1b[1m", "\x1b[31m", "\x1b[0m"
	switch {
	case heading:
		return bold + cell + normal
	case t.columns[column].kind == alert && slices.Contains(bad, cell):
		return red + cell + normal
	}
	return cell
}

// bad are the statuses and kinds of findings that are shown in red.
var bad = []string{"failed", "unknown", "expired", "every-right", "admin-scope"}

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

package report

import (
	"fmt"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

// The size of the time line, in SVG units.
const (
	axisWidth  = 720
	axisHeight = 90 // of each half, with expiries above and creations below
	lifeWidth  = 120
)

// axis is the page's time span, divided into months. Earlier and later times
// count in the first or last month.
type axis struct {
	Bars              []bar
	Years             []tick
	Now               int
	Ended, Ends, Made int // tokens above and below the line
	Open              int // tokens without a reported expiry
	start, end        time.Time
	now               time.Time
}

type bar struct {
	X, Width, Y, Height int
	Class, Text         string
}

type tick struct {
	X    int
	Text string
}

func newAxis(now time.Time, rows []row) axis {
	now = now.UTC()
	a := axis{now: now, start: now.AddDate(0, -1, 0), end: now.AddDate(0, 2, 0)}
	for i := range rows {
		if t := rows[i].Token; t.ID != "" {
			if t.Created.After(now.AddDate(-5, 0, 0)) && t.Created.Before(a.start) {
				a.start = t.Created
			}
			if e := t.ExpirationDate; e != nil && e.Before(now.AddDate(3, 0, 0)) && e.After(a.end) {
				a.end = *e
			}
		}
	}
	a.start = month(a.start)
	a.end = month(a.end).AddDate(0, 1, 0)
	a.Now = a.x(now, axisWidth)
	a.draw(a.count(rows))
	return a
}

// monthly counts the creations and expiries of each month.
type monthly struct{ made, ended, ends map[time.Time]int }

// count counts the creations and expiries of the tokens.
func (a *axis) count(rows []row) monthly {
	n := monthly{map[time.Time]int{}, map[time.Time]int{}, map[time.Time]int{}}
	for i := range rows {
		t := &rows[i].Token
		if t.ID == "" {
			continue
		}
		if !t.Created.IsZero() {
			n.made[month(a.clamp(t.Created))]++
			a.Made++
		}
		switch e := t.ExpirationDate; {
		case e == nil:
			a.Open++
		case e.After(a.now):
			n.ends[month(a.clamp(*e))]++
			a.Ends++
		default:
			n.ended[month(a.clamp(*e))]++
			a.Ended++
		}
	}
	return n
}

// draw adds the bars of the months and the ticks of the years.
func (a *axis) draw(n monthly) {
	most := 1
	for m := a.start; m.Before(a.end); m = m.AddDate(0, 1, 0) {
		most = max(most, n.made[m], n.ended[m]+n.ends[m])
	}
	height := func(count int) int { return max(count*axisHeight/most, min(count, 1)*3) }
	for m := a.start; m.Before(a.end); m = m.AddDate(0, 1, 0) {
		x := a.x(m, axisWidth)
		width := max(a.x(m.AddDate(0, 1, 0), axisWidth)-x-1, 1)
		draw := func(class, verb string, count, y int) {
			if count > 0 {
				a.Bars = append(a.Bars, bar{x, width, y, height(count), class, fmt.Sprintf("%s: %d %s", m.Format("January 2006"), count, verb)})
			}
		}
		over := axisHeight - height(n.ended[m])
		draw("ended", "expired", n.ended[m], over)
		draw("ends", "will expire", n.ends[m], over-height(n.ends[m])) // in this month, on top of the expired
		draw("made", "created", n.made[m], axisHeight+1)
		if m.Month() == time.January {
			a.Years = append(a.Years, tick{x, m.Format("2006")})
		}
	}
}

func month(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// clamp returns t, or the nearest end of the axis.
func (a *axis) clamp(t time.Time) time.Time {
	if t.Before(a.start) {
		return a.start
	}
	if !t.Before(a.end) {
		return a.end.Add(-1)
	}
	return t
}

// x returns the position of t in a picture of this width.
func (a *axis) x(t time.Time, width int) int {
	return int(float64(width) * a.clamp(t).Sub(a.start).Seconds() / a.end.Sub(a.start).Seconds())
}

// life is one token's line in the table.
type life struct {
	X, Width  int
	Now, Used int // Used -1: never
	Class     string
}

func (a *axis) life(t *sailpoint.PersonalAccessToken) *life {
	if t.ID == "" {
		return nil
	}
	l := &life{X: a.x(t.Created, lifeWidth), Now: a.x(a.now, lifeWidth), Used: -1, Class: "open"}
	right := lifeWidth
	if e := t.ExpirationDate; e != nil {
		right = a.x(*e, lifeWidth)
		l.Class = "ends"
		if !e.After(a.now) {
			l.Class = "over"
		}
	}
	l.Width = max(right-l.X, 2)
	if t.LastUsed != nil {
		l.Used = a.x(*t.LastUsed, lifeWidth)
	}
	return l
}

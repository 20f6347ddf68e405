package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/sailpoint-go/sailpoint/lifecycle"
)

var errNotConfirmed = errors.New("not confirmed: nothing was changed")

// confirm asks a question on a terminal, and returns nil if the answer is yes.
func (a *app) confirm(ctx context.Context, question string) error {
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // a read from a terminal can't be canceled
		line, _ := bufio.NewReader(a.in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.err)
		return errors.Join(errNotConfirmed, ctx.Err())
	case text := <-answer:
		if text == "y" || text == "yes" {
			return nil
		}
		return errNotConfirmed
	}
}

// progress returns a function for PruneOptions.Progress that draws a bar on a
// terminal, and a function that ends the drawing.
func (a *app) progress() (func(done, total int, _ lifecycle.Change), func()) {
	if !a.errTerminal || a.quiet || a.verbose > 0 {
		return nil, func() {}
	}
	bars := mpb.New(mpb.WithOutput(a.err), mpb.WithAutoRefresh(), mpb.WithWidth(40))
	var bar *mpb.Bar
	draw := func(done, total int, _ lifecycle.Change) {
		if bar == nil {
			bar = bars.AddBar(int64(total), mpb.AppendDecorators(decor.CountersNoUnit("%d/%d")))
		}
		bar.SetCurrent(int64(done))
	}
	return draw, func() {
		if bar != nil {
			bar.Abort(false) // if it is not complete
		}
		bars.Wait()
	}
}

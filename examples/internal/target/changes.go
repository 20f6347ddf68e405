package target

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// PrintChanges prints what happened to each token, and returns the exit code.
// It quotes names, because a name may contain control sequences for the
// terminal.
func PrintChanges(stdout, stderr io.Writer, changes []lifecycle.Change, err error) (code int) {
	counts := map[lifecycle.Status]int{}
	for _, c := range changes {
		counts[c.Status]++
		because := c.Reason
		if c.Err != nil {
			because = c.Err.Error()
		}
		expiry := "not reported"
		if c.Token.ExpirationDate != nil {
			expiry = c.Token.ExpirationDate.UTC().Format(time.DateOnly)
		}
		line := fmt.Sprintf("%-8s %s %q of %q, expiry %s  %s", c.Status, c.Token.ID, c.Token.Name, c.Token.Owner.Name, expiry, because)
		fmt.Fprintln(stdout, strings.TrimSpace(line))
	}
	if err == nil || len(changes) > 0 {
		fmt.Fprintf(stdout, "%d chosen", len(changes))
		for _, status := range []lifecycle.Status{
			lifecycle.StatusPlanned, lifecycle.StatusDeleted, lifecycle.StatusRenewed, lifecycle.StatusGone, lifecycle.StatusSkipped, lifecycle.StatusFailed, lifecycle.StatusUnknown,
		} {
			if counts[status] > 0 {
				fmt.Fprintf(stdout, ", %d %s", counts[status], status)
			}
		}
		fmt.Fprintln(stdout)
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, err)
		if errors.Is(err, sailpoint.ErrInvalidArgument) {
			return 2
		}
		return 1
	case counts[lifecycle.StatusFailed]+counts[lifecycle.StatusUnknown] > 0:
		return 3
	case counts[lifecycle.StatusPlanned] > 0:
		fmt.Fprintln(stdout, "nothing was changed; to make the changes, add -apply")
	}
	return 0
}

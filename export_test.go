package sailpoint

import (
	"fmt"
	"net"
	"time"
)

// WithWriteLimit returns a connection of NewTransport with another limit for
// each write, and the limit that it had.
func WithWriteLimit(conn net.Conn, limit time.Duration) (net.Conn, time.Duration) {
	timed := conn.(timedConn) //nolint:forcetypeassert // NewTransport dials no other
	return timedConn{timed.Conn, limit}, timed.limit
}

// FlipMatrix sets each cell of the matrix to each of its other values, calls
// try, and restores the cell. The column of a row's certainty is -1.
func FlipMatrix(try func(cell string, column int)) {
	names := [events]string{
		notSent: "notSent", peerRefused: "peerRefused", unanswered: "unanswered",
		cutShort: "cutShort", untrusted: "untrusted", incomplete: "incomplete", tooLarge: "tooLarge",
		redirected: "redirected", seeOther: "seeOther", rejected: "rejected", unauthorized: "unauthorized",
		notFound: "notFound", unrouted: "unrouted",
		timedOut: "timedOut", tooEarly: "tooEarly", rateLimited: "rateLimited", serverFailed: "serverFailed",
		unexpected: "unexpected",
	}
	certainties := []string{notCarriedOut: "no", maybeCarriedOut: "maybe", carriedOut: "yes"}
	verdicts := []string{stop: "stop", retry: "retry", once: "once", renew: "renew", gone: "gone"}
	headings := [kinds]string{
		kindRead: "read", kindDelete: "delete", kindReplace: "replace", kindPatch: "patch", kindCreate: "create", kindFetch: "fetch",
	}
	for e := range matrix {
		row := &matrix[e]
		for c, name := range certainties {
			if certainty(c) != row.certainty {
				old := row.certainty
				row.certainty = certainty(c)
				try(fmt.Sprintf("%s: carried out: %s to %s", names[e], certainties[old], name), -1)
				row.certainty = old
			}
		}
		for column, old := range row.verdicts {
			for v, name := range verdicts {
				if verdict(v) == old {
					continue
				}
				row.verdicts[column] = verdict(v)
				try(fmt.Sprintf("%s: %s: %s to %s", names[e], headings[column], verdicts[old], name), column)
			}
			row.verdicts[column] = old
		}
	}
}

package target

import (
	"errors"
	"flag"
	"fmt"
)

// Parse parses the flags of a command that has no other arguments. If done is
// true, the command must exit with code.
func Parse(flags *flag.FlagSet, args []string) (code int, done bool) {
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0, true
	case err != nil:
		return 2, true
	case flags.NArg() > 0:
		// flag stops at the first other argument. "-apply false -kinds expired"
		// would therefore apply to all kinds.
		fmt.Fprintf(flags.Output(), "%s: unexpected argument %q: use only the flags below\n", flags.Name(), flags.Arg(0))
		flags.Usage()
		return 2, true
	}
	return 0, false
}

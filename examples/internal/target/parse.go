package target

import (
	"errors"
	"flag"
	"fmt"
)

// Parse reads the flags of a command that takes nothing else. done: the command ends with this exit code.
func Parse(flags *flag.FlagSet, args []string) (code int, done bool) {
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0, true
	case err != nil:
		return 2, true
	case flags.NArg() > 0:
		// What follows is no flag any more: "-apply false -kinds expired" would apply to all kinds.
		fmt.Fprintf(flags.Output(), "%s: %q is no flag, nor a part of one\n", flags.Name(), flags.Arg(0))
		flags.Usage()
		return 2, true
	}
	return 0, false
}

package target

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// Kinds parses the kinds of findings in a flag, a comma-separated list.
func Kinds(value string) ([]lifecycle.Kind, error) {
	var kinds []lifecycle.Kind
	for name := range strings.SplitSeq(value, ",") {
		kind := lifecycle.Kind(strings.TrimSpace(name))
		if !slices.Contains(lifecycle.Kinds(), kind) {
			return nil, fmt.Errorf("unknown kind %q: use some of %v", kind, lifecycle.Kinds())
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

package target

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// Kinds reads kinds of findings, separated by commas, from a flag.
func Kinds(value string) ([]lifecycle.Kind, error) {
	var kinds []lifecycle.Kind
	for name := range strings.SplitSeq(value, ",") {
		kind := lifecycle.Kind(strings.TrimSpace(name))
		if !slices.Contains(lifecycle.Kinds(), kind) {
			return nil, fmt.Errorf("%q is none of %v", kind, lifecycle.Kinds())
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

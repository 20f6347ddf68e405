package sailpoint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// PatchOp is an operation of JSON Patch (RFC 6902 section 4).
type PatchOp string

// The operations of JSON Patch. The API's documents show replace, and remove of /expirationDate in a bulk update. What
// the API does with the others is not documented.
const (
	OpAdd     PatchOp = "add"
	OpRemove  PatchOp = "remove"
	OpReplace PatchOp = "replace"
	OpMove    PatchOp = "move"
	OpCopy    PatchOp = "copy"
	OpTest    PatchOp = "test"
)

// PatchOperation is one operation of a patch. It marshals to what RFC 6902 asks of its Op: value for add, replace and
// test, also where it is null, and from for move and copy.
type PatchOperation struct {
	Op    PatchOp `json:"op"`
	Path  string  `json:"path"`
	From  string  `json:"from,omitzero"`
	Value any     `json:"value"`
}

func (o PatchOperation) takesValue() bool {
	return o.Op == OpAdd || o.Op == OpReplace || o.Op == OpTest
}
func (o PatchOperation) takesFrom() bool { return o.Op == OpMove || o.Op == OpCopy }

// patchMembers are the members that an operation has.
type patchMembers struct {
	Op    PatchOp        `json:"op"`
	Path  string         `json:"path"`
	From  string         `json:"from,omitzero"`
	Value jsontext.Value `json:"value,omitzero"`
}

func (o PatchOperation) members() (patchMembers, error) {
	members := patchMembers{Op: o.Op, Path: o.Path}
	if o.takesFrom() {
		members.From = o.From
	}
	var err error
	if o.takesValue() {
		members.Value, err = json.Marshal(o.Value, json.FormatNilSliceAsNull(true), json.FormatNilMapAsNull(true))
	}
	return members, err
}

// MarshalJSON writes the members that the operation has.
func (o PatchOperation) MarshalJSON() ([]byte, error) {
	members, err := o.members()
	if err != nil {
		return nil, err
	}
	return json.Marshal(members)
}

// The fields of a token that can be patched; the last two in V2025 and later.
const (
	pathName         = "/name"
	pathScope        = "/scope"
	pathExpiration   = "/expirationDate"
	pathNeverExpires = "/userAwareTokenNeverExpires"
)

// PersonalAccessTokenPatch collects the changes of one Patch, which the API carries out all or not at all. It is a
// builder like strings.Builder: the zero value is ready, and its methods change it and return it.
type PersonalAccessTokenPatch struct {
	ops []PatchOperation
}

// NewPersonalAccessTokenPatch returns an empty patch.
func NewPersonalAccessTokenPatch() *PersonalAccessTokenPatch { return new(PersonalAccessTokenPatch) }

// ReplaceName gives the token another name, unique among its owner's.
func (p *PersonalAccessTokenPatch) ReplaceName(name string) *PersonalAccessTokenPatch {
	return p.replace(pathName, name)
}

// ReplaceScope replaces the token's whole scope. Bearers already issued keep theirs, and new ones may lag behind by up
// to 20 minutes (note on the patch operation).
func (p *PersonalAccessTokenPatch) ReplaceScope(scope ...string) *PersonalAccessTokenPatch {
	return p.replace(pathScope, slices.Clone(scope))
}

// ReplaceExpirationDate moves the token's expiry; V2025 and later. It is sent in milliseconds.
func (p *PersonalAccessTokenPatch) ReplaceExpirationDate(t time.Time) *PersonalAccessTokenPatch {
	return p.replace(pathExpiration, formatTime(t))
}

// NeverExpire takes the token's expiry away, with the acknowledgement that the API asks for; V2025 and later.
func (p *PersonalAccessTokenPatch) NeverExpire() *PersonalAccessTokenPatch {
	return p.replace(pathNeverExpires, true).replace(pathExpiration, nil)
}

// With adds operations as they are, for what the other methods don't do.
func (p *PersonalAccessTokenPatch) With(ops ...PatchOperation) *PersonalAccessTokenPatch {
	p.ops = append(p.ops, ops...)
	return p
}

// Operations returns a copy of what was collected.
func (p *PersonalAccessTokenPatch) Operations() []PatchOperation { return slices.Clone(p.ops) }

func (p *PersonalAccessTokenPatch) replace(path string, value any) *PersonalAccessTokenPatch {
	return p.With(PatchOperation{Op: OpReplace, Path: path, Value: value})
}

// maxPatchOperations is far more than the fields that can be patched.
const maxPatchOperations = 100

// encode checks the patch and returns its JSON, and whether carrying it out twice is the same as once: every operation
// sets a whole field.
func (p *PersonalAccessTokenPatch) encode(version APIVersion) (body []byte, idempotent bool, err error) {
	if p == nil || len(p.ops) == 0 {
		return nil, false, invalidArgument("the patch is empty: name what to change, such as with ReplaceName")
	}
	if len(p.ops) > maxPatchOperations {
		return nil, false, invalidArgument("the patch has %d operations, more than %d", len(p.ops), maxPatchOperations)
	}
	ops := make([]patchMembers, len(p.ops)) // as they are sent
	acknowledged := false
	for i, op := range p.ops {
		if ops[i], err = op.members(); err != nil {
			return nil, false, op.invalid(i, "its value can't be sent: %v", err)
		}
		if op.sets(pathNeverExpires) && string(ops[i].Value) == "true" {
			acknowledged = true
		}
	}
	idempotent = true
	set := map[string]bool{}
	for i, op := range p.ops {
		if err := op.check(i, version, ops[i].Value, acknowledged); err != nil {
			return nil, false, err
		}
		if !op.takesValue() || op.Op == OpTest || strings.Count(op.Path, "/") > 1 {
			idempotent = false
			continue
		}
		if set[op.Path] {
			return nil, false, op.invalid(i, "an earlier operation sets the same path: keep one of them")
		}
		set[op.Path] = true
	}
	if body, err = json.Marshal(ops); err != nil {
		return nil, false, invalidArgument("the patch can't be sent: %v", err)
	}
	return body, idempotent, nil
}

// sets reports whether o gives the field at path a value.
func (o PatchOperation) sets(path string) bool {
	return o.Path == path && (o.Op == OpAdd || o.Op == OpReplace)
}

// removes reports whether o takes away what is at path or below it.
func (o PatchOperation) removes(path string) bool {
	at := o.Path
	if o.Op == OpMove {
		at = o.From
	}
	return (o.Op == OpRemove || o.Op == OpMove) && field(at) == path
}

// touches reports whether o has to do with the field at path.
func (o PatchOperation) touches(path string) bool {
	return field(o.Path) == path || o.takesFrom() && field(o.From) == path
}

// field returns the first reference of a JSON pointer, the field of the token that it is in: /scope of /scope/0.
func field(pointer string) string {
	if i := strings.IndexByte(strings.TrimPrefix(pointer, "/"), '/'); i >= 0 {
		return pointer[:i+1]
	}
	return pointer
}

func (o PatchOperation) invalid(i int, format string, args ...any) error {
	return invalidArgument("operation %d of the patch (%q of %q): %s", i, o.Op, o.Path, fmt.Sprintf(format, args...))
}

// check refuses what can't be right, and what could grant every right or take an expiry away without saying so.
func (o PatchOperation) check(i int, version APIVersion, value jsontext.Value, acknowledged bool) error {
	if !o.takesValue() && !o.takesFrom() && o.Op != OpRemove {
		return o.invalid(i, "no operation of RFC 6902: use one of add, remove, replace, move, copy, test")
	}
	pointers := []string{o.Path}
	if o.takesFrom() {
		pointers = append(pointers, o.From)
	}
	for _, pointer := range pointers {
		switch field(pointer) {
		case pathName, pathScope:
		case pathExpiration, pathNeverExpires:
			if !version.hasNeverExpires() {
				return o.invalid(i, "%s can be patched in V2025 and later: set Config.APIVersion", field(pointer))
			}
		default:
			return o.invalid(i, "%q can't be patched: only %s, %s, and in V2025 and later %s and %s",
				pointer, pathName, pathScope, pathExpiration, pathNeverExpires)
		}
		if field(pointer) != pathScope && field(pointer) != pointer {
			return o.invalid(i, "%s has nothing below it", field(pointer))
		}
	}

	switch {
	case o.removes(pathName), o.sets(pathName) && blank(value):
		return o.invalid(i, "a token needs a name")
	case o.removes(pathScope), o.takesFrom() && o.Path == pathScope:
		return o.invalid(i, "it could leave no scope, which grants every right: replace the whole of %s", pathScope)
	case o.sets(pathScope):
		var scope []string
		if err := json.Unmarshal(value, &scope); err != nil {
			return o.invalid(i, "a scope is a list of strings")
		}
		if err := checkScope(scope); err != nil {
			return o.invalid(i, "%v", err)
		}
	case field(o.Path) == pathScope && o.Op != OpTest && o.takesValue():
		var name string
		if err := json.Unmarshal(value, &name); err != nil {
			return o.invalid(i, "a scope is a string")
		}
		if err := checkScope([]string{name}); err != nil {
			return o.invalid(i, "%v", err)
		}
	case o.removes(pathExpiration), o.sets(pathExpiration) && string(value) == "null":
		if !acknowledged {
			return o.invalid(i, "a token without an expiry needs its acknowledgement in the same patch: use NeverExpire")
		}
	case o.sets(pathExpiration):
		var expiry time.Time
		if err := json.Unmarshal(value, &expiry); err != nil {
			return o.invalid(i, "an expiry is a date and time of RFC 3339, or null")
		}
		if err := checkExpiry(expiry); err != nil {
			return o.invalid(i, "%v", err)
		}
	}
	return nil
}

// blank reports whether value is anything but a string with something to see in it.
func blank(value jsontext.Value) bool {
	var s string
	err := json.Unmarshal(value, &s)
	return err != nil || strings.TrimSpace(s) == ""
}

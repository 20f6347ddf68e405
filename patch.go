package sailpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// PatchOp names an operation of JSON Patch (RFC 6902 section 4).
type PatchOp string

// The operations of JSON Patch. SailPoint documents only replace, and remove of
// /expirationDate in a bulk update. It doesn't document what the API does with
// the others.
const (
	OpAdd     PatchOp = "add"
	OpRemove  PatchOp = "remove"
	OpReplace PatchOp = "replace"
	OpMove    PatchOp = "move"
	OpCopy    PatchOp = "copy"
	OpTest    PatchOp = "test"
)

// PatchOperation is one operation of a patch (RFC 6902 section 4). For most
// changes use the methods of [PersonalAccessTokenPatch] instead.
type PatchOperation struct {
	Op    PatchOp `json:"op"`
	Path  string  `json:"path"`          // such as "/name"
	From  string  `json:"from,omitzero"` // sent only for move and copy
	Value any     `json:"value"`         // sent only for add, replace and test, even if it is nil
}

func (o PatchOperation) takesValue() bool {
	return o.Op == OpAdd || o.Op == OpReplace || o.Op == OpTest
}
func (o PatchOperation) takesFrom() bool { return o.Op == OpMove || o.Op == OpCopy }

// patchMembers are the members of an operation's JSON.
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

// MarshalJSON writes only the fields that RFC 6902 requires for o.Op.
func (o PatchOperation) MarshalJSON() ([]byte, error) {
	members, err := o.members()
	if err != nil {
		return nil, err
	}
	return json.Marshal(members)
}

// These fields of a token can be patched, the last two in V2025 and later.
const (
	pathName         = "/name"
	pathScope        = "/scope"
	pathExpiration   = "/expirationDate"
	pathNeverExpires = "/userAwareTokenNeverExpires"
)

// PersonalAccessTokenPatch collects the changes of one Patch or BulkUpdate. The
// API applies either all of them or none. Every method adds a change to the
// patch and returns the same patch, so that calls can be chained:
//
//	patch := sailpoint.NewPersonalAccessTokenPatch().
//		ReplaceName("daily-report").
//		ReplaceScope("sp:my-personal-access-tokens:read")
//
// The zero value is an empty patch. A patch may set each field only once.
type PersonalAccessTokenPatch struct {
	ops []PatchOperation
}

// NewPersonalAccessTokenPatch returns an empty patch.
func NewPersonalAccessTokenPatch() *PersonalAccessTokenPatch { return new(PersonalAccessTokenPatch) }

// ReplaceName renames the token. The name must be unique among the owner's
// tokens.
func (p *PersonalAccessTokenPatch) ReplaceName(name string) *PersonalAccessTokenPatch {
	return p.replace(pathName, name)
}

// ReplaceScope replaces the token's whole scope. Bearers that were already
// issued keep the old scope. SailPoint documents that for up to 20 minutes, new
// bearers may have the old scope too.
func (p *PersonalAccessTokenPatch) ReplaceScope(scope ...string) *PersonalAccessTokenPatch {
	return p.replace(pathScope, slices.Clone(scope))
}

// ReplaceExpirationDate changes the token's expiry to t, cut to whole
// milliseconds. It needs V2025, V2026 or V1.
func (p *PersonalAccessTokenPatch) ReplaceExpirationDate(t time.Time) *PersonalAccessTokenPatch {
	return p.replace(pathExpiration, formatTime(t))
}

// NeverExpire removes the token's expiry. It also sets
// userAwareTokenNeverExpires to true, because the API requires that for a token
// without an expiry. It needs V2025, V2026 or V1.
func (p *PersonalAccessTokenPatch) NeverExpire() *PersonalAccessTokenPatch {
	return p.replace(pathNeverExpires, true).replace(pathExpiration, nil)
}

// With adds operations for which there is no other method, or those of a JSON
// Patch that was unmarshaled into a []PatchOperation.
func (p *PersonalAccessTokenPatch) With(ops ...PatchOperation) *PersonalAccessTokenPatch {
	p.ops = append(p.ops, ops...)
	return p
}

func (p *PersonalAccessTokenPatch) replace(path string, value any) *PersonalAccessTokenPatch {
	return p.With(PatchOperation{Op: OpReplace, Path: path, Value: value})
}

// maxPatchOperations is far more than the number of patchable fields.
const maxPatchOperations = 100

// encode checks the patch and returns its JSON. The patch is idempotent if
// every operation sets a whole field.
func (p *PersonalAccessTokenPatch) encode(version APIVersion) (body []byte, idempotent bool, err error) {
	if p == nil || len(p.ops) == 0 {
		return nil, false, invalidArgument("the patch is empty: add a change, such as with ReplaceName")
	}
	if len(p.ops) > maxPatchOperations {
		return nil, false, invalidArgument("the patch has %d operations: use at most %d", len(p.ops), maxPatchOperations)
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
		if err := op.check(version, ops[i].Value, acknowledged); err != nil {
			return nil, false, op.invalid(i, "%v", err)
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

// removes reports whether o removes the field at path or a part of it.
func (o PatchOperation) removes(path string) bool {
	at := o.Path
	if o.Op == OpMove {
		at = o.From
	}
	return (o.Op == OpRemove || o.Op == OpMove) && field(at) == path
}

// touches reports whether o reads or changes the field at path or a part of it.
func (o PatchOperation) touches(path string) bool {
	return field(o.Path) == path || o.takesFrom() && field(o.From) == path
}

// field returns the path of the field that a JSON pointer points to or into.
// For /scope/0 that is /scope.
func field(pointer string) string {
	if i := strings.IndexByte(strings.TrimPrefix(pointer, "/"), '/'); i >= 0 {
		return pointer[:i+1]
	}
	return pointer
}

func (o PatchOperation) invalid(i int, format string, args ...any) error {
	return invalidArgument("operation %d of the patch (%q of %q): %s", i, o.Op, o.Path, fmt.Sprintf(format, args...))
}

// check rejects an operation that can't be right. It also rejects one that
// could grant every right or remove an expiry without setting so explicitly.
// value is the JSON of o.Value.
func (o PatchOperation) check(version APIVersion, value jsontext.Value, acknowledged bool) error {
	if !o.takesValue() && !o.takesFrom() && o.Op != OpRemove {
		return errors.New("the op is not one of RFC 6902: use add, remove, replace, move, copy or test")
	}
	if err := checkPointer(o.Path, version); err != nil {
		return err
	}
	if o.takesFrom() {
		if err := checkPointer(o.From, version); err != nil {
			return err
		}
	}
	if o.removes(pathName) || o.sets(pathName) && blank(value) {
		return errors.New("a token needs a name: replace it with a name that isn't blank")
	}
	if err := o.checkNewScope(value); err != nil {
		return err
	}
	return o.checkNewExpiry(value, acknowledged)
}

// checkPointer rejects a path that can't be patched in this version.
func checkPointer(pointer string, version APIVersion) error {
	switch field(pointer) {
	case pathName, pathScope:
	case pathExpiration, pathNeverExpires:
		if !version.hasNeverExpires() {
			return fmt.Errorf("%s can be patched in V2025 and later: set Config.APIVersion", field(pointer))
		}
	default:
		return fmt.Errorf("%q can't be patched: use %s or %s, or in V2025 and later %s or %s",
			pointer, pathName, pathScope, pathExpiration, pathNeverExpires)
	}
	if field(pointer) != pathScope && field(pointer) != pointer {
		return fmt.Errorf("%s has nothing below it: use %[1]s itself", field(pointer))
	}
	return nil
}

// checkNewScope rejects an operation that could leave an empty or invalid
// scope.
func (o PatchOperation) checkNewScope(value jsontext.Value) error {
	switch {
	case o.removes(pathScope), o.takesFrom() && o.Path == pathScope:
		return fmt.Errorf("it could leave no scope, which grants every right: replace the whole of %s", pathScope)
	case o.sets(pathScope):
		var scope []string
		if err := json.Unmarshal(value, &scope); err != nil {
			return errors.New("the scope must be a list of strings")
		}
		return checkScope(scope)
	case field(o.Path) == pathScope && o.Op != OpTest && o.takesValue():
		var name string
		if err := json.Unmarshal(value, &name); err != nil {
			return errors.New("an entry of the scope must be a string")
		}
		return checkScope([]string{name})
	}
	return nil
}

// checkNewExpiry rejects an invalid expiry, and the removal of an expiry
// without an acknowledgement.
func (o PatchOperation) checkNewExpiry(value jsontext.Value, acknowledged bool) error {
	switch {
	case o.removes(pathExpiration), o.sets(pathExpiration) && string(value) == "null":
		if !acknowledged {
			return errors.New("a token without an expiry must be acknowledged in the same patch: use NeverExpire")
		}
	case o.sets(pathExpiration):
		var expiry time.Time
		if err := json.Unmarshal(value, &expiry); err != nil {
			return errors.New("the expiry must be a date and time of RFC 3339, or null")
		}
		return checkExpiry(expiry)
	}
	return nil
}

// blank reports whether value is not a string, or a string of white space only.
func blank(value jsontext.Value) bool {
	var s string
	err := json.Unmarshal(value, &s)
	return err != nil || strings.TrimSpace(s) == ""
}

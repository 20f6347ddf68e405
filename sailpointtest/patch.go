package sailpointtest

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	pathName         = "/name"
	pathScope        = "/scope"
	pathExpiration   = "/expirationDate"
	pathAcknowledged = "/userAwareTokenNeverExpires"
)

var null = jsontext.Value("null")

// applyPatch returns tok with a JSON Patch (RFC 6902) applied to it. It checks
// the final values of the fields, so the order of the operations doesn't matter
// to a rule about two fields. A bulk patch changes only the expiry and its
// acknowledgement.
func (v *version) applyPatch(tok token, body []byte, bulk bool, now time.Time) (*token, error) {
	document := v.patchable(&tok, bulk)
	written, err := applyOperations(document, body)
	if err != nil {
		return nil, err
	}
	if written[pathName] {
		tok.name = ""
		if err := read(document, pathName, &tok.name); err != nil {
			return nil, err
		}
	}
	if written[pathScope] {
		var scope []string
		if err := read(document, pathScope, &scope); err != nil {
			return nil, err
		}
		if tok.scope, err = scopeOrAll(scope); err != nil {
			return nil, err
		}
	}
	if err := tok.patchExpiration(document, written, now); err != nil {
		return nil, err
	}
	return &tok, nil
}

// patchable returns the fields that a patch can change, as JSON by path.
func (v *version) patchable(tok *token, bulk bool) map[string]jsontext.Value {
	document := map[string]jsontext.Value{}
	if !bulk {
		document[pathName], document[pathScope] = encode(tok.name), encode(tok.scope)
	}
	if v.neverExpires {
		document[pathExpiration] = null
		if expiration := v.wireExpiration(tok); expiration != nil {
			document[pathExpiration] = expiration
		}
		document[pathAcknowledged] = encode(tok.acknowledged != nil && *tok.acknowledged)
	}
	return document
}

// patchExpiration sets the expiry and its acknowledgement from a patched
// document.
func (tok *token) patchExpiration(document map[string]jsontext.Value, written map[string]bool, now time.Time) error {
	if written[pathAcknowledged] {
		tok.acknowledged = new(bool)
		if err := read(document, pathAcknowledged, tok.acknowledged); err != nil {
			return err
		}
	}
	if written[pathExpiration] {
		tok.expiration = time.Time{}
		var expiration *string
		if err := read(document, pathExpiration, &expiration); err != nil {
			return err
		}
		if expiration != nil {
			var err error
			if tok.expiration, err = futureTime(*expiration, now); err != nil {
				return err
			}
		} else if !written[pathAcknowledged] {
			return errNotAcknowledged
		}
	}
	if written[pathAcknowledged] && tok.expiration.IsZero() && !*tok.acknowledged {
		return errNotAcknowledged
	}
	return nil
}

// applyOperations applies a patch to document, and returns the paths that it
// wrote.
func applyOperations(document map[string]jsontext.Value, body []byte) (map[string]bool, error) {
	var operations []struct {
		Op    string         `json:"op"`
		Path  *string        `json:"path"`
		Value jsontext.Value `json:"value"`
	}
	err := json.Unmarshal(body, &operations)
	if err == nil && jsontext.Value(body).Kind() != '[' {
		err = errors.New("not an array")
	}
	if err != nil {
		return nil, &requestError{badContent, "invalid patch request: not an array of operations"}
	}

	written := make(map[string]bool)
	for _, op := range operations {
		switch op.Op {
		case "add", "remove", "replace", "test":
		default:
			return nil, &requestError{badContent, fmt.Sprintf("invalid patch request: operation not allowed (%.80s)", op.Op)}
		}
		if op.Path == nil {
			return nil, &requestError{missingData, "invalid patch request: operation without a path"}
		}
		current, patchable := document[*op.Path]
		switch {
		case !patchable:
			return nil, &requestError{badContent, fmt.Sprintf("invalid patch request: field not patchable or does not contain key (%.80s)", *op.Path)}
		case op.Op == "remove":
			document[*op.Path] = null
		case op.Value == nil:
			return nil, &requestError{missingData, "invalid patch request: operation without a value"}
		case op.Op == "test":
			if !equal(current, op.Value) {
				return nil, &requestError{badContent, fmt.Sprintf("invalid patch request: test failed (%s)", *op.Path)}
			}
			continue
		default:
			document[*op.Path] = op.Value
		}
		written[*op.Path] = true
	}
	return written, nil
}

func read(document map[string]jsontext.Value, path string, target any) error {
	if err := json.Unmarshal(document[path], target); err != nil {
		return &requestError{illegalValue, fmt.Sprintf("invalid patch request: value of the wrong type (%s)", path)}
	}
	return nil
}

func equal(a, b jsontext.Value) bool {
	var values [2]any
	for i, value := range []jsontext.Value{a, b} {
		if err := json.Unmarshal(value, &values[i], jsontext.AllowInvalidUTF8(true)); err != nil {
			return false
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}

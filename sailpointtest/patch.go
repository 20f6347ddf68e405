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

// applyPatch returns tok with a JSON Patch (RFC 6902) applied to it. The fields are judged by what they are in the
// end, so that the order of the operations doesn't matter to rules over two of them. A bulk patch changes the expiry and
// its acknowledgement only.
func (v *version) applyPatch(tok token, body []byte, bulk bool, now time.Time) (*token, error) {
	// What can be patched, as JSON by path.
	document := map[string]jsontext.Value{}
	if !bulk {
		document[pathName], document[pathScope] = encode(tok.name), encode(tok.scope)
	}
	if v.neverExpires {
		document[pathExpiration] = null
		if expiration := v.wireExpiration(&tok); expiration != nil {
			document[pathExpiration] = expiration
		}
		document[pathAcknowledged] = encode(tok.acknowledged != nil && *tok.acknowledged)
	}
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
	if written[pathAcknowledged] {
		tok.acknowledged = new(bool)
		if err := read(document, pathAcknowledged, tok.acknowledged); err != nil {
			return nil, err
		}
	}
	if written[pathExpiration] {
		tok.expiration = time.Time{}
		var expiration *string
		if err := read(document, pathExpiration, &expiration); err != nil {
			return nil, err
		}
		if expiration != nil {
			if tok.expiration, err = futureTime(*expiration, now); err != nil {
				return nil, err
			}
		} else if !written[pathAcknowledged] {
			return nil, errNotAcknowledged
		}
	}
	if written[pathAcknowledged] && tok.expiration.IsZero() && !*tok.acknowledged {
		return nil, errNotAcknowledged
	}
	return &tok, nil
}

// applyOperations changes document and returns the paths that were written.
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
		return nil, &refusal{badContent, "invalid patch request: not an array of operations"}
	}

	written := make(map[string]bool)
	for _, op := range operations {
		switch op.Op {
		case "add", "remove", "replace", "test":
		default:
			return nil, &refusal{badContent, fmt.Sprintf("invalid patch request: operation not allowed (%.80s)", op.Op)}
		}
		if op.Path == nil {
			return nil, &refusal{missingData, "invalid patch request: operation without a path"}
		}
		current, patchable := document[*op.Path]
		switch {
		case !patchable:
			return nil, &refusal{badContent, fmt.Sprintf("invalid patch request: field not patchable or does not contain key (%.80s)", *op.Path)}
		case op.Op == "remove":
			document[*op.Path] = null
		case op.Value == nil:
			return nil, &refusal{missingData, "invalid patch request: operation without a value"}
		case op.Op == "test":
			if !equal(current, op.Value) {
				return nil, &refusal{badContent, fmt.Sprintf("invalid patch request: test failed (%s)", *op.Path)}
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
		return &refusal{illegalValue, fmt.Sprintf("invalid patch request: value of the wrong type (%s)", path)}
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

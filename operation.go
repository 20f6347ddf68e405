package sailpoint

import (
	"context"
	"net/http"
)

// Operation tells which operation a request belongs to, and which attempt it
// is.
type Operation struct {
	Name    string // as in Error.Op, such as "PATCH /v2024/personal-access-tokens/{id}"
	Attempt int    // 1 for the first request of the call
}

// OperationFromContext returns the operation that ctx belongs to, for traces
// and metrics. A RoundTripper of Config.HTTPClient can call it with the context
// of its request. A handler of Config.Logger can call it with the context of a
// record about a request or a wait. For any other context it returns false. The
// name of an operation never contains an id, a query or a secret, so it can be
// a label.
func OperationFromContext(ctx context.Context) (Operation, bool) {
	if ctx == nil {
		return Operation{}, false
	}
	c, ok := ctx.Value(operationKey{}).(*operationContext)
	if !ok {
		return Operation{}, false
	}
	return Operation{Name: operationName(c.method, c.template), Attempt: c.attempt}, true
}

// operationContext is the context of a request. A value of context.WithValue
// would cost an allocation. It doesn't hold the operation, whose body may contain
// the client secret, because reflection could print that.
type operationContext struct {
	context.Context
	method, template string
	attempt          int
}

func operationName(method, template string) string { return method + " " + template }

type operationKey struct{}

// Value implements [context.Context].
func (c *operationContext) Value(key any) any {
	if key == (operationKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// operation is an operation of the API with its arguments.
type operation struct {
	method      string
	url         string
	template    string // the path with {id} for the token's id
	tokenID     string // "" if the operation is not about one token
	contentType string
	body        []byte
	kind        kind
}

func (op operation) name() string { return operationName(op.method, op.template) }

// expects reports whether a response with this status means success.
func (op *operation) expects(status int) bool {
	switch op.kind {
	case kindDelete:
		return status/100 == 2
	case kindCreate:
		return status == http.StatusOK || status == http.StatusCreated
	}
	return status == http.StatusOK
}

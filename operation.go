package sailpoint

import "context"

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

// logContext returns the context of a record about the attempt with this
// number. It doesn't end with the attempt, so that the handler may use it
// afterwards.
func (c *call) logContext(attempt int) context.Context {
	if c.client.cfg.Logger == nil {
		return c.ctx
	}
	return &operationContext{c.ctx, c.method, c.template, attempt}
}

package sailpoint_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// operationHandler records the operation of each log record.
type operationHandler struct {
	enabledHandler
	operations map[string][]sailpoint.Operation // by message
	ended      int                              // records whose context had ended
}

func (h *operationHandler) Handle(ctx context.Context, record slog.Record) error {
	operation, _ := sailpoint.OperationFromContext(ctx)
	h.operations[record.Message] = append(h.operations[record.Message], operation)
	if ctx.Err() != nil {
		h.ended++
	}
	return nil
}

func TestTransportAndLoggerKnowTheOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const patch = "PATCH /v2024/personal-access-tokens/{id}"
		n := scripted(response{status: 503}, response{status: 429, header: map[string]string{"Retry-After": "1"}},
			ok(`{"id":"0123","name":"x"}`))
		handler := &operationHandler{operations: map[string][]sailpoint.Operation{}}
		var seen []sailpoint.Operation
		client := n.client(t, func(cfg *sailpoint.Config) {
			cfg.Logger = slog.New(handler)
			cfg.HTTPClient.Transport = transportFunc(func(req *http.Request) (*http.Response, error) {
				ctx, cancel := context.WithTimeout(req.Context(), time.Minute) // as a RoundTripper may do
				defer cancel()
				operation, known := sailpoint.OperationFromContext(ctx)
				assert.True(t, known)
				seen = append(seen, operation)
				return n.RoundTrip(req)
			})
		})
		_, err := client.PersonalAccessTokens.Patch(t.Context(), "0123", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("x"))
		require.NoError(t, err)
		requests := []sailpoint.Operation{{Name: "POST /oauth/token", Attempt: 1}, {Name: patch, Attempt: 1}, {Name: patch, Attempt: 2}, {Name: patch, Attempt: 3}}
		require.Equal(t, requests, seen)
		require.Equal(t, requests, handler.operations["sailpoint: request"])
		require.Equal(t, []sailpoint.Operation{{Name: patch, Attempt: 2}, {Name: patch, Attempt: 3}}, handler.operations["sailpoint: wait"],
			"a wait belongs to the attempt that follows")
		require.Zero(t, handler.ended)
	})
}

func TestOtherContextsHaveNoOperation(t *testing.T) {
	for _, ctx := range []context.Context{nil, t.Context()} {
		operation, known := sailpoint.OperationFromContext(ctx)
		require.False(t, known)
		require.Zero(t, operation)
	}
}

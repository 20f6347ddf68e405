package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sailpoint-go/sailpoint"
)

// Traced returns an HTTP client for Config.HTTPClient. It makes a span for each
// request, and measures its duration by operation and status. Base is usually
// sailpoint.NewTransport().
func Traced(base http.RoundTripper) *http.Client {
	return &http.Client{Transport: otelhttp.NewTransport(
		templated{base},
		otelhttp.WithSpanNameFormatter(func(_ string, req *http.Request) string {
			op, _ := sailpoint.OperationFromContext(req.Context())
			return op.Name
		}),
	)}
}

// Call makes a span around f, which is one call of the client with its retries.
// It records the status, but not the error's text, which may have a token's id.
func Call(ctx context.Context, name string, f func(context.Context) error) error {
	ctx, span := otel.Tracer("github.com/sailpoint-go/sailpoint/examples/otel").Start(ctx, name)
	defer span.End()
	err := f(ctx)
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	var failure *sailpoint.Error
	if errors.As(err, &failure) && failure.StatusCode != 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(failure.StatusCode))
	}
	return err
}

// templated replaces the URL of otelhttp's span, which has ids and queries, and
// shortens the texts of errors, which may quote what a server sent.
type templated struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t templated) RoundTrip(req *http.Request) (*http.Response, error) {
	span := trace.SpanFromContext(req.Context())
	attempt, template := operationOf(req)
	span.SetAttributes(semconv.URLTemplate(template), semconv.URLFull(req.URL.Scheme+"://"+req.URL.Host+template))
	if attempt > 1 {
		span.SetAttributes(semconv.HTTPRequestResendCount(attempt - 1))
	}
	labels, _ := otelhttp.ClientLabelerFromContext(req.Context()) // of the measurement
	labels.Add(semconv.URLTemplate(template))
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, unquoted{err}
	}
	resp.Body = unquotedBody{resp.Body}
	return resp, nil
}

// operationOf returns the number of the attempt and the path with {id} for ids.
func operationOf(req *http.Request) (attempt int, template string) {
	op, _ := sailpoint.OperationFromContext(req.Context())
	_, template, _ = strings.Cut(op.Name, " ")
	return op.Attempt, template
}

// unquoted is an error whose text ends before the first quote.
type unquoted struct{ error }

// Error returns the text.
func (e unquoted) Error() string {
	text, _, _ := strings.Cut(e.error.Error(), `"`)
	return text
}

// Unwrap returns the whole error.
func (e unquoted) Unwrap() error { return e.error }

// unquotedBody returns such errors.
type unquotedBody struct{ io.ReadCloser }

// Read implements io.Reader.
func (b unquotedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unquoted{err}
	}
	return n, err
}

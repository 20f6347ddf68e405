// Command otel traces and measures the calls of a client with OpenTelemetry.
// Copy tracing.go into your program.
//
//	go run .
//
// It calls a tenant in memory, whose first response is an error, and prints the
// spans and the measurements.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, stdout io.Writer) error {
	tenant := sailpointtest.NewTenant()
	tenant.Inject(sailpointtest.Fault{Method: http.MethodGet, Status: http.StatusServiceUnavailable})
	spans, reader, stop := inMemory()
	defer stop()
	if err := list(ctx, tenant.Config(), tenant); err != nil {
		return err
	}
	printSpans(stdout, spans.GetSpans())
	return printDurations(ctx, stdout, reader)
}

// inMemory makes OpenTelemetry keep everything in memory. A program of your own
// has an exporter instead.
func inMemory() (spans *tracetest.InMemoryExporter, reader *metric.ManualReader, stop func()) {
	spans, reader = tracetest.NewInMemoryExporter(), metric.NewManualReader()
	traces := trace.NewTracerProvider(trace.WithSyncer(spans))
	meters := metric.NewMeterProvider(metric.WithReader(reader))
	otel.SetTracerProvider(traces)
	otel.SetMeterProvider(meters)
	return spans, reader, func() {
		_ = traces.Shutdown(context.Background())
		_ = meters.Shutdown(context.Background())
	}
}

// list is a call of a client that is traced.
func list(ctx context.Context, cfg sailpoint.Config, base http.RoundTripper) error {
	cfg.HTTPClient = Traced(base)
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		return err
	}
	return Call(ctx, "list own tokens", func(ctx context.Context) error {
		_, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
		return err
	})
}

func printSpans(w io.Writer, spans tracetest.SpanStubs) {
	for _, span := range spans {
		fmt.Fprintf(w, "span %q\n", span.Name)
		for _, attribute := range span.Attributes {
			fmt.Fprintf(w, "  %s=%s\n", attribute.Key, attribute.Value.String())
		}
	}
}

func printDurations(ctx context.Context, w io.Writer, reader *metric.ManualReader) error {
	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &metrics); err != nil {
		return err
	}
	for _, scope := range metrics.ScopeMetrics {
		for _, m := range scope.Metrics {
			histogram, ok := m.Data.(metricdata.Histogram[float64])
			if !ok {
				continue
			}
			for _, point := range histogram.DataPoints {
				template, _ := point.Attributes.Value("url.template")
				status, _ := point.Attributes.Value("http.response.status_code")
				fmt.Fprintf(w, "metric %s of %s, status %s: %d\n", m.Name, template.String(), status.String(), point.Count)
			}
		}
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func attributes(span tracetest.SpanStub) map[string]string {
	all := map[string]string{}
	for _, a := range span.Attributes {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

// requireNothingPrivate checks everything that an exporter receives.
func requireNothingPrivate(t *testing.T, spans tracetest.SpanStubs, private ...string) {
	t.Helper()
	var out bytes.Buffer
	for _, span := range spans {
		text, err := json.Marshal(span)
		require.NoError(t, err)
		fmt.Fprintf(&out, "%s\n%+v\n", text, span)
	}
	for _, text := range private {
		require.NotContains(t, out.String(), text)
	}
}

// TestSpansOfACall lists tokens over a socket. The first response is an error.
func TestSpansOfACall(t *testing.T) {
	spans, reader, stop := inMemory()
	defer stop()
	tenant := sailpointtest.NewTenant()
	tenant.Inject(sailpointtest.Fault{Method: http.MethodGet, Status: http.StatusServiceUnavailable})
	server := httptest.NewServer(tenant)
	defer server.Close()
	transport := sailpoint.NewTransport()
	defer transport.CloseIdleConnections()
	cfg := tenant.Config()
	cfg.BaseURL = server.URL
	require.NoError(t, list(t.Context(), cfg, transport))

	all := spans.GetSpans()
	require.Len(t, all, 4)
	const listing = "GET /v2024/personal-access-tokens"
	for i, want := range []struct {
		name, template, status, resends string
		code                            codes.Code
	}{
		{"POST /oauth/token", "/oauth/token", "200", "", codes.Unset},
		{listing, "/v2024/personal-access-tokens", "503", "", codes.Error},
		{listing, "/v2024/personal-access-tokens", "200", "1", codes.Unset},
	} {
		got := attributes(all[i])
		assert.Equal(t, want.name, all[i].Name)
		assert.Equal(t, want.template, got["url.template"])
		assert.Equal(t, server.URL+want.template, got["url.full"])
		assert.Equal(t, want.status, got["http.response.status_code"])
		assert.Equal(t, want.resends, got["http.request.resend_count"])
		assert.Equal(t, want.code, all[i].Status.Code)
		assert.Equal(t, all[3].SpanContext.SpanID(), all[i].Parent.SpanID(), "the call's span is around its requests")
	}
	assert.Equal(t, "list own tokens", all[3].Name)
	assert.Equal(t, codes.Unset, all[3].Status.Code)
	requireNothingPrivate(t, all, cfg.ClientID, cfg.ClientSecret.Reveal(), "owner-id", "Bearer", "eyJ")

	var out bytes.Buffer
	require.NoError(t, printDurations(t.Context(), &out, reader))
	for _, line := range []string{"/oauth/token, status 200: 1", "/v2024/personal-access-tokens, status 200: 1", "/v2024/personal-access-tokens, status 503: 1"} {
		assert.Contains(t, out.String(), "metric http.client.request.duration of "+line)
	}
	assert.NotContains(t, out.String(), cfg.ClientID)
}

// TestSpansOfAFailure deletes a token. The spans have neither its id nor what
// the error quotes.
func TestSpansOfAFailure(t *testing.T) {
	const quoted = "malformed HTTP response"
	for name, tt := range map[string]struct {
		fault  sailpointtest.Fault
		status attribute.Value
	}{
		"a status":  {sailpointtest.Fault{Status: 403, Body: `{"messages":[{"text":"not allowed"}]}`}, attribute.IntValue(403)},
		"no reply":  {sailpointtest.Fault{Err: errors.New(quoted + ` "5ecf00d15ecf00d1"`)}, attribute.Value{}},
		"cut short": {sailpointtest.Fault{Status: 409, Body: `{"messages":[]}`, CutAfter: 3}, attribute.IntValue(409)},
	} {
		t.Run(name, func(t *testing.T) {
			spans, _, stop := inMemory()
			defer stop()
			tenant := sailpointtest.NewTenant()
			id, _ := tenant.Add(sailpoint.PersonalAccessToken{Name: "old"})
			tt.fault.Method = http.MethodDelete
			tenant.Inject(tt.fault)
			cfg := tenant.Config()
			cfg.HTTPClient, cfg.MaxRetries = Traced(tenant), -1
			client, err := sailpoint.NewClient(cfg)
			require.NoError(t, err)
			err = Call(t.Context(), "delete", func(ctx context.Context) error {
				return client.PersonalAccessTokens.Delete(ctx, id)
			})
			require.Error(t, err)
			all := spans.GetSpans()
			require.Len(t, all, 3)
			assert.Equal(t, "DELETE /v2024/personal-access-tokens/{id}", all[1].Name)
			assert.Equal(t, cfg.BaseURL+"/v2024/personal-access-tokens/{id}", attributes(all[1])["url.full"])
			assert.Equal(t, codes.Error, all[2].Status.Code)
			assert.Equal(t, tt.status.String(), attributes(all[2])["http.response.status_code"])
			if name == "no reply" {
				assert.Equal(t, quoted+" ", all[1].Status.Description)
			}
			requireNothingPrivate(t, all, id, cfg.ClientSecret.Reveal(), "5ecf00d1", "eyJ")
		})
	}
}

// TestOutput runs the program.
func TestOutput(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	assert.Contains(t, out.String(), "span \"GET /v2024/personal-access-tokens\"\n  http.request.method=GET\n")
	assert.Contains(t, out.String(), "\n  url.template=/v2024/personal-access-tokens\n")
	assert.Contains(t, out.String(), "\n  http.request.resend_count=1\n")
	assert.Contains(t, out.String(), "metric http.client.request.duration of /v2024/personal-access-tokens, status 503: 1\n")
	assert.NotContains(t, out.String(), "owner-id")
}

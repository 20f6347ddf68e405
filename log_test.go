package sailpoint_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

func TestLoggerGetsOneRecordPerRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		n := scripted(
			response{err: errReset},
			response{status: 503, header: map[string]string{"SLPT-Request-ID": "req-2"}},
			response{status: 204, header: map[string]string{"SLPT-Request-ID": "req-3", "X-Deprecated": "true"}},
		)
		client := n.client(t, func(cfg *sailpoint.Config) {
			cfg.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
				Level: slog.LevelDebug,
				ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey {
						return slog.Attr{}
					}
					return a
				},
			}))
		})
		require.NoError(t, client.PersonalAccessTokens.Delete(t.Context(), "secret-id"))
		const common = `level=DEBUG msg="sailpoint: request" operation="DELETE /v2024/personal-access-tokens/{id}" ` +
			`token_id=secret-id method=DELETE path=/v2024/personal-access-tokens/{id} `
		const wait = `level=INFO msg="sailpoint: wait" operation="DELETE /v2024/personal-access-tokens/{id}" token_id=secret-id `
		got := regexp.MustCompile(`wait=\S+`).ReplaceAllString(out.String(), "wait=d")
		require.Equal(t, `level=DEBUG msg="sailpoint: request" operation="POST /oauth/token" method=POST path=/oauth/token attempt=1 duration=0s status=200 request_id=""`+"\n"+
			`level=INFO msg="sailpoint: new bearer" reason="no bearer yet" expiry=2000-01-01T12:00:00.000Z`+"\n"+
			common+`attempt=1 duration=0s error="read tcp: connection reset by peer"`+"\n"+
			wait+`attempt=2 wait=d reason="read tcp: connection reset by peer"`+"\n"+
			common+`attempt=2 duration=0s status=503 request_id=req-2 error="503 Service Unavailable"`+"\n"+
			wait+`attempt=3 wait=d reason="503 Service Unavailable"`+"\n"+
			common+"attempt=3 duration=0s status=204 request_id=req-3 deprecated=true\n", got)
	})
}

func TestPanicOfALoggerLosesNoSecret(t *testing.T) {
	for _, handler := range []slog.Handler{panickingHandler{}, enabledHandler{}} {
		n := scripted(ok(created))
		client := n.client(t, func(cfg *sailpoint.Config) { cfg.Logger = slog.New(handler) })
		got, err := client.PersonalAccessTokens.Create(t.Context(), newToken())
		require.NoError(t, err)
		require.Equal(t, "the-new-secret", got.Secret.Reveal())
	}
}

// panickingHandler panics in every method, because its embedded Handler is nil.
type panickingHandler struct{ slog.Handler }

// TestLoggerReportsWaitsAndBearers checks the records at the levels that a
// program shows by default.
func TestLoggerReportsWaitsAndBearers(t *testing.T) {
	limited := response{status: 429, header: map[string]string{"Retry-After": "10"}}
	for name, tt := range map[string]struct {
		api, token []response
		calls      int // a second apart
		retries    int // MaxRetries
		source     func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error)
		want       []string
	}{
		"Retry-After of the call's own response, and of an earlier call": {
			api: []response{limited, ok(`[]`)}, calls: 2,
			want: []string{
				`INFO sailpoint: new bearer reason="no bearer yet"`,
				`INFO sailpoint: wait operation="GET /v2024/personal-access-tokens" attempt=2 reason="429 Too Many Requests" retry_after_from=response`,
				`INFO sailpoint: wait operation="GET /v2024/personal-access-tokens" attempt=1 reason="not sent because an earlier call was rate limited" retry_after_from="earlier call"`,
			},
		},
		"Retry-After of an earlier 503 to the fetch of a bearer": {
			token: []response{{status: 503, header: map[string]string{"Retry-After": "3"}}, issued("a-bearer", 60)}, calls: 2, retries: -1,
			want: []string{
				`WARN sailpoint: no new bearer reason="no bearer yet" error="sailpoint: POST /oauth/token: 503 Service Unavailable (retry after 3s)"`,
				`INFO sailpoint: wait operation="POST /oauth/token" attempt=1 reason="not sent because an earlier 503 response asked to wait" retry_after_from="earlier call"`,
				`INFO sailpoint: new bearer reason="no bearer yet"`,
			},
		},
		"a rejected bearer": {
			api: []response{{status: 401}, ok(`[]`)}, calls: 1,
			want: []string{
				`INFO sailpoint: new bearer reason="no bearer yet"`,
				`INFO sailpoint: new bearer reason="the API rejected the last bearer"`,
			},
		},
		"an expired bearer": {
			token: []response{issued("a-bearer", 1)}, calls: 2,
			want: []string{
				`INFO sailpoint: new bearer reason="no bearer yet"`,
				`INFO sailpoint: new bearer reason="the last bearer expires"`,
			},
		},
		"a TokenSource that quotes the rejected bearer": {
			api: []response{{status: 401}}, calls: 1, source: func(_ context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
				if refused.IsZero() {
					return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(leakBearer)}, nil
				}
				return sailpoint.AccessToken{}, errors.New("no good: " + refused.Reveal())
			},
			want: []string{
				`INFO sailpoint: new bearer reason="no bearer yet"`,
				`WARN sailpoint: no new bearer reason="the API rejected the last bearer" error="TokenSource: no good: [REDACTED]"`,
			},
		},
		"rejected credentials": {
			token: []response{{status: 401}}, calls: 1,
			want: []string{
				`WARN sailpoint: no new bearer reason="no bearer yet" error="sailpoint: POST /oauth/token: 401 Unauthorized: the client id or secret was rejected: check both"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				n := &network{}
				if tt.api != nil {
					n.api = inTurn(tt.api...)
				}
				if tt.token != nil {
					n.token = inTurn(tt.token...)
				}
				client := n.client(t, func(cfg *sailpoint.Config) {
					cfg.Logger, cfg.MaxRetries = slog.New(slog.NewTextHandler(&out, nil)), tt.retries
					if tt.source != nil {
						withSource(tt.source)(cfg)
					}
				})
				var calls sync.WaitGroup
				for range tt.calls {
					calls.Go(func() { _ = list(t.Context(), client) })
					<-time.After(time.Second)
				}
				calls.Wait()
				got := regexp.MustCompile(`time=\S+ level=(\w+) msg="(.*?)"`).ReplaceAllString(out.String(), "$1 $2")
				got = regexp.MustCompile(` (wait|expiry)=\S+`).ReplaceAllString(got, "")
				require.Equal(t, strings.Join(tt.want, "\n")+"\n", got)
			})
		})
	}
}

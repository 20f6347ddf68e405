package redisfleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// TestNoSecretIsReadable looks for the secrets of a fleet in all that Redis
// receives and stores, in the log, and in errors.
func TestNoSecretIsReadable(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	origin, err := sailpoint.NewClient(tenant.Config())
	require.NoError(t, err)
	sealed := tenant.Config()
	sealed.ClientID, sealed.ClientSecret, sealed.TokenSource = "", sailpoint.Secret{}, origin.AccessToken
	withSealKey := unlimited
	withSealKey.Fleet, withSealKey.SealKey = "reports", sealKey

	for name, test := range map[string]struct {
		cfg  sailpoint.Config
		opts Options
	}{
		"client secret": {tenant.Config(), unlimited},
		"SealKey":       {sealed, withSealKey},
	} {
		t.Run(name, func(t *testing.T) {
			var seen record
			test.cfg.Logger = slog.New(slog.NewTextHandler(&seen, &slog.HandlerOptions{Level: slog.LevelDebug}))
			test.opts.Fallback = &share{err: errors.New("nothing left")}
			rdb := s.client(t)
			rdb.AddHook(wiretap{&seen})
			test.opts.Redis = rdb
			cfg := joined(t, s, test.cfg, test.opts)
			client, err := sailpoint.NewClient(cfg)
			require.NoError(t, err)
			require.NoError(t, list(t.Context(), client))
			first, err := cfg.TokenSource(t.Context(), sailpoint.Secret{})
			require.NoError(t, err)
			tenant.ExpireAccessTokens()
			require.NoError(t, list(t.Context(), client))
			second, err := cfg.TokenSource(t.Context(), sailpoint.Secret{})
			require.NoError(t, err)
			require.False(t, first.Bearer.Equal(second.Bearer))
			fmt.Fprintf(&seen, "%v %+v %#v", cfg.Limiter, cfg, cfg)
			seen.dump(t, s.client(t))
			l, ok := cfg.Limiter.(*limiter)
			require.True(t, ok)
			l.member.window = time.Millisecond
			require.NoError(t, rdb.Close())
			_, err = cfg.TokenSource(t.Context(), second.Bearer)
			require.ErrorContains(t, err, "nothing left")
			fmt.Fprint(&seen, err, list(t.Context(), client))

			text := seen.String()
			require.Contains(t, text, "look")
			require.Contains(t, text, "sealed")
			require.Contains(t, text, "level=")
			for _, secret := range []sailpoint.Secret{first.Bearer, second.Bearer, tenant.Config().ClientSecret, sealKey} {
				require.NotContains(t, text, secret.Reveal())
				require.NotContains(t, text, secret.Reveal()[:16])
				require.NotContains(t, text, secret.Reveal()[len(secret.Reveal())-16:])
			}
		})
	}
}

// record is all that somebody could read.
type record struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// dump adds all keys with their values.
func (r *record) dump(t *testing.T, rdb *redis.Client) {
	t.Helper()
	for _, key := range rdb.Keys(t.Context(), "*").Val() {
		fmt.Fprintln(r, key, rdb.HGetAll(t.Context(), key).Val())
	}
}

// wiretap is a redis.Hook that records commands and responses.
type wiretap struct{ record *record }

func (wiretap) DialHook(next redis.DialHook) redis.DialHook { return next }

func (wiretap) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (w wiretap) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		for _, arg := range cmd.Args() {
			if value, isBytes := arg.([]byte); isBytes {
				arg = string(value)
			}
			fmt.Fprintln(w.record, arg)
		}
		fmt.Fprintln(w.record, cmd, err)
		return err
	}
}

func TestSealedBearers(t *testing.T) {
	t.Parallel()
	newSealer := func(secret sailpoint.Secret, fleet, baseURL string) *sealer {
		s, err := newSealer("prefix:", secret, fleet, baseURL)
		require.NoError(t, err)
		return s
	}
	own := newSealer(sealKey, "fleet", "https://example.com")
	token := sailpoint.AccessToken{Bearer: sailpoint.NewSecret("the bearer"), ClientID: "the id"}
	sealed := own.seal(token)
	require.NotEqual(t, sealed, own.seal(token), "each has a nonce of its own")

	opened, ok := newSealer(sealKey, "fleet", "https://example.com").open(string(sealed))
	require.True(t, ok)
	require.Equal(t, "the bearer", opened.Bearer.Reveal())
	require.Equal(t, "the id", opened.ClientID)

	for name, other := range map[string]*sealer{
		"another secret": newSealer(sailpoint.NewSecret(strings.Repeat("k", 32)), "fleet", "https://example.com"),
		"another fleet":  newSealer(sealKey, "other", "https://example.com"),
		"another tenant": newSealer(sealKey, "fleet", "https://other.example.com"),
	} {
		require.NotEqual(t, own.key, other.key, name)
		_, ok := other.open(string(sealed))
		require.False(t, ok, name)
	}
	for i := range sealed {
		damaged := []byte(string(sealed))
		damaged[i] ^= 1
		_, ok := own.open(string(damaged))
		require.False(t, ok, "byte %d", i)
	}
	_, ok = own.open("")
	require.False(t, ok)
}

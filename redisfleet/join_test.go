package redisfleet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/redisfleet/internal/redistest"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

var sealKey = sailpoint.NewSecret(strings.Repeat("0123456789abcdef", 2))

func noBearer(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
	panic("Join calls no TokenSource")
}

func TestJoinRejects(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { _ = rdb.Close() })
	withSource := func(cfg *sailpoint.Config) {
		cfg.ClientID, cfg.ClientSecret, cfg.TokenSource = "", sailpoint.Secret{}, noBearer
	}
	for name, test := range map[string]struct {
		edit func(*sailpoint.Config, *Options)
		want string
	}{
		"no Redis":     {func(_ *sailpoint.Config, o *Options) { o.Redis = nil }, "Options.Redis is missing: set it to a client of go-redis"},
		"a nil client": {func(_ *sailpoint.Config, o *Options) { o.Redis = (*redis.Client)(nil) }, "Options.Redis is missing: set it to a client of go-redis"},
		"a Ring": {
			func(_ *sailpoint.Config, o *Options) { o.Redis = &redis.Ring{} },
			"Options.Redis is a *redis.Ring: use a client of one server, of Sentinel or of a Cluster",
		},
		"a nil Fallback": {
			func(_ *sailpoint.Config, o *Options) { o.Fallback = (*share)(nil) },
			"Options.Fallback is a nil *redisfleet.share: set it, or leave it out",
		},
		"a Limiter":         {func(c *sailpoint.Config, _ *Options) { c.Limiter = &share{} }, "Config.Limiter is set: leave it out, because Join sets one for the fleet"},
		"an invalid Config": {func(c *sailpoint.Config, _ *Options) { c.BaseURL = "" }, "BaseURL is missing: set it to a URL such as https://{tenant}.api.identitynow.com"},
		"no SealKey": {
			func(c *sailpoint.Config, o *Options) { withSource(c); o.Fleet = "reports" },
			"Options.SealKey is missing: Config.TokenSource needs it, because there is no client secret to encrypt bearers with",
		},
		"a SealKey beside a secret": {
			func(_ *sailpoint.Config, o *Options) { o.SealKey = sealKey },
			"Options.SealKey is set: leave it out, because the client secret encrypts bearers if there is no Config.TokenSource",
		},
		"a short SealKey": {
			func(c *sailpoint.Config, o *Options) {
				withSource(c)
				o.Fleet, o.SealKey = "reports", sailpoint.NewSecret("password")
			},
			"Options.SealKey has 8 bytes: use at least 32 random ones, for example from openssl rand -hex 32",
		},
		"no name":         {func(c *sailpoint.Config, o *Options) { withSource(c); o.SealKey = sealKey }, "Options.Fleet is missing: set it, or Config.ClientID"},
		"braces in Fleet": {func(_ *sailpoint.Config, o *Options) { o.Fleet = "{a}" }, `Options.Fleet "{a}": use at most 200 bytes, without spaces, braces and control characters`},
		"a long Prefix": {
			func(_ *sailpoint.Config, o *Options) { o.Prefix = strings.Repeat("p", 201) },
			`Options.Prefix "` + strings.Repeat("p", 80) + `": use at most 200 bytes, without spaces, braces and control characters`,
		},
		"a space in Prefix": {func(_ *sailpoint.Config, o *Options) { o.Prefix = "a b" }, `Options.Prefix "a b": use at most 200 bytes, without spaces, braces and control characters`},
		"a negative Limit":  {func(_ *sailpoint.Config, o *Options) { o.Limit = -1 }, "Options.Limit -1: use 1 to 10000, or 0 for the default"},
		"a large Limit":     {func(_ *sailpoint.Config, o *Options) { o.Limit = 10_001 }, "Options.Limit 10001: use 1 to 10000, or 0 for the default"},
		"a short Window":    {func(_ *sailpoint.Config, o *Options) { o.Window = time.Millisecond }, "Options.Window 1ms: use 10ms to 1h0m0s, or 0 for the default"},
		"a long Window":     {func(_ *sailpoint.Config, o *Options) { o.Window = 2 * time.Hour }, "Options.Window 2h0m0s: use 10ms to 1h0m0s, or 0 for the default"},
		"a negative Slack":  {func(_ *sailpoint.Config, o *Options) { o.Slack = -1 }, "Options.Slack -1ns: use 1ms to 1h0m0s, or 0 for the default"},
		"a long Slack":      {func(_ *sailpoint.Config, o *Options) { o.Slack = 2 * time.Hour }, "Options.Slack 2h0m0s: use 1ms to 1h0m0s, or 0 for the default"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, opts := sailpointtest.NewTenant().Config(), Options{Redis: rdb}
			test.edit(&cfg, &opts)
			joined, err := Join(cfg, opts)
			require.EqualError(t, err, "sailpoint: invalid argument: "+test.want)
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			require.Empty(t, joined.ClientID)
			require.Nil(t, joined.Limiter)
		})
	}
}

func TestJoinListsAllProblems(t *testing.T) {
	t.Parallel()
	_, err := Join(sailpoint.Config{Limiter: &share{}, APIVersion: "v9"}, Options{Limit: -1, Window: -1, Slack: -1, Fleet: "{", Prefix: "}"})
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	for _, problem := range []string{"Redis", "Fleet", "Prefix", "Limit", "Window", "Slack", "Limiter", "BaseURL", "ClientID", "ClientSecret", "APIVersion"} {
		require.ErrorContains(t, err, problem+" ")
	}
}

func TestJoinSendsNothing(t *testing.T) {
	t.Parallel()
	tenant := sailpointtest.NewTenant()
	rdb := redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) { panic("Join connects to nothing") }})
	t.Cleanup(func() { _ = rdb.Close() })
	cfg, err := Join(tenant.Config(), Options{Redis: rdb})
	require.NoError(t, err)
	require.Empty(t, tenant.Requests())
	require.True(t, cfg.ClientSecret.IsZero())
	require.Equal(t, tenant.Config().ClientID, cfg.ClientID)
	_, err = Join(cfg, Options{Redis: rdb, SealKey: sealKey})
	require.ErrorContains(t, err, "Config.Limiter is set", "it can't join twice")
}

// TestFleetsAndTenantsShareNothing shows which members share a quota and a
// bearer, by the keys in Redis.
func TestFleetsAndTenantsShareNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	rdb := s.client(t)
	tenant := sailpointtest.NewTenant()
	withFleet, withPrefix, again := unlimited, unlimited, unlimited
	withFleet.Fleet, withPrefix.Prefix = "reports", "other"
	for i, opts := range []Options{unlimited, again, withFleet, withPrefix} {
		require.NoError(t, list(t.Context(), clientOf(t, s, tenant.Config(), opts)))
		require.Len(t, rdb.Keys(t.Context(), "*").Val(), 3*max(i, 1))
	}
	id := tenant.Config().ClientID
	onlyKey(t, rdb, "sailpoint:{"+id+"}:quota:v2024")
	onlyKey(t, rdb, "sailpoint:{"+id+"}:bearer:*")
	onlyKey(t, rdb, "sailpoint:{"+id+"}:turns:v2024")
	onlyKey(t, rdb, "sailpoint:{reports}:quota:v2024")
	onlyKey(t, rdb, "other:{"+id+"}:quota:v2024")

	elsewhere := sailpointtest.NewTenant()
	cfg := elsewhere.Config()
	cfg.ClientID, cfg.ClientSecret = elsewhere.AddWithSecret(sailpoint.PersonalAccessToken{ID: id}, tenant.Config().ClientSecret)
	cfg.BaseURL = "https://elsewhere.example.com"
	require.NoError(t, list(t.Context(), clientOf(t, s, cfg, unlimited)))
	require.Len(t, rdb.Keys(t.Context(), "sailpoint:{"+id+"}:bearer:*").Val(), 2, "a bearer is for one tenant")
}

// aclRights returns the rights in the package documentation.
func aclRights(t *testing.T) (user, cluster []string) {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for line := range strings.Lines(string(doc)) {
		fields := strings.Fields(strings.TrimPrefix(line, "//"))
		switch {
		case len(fields) > 3 && fields[0] == "ACL":
			user = fields[3:]
		case len(fields) > 0 && strings.HasPrefix(fields[0], "+"):
			cluster = fields
		}
	}
	require.NotEmpty(t, user)
	require.NotEmpty(t, cluster)
	return user, cluster
}

// exercise makes calls that need every right that a fleet needs.
func exercise(t *testing.T, newRedis func() redis.UniversalClient) {
	t.Helper()
	tenant := sailpointtest.NewTenant()
	member := func() (*sailpoint.Client, *limiter) {
		opts := short
		opts.Redis = newRedis()
		cfg := joined(t, nil, tenant.Config(), opts)
		client, err := sailpoint.NewClient(cfg)
		require.NoError(t, err)
		l, ok := cfg.Limiter.(*limiter)
		require.True(t, ok)
		return client, l
	}
	first, l := member()
	second, _ := member()
	for range 3 {
		require.NoError(t, list(t.Context(), first))
		require.NoError(t, list(t.Context(), second))
	}
	tenant.ExpireAccessTokens()
	tenant.Inject(sailpointtest.Fault{Path: "/oauth/token", Status: http.StatusForbidden})
	require.Error(t, list(t.Context(), first))
	require.NoError(t, list(t.Context(), first))
	for _, patience := range []time.Duration{time.Minute, -time.Microsecond} { // a turn that is given back
		_, err := l.run(t.Context(), patience, "id", verdict{}, 0)
		require.NoError(t, err)
	}
	var limited *sailpoint.Error
	l.RateLimited(t.Context(), time.Minute)
	require.ErrorAs(t, l.Wait(t.Context()), &limited)
}

// requireNoDenials requires that the ACL forbade nothing of the fleet. go-redis
// tries some commands of its own and ignores that they fail.
func requireNoDenials(t *testing.T, rdb *redis.Client) {
	t.Helper()
	entries, err := rdb.ACLLog(t.Context(), 100).Result()
	require.NoError(t, err)
	for _, entry := range entries {
		require.Contains(t, []string{"client|setinfo", "client|maint_notifications"}, entry.Object, "%+v", entry)
	}
}

// TestDocumentedRightsSuffice also shows that each of them is needed.
func TestDocumentedRightsSuffice(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	admin := s.client(t)
	rights, _ := aclRights(t)
	for _, right := range rights {
		require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "fleet", right).Err(), right)
	}
	exercise(t, func() redis.UniversalClient {
		return s.client(t, func(o *redis.Options) { o.Username, o.Password = "fleet", "PASSWORD" })
	})
	requireNoDenials(t, admin)
	requireUse(t, admin, rights)
}

// requireUse requires that each right was used.
func requireUse(t *testing.T, rdb *redis.Client, rights []string) {
	t.Helper()
	used, err := rdb.Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	for _, right := range rights {
		if command, isCommand := strings.CutPrefix(right, "+"); isCommand {
			require.Contains(t, used, "cmdstat_"+command+":", "a right that nobody needs")
		}
	}
}

// TestCluster shows that a fleet's keys are in one slot, and that the
// documented rights suffice.
func TestCluster(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
	admin := s.client(t)
	require.NoError(t, admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	require.Eventually(t, func() bool {
		return strings.Contains(admin.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	}, 30*time.Second, 20*time.Millisecond)
	rights, more := aclRights(t)
	for _, right := range append(rights, more...) {
		require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "fleet", right).Err(), right)
	}
	exercise(t, func() redis.UniversalClient {
		rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.Address}, Username: "fleet", Password: "PASSWORD"})
		t.Cleanup(func() { _ = rdb.Close() })
		return rdb
	})
	requireNoDenials(t, admin)
	requireUse(t, admin, more)
	slots := make(map[int64]bool)
	keys := admin.Keys(t.Context(), "*").Val()
	for _, key := range keys {
		slots[admin.ClusterKeySlot(t.Context(), key).Val()] = true
	}
	require.Len(t, keys, 3)
	require.Len(t, slots, 1)
}

// TestTLS uses a password too, which go-redis sends only over TLS here.
func TestTLS(t *testing.T) {
	t.Parallel()
	certificate, files := certificateFor(t)
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	address := redistest.FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	newServer(t, "--tls-port", port, "--tls-cert-file", files+"/cert.pem", "--tls-key-file", files+"/key.pem",
		"--tls-ca-cert-file", files+"/cert.pem", "--tls-auth-clients", "no", "--requirepass", "only-by-tls")
	exercise(t, func() redis.UniversalClient {
		return serverAt(address).client(t, func(o *redis.Options) {
			o.Password, o.TLSConfig = "only-by-tls", &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
		})
	})
}

// certificateFor writes cert.pem and key.pem of a server on the loopback.
func certificateFor(t *testing.T) (certificate *x509.Certificate, folder string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	folder = t.TempDir()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600))
	}
	certificate, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return certificate, folder
}

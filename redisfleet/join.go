package redisfleet

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/redis/go-redis/v9"

	"github.com/sailpoint-go/sailpoint"
)

const (
	minSealKeyBytes = 32
	maxNameBytes    = 200
	maxLimit        = 10_000
	minWindow       = 10 * time.Millisecond
	maxWindow       = time.Hour
	minSlack        = time.Millisecond
)

// Options configures a fleet. All its members must have the same Fleet, Prefix,
// Limit, Window, Slack and SealKey. If a member has another Limit, or another sum
// of Window and Slack, its calls fail with errors that match
// [sailpoint.ErrInvalidArgument], until the others have sent nothing for a Window
// plus Slack. The zero value of every field except Redis selects its default.
type Options struct {
	// Redis is a client of one server, of Sentinel or of a Cluster. It is
	// required. A *redis.Ring is rejected, because its clients may disagree about
	// which server has a quota. The fleet never closes Redis.
	Redis redis.UniversalClient

	// Fleet names the quota and the bearer in Redis. The default is
	// Config.ClientID. Set a name of your own if the PAT is rotated. The members
	// then stay one fleet, whether they use the old PAT or the new one. Two
	// fleets with the same Prefix need different names.
	Fleet string

	// Prefix is what the names of all keys in Redis begin with. The default is
	// "sailpoint". A colon follows it.
	Prefix string

	// Limit is how many requests the fleet may send to one version of the API in
	// any Window. The default is 100, as SailPoint documents. Choose less if
	// other programs use the same PAT. The largest Limit is 10,000.
	Limit int
	// Window is the time for which Limit is meant. The default is 10 s, as
	// SailPoint documents. It is at least 10 ms and at most 1 h.
	Window time.Duration

	// Slack is how long a request may take from its turn to the API. The default
	// is a twentieth of Window, so 500 ms of 10 s. Redis may use half of it, so a
	// request should reach the API within the other half. The fleet sends at most
	// Limit requests in Window plus Slack, so a longer Slack makes it a little
	// slower. If Redis takes more than a quarter of Slack for each response, calls
	// fail or use the Fallback. A call that continues more than a quarter of Slack
	// after its turn loses it. Slack is at least 1 ms and at most 1 h.
	Slack time.Duration

	// Fallback lets requests through while this member can't use Redis, for
	// example a *rate.Limiter with the member's share of the quota. See the
	// package documentation. The default is that calls fail.
	Fallback sailpoint.Limiter

	// SealKey encrypts the fleet's bearer in Redis. It is required with a
	// Config.TokenSource, and must not be set otherwise, because the client
	// secret then does the same. It must be random and have at least 32 bytes,
	// such as the output of openssl rand -hex 32.
	SealKey sailpoint.Secret
}

// Join returns cfg with a Limiter and a TokenSource that share the quota and the
// bearer of a fleet. Make the client from it, and leave its BaseURL and
// APIVersion as they are. The result has no ClientSecret, because the TokenSource
// has it.
//
// If cfg has a TokenSource, the elected member gets the fleet's bearers from it.
// It must then have a ClientID, or opts a Fleet. cfg must have no Limiter.
//
// If cfg or opts is invalid, the error lists all problems and matches
// [sailpoint.ErrInvalidArgument]. Join sends nothing, neither to Redis nor to
// the API.
func Join(cfg sailpoint.Config, opts Options) (sailpoint.Config, error) {
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Transport: sailpoint.NewTransport()} // one for the bearers and the client
	}
	fleet := cmp.Or(opts.Fleet, cfg.ClientID)
	issuer, err := sailpoint.NewClient(cfg)
	if err := errors.Join(append(opts.problems(cfg, fleet), err)...); err != nil {
		return sailpoint.Config{}, err
	}

	opts = opts.withDefaults()
	secret := cfg.ClientSecret
	if cfg.TokenSource != nil {
		secret = opts.SealKey
	}
	// Cluster keeps all keys with the same text in braces on one server.
	prefix := opts.Prefix + ":{" + fleet + "}:"
	sealer, err := newSealer(prefix+"bearer:", secret, fleet, strings.TrimSuffix(cfg.BaseURL, "/"))
	if err != nil {
		return sailpoint.Config{}, fmt.Errorf("redisfleet: %w", err)
	}
	m := &member{redis: opts.Redis, fallback: opts.Fallback, window: opts.Window + opts.Slack, logger: cfg.Logger}
	version := string(issuer.APIVersion())
	cfg.Limiter = &limiter{
		member: m, script: limiterScript, keys: []string{prefix + "quota:" + version, prefix + "turns:" + version},
		limit: opts.Limit, window: opts.Window, slack: opts.Slack, giveBackTimeout: giveBackTimeout,
	}
	cfg.TokenSource = (&bearerSource{member: m, sealer: sealer, issuer: issuer}).accessToken
	cfg.ClientSecret = sailpoint.Secret{}
	return cfg, nil
}

func (opts Options) withDefaults() Options {
	opts.Prefix = cmp.Or(opts.Prefix, "sailpoint")
	opts.Limit = cmp.Or(opts.Limit, 100)
	opts.Window = cmp.Or(opts.Window, 10*time.Second)
	opts.Slack = cmp.Or(opts.Slack, opts.Window/20)
	return opts
}

// problems returns what is invalid in addition to the rules of NewClient.
func (opts Options) problems(cfg sailpoint.Config, fleet string) (problems []error) {
	const names = "use at most %d bytes, without spaces, braces and control characters"
	_, isRing := opts.Redis.(*redis.Ring)
	hasSource, keyBytes := cfg.TokenSource != nil, len(opts.SealKey.Reveal())
	for _, check := range []struct {
		fails   bool
		problem string
	}{
		{isRing, "Options.Redis is a *redis.Ring: use a client of one server, of Sentinel or of a Cluster"},
		{isNil(opts.Redis), "Options.Redis is missing: set it to a client of go-redis"},
		{opts.Fallback != nil && isNil(opts.Fallback), fmt.Sprintf("Options.Fallback is a nil %T: set it, or leave it out", opts.Fallback)},
		{hasSource && fleet == "", "Options.Fleet is missing: set it, or Config.ClientID"},
		{isInvalidName(fleet), fmt.Sprintf("Options.Fleet %.80q: "+names, fleet, maxNameBytes)},
		{isInvalidName(opts.Prefix), fmt.Sprintf("Options.Prefix %.80q: "+names, opts.Prefix, maxNameBytes)},
		{opts.Limit < 0 || opts.Limit > maxLimit, fmt.Sprintf("Options.Limit %d: use 1 to %d, or 0 for the default", opts.Limit, maxLimit)},
		{isOutside(opts.Window, minWindow), fmt.Sprintf("Options.Window %s: use %s to %s, or 0 for the default", opts.Window, minWindow, maxWindow)},
		{isOutside(opts.Slack, minSlack), fmt.Sprintf("Options.Slack %s: use %s to %s, or 0 for the default", opts.Slack, minSlack, maxWindow)},
		{hasSource && keyBytes == 0, "Options.SealKey is missing: Config.TokenSource needs it, because there is no client secret to encrypt bearers with"},
		{!hasSource && keyBytes > 0, "Options.SealKey is set: leave it out, because the client secret encrypts bearers if there is no Config.TokenSource"},
		{hasSource && keyBytes > 0 && keyBytes < minSealKeyBytes, fmt.Sprintf("Options.SealKey has %d bytes: use at least %d random ones, for example from openssl rand -hex 32", keyBytes, minSealKeyBytes)},
		{cfg.Limiter != nil, "Config.Limiter is set: leave it out, because Join sets one for the fleet"},
	} {
		if check.fails {
			problems = append(problems, invalidArgument("%s", check.problem))
		}
	}
	return problems
}

// isNil reports whether v is nil or a nil pointer.
func isNil(v any) bool {
	value := reflect.ValueOf(v)
	return v == nil || value.Kind() == reflect.Pointer && value.IsNil()
}

// isOutside reports whether d is neither 0 nor between shortest and maxWindow.
func isOutside(d, shortest time.Duration) bool {
	return d != 0 && (d < shortest || d > maxWindow)
}

// isInvalidName reports whether name must not be in the name of a key. Braces
// would put the keys of one fleet on different servers of a Cluster.
func isInvalidName(name string) bool {
	return len(name) > maxNameBytes || strings.ContainsFunc(name, func(r rune) bool {
		return r == '{' || r == '}' || unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
}

// invalidArgument returns an error that matches sailpoint.ErrInvalidArgument.
func invalidArgument(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{sailpoint.ErrInvalidArgument}, args...)...)
}

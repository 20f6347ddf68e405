package redisfleet

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
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
	// is a twentieth of Window, which is 500 ms by default. Redis may use half of
	// it, so a request should reach the API within the other half. The fleet
	// sends at most Limit requests in Window plus Slack, so a longer Slack makes
	// it a little slower. If Redis takes more than a quarter of Slack for each
	// response, calls fail or use the Fallback. A call that continues more than a
	// quarter of Slack after its turn loses it. Slack is at least 1 ms and at most
	// 1 h.
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
	problems := slices.Concat(opts.redisProblems(), opts.settingProblems(), configProblems(cfg, opts.SealKey))
	if fleet == "" && cfg.TokenSource != nil {
		problems = append(problems, invalidArgument("Options.Fleet is missing: set it, or Config.ClientID"))
	}
	issuer, err := sailpoint.NewClient(cfg)
	if err := errors.Join(append(problems, err)...); err != nil {
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
		limit: opts.Limit, window: opts.Window, slack: opts.Slack,
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

func (opts Options) settingProblems() (problems []error) {
	add := func(format string, args ...any) { problems = append(problems, invalidArgument(format, args...)) }
	for _, field := range []struct{ name, value string }{{"Fleet", opts.Fleet}, {"Prefix", opts.Prefix}} {
		if len(field.value) > maxNameBytes || strings.ContainsFunc(field.value, invalidInKey) {
			add("Options.%s %.80q: use at most %d bytes, without spaces, braces and control characters", field.name, field.value, maxNameBytes)
		}
	}
	if opts.Limit < 0 || opts.Limit > maxLimit {
		add("Options.Limit %d: use 1 to %d, or 0 for the default", opts.Limit, maxLimit)
	}
	if opts.Window != 0 && (opts.Window < minWindow || opts.Window > maxWindow) {
		add("Options.Window %s: use %s to %s, or 0 for the default", opts.Window, minWindow, maxWindow)
	}
	if opts.Slack != 0 && (opts.Slack < time.Millisecond || opts.Slack > maxWindow) {
		add("Options.Slack %s: use %s to %s, or 0 for the default", opts.Slack, time.Millisecond, maxWindow)
	}
	if length := len(opts.SealKey.Reveal()); length > 0 && length < minSealKeyBytes {
		add("Options.SealKey has %d bytes: use at least %d random ones, for example from openssl rand -hex 32", length, minSealKeyBytes)
	}
	return problems
}

// redisProblems is about Redis, and what replaces it.
func (opts Options) redisProblems() (problems []error) {
	if _, isRing := opts.Redis.(*redis.Ring); isRing {
		problems = append(problems, invalidArgument("Options.Redis is a *redis.Ring: use a client of one server, of Sentinel or of a Cluster"))
	} else if isNil(opts.Redis) {
		problems = append(problems, invalidArgument("Options.Redis is missing: set it to a client of go-redis"))
	}
	if opts.Fallback != nil && isNil(opts.Fallback) {
		problems = append(problems, invalidArgument("Options.Fallback is a nil %T: set it, or leave it out", opts.Fallback))
	}
	return problems
}

// isNil reports whether v is nil or a nil pointer.
func isNil(v any) bool {
	value := reflect.ValueOf(v)
	return v == nil || value.Kind() == reflect.Pointer && value.IsNil()
}

// configProblems returns what Join adds to the rules of NewClient.
func configProblems(cfg sailpoint.Config, sealKey sailpoint.Secret) (problems []error) {
	if cfg.Limiter != nil {
		problems = append(problems, invalidArgument("Config.Limiter is set: leave it out, because Join sets one for the fleet"))
	}
	if cfg.TokenSource != nil && sealKey.IsZero() {
		problems = append(problems, invalidArgument("Options.SealKey is missing: Config.TokenSource needs it, because there is no client secret to encrypt bearers with"))
	}
	if cfg.TokenSource == nil && !sealKey.IsZero() {
		problems = append(problems, invalidArgument("Options.SealKey is set: leave it out, because the client secret encrypts bearers if there is no Config.TokenSource"))
	}
	return problems
}

// invalidInKey reports whether r must not be in the name of a key. Braces would
// put the keys of one fleet on different servers of a Cluster.
func invalidInKey(r rune) bool {
	return strings.ContainsRune("{}", r) || unicode.IsSpace(r) || !unicode.IsPrint(r)
}

// invalidArgument returns an error that matches sailpoint.ErrInvalidArgument.
func invalidArgument(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{sailpoint.ErrInvalidArgument}, args...)...)
}

package sailpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/sailpoint-go/sailpoint/internal/jsonfile"
)

// APIVersion names a version of the API.
type APIVersion string

// The versions of the API. V1 is the newest despite its number: the first of the per-API versions that follow V2026.
// All others, V2024 included, are supported until the second quarter of 2028 and announced to end in the first quarter
// of 2029 (API versioning strategy). Deprecated endpoints answer X-Deprecated: true, which Config.Logger shows.
// Tokens without an expiry, and changes of an expiry, are known to V2025 and later.
const (
	V3    APIVersion = "v3"
	Beta  APIVersion = "beta"
	V2024 APIVersion = "v2024" // the default
	V2025 APIVersion = "v2025"
	V2026 APIVersion = "v2026"
	V1    APIVersion = "v1"
)

// hasNeverExpires reports whether a token without an expiry exists in v, and has to be acknowledged.
func (v APIVersion) hasNeverExpires() bool { return v == V2025 || v == V2026 || v == V1 }

// Config says which tenant a client works with, as whom, and how. BaseURL is required, and either ClientID with
// ClientSecret or TokenSource; the zero value of everything else is a sensible default.
type Config struct {
	// BaseURL is https://{tenant}.api.identitynow.com or its like, without a version; http only for a loopback address.
	BaseURL string

	// ClientID is the id of the PAT that the client uses, which is its OAuth2 client_id. With TokenSource it is
	// optional: the PAT behind its bearers, which DeleteSelf and ErrSelf need.
	ClientID string
	// ClientSecret is that PAT's secret. It is sent to TokenURL only.
	ClientSecret Secret

	// TokenSource replaces ClientSecret. It is asked only for a new bearer: the client keeps the bearer until shortly
	// before its Expiry, and asks once for all calls that wait. refused is the bearer that the API has just answered
	// with 401; zero otherwise. ctx ends when the last call that waits for it has left. A TokenSource that hasn't
	// returned 5 s later is called again beside itself.
	TokenSource func(ctx context.Context, refused Secret) (AccessToken, error)

	// TokenURL is where bearers are fetched. "": BaseURL + /oauth/token.
	TokenURL string

	// APIVersion. "": V2024.
	APIVersion APIVersion

	// HTTPClient sends the requests; nil: one on NewTransport. It is copied, never modified, and no redirect is
	// followed whatever it says: a bearer goes to BaseURL only.
	//
	// A transport of your own should bound the header of a response, and its writes over HTTP/2: set its
	// MaxResponseHeaderBytes, and the SendPingTimeout and WriteByteTimeout of its HTTP2 field. Without them a server that
	// reads nothing can hold a call beyond the end of its context. A RoundTripper that isn't an *http.Transport should
	// call the hooks of net/http/httptrace: without them every failure counts as possibly sent. The text of its errors
	// is shown up to the first double quote, because net/http quotes what a server sent. Errors of a type of your own
	// keep their text, and errors.Is and errors.As match as before.
	HTTPClient *http.Client

	// Limiter is asked before every request to the API, also before one that is sent again; nil: none. The documented
	// limit is 100 requests in 10 seconds for a client id and API version; an answer of 429 is waited out in any case.
	Limiter Limiter

	// Logger gets a record of each request at level Debug, with the token's id, the status, the error, and
	// deprecated=true where the response has X-Deprecated: true. At Info it gets one of each wait before an attempt and
	// of each new bearer, and at Warn one of each bearer that could not be got. No record has a header, a body or a
	// secret. The default is none.
	Logger *slog.Logger

	// UserAgent is put before "sailpoint-go/<version>".
	UserAgent string

	// MaxRetries is how often a call is sent again at most; 0: 3; negative: never. A List or Delete that net/http itself
	// sends once more, to repair a connection that the server closed, counts too. A retry with a new bearer, after a 401,
	// does not. It happens once in a call, and rarely while the API refuses every bearer.
	MaxRetries int

	// MaxRetryWait is the longest Retry-After that is waited for; 0: 60 s. A longer one is returned at once, as
	// Error.RetryAfter: waiting less than was asked for makes a rate limit worse. A Retry-After that can't be read
	// counts as 30 s, or as MaxRetryWait if that is less. After a 429 the client's other calls wait too, or fail
	// likewise without being sent, for an hour at most. The token endpoint's 429, and its 503 with a Retry-After, hold
	// back the requests for bearers in the same way.
	MaxRetryWait time.Duration

	// AttemptTimeout bounds each request. The default is 30 s; a negative one is no limit. For List it includes the
	// last byte of the response, for All the first token. From there All counts only its own waits for the server: each
	// may last as long as AttemptTimeout, and at least 1 KiB must arrive in ten times as long. Behind the last token
	// the response must end within 5 s. Where the context has no deadline, a call ends after 2 minutes in all; the
	// loop over All does not.
	AttemptTimeout time.Duration

	// MaxListBytes bounds the memory that List or BulkUpdate needs for the tokens, however large the response is. The
	// default is 256 MiB; a token with a short name and a few scopes takes about 600 bytes. All needs no such bound.
	MaxListBytes int64
}

// AccessToken is a bearer as a Config.TokenSource returns it.
type AccessToken struct {
	Bearer Secret
	Expiry time.Time // zero: assumed to last 5 minutes
}

// Limiter is asked before every request to the API. *rate.Limiter of golang.org/x/time/rate is one.
type Limiter interface {
	Wait(ctx context.Context) error
}

// LoadConfig returns the BaseURL, ClientID and ClientSecret of the environment variables SAIL_BASE_URL, SAIL_CLIENT_ID
// and SAIL_CLIENT_SECRET, if all are set, and otherwise those of the file ./config.json with BaseURL, ClientId and
// ClientSecret, if it has all. The two are never mixed, so that a file in the working directory can't send a secret
// of the environment to a host of its choice.
func LoadConfig() (Config, error) {
	names := []string{"SAIL_BASE_URL", "SAIL_CLIENT_ID", "SAIL_CLIENT_SECRET"}
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = os.Getenv(name)
	}
	env := missing(names, values)
	if env == "" {
		return Config{BaseURL: values[0], ClientID: values[1], ClientSecret: NewSecret(values[2])}, nil
	}

	var file struct {
		BaseURL      string
		ClientID     string `json:"ClientId"`
		ClientSecret string
	}
	data, err := jsonfile.Read("config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, invalidArgument("no configuration: the environment has no %s, and there is no file config.json", env)
	}
	if err != nil {
		return Config{}, invalidArgument("the environment has no %s, and config.json can't be read: %w", env, err)
	}
	// Like the tools that write this file, without regard to the case of its keys.
	if err := json.Unmarshal(data, &file, json.MatchCaseInsensitiveNames(true)); err != nil {
		// Without the library's text, which may hold the secret.
		return Config{}, invalidArgument("config.json is not JSON with BaseURL, ClientId and ClientSecret, each once and a text")
	}
	inFile := missing([]string{"BaseURL", "ClientId", "ClientSecret"}, []string{file.BaseURL, file.ClientID, file.ClientSecret})
	if inFile != "" {
		return Config{}, invalidArgument("the environment has no %s, and config.json no %s: one of them has to have all three", env, inFile)
	}
	return Config{BaseURL: file.BaseURL, ClientID: file.ClientID, ClientSecret: NewSecret(file.ClientSecret)}, nil
}

// missing returns the names whose value is empty.
func missing(names, values []string) string {
	var list []string
	for i, name := range names {
		if values[i] == "" {
			list = append(list, name)
		}
	}
	return strings.Join(list, ", ")
}

// complete returns cfg with its defaults filled in, or every problem that it has.
func (cfg Config) complete() (Config, error) {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, invalidArgument(format, args...))
	}

	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	if err := checkURL(cfg.BaseURL); err != nil {
		problem("BaseURL: %v", err)
	} else if err := checkBase(cfg.BaseURL); err != nil {
		problem("BaseURL: %v", err)
	}
	if cfg.TokenURL == "" {
		cfg.TokenURL = cfg.BaseURL + "/oauth/token"
	} else if err := checkURL(cfg.TokenURL); err != nil {
		problem("TokenURL: %v", err)
	}

	switch {
	case cfg.TokenSource != nil && !cfg.ClientSecret.IsZero():
		problem("ClientSecret and TokenSource are both set: keep one")
	case cfg.TokenSource == nil && cfg.ClientID == "":
		problem("ClientID is missing: it is the PAT's id")
	}
	if cfg.TokenSource == nil && cfg.ClientSecret.IsZero() {
		problem("ClientSecret is missing: set it, or TokenSource")
	}
	if err := checkPasted(cfg.ClientID); err != nil {
		problem("ClientID %v", err)
	}
	if err := checkPasted(cfg.ClientSecret.Reveal()); err != nil {
		problem("ClientSecret %v", err)
	}

	versions := []APIVersion{V3, Beta, V2024, V2025, V2026, V1}
	if cfg.APIVersion == "" {
		cfg.APIVersion = V2024
	} else if !slices.Contains(versions, cfg.APIVersion) {
		problem("APIVersion %.80q: must be one of %q", string(cfg.APIVersion), versions)
	}
	if strings.ContainsFunc(cfg.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		problem("UserAgent %.80q: a header takes printable ASCII only", cfg.UserAgent)
	}
	if cfg.MaxRetryWait < 0 {
		problem("MaxRetryWait %s is negative: use MaxRetries for no retries", cfg.MaxRetryWait)
	}
	if cfg.MaxListBytes < 0 {
		problem("MaxListBytes %d is negative: leave it 0 for the default", cfg.MaxListBytes)
	}
	if len(problems) > 0 {
		return Config{}, errors.Join(problems...)
	}

	if cfg.MaxRetries == 0 {
		cfg.MaxRetries = 3
	}
	if cfg.MaxRetryWait == 0 {
		cfg.MaxRetryWait = time.Minute
	}
	if cfg.AttemptTimeout == 0 {
		cfg.AttemptTimeout = 30 * time.Second
	}
	if cfg.MaxListBytes == 0 {
		cfg.MaxListBytes = defaultMaxListBytes
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Transport: NewTransport()}
	} else {
		given := *cfg.HTTPClient
		cfg.HTTPClient = &given
	}
	return cfg, nil
}

// checkPasted refuses what was pasted or read together with an id or a secret, and doesn't repeat it.
func checkPasted(credential string) error {
	switch {
	case strings.ContainsFunc(credential, unprintable):
		return errors.New("has a space or a control character: is a line break pasted with it?")
	case quoted(credential):
		return errors.New("is in quotes: leave them out, as some readers of env files keep them")
	}
	return nil
}

// quoted reports whether text stands in a pair of quotes.
func quoted(text string) bool {
	first, firstSize := utf8.DecodeRuneInString(text)
	last, lastSize := utf8.DecodeLastRuneInString(text)
	return len(text) >= firstSize+lastSize && slices.Contains(quotes, string([]rune{first, last}))
}

// quotes are pairs that are typed, and those that a word processor makes of them.
var quotes = []string{`""`, "''", "``", "“”", "‘’"}

func unprintable(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

// plainPath keeps what a path could mean more than one thing by out of a URL: dot segments, escapes, empty segments.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// plainHost is a host name in ASCII or an IP address.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)

var (
	// versioned is a base URL as the API's documents write their servers. Behind a longer path it may be a gateway's.
	versioned = regexp.MustCompile(`(?i)^[^/]+//[^/]+/(v1|v3|v20\d\d|beta)$`)
	// tokenEndpoint and tokensPath are URLs of an operation.
	tokenEndpoint = regexp.MustCompile(`(?i)/oauth(/[^/]*)?$`)
	tokensPath    = regexp.MustCompile(`(?i)/personal-access-tokens(/|$)`)
)

// checkBase refuses the URL of an operation or a version as BaseURL: every call would be answered with 404.
func checkBase(base string) error {
	switch {
	case versioned.MatchString(base):
		return errors.New("ends with a version of the API: leave it out, and set APIVersion")
	case tokenEndpoint.MatchString(base):
		return errors.New("ends with the path of the token endpoint: leave it out, or set TokenURL")
	case tokensPath.MatchString(base):
		return errors.New("has the path of personal access tokens: leave it out, and its version too")
	}
	return nil
}

// checkURL accepts a URL that secrets may be sent to. It doesn't repeat the URL, which may hold a password.
func checkURL(raw string) error {
	if raw == "" {
		return errors.New("is missing: it is https://{tenant}.api.identitynow.com or its like")
	}
	if quoted(raw) {
		return errors.New("is in quotes: leave them out, as some readers of env files keep them")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("is not a URL: it is https://{tenant}.api.identitynow.com or its like")
	case u.User != nil:
		return errors.New("has a user name or password: credentials go to ClientID and ClientSecret")
	case strings.ContainsAny(raw, "?#"):
		return errors.New("has a query or fragment: end it behind the path")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return errors.New("is not https: only a loopback address may be http")
	case !plainHost.MatchString(u.Hostname()) || strings.HasSuffix(u.Host, ":"):
		return errors.New("has no host, or one that isn't plain ASCII: write an international name as punycode")
	case !plainPath.MatchString(u.EscapedPath()):
		return errors.New("has a path with empty or dot segments or with escapes")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("has the port %s: ports are 1 to 65535", port)
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

package sailpoint

import (
	"cmp"
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
)

// APIVersion names a version of the API.
type APIVersion string

// The versions of the API. V1 is the newest in spite of its number. After V2026
// SailPoint versions each of its APIs separately, and V1 is the first such
// version of this one. SailPoint supports all other versions until the second
// quarter of 2028, and has announced that they stop working in the first
// quarter of 2029. If a response says that its endpoint is deprecated
// (X-Deprecated: true), Config.Logger logs that.
//
// V2025, V2026 and V1 allow tokens without an expiry, and changes of an expiry.
// BulkUpdate needs V1.
const (
	V3    APIVersion = "v3"
	Beta  APIVersion = "beta"
	V2024 APIVersion = "v2024" // the default
	V2025 APIVersion = "v2025"
	V2026 APIVersion = "v2026"
	V1    APIVersion = "v1"
)

// hasNeverExpires reports whether v allows a token without an expiry. Such a
// token must be acknowledged.
func (v APIVersion) hasNeverExpires() bool { return v == V2025 || v == V2026 || v == V1 }

// Config selects the tenant, the credentials and the behavior of a client. Set
// BaseURL, and either ClientID and ClientSecret or TokenSource. The zero value
// of every other field selects its default.
type Config struct {
	// BaseURL is the address of the tenant's API without a version, such as
	// https://{tenant}.api.identitynow.com. Plain http is allowed only for a
	// loopback address.
	BaseURL string

	// ClientID is the id of the client's PAT, which is also its OAuth2
	// client_id. With a TokenSource it is optional, and AccessToken.ClientID
	// takes precedence over it. Self and DeleteSelf fail if neither is set,
	// because the client then doesn't know its own token. Delete then can't
	// protect it with ErrSelf.
	ClientID string
	// ClientSecret is that PAT's secret. It is sent only to TokenURL.
	ClientSecret Secret

	// TokenSource returns the client's bearers, in place of ClientSecret. The
	// client caches a bearer until shortly before its Expiry. If several calls
	// wait for a new bearer, it calls TokenSource once for all of them.
	//
	// The ctx of a TokenSource ends when the last of these calls gives up. The
	// TokenSource should then return. If it hasn't done so after 5 s, the next
	// call of the client calls it again, even if the old call still runs.
	TokenSource TokenSource

	// TokenURL is the token endpoint. The default is BaseURL + "/oauth/token".
	TokenURL string

	// APIVersion selects the API version. The default is V2024.
	APIVersion APIVersion

	// HTTPClient sends the requests. The default uses NewTransport. The client
	// uses a copy and never follows a redirect. It sends bearers only to
	// BaseURL. Set AttemptTimeout and not http.Client.Timeout, which also limits
	// a whole loop over All.
	//
	// To change a setting of the transport, start from NewTransport. A
	// transport made from scratch should limit the size of response headers and
	// the time of each write. Otherwise a server that reads nothing can block a
	// call even after its context has ended. These limits are
	// MaxResponseHeaderBytes, HTTP2 with SendPingTimeout and WriteByteTimeout,
	// and a DialContext whose connections have a deadline for each write.
	//
	// A RoundTripper of your own should call the hooks of net/http/httptrace.
	// One that passes its requests on to an *http.Transport does so already.
	// Without the hooks, the client must assume that a request without a
	// response was sent, and doesn't retry it if it is a Create.
	//
	// An Error shows the text of a RoundTripper's error only up to the first
	// double quote, because net/http puts bytes from the server in quotes. The
	// text of your own error types is shown whole. errors.Is and errors.As work
	// with both.
	HTTPClient *http.Client

	// Limiter is called before every request to the API, retries included, but
	// not before requests for bearers. The default is no limiter. SailPoint
	// documents a limit of 100 requests in 10 seconds for each client id and
	// API version. The client waits after a 429 with or without a Limiter.
	//
	// rate.NewLimiter(10, 1) of golang.org/x/time/rate keeps to that limit. With
	// rate.NewLimiter(10, 100) the API still rejects requests with 429, because
	// the burst of 100 comes on top of 10 requests a second.
	Limiter Limiter

	// Logger receives one record for each request at level Debug. It has the
	// token's id, the status, the request id, the error, and deprecated=true if
	// the response has X-Deprecated: true. Waits before an attempt and new
	// bearers are logged at Info, and failures to get a bearer at Warn. Nothing
	// else of headers and bodies is logged, and never a secret. The default is
	// no logging.
	Logger *slog.Logger

	// UserAgent is put before "sailpoint-go/<version>" in the User-Agent
	// header.
	UserAgent string

	// MaxRetries is the maximum number of retries of one call. The default is
	// 3. A negative value disables retries. In an outage, the budget that all
	// calls share ends them after ten, even if MaxRetries is more. See Retries
	// in the package documentation.
	//
	// Package net/http itself may repeat a List or Delete after the server has
	// closed the connection, and that counts as a retry. The one retry with a
	// new bearer after a 401 doesn't count, and a negative value doesn't
	// disable it.
	MaxRetries int

	// MaxRetryWait is the longest Retry-After that the client waits for. The
	// default is 60 s. If the server asks for more, the call fails at once, and
	// Error.RetryAfter says how long to wait. The client never retries earlier
	// than the server asks. It treats an unreadable Retry-After as 30 s, or as
	// MaxRetryWait if that is less.
	//
	// A 429 to one call also holds back the client's other calls, for an hour
	// at most. They wait, or fail without a request if the wait is longer than
	// MaxRetryWait. Requests for bearers are held back separately, after a 429
	// of the token endpoint, or after its 503 with a Retry-After.
	MaxRetryWait time.Duration

	// AttemptTimeout is the time limit of each request. The default is 30 s. A
	// negative value means no limit. The response must be complete by then. For
	// All, only the first token must have arrived.
	//
	// After the first token, All counts only the time in which it waits for the
	// server, and not the time that your loop takes. Each read of the response
	// may take AttemptTimeout. At least 1 KiB must arrive in ten times that
	// time. After the last token, the response must end within 5 s.
	//
	// If the context has no deadline, a call with all its retries takes at most
	// 2 minutes. Get makes up to two such calls. So do Self and DeleteSelf with
	// a TokenSource, because they first get a bearer. A loop over All may take
	// longer.
	AttemptTimeout time.Duration

	// MaxListBytes limits the memory that the result of one List or BulkUpdate
	// takes. A larger result is an error that matches ErrInvalidResponse. The
	// default is 256 MiB. A token with a short name and a few scopes takes
	// about 600 bytes. All needs no such limit.
	MaxListBytes int64
}

// LoadConfig reads BaseURL, ClientID and ClientSecret from the environment or
// from a file. It uses the variables SAIL_BASE_URL, SAIL_CLIENT_ID and
// SAIL_CLIENT_SECRET if all three are set. Otherwise it reads the file
// config.json in the working directory. This is a JSON object with the strings
// BaseURL, ClientId and ClientSecret, and all three must be set. The case of
// these names doesn't matter.
//
// LoadConfig never combines values from both, so that the file can't send a
// secret from the environment to another host. If neither has all three, the
// error says what is missing, and matches [ErrInvalidArgument].
func LoadConfig() (Config, error) { return LoadConfigFrom(os.Getenv) }

// LoadConfigFrom does the same as [LoadConfig], but gets the variables from
// getenv instead of the process's environment. It is for programs that must not
// depend on that, such as tests that run in parallel.
func LoadConfigFrom(getenv func(name string) string) (Config, error) {
	if getenv == nil {
		return Config{}, invalidArgument("getenv is nil: use os.Getenv")
	}
	names := []string{"SAIL_BASE_URL", "SAIL_CLIENT_ID", "SAIL_CLIENT_SECRET"}
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = getenv(name)
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
	data, err := readConfigFile("config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, invalidArgument("no configuration: set %s in the environment, or write a file config.json", env)
	}
	if err != nil {
		return Config{}, invalidArgument("%s not set in the environment, and config.json can't be read: %w", env, err)
	}
	// The tools that write this file ignore the case of its keys too.
	if err := json.Unmarshal(data, &file, json.MatchCaseInsensitiveNames(true)); err != nil {
		// The library's own error text may hold the secret.
		return Config{}, invalidArgument("config.json must be a JSON object with BaseURL, ClientId and ClientSecret, each a string and only once")
	}
	inFile := missing([]string{"BaseURL", "ClientId", "ClientSecret"}, []string{file.BaseURL, file.ClientID, file.ClientSecret})
	if inFile != "" {
		return Config{}, invalidArgument("%s not set in the environment, and config.json has no %s: one of them must have all three", env, inFile)
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

// complete returns cfg with its defaults filled in, or all its problems.
func (cfg Config) complete() (Config, error) {
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	problems := slices.Concat(cfg.urlProblems(), cfg.credentialProblems(), cfg.settingProblems())
	if len(problems) > 0 {
		return Config{}, errors.Join(problems...)
	}
	return cfg.withDefaults(), nil
}

func (cfg Config) urlProblems() (problems []error) {
	if err := cmp.Or(checkURL(cfg.BaseURL), checkBase(cfg.BaseURL)); err != nil {
		problems = append(problems, invalidArgument("BaseURL %v", err))
	}
	if cfg.TokenURL != "" {
		if err := checkURL(cfg.TokenURL); err != nil {
			problems = append(problems, invalidArgument("TokenURL %v", err))
		}
	}
	return problems
}

func (cfg Config) credentialProblems() (problems []error) {
	switch {
	case cfg.TokenSource != nil && !cfg.ClientSecret.IsZero():
		problems = append(problems, invalidArgument("ClientSecret and TokenSource are both set: keep one"))
	case cfg.TokenSource == nil && cfg.ClientID == "":
		problems = append(problems, invalidArgument("ClientID is missing: set it to the PAT's id"))
	}
	if cfg.TokenSource == nil && cfg.ClientSecret.IsZero() {
		problems = append(problems, invalidArgument("ClientSecret is missing: set it, or TokenSource"))
	}
	if err := checkPasted(cfg.ClientID); err != nil {
		problems = append(problems, invalidArgument("ClientID %v", err))
	}
	if err := checkPasted(cfg.ClientSecret.Reveal()); err != nil {
		problems = append(problems, invalidArgument("ClientSecret %v", err))
	}
	return problems
}

func (cfg Config) settingProblems() (problems []error) {
	versions := []APIVersion{V3, Beta, V2024, V2025, V2026, V1}
	if cfg.APIVersion != "" && !slices.Contains(versions, cfg.APIVersion) {
		problems = append(problems, invalidArgument("APIVersion %.80q: must be one of %q", string(cfg.APIVersion), versions))
	}
	if strings.ContainsFunc(cfg.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		problems = append(problems, invalidArgument("UserAgent %.80q: use printable ASCII only", cfg.UserAgent))
	}
	if cfg.MaxRetryWait < 0 {
		problems = append(problems, invalidArgument("MaxRetryWait %s is negative: to disable retries, set MaxRetries to -1", cfg.MaxRetryWait))
	}
	if cfg.MaxListBytes < 0 {
		problems = append(problems, invalidArgument("MaxListBytes %d is negative: leave it 0 for the default", cfg.MaxListBytes))
	}
	return problems
}

func (cfg Config) withDefaults() Config {
	cfg.TokenURL = cmp.Or(cfg.TokenURL, cfg.BaseURL+"/oauth/token")
	cfg.APIVersion = cmp.Or(cfg.APIVersion, V2024)
	cfg.MaxRetries = cmp.Or(cfg.MaxRetries, 3)
	cfg.MaxRetryWait = cmp.Or(cfg.MaxRetryWait, time.Minute)
	cfg.AttemptTimeout = cmp.Or(cfg.AttemptTimeout, 30*time.Second)
	cfg.MaxListBytes = cmp.Or(cfg.MaxListBytes, defaultMaxListBytes)
	given := cfg.HTTPClient
	if given == nil {
		given = &http.Client{Transport: NewTransport()}
	}
	own := *given
	cfg.HTTPClient = &own
	return cfg
}

// checkPasted rejects characters that were pasted or read along with an id or a
// secret. Its error doesn't repeat the value.
func checkPasted(credential string) error {
	switch {
	case strings.ContainsFunc(credential, unprintable):
		return errors.New("has a space or a control character: remove it, perhaps a pasted line break")
	case quoted(credential):
		return errors.New("is in quotes: leave them out (some readers of env files keep them)")
	}
	return nil
}

// quoted reports whether text is enclosed in a pair of quotes.
func quoted(text string) bool {
	first, firstSize := utf8.DecodeRuneInString(text)
	last, lastSize := utf8.DecodeLastRuneInString(text)
	return len(text) >= firstSize+lastSize && slices.Contains(quotes, string([]rune{first, last}))
}

// quotes are the pairs that people type or that word processors insert.
var quotes = []string{`""`, "''", "``", "“”", "‘’"}

func unprintable(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

// plainPath rejects ambiguous paths, which have dot segments, escapes or empty
// segments.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// plainHost is a host name in ASCII or an IP address.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)

var (
	// versioned matches the servers in the API's documents. At the end of a
	// longer path, the version may belong to a gateway.
	versioned = regexp.MustCompile(`(?i)^[^/]+//[^/]+/(v1|v3|v20\d\d|beta)$`)
	// tokenEndpoint and tokensPath match the URL of an operation.
	tokenEndpoint = regexp.MustCompile(`(?i)/oauth(/[^/]*)?$`)
	tokensPath    = regexp.MustCompile(`(?i)/personal-access-tokens(/|$)`)
)

// checkBase rejects the URL of an operation or of a version, because every call
// would get a 404.
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

// checkURL rejects a URL that isn't safe to send secrets to. Its error doesn't
// repeat the URL, which may hold a password.
func checkURL(raw string) error {
	if raw == "" {
		return errors.New("is missing: set it to a URL such as https://{tenant}.api.identitynow.com")
	}
	if quoted(raw) {
		return errors.New("is in quotes: leave them out (some readers of env files keep them)")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("is not a URL: set it to one such as https://{tenant}.api.identitynow.com")
	case u.User != nil:
		return errors.New("has a user name or password: put credentials in ClientID and ClientSecret")
	case strings.ContainsAny(raw, "?#"):
		return errors.New("has a query or fragment: end it after the path")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return errors.New("is not https: use https (http is for loopback addresses only)")
	case !plainHost.MatchString(u.Hostname()) || strings.HasSuffix(u.Host, ":"):
		return errors.New("has no host, or one that isn't plain ASCII: write an international host name in punycode")
	case !plainPath.MatchString(u.EscapedPath()):
		return errors.New("has a path with empty segments, dot segments or escapes: remove them")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("has the port %s: use a port from 1 to 65535", port)
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

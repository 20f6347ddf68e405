package sailpoint

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// Client calls the API of one tenant with the rights of one PAT. Make one with
// [NewClient]. It is safe for concurrent use and doesn't have to be closed.
type Client struct {
	PersonalAccessTokens *PersonalAccessTokensService

	cfg         Config // complete
	userAgent   string
	bearers     *bearerSource
	pause       pause
	budget      budget
	clockOffset atomic.Int64            // server time minus local time, in nanoseconds
	redactor    func() *redact.Redactor // of the client secret
	timeout     *timeoutError           // AttemptTimeout
	refusal     atomic.Pointer[refusal] // the last one
}

// NewClient returns a client for cfg. If cfg is invalid, the error lists all
// its problems and matches [ErrInvalidArgument]. NewClient sends nothing, so
// wrong credentials are an error only of the first call. It doesn't read the
// environment. [LoadConfig] does that.
func NewClient(cfg Config) (*Client, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, userAgent: userAgent(), redactor: newRedactor(cfg.ClientSecret), timeout: &timeoutError{"no complete response", cfg.AttemptTimeout}}
	if cfg.UserAgent != "" {
		c.userAgent = cfg.UserAgent + " " + c.userAgent
	}
	c.bearers = &bearerSource{fetch: c.fetchBearer}
	if cfg.TokenSource != nil {
		c.bearers.fetch = askTokenSource(cfg.TokenSource)
	}
	c.bearers.fetch = c.logFetches(c.bearers.fetch)
	c.PersonalAccessTokens = &PersonalAccessTokensService{client: c}
	return c, nil
}

// APIVersion returns the version of the API that the client calls.
func (c *Client) APIVersion() APIVersion {
	if c == nil {
		return ""
	}
	return c.cfg.APIVersion
}

// WithCredentials returns a client for another PAT of the same tenant, for
// example to try the secret of a token that was just created. The new client
// has the configuration of c, with these credentials instead of c's, and
// without its TokenSource. Both use the same transport, limiter and logger.
// Each gets its own bearer and does its own waits and retries.
func (c *Client) WithCredentials(clientID string, clientSecret Secret) (*Client, error) {
	if c == nil || c.PersonalAccessTokens == nil {
		return nil, invalidArgument("no client: make one with NewClient")
	}
	cfg := c.cfg
	cfg.ClientID, cfg.ClientSecret, cfg.TokenSource = clientID, clientSecret, nil
	return NewClient(cfg)
}

// serverTime converts t from the local clock to the server's. Like the dates of
// tokens it is cut to whole milliseconds. It may be early, by a second and the
// time of a response, but not late.
func (c *Client) serverTime(t time.Time) time.Time {
	return t.Add(time.Duration(c.clockOffset.Load())).Truncate(time.Millisecond)
}

// userAgent returns "sailpoint-go/" and this module's version in the program.
var userAgent = sync.OnceValue(func() string {
	const path = "github.com/sailpoint-go/sailpoint"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range append(info.Deps, &info.Main) {
			if module.Path == path && module.Version != "" && module.Version != "(devel)" {
				return "sailpoint-go/" + module.Version
			}
		}
	}
	return "sailpoint-go/devel"
})

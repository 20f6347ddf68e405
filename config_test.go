package sailpoint_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

const completeFile = `{"ClientId":"file-id","ClientSecret":"file-secret","BaseURL":"https://file.example"}`

// utf16 encodes text, each of whose characters needs one unit.
func utf16(order binary.AppendByteOrder, text string) string {
	var data []byte
	for _, r := range text {
		data = order.AppendUint16(data, uint16(r))
	}
	return string(data)
}

func TestLoadConfigReadsAllFromOnePlace(t *testing.T) {
	completeEnv := map[string]string{
		"SAIL_BASE_URL": "https://env.example", "SAIL_CLIENT_ID": "env-id", "SAIL_CLIENT_SECRET": "env-secret",
	}
	type values struct{ baseURL, id, secret string }
	fromEnv := values{"https://env.example", "env-id", "env-secret"}
	fromFile := values{"https://file.example", "file-id", "file-secret"}
	for _, tt := range []struct {
		name string
		env  map[string]string
		file string
		want values
	}{
		{"environment only", completeEnv, "", fromEnv},
		{"file only", nil, completeFile, fromFile},
		{"both: the environment", completeEnv, completeFile, fromEnv},
		{"the file isn't even read", completeEnv, `{"ClientId":`, fromEnv},
		{"no base URL in the environment", map[string]string{"SAIL_CLIENT_ID": "env-id", "SAIL_CLIENT_SECRET": "env-secret"}, completeFile, fromFile},
		{"only the base URL in the environment", map[string]string{"SAIL_BASE_URL": "https://env.example"}, completeFile, fromFile},
		{"only the secret in the environment", map[string]string{"SAIL_CLIENT_SECRET": "env-secret"}, completeFile, fromFile},
		{"keys of any case", nil, `{"clientid":"file-id","CLIENTSECRET":"file-secret","baseUrl":"https://file.example"}`, fromFile},
		{"a byte order mark, as Windows writes it", nil, "\ufeff" + completeFile, fromFile},
		{"UTF-16LE, as Windows PowerShell writes it", nil, utf16(binary.LittleEndian, "\ufeff"+completeFile+"\r\n"), fromFile},
		{"UTF-16BE", nil, utf16(binary.BigEndian, "\ufeff"+completeFile), fromFile},
		{"UTF-16LE without a byte order mark", nil, utf16(binary.LittleEndian, completeFile), fromFile},
		{"keys of other tools", nil, `{"NermBaseURL":"x","Debug":true,` + completeFile[1:], fromFile},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inDirectory(t, tt.file, tt.env)
			cfg, err := sailpoint.LoadConfig()
			require.NoError(t, err)
			assert.Equal(t, tt.want, values{cfg.BaseURL, cfg.ClientID, cfg.ClientSecret.Reveal()})
			_, err = sailpoint.NewClient(cfg)
			require.NoError(t, err)
		})
	}
}

func TestLoadConfigReportsWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		file string
		want string
	}{
		{
			"nothing at all", nil, "",
			"sailpoint: invalid argument: no configuration: set SAIL_BASE_URL, SAIL_CLIENT_ID, SAIL_CLIENT_SECRET in the environment, or write a file config.json",
		},
		{
			"a part of the environment, no file",
			map[string]string{"SAIL_CLIENT_SECRET": "env-secret"},
			"",
			"sailpoint: invalid argument: no configuration: set SAIL_BASE_URL, SAIL_CLIENT_ID in the environment, or write a file config.json",
		},
		{
			"a part of both, which would be complete together",
			map[string]string{"SAIL_CLIENT_ID": "env-id", "SAIL_CLIENT_SECRET": "env-secret"},
			`{"BaseURL":"https://file.example"}`,
			"sailpoint: invalid argument: SAIL_BASE_URL not set in the environment, and config.json has no ClientId, ClientSecret: one of them must have all three",
		},
		{
			"empty texts in the file", nil, `{"ClientId":"","ClientSecret":"file-secret","BaseURL":"https://file.example"}`,
			"sailpoint: invalid argument: SAIL_BASE_URL, SAIL_CLIENT_ID, SAIL_CLIENT_SECRET not set in the environment, and config.json has no ClientId: one of them must have all three",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inDirectory(t, tt.file, tt.env)
			cfg, err := sailpoint.LoadConfig()
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			require.EqualError(t, err, tt.want)
			require.True(t, reflect.ValueOf(cfg).IsZero(), "the configuration is zero")
		})
	}
}

func TestLoadConfigQuotesNoValueOfAMalformedFile(t *testing.T) {
	for name, file := range map[string]string{
		"cut short":            `{"ClientId":"file-id","ClientSecret":"file-secret`,
		"not JSON":             `ClientSecret=file-secret`,
		"a number":             `{"ClientSecret":"file-secret","ClientId":4711}`,
		"a secret as a number": `{"ClientSecret":471147114711,"ClientId":"x"}`,
		"secret in a list":     `["file-secret"]`,
		"two secrets":          `{"ClientSecret":"file-secret","clientsecret":"file-secret"}`,
		"invalid UTF-8":        "{\"ClientSecret\":\"file-secret\xff\"}",
		"invalid escape":       `{"ClientSecret":"file-secret\q"}`,
		"trailing data":        completeFile + ` file-secret`,
		"UTF-16, cut short":    utf16(binary.LittleEndian, "\ufeff"+completeFile)[:120],
		"UTF-16, cut in two":   utf16(binary.LittleEndian, "\ufeff"+completeFile)[:121],
		"too long":             completeFile + strings.Repeat(" ", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			inDirectory(t, file, nil)
			_, err := sailpoint.LoadConfig()
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			for _, link := range chain(err) {
				text := fmt.Sprintf("%+v %#v", link, link)
				assert.NotContains(t, text, "file-secret")
				assert.NotContains(t, text, "4711")
			}
			assert.ErrorContains(t, err, "config.json")
		})
	}
}

func TestNewClientReportsEveryProblemAtOnce(t *testing.T) {
	_, err := sailpoint.NewClient(sailpoint.Config{
		BaseURL: "http://acme.example", TokenURL: "https://acme.example?x", APIVersion: "v9",
		UserAgent: "a\r\nb", MaxRetryWait: -1, MaxListBytes: -1,
	})
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok)
	wants := []string{"BaseURL", "TokenURL", "ClientID is missing", "ClientSecret is missing", "APIVersion", "UserAgent", "MaxRetryWait", "MaxListBytes"}
	require.Len(t, joined.Unwrap(), len(wants))
	for i, problem := range joined.Unwrap() {
		require.ErrorIs(t, problem, sailpoint.ErrInvalidArgument)
		assert.ErrorContains(t, problem, "sailpoint: invalid argument: "+wants[i])
		assert.NotContains(t, problem.Error(), "\n", "each problem is one line")
	}
}

func TestValidBaseURLs(t *testing.T) {
	for given, want := range map[string]string{
		"https://acme.api.identitynow.com":  "https://acme.api.identitynow.com",
		"https://acme.api.identitynow.com/": "https://acme.api.identitynow.com",
		"HTTPS://acme.example":              "https://acme.example",
		"https://acme.example:8443":         "https://acme.example:8443",
		"https://acme.example:65535":        "https://acme.example:65535",
		"https://acme.example/gateway/isc":  "https://acme.example/gateway/isc",
		"https://acme.example/isc/v3":       "https://acme.example/isc/v3", // a version of the gateway's
		"https://acme.example/isc/v1":       "https://acme.example/isc/v1",
		"https://acme.example/isc/beta":     "https://acme.example/isc/beta",
		"https://acme.example/v2":           "https://acme.example/v2", // not a version of the API
		"https://beta.example":              "https://beta.example",
		"https://acme.example/oauth2":       "https://acme.example/oauth2",
		"https://acme.example/a.b/~c-_1/":   "https://acme.example/a.b/~c-_1",
		"https://xn--maana-pta.example":     "https://xn--maana-pta.example",
		"https://[2001:db8::1]:8443":        "https://[2001:db8::1]:8443",
		"http://localhost:8080":             "http://localhost:8080",
		"http://127.0.0.1:8080":             "http://127.0.0.1:8080",
		"http://127.9.9.9":                  "http://127.9.9.9",
		"http://[::1]:8080":                 "http://[::1]:8080",
	} {
		t.Run(given, func(t *testing.T) {
			n := &network{}
			client := n.client(t, func(cfg *sailpoint.Config) { cfg.BaseURL = given })
			require.NoError(t, list(t.Context(), client))
			n.requireCounts(t, 1, 1)
			assert.Equal(t, want+"/v2024/personal-access-tokens", n.calls[0].url)
			assert.Equal(t, want+"/oauth/token", n.fetches[0].url)
		})
	}
}

// invalidURLs are invalid as BaseURL and as TokenURL. No error about them holds
// "hunter2".
var invalidURLs = map[string]string{
	"http":                      "http://acme.example",
	"http, loopback in a name":  "http://localhost.evil.example",
	"http, loopback as a user":  "http://127.0.0.1@evil.example",
	"http, an address":          "http://10.0.0.1",
	"http, any address":         "http://0.0.0.0",
	"other scheme":              "ftp://acme.example",
	"no scheme":                 "acme.example",
	"no scheme, with a port":    "acme.example:443",
	"no scheme, two slashes":    "//acme.example",
	"user":                      "https://hunter2@acme.example",
	"user and password":         "https://user:hunter2@acme.example",
	"password and bad port":     "https://user:hunter2@acme.example:port",
	"password and bad escape":   "https://user:hunter2@acme%zz.example",
	"password and control":      "https://user:hunter2@acme.example\n",
	"query":                     "https://acme.example?secret=hunter2",
	"empty query":               "https://acme.example?",
	"fragment":                  "https://acme.example#hunter2",
	"empty fragment":            "https://acme.example#",
	"no host":                   "https://",
	"no host, but a path":       "https:///path",
	"no host, but a port":       "https://:443",
	"opaque":                    "https:acme.example",
	"empty port":                "https://acme.example:",
	"port 0":                    "https://acme.example:0",
	"port 99999":                "https://acme.example:99999",
	"port that isn't a number":  "https://acme.example:https",
	"backslash":                 `https://acme.example\@evil.example`,
	"backslash in the path":     `https://acme.example/\evil.example`,
	"escape in the host":        "https://acme%2eexample",
	"dot segments":              "https://acme.example/a/../b",
	"dot segments at the end":   "https://acme.example/..",
	"escaped dot segments":      "https://acme.example/%2e%2e/b",
	"escaped slash":             "https://acme.example/a%2fb",
	"empty segment":             "https://acme.example//a",
	"two slashes at the end":    "https://acme.example//",
	"semicolon":                 "https://acme.example/a;b",
	"space":                     "https://acme .example",
	"leading space":             " https://acme.example",
	"trailing newline":          "https://acme.example\n",
	"NUL":                       "https://acme.example\x00",
	"international name":        "https://mañana.example",
	"letter that looks like /":  "https://acme.example⁄evil",
	"zone of an IPv6 address":   "https://[fe80::1%25eth0]",
	"IPv6 without brackets":     "https://2001:db8::1",
	"IPv6 without its end":      "https://[::1",
	"IPv6 loopback with a zone": "http://[::1%25lo]",
	"in quotes":                 `"https://acme.example"`,
	"in single quotes":          `'https://acme.example'`,
}

func TestInvalidURLs(t *testing.T) {
	for name, raw := range invalidURLs {
		t.Run(name, func(t *testing.T) {
			for field, set := range map[string]func(*sailpoint.Config){
				"BaseURL ":  func(cfg *sailpoint.Config) { cfg.BaseURL = raw },
				"TokenURL ": func(cfg *sailpoint.Config) { cfg.TokenURL = raw },
			} {
				cfg := (&network{}).config()
				set(&cfg)
				_, err := sailpoint.NewClient(cfg)
				require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
				assert.ErrorContains(t, err, field)
				assert.NotContains(t, err.Error(), "hunter2")
				assert.Len(t, chain(err), 3, "Join, the problem and ErrInvalidArgument: no *url.Error")
			}
		})
	}
}

// TestBaseURLWithAPathOfTheAPI covers URLs copied from the API's documents,
// which include a version or an operation. Every call would get a 404.
func TestBaseURLWithAPathOfTheAPI(t *testing.T) {
	const (
		version  = "ends with a version of the API: leave it out, and set APIVersion"
		endpoint = "ends with the path of the token endpoint: leave it out, or set TokenURL"
		tokens   = "has the path of personal access tokens: leave it out, and its version too"
	)
	for path, want := range map[string]string{
		"/v3": version, "/v3/": version, "/V3": version, "/v2024": version, "/v2025": version, "/v2026": version,
		"/beta": version, "/beta/": version, "/v1": version,
		"/oauth/token": endpoint, "/oauth/token/": endpoint, "/oauth": endpoint, "/oauth/authorize": endpoint, "/isc/oauth/token": endpoint,
		"/v2024/personal-access-tokens": tokens, "/v2024/personal-access-tokens/": tokens, "/personal-access-tokens/v1": tokens,
		"/personal-access-tokens": tokens, "/personal-access-tokens/v1/bulk-update": tokens, "/isc/beta/personal-access-tokens": tokens,
		"/v3/personal-access-tokens/2c9180867817ac4d017817c491119a20": tokens,
	} {
		n := &network{}
		cfg := n.config()
		cfg.BaseURL = "https://acme.api.identitynow.com" + path
		_, err := sailpoint.NewClient(cfg)
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument, path)
		assert.EqualError(t, err, "sailpoint: invalid argument: BaseURL "+want, path)
		n.requireCounts(t, 0, 0)
	}
}

func TestTokenURLRejectsATrailingSlash(t *testing.T) {
	cfg := (&network{}).config()
	cfg.TokenURL = "https://acme.example/oauth/token/"
	_, err := sailpoint.NewClient(cfg)
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
}

func TestCredentials(t *testing.T) {
	set := func(id, secret string) func(*sailpoint.Config) {
		return func(cfg *sailpoint.Config) { cfg.ClientID, cfg.ClientSecret = id, sailpoint.NewSecret(secret) }
	}
	for _, tt := range []struct {
		name   string
		change func(*sailpoint.Config)
		want   []string // the problems, if any
	}{
		{"no id", set("", "secret"), []string{"ClientID is missing"}},
		{"no secret", set("id", ""), []string{"ClientSecret is missing"}},
		{"neither", set("", ""), []string{"ClientID is missing", "ClientSecret is missing"}},
		{"newline after the id", set("id\n", "secret"), []string{"ClientID has a space or a control character"}},
		{"newline after the secret", set("id", "hunter2\n"), []string{"ClientSecret has a space or a control character"}},
		{"CRLF", set("id", "hunter2\r\n"), []string{"ClientSecret has a space"}},
		{"only a space", set(" ", " "), []string{"ClientID has a space", "ClientSecret has a space"}},
		{"space within", set("i d", "hunter2 3"), []string{"ClientID has a space", "ClientSecret has a space"}},
		{"no-break space", set("id\u00a0", "secret"), []string{"ClientID has a space"}},
		{"byte order mark", set("\ufeffid", "secret"), []string{"ClientID has a space or a control character"}},
		{"zero width space", set("id", "hunter2\u200b"), []string{"ClientSecret has a space or a control character"}},
		{"NUL", set("id", "hunter2\x00"), []string{"ClientSecret has a space or a control character"}},
		{"secret and TokenSource", func(cfg *sailpoint.Config) {
			cfg.TokenSource = neverAsked
		}, []string{"ClientSecret and TokenSource are both set"}},
		{"TokenSource and a newline after the id", func(cfg *sailpoint.Config) {
			withSource(neverAsked)(cfg)
			cfg.ClientID = "id\n"
		}, []string{"ClientID has a space"}},
		{"quotes of an env file", set(`"id"`, `"hunter2"`), []string{"ClientID is in quotes: leave them out", "ClientSecret is in quotes: leave them out"}},
		{"single quotes", set("'id'", "'hunter2'"), []string{"ClientID is in quotes", "ClientSecret is in quotes"}},
		{"backquotes and those of a word processor", set("`id`", "“hunter2”"), []string{"ClientID is in quotes", "ClientSecret is in quotes"}},
		{"nothing in quotes", set(`""`, "‘’"), []string{"ClientID is in quotes", "ClientSecret is in quotes"}},
		{"quotes and a line break", set("'id'", "\"hunter2\"\n"), []string{"ClientID is in quotes", "ClientSecret has a space or a control character"}},
		{"TokenSource and an id in quotes", func(cfg *sailpoint.Config) {
			withSource(neverAsked)(cfg)
			cfg.ClientID = `"id"`
		}, []string{"ClientID is in quotes"}},
		{"a single quotation mark", set(`"id`, `hunter2'`), nil},
		{"one character, which is a quotation mark", set(`"`, `'`), nil},
		{"special characters", set("id", "&=+%ü/?#\"\\<>"), nil},
		{"TokenSource with an id", withSource(neverAsked), nil},
		{"TokenSource without an id", func(cfg *sailpoint.Config) {
			withSource(neverAsked)(cfg)
			cfg.ClientID = ""
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := (&network{}).config()
			tt.change(&cfg)
			_, err := sailpoint.NewClient(cfg)
			if tt.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Equal(t, len(tt.want), strings.Count(err.Error(), "\n")+1, "%v", err)
			for _, want := range tt.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

func TestUnknownVersionIsAnError(t *testing.T) {
	for _, version := range []sailpoint.APIVersion{"v2023", "V2024", "2024", "latest", " ", "v3/../v2024", sailpoint.APIVersion(strings.Repeat("x", 1000))} {
		cfg := (&network{}).config()
		cfg.APIVersion = version
		_, err := sailpoint.NewClient(cfg)
		require.ErrorIs(t, err, sailpoint.ErrInvalidArgument, "%q", version)
		assert.ErrorContains(t, err, `must be one of ["v3" "beta" "v2024" "v2025" "v2026" "v1"]`)
		assert.Less(t, len(err.Error()), 300)
	}
}

// TestHTTPClientIsCopied shows that the caller's http.Client is not changed,
// and that later changes to it have no effect.
func TestHTTPClientIsCopied(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	redirects := 0
	n := &network{api: always(response{status: 302, header: map[string]string{"Location": "https://evil.example/"}})}
	given := &http.Client{
		Transport:     n,
		Jar:           jar,
		Timeout:       time.Hour,
		CheckRedirect: func(*http.Request, []*http.Request) error { redirects++; return nil },
	}
	before := *given
	client := n.client(t, func(cfg *sailpoint.Config) { cfg.HTTPClient = given })
	require.Error(t, list(t.Context(), client))
	n.requireCounts(t, 1, 1)
	assert.Zero(t, redirects, "no redirect is followed, even if the caller's http.Client would")
	assert.Same(t, n, given.Transport)
	assert.Same(t, before.Jar, given.Jar)
	assert.Equal(t, before.Timeout, given.Timeout)
	assert.Equal(t, reflect.ValueOf(before.CheckRedirect).Pointer(), reflect.ValueOf(given.CheckRedirect).Pointer())

	given.Transport = transportThatFails{}
	require.Error(t, list(t.Context(), client))
	n.requireCounts(t, 2, 1)
}

type transportThatFails struct{}

func (transportThatFails) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("the transport that was set later")
}

// TestConfigIsCopied shows that the caller may change the Config for another
// client.
func TestConfigIsCopied(t *testing.T) {
	n := &network{}
	cfg := n.config()
	client, err := sailpoint.NewClient(cfg)
	require.NoError(t, err)
	cfg.BaseURL, cfg.ClientID = "https://other.example", "other"
	require.NoError(t, list(t.Context(), client))
	assert.Equal(t, "https://acme.example/v2024/personal-access-tokens", n.calls[0].url)
	assert.Equal(t, "the-client-id", client.ClientID())
}

func TestLoadConfigFromAnotherEnvironment(t *testing.T) {
	inDirectory(t, "", map[string]string{"SAIL_BASE_URL": "https://process.example", "SAIL_CLIENT_ID": "process-id", "SAIL_CLIENT_SECRET": "process-secret"})
	given := map[string]string{"SAIL_BASE_URL": "https://given.example", "SAIL_CLIENT_ID": "given-id"}
	getenv := func(name string) string { return given[name] }
	_, err := sailpoint.LoadConfigFrom(getenv)
	require.EqualError(t, err,
		"sailpoint: invalid argument: no configuration: set SAIL_CLIENT_SECRET in the environment, or write a file config.json")
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)

	given["SAIL_CLIENT_SECRET"] = "given-secret"
	cfg, err := sailpoint.LoadConfigFrom(getenv)
	require.NoError(t, err)
	assert.Equal(t, "https://given.example", cfg.BaseURL)
	assert.Equal(t, "given-id", cfg.ClientID)
	assert.Equal(t, "given-secret", cfg.ClientSecret.Reveal())
}

func TestLoadConfigFromNothing(t *testing.T) {
	_, err := sailpoint.LoadConfigFrom(nil)
	require.EqualError(t, err, "sailpoint: invalid argument: getenv is nil: use os.Getenv")
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
}

// FuzzBaseURL shows that requests go to the host of a valid URL, and use TLS
// unless it is this computer. An error about an invalid URL does not quote its
// password.
func FuzzBaseURL(f *testing.F) {
	for _, raw := range invalidURLs {
		f.Add(raw)
	}
	for _, raw := range []string{"https://acme.example", "HTTPS://acme.example:8443/gateway/", "http://localhost:8080", "http://[::1]:1", "https://[2001:db8::1]"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		n := &network{}
		cfg := n.config()
		cfg.BaseURL = raw
		client, err := sailpoint.NewClient(cfg)
		parsed, invalid := url.Parse(raw)
		if err != nil {
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			if invalid == nil && parsed.User != nil {
				if password, _ := parsed.User.Password(); len(password) > 8 {
					require.NotContains(t, err.Error(), password)
				}
			}
			return
		}
		require.NoError(t, invalid)
		require.NoError(t, list(t.Context(), client))
		n.requireCounts(t, 1, 1)
		for _, sent := range []string{n.calls[0].url, n.fetches[0].url} {
			to, err := url.Parse(sent)
			require.NoError(t, err)
			require.Equal(t, parsed.Host, to.Host)
			require.Nil(t, to.User)
			require.Empty(t, to.RawQuery+to.Fragment)
			require.NotContains(t, strings.Split(to.EscapedPath(), "/"), "..")
			if to.Scheme != "https" {
				require.Equal(t, "http", to.Scheme)
				address := net.ParseIP(to.Hostname())
				require.True(t, to.Hostname() == "localhost" || address != nil && address.IsLoopback())
			}
		}
	})
}

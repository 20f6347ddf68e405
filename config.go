package sailpoint

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// APIVersion names a version of the API.
type APIVersion string

// The versions of the API. V1 is the newest despite its number: the first of the per-API versions that follow V2026.
const (
	V3    APIVersion = "v3"
	Beta  APIVersion = "beta"
	V2024 APIVersion = "v2024"
	V2025 APIVersion = "v2025"
	V2026 APIVersion = "v2026"
	V1    APIVersion = "v1"
)

// Config says which tenant a client works with, as whom, and how. BaseURL and either ClientID with ClientSecret, or
// TokenSource, are required; the zero value of everything else is a sensible default.
type Config struct {
	BaseURL        string
	ClientID       string
	ClientSecret   Secret
	TokenSource    func(ctx context.Context, refused Secret) (AccessToken, error)
	TokenURL       string
	APIVersion     APIVersion
	HTTPClient     *http.Client
	Limiter        Limiter
	Logger         *slog.Logger
	UserAgent      string
	MaxRetries     int
	MaxRetryWait   time.Duration
	AttemptTimeout time.Duration
	MaxListBytes   int64
}

// AccessToken is a bearer as a Config.TokenSource returns it.
type AccessToken struct {
	Bearer Secret
	Expiry time.Time // zero: assumed to last 5 minutes
}

// Limiter is asked before every attempt of an API call. *rate.Limiter of golang.org/x/time/rate is one.
type Limiter interface {
	Wait(ctx context.Context) error
}

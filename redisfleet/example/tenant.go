package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

const (
	tenantRole = "tenant"    // the first argument of the tenant's process
	logPath    = "/requests" // of the tenant's log; the API has no such path
)

// tenant is a tenant in memory whose clock may run faster than real time.
type tenant struct {
	*sailpointtest.Tenant
	speed float64
}

// newTenant returns a tenant with the rate limit of the API.
func newTenant(speed float64) *tenant {
	start := time.Now()
	clock := func() time.Time { return start.Add(time.Duration(float64(time.Since(start)) * speed)) }
	return &tenant{sailpointtest.NewTenant(sailpointtest.WithClock(clock), sailpointtest.WithRateLimit()), speed}
}

// ServeHTTP serves the API, and the log at logPath.
func (t *tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == logPath {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(t.log())
		return
	}
	t.Tenant.ServeHTTP(&realTime{w, t.speed}, r)
}

// log returns what measure needs of the tenant's log.
func (t *tenant) log() []request {
	var log []request
	for _, r := range t.Requests() {
		log = append(log, request{At: r.At, Path: r.Path, UserAgent: r.Header.Get("User-Agent"), Status: r.Status})
	}
	return log
}

// environment returns the variables that sailpoint.LoadConfig reads.
func (t *tenant) environment(baseURL string) []string {
	cfg := t.Config()
	return credentials(baseURL, cfg.ClientID, cfg.ClientSecret)
}

func credentials(baseURL, id string, secret sailpoint.Secret) []string {
	return []string{"SAIL_BASE_URL=" + baseURL, "SAIL_CLIENT_ID=" + id, "SAIL_CLIENT_SECRET=" + secret.Reveal()}
}

// realTime converts Retry-After from the tenant's clock to real time.
type realTime struct {
	http.ResponseWriter
	speed float64
}

func (w *realTime) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *realTime) WriteHeader(status int) {
	if seconds, err := strconv.Atoi(w.Header().Get("Retry-After")); err == nil {
		w.Header().Set("Retry-After", fmt.Sprint(math.Ceil(float64(seconds)/w.speed)))
	}
	w.ResponseWriter.WriteHeader(status)
}

// serveTenant is the tenant's process. It serves until ctx ends.
func serveTenant(ctx context.Context, speed float64, stdout io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	t := newTenant(speed)
	server := &http.Server{Handler: t, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := json.NewEncoder(stdout).Encode(t.environment("http://" + listener.Addr().String())); err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// tenantProcess is the tenant, for the process that has started it.
type tenantProcess struct {
	*process
	environment []string
}

func startTenant(ctx context.Context, speed float64) (*tenantProcess, error) {
	p, err := startProcess(ctx, nil, tenantRole, fmt.Sprint("-speed=", speed))
	if err != nil {
		return nil, err
	}
	t := &tenantProcess{process: p}
	if err := p.read(&t.environment); err != nil {
		p.stop()
		return nil, fmt.Errorf("the tenant didn't start: %w", err)
	}
	return t, nil
}

// requests returns the tenant's log.
func (t *tenantProcess) requests(ctx context.Context) (log []request, err error) {
	baseURL := t.environment[0][len("SAIL_BASE_URL="):]
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL+logPath, http.NoBody)
	if err != nil {
		return nil, err
	}
	defer http.DefaultClient.CloseIdleConnections()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&log)
	return log, err
}

package main

import (
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/seed"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

const (
	controlPrefix  = "/faketenant/"
	maxControlBody = 1 << 20 // bytes
	maxDelay       = time.Hour
	maxTimes       = 1000
)

// handler serves a tenant, and the paths of this command.
type handler struct {
	newTenant func() *sailpointtest.Tenant
	tenant    atomic.Pointer[sailpointtest.Tenant]
	control   http.Handler
}

// newHandler returns the handler, and the configuration of a client.
func newHandler(s *settings, content *seed.Seed) (http.Handler, sailpoint.Config) {
	h := &handler{}
	tenant := s.newTenant(content)
	config := tenant.Config()
	fixed := *s // with random credentials chosen, so that a reset keeps them
	fixed.clientID, fixed.clientSecret = config.ClientID, config.ClientSecret.Reveal()
	h.newTenant = func() *sailpointtest.Tenant { return fixed.newTenant(content) }
	h.tenant.Store(tenant)

	mux := http.NewServeMux()
	mux.HandleFunc("GET "+controlPrefix+"health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "UP"})
	})
	if s.control {
		mux.HandleFunc("GET "+controlPrefix+"requests", h.requests)
		mux.HandleFunc("GET "+controlPrefix+"faults", h.unusedFaults)
		mux.HandleFunc("POST "+controlPrefix+"faults", h.addFaults)
		mux.HandleFunc("POST "+controlPrefix+"reset", h.reset)
		h.control = localOnly(mux)
	} else {
		mux.HandleFunc(controlPrefix, func(w http.ResponseWriter, _ *http.Request) {
			writeError(w, http.StatusNotFound, "start faketenant with -control to use this path")
		})
		h.control = mux
	}
	return h, config
}

// ServeHTTP doesn't let a ServeMux route the API's paths, because that would
// redirect those that are not clean.
func (h *handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if strings.HasPrefix(req.URL.Path, controlPrefix) {
		h.control.ServeHTTP(w, req)
		return
	}
	h.tenant.Load().ServeHTTP(w, req)
}

// localOnly keeps web pages in a browser on this machine out. Their requests
// come from this machine too.
func localOnly(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		host, _, err := net.SplitHostPort(req.Host)
		if err != nil {
			host = req.Host
		}
		if ip := net.ParseIP(strings.Trim(host, "[]")); host != "localhost" && !ip.IsLoopback() {
			writeError(w, http.StatusForbidden, "use localhost or a loopback address as the host")
			return
		}
		next.ServeHTTP(w, req)
	}))
}

// loggedRequest is a request in the log. It has no secrets, because the
// tenant's log has none.
type loggedRequest struct {
	At       time.Time   `json:"at"`
	Method   string      `json:"method"`
	Path     string      `json:"path"`
	Query    string      `json:"query"`
	Body     string      `json:"body"`
	ClientID string      `json:"clientId"`
	Header   http.Header `json:"header"`
	Status   int         `json:"status"` // 0 if there was no response
}

func (h *handler) requests(w http.ResponseWriter, _ *http.Request) {
	list := []loggedRequest{}
	for _, r := range h.tenant.Load().Requests() {
		list = append(list, loggedRequest(r))
	}
	writeJSON(w, http.StatusOK, list)
}

func (h *handler) reset(w http.ResponseWriter, _ *http.Request) {
	h.tenant.Store(h.newTenant())
	w.WriteHeader(http.StatusNoContent)
}

// fault is a sailpointtest.Fault in JSON.
type fault struct {
	Method          string             `json:"method"`
	Path            string             `json:"path"`
	Status          int                `json:"status,omitzero"`
	Header          map[string]*string `json:"header,omitzero"` // null removes a header
	Body            string             `json:"body,omitzero"`
	CutAfter        int                `json:"cutAfter,omitzero"`
	Committed       bool               `json:"committed,omitzero"`
	CloseConnection bool               `json:"closeConnection,omitzero"`
	DelaySeconds    float64            `json:"delaySeconds,omitzero"`
	Times           int                `json:"times,omitzero"` // 0 means 1
}

func (h *handler) unusedFaults(w http.ResponseWriter, _ *http.Request) {
	list := []fault{}
	for _, f := range h.tenant.Load().Unused() {
		unused := fault{
			Method: f.Method, Path: f.Path, Status: f.Status, Body: f.Body, CutAfter: f.CutAfter,
			Committed: f.Committed, CloseConnection: f.Err != nil, DelaySeconds: f.Delay.Seconds(),
		}
		for name, values := range f.Header {
			if unused.Header == nil {
				unused.Header = map[string]*string{}
			}
			unused.Header[name] = nil
			if len(values) > 0 {
				unused.Header[name] = &values[0]
			}
		}
		list = append(list, unused)
	}
	writeJSON(w, http.StatusOK, list)
}

func (h *handler) addFaults(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxControlBody))
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	faults, err := readFaults(body)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	h.tenant.Load().Inject(faults...)
	w.WriteHeader(http.StatusNoContent)
}

// readFaults returns the faults in a body of JSON, each as often as it says.
func readFaults(body []byte) (faults []sailpointtest.Fault, err error) {
	var list []fault
	if err := json.Unmarshal(body, &list, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("the body must be a JSON array of faults: %w", seed.Explain(body, err))
	}
	for i := range list {
		f := &list[i]
		if problem := f.problem(); problem != "" {
			return nil, fmt.Errorf("/%d: %s", i, problem)
		}
		for range max(f.Times, 1) {
			faults = append(faults, f.fault())
		}
	}
	return faults, nil
}

// problem returns why a fault can't be injected, or "".
func (f *fault) problem() string {
	effect := *f
	effect.Method, effect.Path, effect.Times = "", "", 0
	switch {
	case f.Path != "" && !strings.HasPrefix(f.Path, "/"):
		return `path must be empty or begin with "/", as in "/v2024/personal-access-tokens/{id}"`
	case f.Status != 0 && (f.Status < 200 || f.Status > 999):
		return "status must be 200 to 999"
	case f.Times < 0 || f.Times > maxTimes:
		return fmt.Sprintf("times must be 1 to %d", maxTimes)
	case math.Abs(f.DelaySeconds) > maxDelay.Seconds():
		return fmt.Sprintf("delaySeconds must be at most %d", int(maxDelay.Seconds()))
	case f.DelaySeconds < 0 && !f.Committed:
		return "delaySeconds is negative, which needs committed"
	case reflect.ValueOf(effect).IsZero():
		return "it has no effect: set status, header, body, cutAfter, committed, closeConnection or delaySeconds"
	}
	return ""
}

func (f *fault) fault() sailpointtest.Fault {
	made := sailpointtest.Fault{
		Method: strings.ToUpper(f.Method), Path: f.Path, Status: f.Status, Body: f.Body, CutAfter: f.CutAfter,
		Committed: f.Committed, Delay: time.Duration(f.DelaySeconds * float64(time.Second)),
	}
	if f.CloseConnection {
		made.Err = io.ErrUnexpectedEOF
	}
	for name, value := range f.Header {
		if made.Header == nil {
			made.Header = http.Header{}
		}
		made.Header[name] = nil
		if value != nil {
			made.Header[name] = []string{*value}
		}
	}
	return made
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]string{"error": text})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, value, json.Deterministic(true)) // it fails only if the client has gone
}

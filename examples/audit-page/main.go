// Command audit-page serves a web page that shows who holds tokens in a tenant,
// and which of them need attention. It changes nothing.
//
//	audit-page -addr 127.0.0.1:8080
//
// It needs SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET, or config.json.
// The page names people, so put a login in front of it.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/report"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen on `HOST:PORT`")
	flag.Parse()
	cfg, err := sailpoint.LoadConfig()
	if err != nil {
		log.Fatal(err)
	}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = serve(ctx, *addr, auditPage(client, cfg.BaseURL))
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// auditPage audits the tenant for each request.
func auditPage(client *sailpoint.Client, tenant string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		var page bytes.Buffer // so that a failure sends no half page
		found, err := lifecycle.Audit(req.Context(), client, lifecycle.AuditPolicy{})
		if err == nil {
			err = report.WriteHTML(&page, found, report.Options{Tenant: tenant})
		}
		if err != nil {
			log.Print(err)
			http.Error(w, "the audit failed: see the log", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = page.WriteTo(w)
	}
}

// serve serves handler until ctx ends. Then it waits for the requests in
// progress.
func serve(ctx context.Context, addr string, handler http.Handler) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	log.Printf("listening on http://%s", listener.Addr())
	server := &http.Server{Handler: handler, ReadTimeout: 30 * time.Second, WriteTimeout: 3 * time.Minute}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() { stopped <- server.Shutdown(context.WithoutCancel(ctx)) })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/sailpoint-go/sailpoint/internal/seed"
)

// shutdownTimeout bounds the requests in progress after a signal to stop.
const shutdownTimeout = 5 * time.Second

// errNotLoopback says that the control paths would be open to other machines.
var errNotLoopback = errors.New("-control is set and -addr is not a loopback address: use 127.0.0.1, localhost or [::1]")

// serve serves a tenant until ctx ends.
func (s *settings) serve(ctx context.Context, content *seed.Seed, stdout, stderr io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("%v is not a TCP address: set -addr to HOST:PORT", listener.Addr())
	}
	if s.control && !addr.IP.IsLoopback() {
		return errNotLoopback
	}

	handler, config := newHandler(s, content)
	scheme, caFile := "http", ""
	if s.tls {
		tlsConfig, caPEM, err := newCertificate(s.addr, addr, time.Now())
		if err != nil {
			return err
		}
		var remove func()
		if caFile, remove, err = s.writeCA(caPEM); err != nil {
			return err
		}
		defer remove()
		scheme, listener = "https", tls.NewListener(listener, tlsConfig)
	}
	baseURL := scheme + "://" + net.JoinHostPort(hostOf(addr), strconv.Itoa(addr.Port))
	if err := printSettings(stdout, baseURL, config.ClientID, config.ClientSecret.Reveal(), caFile); err != nil {
		return err
	}
	return serveUntilDone(ctx, listener, &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          log.New(stderr, "faketenant: ", 0), // such as a client that doesn't trust the certificate
	})
}

// writeCA writes the certificate that clients must trust. It returns the file's
// name, and a function that removes the file if it is a temporary one.
func (s *settings) writeCA(caPEM []byte) (name string, remove func(), err error) {
	if s.caFile != "" {
		return s.caFile, func() {}, os.WriteFile(s.caFile, caPEM, 0o644) //nolint:gosec // a certificate is public
	}
	file, err := os.CreateTemp("", "faketenant-ca-*.pem")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.Remove(file.Name()) }
	_, err = file.Write(caPEM)
	if err = errors.Join(err, file.Close()); err != nil {
		remove()
		return "", nil, err
	}
	return file.Name(), remove, nil
}

// serveUntilDone serves until ctx ends. Then it waits for the requests in
// progress.
func serveUntilDone(ctx context.Context, listener net.Listener, server *http.Server) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(bounded); err != nil {
		_ = server.Close() // cuts off the requests that are still in progress
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

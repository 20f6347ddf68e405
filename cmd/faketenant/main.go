// Command faketenant serves a tenant of package sailpointtest over HTTP. It is
// for tests of programs in any language.
//
//	faketenant [-addr HOST:PORT] [-client-id ID -client-secret SECRET] [-rate-limit]
//
// Once it listens, it prints the settings for a client in three lines that a
// shell can read:
//
//	SAIL_BASE_URL=http://127.0.0.1:49152
//	SAIL_CLIENT_ID=86f1dc6fe8f54414950454cbb11278fa
//	SAIL_CLIENT_SECRET=1d1bef2b9f426383447f64f69349fc7cac176042578d205c256ba3f37c59adb9
//
// It keeps everything in memory and doesn't use TLS, so use it only for tests.
// SIGINT and SIGTERM stop it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// shutdownTimeout bounds the requests in progress after a signal to stop.
const shutdownTimeout = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until ctx ends. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("faketenant", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:0", "listen on `HOST:PORT`; port 0 selects a free port")
	id := flags.String("client-id", "", "`ID` of the client; random by default")
	secret := flags.String("client-secret", "", "`SECRET` of the client; random by default")
	rateLimit := flags.Bool("rate-limit", false, "respond with 429 to more than 100 requests in 10 seconds")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	usage := func(problem string) int {
		fmt.Fprintln(stderr, "faketenant:", problem)
		flags.Usage()
		return exitUsage
	}
	switch {
	case flags.NArg() > 0:
		return usage("unexpected argument " + strconv.Quote(flags.Arg(0)) + ": use only flags")
	case (*id == "") != (*secret == ""):
		return usage("only one of -client-id and -client-secret is set: set both or neither")
	case strings.ContainsFunc(*id+*secret, unprintable):
		return usage("-client-id or -client-secret contains a space or a control character: remove it")
	}

	opts := []sailpointtest.Option{sailpointtest.WithCredentials(*id, *secret)}
	if *rateLimit {
		opts = append(opts, sailpointtest.WithRateLimit())
	}
	if err := serve(ctx, *addr, sailpointtest.NewTenant(opts...), stdout); err != nil {
		fmt.Fprintln(stderr, "faketenant:", err)
		return exitFailed
	}
	return exitOK
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

// serve serves tenant on addr until ctx ends.
func serve(ctx context.Context, addr string, tenant *sailpointtest.Tenant, stdout io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	config := tenant.Config()
	_, err = fmt.Fprintf(stdout, "SAIL_BASE_URL=%s\nSAIL_CLIENT_ID=%s\nSAIL_CLIENT_SECRET=%s\n",
		baseURL(listener.Addr()), quote(config.ClientID), quote(config.ClientSecret.Reveal()))
	if err != nil {
		return err
	}

	server := &http.Server{
		Handler:           tenant,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
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

// baseURL returns the URL of a listener for a client on the same machine.
func baseURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // "::" accepts IPv4 too
	}
	return "http://" + net.JoinHostPort(host, port)
}

// quote quotes s for a shell if s contains a special character.
func quote(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.:/@%+=,", r)
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

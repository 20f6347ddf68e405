// Command faketenant serves a tenant of package sailpointtest over HTTP. It is
// for tests of programs in any language. See docs/faketenant.md for how to
// start it from a shell, Python and PowerShell.
//
//	faketenant [-addr HOST:PORT] [-client-id ID -client-secret SECRET] [-seed FILE]
//		[-tls [-ca FILE]] [-rate-limit] [-control]
//
// Once it listens, it prints the settings for a client in lines that a shell
// can read, and closes its standard output:
//
//	SAIL_BASE_URL=http://127.0.0.1:49152
//	SAIL_CLIENT_ID=86f1dc6fe8f54414950454cbb11278fa
//	SAIL_CLIENT_SECRET=1d1bef2b9f426383447f64f69349fc7cac176042578d205c256ba3f37c59adb9
//
// With -tls the URL begins with https. A fourth line, FAKETENANT_CA_FILE, names
// the file with the certificate that clients must trust.
//
// GET /faketenant/health responds with 200 as long as it serves. With -control
// it also serves the request log and accepts faults below /faketenant/.
//
// It keeps everything in memory, so use it only for tests. SIGINT and SIGTERM
// stop it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"github.com/sailpoint-go/sailpoint/internal/seed"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// settings holds the values of the flags.
type settings struct {
	addr, clientID, clientSecret string
	seedFile, caFile             string
	tls, rateLimit, control      bool
}

// run serves until ctx ends. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s settings
	flags := flag.NewFlagSet("faketenant", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.addr, "addr", "127.0.0.1:0", "listen on `HOST:PORT`; port 0 selects a free port")
	flags.StringVar(&s.clientID, "client-id", "", "`ID` of the client; random by default")
	flags.StringVar(&s.clientSecret, "client-secret", "", "`SECRET` of the client; random by default")
	flags.StringVar(&s.seedFile, "seed", "", "add the identities and tokens of this JSON `FILE`; see docs/faketenant.md")
	flags.BoolVar(&s.tls, "tls", false, "serve HTTPS with a certificate that is made for this run")
	flags.StringVar(&s.caFile, "ca", "", "write the certificate that clients must trust to `FILE`; by default a temporary file")
	flags.BoolVar(&s.rateLimit, "rate-limit", false, "respond with 429 to more than 100 requests in 10 seconds")
	flags.BoolVar(&s.control, "control", false, "serve the request log and accept faults below /faketenant/; needs a loopback address")
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
	if flags.NArg() > 0 {
		return usage("unexpected argument " + strconv.Quote(flags.Arg(0)) + ": use only flags")
	}
	if problem := s.check(); problem != "" {
		return usage(problem)
	}
	content, err := s.readSeed()
	if err != nil {
		fmt.Fprintln(stderr, "faketenant:", err)
		return exitUsage
	}
	switch err := s.serve(ctx, content, stdout, stderr); {
	case errors.Is(err, errNotLoopback), errors.As(err, new(*net.AddrError)): // -addr is wrong
		return usage(err.Error())
	case err != nil:
		fmt.Fprintln(stderr, "faketenant:", err)
		return exitFailed
	}
	return exitOK
}

// check returns what is wrong with the flags, or "".
func (s *settings) check() string {
	switch {
	case (s.clientID == "") != (s.clientSecret == ""):
		return "only one of -client-id and -client-secret is set: set both or neither"
	case strings.ContainsFunc(s.clientID+s.clientSecret, unprintable):
		return "-client-id or -client-secret contains a space or a control character: remove it"
	case s.caFile != "" && !s.tls:
		return "-ca is set without -tls: add -tls"
	}
	return ""
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

// readSeed reads the seed file. Without one the seed is empty.
func (s *settings) readSeed() (*seed.Seed, error) {
	if s.seedFile == "" {
		return new(seed.Seed), nil
	}
	data, err := os.ReadFile(s.seedFile)
	if err != nil {
		return nil, fmt.Errorf("-seed: %w", err)
	}
	content, err := seed.Parse(data, s.clientID)
	if err != nil {
		return nil, fmt.Errorf("-seed %s: %w", s.seedFile, err)
	}
	return content, nil
}

// newTenant returns a tenant with these settings and the content of a seed.
func (s *settings) newTenant(content *seed.Seed) *sailpointtest.Tenant {
	opts := []sailpointtest.Option{sailpointtest.WithCredentials(s.clientID, s.clientSecret)}
	if s.rateLimit {
		opts = append(opts, sailpointtest.WithRateLimit())
	}
	return content.NewTenant(opts...)
}

// printSettings closes stdout if it can, so that a reader may read to the end.
func printSettings(stdout io.Writer, baseURL, id, secret, caFile string) error {
	lines := fmt.Sprintf("SAIL_BASE_URL=%s\nSAIL_CLIENT_ID=%s\nSAIL_CLIENT_SECRET=%s\n", baseURL, quote(id), quote(secret))
	if caFile != "" {
		lines += fmt.Sprintf("FAKETENANT_CA_FILE=%s\n", quote(caFile))
	}
	_, err := io.WriteString(stdout, lines)
	if closer, ok := stdout.(io.Closer); ok {
		err = errors.Join(err, closer.Close())
	}
	return err
}

// hostOf returns the host at which a client on the same machine reaches a
// listener.
func hostOf(addr *net.TCPAddr) string {
	if addr.IP.IsUnspecified() {
		return "127.0.0.1" // "::" accepts IPv4 too
	}
	return addr.IP.String()
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

// Command example shows what a fleet gains. It starts worker processes that
// list tokens as fast as they may, and a process with a tenant in memory, which
// has the rate limit of the API. The workers share the quota and the bearer of
// one PAT through Redis. With -alone they don't.
//
//	redis-server --port 6379 --save '' &
//	go run ./example -processes 20 -calls 5000 -speed 5 -redis 127.0.0.1:6379
//	go run ./example -processes 20 -calls 5000 -speed 5 -alone
//
// The numbers come from the tenant's log. Its last line is for scripts, such as
//
//	requests=5000 status429=0 window=100 fetches=1
//
// The exit code is 1 if the workers of a fleet meet a 429, exceed the quota,
// fetch more than one bearer, or fail a call. See join in worker.go for the lines
// that a program of your own needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9/logging"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs one of the processes. A worker and the tenant have their role as the
// first argument, and stop when stdin ends.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	logging.Disable() // go-redis also returns the errors that it would log
	role := ""
	if len(args) > 0 && (args[0] == workerRole || args[0] == tenantRole) {
		role, args = args[0], args[1:]
	}
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	switch role {
	case workerRole:
		err = runWorker(untilEnd(ctx, stdin), s, newRedis(s.redis), stdout)
	case tenantRole:
		err = serveTenant(untilEnd(ctx, stdin), s.speed, stdout)
	default:
		err = compare(ctx, s, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "example:", err)
		return exitFailed
	}
	return exitOK
}

// untilEnd returns a context that ends with ctx or when r ends.
func untilEnd(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, r)
	}()
	return ctx
}

// settings are the flags.
type settings struct {
	processes, calls int
	speed            float64
	redis            string
	alone            bool
	slack            time.Duration
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&s.processes, "processes", 20, "start `N` workers")
	flags.IntVar(&s.calls, "calls", 5000, "make `N` calls in all")
	flags.Float64Var(&s.speed, "speed", 1, "the tenant's clock runs `N` times as fast, so that its 10 s take 10/N s")
	flags.StringVar(&s.redis, "redis", "127.0.0.1:6379", "`ADDRESS` of Redis; several of a Cluster are separated by commas")
	flags.BoolVar(&s.alone, "alone", false, "the workers share nothing")
	flags.DurationVar(&s.slack, "slack", 0, "Options.Slack; 0 selects the default")
	if err := flags.Parse(args); err != nil {
		return settings{}, err
	}
	problem := ""
	switch {
	case flags.NArg() > 0:
		problem = "unexpected argument " + strconv.Quote(flags.Arg(0)) + ": use only flags"
	case s.processes < 1 || s.calls < s.processes:
		problem = "use at least one process, and at least one call for each"
	case s.speed < 1 || s.speed > 100:
		problem = "use a -speed from 1 to 100"
	}
	if problem != "" {
		fmt.Fprintln(stderr, "example:", problem)
		flags.Usage()
		return settings{}, errors.New(problem)
	}
	return s, nil
}

// arguments returns the flags of a worker that makes some of the calls.
func (s settings) arguments(calls int) []string {
	return []string{
		workerRole, "-processes=1", fmt.Sprint("-calls=", calls), fmt.Sprint("-speed=", s.speed),
		"-redis=" + s.redis, fmt.Sprint("-alone=", s.alone), fmt.Sprint("-slack=", s.slack),
	}
}

// compare starts the processes, waits until all calls are made and prints what
// they cost.
func compare(ctx context.Context, s settings, stdout io.Writer) error {
	if !s.alone {
		if err := ping(ctx, s.redis); err != nil {
			return fmt.Errorf("no Redis at %s: start one, for example with redis-server, or use -alone: %w", s.redis, err)
		}
	}
	tenant, err := startTenant(ctx, s.speed)
	if err != nil {
		return err
	}
	defer tenant.stop()
	start := time.Now()
	reports, err := work(ctx, s, tenant.environment)
	if err != nil {
		return err
	}
	wall := time.Since(start)
	log, err := tenant.requests(ctx)
	if err != nil {
		return err
	}
	m := measure(log)
	printResult(stdout, s, m, reports, wall)
	if s.alone {
		return nil
	}
	return m.missed(s.calls)
}

// work makes the calls in worker processes.
func work(ctx context.Context, s settings, environment []string) ([]report, error) {
	var workers []*process
	defer func() {
		for _, w := range workers {
			w.stop()
		}
	}()
	for i := range s.processes {
		calls := s.calls / s.processes
		if i < s.calls%s.processes {
			calls++
		}
		w, err := startProcess(ctx, append(environment, workerEnv(i)), s.arguments(calls)...)
		if err != nil {
			return nil, err
		}
		workers = append(workers, w)
	}
	reports := make([]report, len(workers))
	for i, w := range workers {
		if err := w.read(&reports[i]); err != nil {
			return nil, fmt.Errorf("worker %d: %w", i, err)
		}
	}
	return reports, nil
}

// printResult prints the numbers in words, and then in one line.
func printResult(w io.Writer, s settings, m measured, reports []report, wall time.Duration) {
	kind := "one fleet"
	if s.alone {
		kind = "their own"
	}
	least, most := reports[0].calls(), 0
	failed := map[string]int{}
	successful := 0
	for _, r := range reports {
		least, most = min(least, r.calls()), max(most, r.calls())
		successful += r.Successful
		for text, n := range r.Failed {
			failed[text] += n
		}
	}
	fmt.Fprintf(w, "processes       %d, each with %s calls, on %s\n", s.processes, between(least, most), kind)
	fmt.Fprintf(w, "calls           %d successful, %d failed\n", successful, sum(failed))
	for _, text := range slices.Sorted(maps.Keys(failed)) {
		fmt.Fprintf(w, "                %d: %s\n", failed[text], text)
	}
	fmt.Fprintf(w, "requests        %d, of which %d got a 429\n", m.requests, m.status429)
	fmt.Fprintf(w, "in any 10 s     at most %d requests, by the tenant's clock\n", m.window)
	fmt.Fprintf(w, "bearers         fetched %d times\n", m.fetches)
	fmt.Fprintf(w, "wall time       %.1f s, with a tenant whose clock runs %g times as fast\n", wall.Seconds(), s.speed)
	fmt.Fprintln(w, m)
}

func between(least, most int) string {
	if least == most {
		return strconv.Itoa(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

func sum(counts map[string]int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

// String returns the last line.
func (m measured) String() string {
	return fmt.Sprintf("requests=%d status429=%d window=%d fetches=%d", m.requests, m.status429, m.window, m.fetches)
}

// missed returns an error if a fleet that made so many calls didn't reach its
// goal.
func (m measured) missed(calls int) error {
	var problems []string
	if m.requests != calls {
		problems = append(problems, fmt.Sprintf("%d calls took %d requests", calls, m.requests))
	}
	if m.successful != calls {
		problems = append(problems, fmt.Sprintf("%d of %d calls were successful", m.successful, calls))
	}
	if m.status429 > 0 {
		problems = append(problems, fmt.Sprintf("%d requests got a 429", m.status429))
	}
	if m.window > limitRequests {
		problems = append(problems, fmt.Sprintf("the fleet sent %d requests in one window", m.window))
	}
	if m.fetches > 1 {
		problems = append(problems, fmt.Sprintf("the fleet fetched %d bearers", m.fetches))
	}
	if problems == nil {
		return nil
	}
	return errors.New(strings.Join(problems, ", "))
}

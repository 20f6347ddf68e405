// Command benchmarks prints the tables of its README. It measures all of them
// in one run. In each round every way takes its turn, so other load on the
// machine affects all of them alike. A ratio is the median of the ratios of the
// rounds.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 31, "read each list of 10,000 tokens this often; other measurements scale with it")
	most := flag.Int("most", 1_000_000, "tokens in the largest list of the growth table")
	flag.Parse()
	if err := run(context.Background(), *rounds, *most); err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds, most int) error {
	server := newServer()
	defer server.Close()
	fmt.Printf("%s, %s/%s, %d CPUs, medians of %d rounds\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), rounds)
	for _, table := range []func(context.Context, string, int) error{printLists, printSizes, printCalls, printParallel} {
		if err := table(ctx, server.URL, rounds); err != nil {
			return err
		}
	}
	return printGrowth(ctx, server.URL, rounds, most)
}

// sample is the cost of one way in one round.
type sample struct {
	elapsed       time.Duration
	allocs, bytes float64
}

// measure runs f n times. It collects garbage first, so that f doesn't pay for
// earlier ways.
func measure(n int, f func() error) (sample, error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	for range n {
		if err := f(); err != nil {
			return sample{}, err
		}
	}
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	return sample{
		elapsed / time.Duration(n),
		float64(after.Mallocs-before.Mallocs) / float64(n),
		float64(after.TotalAlloc-before.TotalAlloc) / float64(n),
	}, nil
}

// inTurns measures each of fs in rounds, n runs at a time. The first round only
// warms up. The result is indexed by f and round.
func inTurns(rounds, n int, fs ...func() error) ([][]sample, error) {
	samples := make([][]sample, len(fs))
	for round := range rounds + 1 {
		for i := range fs {
			i = (i + round) % len(fs) // so that no way always follows the same other one
			s, err := measure(n, fs[i])
			if err != nil {
				return nil, err
			}
			if round > 0 {
				samples[i] = append(samples[i], s)
			}
		}
	}
	return samples, nil
}

func median[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}

func medianOf[T cmp.Ordered](samples []sample, of func(sample) T) T {
	values := make([]T, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	return median(values)
}

func elapsed(s sample) time.Duration { return s.elapsed }
func allocs(s sample) float64        { return s.allocs }
func allocated(s sample) float64     { return s.bytes }

// ratio returns the median of the ratios of a's time to b's.
func ratio(a, b []sample) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = float64(a[i].elapsed) / float64(b[i].elapsed)
	}
	return median(ratios)
}

// reads returns functions that run the ways and check the number of tokens.
func reads(ctx context.Context, ways []way, want int) []func() error {
	fs := make([]func() error, len(ways))
	for i, w := range ways {
		fs[i] = func() error {
			n, err := w.run(ctx)
			if err == nil && n != want && w.name != wayNothing {
				err = fmt.Errorf("%s: %d tokens instead of %d", w.name, n, want)
			}
			return err
		}
	}
	return fs
}

func printLists(ctx context.Context, url string, rounds int) error {
	const n = 10_000

	var fs []func() error // List and All for each shape
	for _, shape := range shapes {
		ways, err := waysToList(url + listPath(shape, n))
		if err != nil {
			return err
		}
		samples, err := inTurns(rounds, 1, reads(ctx, ways, n)...)
		if err != nil {
			return err
		}
		fmt.Printf("\nA list of 10,000 tokens, %s:\n\n| way | ms | relative to goccy | allocations per token | bytes per token |\n|---|---|---|---|---|\n", shape)
		for i, w := range ways {
			fmt.Printf("| %s | %.1f | %.2f | %.1f | %.0f |\n", w.name, medianOf(samples[i], elapsed).Seconds()*1e3,
				ratio(samples[i], samples[0]), medianOf(samples[i], allocs)/n, medianOf(samples[i], allocated)/n)
		}
		fs = append(fs, reads(ctx, ways[1:3], n)...)
	}

	flat, err := inTurns(rounds, 1, fs...)
	if err != nil {
		return err
	}
	fmt.Printf("\nThe same, relative to a list of usual tokens:\n\n| body | List | All |\n|---|---|---|\n")
	for i, shape := range shapes {
		fmt.Printf("| %s | %.2f | %.2f |\n", shape, ratio(flat[2*i], flat[0]), ratio(flat[2*i+1], flat[1]))
	}
	return nil
}

func printSizes(ctx context.Context, url string, rounds int) error {
	fmt.Printf("\nTime relative to goccy's, by size:\n\n| tokens | List | All | encoding/json | json/v2 | sonic | discarded |\n|---|---|---|---|---|---|---|\n")
	for _, n := range []int{1, 100, 10_000, 100_000} {
		ways, err := waysToList(url + listPath(usual, n))
		if err != nil {
			return err
		}
		samples, err := inTurns(max(rounds*10_000/max(n, 10_000), 5), max(1, 1000/n), reads(ctx, ways, n)...)
		if err != nil {
			return err
		}
		r := func(i int) float64 { return ratio(samples[i], samples[0]) }
		fmt.Printf("| %d | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |\n", n, r(1), r(2), r(4), r(5), r(6), r(3))
	}
	return nil
}

func printCalls(ctx context.Context, url string, rounds int) error {
	const n = 500
	calls, err := calls(url)
	if err != nil {
		return err
	}
	fmt.Printf("\nOne call, compared with net/http and json/v2 by hand:\n\n| call | µs | by hand | ratio | allocations | by hand |\n|---|---|---|---|---|---|\n")
	for _, c := range calls {
		samples, err := inTurns(rounds, n, func() error { return c.client(ctx) }, func() error { return c.byHand(ctx) })
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Printf("| %s | %.0f | %.0f | %.2f | %.0f | %.0f |\n", c.name,
			medianOf(samples[0], elapsed).Seconds()*1e6, medianOf(samples[1], elapsed).Seconds()*1e6,
			ratio(samples[0], samples[1]), medianOf(samples[0], allocs), medianOf(samples[1], allocs))
	}
	return nil
}

func printParallel(ctx context.Context, url string, rounds int) error {
	const goroutines, each = 64, 50
	calls, err := calls(url)
	if err != nil {
		return err
	}
	fmt.Printf("\n64 goroutines at once:\n\n| call | calls per second | by hand | ratio |\n|---|---|---|---|\n")
	for _, c := range calls {
		samples, err := inTurns(rounds, 1, atOnce(goroutines, each, func() error { return c.client(ctx) }),
			atOnce(goroutines, each, func() error { return c.byHand(ctx) }))
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		rate := func(s []sample) float64 { return goroutines * each / medianOf(s, elapsed).Seconds() }
		fmt.Printf("| %s | %.0f | %.0f | %.2f |\n", c.name, rate(samples[0]), rate(samples[1]), ratio(samples[1], samples[0]))
	}
	return nil
}

// atOnce returns a function that calls f in many goroutines, several times in
// each.
func atOnce(goroutines, each int, f func() error) func() error {
	return func() error {
		var group sync.WaitGroup
		errs := make([]error, goroutines)
		for i := range goroutines {
			group.Go(func() {
				for range each {
					errs[i] = cmp.Or(errs[i], f())
				}
			})
		}
		group.Wait()
		return errors.Join(errs...)
	}
}

// printGrowth shows that the cost of a token doesn't depend on the length of
// the list.
func printGrowth(ctx context.Context, url string, rounds, most int) error {
	fmt.Printf("\nHow the cost grows:\n\n| tokens | List ns per token | allocated bytes per token | peak heap, MiB | All ns per token | allocated bytes per token | peak heap, MiB |\n|---|---|---|---|---|---|---|\n")
	for n := 100; n <= most; n *= 10 {
		ways, err := waysToList(url + listPath(usual, n))
		if err != nil {
			return err
		}
		fs := reads(ctx, ways[1:3], n)
		samples, err := inTurns(max(3, min(rounds, rounds*10_000/n)), max(1, 10_000/n), fs...)
		if err != nil {
			return err
		}
		fmt.Printf("| %d ", n)
		for i, s := range samples {
			peak, err := peakHeap(fs[i])
			if err != nil {
				return err
			}
			fmt.Printf("| %d | %.0f | %.1f ", medianOf(s, elapsed).Nanoseconds()/int64(n), medianOf(s, allocated)/float64(n), float64(peak)/(1<<20))
		}
		fmt.Println("|")
	}
	return nil
}

// peakHeap returns the largest growth of the heap while f ran. It includes
// garbage that was not collected yet.
func peakHeap(f func() error) (uint64, error) {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	before := stats.HeapAlloc
	var peak atomic.Uint64
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for running := true; running; {
			select {
			case <-done:
				running = false
			case <-time.After(5 * time.Millisecond):
			}
			runtime.ReadMemStats(&stats)
			peak.Store(max(peak.Load(), stats.HeapAlloc))
		}
	}()
	err := f()
	close(done)
	<-watched
	return peak.Load() - min(before, peak.Load()), err
}

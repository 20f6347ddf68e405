package main

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The benchmarks are for benchstat and profiles. main prints the README's
// tables.

func serve(tb testing.TB) string {
	tb.Helper()
	server := newServer()
	tb.Cleanup(server.Close)
	return server.URL
}

func BenchmarkList(b *testing.B) {
	url := serve(b)
	for _, shape := range append(slices.Clone(shapes), full) {
		for _, n := range []int{1, 100, 10_000, 100_000} {
			if shape != usual && n != 10_000 {
				continue
			}
			ways, err := waysToList(url + listPath(shape, n))
			require.NoError(b, err)
			for _, way := range ways {
				b.Run(fmt.Sprintf("body=%s/tokens=%d/way=%s", shape, n, way.name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if _, err := way.run(b.Context()); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/token")
				})
			}
		}
	}
}

type caller struct {
	name string
	run  func(context.Context) error
}

func (c *call) both() []caller { return []caller{{"client", c.client}, {"hand", c.byHand}} }

func BenchmarkCall(b *testing.B) {
	calls, err := calls(serve(b))
	require.NoError(b, err)
	for _, call := range calls {
		for _, by := range call.both() {
			b.Run(fmt.Sprintf("call=%s/by=%s", call.name, by.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := by.run(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkParallel(b *testing.B) {
	calls, err := calls(serve(b))
	require.NoError(b, err)
	for _, call := range calls {
		for _, by := range call.both() {
			b.Run(fmt.Sprintf("call=%s/by=%s", call.name, by.name), func(b *testing.B) {
				b.SetParallelism(32) // times GOMAXPROCS
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := by.run(b.Context()); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// TestWaysAgree checks that all compared ways read the same tokens.
func TestWaysAgree(t *testing.T) {
	url := serve(t)
	for _, shape := range shapes {
		ways, err := waysToList(url + listPath(shape, 2500))
		require.NoError(t, err)
		for _, way := range ways {
			n, err := way.run(t.Context())
			require.NoError(t, err, way.name)
			if way.name != wayNothing {
				require.Equal(t, 2500, n, way.name)
			}
		}
	}
	calls, err := calls(url)
	require.NoError(t, err)
	for _, call := range calls {
		for _, by := range call.both() {
			require.NoError(t, by.run(t.Context()), call.name)
		}
	}
}

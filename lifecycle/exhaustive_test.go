package lifecycle_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/internal/sampletest"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// job is the operation that a process repeats.
type job struct {
	begin func(t *testing.T, w *world) // nil starts with an empty store
	run   func(t *testing.T, p *process) (*lifecycle.Result, error)
}

func adopted(_ *testing.T, w *world) { w.adopt() }

// issued is a store that an earlier run wrote.
func issued(t *testing.T, w *world) {
	t.Helper()
	_, err := issueJob(t, &process{w: w})
	require.NoError(t, err)
	<-time.After(2 * day)
}

var jobs = map[string]job{
	"issue":      {nil, issueJob},
	"rotate":     {adopted, rotateJob(daily)},
	"rotate own": {issued, rotateOwn},
	"grace":      {adopted, rotateJob(withGrace)},
	"after grace": {func(t *testing.T, w *world) {
		t.Helper()
		w.adopt()
		result, err := rotateJob(withGrace)(t, &process{w: w})
		require.NoError(t, err)
		require.Equal(t, lifecycle.OutcomePending, result.Outcome)
		<-time.After(grace)
	}, rotateJob(withGrace)},
}

// attempt runs the job once, and checks what must hold after any failure.
func attempt(t *testing.T, j job, p *process) (*lifecycle.Result, error) {
	t.Helper()
	var before []string
	for _, token := range p.w.made() {
		before = append(before, token.ID)
	}
	result, err := j.run(t, p)
	synctest.Wait()
	require.Equal(t, err != nil, result == nil, "exactly one of result and error must be set")
	if err != nil {
		var failure *lifecycle.Error
		require.ErrorAs(t, err, &failure)
		require.NotEmpty(t, failure.Next)
		require.NotEmpty(t, failure.Step)
		if failure.Stored.Known && !p.beside && !p.loaded(isStale) {
			require.Equal(t, p.w.truth().ID, failure.Stored.ID, "%v", err)
		}
	} else {
		require.Equal(t, p.w.truth().ID, result.Token.ID)
	}
	left := leftovers(result, err)
	for range 2 { // now, and after late calls took effect
		if !p.beside {
			require.Empty(t, p.w.unnamed(before, left), "%s\n%v\n%+v", strings.Join(p.trace, ", "), err, result)
		}
		p.w.check("the run")
		<-time.After(time.Minute)
	}
	require.Empty(t, p.w.broken, strings.Join(p.trace, ", "))
	if p.w.truth().ID != "" {
		require.NoError(t, p.w.works(), strings.Join(p.trace, ", "))
	}
	return result, err
}

// mend makes one clean run, and another after the grace time if there is one.
// One token must be left, with its secret stored.
func mend(t *testing.T, w *world, j job, how string) {
	t.Helper()
	if !w.versions {
		<-time.After(16 * time.Minute)
	}
	result, err := attempt(t, j, &process{w: w})
	require.NoError(t, err, how)
	if result.Outcome == lifecycle.OutcomePending {
		require.Len(t, w.made(), 2+len(result.Left), how)
		<-time.After(time.Until(result.RetireAt))
		result, err = attempt(t, j, &process{w: w})
		require.NoError(t, err, how)
	}
	made := w.made()
	require.Len(t, made, 1, "%s\n%+v", how, result)
	require.Equal(t, jobName, made[0].Name, how)
	require.Equal(t, w.truth().ID, made[0].ID, how)
	require.Empty(t, result.Left, how)
	result, err = attempt(t, j, &process{w: w})
	require.NoError(t, err, how)
	require.Equal(t, lifecycle.OutcomeUnchanged, result.Outcome, how)
	require.NotEqual(t, lifecycle.OutcomePending, result.Outcome)
}

// TestEveryFaultAndEveryCrash tries each kind of fault at each call, and a
// crash before each later call. A clean run must then repair everything. The
// stored secret must always work, no token of a person may change, and each run
// must report what it leaves. By default the crashes are a sample.
func TestEveryFaultAndEveryCrash(t *testing.T) {
	for name, j := range jobs {
		for _, versions := range []bool{true, false} {
			for _, f := range []fault{none, rejects, hides, fails, loses, isLate, isMuchLater, cut, isStale, isSlow, conflicts} {
				t.Run(fmt.Sprintf("%s/versions %t/%s", name, versions, f), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { enumerate(t, j, versions, f) })
				})
			}
		}
	}
}

func enumerate(t *testing.T, j job, versions bool, f fault) {
	t.Helper()
	runs := 0
	world := func() *world {
		runs++
		w := newWorld(versions)
		if j.begin != nil {
			j.begin(t, w)
		}
		return w
	}
	try := func(at, crash int) *process {
		w := world()
		p := &process{w: w, faults: map[int]fault{at: f}, crashAt: crash}
		_, err := attempt(t, j, p)
		if crash == 0 && !p.met {
			require.NoError(t, err)
		}
		mend(t, w, j, strings.Join(p.trace, ", "))
		return p
	}
	first, step := sampletest.Choose(t, 24)
	atStep := (step + 1) / 2 // 1 if every case runs
	for at := 1 + first%atStep; ; at += atStep {
		p := try(at, 0)
		calls := p.calls
		for crash := at + 1 + (first+at)%step; crash <= calls && (f == none || p.met); crash += step {
			p = try(at, crash)
		}
		if calls < at || f == none {
			break
		}
	}
	t.Log(runs, "worlds")
}

// TestTwoInstances runs a second instance before each call of the first. Either
// crashes before each call, or the first has a fault. By default the crashes
// and the faults are a sample.
func TestTwoInstances(t *testing.T) {
	for name, j := range jobs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first, step := sampletest.Choose(t, 16)
				atStep := (step + 3) / 4 // 1 if every case runs
				for at := 1 + first%atStep; ; at += atStep {
					offset := (first + at) % step
					alone, _ := twoInstances(t, j, at, 0, 0, nil)
					for crash := 1 + offset; ; crash += step { // of the second
						if _, second := twoInstances(t, j, at, 0, crash, nil); second.calls < crash {
							break
						}
					}
					for crash := at + 1 + offset; ; crash += step { // of the first
						if first, _ := twoInstances(t, j, at, crash, 0, nil); first.calls < crash {
							break
						}
					}
					for _, f := range []fault{fails, loses, isLate} { // of the first
						for call := 1 + offset; call < at; call += step {
							twoInstances(t, j, at, 0, 0, map[int]fault{call: f})
						}
					}
					if alone.calls < at {
						break
					}
				}
			})
		})
	}
}

func twoInstances(t *testing.T, j job, at, firstCrash, secondCrash int, faults map[int]fault) (first, second *process) {
	t.Helper()
	w := newWorld(true)
	if j.begin != nil {
		j.begin(t, w)
	}
	second = &process{w: w, crashAt: secondCrash}
	var secondLeft []lifecycle.Leftover
	first = &process{w: w, beside: true, crashAt: firstCrash, faults: faults, before: func(call int) {
		if call == at {
			secondLeft = leftovers(j.run(t, second))
		}
	}}
	result, err := attempt(t, j, first)
	left := leftovers(result, err)
	how := fmt.Sprintf("first: %s\nsecond: %s\n%v", strings.Join(first.trace, ", "), strings.Join(second.trace, ", "), err)
	var old []string
	if j.begin != nil {
		for _, token := range w.made() {
			if token.Name == jobName {
				old = append(old, token.ID)
			}
		}
	}
	require.Empty(t, w.unnamed(old, left, secondLeft), how)
	mend(t, w, j, how)
	return first, second
}

// TestContextEndsBeforeEachCall checks that a new token that is not stored is
// deleted even if the context ends.
func TestContextEndsBeforeEachCall(t *testing.T) {
	for name, j := range jobs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for at := 1; ; at++ {
					w := newWorld(true)
					if j.begin != nil {
						j.begin(t, w)
					}
					began := len(w.made())
					ctx, cancel := context.WithCancel(t.Context())
					p := &process{w: w, ctx: ctx, before: func(call int) {
						if call == at {
							cancel()
						}
					}}
					_, err := attempt(t, j, p)
					cancel()
					how := strings.Join(p.trace, ", ")
					if err != nil {
						require.ErrorIs(t, err, context.Canceled, how)
					}
					if p.like["Save"] == 0 {
						require.LessOrEqual(t, len(w.made()), began, how)
					}
					mend(t, w, j, how)
					if p.calls < at {
						break
					}
				}
			})
		})
	}
}

// TestRandomInterleavings lets two instances make one call at a time. A seed
// selects their order, faults and crashes.
func TestRandomInterleavings(t *testing.T) {
	for name, j := range jobs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first, step := sampletest.Choose(t, 16)
				for n := first; n < walks; n += step {
					walk(t, j, uint64(n))
				}
			})
		})
	}
}

const walks = 100 // per job

func walk(t *testing.T, j job, seed uint64) {
	t.Helper()
	w := newWorld(true)
	if j.begin != nil {
		j.begin(t, w)
	}
	var before []string
	for _, token := range w.made() {
		before = append(before, token.ID)
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	kinds := []fault{rejects, hides, fails, loses, isLate, isMuchLater, cut, isStale, isSlow, conflicts}
	var trace []string
	faults := 2
	gates := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	var waiting [2]atomic.Bool
	var running atomic.Int32
	var lefts [2][]lifecycle.Leftover
	for i := range gates {
		p := &process{w: w, faults: map[int]fault{}}
		p.before = func(call int) {
			waiting[i].Store(true)
			<-gates[i]
			switch n := rng.IntN(40); {
			case n == 0:
				p.crashAt = call
			case n < 8 && faults > 0:
				faults--
				p.faults[call] = kinds[rng.IntN(len(kinds))]
			}
			trace = append(trace, fmt.Sprint("AB"[i:i+1], " ", p.next, " ", p.faults[call], map[bool]string{true: "crash"}[p.crashAt == call]))
		}
		waiting[i].Store(true)
		running.Add(1)
		go func() {
			<-gates[i]
			result, err := j.run(t, p)
			lefts[i] = leftovers(result, err)
			running.Add(-1)
		}()
	}
	for synctest.Wait(); running.Load() > 0; synctest.Wait() {
		i := rng.IntN(2)
		if !waiting[i].Load() {
			i = 1 - i
		}
		if waiting[i].Swap(false) {
			gates[i] <- struct{}{}
		} else {
			<-time.After(50 * time.Millisecond)
		}
	}
	how := fmt.Sprintf("seed %d: %s", seed, strings.Join(trace, ", "))
	for range 2 {
		require.Empty(t, w.unnamed(before, lefts[0], lefts[1]), how)
		w.check("both")
		require.Empty(t, w.broken, how)
		<-time.After(time.Minute)
	}
	if w.truth().ID != "" {
		require.NoError(t, w.works(), how)
	}
	mend(t, w, j, how)
}

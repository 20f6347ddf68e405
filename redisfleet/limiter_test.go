package redisfleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// short are the settings of most tests. The slack is long, because machines that
// run tests may be busy.
var short = Options{Limit: 5, Window: 300 * time.Millisecond, Slack: 400 * time.Millisecond}

func fill(t *testing.T, l *limiter) {
	t.Helper()
	for range l.limit {
		require.NoError(t, l.Wait(t.Context()))
	}
}

// within returns a context with a deadline.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestScheduleNeverExceedsTheLimit runs limiter.lua in virtual time, in random
// schedules of late confirmations, cancelled waits, repeated messages, 429s,
// restarts, failovers, evictions and clocks that are set back.
func TestScheduleNeverExceedsTheLimit(t *testing.T) {
	t.Parallel()
	schedules := 30
	if os.Getenv("SAILPOINT_TEST_EXHAUSTIVE") != "" {
		schedules = 300
	}
	rdb := newServer(t).client(t)
	sent := 0
	for range schedules {
		seed := rand.Uint64()
		s := newSchedule(t, rdb, seed, limiterLua)
		for range 300 {
			s.step()
		}
		sent += len(s.arrivals)
		require.LessOrEqual(t, s.most(), s.limit, "seed %d", seed)
	}
	require.Greater(t, sent, 20*schedules, "the schedules send too little to show anything")
}

// TestSchedulesFindFaultsInTheScript shows that the schedules would find an error.
func TestSchedulesFindFaultsInTheScript(t *testing.T) {
	t.Parallel()
	rdb := newServer(t).client(t)
	for name, edit := range map[string][2]string{
		"no hold after a start":      {"isNew or new or", "isNew or"},
		"no hold after a promotion":  {"promoted or clockWasSetBack", "clockWasSetBack"},
		"no hold after a loss":       {"epoch = now\n", "epoch = isNew and 0 or now\n"},
		"no hold after a set clock":  {"epoch = now\n", "epoch = clockWasSetBack and 0 or now\n"},
		"late turns are confirmed":   {"now <= due + tolerance", "true"},
		"too few turns count":        {"latest(limit)", "latest(limit + 1)"},
		"turns don't count for long": {"or window)", "or window / 2)"},
		"a window without the slack": {"latest(limit) + window", "latest(limit) + window * 0.8"},
		"another turn is given back": {"'ZREM', turns, id)", "'ZPOPMAX', turns)"},
		"a used turn is given back":  {"if patience < 0 then", "if due then"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, 1, strings.Count(limiterLua, edit[0]), "the edit fits")
			faulty := strings.Replace(limiterLua, edit[0], edit[1], 1)
			for range 500 {
				s := newSchedule(t, rdb, rand.Uint64(), faulty)
				for range 300 {
					s.step()
				}
				if s.most() > s.limit {
					return
				}
			}
			require.Fail(t, "no schedule found the error")
		})
	}
}

// TestHeldBackRequestsDoNotFollowEachOtherAtOnce shows that they are one interval
// apart after a 429, although no turns are in Redis. A window later they aren't.
func TestHeldBackRequestsDoNotFollowEachOtherAtOnce(t *testing.T) {
	t.Parallel()
	s := newSchedule(t, newServer(t).client(t), 1, limiterLua)
	ask := func() (verdict, wait int64) {
		numbers := s.run(s.newCall(), 0, s.window)
		return numbers[0], numbers[1]
	}
	s.run(s.newCall(), 0, 0)
	s.now += 2 * s.window
	s.run(waiter{}, s.window, 0)
	verdict, wait := ask()
	require.EqualValues(t, verdictHeld, verdict)
	require.Equal(t, s.window, wait)
	s.now += s.window
	for i := range int64(3) {
		_, wait := ask()
		require.Equal(t, i*s.window/int64(s.limit), wait)
	}
	s.now += 2 * s.window
	for range 3 {
		verdict, _ := ask()
		require.EqualValues(t, verdictSend, verdict)
	}
}

// TestClockThatIsSetAheadVoidsGrants shows that a member that waits notices it.
// The fleet then waits for a window.
func TestClockThatIsSetAheadVoidsGrants(t *testing.T) {
	t.Parallel()
	rdb := newServer(t).client(t)
	for parts, isVoid := range map[int64]bool{5: false, 2: true} { // of a window
		s := newSchedule(t, rdb, uint64(parts), limiterLua)
		s.run(s.newCall(), 0, 0)
		s.now += 2 * s.window
		for range s.limit {
			require.EqualValues(t, verdictSend, s.run(s.newCall(), 0, 0)[0])
		}
		var waiting [2]waiter
		for i := range waiting {
			waiting[i] = s.newCall()
			reserved := s.run(waiting[i], 0, 3*s.window)
			require.EqualValues(t, verdictConfirm, reserved[0])
			waiting[i].at, waiting[i].expected, waiting[i].epoch = s.now+reserved[1], reserved[2], reserved[3]
		}
		s.now = waiting[0].at
		s.ahead += s.window / parts
		asked := s.run(waiting[0], 0, 3*s.window)
		require.Equal(t, isVoid, asked[1] >= s.window, "%d", asked[1])
		s.now += s.window
		waiting[1].expected += s.now - waiting[1].at
		require.Less(t, s.run(waiting[1], 0, 3*s.window)[1], s.window, "there is one hold")
	}
}

// schedule is a fleet in virtual time. Times are in microseconds.
type schedule struct {
	t      *testing.T
	random *rand.Rand
	rdb    *redis.Client
	text   string
	keys   []string

	limit                    int
	window, slack, tolerance int64

	now      int64 // true time
	ahead    int64 // of the server's clock
	loaded   bool  // the server knows the script
	history  int   // number of the primary's history
	snapshot [2]string
	calls    int
	waiting  []waiter
	gone     []waiter // those that have given their turn back
	asked    []waiter
	arrivals []int64
}

// waiter is a call whose turn is later.
type waiter struct {
	at, expected, epoch int64
	id                  string
}

func newSchedule(t *testing.T, rdb *redis.Client, seed uint64, text string) *schedule {
	s := &schedule{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), rdb: rdb, keys: []string{fmt.Sprint("schedule:", seed), fmt.Sprint("turns:", seed)},
		now: time.Now().UnixMicro(), window: 10_000_000, limit: 2 + int(seed%5),
	}
	s.slack = s.window / 10
	s.tolerance = s.slack / 4
	for _, edit := range [][2]string{
		{"redis.call('TIME')", "{ARGV[12], ARGV[13]}"},
		{"redis.pcall('INFO', 'replication')", "ARGV[14]"},
	} {
		require.Equal(t, 1, strings.Count(text, edit[0]), "the edit fits")
		text = strings.Replace(text, edit[0], edit[1], 1)
	}
	s.text = text
	return s
}

func (s *schedule) clock() int64 { return s.now + s.ahead }

func (s *schedule) newCall() waiter {
	s.calls++
	return waiter{id: fmt.Sprint("call ", s.calls)}
}

func (s *schedule) upTo(d int64) int64 { return s.random.Int64N(max(d, 1)) }

// step is a random event.
func (s *schedule) step() {
	switch n := s.random.IntN(100); {
	case n < 60:
		s.call(s.newCall(), 0, s.upTo(3*s.window))
	case n < 62:
		s.call(waiter{}, 1+s.upTo(s.window/2), 0)
	case n < 64: // a restart without data, after which another fleet may load the script
		s.loaded = s.random.IntN(2) == 0
		s.restore([2]string{})
	case n < 66: // a restart with old data
		s.loaded = false
		s.restore(s.snapshot)
	case n < 68: // a failover that loses the last writes, to a server that knows the script
		s.history++
		s.restore(s.snapshot)
	case n < 70:
		s.ahead -= s.tolerance + s.upTo(3*s.window)
	case n < 76:
		for i, key := range s.keys {
			s.snapshot[i] = s.rdb.Dump(s.t.Context(), key).Val()
		}
	case n < 84 && len(s.waiting) > 0: // a wait is cancelled, or its process ends
		i := s.random.IntN(len(s.waiting))
		w := s.waiting[i]
		s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
		if s.random.IntN(4) > 0 {
			s.run(w, 0, -1)
			s.gone = append(s.gone, w)
		}
	case n < 94:
		s.repeat()
	case n < 95: // one of the keys is evicted
		require.NoError(s.t, s.rdb.Del(s.t.Context(), s.keys[s.random.IntN(2)]).Err())
	}
	s.advance(s.now + s.upTo(s.window/4))
}

// repeat is a message that the network repeats. Its response is lost.
func (s *schedule) repeat() {
	recent := s.asked[max(0, len(s.asked)-s.limit):]
	switch {
	case len(s.gone) > 0 && s.random.IntN(4) == 0:
		s.run(s.gone[s.random.IntN(len(s.gone))], 0, -1)
	case len(recent) > 0:
		s.run(recent[s.random.IntN(len(recent))], 0, s.random.Int64N(2)*s.upTo(s.window))
	}
}

// advance passes the time, and confirms what is due.
func (s *schedule) advance(to int64) {
	for {
		first := -1
		for i, w := range s.waiting {
			if w.at <= to && (first < 0 || w.at < s.waiting[first].at) {
				first = i
			}
		}
		if first < 0 {
			s.now = to
			return
		}
		w := s.waiting[first]
		s.waiting = append(s.waiting[:first], s.waiting[first+1:]...)
		s.now = max(s.now, w.at)
		s.call(w, 0, 3*s.window)
	}
}

// run runs the script.
func (s *schedule) run(w waiter, hold, patience int64) []int64 {
	numbers, err := s.rdb.Eval(s.t.Context(), s.text, s.keys,
		s.limit, s.window+s.slack, s.window/int64(s.limit), s.tolerance, patience,
		w.id, w.expected, w.epoch, hold, 0, !s.loaded,
		s.clock()/1_000_000, s.clock()%1_000_000, fmt.Sprintf("master_replid:%x", s.history+1)).Int64Slice()
	require.NoError(s.t, err)
	s.loaded = true
	return numbers
}

// call runs the script as a member does.
func (s *schedule) call(w waiter, hold, patience int64) {
	if hold == 0 {
		s.asked = append(s.asked, w)
	}
	numbers := s.run(w, hold, patience)
	verdict, wait := numbers[0], numbers[1]
	switch verdict {
	case verdictSend: // the response and the request take some time
		s.arrivals = append(s.arrivals, s.now+s.upTo(s.tolerance)+s.upTo(s.slack/2))
	case verdictConfirm:
		late := s.upTo(s.tolerance / 2)
		if s.random.IntN(10) == 0 {
			late = s.upTo(s.window) // the process stood still
		}
		s.waiting = append(s.waiting, waiter{s.now + wait + late, numbers[2] + late, numbers[3], w.id})
	}
}

// restore replaces the server's data. Without data it knows nothing.
func (s *schedule) restore(data [2]string) {
	require.NoError(s.t, s.rdb.Del(s.t.Context(), s.keys...).Err())
	for i, key := range s.keys {
		if data[i] != "" {
			require.NoError(s.t, s.rdb.Restore(s.t.Context(), key, 0, data[i]).Err())
		}
	}
}

func (s *schedule) most() int {
	list := make([]time.Time, len(s.arrivals))
	for i, at := range s.arrivals {
		list[i] = time.UnixMicro(at)
	}
	return mostIn(time.Duration(s.window)*time.Microsecond, list)
}

// TestMembersNeverExceedTheLimit runs members in real time, with random
// deadlines, cancellations, 429s, lost scripts and a clock that is set back.
func TestMembersNeverExceedTheLimit(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	rdb := s.client(t)
	cfg := sailpointtest.NewTenant().Config()
	var (
		sent, refused moments
		callers       sync.WaitGroup
	)
	end := within(t, 6*time.Second)
	for range 4 {
		l := limiterOf(t, s, cfg, short)
		for range 5 {
			callers.Go(func() {
				for end.Err() == nil {
					ctx, cancel := context.WithTimeout(end, time.Millisecond+rand.N(2*time.Second))
					if rand.N(4) == 0 {
						time.AfterFunc(rand.N(time.Second), cancel)
					}
					if err := l.Wait(ctx); err == nil {
						sent.add()
					} else {
						refused.add()
						_ = sleep(end, rand.N(50*time.Millisecond))
					}
					cancel()
					if rand.N(100) == 0 {
						l.RateLimited(t.Context(), rand.N(200*time.Millisecond))
					}
				}
			})
		}
	}
	callers.Go(func() {
		for sleep(end, time.Second) == nil {
			if rand.N(2) == 0 {
				rdb.ScriptFlush(t.Context())
			} else {
				setClockBack(t, rdb, time.Hour)
			}
		}
	})
	callers.Wait()
	t.Logf("%d sent, %d refused", len(sent.list), len(refused.list))
	require.Greater(t, len(sent.list), 5)
	require.NotEmpty(t, refused.list)
	require.LessOrEqual(t, mostIn(short.Window, sent.list), short.Limit)
}

// setClockBack moves the times that Redis has saved into the future.
func setClockBack(t *testing.T, rdb *redis.Client, by time.Duration) {
	t.Helper()
	text := `
for _, key in ipairs(redis.call('KEYS', '*:quota:*')) do
	for _, field in ipairs({'heldUntil', 'seen', 'epoch'}) do
		redis.call('HINCRBY', key, field, ARGV[1])
	end
end
for _, key in ipairs(redis.call('KEYS', '*:turns:*')) do
	for _, id in ipairs(redis.call('ZRANGE', key, 1, -1)) do
		redis.call('ZINCRBY', key, ARGV[1], id)
	end
end`
	require.ErrorIs(t, rdb.Eval(t.Context(), text, nil, by.Microseconds()).Err(), redis.Nil)
}

func TestRequestsAreServedInTheOrderInWhichTheyCame(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	cfg := sailpointtest.NewTenant().Config()
	fill(t, limiterOf(t, s, cfg, short))
	var (
		mu     sync.Mutex
		order  []int
		served moments
		calls  sync.WaitGroup
	)
	for i := range 8 {
		l := limiterOf(t, s, cfg, short)
		before := s.scriptCalls(t)
		calls.Go(func() {
			if err := l.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			served.add()
			mu.Lock()
			defer mu.Unlock()
			order = append(order, i)
		})
		require.Eventually(t, func() bool { return s.scriptCalls(t) > before }, 10*time.Second, time.Millisecond)
	}
	calls.Wait()
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7}, order)
	require.GreaterOrEqual(t, served.list[7].Sub(served.list[0]), 7*short.Window/5-short.Slack/2, "one interval apart")
}

func TestWaitBeyondTheDeadlineReservesNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	l := limiterOf(t, s, sailpointtest.NewTenant().Config(), Options{Limit: 1, Window: 2 * time.Second})
	require.NoError(t, l.Wait(t.Context()))
	started := time.Now()
	for range 5 {
		ctx := within(t, time.Second)
		err := l.Wait(ctx)
		require.NoError(t, ctx.Err(), "the call fails at once")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "the fleet's next free request is in ")
	}
	require.NoError(t, l.Wait(within(t, 10*time.Second)))
	require.Less(t, time.Since(started), 4*time.Second, "the second turn, not the seventh")
}

// TestCancelledCallsGiveTheirTurnsBack shows that a later call doesn't wait for
// them.
func TestCancelledCallsGiveTheirTurnsBack(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	l := limiterOf(t, s, sailpointtest.NewTenant().Config(), Options{Limit: 1, Window: time.Minute})
	l.giveBackTimeout = time.Minute // the machine may be busy
	require.NoError(t, l.Wait(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for range 5 {
		calls.Go(func() { assert.ErrorIs(t, l.Wait(ctx), context.Canceled) })
	}
	rdb := s.client(t)
	require.Eventually(t, func() bool { return rdb.ZCard(t.Context(), l.keys[1]).Val() == 7 }, 10*time.Second, time.Millisecond, "they wait")
	cancel()
	calls.Wait()
	v, err := l.run(t.Context(), time.Hour, "id", verdict{}, 0)
	require.NoError(t, err)
	require.LessOrEqual(t, v.wait, l.longWindow())
}

// TestScriptCallsOfAGrant counts them at Redis.
func TestScriptCallsOfAGrant(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	l := limiterOf(t, s, sailpointtest.NewTenant().Config(), Options{Limit: 1, Window: 300 * time.Millisecond, Slack: time.Second})
	require.NoError(t, l.Wait(t.Context()))
	require.Equal(t, 1, s.scriptCalls(t), "it is immediate")
	require.NoError(t, l.Wait(t.Context()))
	require.Equal(t, 3, s.scriptCalls(t), "one to reserve, one to confirm")
}

// TestVoidTurns shows when a turn isn't confirmed.
func TestVoidTurns(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		happens func(*testing.T, *server, *limiter, verdict)
		want    int64
	}{
		"nothing happens": {
			func(t *testing.T, _ *server, _ *limiter, v verdict) { require.NoError(t, sleep(t.Context(), v.wait)) }, verdictSend,
		},
		"confirmed too early": {
			func(*testing.T, *server, *limiter, verdict) {}, verdictConfirm,
		},
		"confirmed too late": {
			func(t *testing.T, _ *server, l *limiter, v verdict) {
				require.NoError(t, sleep(t.Context(), v.wait+l.tolerance()+time.Millisecond))
				fill(t, l)
			}, verdictConfirm,
		},
		"429": {
			func(t *testing.T, _ *server, l *limiter, v verdict) {
				l.RateLimited(t.Context(), time.Minute)
				require.NoError(t, sleep(t.Context(), v.wait))
			}, verdictHeld,
		},
		"restart": {
			func(t *testing.T, s *server, _ *limiter, v verdict) {
				s.Restart(t)
				require.NoError(t, sleep(t.Context(), v.wait))
			}, verdictConfirm,
		},
		"clock set back": {
			func(t *testing.T, s *server, _ *limiter, v verdict) {
				setClockBack(t, s.client(t), time.Hour)
				require.NoError(t, sleep(t.Context(), v.wait))
			}, verdictConfirm,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t).warm(t)
			l := limiterOf(t, s, sailpointtest.NewTenant().Config(), short)
			fill(t, l)
			reserved, err := l.run(t.Context(), time.Minute, "id", verdict{}, 0)
			require.NoError(t, err)
			require.EqualValues(t, verdictConfirm, reserved.kind)
			test.happens(t, s, l, reserved)
			confirmed, err := l.run(t.Context(), time.Minute, "id", reserved, 0)
			require.NoError(t, err)
			require.Equal(t, test.want, confirmed.kind)
			if test.want == verdictConfirm {
				require.Equal(t, name == "confirmed too early", confirmed.due == reserved.due)
			}
		})
	}
}

// TestResponsesThatAreTooLateLetNothingThrough shows that a member doesn't use
// a turn whose time may be over.
func TestResponsesThatAreTooLateLetNothingThrough(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	rdb := s.client(t)
	rdb.AddHook(delay(40 * time.Millisecond))
	l := limiterOf(t, s, sailpointtest.NewTenant().Config(), Options{Redis: rdb, Slack: 100 * time.Millisecond, Window: 300 * time.Millisecond})
	err := l.Wait(t.Context())
	require.EqualError(t, err, "redisfleet: Redis failed: it responds too slowly to keep to the quota: make Options.Slack longer")
	require.Equal(t, maxLateSends, s.scriptCalls(t))

	fallback := &share{}
	l.member.fallback = fallback
	started := time.Now()
	require.NoError(t, l.Wait(t.Context()))
	require.Equal(t, 1, fallback.asked)
	require.GreaterOrEqual(t, time.Since(started), l.longWindow())
}

// delay is a redis.Hook that makes each response late.
type delay time.Duration

func (delay) DialHook(next redis.DialHook) redis.DialHook { return next }

func (delay) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (d delay) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		_ = sleep(ctx, time.Duration(d))
		return err
	}
}

// Test429HoldsBackTheFleet shows that no member sends a request before the
// Retry-After that one of them received has passed.
func Test429HoldsBackTheFleet(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	tenant := sailpointtest.NewTenant()
	opts := Options{Limit: 5, Window: time.Second, Slack: time.Second}
	tenant.Inject(sailpointtest.Fault{Path: "/v2024/personal-access-tokens", Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"2"}}})
	var members sync.WaitGroup
	for range 6 {
		client := clientOf(t, s, tenant.Config(), opts)
		members.Go(func() {
			for range 3 {
				if err := list(t.Context(), client); err != nil {
					t.Error(err)
				}
			}
		})
	}
	members.Wait()
	requireStatuses(t, tenant, map[int]int{http.StatusTooManyRequests: 1, http.StatusOK: 18})
}

// TestSharedPauseIsTheErrorOfTheOthers shows what a member with a long
// Retry-After gets, and that a shorter one doesn't end it.
func TestSharedPauseIsTheErrorOfTheOthers(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	cfg := sailpointtest.NewTenant().Config()
	first, second := limiterOf(t, s, cfg, short), limiterOf(t, s, cfg, short)
	first.RateLimited(t.Context(), time.Hour)
	first.RateLimited(t.Context(), time.Minute)
	first.RateLimited(t.Context(), 0)
	var limited *sailpoint.Error
	require.ErrorAs(t, second.Wait(t.Context()), &limited)
	require.Equal(t, http.StatusTooManyRequests, limited.StatusCode)
	require.InDelta(t, time.Hour.Seconds(), limited.RetryAfter.Seconds(), 60)
	require.Less(t, limited.RetryAfter, time.Hour)

	setClockBack(t, s.client(t), 24*time.Hour)
	require.ErrorAs(t, second.Wait(t.Context()), &limited)
	require.InDelta(t, time.Hour.Seconds(), limited.RetryAfter.Seconds(), 60, "a clock that was set back doesn't make it longer")
}

func TestMembersWithDifferentSettings(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	cfg := sailpointtest.NewTenant().Config()
	require.NoError(t, limiterOf(t, s, cfg, short).Wait(t.Context()))
	other := short
	other.Limit = 7
	l := limiterOf(t, s, cfg, other)
	err := l.Wait(t.Context())
	require.EqualError(t, err, "sailpoint: invalid argument: Limit is 7 in 700ms (Window and Slack), but another member of the fleet has 5 in 700ms: give all members the same")
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	l.member.fellBackLast = time.Now()
	require.Error(t, l.Wait(t.Context()))
	require.NotZero(t, l.member.unrecorded(), "Redis didn't record them")
	require.Eventually(t, func() bool { return l.Wait(t.Context()) == nil }, 10*time.Second, 20*time.Millisecond, "once the other has stopped")
}

// TestHoldOfAMemberWithDifferentSettings shows that a 429 to a member with a
// shorter Window doesn't end the turns of the others.
func TestHoldOfAMemberWithDifferentSettings(t *testing.T) {
	t.Parallel()
	s := newSchedule(t, newServer(t).client(t), 1, limiterLua)
	s.run(s.newCall(), 0, 0)
	s.now += 2 * s.window
	for range s.limit {
		require.EqualValues(t, verdictSend, s.run(s.newCall(), 0, 0)[0])
	}
	s.now += s.window / 2
	other := *s
	other.window /= 10
	require.EqualValues(t, verdictHeld, other.run(waiter{}, 1, 0)[0])
	s.now++
	require.EqualValues(t, verdictTooLong, s.run(s.newCall(), 0, 0)[0])
}

// TestFirstRequestOfAFleetWaits shows that a quota that isn't in Redis may have
// been lost, even if the server knows the script, because another fleet used it.
func TestFirstRequestOfAFleetWaits(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	l := limiterOf(t, serverAt(s.Address), sailpointtest.NewTenant().Config(), short)
	started := time.Now()
	require.NoError(t, l.Wait(t.Context()))
	require.GreaterOrEqual(t, time.Since(started), l.longWindow())
	require.InDelta(t, 7*24, s.client(t).PTTL(t.Context(), l.keys[0]).Val().Hours(), 1, "it is kept for idle fleets")
}

// TestRedisThatCannotWriteLetsNothingThrough shows that it loses nothing either.
func TestRedisThatCannotWriteLetsNothingThrough(t *testing.T) {
	t.Parallel()
	for want, command := range map[string][]any{
		"OOM":        {"CONFIG", "SET", "maxmemory", "1"},
		"NOREPLICAS": {"CONFIG", "SET", "min-replicas-to-write", "1"},
		"READONLY":   {"REPLICAOF", "127.0.0.1", "1"},
		"WRONGTYPE":  {"SET", "{key}", "a string"},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			s := newServer(t).warm(t)
			l := limiterOf(t, s, sailpointtest.NewTenant().Config(), short)
			fill(t, l)
			if want == "WRONGTYPE" {
				command[1] = l.keys[0]
			}
			rdb := s.client(t)
			require.NoError(t, rdb.Do(t.Context(), command...).Err())
			before := rdb.HGetAll(t.Context(), l.keys[0]).Val()
			err := l.Wait(t.Context())
			require.ErrorContains(t, err, "redisfleet: Redis failed: "+want)
			require.Equal(t, before, rdb.HGetAll(t.Context(), l.keys[0]).Val())
		})
	}
}

func TestVersionsOfTheAPIHaveQuotasOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newServer(t).warm(t)
	cfg := sailpointtest.NewTenant().Config()
	opts := Options{Limit: 1, Window: time.Minute}
	require.NoError(t, limiterOf(t, s, cfg, opts).Wait(t.Context()))
	require.ErrorIs(t, limiterOf(t, s, cfg, opts).Wait(within(t, time.Second)), context.DeadlineExceeded)
	cfg.APIVersion = sailpoint.V2026
	require.NoError(t, limiterOf(t, s, cfg, opts).Wait(within(t, 10*time.Second)))
}

// TestColdHold shows that the fleet waits for one window whenever Redis may not
// know what it let through last.
func TestColdHold(t *testing.T) {
	t.Parallel()
	opts := Options{Limit: 5, Window: 3 * time.Second, Slack: 200 * time.Millisecond}
	for name, lose := range map[string]func(*testing.T, *pair){
		"a start": func(t *testing.T, p *pair) { p.switchTo(newServer(t)) },
		"a restart without data": func(t *testing.T, p *pair) {
			require.NoError(t, os.Remove(filepath.Join(p.primary.Folder, "dump.rdb")))
			p.primary.Restart(t)
			p.switchTo(p.primary)
		},
		"a restart with an old snapshot": func(t *testing.T, p *pair) {
			p.primary.Restart(t)
			require.Len(t, p.primary.client(t).Keys(t.Context(), "*").Val(), 2)
			p.switchTo(p.primary)
		},
		"a failover": func(t *testing.T, p *pair) {
			p.primary.Kill()
			require.NoError(t, p.replica.client(t).ReplicaOf(t.Context(), "NO", "ONE").Err())
			p.switchTo(p.replica)
		},
		"a failover to a server that knows the script": func(t *testing.T, p *pair) {
			p.replica.warm(t)
			p.primary.Kill()
			require.NoError(t, p.replica.client(t).ReplicaOf(t.Context(), "NO", "ONE").Err())
			p.switchTo(p.replica)
		},
		"a flush": func(t *testing.T, p *pair) {
			require.NoError(t, p.primary.client(t).FlushAll(t.Context()).Err())
		},
		"an eviction of the turns": func(t *testing.T, p *pair) {
			rdb := p.primary.client(t)
			require.NoError(t, rdb.Del(t.Context(), onlyKey(t, rdb, "*:turns:*")).Err())
		},
		"a clock that is set back": func(t *testing.T, p *pair) {
			setClockBack(t, p.primary.client(t), time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			l := p.limiter(t, limiterScript, opts)
			require.NoError(t, l.Wait(t.Context()))
			p.save(t)
			for range opts.Limit - 1 {
				require.NoError(t, l.Wait(t.Context()))
			}
			last := time.Now()
			lose(t, p)
			require.NoError(t, l.Wait(t.Context()))
			require.GreaterOrEqual(t, time.Since(last), opts.Window+opts.Slack)
		})
	}
}

// TestSentinelFailover shows that a fleet continues with the server that
// Sentinel promotes, after the hold.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	host, port, err := net.SplitHostPort(p.primary.Address)
	require.NoError(t, err)
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "sentinel monitor fleet %s %s 1\nsentinel down-after-milliseconds fleet 500\n", host, port), 0o600))
	sentinel := newServer(t, config, "--sentinel")
	rdb := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "fleet", SentinelAddrs: []string{sentinel.Address}})
	t.Cleanup(func() { _ = rdb.Close() })
	monitor := sentinel.client(t)
	require.Eventually(t, func() bool {
		replicas, err := monitor.Do(t.Context(), "SENTINEL", "REPLICAS", "fleet").Slice()
		return err == nil && len(replicas) == 1
	}, 30*time.Second, 100*time.Millisecond, "Sentinel knows the replica")

	l := limiterOf(t, nil, sailpointtest.NewTenant().Config(), Options{Redis: rdb, Limit: 5, Window: 3 * time.Second, Slack: time.Second})
	fill(t, l)
	last := time.Now()
	p.primary.Kill()
	require.Eventually(t, func() bool { return l.Wait(t.Context()) == nil }, time.Minute, 10*time.Millisecond)
	require.GreaterOrEqual(t, time.Since(last), l.longWindow())
	require.Contains(t, p.replica.client(t).Info(t.Context(), "replication").Val(), "role:master")
}

// TestRestartWithoutTheColdHold shows that the restart matters.
func TestRestartWithoutTheColdHold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text     string
		exceeded bool
	}{
		"with the hold":    {limiterLua, false},
		"without the hold": {strings.Replace(limiterLua, "local cold = isNew or new or", "local cold =", 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			require.NoError(t, p.primary.client(t).ScriptLoad(t.Context(), test.text).Err())
			opts := Options{Limit: 5, Window: 3 * time.Second}
			l := p.limiter(t, newScript(test.text), opts)
			var sent moments
			for i := range 2 * opts.Limit {
				if i == opts.Limit {
					p.primary.Restart(t)
					p.switchTo(p.primary)
				}
				require.NoError(t, l.Wait(t.Context()))
				sent.add()
			}
			require.Equal(t, test.exceeded, mostIn(opts.Window, sent.list) > opts.Limit)
		})
	}
}

// pair is a primary, its replica, and the way of clients to one of them.
type pair struct {
	primary, replica *server
	network          *network
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{primary: newServer(t).warm(t), replica: newServer(t)}
	host, port, err := net.SplitHostPort(p.primary.Address)
	require.NoError(t, err)
	require.NoError(t, p.replica.client(t).ReplicaOf(t.Context(), host, port).Err())
	rdb := p.primary.client(t)
	require.Eventually(t, func() bool {
		return strings.Contains(rdb.Info(t.Context(), "replication").Val(), "state=online")
	}, 30*time.Second, 10*time.Millisecond, "the replica is connected")
	p.network = &network{address: p.primary.Address}
	return p
}

// switchTo makes clients connect to another server, or to the same one again.
func (p *pair) switchTo(s *server) { p.network.connect(s.Address) }

// save makes a snapshot, and waits until the replica has the same data.
func (p *pair) save(t *testing.T) {
	t.Helper()
	rdb := p.primary.client(t)
	for _, key := range rdb.Keys(t.Context(), "*").Val() {
		require.NoError(t, rdb.Persist(t.Context(), key).Err(), "a restart may take long")
	}
	require.Eventually(t, func() bool {
		return rdb.Wait(t.Context(), 1, time.Second).Val() == 1 && rdb.Save(t.Context()).Err() == nil
	}, 30*time.Second, 10*time.Millisecond, "the replica has the data, and the snapshot is made")
}

func (p *pair) limiter(t *testing.T, s script, opts Options) *limiter {
	t.Helper()
	opts.Redis = p.primary.client(t, via(p.network))
	l := limiterOf(t, nil, sailpointtest.NewTenant().Config(), opts)
	l.script = s
	return l
}

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/redis"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

// behind gives a ledger behind a proxy, and one that reads past it.
func behind(t *testing.T) (l, past *redis.Ledger, p *redisproc.Proxy) {
	t.Helper()
	server := redisproc.StartTCP(t)
	p = redisproc.NewProxy(t, server.Addr)
	l = open(t, redis.Options{Addrs: []string{p.Addr}, Book: "one"})
	return l, open(t, on(server, "a-reader")), p
}

// patient is longer than a deadline by as much as a busy machine may take, and far shorter than what connections have without
// one.
const patient = 2500 * time.Millisecond

// within runs one operation with a deadline, which it must keep.
func within(t *testing.T, op func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 25*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := op(ctx)
	if took := time.Since(began); took > patient {
		t.Errorf("it took %v on a deadline of 25 ms", took)
	}
	return err
}

// operations is every operation on the way of a request, for one reservation that is made and one that is new.
func operations(l *redis.Ledger, limits *quota.LimitSet) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Reserve": func(ctx context.Context) error { _, err := l.Reserve(ctx, request("new", limits)); return err },
		"Extend": func(ctx context.Context) error {
			_, err := l.Extend(ctx, "made", quota.Amounts{OutputTokens: 105})
			return err
		},
		"Touch":     func(ctx context.Context) error { return l.Touch(ctx, quota.Progress{ID: "made", Used: some}) },
		"Settle":    func(ctx context.Context) error { _, err := l.Settle(ctx, "made", some); return err },
		"Void":      func(ctx context.Context) error { return l.Void(ctx, "made") },
		"Standings": func(ctx context.Context) error { _, err := l.Standings(ctx, ann, limits, time.Time{}); return err },
		"Heartbeat": func(ctx context.Context) error { _, err := l.Heartbeat(ctx); return err },
	}
}

// TestDeadlineHoldsOnEveryWayToBeSlow: an operation ends with its context, whether the connection is there and silent, new and
// silent, or seconds late; and what was on its way is done once when it arrives.
func TestDeadlineHoldsOnEveryWayToBeSlow(t *testing.T) {
	for name, slow := range map[string]func(*redisproc.Proxy){
		"silent":                  func(p *redisproc.Proxy) { p.Hold() },
		"silent from the start":   func(p *redisproc.Proxy) { p.Hold(); p.Cut() },
		"five seconds of latency": func(p *redisproc.Proxy) { p.Delay(5 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, past, p := behind(t)
			limits := tokensADay(t, 1e6)
			reserve(t, l, "made", limits)
			slow(p)
			for op, do := range operations(l, limits) {
				if err := within(t, do); !errors.Is(err, redis.ErrUnreachable) || !strings.Contains(err.Error(), "no answer in time") {
					t.Errorf("%s: %v", op, err)
				}
			}
			p.Pass()
			// Whatever of it has come, a repeat gives what there is, and both end once.
			if _, err := l.Reserve(ctx, request("new", limits)); err != nil {
				t.Errorf("Reserve: %v", err)
			}
			ended := quota.Amounts{}
			for range 2 {
				used, err := l.Settle(ctx, "made", some)
				if err != nil {
					t.Fatal(err)
				}
				ended = used // some, or nothing where Void came first
			}
			if _, err := l.Settle(ctx, "new", some); err != nil {
				t.Error(err)
			}
			tokens := ended.InputTokens + ended.OutputTokens + some.InputTokens + some.OutputTokens
			wantUsed(t, past, limits, tokens, tokens)
			if n, err := past.Pending(ctx); err != nil || n != 0 {
				t.Errorf("%d pending, %v", n, err)
			}
		})
	}
}

// TestAnswerThatIsLost has the server do what it is asked and its answer come to nobody: the repeat gives the first result,
// and counts once.
func TestAnswerThatIsLost(t *testing.T) {
	l, past, p := behind(t)
	limits := tokensADay(t, 1000)
	reserve(t, past, "warm", limits) // the server has the scripts now
	if _, err := past.Settle(ctx, "warm", quota.Amounts{}); err != nil {
		t.Fatal(err)
	}
	lose := func(op func(context.Context) error) {
		t.Helper()
		p.Delay(300 * time.Millisecond)
		if err := within(t, op); !errors.Is(err, redis.ErrUnreachable) {
			t.Fatalf("it was answered: %v", err)
		}
		p.Pass()
	}
	lose(func(ctx context.Context) error { _, err := l.Reserve(ctx, request("a", limits)); return err })
	await(t, "the reservation is made", func() bool { n, err := past.Pending(ctx); return err == nil && n == 1 })
	first := reserve(t, l, "a", limits)
	if diff := cmp.Diff(first, reserve(t, past, "a", limits)); diff != "" || first.Standings[0].Used != 110 {
		t.Errorf("used %d; another repeat (-first +second):\n%s", first.Standings[0].Used, diff)
	}
	wantUsed(t, past, limits, 110, 0)
	lose(func(ctx context.Context) error {
		_, err := l.Extend(ctx, "a", quota.Amounts{OutputTokens: 150})
		return err
	})
	await(t, "it is extended", func() bool {
		all, err := past.Standings(ctx, ann, limits, time.Time{})
		return err == nil && all[0].Used == 160
	})
	if r, err := l.Extend(ctx, "a", quota.Amounts{OutputTokens: 150}); err != nil || r.Held.OutputTokens != 150 {
		t.Errorf("the repeat of an extension gives %+v, %v", r, err)
	}
	wantUsed(t, past, limits, 160, 0)
	less := quota.Amounts{Requests: 1, OutputTokens: 7}
	lose(func(ctx context.Context) error { _, err := l.Settle(ctx, "a", less); return err })
	await(t, "it is settled", func() bool { n, err := past.Pending(ctx); return err == nil && n == 0 })
	if used, err := l.Settle(ctx, "a", some); err != nil || used != less {
		t.Errorf("the repeat of a settlement gives %+v, %v, want what was booked first", used, err)
	}
	wantUsed(t, past, limits, 7, 7)
}

// await asks a real server again until it is so.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen that %s", what)
		}
	}
}

// TestRepeatedReserveHoldsOnce, with other amounts or by another replica, and also after it was extended.
func TestRepeatedReserveHoldsOnce(t *testing.T) {
	server := redisproc.Start(t)
	one, two, limits := open(t, on(server, "one")), open(t, on(server, "two")), tokensADay(t, 1000)
	first := reserve(t, one, "a", limits)
	if _, err := one.Extend(ctx, "a", quota.Amounts{OutputTokens: 150}); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*redis.Ledger{one, two} {
		again := request("a", limits)
		again.Amounts.OutputTokens = 700
		r, err := l.Reserve(ctx, again)
		if diff := cmp.Diff(first, r); diff != "" || err != nil {
			t.Errorf("%v, a repeat (-first +second):\n%s", err, diff)
		}
	}
	wantUsed(t, one, limits, 160, 0)
}

// TestCounterThatIsFull: what does not fit below 2^53 is refused, also where no limit binds, and holds nothing.
func TestCounterThatIsFull(t *testing.T) {
	server := redisproc.Start(t)
	l := open(t, on(server, "one"))
	limits, err := quota.Compile([]quota.Limit{{
		ID: "month", Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: 1000, Enforcement: quota.EnforceObserve,
	}})
	if err != nil {
		t.Fatal(err)
	}
	m := limits.AppendMatches(nil, ann, l.Now())[0]
	full := quota.Posting{Key: m.Key, Window: m.Limit.Window, End: m.End, Amount: quota.MaxValue - 50}
	if err := l.Post(ctx, 0, 1, full); err != nil {
		t.Fatal(err)
	}
	before := dump(t, server)
	if _, err := l.Reserve(ctx, request("a", limits)); !errors.Is(err, quota.ErrAmount) {
		t.Errorf("Reserve = %v, want ErrAmount", err)
	}
	if diff := cmp.Diff(before, dump(t, server)); diff != "" {
		t.Errorf("a refused call changed keys (-before +after):\n%s", diff)
	}
	fits := request("b", limits)
	fits.Amounts = quota.Amounts{OutputTokens: 50}
	if _, err := l.Reserve(ctx, fits); err != nil {
		t.Errorf("what just fits: %v", err)
	}
	before = dump(t, server)
	if _, err := l.Extend(ctx, "b", quota.Amounts{OutputTokens: 51}); !errors.Is(err, quota.ErrAmount) {
		t.Errorf("Extend = %v, want ErrAmount", err)
	}
	if diff := cmp.Diff(before, dump(t, server)); diff != "" {
		t.Errorf("a refused extension changed keys (-before +after):\n%s", diff)
	}
}

// TestOneEpochBegins however many see that one is needed, and a replica that comes late to it leaves the new one alone.
func TestOneEpochBegins(t *testing.T) {
	server := redisproc.Start(t)
	limits := tokensADay(t, 1000)
	var all []*redis.Ledger
	for i := range 8 {
		all = append(all, open(t, on(server, fmt.Sprint("book-", i))))
	}
	old := all[0].Epoch()
	server.Do(t, "debug", "change-repl-id")
	begun := make([]redis.Epoch, len(all))
	var group sync.WaitGroup
	for i, l := range all {
		group.Go(func() {
			var err error
			if begun[i], err = l.BeginEpoch(ctx, old.ID); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i := range begun {
		if begun[i].ID != begun[0].ID || begun[i].ID == old.ID {
			t.Errorf("replica %d is told of epoch %s, the first of %s after %s", i, begun[i].ID, begun[0].ID, old.ID)
		}
	}
	all[0].Adopt(begun[0])
	reserve(t, all[0], "a", limits)
	for _, stale := range []string{old.ID, "", "none"} {
		if e, err := all[1].BeginEpoch(ctx, stale); err != nil || e.ID != begun[0].ID {
			t.Errorf("beginning after %q gives %+v, %v", stale, e, err)
		}
	}
	wantUsed(t, all[0], limits, 110, 0)
}

// TestForeignKeysAreReplacedByNobody: what stands where Plumbline's own keys will be makes the ledger unusable, and nothing
// else; once it is removed all is well.
func TestForeignKeysAreReplacedByNobody(t *testing.T) {
	for _, k := range []string{"epoch", "books", "state"} {
		t.Run(k, func(t *testing.T) {
			server := redisproc.Start(t)
			server.Do(t, "sadd", "{plumbline}:3:"+k, "theirs")
			before := dump(t, server)
			l, err := redis.New(on(server, "one"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			if _, err := l.Bind(ctx); !errors.Is(err, redis.ErrUnreachable) || !strings.Contains(err.Error(), "remove it") {
				t.Errorf("Bind = %v", err)
			}
			if diff := cmp.Diff(before, dump(t, server)); diff != "" {
				t.Errorf("changed (-before +after):\n%s", diff)
			}
			server.Do(t, "del", "{plumbline}:3:"+k)
			if _, err := l.Bind(ctx); err != nil {
				t.Fatal(err)
			}
			reserve(t, l, "a", tokensADay(t, 1000))
		})
	}
}

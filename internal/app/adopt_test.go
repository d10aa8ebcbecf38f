package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

// adopting is a ledger in memory with its records, under limits that a test sets.
type adopting struct {
	*rolling
	*adopter
	dir   string
	set   atomic.Pointer[quota.LimitSet]
	ahead time.Duration // of the clock
	open  []*inFlight
	n     int
}

// inFlight is an exchange between its reservation and its settlement.
type inFlight struct {
	reservation quota.Reservation
	subject     quota.Subject
	used        quota.Amounts
	recorded    bool
}

func newAdopting(tb fataler, dir string, limits ...quota.Limit) *adopting {
	a := &adopting{dir: dir}
	a.set.Store(compiledIn(tb, limits...))
	a.start(tb)
	return a
}

// fataler is a test, or a check of rapid's.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

func compiledIn(tb fataler, limits ...quota.Limit) *quota.LimitSet {
	tb.Helper()
	set, err := quota.Compile(limits)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func (a *adopting) now() time.Time { return time.Now().Add(a.ahead) }

// start fills the ledger as a start does. What was in flight before is closed at what it held.
func (a *adopting) start(tb fataler) {
	var err error
	a.open = nil
	if a.rolling, err = openRolling(context.Background(), a.dir, a.set.Load(), a.now); err != nil {
		tb.Fatal(err)
	}
	a.adopter = newAdopter(a.ledger, a.set.Load(), a.roller, a.set.Load, nil)
}

func (a *adopting) stop(tb fataler) {
	if err := errors.Join(a.close(context.Background()), a.roller.audit.Close(context.Background())); err != nil {
		tb.Fatal(err)
	}
}

var adoptingSubjects = []quota.Subject{
	{User: "ann", Team: "red", Model: "gpt-5"}, {User: "ben", Team: "red", Model: "o3"}, {App: "desk", Team: "blue", Model: "gpt-5"},
}

func (a *adopting) reserve(ctx context.Context, s quota.Subject, tokens int64) (*inFlight, error) {
	a.n++
	id := fmt.Sprint("x", a.n)
	r, err := a.Reserve(ctx, quota.Request{
		ID: id, Subject: s, At: a.now(), Amounts: quota.Amounts{Requests: 1, InputTokens: tokens, Cost: 3},
	})
	if err != nil {
		return nil, err
	}
	return &inFlight{reservation: r, subject: s}, a.record(ctx, core.RecordIntent, r, s, r.Held)
}

func (a *adopting) record(ctx context.Context, kind core.RecordKind, r quota.Reservation, s quota.Subject, amounts quota.Amounts) error {
	charge := amounts.Charge(r.Admitted)
	rec := core.Record{
		Kind: kind, Time: a.now(), Exchange: r.ID, Model: s.Model, Principal: core.Principal{User: s.User, Team: s.Team, App: s.App},
	}
	if kind == core.RecordIntent {
		rec.Reserved = &charge
	} else {
		rec.Settled, rec.Finish = &charge, core.FinishComplete
	}
	return a.roller.audit.Append(ctx, rec)
}

// end records an exchange's outcome if that was not done, and settles it.
func (a *adopting) end(ctx context.Context, x *inFlight, used quota.Amounts) error {
	if !x.recorded {
		if err := a.record(ctx, core.RecordOutcome, x.reservation, x.subject, used); err != nil {
			return err
		}
		x.recorded, x.used = true, used
	}
	_, err := a.Settle(ctx, x.reservation.ID, x.used)
	return err
}

// drift compares what is posted with what a ledger says that is filled from the records alone.
func (a *adopting) drift(ctx context.Context) error {
	records := memory.New(memory.Options{Now: a.now})
	limits := a.set.Load()
	err := a.roller.audit.Charges(ctx, audit.ChargesQuery{}, func(c audit.Charged) error {
		return records.Replay(c.Charge, subjectOf(c), limits)
	})
	at, errs := a.now(), []error{err}
	for _, s := range adoptingSubjects {
		got, _ := a.Standings(ctx, s, limits, at)
		want, _ := records.Standings(ctx, s, limits, at)
		for i := range want {
			if got[i].Posted != want[i].Posted {
				errs = append(errs, fmt.Errorf("%s: posted %d, the records say %d", want[i].Limit.ID, got[i].Posted, want[i].Posted))
			}
		}
	}
	return errors.Join(errs...)
}

// someLimits gives limits that count one thing or another.
func someLimits(t *rapid.T) (limits []quota.Limit) {
	for _, id := range []string{"a", "b", "c"} {
		if rapid.IntRange(0, 3).Draw(t, "without") == 0 {
			continue
		}
		l := quota.Limit{
			ID:    id,
			Scope: rapid.SampledFrom([]quota.ScopeKind{quota.ScopeEveryone, quota.ScopeTeam, quota.ScopeUser}).Draw(t, "scope"),
			Dimension: rapid.SampledFrom([]quota.Dimension{
				quota.DimensionTokens, quota.DimensionCost, quota.DimensionConcurrency,
			}).Draw(t, "dimension"),
			Window: rapid.SampledFrom([]quota.Window{quota.WindowMonth, quota.WindowDay, quota.WindowMinute}).Draw(t, "window"),
			Model:  rapid.SampledFrom([]string{"", "gpt-*"}).Draw(t, "model"), Value: rapid.Int64Range(50, 5000).Draw(t, "value"),
		}
		if l.Scope == quota.ScopeUser {
			l.Subject = rapid.SampledFrom([]string{"", "ann", "ben"}).Draw(t, "subject")
		}
		if l.Dimension == quota.DimensionConcurrency {
			l.Window = quota.WindowNone
		}
		limits = append(limits, l)
	}
	return limits
}

// TestLimitsThatComeAndGo sets, changes and deletes limits at any moment among calls, leases that end, and starts. Each time
// that nothing is in flight, every limit has counted what the records say.
func TestLimitsThatComeAndGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := t.Context()
		dir, err := os.MkdirTemp("", "adopt")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		a := newAdopting(t, dir)
		defer func() { a.stop(t) }()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		take := func(t *rapid.T) *inFlight {
			if len(a.open) == 0 {
				t.Skip("nothing is in flight")
			}
			return rapid.SampledFrom(a.open).Draw(t, "exchange")
		}
		finish := func(x *inFlight, used quota.Amounts) {
			must(a.end(ctx, x, used))
			a.open = slices.DeleteFunc(a.open, func(o *inFlight) bool { return o == x })
		}
		used := func(t *rapid.T) quota.Amounts {
			return quota.Amounts{Requests: 1, InputTokens: rapid.Int64Range(0, 200).Draw(t, "used"), Cost: 2}
		}
		reserve := func(t *rapid.T) {
			x, err := a.reserve(ctx, rapid.SampledFrom(adoptingSubjects).Draw(t, "subject"), rapid.Int64Range(1, 100).Draw(t, "tokens"))
			var exhausted *quota.ExhaustedError
			if errors.As(err, &exhausted) {
				return
			}
			must(err)
			a.open = append(a.open, x)
		}
		set := func(t *rapid.T) { a.set.Store(compiledIn(t, someLimits(t)...)) }
		t.Repeat(map[string]func(*rapid.T){
			"reserve": reserve, "reserve again": reserve,
			"extend": func(t *rapid.T) {
				r := take(t).reservation
				_, _ = a.Extend(ctx, r.ID, r.Held.Add(quota.Amounts{InputTokens: 20}))
			},
			"settle": func(t *rapid.T) { finish(take(t), used(t)) },
			"record": func(t *rapid.T) {
				if x := take(t); !x.recorded {
					x.used, x.recorded = used(t), true
					must(a.record(ctx, core.RecordOutcome, x.reservation, x.subject, x.used))
				}
			},
			"void": func(t *rapid.T) { // nothing was forwarded after all
				finish(take(t), quota.Amounts{})
			},
			"set": set, "set and pass": func(t *rapid.T) { set(t); must(a.pass(ctx)) },
			"pass": func(*rapid.T) { must(a.pass(ctx)) },
			"expire": func(*rapid.T) {
				a.ahead += 31 * time.Second
				_, err := a.Expire(ctx, a.now())
				must(err)
			},
			"start": func(t *rapid.T) { a.stop(t); a.start(t) },
			"calm": func(t *rapid.T) {
				for len(a.open) > 0 {
					finish(a.open[0], used(t))
				}
				must(a.pass(ctx))
				must(a.drift(ctx))
				if len(a.late) > 0 {
					t.Fatal("somebody is late, though nothing is in flight")
				}
			},
		})
	})
}

// TestWhoeverWasInFlightIsChargedOnce: when limits come, go and come again during a call, and when its lease ended before.
func TestWhoeverWasInFlightIsChargedOnce(t *testing.T) {
	fresh := quota.Limit{ID: "fresh", Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: 100}
	come := func(t *testing.T, a *adopting, limits ...quota.Limit) {
		t.Helper()
		a.set.Store(compiledIn(t, limits...))
		if err := a.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for name, during := range map[string]func(*testing.T, *adopting){
		"come":              func(t *testing.T, a *adopting) { come(t, a, fresh) },
		"come, go and come": func(t *testing.T, a *adopting) { come(t, a, fresh); come(t, a); come(t, a, fresh) },
		"come when a lease ended": func(t *testing.T, a *adopting) {
			a.ahead += time.Minute
			if ids, err := a.Expire(t.Context(), a.now()); len(ids) != 1 || err != nil {
				t.Fatalf("%v ended, %v", ids, err)
			}
			come(t, a, fresh)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAdopting(t, t.TempDir())
			defer a.stop(t)
			ctx, ann := t.Context(), adoptingSubjects[0]
			before, err := a.reserve(ctx, ann, 60)
			err = errors.Join(err, a.end(ctx, before, quota.Amounts{Requests: 1, InputTokens: 60}))
			flying, err2 := a.reserve(ctx, ann, 50)
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			during(t, a)
			if err := a.pass(ctx); err != nil { // which finds it in flight
				t.Fatal(err)
			}
			var exhausted *quota.ExhaustedError
			if _, err := a.reserve(ctx, ann, 41); !errors.As(err, &exhausted) || exhausted.Standing.Posted != 60 {
				t.Errorf("41 where 60 of 100 are used: %v", err)
			}
			if err := errors.Join(a.end(ctx, flying, quota.Amounts{Requests: 1, InputTokens: 30}), a.pass(ctx), a.drift(ctx)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLimitsWaitForTheRecords: what is new is not in force before it is counted, and the rest does not wait for it.
func TestLimitsWaitForTheRecords(t *testing.T) {
	old := quota.Limit{ID: "old", Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: 100}
	fresh := old
	fresh.ID = "fresh"
	a := newAdopting(t, t.TempDir(), old)
	defer a.stop(t)
	old.Value = 10
	a.set.Store(compiledIn(t, old, fresh))
	booked, broken := a.book, errors.New("broken")
	a.book = func(context.Context, *quota.LimitSet) (int64, error) { return 0, broken }
	if err := a.pass(t.Context()); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if l := a.inForce.Limits().Limits(); len(l) != 1 || l[0].Value != 10 {
		t.Errorf("in force: %+v", l)
	}
	a.book = booked
	if err := a.pass(t.Context()); err != nil || a.inForce.Limits() != a.set.Load() {
		t.Errorf("%v, or not all is in force", err)
	}
}

// TestLimitsChangeUnderLoad changes limits while calls begin and end.
func TestLimitsChangeUnderLoad(t *testing.T) {
	a := newAdopting(t, t.TempDir())
	defer a.stop(t)
	ctx, stop := context.WithCancel(t.Context())
	var ids atomic.Int64
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			s := adoptingSubjects[i%len(adoptingSubjects)]
			for ctx.Err() == nil {
				id := fmt.Sprint("y", ids.Add(1))
				r, err := a.Reserve(t.Context(), quota.Request{ID: id, Subject: s, At: a.now(), Amounts: quota.Amounts{Requests: 1, InputTokens: 9}})
				if err != nil {
					t.Error(err)
					return
				}
				err = a.end(t.Context(), &inFlight{reservation: r, subject: s}, quota.Amounts{Requests: 1, InputTokens: 7, Cost: 1})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	forms := []quota.Limit{
		{Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: quota.MaxValue},
		{Scope: quota.ScopeUser, Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: quota.MaxValue},
		{Scope: quota.ScopeTeam, Dimension: quota.DimensionRequests, Window: quota.WindowMonth, Value: quota.MaxValue},
	}
	for i := range 60 {
		var limits []quota.Limit
		for j := range 3 {
			if l := forms[(i+j)%3]; (i/3+j)%4 != 0 {
				l.ID = fmt.Sprint("l", j)
				limits = append(limits, l)
			}
		}
		a.set.Store(compiledIn(t, limits...))
		for began := ids.Load(); ids.Load() < began+10; { // with calls that span it
			if err := a.pass(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop()
	callers.Wait()
	if err := errors.Join(a.pass(t.Context()), a.drift(t.Context())); err != nil {
		t.Error(err)
	}
}

// TestLimitsChangeOverReplicas changes limits on a real Redis under load, at each replica at another moment, and ends replicas
// and the load in the midst of it.
func TestLimitsChangeOverReplicas(t *testing.T) {
	server := redisproc.Start(t)
	dirs := []string{t.TempDir(), t.TempDir()}
	nodes := []*node{startNode(t, server.Addr, dirs[0]), startNode(t, server.Addr, dirs[1])}
	for _, n := range nodes {
		awaitNode(t, n)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	var calls [2]atomic.Int64
	for i, n := range nodes {
		for w := range 2 {
			load.Go(func() {
				for ctx.Err() == nil {
					k := calls[i].Add(1)
					_ = n.exchange(context.Background(), fmt.Sprintf("%d-%d-%d", i, w, k), 2, k%40 == 39)
				}
			})
		}
	}
	tokens, money, at := nodeLimits[0], nodeLimits[1], nodeLimits[2]
	other := tokens
	other.Scope, other.Subject = quota.ScopeUser, "ann"
	for _, limits := range [][]quota.Limit{{money}, {other, money}, {tokens, at}, {other}, {at, tokens}, {}, {money, at}, nodeLimits} {
		for i, n := range nodes {
			n.wanted.Store(compiledIn(t, limits...))
			if err := n.guard.AwaitLimits(t.Context()); err != nil {
				t.Fatal(err)
			}
			for until := calls[i].Load() + 60; calls[i].Load() < until; {
				runtime.Gosched()
			}
		}
	}
	stop()
	load.Wait()
	for i := range nodes { // what they abandoned ends like that of a dead process
		nodes[i].end()
		nodes[i] = startNode(t, server.Addr, dirs[i])
	}
	agree(t, nodes)
}

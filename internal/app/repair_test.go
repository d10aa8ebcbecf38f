package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/drift"
	"github.com/plumbline/plumbline/internal/store"
)

var repairLimits = []quota.Limit{
	{ID: "all-month", Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: 1 << 40},
	{ID: "each-day", Scope: quota.ScopeUser, Dimension: quota.DimensionCost, Window: quota.WindowDay, Value: 1 << 40},
	{ID: "each-minute", Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Value: 1 << 40},
	{ID: "minis", Scope: quota.ScopeTeam, Model: "*-mini", Dimension: quota.DimensionOutputTokens, Window: quota.WindowHour, Value: 1 << 40},
	{ID: "at-once", Scope: quota.ScopeEveryone, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 1 << 40},
}

var repairUsers = []string{"ann", "ben", "cem"}

// repairing starts a Plumbline with people and limits, and gives what a command in another process would compare by.
func repairing(t *testing.T) (*App, func() *QuotaRepair) {
	t.Helper()
	cfg := shortConfig(t)
	a, stop := running(t, cfg)
	t.Cleanup(stop)
	ctx := store.WithActor(t.Context(), "test")
	errs := []error{a.Store().Teams().Put(ctx, core.Team{ID: "support"})}
	for _, id := range repairUsers {
		errs = append(errs, a.Store().Users().Put(ctx, core.User{ID: id, Team: "support"}))
	}
	for _, l := range repairLimits {
		errs = append(errs, a.Store().Limits().Put(ctx, l))
	}
	if err := errors.Join(append(errs, a.Refresh(ctx))...); err != nil {
		t.Fatal(err)
	}
	return a, func() *QuotaRepair {
		q, err := NewQuotaRepair(t.Context(), a.Store(), cfg, "cli:test")
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
}

// exchange does what the gate does with the audit and the ledger in one exchange.
func exchange(ctx context.Context, ledger quota.Ledger, record func(context.Context, core.Record) error, limits *quota.LimitSet, id string, n int) error {
	s := quota.Subject{User: repairUsers[n%len(repairUsers)], Team: "support", Model: []string{"gpt-5", "gpt-5-mini"}[n%2]}
	r, err := ledger.Reserve(ctx, quota.Request{
		ID: id, Subject: s, Limits: limits, At: time.Now(), Amounts: quota.Amounts{Requests: 1, OutputTokens: 100, Cost: 100},
	})
	if err != nil {
		return err
	}
	held := r.Held.Charge(r.Admitted.UTC())
	rec := core.Record{
		Kind: core.RecordIntent, Time: time.Now().UTC(), Exchange: id, Principal: core.Principal{User: s.User, Team: s.Team},
		Model: s.Model, Reserved: &held, Fallback: string(r.Fallback),
	}
	if err := record(ctx, rec); err != nil {
		return err
	}
	used := quota.Amounts{Requests: 1, InputTokens: 3, OutputTokens: int64(1 + n%50), Cost: core.MicroUSD(1 + n%70)}
	charge := used.Charge(r.Admitted.UTC())
	rec.Kind, rec.Reserved, rec.Settled, rec.Finish = core.RecordOutcome, nil, &charge, core.FinishComplete
	if err := record(ctx, rec); err != nil {
		return err
	}
	_, err = ledger.Settle(ctx, id, used)
	return err
}

// load runs exchanges beside a test, as many as it is granted, so that what has to be read stays little.
type load struct {
	grants chan struct{}
	ended  atomic.Int64
	stop   func() // waits for the last exchange
}

func startLoad(t *testing.T, workers int, one func(id string, n int) error) *load {
	t.Helper()
	l := &load{grants: make(chan struct{}, 1000)}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			k := 0
			for range l.grants {
				if err := one(fmt.Sprintf("t-%d-%d-%d", w, k, rand.Uint64()), w+k); err != nil {
					t.Error(err)
				}
				l.ended.Add(1)
				k++
			}
		})
	}
	l.stop = sync.OnceFunc(func() { close(l.grants); group.Wait() })
	t.Cleanup(l.stop)
	return l
}

// grant lets some more exchanges begin, unless as many wait already.
func (l *load) grant(n int) {
	for range n {
		select {
		case l.grants <- struct{}{}:
		default:
			return
		}
	}
}

func compared(t *testing.T, q *QuotaRepair, dirs ...string) *QuotaDrift {
	t.Helper()
	d, err := q.Compare(t.Context(), dirs)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func row(t *testing.T, d *QuotaDrift, limit, of string) drift.Row {
	t.Helper()
	for _, r := range d.Counters {
		if r.Limit == limit && r.For == of {
			return r
		}
	}
	t.Fatalf("no counter of %s for %q in %+v", limit, of, d.Counters)
	return drift.Row{}
}

// TestLiveTrafficIsNoDrift compares again and again while exchanges begin, are recorded and are settled.
func TestLiveTrafficIsNoDrift(t *testing.T) {
	a, repair := repairing(t)
	load := startLoad(t, 8, func(id string, n int) error {
		return exchange(t.Context(), a.endings, a.endings.Append, a.limits(), id, n)
	})
	q := repair()
	for range 12 {
		load.grant(300)
		d := compared(t, q)
		if d.Drift != 0 || d.InFlight != 0 || d.Partial {
			t.Fatalf("after %d exchanges: %+v", load.ended.Load(), d)
		}
	}
	load.stop()
	d := compared(t, q)
	if total := row(t, d, "all-month", ""); total.Ledger == 0 || total.Ledger != total.Records || len(d.Counters) < 8 {
		t.Errorf("%+v", d)
	}
	t.Logf("%d exchanges", load.ended.Load())
}

// TestDriftIsFoundAndMended makes drift by hand, in both directions, with calls in flight.
func TestDriftIsFoundAndMended(t *testing.T) {
	a, repair := repairing(t)
	if err := exchange(t.Context(), a.endings, a.endings.Append, a.limits(), "first", 0); err != nil {
		t.Fatal(err)
	}
	// Posted behind the records' back, for somebody who has none.
	behind := core.Charge{Admitted: time.Now(), Requests: 1, OutputTokens: 700, Cost: 70}
	if err := a.adopter.Replay(behind, quota.Subject{User: "cem", Team: "support", Model: "gpt-5"}, a.limits()); err != nil {
		t.Fatal(err)
	}
	// Recorded behind the ledger's back.
	charge := core.Charge{Admitted: time.Now().UTC(), Requests: 1, OutputTokens: 11, Cost: 5}
	err := a.audit.Append(t.Context(), core.Record{
		Kind: core.RecordOutcome, Time: time.Now().UTC(), Exchange: "behind", Model: "gpt-5",
		Principal: core.Principal{User: "ben", Team: "support"}, Settled: &charge,
	})
	if err != nil {
		t.Fatal(err)
	}
	load := startLoad(t, 4, func(id string, n int) error {
		return exchange(t.Context(), a.endings, a.endings.Append, a.limits(), id, n)
	})
	q := repair()
	load.grant(500)
	d := compared(t, q)
	for _, want := range []struct {
		limit, of string
		by        int64
	}{{"all-month", "", 700 - 11}, {"each-day", "cem", 70}, {"each-day", "ben", -5}, {"each-day", "ann", 0}, {"each-minute", "cem", 1}, {"each-minute", "ben", -1}} {
		if r := row(t, d, want.limit, want.of); r.Difference != want.by || r.Ledger-r.Records != want.by || (r.State == drift.StateDrift) != (want.by != 0) {
			t.Errorf("%s of %q: %+v, want %+d", want.limit, want.of, r, want.by)
		}
	}
	if d.Drift != 5 {
		t.Errorf("%d counters differ", d.Drift)
	}
	if n, err := q.MendRunning(t.Context(), d); err != nil || n != 3 {
		t.Errorf("mended %d, %v", n, err)
	}
	load.grant(500)
	d = compared(t, q)
	for _, r := range d.Counters {
		if r.State != drift.StateAgrees && r.Window != quota.WindowMinute {
			t.Errorf("after the repair: %+v", r)
		}
	}
	load.stop()
	found, _, err := reader(t, a).Search(t.Context(), audit.Query{Kind: core.RecordAdmin})
	if err != nil || len(found) == 0 || *found[0].Record.Admin != (core.Change{Actor: "cli:test", Action: "repair", Object: "quota-ledger/memory"}) {
		t.Errorf("the newest record of a change: %+v, %v", found, err)
	}
}

func reader(t *testing.T, a *App) *audit.Reader {
	t.Helper()
	r, err := audit.OpenReader(t.Context(), AuditPath(a.cfg.DataDir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// TestWhatIsOnItsWayIsNoDrift stops an exchange at each step of its end.
func TestWhatIsOnItsWayIsNoDrift(t *testing.T) {
	a, repair := repairing(t)
	q := repair()
	steps := make(chan string)
	next := func(step string) {
		steps <- step
		<-steps
	}
	go func() {
		ledger := a.endings
		err := exchange(t.Context(), slowSettle{ledger, func() { next("recorded") }}, func(ctx context.Context, rec core.Record) error {
			err := ledger.Append(ctx, rec)
			next(string(rec.Kind))
			return err
		}, a.limits(), "slow", 0)
		if err != nil {
			t.Error(err)
		}
		close(steps)
	}()
	for step := range steps {
		if d := compared(t, q); d.Drift != 0 || d.InFlight != 0 {
			t.Errorf("%s: %+v", step, d)
		}
		steps <- ""
	}
	if r := row(t, compared(t, q), "all-month", ""); r.Ledger != 4 || r.State != drift.StateAgrees {
		t.Errorf("at the end: %+v", r)
	}
}

type slowSettle struct {
	quota.Ledger
	before func()
}

func (s slowSettle) Settle(ctx context.Context, id string, used quota.Amounts) (quota.Amounts, error) {
	s.before()
	return s.Ledger.Settle(ctx, id, used)
}

// TestWhatALeaseEndedIsNotKnownForCertain: it is booked at its last progress, which the records do not have.
func TestWhatALeaseEndedIsNotKnownForCertain(t *testing.T) {
	a, repair := repairing(t)
	q := repair()
	q.patience = 100 * time.Millisecond
	r, err := a.endings.Reserve(t.Context(), quota.Request{
		ID: "x", Subject: quota.Subject{User: "ann", Team: "support", Model: "gpt-5"}, Limits: a.limits(), At: time.Now(),
		Amounts: quota.Amounts{Requests: 1, OutputTokens: 100},
	})
	if err != nil {
		t.Fatal(err)
	}
	held := r.Held.Charge(r.Admitted.UTC())
	rec := core.Record{
		Kind: core.RecordIntent, Time: time.Now().UTC(), Exchange: "x", Principal: core.Principal{User: "ann", Team: "support"}, Model: "gpt-5", Reserved: &held,
	}
	if err := a.endings.Append(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if err := a.endings.Touch(t.Context(), quota.Progress{ID: "x", Used: quota.Amounts{Requests: 1, OutputTokens: 40}}); err != nil {
		t.Fatal(err)
	}
	if ids, err := a.endings.Expire(t.Context(), time.Now().Add(time.Hour)); err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	d := compared(t, q)
	if r := row(t, d, "all-month", ""); d.Drift != 0 || r.State != drift.StateInFlight || r.Ledger != 40 || r.InFlight != 100 {
		t.Errorf("%+v of %+v", r, d)
	}
}

func TestRepairSaysWhenThereIsNoLedger(t *testing.T) {
	cfg := shortConfig(t)
	st, err := OpenStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	q, err := NewQuotaRepair(t.Context(), st, cfg, "cli:test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Compare(t.Context(), nil); !errors.Is(err, ErrNoLedger) {
		t.Errorf("got %v", err)
	}
	if _, err := q.Compare(t.Context(), []string{t.TempDir()}); err == nil {
		t.Error("records that are not there were read")
	}
}

// recordTo gives what notes records.
func recordTo(all *[]core.Record) func(context.Context, core.Record) error {
	return func(_ context.Context, rec core.Record) error {
		*all = append(*all, rec)
		return nil
	}
}

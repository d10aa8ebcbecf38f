package memory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// everyWindow gives a hard limit on each user for each window, and one on each at once.
func everyWindow(t testing.TB) *quota.LimitSet {
	var limits []quota.Limit
	for _, w := range []quota.Window{quota.WindowMinute, quota.WindowHour, quota.WindowDay, quota.WindowWeek, quota.WindowMonth} {
		limits = append(limits, quota.Limit{
			ID: string(w), Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: w, Value: quota.MaxValue,
		})
	}
	limits = append(limits,
		quota.Limit{ID: "none", Scope: quota.ScopeUser, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 1000},
		quota.Limit{ID: "rpm", Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Value: quota.MaxValue},
		quota.Limit{ID: "cost", Scope: quota.ScopeTeam, Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: quota.MaxValue, Zone: "Europe/Berlin"})
	set, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A ledger that sees many people over many days keeps what is of use now, and no more.
func TestMemoryIsBounded(t *testing.T) {
	limits := everyWindow(t)
	at := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	l := New(Options{Now: func() time.Time { return at }})
	exchange := func(id, user string) {
		request := quota.Request{ID: id, Subject: quota.Subject{User: user}, Amounts: quota.Amounts{Requests: 1}, Limits: limits, At: at}
		if _, err := l.Reserve(context.Background(), request); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Settle(context.Background(), id, request.Amounts); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		exchange(fmt.Sprint("day one ", i), fmt.Sprint("user ", i))
	}
	if got, want := len(l.counters.byKey), 7*1000; got != want {
		t.Errorf("%d counters on the first day, want %d", got, want)
	}
	at = at.AddDate(0, 2, 0)
	for i := range 1000 {
		exchange(fmt.Sprint("later ", i), "ann")
	}
	if got := len(l.counters.byKey); got != 7 || len(l.counters.queue) != 7 {
		t.Errorf("%d counters (%d in the queue) are kept when only 7 count", got, len(l.counters.queue))
	}
	if got := len(l.entries.byID); got != 1000 {
		t.Errorf("%d results, want the 1000 of the last ten minutes", got)
	}
	at = at.Add(defaultRemember)
	for i := range 16 {
		exchange(fmt.Sprint("last ", i), "ann")
	}
	if got := len(l.entries.byID); got != 16 {
		t.Errorf("%d results are kept when only 16 are young", got)
	}
}

// What many calls at once took is let go again, but for what the usual number needs.
func TestSpareHoldsAreBounded(t *testing.T) {
	limits := everyWindow(t)
	at := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	l := New(Options{Now: func() time.Time { return at }})
	for i := range 2 * spareHolds {
		request := quota.Request{ID: fmt.Sprint(i), Subject: quota.Subject{User: fmt.Sprint("user ", i)}, Limits: limits, At: at}
		if _, err := l.Reserve(context.Background(), request); err != nil {
			t.Fatal(err)
		}
	}
	if ids, err := l.Expire(context.Background(), at.Add(time.Hour)); err != nil || len(ids) != 2*spareHolds {
		t.Fatalf("%d expired, %v", len(ids), err)
	}
	for i := range 2 * spareHolds {
		if err := l.Void(context.Background(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(l.entries.spare); got != spareHolds {
		t.Errorf("%d holds are kept, want %d", got, spareHolds)
	}
}

// Results are forgotten even when they are to be remembered for no time at all.
func TestNothingIsRemembered(t *testing.T) {
	at := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	l := New(Options{Now: func() time.Time { return at }, Remember: -time.Second})
	for i := range 10 {
		if _, err := l.Reserve(context.Background(), quota.Request{ID: fmt.Sprint(i), At: at}); err != nil {
			t.Fatal(err)
		}
		if err := l.Void(context.Background(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		if got := len(l.entries.byID); got != 1 {
			t.Fatalf("%d results are kept, want the last", got)
		}
	}
}

// A call of somebody who called before takes memory for its standings and its result, not for looking up what it counts
// under.
func TestAllocations(t *testing.T) {
	limits := everyWindow(t)
	at := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	l := New(Options{Now: func() time.Time { return at }, Remember: time.Second})
	ids := make([]string, 4000)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	ctx, subject, calls := context.Background(), quota.Subject{User: "ann", Team: "red", Model: "gpt-5"}, 0
	most := quota.Amounts{InputTokens: quota.MaxAmount, OutputTokens: quota.MaxAmount}
	pair := func() {
		id := ids[calls%len(ids)]
		calls++
		at = at.Add(time.Millisecond)
		if _, err := l.Reserve(ctx, quota.Request{ID: id, Subject: subject, Amounts: most, Limits: limits, At: at}); err != nil {
			t.Fatal(err)
		}
		if err := l.Void(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	for range 2000 {
		pair() // fills the results of a second
	}
	if got := testing.AllocsPerRun(1000, pair); got > 1 {
		t.Errorf("%v allocations for a pair, want that of its standings", got)
	}
	if got, want := len(l.entries.spare), 1; got != want {
		t.Errorf("%d spare holds after calls one by one, want %d", got, want)
	}
	none := quota.Request{ID: "refused", Subject: subject, Amounts: most, At: at, Limits: limits}
	for range 1001 {
		none.ID = ids[calls%len(ids)]
		calls++
		if _, err := l.Reserve(ctx, none); err != nil {
			break
		}
	}
	if got := len(l.entries.spare); got != 1 {
		t.Errorf("%d spare holds after a refusal, want 1", got)
	}
}

// A counter that a live reservation holds stays, however late it is: another of the same key would not know of it.
func TestHeldCountersStay(t *testing.T) {
	limits := everyWindow(t)
	at := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	l := New(Options{Now: func() time.Time { return at }})
	reserve := func(id, user string) quota.Reservation {
		r, err := l.Reserve(context.Background(), quota.Request{ID: id, Subject: quota.Subject{User: user}, Limits: limits, At: at})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	reserve("long", "ann")
	for i := range 1000 {
		at = at.Add(time.Hour)
		reserve(fmt.Sprint(i), "bob")
		if err := l.Void(context.Background(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range reserve("next", "ann").Standings {
		if s.Limit.Window == quota.WindowNone && s.Used != 2 {
			t.Errorf("%d at once, want 2", s.Used)
		}
	}
}

// What nobody settled after its lease is let go with its result.
func TestExpiredReservationsAreForgotten(t *testing.T) {
	limits := everyWindow(t)
	at := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	l := New(Options{Now: func() time.Time { return at }})
	reserve := func(id, user string) {
		request := quota.Request{ID: id, Subject: quota.Subject{User: user}, Limits: limits, At: at}
		if _, err := l.Reserve(context.Background(), request); err != nil {
			t.Fatal(err)
		}
	}
	reserve("left", "ann")
	at = at.Add(time.Minute)
	if ids, err := l.Expire(context.Background(), at); err != nil || len(ids) != 1 {
		t.Fatalf("Expire = %v, %v", ids, err)
	}
	for i := range 100 {
		at = at.Add(24 * time.Hour)
		reserve(fmt.Sprint(i), "bob")
		if err := l.Void(context.Background(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	for key := range l.counters.byKey {
		if key.Subject == "ann" {
			t.Errorf("%+v is kept", key)
		}
	}
	if _, err := l.Settle(context.Background(), "left", quota.Amounts{}); !errors.Is(err, quota.ErrUnknown) {
		t.Errorf("Settle = %v, want ErrUnknown", err)
	}
}

// A minute that was created long ago but is in use stays.
func TestBusyMinuteStays(t *testing.T) {
	limits := everyWindow(t)
	at := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	l := New(Options{Now: func() time.Time { return at }})
	for i := range int64(60) {
		id := fmt.Sprint(i)
		r, err := l.Reserve(context.Background(), quota.Request{
			ID: id, Subject: quota.Subject{User: "ann"}, Amounts: quota.Amounts{Requests: 1}, Limits: limits, At: at,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Settle(context.Background(), id, r.Held); err != nil {
			t.Fatal(err)
		}
		for _, s := range r.Standings {
			if want := min(i+1, quota.Buckets); s.Limit.ID == "rpm" && s.Used != want {
				t.Fatalf("after %d calls, one in each bucket: used %d, want %d", i+1, s.Used, want)
			}
		}
		at = at.Add(quota.BucketLength)
	}
}

// Posted stops at the largest count instead of turning negative, and the limit stays closed.
func TestSaturation(t *testing.T) {
	set, err := quota.Compile([]quota.Limit{{
		ID: "l", Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: quota.MaxValue,
	}})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	used := quota.Amounts{InputTokens: quota.MaxAmount, OutputTokens: quota.MaxAmount}
	for name, post := range map[string]func(*Ledger) error{
		"Settle": func(l *Ledger) error { _, err := l.Settle(context.Background(), "a", used); return err },
		"Replay": func(l *Ledger) error { return l.Replay(used.Charge(at), quota.Subject{}, set) },
	} {
		t.Run(name, func(t *testing.T) {
			l := New(Options{Now: func() time.Time { return at }})
			request := quota.Request{ID: "a", Amounts: quota.Amounts{OutputTokens: 1}, Limits: set, At: at}
			if _, err := l.Reserve(context.Background(), request); err != nil {
				t.Fatal(err)
			}
			for _, c := range l.counters.byKey {
				c.total.posted = math.MaxInt64 - 10
			}
			if err := post(l); err != nil {
				t.Fatal(err)
			}
			for _, c := range l.counters.byKey {
				if got := c.total.posted; got != math.MaxInt64 {
					t.Errorf("posted %d", got)
				}
			}
			request.ID = "b"
			var e *quota.ExhaustedError
			if _, err := l.Reserve(context.Background(), request); !errors.As(err, &e) {
				t.Errorf("got %v, want a refusal", err)
			}
		})
	}
}

// BenchmarkReserveSettle is one exchange under eight limits that all match, of 1,000 people who make 1,000 calls a
// second in all, with the results of ten minutes remembered.
func BenchmarkReserveSettle(b *testing.B) {
	limits := everyWindow(b)
	at := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	l := New(Options{Now: func() time.Time { return at }})
	subjects := make([]quota.Subject, 1000)
	for i := range subjects {
		subjects[i] = quota.Subject{User: fmt.Sprint("user-", i), Team: fmt.Sprint("team-", i%20), Model: "gpt-5"}
	}
	ids := make([]string, 1<<20)
	for i := range ids {
		ids[i] = fmt.Sprintf("0199c3d2-7e1a-7000-8000-%012d", i)
	}
	amounts := quota.Amounts{Requests: 1, InputTokens: 500, OutputTokens: 1024, Cost: 5000}
	used := quota.Amounts{Requests: 1, InputTokens: 400, OutputTokens: 200, Cost: 900}
	ctx := context.Background()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		at = at.Add(time.Millisecond)
		id := ids[i%len(ids)]
		if _, err := l.Reserve(ctx, quota.Request{ID: id, Subject: subjects[i%len(subjects)], Amounts: amounts, Limits: limits, At: at}); err != nil {
			b.Fatal(err)
		}
		if _, err := l.Settle(ctx, id, used); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
}

func BenchmarkReplay(b *testing.B) {
	limits := everyWindow(b)
	at := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	l := New(Options{Now: func() time.Time { return at }})
	charge := quota.Amounts{Requests: 1, InputTokens: 400, OutputTokens: 200, Cost: 900}.Charge(at)
	subject := quota.Subject{User: "ann", Team: "red", Model: "gpt-5"}
	i := 0
	for b.Loop() {
		charge.Admitted = at.Add(-time.Duration(i%1_000_000) * time.Second)
		if err := l.Replay(charge, subject, limits); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

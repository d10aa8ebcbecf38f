package redis

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

func bound(t *testing.T, o Options) *Ledger {
	t.Helper()
	o.Addrs = []string{redisproc.Start(t).Addr}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if _, err := l.Bind(context.Background()); err != nil {
		t.Fatal(err)
	}
	return l
}

func set(t testing.TB, limits ...quota.Limit) *quota.LimitSet {
	t.Helper()
	s, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A replica that is wrong about the server's time counts in the server's windows all the same.
func TestWindowsAreTheServers(t *testing.T) {
	l := bound(t, Options{})
	limits := set(t, quota.Limit{ID: "day", Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: 100})
	for i, wrong := range []time.Duration{0, 24 * time.Hour, -24 * time.Hour, 400 * 24 * time.Hour} {
		here := time.Now()
		l.clock.last.Store(&reading{server: here.Add(wrong), here: here})
		r, err := l.Reserve(context.Background(), quota.Request{
			ID: string(rune('a' + i)), Limits: limits, Amounts: quota.Amounts{OutputTokens: 10},
		})
		if err != nil {
			t.Fatal(err)
		}
		if s := r.Standings[0]; s.Used != int64(i+1)*10 || r.Admitted.Before(s.Since) || !r.Admitted.Before(s.Reset) {
			t.Errorf("off by %v: admitted at %v under %+v", wrong, r.Admitted, s)
		}
	}
}

// A reservation that was touched after a sweep had listed it lives on.
func TestSweepLeavesWhatWasTouched(t *testing.T) {
	now := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	l := bound(t, Options{Now: func() time.Time { return now }})
	ctx := context.Background()
	if _, err := l.Reserve(ctx, quota.Request{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if err := l.Touch(ctx, quota.Progress{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	s := sweep{Ledger: l, by: firstSweep}
	if err := s.expire(ctx, l.within.Load(), []string{"/a"}, now.Add(time.Hour)); err != nil || len(s.ids) != 0 {
		t.Errorf("resolved %v, %v", s.ids, err)
	}
	if _, err := l.Extend(ctx, "a", quota.Amounts{}); err != nil {
		t.Errorf("Extend: %v", err)
	}
	now = now.Add(time.Minute) // its lease ended half a minute ago, which is before neither that time nor an earlier one
	for _, ago := range []time.Duration{45 * time.Second, 30 * time.Second} {
		if err := s.expire(ctx, l.within.Load(), []string{"/a"}, now.Add(-ago)); err != nil || len(s.ids) != 0 {
			t.Errorf("before %v ago: resolved %v, %v", ago, s.ids, err)
		}
	}
	if err := s.expire(ctx, l.within.Load(), []string{"/a"}, now); err != nil || len(s.ids) != 1 {
		t.Errorf("resolved %v, %v, want it", s.ids, err)
	}
}

// What is listed for a sweep has ended, by the server's clock, and is no more than was asked for.
func TestDueIsWhatEnded(t *testing.T) {
	now := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	l := bound(t, Options{Now: func() time.Time { return now }})
	ctx := context.Background()
	for _, id := range []string{"a", "b", "c"} {
		if _, err := l.Reserve(ctx, quota.Request{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	n := l.within.Load()
	began := now
	for _, tt := range []struct {
		at, before time.Duration
		most, want int
	}{
		{at: l.lease, before: time.Hour, most: 3, want: 0},
		{at: l.lease + time.Microsecond, before: time.Hour, most: 3, want: 3},
		{at: l.lease + time.Microsecond, before: time.Hour, most: 2, want: 2},
		{at: time.Hour, before: l.lease, most: 3, want: 0},
		{at: time.Hour, before: l.lease + time.Microsecond, most: 3, want: 3},
	} {
		now = began.Add(tt.at)
		a, err := l.run(ctx, &l.scripts.due, l.keys(n, nil, n.live),
			n.epoch.ID, l.clock.argument(), began.Add(tt.before).UnixMicro(), tt.most)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.texts(); len(got) != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// An epoch that ends while its state is read is not mistaken for the next.
func TestStateIsOfOneEpoch(t *testing.T) {
	l := bound(t, Options{})
	n := l.within.Load()
	keys := []string{l.epochKey(), l.stateKey(), l.booksKey(), n.live, n.expired, n.marks}
	if _, err := l.run(context.Background(), &l.scripts.state, keys, "gone", l.clock.argument()); !errors.Is(err, ErrEpoch) {
		t.Errorf("state of an epoch that is gone: %v, want ErrEpoch", err)
	}
}

// A sweep whose answer was lost and that is sent again is told what it did, another is not.
func TestSweepIsSentTwice(t *testing.T) {
	now := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	l := bound(t, Options{Now: func() time.Time { return now }})
	ctx := context.Background()
	if _, err := l.Reserve(ctx, quota.Request{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	for i, by := range []int64{firstSweep, firstSweep, firstSweep + 1} {
		s := sweep{Ledger: l, by: by}
		if err := s.expire(ctx, l.within.Load(), []string{"/a"}, now); err != nil || len(s.ids) != []int{1, 1, 0}[i] {
			t.Errorf("%d: resolved %v, %v", i, s.ids, err)
		}
	}
}

// A replica whose clock stands a moment before midnight counts in the server's day when that has it behind it.
func TestWindowEndsAtItsEnd(t *testing.T) {
	midnight, asked := time.Date(2026, 3, 12, 0, 0, 0, 0, time.UTC), 0
	at := midnight
	l := bound(t, Options{Now: func() time.Time { return at }})
	limits := set(t, quota.Limit{ID: "day", Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: 100})
	l.clock.given = func() time.Time {
		if asked++; asked == 1 {
			return midnight.Add(-time.Microsecond)
		}
		return midnight
	}
	r, err := l.Reserve(context.Background(), quota.Request{ID: "a", Limits: limits, Amounts: quota.Amounts{OutputTokens: 10}})
	if err != nil || !r.Standings[0].Since.Equal(midnight) {
		t.Errorf("%+v, %v, want it in the day that begins", r, err)
	}
}

// A replica that believes itself in another time keeps accounts for long enough to count a minute in them.
func TestWrongClockKeepsAccounts(t *testing.T) {
	l := bound(t, Options{})
	ctx := context.Background()
	limits := set(t, quota.Limit{ID: "rpm", Scope: quota.ScopeEveryone, Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Value: 5})
	here := time.Now()
	l.clock.last.Store(&reading{server: here.AddDate(0, 0, -1), here: here})
	if _, err := l.Reserve(ctx, quota.Request{ID: "a", Limits: limits, Amounts: quota.Amounts{Requests: 1}}); err != nil {
		t.Fatal(err)
	}
	n := l.within.Load()
	keys, err := l.client.Keys(ctx, n.accounts+"*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("%v, %v", keys, err)
	}
	if ttl, err := l.client.PTTL(ctx, keys[0]).Result(); err != nil || ttl < 55*time.Second {
		t.Errorf("it is kept for %v, %v", ttl, err)
	}
}

// When the clock is set back the minute begins anew; what was held before takes nothing from it.
func TestClockSetBack(t *testing.T) {
	now := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	l := bound(t, Options{Now: func() time.Time { return now }})
	ctx := context.Background()
	limits := set(t, quota.Limit{ID: "rpm", Scope: quota.ScopeEveryone, Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Value: 2})
	reserve := func(id string) quota.Reservation {
		t.Helper()
		r, err := l.Reserve(ctx, quota.Request{ID: id, Limits: limits, Amounts: quota.Amounts{Requests: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	reserve("a")
	reserve("b")
	now = now.Add(-time.Hour + 7*time.Microsecond) // other microseconds: another generation
	reserve("c")
	now = now.Add(time.Hour)
	if r := reserve("d"); r.Standings[0].Used != 1 {
		t.Errorf("used %d, want 1: the minute before was an hour ago", r.Standings[0].Used)
	}
	for _, id := range []string{"a", "b"} { // in a minute that is gone they extend freely, and take nothing from the new one
		if _, err := l.Extend(ctx, id, quota.Amounts{Requests: 50}); err != nil {
			t.Errorf("Extend: %v", err)
		}
	}
	for _, id := range []string{"a", "b"} { // held in a ring that is gone, in a bucket that is in use again
		if err := l.Void(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	standings, err := l.Standings(ctx, quota.Subject{}, limits, now)
	if err != nil || standings[0].Used != 1 {
		t.Errorf("%+v, %v, want 1 used", standings, err)
	}
}

// What is posted stops at the largest count that doubles keep, and the limit stays closed.
func TestSaturation(t *testing.T) {
	l := bound(t, Options{})
	ctx := context.Background()
	limits := set(t, quota.Limit{ID: "m", Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: quota.MaxValue})
	m := limits.AppendMatches(nil, quota.Subject{}, l.Now())[0]
	for i := range int64(2) {
		if err := l.Post(ctx, i, i+1, quota.Posting{Key: m.Key, Window: m.Limit.Window, End: m.End, Amount: quota.MaxValue - 10}); err != nil {
			t.Fatal(err)
		}
	}
	standings, err := l.Standings(ctx, quota.Subject{}, limits, time.Time{})
	if err != nil || standings[0].Posted != quota.MaxValue {
		t.Errorf("%+v, %v, want %d posted", standings, err, int64(quota.MaxValue))
	}
	if _, err := l.Reserve(ctx, quota.Request{ID: "a", Limits: limits, Amounts: quota.Amounts{OutputTokens: 1}}); err == nil {
		t.Error("admitted")
	}
}

// someBill is one of three accounts and every kind of window, with ids that are hard to read.
func someBill(t testing.TB) *bill {
	t.Helper()
	limits := set(t,
		quota.Limit{ID: "a\n\x00é", Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: 100},
		quota.Limit{ID: "team", Scope: quota.ScopeTeam, Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: quota.MaxValue},
		quota.Limit{ID: string(make([]byte, 300)), Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowMinute},
		quota.Limit{
			ID: "at once", Scope: quota.ScopeEveryone, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone,
			Enforcement: quota.EnforceSoft, Value: 1,
		})
	at := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	return billOf(limits.AppendMatches(nil, quota.Subject{User: "ann", Team: "red"}, at))
}

func packed(b *bill) string {
	return string(b.pack(time.Unix(0, 0), quota.Amounts{Requests: 1}, quota.Amounts{}, "book/id"))
}

// What a record keeps of a bill is enough to count by it, and to know its limits again.
func TestBills(t *testing.T) {
	want := someBill(t)
	got, err := readBill(packed(want))
	if err != nil {
		t.Fatal(err)
	}
	if packed(got) != packed(want) {
		t.Errorf("read as %+v, want %+v", got, want)
	}
	got.know(want)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(bill{}, line{})); diff != "" {
		t.Errorf("with its limits (-want +got):\n%s", diff)
	}
}

// FuzzBills reads what a stranger may have put into a record.
func FuzzBills(f *testing.F) {
	f.Add(packed(someBill(f)))
	f.Add(packed(&bill{}))
	f.Add("theirs")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := readBill(text)
		if err != nil {
			return
		}
		again, err := readBill(packed(b))
		if err != nil {
			t.Fatalf("%+v: %v", b, err)
		}
		if diff := cmp.Diff(b, again, cmp.AllowUnexported(bill{}, line{})); diff != "" {
			t.Fatalf("(-first +second)\n%s", diff)
		}
	})
}

// FuzzAccounts reads what a stranger may have put in place of an account.
func FuzzAccounts(f *testing.F) {
	f.Add("")
	f.Add("theirs")
	f.Add(string(packInts(nil, 1, 2, 1<<51, 7, 0, 3, 4, 1<<51+1, 100, 16*5+2, 9, 9, 1, 2, 3, 4)))
	f.Fuzz(func(t *testing.T, text string) {
		first, rest, ok := cutAccount(text)
		if ok && first+rest != text {
			t.Fatalf("cut into %q and %q", first, rest)
		}
		for _, w := range []quota.Window{quota.WindowMinute, quota.WindowNone, quota.WindowDay} {
			ln := &line{limit: &quota.Limit{Window: w}, name: 1 << 51, end: time.UnixMicro(7)}
			s, ok := account(text).standing(ln, time.Unix(500, 0), 1)
			if ok && (s.Used > most || s.Posted > most) {
				t.Fatalf("%+v", s)
			}
		}
	})
}

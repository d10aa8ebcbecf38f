package rollup_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/quota/rollup"
)

var start = time.Date(2026, 3, 30, 9, 17, 31, 0, time.UTC) // a Monday, two days before a month begins

// charged is a charge as the records have it.
type charged struct {
	position int64
	subject  quota.Subject
	charge   core.Charge
}

// zones have offsets of every kind: far east and west, quarters of an hour, a clock that changes by half an hour.
var zones = []string{
	"", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Chatham", "Pacific/Kiritimati", "Etc/GMT+12",
	"Australia/Lord_Howe", "America/Havana", "Africa/Casablanca",
}

// windowsIn gives limits on requests, cost and tokens, each window in a zone.
func windowsIn(t rapid.TB, zone string) *quota.LimitSet {
	var limits []quota.Limit
	for i, w := range []quota.Window{quota.WindowMinute, quota.WindowHour, quota.WindowDay, quota.WindowWeek, quota.WindowMonth} {
		scopes := []quota.ScopeKind{quota.ScopeUser, quota.ScopeTeam, quota.ScopeEveryone, quota.ScopeUser, quota.ScopeApp}
		limits = append(limits, quota.Limit{
			ID: string(w), Scope: scopes[i], Dimension: quota.DimensionTokens, Window: w, Value: quota.MaxValue, Zone: zone,
		}, quota.Limit{
			ID: "gpt " + string(w), Scope: quota.ScopeEveryone, Model: "gpt-5*", Dimension: quota.DimensionCost, Window: w, Value: quota.MaxValue, Zone: zone,
		})
	}
	limits = append(limits, quota.Limit{
		ID: "at once", Scope: quota.ScopeUser, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 3,
	})
	set, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

var subjects = []quota.Subject{
	{User: "ann", Team: "red", App: "ide", Model: "gpt-5"},
	{User: "ann", Team: "red", App: "ide", Model: "o3"},
	{User: "ann", Team: "blue", Model: "gpt-5-mini"},
	{App: "ide", Model: "gpt-5"},
	{},
}

// standings are those of a ledger that book fills, for every subject.
func standings(t rapid.TB, limits *quota.LimitSet, now time.Time, book func(*memory.Ledger) error) []quota.Standing {
	l := memory.New(memory.Options{Now: func() time.Time { return now }})
	if err := book(l); err != nil {
		t.Fatal(err)
	}
	var all []quota.Standing
	for _, s := range subjects {
		got, err := l.Standings(context.Background(), s, limits, now)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, got...)
	}
	return all
}

// Whatever was charged when, however often it was summed up, saved and read meanwhile: a ledger that is filled from the sums
// stands as one that is filled from the records, in every window of every zone, also under limits that came later.
func TestSumsAreTheRecords(t *testing.T) {
	fitted := 0
	rapid.Check(t, func(t *rapid.T) {
		now := start.Add(time.Duration(rapid.Int64Range(0, 366*24*3600).Draw(t, "begins")) * time.Second)
		r := rollup.New(now)
		var records []charged
		for range rapid.IntRange(1, 8).Draw(t, "rounds") {
			for range rapid.IntRange(0, 12).Draw(t, "charges") {
				c := drawCharge(t, now, int64(len(records)+1))
				records = append(records, c)
				if err := r.Add(c.position, c.subject, c.charge); err != nil {
					t.Fatal(err)
				}
			}
			now = now.Add(drawPause(t))
			switch rapid.IntRange(0, 3).Draw(t, "then") {
			case 0:
				r.Compact(now)
			case 1:
				r = reread(t, r, now)
			}
		}
		limits := windowsIn(t, rapid.SampledFrom(zones).Draw(t, "zone"))
		if !r.Fits(limits, now) {
			t.Fatal("the clock only went forward, and the sums do not fit")
		}
		fitted++
		want := standings(t, limits, now, func(l *memory.Ledger) error {
			for _, c := range records {
				if err := l.Replay(c.charge, c.subject, limits); err != nil {
					return err
				}
			}
			return nil
		})
		got := standings(t, limits, now, func(l *memory.Ledger) error {
			return r.Each(func(s quota.Subject, c core.Charge) error { return l.Replay(c, s, limits) })
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("standings (-records +sums):\n%s", diff)
		}
	})
	t.Logf("%d sequences compared", fitted)
}

// A clock that jumps by up to a day and back: either the sums fit and are right, or they say that they do not.
func TestSumsAfterTheClockJumped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := start.Add(time.Duration(rapid.Int64Range(0, 40*24*3600).Draw(t, "begins")) * time.Second)
		r := rollup.New(now)
		var records []charged
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			for range rapid.IntRange(0, 12).Draw(t, "charges") {
				c := drawCharge(t, now, int64(len(records)+1))
				records = append(records, c)
				if err := r.Add(c.position, c.subject, c.charge); err != nil {
					t.Fatal(err)
				}
			}
			now = now.Add(time.Duration(rapid.Int64Range(-25*3600, 25*3600).Draw(t, "jump")) * time.Second)
			r = reread(t, r, now)
		}
		limits := windowsIn(t, rapid.SampledFrom(zones).Draw(t, "zone"))
		if !r.Fits(limits, now) {
			return
		}
		// Replaying in the order of time keeps the sliding minute of either ledger from beginning anew.
		slices.SortStableFunc(records, func(a, b charged) int { return a.charge.Admitted.Compare(b.charge.Admitted) })
		want := standings(t, limits, now, func(l *memory.Ledger) error {
			for _, c := range records {
				if err := l.Replay(c.charge, c.subject, limits); err != nil {
					return err
				}
			}
			return nil
		})
		var sums []charged
		if err := r.Each(func(s quota.Subject, c core.Charge) error {
			sums = append(sums, charged{0, s, c})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		slices.SortStableFunc(sums, func(a, b charged) int { return a.charge.Admitted.Compare(b.charge.Admitted) })
		got := standings(t, limits, now, func(l *memory.Ledger) error {
			for _, c := range sums {
				if err := l.Replay(c.charge, c.subject, limits); err != nil {
					return err
				}
			}
			return nil
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("standings (-records +sums):\n%s", diff)
		}
	})
}

func drawCharge(t *rapid.T, now time.Time, position int64) charged {
	ago := rapid.OneOf(
		rapid.Int64Range(0, 130e9), rapid.Int64Range(0, int64(30*time.Hour)), rapid.Int64Range(0, int64(40*24*time.Hour)),
	).Draw(t, "ago")
	n := rapid.Int64Range(0, 1000)
	return charged{position, rapid.SampledFrom(subjects).Draw(t, "subject"), core.Charge{
		Admitted: now.Add(-time.Duration(ago)).Truncate(time.Microsecond), Requests: 1,
		InputTokens: n.Draw(t, "input"), OutputTokens: n.Draw(t, "output"), Cost: core.MicroUSD(n.Draw(t, "cost")),
	}}
}

func drawPause(t *rapid.T) time.Duration {
	longest := rapid.SampledFrom([]time.Duration{0, 10 * time.Second, 2 * time.Minute, 3 * time.Hour, 30 * time.Hour, 12 * 24 * time.Hour}).Draw(t, "longest")
	return time.Duration(rapid.Int64Range(0, int64(longest)).Draw(t, "pause"))
}

func reread(t *rapid.T, r *rollup.Rollup, now time.Time) *rollup.Rollup {
	if r.Position() == 0 {
		return r
	}
	leaf := [32]byte{1, 2, 3}
	again, read, err := rollup.Decode(r.Encode(leaf), now)
	if err != nil || read != leaf || again.Position() != r.Position() {
		t.Fatalf("read at %d (want %d) with leaf %x: %v", again.Position(), r.Position(), read, err)
	}
	return again
}

// What was added is not added again, and what is out of range not at all.
func TestAddOnce(t *testing.T) {
	r := rollup.New(start)
	charge := core.Charge{Admitted: start, Requests: 1, InputTokens: 7}
	for _, position := range []int64{3, 3, 2, 5} {
		if err := r.Add(position, subjects[0], charge); err != nil {
			t.Fatal(err)
		}
	}
	if got := total(t, r); got.Requests != 2 || got.InputTokens != 14 || r.Position() != 5 {
		t.Errorf("%+v at %d", got, r.Position())
	}
	if err := r.Add(6, subjects[0], core.Charge{Admitted: start, Requests: -1}); !errors.Is(err, quota.ErrAmount) || r.Position() != 5 {
		t.Errorf("a negative charge: %v at %d", err, r.Position())
	}
}

func total(t *testing.T, r *rollup.Rollup) (sum quota.Amounts) {
	t.Helper()
	if err := r.Each(func(_ quota.Subject, c core.Charge) error {
		sum = sum.Add(quota.ChargeAmounts(c))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return sum
}

// Sums stay in the range of amounts: what does not fit into one is kept in two.
func TestLargeSums(t *testing.T) {
	r := rollup.New(start)
	for i := range int64(5) {
		charge := core.Charge{Admitted: start.Add(-time.Hour), OutputTokens: quota.MaxAmount / 2}
		if err := r.Add(i+1, subjects[0], charge); err != nil {
			t.Fatal(err)
		}
	}
	r.Compact(start.Add(48 * time.Hour))
	if got := total(t, r); got.OutputTokens != 5*(quota.MaxAmount/2) || r.Len() != 3 {
		t.Errorf("%+v in %d sums", got, r.Len())
	}
	if _, _, err := rollup.Decode(r.Encode([32]byte{}), start); err != nil {
		t.Error(err)
	}
}

// A year of charges takes no more room than the windows need.
func TestSumsAreBounded(t *testing.T) {
	r := rollup.New(start)
	now := start
	most := 0
	for i := range int64(366 * 24 * 4) {
		if err := r.Add(i+1, subjects[0], core.Charge{Admitted: now, Requests: 1}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(15 * time.Minute)
		r.Compact(now)
		most = max(most, r.Len())
	}
	t.Logf("at most %d sums of one subject", most)
	if most > 110+4*106+10 {
		t.Errorf("%d sums of one subject", most)
	}
	now = now.AddDate(0, 2, 0)
	if r.Compact(now); r.Len() != 0 {
		t.Errorf("%d sums are kept of what no window counts", r.Len())
	}
}

// What cannot be right is refused, not guessed at.
func TestFitsRefuses(t *testing.T) {
	r := rollup.New(start)
	for i := range int64(50) {
		charge := core.Charge{Admitted: start.Add(-time.Duration(i) * 17 * time.Hour), Requests: 1}
		if err := r.Add(i+1, subjects[0], charge); err != nil {
			t.Fatal(err)
		}
	}
	limits := windowsIn(t, "")
	if !r.Fits(limits, start) || !r.Fits(nil, start) {
		t.Error("the sums do not fit the time that they were made at")
	}
	for name, at := range map[string]time.Time{
		"days were summed up":    start.AddDate(0, 0, -10),
		"the month is not whole": start.AddDate(0, -1, -5),
	} {
		if r.Fits(limits, at) {
			t.Errorf("%s, and the sums fit %v", name, at)
		}
	}
}

package drift_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/drift"
)

// paper is a ledger and its records on paper: what is posted is worked out from the charges that have come to it.
type paper struct {
	limits  *quota.LimitSet
	charges []drift.Charge
	// came says when each exchange came to the ledger, by the number of the look; unsure ones at that look.
	came   map[string]int
	unsure map[string]int
	extra  map[string]int64 // by limit and whom it counts: posted behind the records' back
	fill   time.Time        // the ledger counts what was admitted since
	held   map[string]drift.Charge
	looks  int
}

func (p *paper) Look(_ context.Context, subjects ...quota.Subject) (drift.Look, error) {
	look, now := p.looks, time.Now()
	p.looks++
	out := drift.Look{At: now, Has: func(c *drift.Charge) drift.Presence {
		if n, ok := p.unsure[c.ID]; ok && n >= look {
			return drift.Unsure
		}
		if p.came[c.ID] <= look {
			return drift.Present
		}
		return drift.Absent
	}}
	for id := range p.held {
		out.Expired = append(out.Expired, drift.Exchange{ID: id})
	}
	for _, s := range subjects {
		var standings []quota.Standing
		for _, m := range p.limits.AppendMatches(nil, s, now) {
			posted := p.extra[m.Limit.ID+"/"+m.Key.Subject]
			for _, c := range p.charges {
				for _, counted := range p.limits.AppendMatches(nil, c.Subject, c.Charge.Admitted) {
					if counted.Key == m.Key && p.came[c.ID] <= look && !c.Charge.Admitted.Before(p.fill) &&
						(m.Limit.Window != quota.WindowMinute || now.Sub(c.Charge.Admitted) < time.Minute) {
						posted += quota.ChargeAmounts(c.Charge).In(m.Limit.Dimension)
					}
				}
			}
			standings = append(standings, quota.Standing{Limit: m.Limit, Posted: posted, Used: posted})
		}
		out.Standings = append(out.Standings, standings)
	}
	return out, nil
}

func (p *paper) Charges(_ context.Context, since time.Time, after drift.Marks, fn func(*drift.Charge) error) error {
	for i := range p.charges {
		if c := &p.charges[i]; !c.Charge.Admitted.Before(since) && c.Position > after[c.Book] {
			if err := fn(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *paper) Reserved(_ context.Context, e drift.Exchange) (drift.Charge, bool, error) {
	c, ok := p.held[e.ID]
	return c, ok && c.ID != "", nil
}

func (p *paper) charge(user string, tokens int64, ago time.Duration) string {
	id := fmt.Sprint("x", len(p.charges))
	p.charges = append(p.charges, drift.Charge{
		Exchange: drift.Exchange{ID: id}, Position: int64(len(p.charges) + 1), Subject: quota.Subject{User: user},
		Charge: core.Charge{Admitted: time.Now().Add(-ago), Requests: 1, OutputTokens: tokens},
	})
	return id
}

func (p *paper) compare(t testing.TB, patience time.Duration) *drift.Report {
	t.Helper()
	r, err := drift.Compare(context.Background(), drift.Options{
		Ledger: p, Records: p, Limits: p.limits, Now: time.Now, Patience: patience, AtOnce: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newPaper(t testing.TB) *paper {
	t.Helper()
	limits, err := quota.Compile([]quota.Limit{
		{ID: "month", Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: 1},
		{ID: "day", Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: 1},
		{ID: "minute", Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Value: 1},
		{ID: "young", Scope: quota.ScopeUser, Subject: "ann", Dimension: quota.DimensionRequests, Window: quota.WindowMonth, Value: 1, Created: time.Now().Add(-time.Hour)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &paper{limits: limits, came: map[string]int{}, unsure: map[string]int{}, extra: map[string]int64{}, held: map[string]drift.Charge{}}
}

func find(t testing.TB, r *drift.Report, limit, of string) drift.Row {
	t.Helper()
	for _, row := range r.Counters {
		if row.Limit == limit && row.For == of {
			return row
		}
	}
	t.Fatalf("no %s of %q: %+v", limit, of, r.Counters)
	return drift.Row{}
}

// intoTheMonth goes on with the clock of a test's bubble, which begins at the first of a month.
func intoTheMonth() { <-time.After(15*24*time.Hour + 3*time.Second) }

// plan is one charge of a test.
type plan struct {
	user   string
	tokens int64
	ago    time.Duration
	came   int
	unsure bool
}

// TestDifferencesAreExact: whatever is on its way when, what was put in by hand is found with its amount, and nothing else.
func TestDifferencesAreExact(t *testing.T) {
	const never = 1 << 30
	rapid.Check(t, func(rt *rapid.T) {
		charges := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) plan {
			return plan{
				rapid.SampledFrom([]string{"ann", "ben"}).Draw(rt, "user"), rapid.Int64Range(0, 50).Draw(rt, "tokens"),
				rapid.SampledFrom([]time.Duration{
					0, time.Second, 30 * time.Second, 2 * time.Minute, 20 * time.Hour, 10 * 24 * time.Hour, 40 * 24 * time.Hour,
				}).Draw(rt, "ago"),
				rapid.SampledFrom([]int{0, 0, 0, 1, 2, 5, never}).Draw(rt, "came"), rapid.Bool().Draw(rt, "unsure"),
			}
		}), 0, 30).Draw(rt, "charges")
		extra := map[string]int64{
			"month/":  rapid.SampledFrom([]int64{0, 0, 7, -3}).Draw(rt, "month"),
			"day/ann": rapid.SampledFrom([]int64{0, 0, 5}).Draw(rt, "day"),
		}
		var r *drift.Report
		synctest.Test(t, func(t *testing.T) {
			intoTheMonth()
			p := newPaper(t)
			p.extra = extra
			for _, c := range charges {
				id := p.charge(c.user, c.tokens, c.ago)
				if p.came[id] = c.came; c.unsure && c.came != never {
					p.unsure[id] = c.came
				}
			}
			r = p.compare(t, time.Hour)
		})
		for _, row := range r.Counters {
			want := extra[row.Limit+"/"+row.For]
			if row.Difference != want || row.Ledger-row.Records != want || (row.State == drift.StateDrift) != (want != 0) {
				rt.Fatalf("%+v, want %+d", row, want)
			}
		}
		if r.InFlight != 0 {
			rt.Fatalf("%+v", r)
		}
	})
}

// TestWhatStaysUnsureIsNamed, with how much it may be; and more than that is drift.
func TestWhatStaysUnsureIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaper(t)
		p.charge("ann", 10, 0)
		id := p.charge("ben", 5, 0)
		p.unsure[id] = 1 << 30
		r := p.compare(t, time.Second)
		if row := find(t, r, "month", ""); row.State != drift.StateInFlight || row.InFlight != 5 || row.Difference != 0 {
			t.Errorf("%+v", row)
		}
		if row := find(t, r, "day", "ann"); row.State != drift.StateAgrees {
			t.Errorf("%+v", row)
		}
		p.extra["month/"] = 4
		if row := find(t, p.compare(t, time.Second), "month", ""); row.State != drift.StateDrift || row.Difference != 4 {
			t.Errorf("%+v", row)
		}
	})
}

// TestExpiredMayBeBookedUpToWhatTheyHeld.
func TestExpiredMayBeBookedUpToWhatTheyHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaper(t)
		p.charge("ann", 10, 0)
		p.held["gone"] = drift.Charge{Exchange: drift.Exchange{ID: "gone"}, Subject: quota.Subject{User: "ann"}, Charge: core.Charge{Admitted: time.Now(), OutputTokens: 30}}
		p.held["nowhere"] = drift.Charge{}
		p.extra["day/ann"] = 20
		r := p.compare(t, time.Second)
		if row := find(t, r, "day", "ann"); row.State != drift.StateInFlight || row.InFlight != 30 || r.Strays != 1 {
			t.Errorf("%+v of %+v", row, r)
		}
		p.extra["day/ann"] = 31
		if row := find(t, p.compare(t, time.Second), "day", "ann"); row.State != drift.StateDrift || row.Difference != 1 {
			t.Errorf("%+v", row)
		}
	})
}

// TestALimitMadeWithinItsWindow counts from then on, or the whole window; anything else is drift.
func TestALimitMadeWithinItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		intoTheMonth()
		p := newPaper(t)
		p.charge("ann", 1, 2*time.Hour)
		p.charge("ann", 1, 0)
		if row := find(t, p.compare(t, time.Second), "young", "ann"); row.Ledger != 2 || row.Younger || row.State != drift.StateAgrees {
			t.Errorf("filled since: %+v", row)
		}
		p.fill = time.Now().Add(-time.Hour)
		if row := find(t, p.compare(t, time.Second), "young", "ann"); row.Ledger != 1 || !row.Younger || row.State != drift.StateAgrees {
			t.Errorf("there before: %+v", row)
		}
		p.extra["young/ann"] = -1
		if row := find(t, p.compare(t, time.Second), "young", "ann"); row.State != drift.StateDrift {
			t.Errorf("neither: %+v", row)
		}
	})
}

// TestALedgerUnderOtherLimitsIsNotCompared.
func TestALedgerUnderOtherLimitsIsNotCompared(t *testing.T) {
	p := newPaper(t)
	p.charge("ann", 1, 0)
	other := *p
	other.limits, _ = quota.Compile(p.limits.Limits()[1:])
	_, err := drift.Compare(t.Context(), drift.Options{Ledger: &other, Records: p, Limits: p.limits, Now: time.Now})
	if !errors.Is(err, quota.ErrChanged) {
		t.Errorf("got %v", err)
	}
}

package memory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
)

var (
	start = time.Date(2026, 3, 11, 12, 30, 0, 0, time.UTC)
	ann   = quota.Subject{User: "ann", Team: "red", App: "ide", Model: "gpt-5"}
)

// clocked is a ledger with a clock that the test sets.
type clocked struct {
	*memory.Ledger
	at time.Time
}

func newClocked() *clocked {
	c := &clocked{at: start}
	c.Ledger = memory.New(memory.Options{Now: func() time.Time { return c.at }})
	return c
}

func (c *clocked) reserveAt(id string, limits *quota.LimitSet, s quota.Subject, at time.Time) error {
	_, err := c.Reserve(context.Background(), quota.Request{
		ID: id, Subject: s, Amounts: quota.Amounts{Requests: 1}, Limits: limits, At: at,
	})
	return err
}

func (c *clocked) used(t *testing.T, limits *quota.LimitSet) []int64 {
	t.Helper()
	standings, err := c.Standings(context.Background(), ann, limits, c.at)
	if err != nil {
		t.Fatal(err)
	}
	used := make([]int64, len(standings))
	for i, s := range standings {
		used[i] = s.Used
	}
	return used
}

func compile(t testing.TB, limits ...quota.Limit) *quota.LimitSet {
	t.Helper()
	for i := range limits {
		limits[i].ID, limits[i].Scope = fmt.Sprint(i), quota.ScopeUser
	}
	s, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func requests(w quota.Window, value int64) quota.Limit {
	return quota.Limit{Dimension: quota.DimensionRequests, Window: w, Value: value}
}

// A ledger that is filled from the records stands as the one that wrote them did, in whatever order they come.
func TestReplay(t *testing.T) {
	limits := compile(t,
		requests(quota.WindowMinute, 3), requests(quota.WindowHour, 3), requests(quota.WindowDay, 3), requests(quota.WindowMonth, 3),
		quota.Limit{Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 1},
		quota.Limit{Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: 1000})
	l := newClocked()
	for _, ago := range []time.Duration{10 * time.Second, 0, 60 * time.Second, 66 * time.Second, 40 * time.Minute, 13 * time.Hour, 40 * 24 * time.Hour} {
		charge := core.Charge{Admitted: start.Add(-ago), Requests: 1, Cost: 7}
		if err := l.Replay(charge, ann, limits); err != nil {
			t.Fatal(err)
		}
	}
	want := []int64{3, 4, 5, 6, 0, 42}
	if got := l.used(t, limits); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("used %v, want %v", got, want)
	}
	var e *quota.ExhaustedError
	if err := l.reserveAt("a", limits, ann, start); !errors.As(err, &e) || e.Standing.Limit.Window != quota.WindowMonth {
		t.Errorf("got %v, want a refusal by the month", err)
	}
	if l.Pending() != 0 || l.Overruns() != 0 {
		t.Error("a replay is neither pending nor an overrun")
	}
	if err := l.Replay(core.Charge{Admitted: start, Requests: -1}, ann, limits); !errors.Is(err, quota.ErrAmount) {
		t.Errorf("negative: %v", err)
	}
}

// Calls take their time before they take the lock. One that comes late must not find room where the newest window has
// none.
func TestLateCall(t *testing.T) {
	limits := compile(t, requests(quota.WindowMinute, 1))
	l := newClocked()
	if err := l.reserveAt("a", limits, ann, start); err != nil {
		t.Fatal(err)
	}
	var e *quota.ExhaustedError
	if err := l.reserveAt("b", limits, ann, start.Add(-time.Nanosecond)); !errors.As(err, &e) {
		t.Errorf("got %v, want a refusal", err)
	}
	// The late call counts with the newest, or it would leave the minute early.
	l = newClocked()
	limits = compile(t, requests(quota.WindowMinute, 2))
	for i, at := range []time.Time{start, start.Add(-time.Nanosecond)} {
		if err := l.reserveAt(fmt.Sprint(i), limits, ann, at); err != nil {
			t.Fatal(err)
		}
	}
	l.at = start.Add(time.Minute)
	if got := l.used(t, limits)[0]; got != 2 {
		t.Errorf("used %d a minute later, want 2", got)
	}
}

// A clock that is set back by hours must not close the sliding minute for hours.
func TestClockSetBack(t *testing.T) {
	limits := compile(t, requests(quota.WindowMinute, 1))
	l := newClocked()
	if err := l.reserveAt("before", limits, ann, l.at); err != nil {
		t.Fatal(err)
	}
	l.at = start.Add(-2 * time.Hour)
	if err := l.reserveAt("after", limits, ann, l.at); err != nil {
		t.Errorf("after the clock was set back: %v", err)
	}
	var e *quota.ExhaustedError
	if err := l.reserveAt("more", limits, ann, l.at); !errors.As(err, &e) {
		t.Errorf("got %v, want a refusal by what is counted anew", err)
	}
	// The end of what was reserved before takes nothing from what is counted anew.
	if err := l.Void(context.Background(), "before"); err != nil {
		t.Fatal(err)
	}
	if got := l.used(t, limits)[0]; got != 1 {
		t.Errorf("used %d, want 1", got)
	}
}

// A clock that jumps by a day and back must neither break what is in flight nor let more through than a window holds of what
// it counts.
func TestClockJumpsByADay(t *testing.T) {
	limits := compile(t,
		requests(quota.WindowMinute, 2), requests(quota.WindowHour, 2), requests(quota.WindowDay, 2), requests(quota.WindowMonth, 100),
		quota.Limit{Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 100})
	l := newClocked()
	for i, jump := range []time.Duration{0, 24 * time.Hour, -24 * time.Hour, -24 * time.Hour, 24 * time.Hour, 48 * time.Hour} {
		l.at = l.at.Add(jump)
		before := l.used(t, limits)
		admitted := int64(0)
		for n := range 4 {
			if l.reserveAt(fmt.Sprint(i, " ", n), limits, ann, l.at) == nil {
				admitted++
			}
		}
		after := l.used(t, limits)
		for w := range 3 {
			if after[w] > 2 {
				t.Errorf("jump %d: window %d holds %d of 2", i, w, after[w])
			}
		}
		if after[3] != before[3]+admitted || after[4] != before[4]+admitted {
			t.Errorf("jump %d: %v became %v with %d admitted", i, before, after, admitted)
		}
	}
	pending := l.Pending()
	if ids, err := l.Expire(context.Background(), l.at.Add(time.Hour)); err != nil || len(ids) != pending || l.Pending() != 0 {
		t.Errorf("%d of %d expired, %v", len(ids), pending, err)
	}
	for w, n := range l.used(t, limits) {
		if n != 0 {
			t.Errorf("window %d holds %d when all is void", w, n)
		}
	}
}

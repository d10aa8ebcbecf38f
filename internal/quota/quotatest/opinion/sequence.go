package opinion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/quotatest"
)

// remembered is for how long the tests expect the result of a resolved reservation to be known.
const remembered = 9 * time.Minute

// Sequences compares ledgers with the book over random sequences of operations. The flag -rapid.checks sets their number.
func Sequences(t *testing.T, open quotatest.Open) {
	rapid.Check(t, func(rt *rapid.T) {
		r := &run{T: rt, now: drawStart(rt)}
		r.ledger = open(t, func() time.Time { return r.now })
		r.sets = drawSets(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"reserve": r.reserve, "reserve again": r.reserveAgain, "extend": r.extend, "touch": r.touch, "settle": r.settle,
			"void": r.void, "expire": r.expire, "wait": r.wait, "amounts out of range": r.outOfRange, "": r.standings,
		})
	})
}

// run is one sequence.
type run struct {
	*rapid.T
	ledger   quotatest.Ledger
	book     book
	now      time.Time
	sets     []*quota.LimitSet
	ids      int
	overruns uint64
}

// drawStart draws a time, most often shortly before many windows change.
func drawStart(t *rapid.T) time.Time {
	at := rapid.SampledFrom([]time.Time{
		time.Date(2026, 5, 31, 23, 59, 40, 0, time.UTC),  // hour, day, week and month
		time.Date(2026, 5, 31, 18, 29, 50, 0, time.UTC),  // the same in India
		time.Date(2026, 12, 31, 23, 58, 0, 0, time.UTC),  // the year; not the ISO week
		time.Date(2024, 2, 28, 23, 59, 59, 0, time.UTC),  // before a leap day
		time.Date(2026, 3, 11, 12, 30, 2, 5e8, time.UTC), // nothing
	}).Draw(t, "start")
	return at.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
}

// drawSets draws limits, and the same with other values: an admin changes them while calls are in flight.
func drawSets(t *rapid.T) []*quota.LimitSet {
	n := rapid.IntRange(1, 6).Draw(t, "limits")
	limits := make([]quota.Limit, n)
	for i := range limits {
		l := quota.Limit{
			ID:        fmt.Sprint("l", i),
			Scope:     rapid.SampledFrom([]quota.ScopeKind{quota.ScopeEveryone, quota.ScopeTeam, quota.ScopeUser, quota.ScopeApp}).Draw(t, "scope"),
			Model:     rapid.SampledFrom([]string{"", "", "m1"}).Draw(t, "model"),
			Dimension: rapid.SampledFrom([]quota.Dimension{quota.DimensionRequests, quota.DimensionInputTokens, quota.DimensionOutputTokens, quota.DimensionTokens, quota.DimensionCost, quota.DimensionConcurrency}).Draw(t, "dimension"),
			Window:    rapid.SampledFrom([]quota.Window{quota.WindowMinute, quota.WindowHour, quota.WindowDay, quota.WindowWeek, quota.WindowMonth}).Draw(t, "window"),
			Zone:      rapid.SampledFrom([]string{"", "Asia/Kolkata"}).Draw(t, "zone"),
		}
		if l.Dimension == quota.DimensionConcurrency {
			l.Window = quota.WindowNone
		}
		limits[i] = l
	}
	var sets []*quota.LimitSet
	for range rapid.IntRange(1, 3).Draw(t, "versions") {
		version := slices.Clone(limits)
		for i := range version {
			version[i].Value = rapid.Int64Range(0, 40).Draw(t, "value")
			if version[i].Dimension == quota.DimensionConcurrency {
				version[i].Value /= 8
			}
			version[i].Enforcement = rapid.SampledFrom([]quota.Enforcement{"", quota.EnforceHard, quota.EnforceHard, quota.EnforceSoft, quota.EnforceObserve}).Draw(t, "enforcement")
		}
		set, err := quota.Compile(version)
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, set)
	}
	return sets
}

func drawSubject(t *rapid.T) quota.Subject {
	return quota.Subject{
		User: rapid.SampledFrom([]string{"ann", "bob", ""}).Draw(t, "user"), Team: rapid.SampledFrom([]string{"red", "blue", ""}).Draw(t, "team"),
		App: rapid.SampledFrom([]string{"ide", ""}).Draw(t, "app"), Model: rapid.SampledFrom([]string{"m1", "m2"}).Draw(t, "model"),
	}
}

func drawAmounts(t *rapid.T, most int64) quota.Amounts {
	n := func(label string) int64 { return rapid.Int64Range(0, most).Draw(t, label) }
	return quota.Amounts{Requests: n("requests"), InputTokens: n("input"), OutputTokens: n("output"), Cost: core.MicroUSD(n("cost"))}
}

// drawEntry draws a call that the ledger should still know, live or resolved; nil if there is none.
func (r *run) drawEntry(t *rapid.T) *entry {
	var known []*entry
	for _, e := range r.book.calls {
		if !e.resolved || r.now.Sub(e.over) < remembered {
			known = append(known, e)
		}
	}
	if len(known) == 0 {
		return nil
	}
	return known[len(known)-1-rapid.IntRange(0, min(len(known), 6)-1).Draw(t, "call")]
}

func (r *run) request(t *rapid.T) quota.Request {
	return quota.Request{
		Subject: drawSubject(t), Amounts: drawAmounts(t, 6), Limits: rapid.SampledFrom(r.sets).Draw(t, "set"), At: r.now,
	}
}

func (r *run) reserve(t *rapid.T) {
	req := r.request(t)
	r.ids++
	req.ID = fmt.Sprint("call-", r.ids)
	limits := matching(req.Limits, req.Subject)
	full := r.book.lacks(limits, req.Subject, r.now, func(l *quota.Limit) int64 { return wants(l, req.Amounts) })
	got, err := r.ledger.Reserve(context.Background(), req)
	if !r.judge(t, err, full, req.Subject, func(l *quota.Limit) int64 { return wants(l, req.Amounts) }) {
		return
	}
	if got.ID != req.ID || got.Held != req.Amounts || !got.Admitted.Equal(r.now) {
		t.Fatalf("Reserve gave %+v for %+v", got, req)
	}
	r.book.calls = append(r.book.calls, &entry{
		id: req.ID, subject: req.Subject, limits: limits, admitted: r.now, first: got, held: req.Amounts, until: r.now.Add(lease),
	})
	r.compare(t, "Reserve", got.Standings, limits, req.Subject, r.now)
}

// judge holds an answer against the limits that lack room: I1, I7 and I8. It reports whether the call was admitted.
func (r *run) judge(t *rapid.T, err error, full []quota.Limit, s quota.Subject, more func(*quota.Limit) int64) bool {
	var refused *quota.ExhaustedError
	switch {
	case err == nil && len(full) == 0:
		return true
	case err == nil:
		t.Fatalf("I1: admitted although these lack room: %+v", full)
	case !errors.As(err, &refused):
		t.Fatalf("unexpected error: %v", err)
	case len(full) == 0:
		t.Fatalf("I8: refused although all have room: %v", err)
	}
	named := refused.Standing
	if !slices.Contains(full, *named.Limit) {
		t.Fatalf("I7: %v is named, but these lack room: %+v", err, full)
	}
	who, _ := about(named.Limit, s)
	posted, pending := r.book.used(named.Limit, who, r.now)
	if named.Used != posted+pending || named.Posted != posted || refused.Wanted != more(named.Limit) {
		t.Fatalf("refusal says %+v (wanted %d), the book says %d posted, %d pending, %d wanted", named, refused.Wanted, posted, pending, more(named.Limit))
	}
	never := func(l *quota.Limit) bool { return more(l) > l.Value }
	for i := range full {
		switch other := &full[i]; {
		case never(other) && !never(named.Limit):
			t.Fatalf("%s is named, but under %s the call can never fit", named.Limit.ID, other.ID)
		case never(other) == never(named.Limit) && !never(other) && r.opens(other, s, more(other)).After(named.Reset):
			t.Fatalf("%s is named with reset %v, but %s opens only at %v", named.Limit.ID, named.Reset, other.ID, r.opens(other, s, more(other)))
		}
	}
	if want := r.opens(named.Limit, s, more(named.Limit)); !never(named.Limit) && !want.Equal(named.Reset) {
		t.Fatalf("%s is said to open at %v, the book says %v", named.Limit.ID, named.Reset, want)
	}
	return false
}

// opens finds the time from which a refused amount fits, by looking: of a calendar window its end, of the minute the first
// time at which enough has left it. It is zero for concurrency.
func (r *run) opens(l *quota.Limit, s quota.Subject, more int64) time.Time {
	who, _ := about(l, s)
	switch l.Window {
	case quota.WindowNone:
		return time.Time{}
	case quota.WindowMinute:
		for at := r.now.Truncate(5 * time.Second).Add(5 * time.Second); at.Before(r.now.Add(2 * time.Minute)); at = at.Add(5 * time.Second) {
			if posted, pending := r.book.used(l, who, at); posted+pending+more <= l.Value {
				return at
			}
		}
		return time.Time{}
	default:
		at := r.now.Truncate(30 * time.Minute) // zones stand at half hours
		for within(l, r.now, at) || !at.After(r.now) {
			at = at.Add(30 * time.Minute)
		}
		return at
	}
}

// reserveAgain repeats the id of a call.
func (r *run) reserveAgain(t *rapid.T) {
	e := r.drawEntry(t)
	if e == nil {
		t.Skip("no call")
	}
	req := r.request(t)
	req.ID = e.id
	got, err := r.ledger.Reserve(context.Background(), req)
	switch {
	case e.resolved && !errors.Is(err, quota.ErrResolved):
		t.Fatalf("I3: Reserve of a resolved id gave %v", err)
	case !e.resolved && err != nil:
		t.Fatalf("I3: Reserve of a live id gave %v", err)
	case !e.resolved:
		if diff := cmp.Diff(e.first, got); diff != "" {
			t.Fatalf("I3: Reserve of a live id (-first +again)\n%s", diff)
		}
	}
}

func (r *run) extend(t *rapid.T) {
	e, to := r.drawEntry(t), drawAmounts(t, 4)
	if e == nil || rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
		if _, err := r.ledger.Extend(context.Background(), "nobody", to); !errors.Is(err, quota.ErrUnknown) {
			t.Fatalf("Extend of an unknown call gave %v", err)
		}
		return
	}
	if rapid.Bool().Draw(t, "adds") {
		to = to.Add(e.held)
	}
	got, err := r.ledger.Extend(context.Background(), e.id, to)
	if e.resolved {
		if !errors.Is(err, quota.ErrUnknown) {
			t.Fatalf("I3: Extend of a resolved call gave %v", err)
		}
		return
	}
	// A call that has left the minute extends freely under it; windows are those of its admission.
	var counting []quota.Limit
	for _, l := range e.limits {
		if l.Window != quota.WindowMinute || within(&l, e.admitted, r.now) {
			counting = append(counting, l)
		}
	}
	total := most(e.held, to)
	in := func(l *quota.Limit) int64 { return amount(l.Dimension, total) - amount(l.Dimension, e.held) }
	var full []quota.Limit
	for _, l := range counting {
		at := e.admitted
		if l.Window == quota.WindowMinute {
			at = r.now
		}
		full = append(full, r.book.lacks([]quota.Limit{l}, e.subject, at, in)...)
	}
	var refused *quota.ExhaustedError
	switch {
	case err == nil && len(full) > 0:
		t.Fatalf("I1: extended although these lack room: %+v", full)
	case err != nil && len(full) == 0:
		t.Fatalf("I8: Extend gave %v although all have room", err)
	case err != nil:
		if !errors.As(err, &refused) || !slices.Contains(full, *refused.Standing.Limit) {
			t.Fatalf("I7: Extend gave %v, but these lack room: %+v", err, full)
		}
	default:
		e.held, e.until = total, r.now.Add(lease)
		if got.ID != e.id || got.Held != e.held || !got.Admitted.Equal(e.admitted) {
			t.Fatalf("Extend gave %+v, the book says %+v", got, e)
		}
	}
}

func (r *run) touch(t *rapid.T) {
	progress := []quota.Progress{{ID: "nobody"}}
	for range rapid.IntRange(1, 3).Draw(t, "calls") {
		if e := r.drawEntry(t); e != nil {
			progress = append(progress, quota.Progress{ID: e.id, Used: drawAmounts(t, 6)})
			if !e.resolved {
				e.progress, e.until = progress[len(progress)-1].Used, r.now.Add(lease)
			}
		}
	}
	if err := r.ledger.Touch(context.Background(), progress...); err != nil {
		t.Fatalf("Touch: %v", err)
	}
}

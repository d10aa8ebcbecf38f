package quotatest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// combinationZones are zones with a moment shortly before their clocks change, and how long the day is in which they do.
var combinationZones = []struct {
	zone string
	at   time.Time
	day  time.Duration
}{
	{"", noon, 24 * time.Hour},
	{"Europe/Berlin", time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC), 23 * time.Hour},
	{"America/New_York", time.Date(2026, 11, 1, 5, 30, 0, 0, time.UTC), 25 * time.Hour},
	{"Australia/Lord_Howe", time.Date(2026, 4, 4, 14, 15, 0, 0, time.UTC), 24*time.Hour + 30*time.Minute},
	{"America/Santiago", time.Date(2026, 9, 6, 4, 30, 0, 0, time.UTC), 23 * time.Hour}, // whose day begins at one o'clock
	{"Asia/Kathmandu", noon, 24 * time.Hour},
}

// Combinations checks every scope × subject × model × dimension × window × enforcement × zone: the limit holds until the
// end of its window and not beyond, for those that it is about and for nobody else, and the soft and observed ones count
// without refusing.
func Combinations(t *testing.T, open Open) {
	for _, z := range combinationZones {
		t.Run(cmp.Or(z.zone, "UTC"), func(t *testing.T) {
			zone, err := time.LoadLocation(z.zone)
			if err != nil {
				t.Fatal(err)
			}
			eachCombination(func(l quota.Limit) {
				l.Zone = z.zone
				end := windowEnd(l.Window, zone, z.at)
				if l.Window == quota.WindowDay && end.Sub(windowStart(zone, z.at)) != z.day {
					t.Fatalf("the day of %s is to last %v", z.at, z.day)
				}
				f := newFixture(t, open)
				f.clock.set(z.at)
				if err := f.combination(l, end); err != nil {
					t.Errorf("%+v: %v", l, err)
				}
			})
		})
	}
}

// eachCombination gives every limit but for its zone. Each has room for ten.
func eachCombination(yield func(quota.Limit)) {
	calendar := []quota.Window{quota.WindowMinute, quota.WindowHour, quota.WindowDay, quota.WindowWeek, quota.WindowMonth}
	for _, scope := range []quota.ScopeKind{quota.ScopeEveryone, quota.ScopeTeam, quota.ScopeUser, quota.ScopeApp} {
		for _, subject := range subjectsOf(scope) {
			for _, model := range []string{"", "gpt-5", "gpt-*"} {
				for _, dimension := range []quota.Dimension{
					quota.DimensionRequests, quota.DimensionInputTokens, quota.DimensionOutputTokens, quota.DimensionTokens,
					quota.DimensionCost, quota.DimensionConcurrency,
				} {
					windows := calendar
					if dimension == quota.DimensionConcurrency {
						windows = []quota.Window{quota.WindowNone}
					}
					for _, window := range windows {
						for _, enforcement := range []quota.Enforcement{"", quota.EnforceHard, quota.EnforceSoft, quota.EnforceObserve} {
							yield(quota.Limit{
								ID: "l", Scope: scope, Subject: subject, Model: model, Dimension: dimension, Window: window,
								Enforcement: enforcement, Value: 10,
							})
						}
					}
				}
			}
		}
	}
}

// subjectsOf gives the subjects of limits that are about ann: each of a scope, and the one that she is of.
func subjectsOf(scope quota.ScopeKind) []string {
	switch scope {
	case quota.ScopeTeam:
		return []string{"", ann.Team}
	case quota.ScopeUser:
		return []string{"", ann.User}
	case quota.ScopeApp:
		return []string{"", ann.App}
	default:
		return []string{""}
	}
}

// ten holds ten in every dimension but concurrency, of which it holds one.
var ten = quota.Amounts{Requests: 10, InputTokens: 10, OutputTokens: 0, Cost: 10}

// combination uses a limit up, and sees whom it then refuses and until when.
func (f *fixture) combination(l quota.Limit, end time.Time) error {
	limits, err := quota.Compile([]quota.Limit{l})
	if err != nil {
		return err
	}
	all, one := ten, quota.Amounts{Requests: 1, InputTokens: 1, Cost: 1}
	if l.Dimension == quota.DimensionOutputTokens {
		all.InputTokens, all.OutputTokens = 0, 10
		one.InputTokens, one.OutputTokens = 0, 1
	}
	calls := 0
	reserve := func(s quota.Subject, a quota.Amounts) (quota.Reservation, error) {
		calls++
		return f.ledger.Reserve(context.Background(), quota.Request{
			ID: fmt.Sprint(calls), Subject: s, Amounts: a, Limits: limits, At: f.clock.now(),
		})
	}
	used := 1
	if l.Dimension == quota.DimensionConcurrency {
		used = 10
	}
	for range used {
		if _, err := reserve(ann, all); err != nil {
			return fmt.Errorf("room for all was refused: %w", err)
		}
	}
	if err := wantRefused(reserve, l, end, one); err != nil {
		return fmt.Errorf("when it is used up: %w", err)
	}
	if err := othersPass(reserve, l, one); err != nil {
		return err
	}
	if l.Dimension == quota.DimensionConcurrency {
		if err := f.ledger.Void(context.Background(), "1"); err != nil {
			return err
		}
		if _, err := reserve(ann, one); err != nil && l.Hard() {
			return fmt.Errorf("a place that is free again: %w", err)
		}
		return nil
	}
	f.clock.set(end.Add(-1))
	if err := wantRefused(reserve, l, end, one); err != nil {
		return fmt.Errorf("a moment before the end of its window: %w", err)
	}
	f.clock.set(end)
	if _, err := reserve(ann, all); err != nil {
		return fmt.Errorf("at the end of its window: %w", err)
	}
	return nil
}

// wantRefused wants a call more refused by a hard limit, in words that are right, and admitted by others.
func wantRefused(reserve func(quota.Subject, quota.Amounts) (quota.Reservation, error), l quota.Limit, end time.Time, one quota.Amounts) error {
	held, err := reserve(ann, one)
	if !l.Hard() {
		if err != nil || len(held.Standings) != 1 || held.Standings[0].Used <= l.Value {
			return fmt.Errorf("a limit that only counts gave %+v, %w", held, err)
		}
		return nil
	}
	var refused *quota.ExhaustedError
	if !errors.As(err, &refused) {
		return fmt.Errorf("one more was admitted (%w)", err)
	}
	if s := refused.Standing; *s.Limit != l || s.Used != l.Value || refused.Wanted != 1 || !s.Reset.Equal(end) {
		return fmt.Errorf("the refusal says %+v, want the reset %v", *refused, end)
	}
	return nil
}

// othersPass sees that a limit that is used up refuses nobody whom it is not about.
func othersPass(reserve func(quota.Subject, quota.Amounts) (quota.Reservation, error), l quota.Limit, one quota.Amounts) error {
	other := ann
	switch l.Scope {
	case quota.ScopeTeam:
		other.Team = "blue"
	case quota.ScopeUser:
		other.User = "ben"
	case quota.ScopeApp:
		other.App = "crm"
	case quota.ScopeEveryone:
		if l.Model == "" {
			return nil
		}
	}
	if l.Model != "" {
		calls := ann
		calls.Model = "o3"
		if _, err := reserve(calls, one); err != nil {
			return fmt.Errorf("another model: %w", err)
		}
	}
	if l.Scope != quota.ScopeEveryone {
		if _, err := reserve(other, one); err != nil {
			return fmt.Errorf("others: %w", err)
		}
	}
	return nil
}

// windowEnd finds the end of a window without the code under test: by looking at the clock on the wall, step by step.
func windowEnd(w quota.Window, zone *time.Location, at time.Time) time.Time {
	if w == quota.WindowNone {
		return time.Time{}
	}
	if w == quota.WindowMinute { // the bucket of 5 s that it counts in, and the 12 after it
		return at.Truncate(5 * time.Second).Add(65 * time.Second)
	}
	const step = 15 * time.Minute // no zone changes its clock at other moments
	name := func(t time.Time) string {
		t = t.In(zone)
		switch w {
		case quota.WindowHour:
			_, offset := t.Zone()
			return fmt.Sprint(t.Format("2006-01-02 15"), offset) // an hour that comes twice is two
		case quota.WindowDay:
			return t.Format("2006-01-02")
		case quota.WindowWeek:
			return fmt.Sprint(t.ISOWeek())
		default:
			return t.Format("2006-01")
		}
	}
	for t := at.Truncate(step); ; t = t.Add(step) {
		if name(t) != name(at) {
			return t
		}
	}
}

// windowStart finds the start of a day in the same way.
func windowStart(zone *time.Location, at time.Time) time.Time {
	const step = 15 * time.Minute
	for t := at.Truncate(step); ; t = t.Add(-step) {
		if before := t.Add(-step); before.In(zone).Format(time.DateOnly) != at.In(zone).Format(time.DateOnly) {
			return t
		}
	}
}

// Changes checks limits that change while calls are in flight: it is never what is in flight that breaks.
func Changes(t *testing.T, open Open) {
	t.Run("raised", func(t *testing.T) {
		f := newFixture(t, open)
		before, after := compile(t, limit("l", quota.DimensionTokens, quota.WindowDay, 100)), compile(t, limit("l", quota.DimensionTokens, quota.WindowDay, 150))
		f.mustReserve(t, "a", before, tokens(0, 100))
		_, err := f.reserve("b", before, tokens(0, 1))
		mustExhaust(t, err, "l")
		f.mustReserve(t, "b", after, tokens(0, 50)) // at once
		_, err = f.reserve("c", after, tokens(0, 1))
		mustExhaust(t, err, "l")
		f.mustSettle(t, "a", tokens(0, 100))
		f.mustSettle(t, "b", tokens(0, 50))
		f.wantUsed(t, after, 150)
	})
	t.Run("deleted and made again", func(t *testing.T) {
		f := newFixture(t, open)
		with, without := compile(t, limit("l", quota.DimensionTokens, quota.WindowDay, 100)), compile(t)
		f.mustReserve(t, "a", with, tokens(0, 60))
		f.mustReserve(t, "b", without, tokens(0, 1000))
		if _, err := f.ledger.Extend(context.Background(), "a", tokens(0, 100)); err != nil {
			t.Errorf("what is in flight goes on: %v", err)
		}
		f.mustSettle(t, "b", tokens(0, 1000))
		f.mustSettle(t, "a", tokens(0, 90))
		f.wantUsed(t, with, 90) // what was counted while it was in force is still known
	})
	for name, change := range map[string]func(*quota.Limit){
		"of another dimension": func(l *quota.Limit) { l.Dimension = quota.DimensionOutputTokens },
		"of another window":    func(l *quota.Limit) { l.Window = quota.WindowWeek },
		"of another zone":      func(l *quota.Limit) { l.Zone = "Asia/Tokyo" },
		"of another scope":     func(l *quota.Limit) { l.Scope = quota.ScopeTeam },
		"of one person now":    func(l *quota.Limit) { l.Subject = ann.User },
		"of other models":      func(l *quota.Limit) { l.Model = "gpt-*" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, open)
			old := limit("l", quota.DimensionTokens, quota.WindowDay, 100)
			renewed := old
			change(&renewed)
			before, after := compile(t, old), compile(t, renewed)
			f.mustReserve(t, "a", before, tokens(0, 100))
			f.mustReserve(t, "b", after, tokens(0, 100)) // it counts anew
			_, err := f.reserve("c", after, tokens(0, 1))
			mustExhaust(t, err, "l")
			f.mustSettle(t, "a", tokens(0, 70))
			f.wantUsed(t, before, 70)
			f.wantUsed(t, after, 100)
			f.mustSettle(t, "b", tokens(0, 10))
			f.wantUsed(t, before, 70)
			f.wantUsed(t, after, 10)
		})
	}
	for name, change := range map[string]func(*quota.Limit){
		"of another enforcement": func(l *quota.Limit) { l.Enforcement = quota.EnforceSoft },
		"of another fallback":    func(l *quota.Limit) { l.Unreachable = quota.UnreachableOpen },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, open)
			old := limit("l", quota.DimensionTokens, quota.WindowDay, 100)
			renewed := old
			change(&renewed)
			before, after := compile(t, old), compile(t, renewed)
			f.mustReserve(t, "a", before, tokens(0, 100))
			f.wantUsed(t, after, 100) // the counter is kept
			f.mustSettle(t, "a", tokens(0, 40))
			f.wantUsed(t, after, 40)
		})
	}
}

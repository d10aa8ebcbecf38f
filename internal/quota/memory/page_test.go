package memory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/quota"
)

// sameOrNot is a ledger beside one that finds out anew, for each call, what it counts under.
type sameOrNot struct {
	now        time.Time
	kept, anew *Ledger
	calls      int
}

func newSameOrNot(now time.Time) *sameOrNot {
	s := &sameOrNot{now: now}
	clock := func() time.Time { return s.now }
	s.kept, s.anew = New(Options{Now: clock}), New(Options{Now: clock})
	return s
}

// reserve reserves in both ledgers, and gives the id if they admitted.
func (s *sameOrNot) reserve(t rapid.TB, subject quota.Subject, limits *quota.LimitSet, a quota.Amounts) (id string, ok bool) {
	t.Helper()
	s.anew.pages = pages{}
	s.calls++
	request := quota.Request{ID: fmt.Sprint(s.calls), Subject: subject, Limits: limits, Amounts: a, At: s.now}
	got, err := s.kept.Reserve(context.Background(), request)
	want, wantErr := s.anew.Reserve(context.Background(), request)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%+v at %v (-want +got):\n%s", subject, s.now, diff)
	}
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("%+v at %v: got %v, want %v", subject, s.now, err, wantErr)
	}
	return request.ID, err == nil
}

// settle settles in both ledgers.
func (s *sameOrNot) settle(t rapid.TB, id string, used quota.Amounts) {
	t.Helper()
	for _, l := range []*Ledger{s.kept, s.anew} {
		if _, err := l.Settle(context.Background(), id, used); err != nil {
			t.Fatal(err)
		}
	}
}

// compare compares how limits stand for a subject.
func (s *sameOrNot) compare(t rapid.TB, subject quota.Subject, limits *quota.LimitSet) {
	t.Helper()
	want, _ := s.anew.Standings(context.Background(), subject, limits, s.now)
	got, _ := s.kept.Standings(context.Background(), subject, limits, s.now)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%+v at %v (-want +got):\n%s", subject, s.now, diff)
	}
}

// pageZones are zones whose clocks change, with a moment at which they do.
var pageZones = []struct {
	zone   string
	change time.Time
}{
	{"Europe/Berlin", time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)},
	{"Europe/Berlin", time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)},
	{"Australia/Lord_Howe", time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC)}, // by half an hour
	{"America/Santiago", time.Date(2026, 9, 6, 4, 0, 0, 0, time.UTC)},     // over midnight
	{"America/Havana", time.Date(2026, 11, 1, 5, 0, 0, 0, time.UTC)},      // back to midnight
}

// pageLimits gives limits of every window in a zone, with values that bind now and then.
func pageLimits(t testing.TB, zone string, value int64) *quota.LimitSet {
	t.Helper()
	limits := []quota.Limit{
		{ID: "all", Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowMinute, Value: 40 * value},
		{ID: "model", Scope: quota.ScopeTeam, Model: "gpt-*", Dimension: quota.DimensionTokens, Window: quota.WindowHour, Value: 20 * value},
		{ID: "bob", Scope: quota.ScopeUser, Subject: "bob", Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: 10 * value},
		{ID: "at once", Scope: quota.ScopeUser, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: value},
	}
	for _, w := range []quota.Window{quota.WindowMinute, quota.WindowHour, quota.WindowDay, quota.WindowWeek, quota.WindowMonth} {
		limits = append(limits, quota.Limit{
			ID: string(w), Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: w, Value: 20 * value, Zone: zone,
		})
	}
	set, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A ledger that keeps what subjects count under tells nothing else than one that keeps nothing: over the ends of windows to
// the nanosecond, changes of clocks, changes of limits in flight, clocks that are set, and pauses in which counters go.
func TestPagesTellWhatIsSo(t *testing.T) {
	type sets struct{ a, b *quota.LimitSet }
	var ofZone []sets
	for _, z := range pageZones {
		ofZone = append(ofZone, sets{pageLimits(t, z.zone, 2), pageLimits(t, z.zone, 3)})
	}
	rapid.Check(t, func(rt *rapid.T) {
		z := rapid.IntRange(0, len(pageZones)-1).Draw(rt, "zone")
		change, limits := pageZones[z].change, ofZone[z]
		s := newSameOrNot(change.Add(-time.Minute))
		var held []string
		subject := func(rt *rapid.T) quota.Subject {
			return quota.Subject{
				User:  rapid.SampledFrom([]string{"", "ann", "bob"}).Draw(rt, "user"),
				Team:  rapid.SampledFrom([]string{"", "red"}).Draw(rt, "team"),
				Model: rapid.SampledFrom([]string{"gpt-5", "o3"}).Draw(rt, "model"),
			}
		}
		set := func(rt *rapid.T) *quota.LimitSet {
			return rapid.SampledFrom([]*quota.LimitSet{limits.a, limits.a, limits.b}).Draw(rt, "limits")
		}
		rt.Repeat(map[string]func(*rapid.T){
			"reserve": func(rt *rapid.T) {
				tokens := rapid.Int64Range(0, 12).Draw(rt, "tokens")
				if id, ok := s.reserve(rt, subject(rt), set(rt), quota.Amounts{InputTokens: tokens}); ok {
					held = append(held, id)
				}
			},
			"settle": func(rt *rapid.T) {
				if len(held) > 0 {
					i := rapid.IntRange(0, len(held)-1).Draw(rt, "which")
					s.settle(rt, held[i], quota.Amounts{InputTokens: rapid.Int64Range(0, 15).Draw(rt, "used")})
					held = append(held[:i], held[i+1:]...)
				}
			},
			"a bound": func(rt *rapid.T) {
				w := rapid.SampledFrom([]quota.Window{quota.WindowHour, quota.WindowDay, quota.WindowWeek}).Draw(rt, "window")
				zone := limits.a.Zone(string(w))
				from, to := quota.Bounds(w, zone, change)
				s.now = rapid.SampledFrom([]time.Time{from, change, to}).Draw(rt, "bound").
					Add(rapid.SampledFrom([]time.Duration{-time.Nanosecond, 0, time.Nanosecond}).Draw(rt, "by"))
			},
			"time": func(rt *rapid.T) {
				s.now = s.now.Add(rapid.SampledFrom([]time.Duration{
					time.Nanosecond, time.Second, 5 * time.Second, 59 * time.Second, 3 * time.Minute, 25 * time.Minute, 3 * time.Hour,
					-time.Nanosecond, -2 * time.Minute, -25 * time.Minute,
				}).Draw(rt, "by"))
			},
			"": func(rt *rapid.T) {
				for _, user := range []string{"ann", "bob"} {
					s.compare(rt, quota.Subject{User: user, Team: "red", Model: "gpt-5"}, limits.a)
				}
			},
		})
	})
}

// What makes a page stale, one by one.
func TestStalePages(t *testing.T) {
	noon := time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)
	ann, bob := quota.Subject{User: "ann", Team: "red", Model: "gpt-5"}, quota.Subject{User: "bob", Team: "red", Model: "gpt-5"}
	one := quota.Amounts{Requests: 1}
	limit := func(w quota.Window, zone string, value int64) *quota.LimitSet {
		set, err := quota.Compile([]quota.Limit{{
			ID: "l", Scope: quota.ScopeTeam, Dimension: quota.DimensionRequests, Window: w, Zone: zone, Value: value,
		}})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	day, minute := limit(quota.WindowDay, "Europe/Berlin", 1), limit(quota.WindowMinute, "", 2)
	midnight := time.Date(2026, 3, 28, 23, 0, 0, 0, time.UTC) // in Berlin, before its day of 23 hours

	type call struct {
		at      time.Time
		who     quota.Subject
		limits  *quota.LimitSet
		refused bool
	}
	tests := []struct {
		name  string
		calls []call
	}{
		{"a window ends", []call{
			{midnight.Add(-1), ann, day, false},
			{midnight.Add(-1), ann, day, true},
			{midnight, ann, day, false},
		}},
		{"a window of 23 hours ends", []call{
			{midnight, ann, day, false},
			{midnight.Add(23*time.Hour - 1), ann, day, true},
			{midnight.Add(23 * time.Hour), ann, day, false},
		}},
		{"the clock is set back over the bound of a window", []call{
			{midnight.Add(-1), ann, day, false},
			{midnight, bob, day, false},
			{midnight, ann, day, true},
			{midnight.Add(-1), ann, day, true}, // of the day before
		}},
		{"the limit is lowered", []call{
			{noon, ann, limit(quota.WindowDay, "", 2), false},
			{noon, ann, limit(quota.WindowDay, "", 1), true},
		}},
		{"the limit is raised", []call{
			{noon, ann, limit(quota.WindowDay, "", 1), false},
			{noon, ann, limit(quota.WindowDay, "", 1), true},
			{noon, ann, limit(quota.WindowDay, "", 2), false},
		}},
		{"the limit is taken away", []call{
			{noon, ann, day, false},
			{noon, ann, nil, false},
			{noon, ann, day, true},
		}},
		{"the clock is set back and the sliding minute begins anew", []call{
			{noon, ann, minute, false},
			{noon, ann, minute, false},
			{noon.Add(-2 * time.Minute), ann, minute, false},
			{noon.Add(-2 * time.Minute), bob, minute, false},
			{noon.Add(-2 * time.Minute), ann, minute, true},
		}},
		{"the clock is set back, and forward again", []call{
			{noon, ann, minute, false},
			{noon.Add(-2 * time.Minute), bob, minute, false}, // the counter of noon has gone
			{noon, ann, minute, false},
			{noon, bob, minute, false},
			{noon, bob, minute, true}, // ann's second call counted where bob's do
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := tt.calls[0].at.Add(-3 * time.Minute)
			l := New(Options{Now: func() time.Time { return now }})
			// The first page of all is older than any of the calls, or pages would go when the clock is set back.
			if _, err := l.Reserve(context.Background(), quota.Request{ID: "eve", Subject: quota.Subject{User: "eve"}, At: now}); err != nil {
				t.Fatal(err)
			}
			for i, c := range tt.calls {
				now = c.at
				_, err := l.Reserve(context.Background(), quota.Request{
					ID: fmt.Sprint(i), Subject: c.who, Amounts: one, Limits: c.limits, At: now,
				})
				var e *quota.ExhaustedError
				if err != nil && !errors.As(err, &e) {
					t.Fatal(err)
				}
				if refused := e != nil; refused != c.refused {
					t.Fatalf("call %d of %s at %v: refused %t, want %t", i, c.who.User, c.at, refused, c.refused)
				}
			}
		})
	}
}

// A counter that was forgotten while its subject paused counts no more: what the subject does then must be seen by others.
func TestPagesDoNotKeepForgottenCounters(t *testing.T) {
	limits := everyWindow(t)
	now := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	l := New(Options{Now: func() time.Time { return now }})
	reserve := func(id, user string) {
		t.Helper()
		request := quota.Request{ID: id, Subject: quota.Subject{User: user}, Amounts: quota.Amounts{Requests: 1}, Limits: limits, At: now}
		if _, err := l.Reserve(context.Background(), request); err != nil {
			t.Fatal(err)
		}
	}
	reserve("first", "ann")
	if err := l.Void(context.Background(), "first"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * linger)
	reserve("other", "bob")
	reserve("second", "ann")
	all, err := l.Standings(context.Background(), quota.Subject{User: "ann"}, limits, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Limit.Dimension == quota.DimensionConcurrency && s.Used != 1 {
			t.Errorf("%d at once, want 1", s.Used)
		}
	}
}

// Whoever makes up names of models, or goes away, leaves nothing for long.
func TestPagesAreBounded(t *testing.T) {
	limits := everyWindow(t)
	now := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	l := New(Options{Now: func() time.Time { return now }})
	calls := 0
	call := func(user, model string) {
		calls++
		request := quota.Request{
			ID: fmt.Sprint(calls), Subject: quota.Subject{User: user, Model: model}, Amounts: quota.Amounts{Requests: 1}, Limits: limits, At: now,
		}
		if _, err := l.Reserve(context.Background(), request); err != nil {
			t.Fatal(err)
		}
		if err := l.Void(context.Background(), request.ID); err != nil {
			t.Fatal(err)
		}
	}
	most := 0
	for i := range 2*maxPages + 100 {
		call("ann", fmt.Sprint("model-", i))
		most = max(most, len(l.pages.bySubject))
	}
	if most != maxPages {
		t.Errorf("%d pages at most, want %d", most, maxPages)
	}
	before := len(l.pages.bySubject)
	call("ann", strings.Repeat("m", longestModel+1))
	if got := len(l.pages.bySubject); got != before {
		t.Errorf("%d pages with a long name, want %d", got, before)
	}
	now = now.Add(pagesLast + time.Nanosecond)
	call("bob", "gpt-5")
	if got := len(l.pages.bySubject); got != 1 {
		t.Errorf("%d pages after %v, want that of the call", got, pagesLast)
	}
	now = now.Add(-time.Hour)
	call("eve", "gpt-5")
	if got := len(l.pages.bySubject); got != 1 {
		t.Errorf("%d pages after the clock was set back, want that of the call", got)
	}
}

// The first call of all can come at any time, also at none.
func TestFirstPage(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)} {
		l := New(Options{Now: func() time.Time { return at }})
		if _, err := l.Reserve(context.Background(), quota.Request{ID: "a", Limits: everyWindow(t), At: at}); err != nil {
			t.Errorf("at %v: %v", at, err)
		}
	}
}

// A page does not keep the body alive of which a model's name is a part.
func TestPagesKeepNoBody(t *testing.T) {
	var ps pages
	body := strings.Repeat("x", 1<<10) + "gpt-5"
	ps.keep(quota.Subject{Model: body[1<<10:]}, &page{}, time.Now())
	for s := range ps.bySubject {
		if s.Model != "gpt-5" || unsafe.StringData(s.Model) == unsafe.StringData(body[1<<10:]) {
			t.Errorf("model %q is a part of the body", s.Model)
		}
	}
}

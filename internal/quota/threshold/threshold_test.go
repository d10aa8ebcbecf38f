package threshold

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// world is a watched ledger at a time that the test sets.
type world struct {
	bus      *Bus
	ledger   quota.Ledger
	registry *prometheus.Registry
	now      time.Time
	calls    int
}

func newWorld() *world {
	w := &world{registry: prometheus.NewRegistry(), now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	w.bus = New(telemetry.New(w.registry, telemetry.Build{}, nil))
	w.ledger = w.bus.Watch(memory.New(memory.Options{Now: func() time.Time { return w.now }}))
	return w
}

// call holds tokens for a user and, if settle is set, settles them. It reports whether it was admitted.
func (w *world) call(t testing.TB, limits *quota.LimitSet, user string, tokens int64, settle bool) bool {
	t.Helper()
	w.calls++
	id := fmt.Sprint(w.calls)
	a := quota.Amounts{Requests: 1, OutputTokens: tokens}
	_, err := w.ledger.Reserve(t.Context(), quota.Request{ID: id, Subject: quota.Subject{User: user, Team: "red"}, Amounts: a, Limits: limits, At: w.now})
	if err != nil {
		return false
	}
	if settle {
		if _, err := w.ledger.Settle(t.Context(), id, a); err != nil {
			t.Fatal(err)
		}
	}
	return true
}

func (w *world) counted(t testing.TB, family string) (sum float64) {
	t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == family {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func day(value int64, changes ...func(*quota.Limit)) quota.Limit {
	l := quota.Limit{ID: "day", Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: value}
	for _, change := range changes {
		change(&l)
	}
	return l
}

func compile(t testing.TB, limits ...quota.Limit) *quota.LimitSet {
	t.Helper()
	set, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// told gives the events that wait, as "limit percent of whom at posted".
func told(events <-chan Event) []string {
	all := []string{}
	for {
		select {
		case e := <-events:
			all = append(all, fmt.Sprintf("%s %d%% of %q at %d", e.Limit.ID, e.Percent, e.For, e.Posted))
		default:
			return all
		}
	}
}

func wantTold(t *testing.T, events <-chan Event, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), told(events)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestEachThresholdIsToldOncePerCounterAndWindow(t *testing.T) {
	w := newWorld()
	events, _ := w.bus.Subscribe(100)
	limits := compile(t, day(100))
	for range 5 {
		w.call(t, limits, "ann", 10, true)
	}
	wantTold(t, events) // the call that shows 50 is the next one
	for range 2 {
		w.call(t, limits, "ann", 10, true)
	}
	wantTold(t, events, `day 50% of "ann" at 50`)
	w.call(t, limits, "ben", 60, true)
	w.call(t, limits, "ben", 1, true)
	wantTold(t, events, `day 50% of "ben" at 60`)
	w.call(t, limits, "ann", 30, true)
	if w.call(t, limits, "ann", 1, true) {
		t.Fatal("a call above the limit was admitted")
	}
	wantTold(t, events, `day 80% of "ann" at 100`, `day 100% of "ann" at 100`) // by the refusal
	w.call(t, limits, "ann", 1, true)
	wantTold(t, events)

	w.now = w.now.Add(24 * time.Hour)
	w.call(t, limits, "ann", 90, true)
	w.call(t, limits, "ann", 1, true)
	wantTold(t, events, `day 50% of "ann" at 90`, `day 80% of "ann" at 90`)
	if n := w.counted(t, "plumbline_quota_threshold_total"); n != 6 {
		t.Errorf("%v thresholds counted, want 6", n)
	}
}

func TestAnotherValueIsAnotherPromise(t *testing.T) {
	w := newWorld()
	events, _ := w.bus.Subscribe(100)
	w.call(t, compile(t, day(100)), "ann", 60, true)
	w.call(t, compile(t, day(100)), "ann", 1, true)
	wantTold(t, events, `day 50% of "ann" at 60`)
	w.call(t, compile(t, day(1000)), "ann", 440, true)
	wantTold(t, events)
	w.call(t, compile(t, day(1000)), "ann", 1, true)
	wantTold(t, events, `day 50% of "ann" at 501`)
}

func TestWhatHasNoThresholds(t *testing.T) {
	for name, l := range map[string]quota.Limit{
		"a sliding minute":   day(10, func(l *quota.Limit) { l.Window = quota.WindowMinute }),
		"calls at once":      day(1, func(l *quota.Limit) { l.Dimension, l.Window = quota.DimensionConcurrency, quota.WindowNone }),
		"a limit of nothing": day(0, func(l *quota.Limit) { l.Enforcement = quota.EnforceSoft }),
	} {
		w := newWorld()
		events, _ := w.bus.Subscribe(100)
		limits := compile(t, l)
		for range 3 {
			w.call(t, limits, "ann", 10, true)
		}
		if got := told(events); len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
	w := newWorld()
	events, _ := w.bus.Subscribe(100)
	for range 2 {
		w.call(t, compile(t, day(100)), "ann", 50, false)
	}
	wantTold(t, events) // what is held is not used
}

// Percent are exact for the largest values, and for what a counter can saturate at.
func TestPassed(t *testing.T) {
	since := time.Unix(1, 0)
	for _, tt := range []struct {
		value, posted int64
		want          int
	}{
		{100, 49, 0},
		{100, 50, 1},
		{100, 79, 1},
		{100, 80, 2},
		{100, 99, 2},
		{100, 100, 3},
		{100, 1 << 62, 3},
		{100, 1<<63 - 1, 3},
		{3, 1, 0},
		{3, 2, 1},
		{1, 0, 0},
		{1, 1, 3},
		{quota.MaxValue, quota.MaxValue / 2, 0},
		{quota.MaxValue, quota.MaxValue/2 + 1, 1},
		{quota.MaxValue, quota.MaxValue - 1, 2},
	} {
		s := quota.Standing{Limit: new(day(tt.value)), Posted: tt.posted, Used: tt.posted, Since: since}
		if got := passed(&s); got != tt.want {
			t.Errorf("%d of %d: %d thresholds, want %d", tt.posted, tt.value, got, tt.want)
		}
	}
}

// Whatever a subscriber does, calls go on; what it missed is counted.
func TestASubscriberThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	w := newWorld()
	slow, _ := w.bus.Subscribe(1)
	quick, _ := w.bus.Subscribe(100)
	gone, stop := w.bus.Subscribe(100)
	stop()
	limits := compile(t, day(100, func(l *quota.Limit) { l.Enforcement = quota.EnforceSoft }))
	for range 2 {
		w.call(t, limits, "ann", 100, true)
	}
	wantTold(t, slow, `day 50% of "ann" at 100`)
	wantTold(t, quick, `day 50% of "ann" at 100`, `day 80% of "ann" at 100`, `day 100% of "ann" at 100`)
	wantTold(t, gone)
	if n := w.counted(t, "plumbline_quota_threshold_dropped_total"); n != 2 {
		t.Errorf("%v dropped events counted, want 2", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	w := newWorld()
	events, _ := w.bus.Subscribe(2 * maxCounters)
	s := quota.Standing{Limit: new(day(100)), Posted: 60, Since: w.now, Reset: w.now.Add(time.Hour)}
	see := func(user int) {
		w.bus.saw([]quota.Standing{s}, quota.Subject{User: fmt.Sprint(user)}, w.now)
	}
	for user := range maxCounters + 3 {
		see(user)
	}
	if n := len(events); n != maxCounters || w.bus.held != maxCounters {
		t.Errorf("%d events, %d counters kept, want %d of both", n, w.bus.held, maxCounters)
	}
	if n := w.counted(t, "plumbline_quota_threshold_dropped_total"); n != 3 {
		t.Errorf("%v dropped events counted, want 3", n)
	}
	see(0) // is still known
	s.Posted = 80
	see(1)
	if n := len(events); n != maxCounters+1 {
		t.Errorf("%d events, want one more", n)
	}
	w.now = w.now.Add(2 * time.Hour)
	s.Since, s.Reset = w.now, w.now.Add(time.Hour)
	see(0)
	if len(w.bus.windows) != 1 || w.bus.held != 1 {
		t.Errorf("%d windows and %d counters are kept after the window, want 1", len(w.bus.windows), w.bus.held)
	}
}

// Standings of calls at once may come in any order.
func TestAnOlderStandingTellsNothing(t *testing.T) {
	w := newWorld()
	events, _ := w.bus.Subscribe(100)
	for _, posted := range []int64{85, 60, 85, 100, 85} {
		s := []quota.Standing{{Limit: new(day(100)), Posted: posted, Since: w.now, Reset: w.now.Add(time.Hour)}}
		w.bus.saw(s, quota.Subject{User: "ann"}, w.now)
	}
	wantTold(t, events, `day 50% of "ann" at 85`, `day 80% of "ann" at 85`, `day 100% of "ann" at 100`)
}

func TestOneOfManyAtOnceTells(t *testing.T) {
	w := newWorld()
	events, _ := w.bus.Subscribe(100)
	s := []quota.Standing{{Limit: new(day(100)), Posted: 85, Since: w.now, Reset: w.now.Add(time.Hour)}}
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { w.bus.saw(s, quota.Subject{User: "ann"}, w.now) })
	}
	all.Wait()
	wantTold(t, events, `day 50% of "ann" at 85`, `day 80% of "ann" at 85`)
}

// The log says which limit, and nobody's name.
func TestTheLogNamesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var out strings.Builder
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.bus.Log(ctx, slog.New(slog.NewTextHandler(&out, nil))) }()
		synctest.Wait()
		limits := compile(t, day(100))
		w.call(t, limits, "ann", 50, true)
		w.call(t, limits, "ann", 1, true)
		synctest.Wait()
		cancel()
		<-ended
		if line := out.String(); strings.Count(line, "\n") != 1 || strings.Contains(line, "ann") ||
			!strings.Contains(line, "limit=day percent=50 scope=user enforcement=hard reset=2026-03-05T00:00:00.000Z") {
			t.Errorf("the log says %q", line)
		}
		if len(w.bus.subs) != 0 {
			t.Error("the log is still subscribed")
		}
	})
}

func BenchmarkWatch(b *testing.B) {
	w := newWorld()
	standings := make([]quota.Standing, 8)
	for i := range standings {
		standings[i] = quota.Standing{Limit: new(day(100)), Posted: 90, Since: w.now, Reset: w.now.Add(time.Hour)}
	}
	for b.Loop() {
		w.bus.saw(standings, quota.Subject{User: "ann"}, w.now)
	}
}

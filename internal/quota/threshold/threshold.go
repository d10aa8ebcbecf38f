// Package threshold tells when a limit's use passes 50, 80 and 100 percent.
//
// A Bus stands around a quota.Ledger and reads the standings that it gives anyway: of calls that are admitted and of those
// that are refused. What counts is what was settled, not what is held. Each threshold is told once for each counter and
// window, of the value that was in force. It must not slow a request down: it asks the ledger nothing, waits for no
// subscriber, and its memory is bounded. It must not import a front end or a back end.
package threshold

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// percents are the thresholds, rising.
var percents = [...]int{50, 80, 100}

// maxCounters bounds the counters whose thresholds are remembered: about 20 MB. Further ones tell nothing in their window.
const maxCounters = 100_000

// Event says that the use of a limit has passed a threshold.
type Event struct {
	Limit   quota.Limit
	Percent int
	// For is the id of the team, user or app that the counter is for; empty for everyone. It names a person: it belongs in
	// a notice to them, and in no log.
	For string
	// Posted is what was settled of the limit's value in the window from Since to Reset.
	Posted       int64
	Since, Reset time.Time
	At           time.Time
}

// Bus hands events to subscribers. It is safe for concurrent use.
type Bus struct {
	metrics *telemetry.Metrics

	mu      sync.Mutex
	windows map[int64]map[counter]int // by the end of the window, Unix seconds: how many thresholds were told
	held    int                       // counters in all windows
	tidied  int64
	subs    map[chan Event]struct{}
}

// counter names what one threshold is told for. Another value of a limit is another promise, and is told of anew.
type counter struct {
	limit   string
	of      string
	value   int64
	since   int64
	counted quota.Dimension
}

// New makes a bus without subscribers.
func New(metrics *telemetry.Metrics) *Bus {
	return &Bus{metrics: metrics, windows: map[int64]map[counter]int{}, subs: map[chan Event]struct{}{}}
}

// Subscribe gives every event from now on, until stop is called. A subscriber that is room events behind misses those that
// come then; they are counted in plumbline_quota_threshold_dropped_total.
func (b *Bus) Subscribe(room int) (events <-chan Event, stop func()) {
	to := make(chan Event, room)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs[to] = struct{}{}
	return to, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, to)
	}
}

// Log writes each event to a log, without the name of anybody, until ctx ends.
func (b *Bus) Log(ctx context.Context, log *slog.Logger) error {
	events, stop := b.Subscribe(logRoom)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-events:
			log.Info("a limit's use has passed a threshold", "limit", e.Limit.ID, "percent", e.Percent,
				"scope", string(e.Limit.Scope), "enforcement", string(e.Limit.Enforces()), "reset", e.Reset.UTC())
		}
	}
}

// logRoom is how many events may wait for the log.
const logRoom = 256

// Watch gives a ledger that does what l does and tells of thresholds.
func (b *Bus) Watch(l quota.Ledger) quota.Ledger { return watched{l, b} }

// watched passes everything on. What Extend is told of its limits is not read: the next call meets it.
type watched struct {
	quota.Ledger
	bus *Bus
}

func (w watched) Reserve(ctx context.Context, r quota.Request) (quota.Reservation, error) {
	held, err := w.Ledger.Reserve(ctx, r)
	var refused *quota.ExhaustedError
	switch {
	case err == nil:
		w.bus.saw(held.Standings, r.Subject, r.At)
	case errors.As(err, &refused):
		w.bus.saw([]quota.Standing{refused.Standing}, r.Subject, r.At)
	}
	return held, err
}

// saw tells of the thresholds that standings are the first to show passed.
func (b *Bus) saw(standings []quota.Standing, s quota.Subject, at time.Time) {
	for i := range standings {
		if n := passed(&standings[i]); n > 0 {
			b.tell(&standings[i], n, s, at)
		}
	}
}

// passed gives how many thresholds a standing is at or above. A sliding minute is used up and free again all the time, of
// concurrency nothing is ever settled, and a limit of nothing has no part: they have no thresholds.
func passed(s *quota.Standing) int {
	value := s.Limit.Value
	switch {
	case s.Since.IsZero() || value <= 0:
		return 0
	case s.Posted >= value:
		return len(percents)
	}
	n := 0
	for n < len(percents) && s.Posted*100 >= value*int64(percents[n]) { // both below quota.MaxValue, 2^53
		n++
	}
	return n
}

func (b *Bus) tell(s *quota.Standing, n int, subject quota.Subject, at time.Time) {
	of, _ := s.Limit.CountsFor(subject)
	key := counter{s.Limit.ID, of, s.Limit.Value, s.Since.Unix(), s.Limit.Dimension}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tidy(at.Unix())
	window := b.windows[s.Reset.Unix()]
	told, known := window[key]
	switch {
	case told >= n:
		return
	case !known && b.held >= maxCounters:
		b.metrics.QuotaThresholdDropped()
		return
	case !known:
		b.held++
	}
	if window == nil {
		window = map[counter]int{}
		b.windows[s.Reset.Unix()] = window
	}
	window[key] = n
	for _, percent := range percents[told:n] {
		b.metrics.QuotaThreshold(percent, string(s.Limit.Scope), string(s.Limit.Dimension))
		b.send(Event{Limit: *s.Limit, Percent: percent, For: of, Posted: s.Posted, Since: s.Since, Reset: s.Reset, At: at})
	}
}

func (b *Bus) send(e Event) {
	for to := range b.subs {
		select {
		case to <- e:
		default:
			b.metrics.QuotaThresholdDropped()
		}
	}
}

// linger is for how many seconds after its end a window is remembered, for calls that come late.
const linger = 60

// tidy forgets windows that are over, once in a while.
func (b *Bus) tidy(now int64) {
	if now < b.tidied+linger {
		return
	}
	b.tidied = now
	for end, window := range b.windows {
		if end+linger < now {
			b.held -= len(window)
			delete(b.windows, end)
		}
	}
}

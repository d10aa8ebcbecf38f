package ship

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// LatencyBounds are the upper bounds of the counts of latencies; a last count holds what is longer.
var LatencyBounds = [...]time.Duration{
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 25 * time.Second, time.Minute, 5 * time.Minute,
}

// deviationBounds is how many counts of deviation there are: by tenths of the score.
const deviationBounds = 10

// maxAmount bounds what one record adds to a sum, so that no record can make sums overflow: 2^40 tokens, or a million
// dollars, are a mistake. The record keeps what it says.
const maxAmount = 1 << 40

// Key is what sums are kept by. Hour is when the hour begins, in microseconds since 1970; the other texts are as Column
// gives them.
type Key struct {
	Hour                                    int64
	User, Team, App, Model, Intent, Verdict string
}

// Sums are the sums of some records. Latency goes from admission to the end of the answer.
type Sums struct {
	Decided, Ended, Requests, InputTokens, OutputTokens, Cost int64
	Latency                                                   [len(LatencyBounds) + 1]int64
	Deviation                                                 [deviationBounds]int64
}

// Rollup is sums by key.
type Rollup map[Key]*Sums

// Add adds an entry. Intents and denials are counted in the hour of the decision, and what was used in the hour in which the
// call ended; both under the intent and the verdict that the call was admitted with. Other records are not summed.
func (r Rollup) Add(s *audit.Shipment) {
	rec, decision := &s.Record, &s.Record
	switch rec.Kind {
	case core.RecordIntent, core.RecordDeny:
	case core.RecordOutcome:
		if s.Opening != nil {
			decision = s.Opening
		}
	default:
		return
	}
	sums := r.at(keyOf(rec, decision))
	if rec.Kind == core.RecordOutcome {
		sums.addUse(rec)
		return
	}
	sums.Decided++
	if d := rec.Deviation; d != nil && d.Unscored == "" && d.Score >= 0 && d.Score <= 1 {
		sums.Deviation[min(int(d.Score*deviationBounds), deviationBounds-1)]++
	}
}

// Sum adds sums to those of a key.
func (r Rollup) Sum(k Key, s *Sums) {
	to := r.at(k)
	to.Decided, to.Ended, to.Requests = to.Decided+s.Decided, to.Ended+s.Ended, to.Requests+s.Requests
	to.InputTokens, to.OutputTokens, to.Cost = to.InputTokens+s.InputTokens, to.OutputTokens+s.OutputTokens, to.Cost+s.Cost
	for i, n := range s.Latency {
		to.Latency[i] += n
	}
	for i, n := range s.Deviation {
		to.Deviation[i] += n
	}
}

func (r Rollup) at(k Key) *Sums {
	sums := r[k]
	if sums == nil {
		sums = new(Sums)
		r[k] = sums
	}
	return sums
}

func keyOf(rec, decision *core.Record) Key {
	k := Key{
		Hour: HourOf(rec.Time.UnixMicro()),
		User: Column(rec.Principal.User), Team: Column(rec.Principal.Team), App: Column(rec.Principal.App), Model: Column(rec.Model),
	}
	if decision.Intent != nil {
		k.Intent = Column(decision.Intent.Label)
	}
	if decision.Verdict != nil {
		k.Verdict = Column(string(decision.Verdict.Action))
	}
	return k
}

func (s *Sums) addUse(rec *core.Record) {
	s.Ended++
	c := rec.Settled
	if c == nil {
		return
	}
	bound := func(n int64) int64 { return max(-maxAmount, min(n, maxAmount)) }
	s.Requests += bound(c.Requests)
	s.InputTokens += bound(c.InputTokens)
	s.OutputTokens += bound(c.OutputTokens)
	s.Cost += bound(int64(c.Cost))
	if c.Admitted.IsZero() {
		return
	}
	i, _ := slices.BinarySearch(LatencyBounds[:], rec.Time.Sub(c.Admitted))
	s.Latency[i]++
}

// Keys gives the keys in order: processes that write in one order do not wait for each other in a circle.
func (r Rollup) Keys() []Key {
	return slices.SortedFunc(maps.Keys(r), func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.User, b.User), cmp.Compare(a.Team, b.Team), cmp.Compare(a.App, b.App),
			cmp.Compare(a.Model, b.Model), cmp.Compare(a.Intent, b.Intent), cmp.Compare(a.Verdict, b.Verdict))
	})
}

// maxColumn bounds a text that is searched for, in bytes: an index takes no longer ones.
const maxColumn = 256

// Column is a text as stores keep it beside a record: UTF-8 without NUL, and cut at 256 bytes. The record keeps all of it.
func Column(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return core.Head(s, maxColumn)
}

// HourOf is when the hour begins that holds a time, in UTC, both in microseconds since 1970.
func HourOf(at int64) int64 { return floor(at, time.Hour) }

// DayOf is when the day begins that holds a time, in UTC, both in microseconds since 1970.
func DayOf(at int64) int64 { return floor(at, 24*time.Hour) }

// floor is the last multiple of a duration at or before a time, which may be before 1970.
func floor(at int64, d time.Duration) int64 {
	n := d.Microseconds()
	return at - ((at%n)+n)%n
}

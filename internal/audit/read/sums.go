package read

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/audit/ship"
)

// Dimension is what sums are told apart by.
type Dimension string

// The dimensions. Days are those of UTC.
const (
	ByHour    Dimension = "hour"
	ByDay     Dimension = "day"
	ByUser    Dimension = "user"
	ByTeam    Dimension = "team"
	ByApp     Dimension = "app"
	ByModel   Dimension = "model"
	ByIntent  Dimension = "intent"
	ByVerdict Dimension = "verdict"
)

// Dimensions are all of them.
func Dimensions() []Dimension {
	return []Dimension{ByHour, ByDay, ByUser, ByTeam, ByApp, ByModel, ByIntent, ByVerdict}
}

// defaultRows and maxRows bound how many rows are given.
const defaultRows, maxRows = 100, 10_000

// SumQuery says what to sum, and how the sums are told apart.
type SumQuery struct {
	// Since and Until bound the hours: from the one that holds Since up to, but not including, the one that begins at or after
	// Until. Both are needed.
	Since, Until time.Time
	// Empty fields match everything; the others must all match exactly.
	User, Team, App, Model, Intent, Verdict string
	// By are the dimensions that rows are told apart by; none for one row.
	By []Dimension
	// Limit is the most rows: 100 if zero, at most 10,000. Rows come by time where By has one, else the costliest first.
	Limit int
}

// Row is the sums of some records. Of its key the fields are set that the query tells apart; Hour is when the hour or the
// day begins, in microseconds since 1970.
type Row struct {
	ship.Key
	ship.Sums
}

// Check refuses what cannot be summed.
func (q *SumQuery) Check() error {
	if q.Since.IsZero() || q.Until.IsZero() || !q.Since.Before(q.Until) {
		return errors.New("audit: sums need a span of time: since must be before until")
	}
	for i, d := range q.By {
		if !slices.Contains(Dimensions(), d) {
			return fmt.Errorf("audit: there is no dimension %q: there are %s", d, names(Dimensions()))
		}
		if slices.Contains(q.By[:i], d) {
			return fmt.Errorf("audit: the dimension %s is given twice", d)
		}
	}
	if slices.Contains(q.By, ByHour) && slices.Contains(q.By, ByDay) {
		return errors.New("audit: sums are by the hour or by the day, not both")
	}
	return nil
}

func names(list []Dimension) string {
	var all []string
	for _, d := range list {
		all = append(all, string(d))
	}
	return strings.Join(all, ", ")
}

// Rows is the limit that holds.
func (q *SumQuery) Rows() int {
	if q.Limit <= 0 {
		return defaultRows
	}
	return min(q.Limit, maxRows)
}

// ByTime reports whether rows are told apart, and so ordered, by time.
func (q *SumQuery) ByTime() bool {
	return slices.Contains(q.By, ByHour) || slices.Contains(q.By, ByDay)
}

// Hours are the first hour that is summed and the first that is not, in microseconds since 1970.
func (q *SumQuery) Hours() (from, to int64) {
	to = ship.HourOf(q.Until.UnixMicro())
	if to < q.Until.UnixMicro() {
		to += time.Hour.Microseconds()
	}
	return ship.HourOf(q.Since.UnixMicro()), to
}

// Keep gives the part of a key that the query tells apart, and whether the key is one of those asked for.
func (q *SumQuery) Keep(k ship.Key) (kept ship.Key, ok bool) {
	for _, f := range [...]struct {
		by        Dimension
		want, got string
		to        *string
	}{
		{ByUser, q.User, k.User, &kept.User},
		{ByTeam, q.Team, k.Team, &kept.Team},
		{ByApp, q.App, k.App, &kept.App},
		{ByModel, q.Model, k.Model, &kept.Model},
		{ByIntent, q.Intent, k.Intent, &kept.Intent},
		{ByVerdict, q.Verdict, k.Verdict, &kept.Verdict},
	} {
		if f.want != "" && ship.Column(f.want) != f.got {
			return kept, false
		}
		if slices.Contains(q.By, f.by) {
			*f.to = f.got
		}
	}
	switch {
	case slices.Contains(q.By, ByHour):
		kept.Hour = k.Hour
	case slices.Contains(q.By, ByDay):
		kept.Hour = ship.DayOf(k.Hour)
	}
	from, to := q.Hours()
	return kept, from <= k.Hour && k.Hour < to
}

// Collect gives the rows of all that a rollup holds, in order and no more than the query's limit.
func (q *SumQuery) Collect(all ship.Rollup) []Row {
	kept := ship.Rollup{}
	for k, s := range all {
		if key, ok := q.Keep(k); ok {
			kept.Sum(key, s)
		}
	}
	rows := make([]Row, 0, len(kept))
	for _, k := range kept.Keys() {
		rows = append(rows, Row{k, *kept[k]})
	}
	if !q.ByTime() {
		slices.SortStableFunc(rows, func(a, b Row) int {
			return cmp.Or(cmp.Compare(b.Cost, a.Cost), cmp.Compare(b.Decided, a.Decided))
		})
	}
	return rows[:min(len(rows), q.Rows())]
}

// LatencyQuantile is an upper bound of the latency of the part p of the calls that were summed, such as 0.95: that of the
// range that it lies in. Above the last range it is that range's bound, and longer is true. It is zero where nothing was
// measured.
func (r *Row) LatencyQuantile(p float64) (bound time.Duration, longer bool) {
	i, ok := quantile(r.Latency[:], p)
	if !ok {
		return 0, false
	}
	last := len(ship.LatencyBounds) - 1
	return ship.LatencyBounds[min(i, last)], i > last
}

// DeviationQuantile is the same for scores, in tenths; negative where nothing was scored.
func (r *Row) DeviationQuantile(p float64) float64 {
	i, ok := quantile(r.Deviation[:], p)
	if !ok {
		return -1
	}
	return float64(i+1) / float64(len(r.Deviation))
}

// quantile is the place among counts that the part p of all lies in.
func quantile(counts []int64, p float64) (int, bool) {
	var all, seen int64
	for _, n := range counts {
		all += n
	}
	for i, n := range counts {
		if seen += n; seen > 0 && float64(seen) >= p*float64(all) {
			return i, true
		}
	}
	return 0, false
}

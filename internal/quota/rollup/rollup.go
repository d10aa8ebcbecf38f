// Package rollup keeps the charges of the records summed up, so that a ledger is rebuilt from thousands of sums instead of
// millions of records.
//
// A Rollup is made from the records alone, in their order, and never from a ledger: what it holds is exactly what the
// records up to its position say. It knows no limits: charges are summed per subject and span of time, and spans are cut
// wherever a window can begin in any time zone, so that a limit that is added later finds its own window whole. Fits says
// whether it does. The package must not import a ledger, the audit or a clock.
package rollup

import (
	"fmt"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// Rollup is the sum of the charges up to a position. It is not safe for concurrent use.
type Rollup struct {
	position int64
	since    int64 // Unix seconds: what was admitted before is not in
	cuts     cuts
	rows     map[quota.Subject][]row
}

// row is what one subject was charged in a span.
type row struct {
	span
	amounts quota.Amounts
}

// New makes an empty Rollup that sums as is right for a time.
func New(now time.Time) *Rollup {
	r := &Rollup{rows: map[quota.Subject][]row{}}
	r.cuts = cutsAt(now.Unix())
	r.since = r.cuts.first()
	return r
}

// Position is that of the last charge that was added, 0 before the first.
func (r *Rollup) Position() int64 { return r.position }

// Since is the time before which charges are not kept: no window that is in force began earlier.
func (r *Rollup) Since() time.Time { return time.Unix(r.since, 0).UTC() }

// Add adds the charge of the record at a position. It must be given charges in the order of their positions; what it has
// already, it passes over. It returns quota.ErrAmount, wrapped, for amounts out of range.
func (r *Rollup) Add(position int64, s quota.Subject, c core.Charge) error {
	amounts := quota.ChargeAmounts(c)
	if err := amounts.Validate(); err != nil {
		return fmt.Errorf("the charge at %d: %w", position, err)
	}
	if position <= r.position {
		return nil
	}
	r.position = position
	if at := c.Admitted.Unix(); at >= r.since {
		r.rows[s] = insert(r.rows[s], row{r.cuts.spanOf(at), amounts})
	}
	return nil
}

// insert adds a row to rows, which stay sorted by their start. Two of one span become one, unless the sum would be out of
// the range of amounts.
func insert(rows []row, more row) []row {
	i := len(rows)
	for ; i > 0 && rows[i-1].start >= more.start; i-- {
		into := &rows[i-1]
		if into.span != more.span {
			continue
		}
		if sum := into.amounts.Add(more.amounts); sum.Validate() == nil {
			into.amounts = sum
			return rows
		}
	}
	return slices.Insert(rows, i, more)
}

// Compact sums up further what no window can begin within any more, and lets go of what is older than all windows.
func (r *Rollup) Compact(now time.Time) {
	r.cuts = cutsAt(now.Unix())
	r.since = max(r.since, r.cuts.first())
	for s, rows := range r.rows {
		kept := make([]row, 0, len(rows))
		for _, old := range rows {
			if old.end <= r.since {
				continue
			}
			// After a clock was set back the span may be cut finer than it was: what is summed cannot be parted.
			if wider := r.cuts.spanOf(old.start); wider.holds(old.span) {
				old.span = wider
			}
			kept = insert(kept, old)
		}
		if len(kept) == 0 {
			delete(r.rows, s)
			continue
		}
		r.rows[s] = kept
	}
}

// Each calls fn for every sum: what the subject was charged in a span of time, as if it were one charge that was admitted
// when the span began. It ends with the first error of fn.
func (r *Rollup) Each(fn func(quota.Subject, core.Charge) error) error {
	for s, rows := range r.rows {
		for i := range rows {
			if err := fn(s, rows[i].amounts.Charge(time.Unix(rows[i].start, 0).UTC())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Len is how many sums there are.
func (r *Rollup) Len() int {
	n := 0
	for _, rows := range r.rows {
		n += len(rows)
	}
	return n
}

// Fits reports whether a ledger that is filled from the sums now has under each limit exactly what one has that is filled
// from the records: every window that counts now or later began since Since, and no sum reaches across the beginning of
// one. Otherwise the records must be read: a clock was set back by more than an hour, or a zone changes its clock by other
// than quarters of an hour.
func (r *Rollup) Fits(limits *quota.LimitSet, now time.Time) bool {
	spans := map[span]struct{}{}
	for _, rows := range r.rows {
		for i := range rows {
			spans[rows[i].span] = struct{}{}
		}
	}
	type kind struct {
		window quota.Window
		zone   string
	}
	seen := map[kind]bool{}
	all := limits.Limits()
	for i := range all {
		k := kind{all[i].Window, all[i].Zone}
		if seen[k] || k.window == quota.WindowNone {
			continue
		}
		seen[k] = true
		zone, err := time.LoadLocation(k.zone)
		if err != nil || !r.fits(spans, k.window, zone, now) {
			return false
		}
	}
	return true
}

func (r *Rollup) fits(spans map[span]struct{}, w quota.Window, zone *time.Location, now time.Time) bool {
	if start, _ := quota.Bounds(w, zone, now); w != quota.WindowMinute && start.Unix() < r.since {
		return false
	}
	for s := range spans {
		first, last := time.Unix(s.start, 0), time.Unix(s.end, 0).Add(-1)
		if w == quota.WindowMinute {
			if b := quota.Bucket(last); b != quota.Bucket(first) && quota.BucketLeaves(b).After(now) {
				return false
			}
			continue
		}
		start, _ := quota.Bounds(w, zone, first)
		if other, end := quota.Bounds(w, zone, last); !other.Equal(start) && end.After(now) {
			return false
		}
	}
	return true
}

package postgres

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/core"
)

// recount sums the records of a walk anew, and holds what the tables of sums have against that. Records come in the order of
// their times: an hour is compared when a later one begins, and a day likewise, so that memory holds the sums of one hour and
// one day.
type recount struct {
	hour    ship.Rollup
	at      int64 // when that hour begins
	begun   bool
	unclear bool // of some use it is not known under what it was admitted
	kept    []*keptSums
	open    openings
	found   differences
}

// admitted is what an intent was admitted with.
type admitted struct{ intent, verdict string }

// maxOpen bounds the intents that are remembered until their outcomes come, twice; the others are looked up.
const maxOpen = 1 << 16

// openings are intents by exchange, those of the last two generations. buried are those with the dead letters.
type openings struct{ young, old, buried map[string]admitted }

func (o *openings) add(rec *core.Record, exchange string) {
	if o.young == nil || len(o.young) >= maxOpen {
		o.old, o.young = o.young, map[string]admitted{}
	}
	o.young[exchange] = admittedWith(rec)
}

func admittedWith(rec *core.Record) (a admitted) {
	if rec.Intent != nil {
		a.intent = ship.Column(rec.Intent.Label)
	}
	if rec.Verdict != nil {
		a.verdict = ship.Column(string(rec.Verdict.Action))
	}
	return a
}

// take gives the intent that an outcome closes.
func (o *openings) take(exchange string) (a admitted, ok bool) {
	for _, some := range []map[string]admitted{o.young, o.old, o.buried} {
		if a, ok = some[exchange]; ok {
			delete(some, exchange)
			return a, true
		}
	}
	return a, false
}

// add takes the record that was read last.
func (r *recount) add(ctx context.Context, w *walk, exchange string) error {
	rec := w.said.record
	switch rec.Kind {
	case core.RecordIntent, core.RecordOutcome, core.RecordDeny:
	default:
		return nil
	}
	if at := ship.HourOf(rec.Time.UnixMicro()); !r.begun || at != r.at {
		if err := r.endHour(ctx, w); err != nil {
			return err
		}
		r.at, r.begun = at, true
	}
	s := audit.Shipment{Entry: audit.Entry{Record: *rec}}
	if rec.Kind == core.RecordIntent {
		r.open.add(rec, exchange)
	}
	if rec.Kind == core.RecordOutcome {
		opening, ok, err := r.opening(ctx, w, exchange)
		if err != nil {
			return err
		}
		if ok {
			s.Opening = &core.Record{Intent: &core.Intent{Label: opening.intent}, Verdict: &core.Verdict{Action: core.Action(opening.verdict)}}
		}
		// It was there when the outcome was stored, if its month was dropped since.
		r.unclear = r.unclear || !ok && w.hasDropped(audit.ClassExchange, "")
	}
	if r.hour == nil {
		r.hour = ship.Rollup{}
	}
	r.hour.Add(&s)
	return nil
}

// opening gives the intent that an outcome closes, wherever it lies.
func (r *recount) opening(ctx context.Context, w *walk, exchange string) (a admitted, ok bool, err error) {
	if a, ok = r.open.take(exchange); ok {
		return a, true, nil
	}
	w.reading.Lock()
	defer w.reading.Unlock()
	known := map[string]*core.Record{}
	if err := findIntents(ctx, w.tx, []string{exchange}, minTime, known); err != nil {
		return a, false, err
	}
	for _, rec := range known {
		return admittedWith(rec), true, nil
	}
	return a, false, nil
}

// endHour hands the sums of an hour on to each table's.
func (r *recount) endHour(ctx context.Context, w *walk) error {
	for table, sums := range tables(r.hour) {
		k := r.of(table)
		at := k.period(r.at)
		if k.begun && k.at != at {
			if err := k.compare(ctx, w); err != nil {
				return err
			}
		}
		k.at, k.begun, k.unclear = at, k.begun || r.begun, k.unclear || r.unclear
		for key, s := range sums {
			k.sums.Sum(key, s)
		}
	}
	r.hour, r.unclear = nil, false
	return nil
}

func (r *recount) of(table string) *keptSums {
	for _, k := range r.kept {
		if k.table == table {
			return k
		}
	}
	k := &keptSums{table: table, period: ship.DayOf, from: minTime, sums: ship.Rollup{}, found: &r.found}
	if table == "rollups" {
		k.period = ship.HourOf
	}
	r.kept = append(r.kept, k)
	return k
}

// end compares what is left, and what tables have of later times.
func (r *recount) end(ctx context.Context, w *walk) error {
	if err := r.endHour(ctx, w); err != nil {
		return err
	}
	for _, k := range r.kept {
		if err := k.compare(ctx, w); err != nil {
			return err
		}
		k.at = math.MaxInt64
		if err := k.compare(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// keptSums is one table of sums.
type keptSums struct {
	table   string
	period  func(int64) int64 // ship.HourOf or ship.DayOf
	from    int64             // the first time that was not compared
	at      int64             // when the period begins whose sums are these
	sums    ship.Rollup
	begun   bool
	unclear bool
	found   *differences
}

// compare holds the rows from the last time on and up to this one against what was counted: before it no record was.
func (k *keptSums) compare(ctx context.Context, w *walk) error {
	if k.from > k.at {
		return nil
	}
	w.reading.Lock()
	defer w.reading.Unlock()
	err := eachSum(ctx, w.tx, k.table, k.from, k.at, func(key ship.Key, kept *ship.Sums) {
		counted := k.sums[key]
		delete(k.sums, key) // a second row of this key is one too many
		k.found.all++
		if kept == nil || counted == nil || *counted != *kept {
			k.differs(w, key.Hour)
		}
	})
	if err != nil {
		return err
	}
	if len(k.sums) > 0 {
		k.differs(w, k.at)
	}
	if k.at < math.MaxInt64 {
		k.from = k.at + 1
	}
	k.sums, k.begun, k.unclear = ship.Rollup{}, false, false
	return nil
}

// differs notes that the sums of a time differ, unless its records are no longer here to count.
func (k *keptSums) differs(w *walk, at int64) {
	if k.unclear && at == k.at || w.hasDropped(audit.ClassExchange, monthOf(at)) {
		return
	}
	k.found.note(k.table, at)
}

// hasDropped reports whether a month of a class was dropped; any month where none is given.
func (w *walk) hasDropped(class, of string) bool {
	if of != "" {
		_, ok := w.byDrop[month{class, of}]
		return ok
	}
	for m := range w.byDrop {
		if m.class == class {
			return true
		}
	}
	return false
}

// differences are the first sums of each month that are not as counted: whether the sums of a month were to be dropped is
// known at the end.
type differences struct {
	all   int64
	first map[string]*audit.BadSumError // by month
}

// maxDifferent bounds the months that are remembered. Fewer can have been dropped.
const maxDifferent = 4096

func (d *differences) note(table string, at int64) {
	m := monthOf(at)
	if d.first[m] != nil || len(d.first) >= maxDifferent {
		return
	}
	if d.first == nil {
		d.first = map[string]*audit.BadSumError{}
	}
	d.first[m] = &audit.BadSumError{Table: table, Begin: time.UnixMicro(at).UTC()}
}

// endSums ends the recount. Where sums of a month are missing that a record says are to be dropped, the month counts as dropped.
func (w *walk) endSums(ctx context.Context) error {
	if err := w.sums.end(ctx, w); err != nil {
		return err
	}
	d := &w.sums.found
	w.found.Sums = d.all
	for _, m := range slices.SortedFunc(maps.Keys(d.first), func(a, b string) int { return d.first[a].Begin.Compare(d.first[b].Begin) }) {
		if declared := w.retired[m]; len(declared) > 0 {
			w.found.Dropped = append(w.found.Dropped, audit.Dropped{Drop: audit.Drop{Class: audit.ClassRollups, Month: m}, Declared: declared})
			continue
		}
		if w.found.Derived == nil {
			w.found.Derived = d.first[m]
		}
	}
	return nil
}

func monthOf(at int64) string { return audit.Month{Begin: time.UnixMicro(at).UTC()}.Name() }

// eachSum calls fn for the rows of a table of sums from one time up to another, in the order of their times. Sums whose counts
// are more or fewer than there are ranges come as nil.
func eachSum(ctx context.Context, tx pgx.Tx, table string, from, to int64, fn func(ship.Key, *ship.Sums)) error {
	query := `SELECT hour, "user", team, app, model, intent, verdict, decided, ended, requests, input_tokens, output_tokens, cost,
		latency, deviation FROM plumbline_audit.` + table + ` WHERE hour >= $1::bigint AND hour <= $2::bigint ORDER BY hour`
	rows, err := tx.Query(ctx, query, from, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			k                  ship.Key
			s                  ship.Sums
			latency, deviation []int64
		)
		err := rows.Scan(&k.Hour, &k.User, &k.Team, &k.App, &k.Model, &k.Intent, &k.Verdict, &s.Decided, &s.Ended, &s.Requests,
			&s.InputTokens, &s.OutputTokens, &s.Cost, &latency, &deviation)
		if err != nil {
			return err
		}
		if copy(s.Latency[:], latency) != len(latency) || copy(s.Deviation[:], deviation) != len(deviation) ||
			len(latency) != len(s.Latency) || len(deviation) != len(s.Deviation) {
			fn(k, nil)
			continue
		}
		fn(k, &s)
	}
	return rows.Err()
}

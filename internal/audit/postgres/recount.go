package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/core"
)

const (
	// recountPage is how many records one read of a recount takes.
	recountPage = 2000
	// openedWithin is how long before its outcome an intent is looked for first: in few partitions.
	openedWithin = 48 * time.Hour
)

// ErrMoving is what Recount returns when records of the hour were stored meanwhile, so that there was nothing to compare.
var ErrMoving = errors.New("records of the hour were stored while it was counted")

// Recounted is what a recount found.
type Recounted struct {
	// Records were counted; Sums is how many sums there are of them, those by the day included where it ended with the hour, and
	// Wrong how many of those differ or are on one side alone.
	Records, Sums, Wrong int64
}

// Recount sums the records of an hour anew and compares them with the sums that were kept. Nothing is locked and no
// transaction lasts: the kept sums are read before and after, and since each record changes them in the transaction that
// stores it, they are the same only when no record of the hour came between. It changes nothing.
//
// With the last hour of a day, the sums by the day are held against those by the hour, each of which is recounted in its turn.
func (s *Store) Recount(ctx context.Context, hour time.Time) (r Recounted, err error) {
	from := hour.UTC().Truncate(time.Hour)
	before, err := s.sums(ctx, from)
	if err != nil {
		return r, err
	}
	recount := ship.Rollup{}
	if r.Records, err = s.sumAnew(ctx, from, recount); err != nil {
		return r, err
	}
	after, err := s.sums(ctx, from)
	if err != nil {
		return r, err
	}
	if _, moved := different(before, after); moved > 0 {
		return r, ErrMoving
	}
	r.Sums, r.Wrong = different(recount, after)
	if day := from.Truncate(24 * time.Hour); from.Add(time.Hour).Equal(day.Add(24 * time.Hour)) {
		err = s.recountDay(ctx, day, &r)
	}
	return r, err
}

// recountDay adds how many sums of a day there are, and how many are not those of its hours. One statement sees both as they
// are at one moment: each record changes them in one transaction.
func (s *Store) recountDay(ctx context.Context, day time.Time, r *Recounted) error {
	for table, without := range map[string]string{"rollups_day": `"user"`, "rollups_day_user": "app, model, intent"} {
		var all, wrong int64
		err := s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, dayStatement(table, without), day.UnixMicro(), day.AddDate(0, 0, 1).UnixMicro()).Scan(&all, &wrong)
		})
		if err != nil {
			return err
		}
		r.Sums, r.Wrong = r.Sums+all, r.Wrong+wrong
	}
	return nil
}

// dayStatement counts the sums of a table by the day, and those that are not the sums of the hours, which the table goes by
// without some of their columns. Sums of sums are numeric: no bigint overflows where somebody wrote what he liked.
func dayStatement(table, without string) string {
	var (
		size             ship.Sums
		keys, same, sums []string
		hours, days      = []string{"$1::bigint"}, []string{"d.hour"}
	)
	for _, k := range []string{`"user"`, "team", "app", "model", "intent", "verdict"} {
		if slices.Contains(strings.Split(without, ", "), k) {
			keys = append(keys, `''::text COLLATE "C" AS `+k)
		} else {
			keys = append(keys, k)
		}
		same = append(same, "h."+k+" = d."+k)
	}
	for _, c := range []string{"decided", "ended", "requests", "input_tokens", "output_tokens", "cost"} {
		sums = append(sums, "sum("+c+") AS "+c)
		hours, days = append(hours, "h."+c), append(days, "d."+c+"::numeric")
	}
	for c, n := range map[string]int{"latency": len(size.Latency), "deviation": len(size.Deviation)} {
		sums = append(sums, totals(c, n, "numeric[]")+" AS "+c)
		hours, days = append(hours, "h."+c), append(days, "d."+c+"::numeric[]")
	}
	const those = " WHERE hour >= $1::bigint AND hour < $2::bigint"
	return "SELECT count(*), count(*) FILTER (WHERE (" + strings.Join(hours, ", ") + ") IS DISTINCT FROM (" + strings.Join(days, ", ") + ")) FROM (SELECT " +
		strings.Join(slices.Concat(keys, sums), ", ") + " FROM plumbline_audit.rollups" + those + " GROUP BY 1, 2, 3, 4, 5, 6) AS h FULL JOIN (SELECT * FROM plumbline_audit." +
		table + those + ") AS d ON " + strings.Join(same, " AND ")
}

// different counts all keys of two sets of sums, and those under which they differ.
func different(a, b ship.Rollup) (all, wrong int64) {
	for k, sums := range a {
		all++
		if other := b[k]; other == nil || *other != *sums {
			wrong++
		}
	}
	for k := range b {
		if a[k] == nil {
			all, wrong = all+1, wrong+1
		}
	}
	return all, wrong
}

// sums reads the kept sums of an hour.
func (s *Store) sums(ctx context.Context, hour time.Time) (ship.Rollup, error) {
	kept := ship.Rollup{}
	err := s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return eachSum(ctx, tx, "rollups", hour.UnixMicro(), hour.UnixMicro(), func(k ship.Key, sums *ship.Sums) {
			if sums == nil {
				sums = &ship.Sums{Decided: -1} // which no records have
			}
			kept[k] = sums
		})
	})
	return kept, err
}

// sumAnew adds the records of an hour to sums, a page at a time.
func (s *Store) sumAnew(ctx context.Context, hour time.Time, sums ship.Rollup) (records int64, err error) {
	after, end := place{at: hour.UnixMicro()}, hour.Add(time.Hour) // no writer's name is empty
	for {
		page, last, err := s.recountPage(ctx, after, end)
		if err != nil {
			return records, err
		}
		for i := range page {
			sums.Add(&page[i])
		}
		records += int64(len(page))
		if len(page) < recountPage {
			return records, nil
		}
		after = last
	}
}

// recountPage reads some records of calls in order, with the intents that outcomes among them close.
func (s *Store) recountPage(ctx context.Context, after place, end time.Time) (page []audit.Shipment, last place, err error) {
	const query = `SELECT recorded_at, writer, seq, record FROM plumbline_audit.records
		WHERE class = 'exchange' AND recorded_at >= $1::bigint AND recorded_at < $2::bigint AND (recorded_at, writer, seq) > ($1::bigint, $3::text, $4::bigint)
		ORDER BY recorded_at, writer, seq LIMIT $5::bigint`
	err = s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, after.at, end.UnixMicro(), after.writer, after.seq, recountPage)
		if err != nil {
			return err
		}
		page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e audit.Shipment, err error) {
			if err = row.Scan(&last.at, &last.writer, &last.seq, &e.Canonical); err != nil {
				return e, err
			}
			if e.Record, err = audit.Decode(e.Canonical); err != nil {
				err = fmt.Errorf("record %d of writer %s cannot be read", last.seq, last.writer) // the cause may quote it
			}
			return e, err
		})
		if err != nil {
			return err
		}
		return addOpenings(ctx, tx, page)
	})
	return page, last, err
}

// addOpenings gives outcomes the intents that they close: from the page, else from the records shortly before, else from
// any.
func addOpenings(ctx context.Context, tx pgx.Tx, page []audit.Shipment) error {
	known := map[string]*core.Record{}
	for i := range page {
		if rec := &page[i].Record; rec.Kind == core.RecordIntent {
			known[rec.Exchange] = rec
		}
	}
	for _, since := range []int64{1, 0} {
		var asked []string
		earliest := int64(0)
		for i := range page {
			rec := &page[i].Record
			if rec.Kind == core.RecordOutcome && known[rec.Exchange] == nil {
				asked = append(asked, ship.Column(rec.Exchange))
				earliest = since * (page[0].Record.Time.UnixMicro() - openedWithin.Microseconds())
			}
		}
		if err := findIntents(ctx, tx, asked, earliest, known); err != nil {
			return err
		}
	}
	for i := range page {
		if rec := &page[i].Record; rec.Kind == core.RecordOutcome {
			page[i].Opening = known[rec.Exchange]
		}
	}
	return nil
}

// findIntents adds the intents of exchanges since a time to known.
func findIntents(ctx context.Context, tx pgx.Tx, exchanges []string, since int64, known map[string]*core.Record) error {
	if len(exchanges) == 0 {
		return nil
	}
	const query = `SELECT record FROM plumbline_audit.records
		WHERE class = 'exchange' AND kind = 'intent' AND recorded_at >= $1::bigint AND exchange <> '' AND exchange = ANY ($2::text[])`
	rows, err := tx.Query(ctx, query, since, exchanges)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	for _, canonical := range all {
		if rec, err := audit.Decode(canonical); err == nil { // one that cannot be read opens nothing
			known[rec.Exchange] = &rec
		}
	}
	return err
}

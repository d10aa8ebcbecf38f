package postgres

import (
	"context"
	"errors"
	"fmt"
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
	// Records were counted; Sums is how many sums there are of them, and Wrong how many of those differ or are on one side
	// alone.
	Records, Sums, Wrong int64
}

// Recount sums the records of an hour anew and compares them with the sums that were kept. Nothing is locked and no
// transaction lasts: the kept sums are read before and after, and since each record changes them in the transaction that
// stores it, they are the same only when no record of the hour came between. It changes nothing.
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
	return r, nil
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
	const query = `SELECT "user", team, app, model, intent, verdict, decided, ended, requests, input_tokens, output_tokens, cost,
		latency, deviation FROM plumbline_audit.rollups WHERE hour = $1::bigint`
	kept := ship.Rollup{}
	err := s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, hour.UnixMicro())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var (
				k                  = ship.Key{Hour: hour.UnixMicro()}
				sums               ship.Sums
				latency, deviation []int64
			)
			err := rows.Scan(&k.User, &k.Team, &k.App, &k.Model, &k.Intent, &k.Verdict, &sums.Decided, &sums.Ended, &sums.Requests,
				&sums.InputTokens, &sums.OutputTokens, &sums.Cost, &latency, &deviation)
			if err != nil {
				return err
			}
			if len(latency) != len(sums.Latency) || len(deviation) != len(sums.Deviation) {
				return fmt.Errorf("a sum of %s has %d and %d counts", hour.Format(time.RFC3339), len(latency), len(deviation))
			}
			copy(sums.Latency[:], latency)
			copy(sums.Deviation[:], deviation)
			kept[k] = &sums
		}
		return rows.Err()
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

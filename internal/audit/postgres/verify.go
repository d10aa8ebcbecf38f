package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/postgres"
)

// verifyAtOnce is how many records Verify reads at a time.
const verifyAtOnce = 2000

// Verify reads all records, as they were when it began, and checks that each leaf hash is that of its record, that the
// columns say what the record says, and that no number of any writer is missing up to the highest that was ever stored; the
// dead letters, and the hashes of months that were dropped, count as there. The first record that fails is returned as an
// *audit.BadEntryError, without a position: records of several processes have none.
//
// It does not find a record that was rewritten together with its hash, or the end of a writer cut off together with its
// count: that shows only against hashes kept elsewhere.
func (s *Store) Verify(ctx context.Context) (seen audit.Verified, err error) {
	begin := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool.Pool, begin, func(tx pgx.Tx) error {
		numbers := map[string]*intervals{}
		for after := (place{at: minTime}); ; {
			page, err := stored(ctx, tx, after)
			if err != nil {
				return err
			}
			for i := range page {
				r := &page[i]
				if problem := r.problem(); problem != "" {
					return &audit.BadEntryError{Writer: r.place.writer, Seq: uint64(r.place.seq), Problem: problem}
				}
				if !of(numbers, r.place.writer).add(r.place.seq, r.place.seq) {
					return &audit.BadEntryError{Writer: r.place.writer, Seq: uint64(r.place.seq), Problem: "its number is there twice"}
				}
				after = r.place
			}
			seen.Records += int64(len(page))
			seen.Writers = int64(len(numbers))
			if len(page) < verifyAtOnce {
				return dense(ctx, tx, numbers)
			}
		}
	})
	return seen, postgres.Explain(err)
}

// minTime comes before all times.
const minTime = -1 << 63

// row is a record with its columns as they are.
type row struct {
	place                                                         place
	leaf, record                                                  []byte
	class, kind, exchange, user, team, app, action, reason, model string
}

// stored reads the records after a place.
func stored(ctx context.Context, tx pgx.Tx, after place) ([]row, error) {
	const query = `SELECT recorded_at, writer, seq, leaf, record, class, kind, exchange, "user", team, app, action, reason, model
		FROM plumbline_audit.records WHERE recorded_at >= $1::bigint AND (recorded_at, writer, seq) > ($1::bigint, $2::text, $3::bigint)
		ORDER BY recorded_at, writer, seq LIMIT $4::bigint`
	rows, err := tx.Query(ctx, query, after.at, after.writer, after.seq, verifyAtOnce)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []row
	for rows.Next() {
		var r row
		err := rows.Scan(&r.place.at, &r.place.writer, &r.place.seq, &r.leaf, &r.record, &r.class, &r.kind, &r.exchange, &r.user, &r.team,
			&r.app, &r.action, &r.reason, &r.model)
		if err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

// problem says what is wrong with a record, or nothing.
func (r *row) problem() string {
	if leaf := audit.LeafHash(r.record, r.place.writer, uint64(r.place.seq)); string(leaf[:]) != string(r.leaf) {
		return "its hash is not that of its record"
	}
	rec, err := audit.Decode(r.record)
	if err != nil {
		return "its record cannot be read"
	}
	if !r.says(&rec) {
		return "its columns do not say what its record says"
	}
	return ""
}

// says reports whether the columns are those of a record.
func (r *row) says(rec *core.Record) bool {
	c := columnsOf([]audit.Shipment{{Entry: audit.Entry{Record: *rec}}})
	return r.place.at == c.at[0] && r.class == c.class[0] && r.kind == c.kind[0] && r.exchange == c.exchange[0] && r.user == c.user[0] &&
		r.team == c.team[0] && r.app == c.app[0] && r.action == c.action[0] && r.reason == c.reason[0] && r.model == c.model[0]
}

// dense returns the first number of any writer that is neither among the records nor accounted for elsewhere.
func dense(ctx context.Context, tx pgx.Tx, numbers map[string]*intervals) error {
	const letters = "SELECT writer, seq, seq FROM plumbline_audit.dead_letters"
	// Eight bytes of number, 32 of hash, for each; in order.
	const dropped = `SELECT d.writer, n.seq, n.seq FROM plumbline_audit.dropped AS d, generate_series(0, length(d.leaves) / 40 - 1) AS i,
		LATERAL (SELECT ('x' || encode(substr(d.leaves, i * 40 + 1, 8), 'hex'))::bit(64)::bigint AS seq) AS n`
	for _, query := range []string{letters, dropped} {
		err := ranges(ctx, tx, query, func(writer string, first, last int64) { of(numbers, writer).add(first, last) })
		if err != nil {
			return err
		}
	}
	highest := map[string]int64{}
	err := ranges(ctx, tx, "SELECT name, last, last FROM plumbline_audit.writers", func(writer string, last, _ int64) { highest[writer] = last })
	if err != nil {
		return err
	}
	for _, writer := range slices.Sorted(maps.Keys(highest)) {
		of(numbers, writer) // one of which nothing is left
	}
	for _, writer := range slices.Sorted(maps.Keys(numbers)) {
		if missing := numbers[writer].missing(highest[writer]); missing != 0 {
			return &audit.BadEntryError{Writer: writer, Seq: uint64(missing), Problem: "it is missing"}
		}
	}
	return nil
}

// ranges calls fn for each row of a query.
func ranges(ctx context.Context, tx pgx.Tx, query string, fn func(writer string, first, last int64)) error {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			writer      string
			first, last int64
		)
		if err := rows.Scan(&writer, &first, &last); err != nil {
			return err
		}
		fn(writer, first, last)
	}
	return rows.Err()
}

// interval is the numbers from first to last.
type interval struct{ first, last int64 }

// intervals is a set of numbers as intervals that do not touch, in order. Numbers come nearly in order, so that there are
// few of them.
type intervals struct{ list []interval }

func of(numbers map[string]*intervals, writer string) *intervals {
	set := numbers[writer]
	if set == nil {
		set = new(intervals)
		numbers[writer] = set
	}
	return set
}

// add adds the numbers of an interval, and reports whether none of them was there.
func (s *intervals) add(first, last int64) bool {
	// The first interval that touches the new one, or comes after it.
	i, _ := slices.BinarySearchFunc(s.list, first, func(v interval, n int64) int { return cmp.Compare(v.last, n-1) })
	j := i
	merged, fresh := interval{first, last}, true
	for ; j < len(s.list) && s.list[j].first <= last+1; j++ {
		v := s.list[j]
		fresh = fresh && (v.last < first || v.first > last)
		merged = interval{min(merged.first, v.first), max(merged.last, v.last)}
	}
	s.list = slices.Replace(s.list, i, j, merged)
	return fresh
}

// missing is the first number from 1 up to last that is not in the set, zero when there is none.
func (s *intervals) missing(last int64) int64 {
	switch {
	case len(s.list) == 0 && last > 0:
		return 1
	case len(s.list) == 0:
		return 0
	case s.list[0].first > 1:
		return 1
	case len(s.list) > 1 || s.list[0].last < last:
		return s.list[0].last + 1
	}
	return 0
}

package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/core"
)

// Classes by which the audit is kept. Each month of a class goes as a whole.
const (
	ClassExchange = "exchange" // of calls
	ClassAdmin    = "admin"    // of changes
	ClassRollups  = "rollups"  // sums
)

// ErrUndeclared is what Retire returns as long as the audit here has no record that declares what is to be dropped, as it is
// now, or no checkpoint fixes that record: it is to be tried again a little later.
var ErrUndeclared = errors.New("the audit does not have the record yet that declares what is to be dropped, or no checkpoint fixes it yet")

// Month is what the audit has of a class in one month.
type Month struct {
	Class string
	Begin time.Time
}

// Name is the month as partitions call it, such as 2026_03.
func (m Month) Name() string { return m.Begin.Format(monthLayout) }

const monthLayout = "2006_01"

// Past gives the months of a class that ended before a time, the oldest first. What lies in no month's partition, as its
// time is impossible, is in none of them.
func (s *Store) Past(ctx context.Context, class string, before time.Time) (months []Month, err error) {
	query, args := `SELECT right(c.relname, 7) FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
		WHERE i.inhparent = to_regclass('plumbline_audit.records_' || $1::text) AND c.relname ~ '_[0-9]{4}_[0-9]{2}$' ORDER BY 1`, []any{class}
	if class == ClassRollups {
		query, args = `SELECT DISTINCT to_char(to_timestamp(hour / 1000000) AT TIME ZONE 'UTC', 'YYYY_MM') FROM plumbline_audit.rollups
			WHERE hour < $1::bigint AND hour >= 0 ORDER BY 1`, []any{before.UnixMicro()}
	}
	err = s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, name := range names {
			begin, err := time.Parse(monthLayout, name)
			if err == nil && !begin.AddDate(0, 1, 0).After(before) { // another name is no month of ours
				months = append(months, Month{class, begin})
			}
		}
		return err
	})
	return months, err
}

// Declaration is the record by which the audit says, before it is done, that a month goes: of records, with a digest of the
// numbers and hashes that will be kept.
func (s *Store) Declaration(ctx context.Context, m Month, actor string, now time.Time) (rec core.Record, err error) {
	if m.Class == ClassRollups {
		return core.Record{
			Kind: core.RecordAdmin, Time: now, Exchange: retirement + m.Name() + "/all",
			Admin: &core.Change{Actor: actor, Action: "drop", Object: "rollups/" + m.Name()},
		}, nil
	}
	begin := time.Date(m.Begin.Year(), m.Begin.Month(), 1, 0, 0, 0, 0, time.UTC)
	err = s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		d, err := digest(ctx, tx, m, `SELECT writer, seq / 100000 AS part, count(*), string_agg(int8send(seq) || leaf, '' ORDER BY seq)
			FROM plumbline_audit.records WHERE class = $1::text AND recorded_at >= $2::bigint AND recorded_at < $3::bigint
			GROUP BY writer, part ORDER BY writer, part`, m.Class, begin.UnixMicro(), begin.AddDate(0, 1, 0).UnixMicro())
		rec = d.Record(actor, now)
		return err
	})
	return rec, err
}

// Retire drops what the audit has of a month, all of which is from before a time, and gives how much that was: records,
// whose numbers and hashes stay, or sums. It refuses with ErrUndeclared before the month's Declaration is stored. A month that
// is gone gives 0. The pool must be of a user with the right to it, and have time.
func (s *Store) Retire(ctx context.Context, m Month, before time.Time) (gone int64, err error) {
	if m.Class != ClassRollups {
		return s.retireRecords(ctx, m, before)
	}
	for {
		var n int64
		err := s.pool.Write(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
			n, err = retire(ctx, tx, "SELECT plumbline_audit.retire_rollups($1::text, $2::bigint)", m.Name(), before.UnixMicro())
			return err
		})
		if gone += n; err != nil || n == 0 {
			return gone, err
		}
	}
}

// retireRecords drops first, under the lock that it takes, and comes back from it when what is kept is not what was declared.
func (s *Store) retireRecords(ctx context.Context, m Month, before time.Time) (gone int64, err error) {
	err = s.pool.Write(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		gone, err = retire(ctx, tx, "SELECT plumbline_audit.retire_partition($1::text, $2::text, $3::bigint)", m.Class, m.Name(), before.UnixMicro())
		if err != nil || gone == 0 {
			return err
		}
		d, err := digest(ctx, tx, m, `SELECT writer, part, records, leaves FROM plumbline_audit.dropped
			WHERE class = $1::text AND month = $2::text ORDER BY writer, part`, m.Class, m.Name())
		if err != nil {
			return err
		}
		if ok, err := isDeclared(ctx, tx, d); err != nil || !ok {
			return errors.Join(err, ErrUndeclared)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return gone, nil
}

func retire(ctx context.Context, tx pgx.Tx, statement string, args ...any) (gone int64, err error) {
	var n *int64
	if err := tx.QueryRow(ctx, statement, args...).Scan(&n); err != nil {
		return 0, err
	}
	if n == nil {
		return 0, ErrUndeclared
	}
	return *n, nil
}

// Stray is how many records lie in no month's partition, up to a bound: those of a clock that was wrong, or of a month that
// nobody made a partition for. They are found, and never dropped.
func (s *Store) Stray(ctx context.Context) (n int64, err error) {
	const query = `SELECT (SELECT count(*) FROM (SELECT FROM plumbline_audit.records_exchange_rest LIMIT 10000) AS e)
		+ (SELECT count(*) FROM (SELECT FROM plumbline_audit.records_admin_rest LIMIT 10000) AS a)`
	err = s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error { return tx.QueryRow(ctx, query).Scan(&n) })
	return n, err
}

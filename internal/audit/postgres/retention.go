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

// ErrUndeclared is what Retire returns as long as the audit here has no record that declares it.
var ErrUndeclared = errors.New("the audit does not have the record yet that declares what is to be dropped")

// Month is what the audit has of a class in one month.
type Month struct {
	Class string
	Begin time.Time
}

// Name is the month as partitions call it, such as 2026_03.
func (m Month) Name() string { return m.Begin.Format(monthLayout) }

// Declaration is the record by which the audit says, before it is done, that a month goes. The database knows it by the
// beginning of its exchange.
func (m Month) Declaration(actor string, now time.Time) core.Record {
	object, exchange := "records/"+m.Class+"/"+m.Name(), "drop/"+m.Class+"/"+m.Name()+"/all"
	if m.Class == ClassRollups {
		object, exchange = "rollups/"+m.Name(), "retention/rollups/"+m.Name()+"/all"
	}
	return core.Record{Kind: core.RecordAdmin, Time: now, Exchange: exchange, Admin: &core.Change{Actor: actor, Action: "drop", Object: object}}
}

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

// Retire drops what the audit has of a month, all of which is from before a time, and gives how much that was: records,
// whose numbers and hashes stay, or sums. It refuses with ErrUndeclared before the month's Declaration is stored. A month that
// is gone gives 0. The pool must be of a user with the right to it, and have time.
func (s *Store) Retire(ctx context.Context, m Month, before time.Time) (gone int64, err error) {
	if m.Class != ClassRollups {
		return s.retire(ctx, "SELECT plumbline_audit.retire_partition($1::text, $2::text, $3::bigint)", m.Class, m.Name(), before.UnixMicro())
	}
	for {
		n, err := s.retire(ctx, "SELECT plumbline_audit.retire_rollups($1::text, $2::bigint)", m.Name(), before.UnixMicro())
		if gone += n; err != nil || n == 0 {
			return gone, err
		}
	}
}

func (s *Store) retire(ctx context.Context, statement string, args ...any) (gone int64, err error) {
	var n *int64
	err = s.pool.Write(ctx, func(ctx context.Context, tx pgx.Tx) error { return tx.QueryRow(ctx, statement, args...).Scan(&n) })
	switch {
	case err != nil:
		return 0, err
	case n == nil:
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

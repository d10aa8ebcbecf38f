// Package postgres keeps the audit of all processes in Postgres: it is where ship moves records to, and where they are
// searched.
//
// A record's key is its writer, its number and its own time, so that it can be sent any number of times. What is stored is
// never changed. All of a batch, and the sums over those of its records that are new, are one transaction.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/migrations"
)

// Schema is the audit's schema.
var Schema = postgres.Schema{Name: "plumbline_audit", Migrations: migrations.PostgresAudit}

// monthsAhead is how many months have their partitions made before they begin.
const monthsAhead = 3

// Store is the audit in Postgres. Its methods are safe for concurrent use.
type Store struct {
	pool  *postgres.Pool
	known known
	again atomic.Bool // the last batch was not all new
}

var _ ship.Destination = (*Store)(nil)

// New uses a pool, which stays its owner's to close. The schema must have been migrated.
func New(pool *postgres.Pool) *Store { return &Store{pool: pool} }

// Usable reports why the server would take no batch now: it is away, starting, or a standby that may be promoted. See
// ship.Destination.
func (s *Store) Usable(ctx context.Context) error { return s.pool.Usable(ctx) }

// Prepare makes the partitions of the month of at and of those that come, but none before the first that there is: what a
// process records whose clock was set back by years must not lie in a month that retention drops within the hour. It lies in
// the rest then, where it stays and is told of (Stray).
func (s *Store) Prepare(ctx context.Context, at time.Time) error {
	const statement = `SELECT plumbline_audit.create_partitions($1::bigint, $2::integer)
		WHERE to_char(to_timestamp($1::bigint / 1000000.0) AT TIME ZONE 'UTC', 'YYYY_MM') >= (SELECT coalesce(min(right(c.relname, 7)), '')
			FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
			WHERE n.nspname = 'plumbline_audit' AND c.relname ~ '^records_(exchange|admin)_[0-9]{4}_[0-9]{2}$')`
	return s.pool.Write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, statement, at.UnixMicro(), monthsAhead)
		return err
	})
}

// Missing is how many records of all writers the store lacks although it has later ones.
func (s *Store) Missing(ctx context.Context) (missing int64, err error) {
	err = s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// Numbers beyond their range, as only a changed log has them, must neither make the sum overflow nor hide others.
		const query = `SELECT least(coalesce(sum(greatest(last::numeric - records - dead, 0)), 0), 9223372036854775807)::bigint
			FROM plumbline_audit.writers`
		return tx.QueryRow(ctx, query).Scan(&missing)
	})
	return missing, err
}

// Bury keeps an entry with the dead letters.
func (s *Store) Bury(ctx context.Context, e audit.Shipment, why string) error {
	return s.pool.Write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := keep(ctx, tx); err != nil {
			return err
		}
		n, err := bury(ctx, tx, &e, why)
		if err != nil {
			return err
		}
		return count(ctx, tx, map[string]tally{ship.Column(e.Writer): {dead: n, last: int64(e.Seq)}})
	})
}

// bury gives how many letters are new: one or none. A writer whose name no text can hold, as only a changed log has it, is
// named as near to it as can be: what comes here must find its place.
func bury(ctx context.Context, tx pgx.Tx, e *audit.Shipment, why string) (int64, error) {
	var at int64
	if e.Fault == "" {
		at = e.Record.Time.UnixMicro()
	}
	const statement = `INSERT INTO plumbline_audit.dead_letters (writer, seq, leaf, recorded_at, reason, record)
		VALUES ($1, $2::bigint, $3::bytea, $4::bigint, $5, $6::bytea) ON CONFLICT DO NOTHING`
	done, err := tx.Exec(ctx, statement, ship.Column(e.Writer), int64(e.Seq), e.Leaf[:], at, ship.Column(why), e.Canonical)
	return done.RowsAffected(), err
}

// tally is what a transaction adds to the counts of a writer.
type tally struct{ records, dead, last int64 }

// refusedError is the server's refusal of what was to be stored, without its words, which may quote a record.
type refusedError struct{ code, constraint string }

func (e *refusedError) Error() string {
	if e.constraint != "" {
		return fmt.Sprintf("Postgres refuses it (SQLSTATE %s, %s)", e.code, e.constraint)
	}
	return fmt.Sprintf("Postgres refuses it (SQLSTATE %s)", e.code)
}

func (e *refusedError) Unwrap() error { return ship.ErrRefused }

// refused tells a fault of what was sent, classes 22 (data), 23 (constraints) and 54 (limits) of the server's codes, from
// all others, which are tried again.
func refused(err error) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) || len(server.Code) != 5 {
		return err
	}
	switch server.Code[:2] {
	case "22", "23", "54":
		return &refusedError{server.Code, server.ConstraintName}
	}
	return err
}

// classOf is the class by which a record is kept.
func classOf(k core.RecordKind) string {
	if k == core.RecordAdmin {
		return audit.ClassAdmin
	}
	return audit.ClassExchange
}

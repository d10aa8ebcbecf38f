package audit

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// releaseAtOnce is how many entries one step of Release goes through, and so how long the mover is held up by it.
const releaseAtOnce = 1024

// Release lets go of entries up to a position that another store has, and gives how many were deleted. The room is used
// again by later ones. What is still needed here stays, whatever its position:
//   - the log's last entry, from which positions go on;
//   - an intent whose outcome is not among those that are let go of: after a crash it is closed from here, and its outcome
//     is shipped with it;
//   - charges admitted since owed, from which the ledger is filled, and with them the records of those that a ledger was
//     not asked for;
//   - that a change was recorded, so that it is not recorded again.
func (l *Log) Release(ctx context.Context, upTo Position, owed time.Time) (deleted int64, err error) {
	for more := true; more; {
		var n int64
		err := l.do(ctx, func() (err error) {
			n, more, err = l.releaseSome(context.WithoutCancel(ctx), upTo, owed)
			return err
		})
		if err != nil {
			return deleted, fmt.Errorf("audit: letting go of what was shipped: %w", err)
		}
		deleted += n
	}
	return deleted, nil
}

// releaseSome goes through the next entries. The mover runs it.
func (l *Log) releaseSome(ctx context.Context, upTo Position, owed time.Time) (deleted int64, more bool, err error) {
	var from int64
	if err := l.conn.QueryRowContext(ctx, "SELECT value FROM state WHERE name = 'released'").Scan(&from); err != nil {
		return 0, false, err
	}
	// What was put off while there was trouble; and in a log over its bound all, since only what is indexed can go.
	if n := min(int64(l.stored)-l.indexed.Load(), indexEvery); n == indexEvery || n > 0 && l.overfull() {
		if err := l.index(int(n)); err != nil {
			return 0, false, err
		}
	}
	end := min(int64(upTo), l.shipped.Load(), l.indexed.Load(), int64(l.stored)-1)
	to := min(from+releaseAtOnce, end)
	if to <= from {
		return 0, false, nil
	}
	if _, err := l.conn.ExecContext(ctx, "CREATE TEMP TABLE IF NOT EXISTS doomed (id INTEGER PRIMARY KEY)"); err != nil {
		return 0, false, err
	}
	if _, err := l.begin.ExecContext(ctx); err != nil {
		return 0, false, l.rollback(ctx, err)
	}
	args := []any{sql.Named("from", from), sql.Named("to", to), sql.Named("owed", micros(owed))}
	for _, statement := range releasing {
		done, err := l.conn.ExecContext(ctx, statement, args...)
		if err == nil {
			deleted, err = done.RowsAffected() // of the last: the entries
		}
		if err != nil {
			return 0, false, l.rollback(ctx, err)
		}
	}
	if _, err := l.commit.ExecContext(ctx); err != nil {
		return 0, false, l.rollback(ctx, err)
	}
	l.dirty.Store(true)
	signal(l.checkpoint)
	return deleted, to < end, nil
}

// releasing are the statements that let go of the entries after @from and up to @to, and of those before whose time came.
var releasing = []string{
	"DELETE FROM doomed",
	`INSERT INTO doomed SELECT e.id FROM entries AS e WHERE e.id > @from AND e.id <= @to AND CASE e.kind
		WHEN 'intent' THEN EXISTS (SELECT 1 FROM by_exchange AS o WHERE o.exchange = e.exchange AND o.kind = 'outcome' AND o.entry <= @to)
		ELSE e.admitted IS NULL OR e.admitted < @owed OR json_extract(CAST(e.record AS TEXT), '$.fallback') IS NULL END`,
	// Intents that waited for an outcome, and outcomes that were owed to the ledger.
	`INSERT OR IGNORE INTO doomed SELECT i.entry FROM entries AS e CROSS JOIN by_exchange AS i ON i.exchange = e.exchange AND i.kind = 'intent'
		WHERE e.id > @from AND e.id <= @to AND e.kind = 'outcome' AND i.entry <= @from`,
	"INSERT OR IGNORE INTO doomed SELECT id FROM entries WHERE id <= @from AND admitted < @owed",
	`UPDATE writers SET released = g.seq FROM (SELECT writer, max(seq) AS seq FROM entries WHERE id > @from AND id <= @to GROUP BY writer) AS g
		WHERE writers.id = g.writer`,
	deleteByUser,
	`DELETE FROM by_exchange WHERE (exchange, kind) IN (SELECT e.exchange, e.kind FROM doomed AS d CROSS JOIN entries AS e ON e.id = d.id
		WHERE e.kind <> 'admin')`,
	// As many of the oldest charges as entries are gone through, so that charges do not pile up either.
	`DELETE FROM charges WHERE entry IN (SELECT entry FROM charges WHERE entry <= @to ORDER BY entry LIMIT 2048) AND admitted < @owed`,
	"UPDATE state SET value = @to WHERE name = 'released'",
	deleteDoomed,
}

// deleteByUser and deleteDoomed delete the entries in the temporary table doomed, the former from the index of persons.
const (
	deleteByUser = "DELETE FROM by_user WHERE (user, entry) IN (SELECT e.user, e.id FROM doomed AS d CROSS JOIN entries AS e ON e.id = d.id)"
	deleteDoomed = "DELETE FROM entries WHERE id IN (SELECT id FROM doomed)"
)

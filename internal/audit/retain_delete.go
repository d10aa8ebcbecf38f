package audit

import (
	"context"
	"database/sql"

	"github.com/plumbline/plumbline/internal/wait"
)

// deletedAtOnce is how many records one step deletes. It takes some milliseconds of the mover; between two steps it is left
// alone for as long as a step took.
const deletedAtOnce = 256

// deleting are the statements that delete the month's next entries with all that is derived from them. The last deletes the
// entries themselves.
var deleting = []string{
	"DELETE FROM doomed",
	`INSERT INTO doomed SELECT e.id FROM spans AS s CROSS JOIN entries AS e ON e.id BETWEEN s.first AND s.last
		WHERE s.last > @after AND e.id > @after AND e.id <= @last AND ` + ofMonth + ` ORDER BY s.last, e.id LIMIT @most`,
	`INSERT OR IGNORE INTO drop_entries SELECT writer, seq, record FROM entries
		WHERE id IN (SELECT id FROM doomed) AND kind = 'admin' AND exchange GLOB '` + dropExchange + `*'`,
	deleteByUser,
	`DELETE FROM by_exchange WHERE (exchange, kind) IN (SELECT e.exchange, e.kind FROM doomed AS d CROSS JOIN entries AS e ON e.id = d.id)
		AND entry IN (SELECT id FROM doomed)`,
	"DELETE FROM charges WHERE entry IN (SELECT id FROM doomed)",
	deleteDoomed,
}

// deleteMonth deletes the entries of a month that was entered as dropped, up to a position, and says at the end that it is
// done. It gives how many there were.
func (l *Log) deleteMonth(ctx context.Context, m Month, last Position) (gone int64, err error) {
	for after := Position(0); ; {
		started := l.o.Now()
		n, at, err := l.deleteSome(ctx, m, after, last)
		if err != nil {
			return gone, err
		}
		if n == 0 {
			return gone, l.endDrop(ctx, m, last)
		}
		gone, after = gone+n, at
		if err := wait.For(ctx, l.o.Now().Sub(started)); err != nil {
			return gone, err
		}
	}
}

// deleteSome deletes the month's first entries after a position, and gives how many and the position of the last.
func (l *Log) deleteSome(ctx context.Context, m Month, after, last Position) (n int64, at Position, err error) {
	args := append(monthArgs(m), sql.Named("after", after), sql.Named("last", last), sql.Named("most", deletedAtOnce))
	err = l.erase(ctx, func(ctx context.Context) error {
		for _, statement := range deleting {
			done, err := l.conn.ExecContext(ctx, statement, args...)
			if err == nil {
				n, err = done.RowsAffected() // of the last: the entries
			}
			if err != nil {
				return err
			}
		}
		return l.conn.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM doomed").Scan(&at)
	})
	return n, at, err
}

// endDrop notes that nothing of a month is left, and forgets the runs that are empty now.
func (l *Log) endDrop(ctx context.Context, m Month, last Position) error {
	return l.erase(ctx, func(ctx context.Context) error {
		const empty = "DELETE FROM spans WHERE last <= ? AND NOT EXISTS (SELECT 1 FROM entries WHERE id BETWEEN first AND spans.last)"
		_, err := l.conn.ExecContext(ctx, empty, last)
		if err == nil {
			_, err = l.conn.ExecContext(ctx, "UPDATE drops SET done = 1 WHERE class = ? AND month = ?", m.Class, m.Name())
		}
		return err
	})
}

// erase has the mover run fn in a transaction. What is deleted in it is overwritten with zeros: what retention drops must not
// be left in the file's free pages.
func (l *Log) erase(ctx context.Context, fn func(context.Context) error) error {
	return l.do(ctx, func() (err error) {
		ctx := context.WithoutCancel(ctx)
		for _, prepare := range []string{"CREATE TEMP TABLE IF NOT EXISTS doomed (id INTEGER PRIMARY KEY)", "PRAGMA secure_delete = ON"} {
			if _, err := l.conn.ExecContext(ctx, prepare); err != nil {
				return err
			}
		}
		defer func() {
			if _, off := l.conn.ExecContext(ctx, "PRAGMA secure_delete = OFF"); err == nil {
				err = off
			}
		}()
		if _, err := l.begin.ExecContext(ctx); err != nil {
			return l.rollback(ctx, err)
		}
		if err := fn(ctx); err != nil {
			return l.rollback(ctx, err)
		}
		if _, err := l.commit.ExecContext(ctx); err != nil {
			return l.rollback(ctx, err)
		}
		l.dirty.Store(true)
		signal(l.checkpoint)
		return nil
	})
}

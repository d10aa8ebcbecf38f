package audit

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
)

// indexEvery is how many entries are indexed at a time, and the most that a reader looks through one by one. The more,
// the fewer pages are written for each; the longer, too, the commit that waits.
const indexEvery = 1024

// unindexed is the condition of the entries that the indexes do not hold yet.
const unindexed = "e.id > (SELECT value FROM state WHERE name = 'indexed')"

// step is a step of an exchange, which is recorded once.
type step struct {
	exchange string
	kind     core.RecordKind
}

// tail is what the writer knows of the records that are not indexed yet.
type tail struct {
	last  Position          // of the last record that is
	steps []step            // of the records after it, one by one; zero where a record has none
	seen  map[step]struct{} // the same
}

// add takes the step of the next record.
func (t *tail) add(s step) {
	t.steps = append(t.steps, s)
	t.seen[s] = struct{}{}
}

// cut takes back all steps but the first n.
func (t *tail) cut(n int) {
	for _, s := range t.steps[n:] {
		delete(t.seen, s)
	}
	t.steps = t.steps[:n]
}

// shift notes that the records up to last are indexed.
func (t *tail) shift(last Position) {
	n := int(last - t.last)
	if n == 0 {
		return
	}
	for _, s := range t.steps[:n] {
		delete(t.seen, s)
	}
	t.steps = append(t.steps[:0], t.steps[n:]...)
	t.last = last
}

// recorded reports whether a step is in the log. The exchanges of intents and denials are new: for those the tail is
// enough, since nobody tries again for longer. So it is for a step whose exchange began there.
func (l *Log) recorded(ctx context.Context, s step) (bool, error) {
	if _, ok := l.tail.seen[s]; ok || s.kind == core.RecordIntent || s.kind == core.RecordDeny {
		return ok, nil
	}
	if _, ok := l.tail.seen[step{s.exchange, core.RecordIntent}]; ok {
		return false, nil
	}
	var n int
	const query = "SELECT count(*) FROM by_exchange WHERE exchange = ? AND kind = ?"
	err := l.side.QueryRowContext(ctx, query, s.exchange, s.kind).Scan(&n)
	return n > 0, err
}

// index adds the next n entries to the tables that searching and the ledger's start read. The mover does
// it between commits, in a transaction of its own: one that fails leaves the entries to the next.
func (l *Log) index(n int) error {
	ctx := context.Background()
	if _, err := l.begin.ExecContext(ctx); err != nil {
		return l.rollback(ctx, err)
	}
	indexed := l.indexed.Load()
	from := sql.Named("from", indexed)
	to := sql.Named("to", indexed+int64(n))
	for _, statement := range []string{
		`INSERT INTO by_exchange SELECT exchange, kind, id FROM entries WHERE id > @from AND id <= @to AND exchange <> ''
			ORDER BY exchange, kind ON CONFLICT DO NOTHING`,
		`INSERT INTO by_user SELECT user, id FROM entries WHERE id > @from AND id <= @to AND user <> '' ORDER BY user, id`,
		`INSERT INTO spans SELECT max(id), min(id), min(time), max(time), max(admitted) FROM entries WHERE id > @from AND id <= @to`,
		`INSERT INTO charges SELECT id, admitted, exchange, user, team, app, model, requests, input_tokens, output_tokens, cost
			FROM entries WHERE id > @from AND id <= @to AND admitted IS NOT NULL`,
		`UPDATE state SET value = @to WHERE name = 'indexed'`,
	} {
		if _, err := l.conn.ExecContext(ctx, statement, from, to); err != nil {
			return l.rollback(ctx, fmt.Errorf("indexing: %w", err))
		}
	}
	if _, err := l.commit.ExecContext(ctx); err != nil {
		return l.rollback(ctx, err)
	}
	l.indexed.Store(indexed + int64(n))
	return nil
}

// indexRest indexes what earlier writers left, so that the tail is this writer's own.
func (l *Log) indexRest(last Position) error {
	for {
		n := int(min(int64(last)-l.indexed.Load(), indexEvery))
		if n <= 0 {
			return nil
		}
		if err := l.index(n); err != nil {
			return err
		}
	}
}

// sinceBound is the first position that can hold a time from the argument on, untilBound the last that can hold one before
// its two: runs of entries whose times cannot match are left out.
const (
	sinceBound = `coalesce(
		(SELECT first FROM spans WHERE latest >= ? ORDER BY last LIMIT 1),
		(SELECT value + 1 FROM state WHERE name = 'indexed'))`
	untilBound = `CASE
		WHEN EXISTS (SELECT 1 FROM entries AS e WHERE ` + unindexed + ` AND e.time < ?) THEN 9223372036854775807
		ELSE coalesce((SELECT last FROM spans WHERE earliest < ? ORDER BY last DESC LIMIT 1), 0) END`
)

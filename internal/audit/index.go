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

// indexProblem is something that can be wrong with an index, and the statement that finds the first entry concerned.
type indexProblem struct{ problem, statement string }

// indexGaps find entries, of a range of ids, that an index does not hold as they are.
var indexGaps = []indexProblem{
	{"its step is recorded twice, or the index of exchanges does not hold it", `SELECT min(e.id) FROM entries AS e
		WHERE e.id > @from AND e.id <= @to AND NOT (` + unindexed + `) AND e.exchange <> ''
		AND NOT EXISTS (SELECT 1 FROM by_exchange AS x WHERE x.exchange = e.exchange AND x.kind = e.kind AND x.entry = e.id)`},
	{"the index of persons does not hold it", `SELECT min(e.id) FROM entries AS e
		WHERE e.id > @from AND e.id <= @to AND NOT (` + unindexed + `) AND e.user <> ''
		AND NOT EXISTS (SELECT 1 FROM by_user AS u WHERE u.user = e.user AND u.entry = e.id)`},
	{"the index of times does not hold it", `SELECT min(e.id) FROM entries AS e
		WHERE e.id > @from AND e.id <= @to AND NOT (` + unindexed + `)
		AND NOT EXISTS (SELECT 1 FROM spans AS s WHERE s.last = (SELECT min(last) FROM spans WHERE last >= e.id)
			AND s.first <= e.id AND s.earliest <= e.time AND s.latest >= e.time
			AND (e.admitted IS NULL OR s.admitted >= e.admitted))`},
	{"the index of charges does not hold it", `SELECT min(e.id) FROM entries AS e
		WHERE e.id > @from AND e.id <= @to AND NOT (` + unindexed + `) AND e.admitted IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM charges AS c WHERE c.entry = e.id AND c.admitted = e.admitted AND c.exchange = e.exchange
			AND (c.user, c.team, c.app, c.model) = (e.user, e.team, e.app, e.model)
			AND (c.requests, c.input_tokens, c.output_tokens, c.cost) = (e.requests, e.input_tokens, e.output_tokens, e.cost))`},
}

// indexSurplus finds what an index holds and no entry does. Changes and charges stay when their entries are let go of.
var indexSurplus = []indexProblem{
	{"the index of exchanges holds it under another one", `SELECT min(x.entry) FROM by_exchange AS x
		WHERE x.entry > (SELECT value FROM state WHERE name = 'released')
			AND NOT EXISTS (SELECT 1 FROM entries AS e WHERE e.id = x.entry AND e.exchange = x.exchange AND e.kind = x.kind
			AND NOT (` + unindexed + `))`},
	{"the index of persons holds it under another one", `SELECT min(u.entry) FROM by_user AS u
		WHERE NOT EXISTS (SELECT 1 FROM entries AS e WHERE e.id = u.entry AND e.user = u.user AND NOT (` + unindexed + `))`},
	{"the index of charges holds another charge", `SELECT min(c.entry) FROM charges AS c
		WHERE c.entry > (SELECT value FROM state WHERE name = 'released')
			AND NOT EXISTS (SELECT 1 FROM entries AS e WHERE e.id = c.entry AND e.admitted = c.admitted AND NOT (` + unindexed + `))`},
}

package audit

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Raw is a record as it is kept. Its slices are valid until the function returns that it is given to.
type Raw struct {
	Writer    string
	Seq       uint64
	Leaf      [32]byte
	Kind      core.RecordKind
	Canonical []byte
}

// Walk calls fn for every record that a query asks for, each once, in the order in which they became durable: for all that
// were durable when it was called, in the tables or still in the journal, and for none that came in later. Limit and After
// do not count. It ends with the first error of fn.
func (r *Reader) Walk(ctx context.Context, q Query, fn func(Raw) error) error {
	if err := q.Check(); err != nil {
		return err
	}
	recent, err := r.recent(ctx)
	if err != nil {
		return err
	}
	low, high, err := r.bounds(ctx, &q)
	if err != nil {
		return fmt.Errorf("audit: reading records: %w", err)
	}
	for last := min(high, recent.after); low <= last; {
		if low, err = r.walkPage(ctx, &q, low, last, fn); err != nil {
			return err
		}
	}
	// What was moved into the tables since the journal was read is above recent.after, and is given from here.
	for i := range recent.frames {
		e, err := recent.frames[i].entry()
		if err != nil {
			return fmt.Errorf("audit: reading records: %w", err)
		}
		if !q.Matches(&e.Record) {
			continue
		}
		if err := fn(Raw{e.Writer, e.Seq, e.Leaf, e.Record.Kind, e.Canonical}); err != nil {
			return err
		}
	}
	return nil
}

// Records is Walk over a span of time, for whoever needs kinds and bytes only.
func (r *Reader) Records(ctx context.Context, since, until time.Time, fn func(kind core.RecordKind, canonical []byte) error) error {
	return r.Walk(ctx, Query{Since: since, Until: until}, func(raw Raw) error { return fn(raw.Kind, raw.Canonical) })
}

// walkPage gives some of the records that the tables hold, so that no read holds up the writer's WAL for long. It returns
// the position to go on from.
func (r *Reader) walkPage(ctx context.Context, q *Query, low, last Position, fn func(Raw) error) (Position, error) {
	statement, args := q.statement(low, last)
	rows, err := r.db.QueryContext(ctx, statement+" ORDER BY 1 LIMIT ?", append(args, maxLimit)...)
	if err != nil {
		return 0, fmt.Errorf("audit: reading records: %w", err)
	}
	defer rows.Close()
	var (
		raw Raw
		n   int
	)
	for ; rows.Next(); n++ {
		var writer, leaf, record, kind sql.RawBytes
		if err := rows.Scan(&low, &writer, &raw.Seq, &leaf, &record, &kind); err != nil {
			return 0, fmt.Errorf("audit: reading records: %w", err)
		}
		low++
		if raw.Writer != string(writer) { // seldom another than before
			raw.Writer = string(writer)
		}
		copy(raw.Leaf[:], leaf)
		raw.Kind, raw.Canonical = core.RecordKind(kind), record
		ok, err := q.rest(&raw)
		if err == nil && ok {
			err = fn(raw)
		}
		if err != nil {
			return 0, err
		}
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("audit: reading records: %w", err)
	}
	if n < maxLimit {
		low = last + 1
	}
	return low, nil
}

// rest reports whether a record that the columns chose matches in all else.
func (q *Query) rest(raw *Raw) (bool, error) {
	if !q.hasRest() {
		return true, nil
	}
	rec, err := Decode(raw.Canonical)
	if err != nil {
		return false, fmt.Errorf("audit: number %d of writer %s: %w", raw.Seq, raw.Writer, err)
	}
	return q.matchesRest(&rec), nil
}

package audit

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Records calls fn for every record whose time is from since up to, but not including, until, each once, in the order in
// which they became durable: for all that were durable when it was called, in the tables or still in the journal, and for
// none that came in later. A zero time is no bound. canonical is valid until fn returns. It ends with the first error of fn.
func (r *Reader) Records(ctx context.Context, since, until time.Time, fn func(kind core.RecordKind, canonical []byte) error) error {
	recent, err := r.recent(ctx)
	if err != nil {
		return err
	}
	q := Query{Since: since, Until: until}
	where, args := q.where("e.id", recent.after)
	statement := selectRecord + where + " AND e.id > ? ORDER BY e.id LIMIT ?"
	for after, n := Position(0), maxLimit; n == maxLimit; {
		if after, n, err = r.recordsPage(ctx, statement, append(args, after, maxLimit), fn); err != nil {
			return err
		}
	}
	// What was moved into the tables since the journal was read is above recent.after, and is given from here.
	for i := range recent.frames {
		e, err := recent.frames[i].entry()
		if err != nil {
			return fmt.Errorf("audit: reading records: %w", err)
		}
		if q.matches(columnsOf(e.Record)) {
			if err := fn(e.Record.Kind, e.Canonical); err != nil {
				return err
			}
		}
	}
	return nil
}

// selectRecord begins a statement for recordsPage.
const selectRecord = "SELECT e.id, e.kind, e.record FROM entries AS e WHERE "

// recordsPage gives some of the records that the tables hold, so that no read holds up the writer's WAL for long. It returns
// the last position and how many there were.
func (r *Reader) recordsPage(ctx context.Context, statement string, args []any, fn func(core.RecordKind, []byte) error) (last Position, n int, err error) {
	rows, err := r.db.QueryContext(ctx, statement, args...)
	if err != nil {
		return 0, 0, fmt.Errorf("audit: reading records: %w", err)
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		var kind, canonical sql.RawBytes
		if err := rows.Scan(&last, &kind, &canonical); err != nil {
			return 0, 0, fmt.Errorf("audit: reading records: %w", err)
		}
		if err := fn(core.RecordKind(kind), canonical); err != nil {
			return 0, 0, err
		}
	}
	if err := rows.Err(); err != nil {
		return 0, 0, fmt.Errorf("audit: reading records: %w", err)
	}
	return last, n, nil
}

package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
)

// Change gives the record of a change that the log took under an id. ok is false where there is none, or none any more: of a
// spool, what was let go of leaves only that it was recorded.
func (l *Log) Change(ctx context.Context, exchange string) (rec core.Record, ok bool, err error) {
	if _, err := l.End(ctx); err != nil { // it may still be in the journal
		return core.Record{}, false, err
	}
	const query = `SELECT e.record FROM by_exchange AS i CROSS JOIN entries AS e ON e.id = i.entry WHERE i.exchange = @exchange AND i.kind = 'admin'
		UNION ALL SELECT e.record FROM entries AS e WHERE e.exchange = @exchange AND e.kind = 'admin' AND ` + unindexed + ` LIMIT 1`
	var canonical []byte
	err = l.side.QueryRowContext(ctx, query, sql.Named("exchange", exchange)).Scan(&canonical)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return core.Record{}, false, nil
	case err != nil:
		return core.Record{}, false, fmt.Errorf("audit: reading a change: %w", err)
	}
	rec, err = Decode(canonical)
	return rec, err == nil, err
}

package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
)

// Ending is what the log says of an exchange that a ledger still holds.
type Ending struct {
	// Charge is what was settled, nothing when Open.
	Charge core.Charge
	// Fallback says that the ledger was not asked when the exchange was admitted.
	Fallback bool
	// Open says that there is an intent without an outcome.
	Open bool
}

// Name names the log. It stays the same over restarts, and no two logs have the same unless one was copied.
func (l *Log) Name(ctx context.Context) (string, error) { return nameOf(ctx, l.side) }

func nameOf(ctx context.Context, db *sql.DB) (string, error) {
	var name string
	if err := db.QueryRowContext(ctx, "SELECT name FROM writers ORDER BY id LIMIT 1").Scan(&name); err != nil {
		return "", fmt.Errorf("audit: %w", err)
	}
	return name, nil
}

// End is the position of the last record: every one whose Append returned before the call is at or below it.
func (l *Log) End(ctx context.Context) (int64, error) {
	var end Position
	if err := l.do(ctx, func() error { end = l.stored; return nil }); err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	return int64(end), nil
}

// Endings says how exchanges ended. Those that the log does not know are not in the map.
func (l *Log) Endings(ctx context.Context, exchanges []string) (map[string]Ending, error) {
	if _, err := l.End(ctx); err != nil {
		return nil, err
	}
	list, err := json.Marshal(exchanges)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	// Both halves begin with the list, so that each of its ids is looked up.
	const query = `WITH asked AS MATERIALIZED (SELECT value AS exchange FROM json_each(@list))
		SELECT e.record FROM asked CROSS JOIN by_exchange AS i ON i.exchange = asked.exchange
			CROSS JOIN entries AS e ON e.id = i.entry WHERE i.kind IN ('intent', 'outcome')
		UNION ALL SELECT e.record FROM entries AS e
			WHERE e.kind IN ('intent', 'outcome') AND ` + unindexed + ` AND e.exchange IN (SELECT exchange FROM asked)`
	rows, err := l.side.QueryContext(ctx, query, sql.Named("list", string(list)))
	if err != nil {
		return nil, fmt.Errorf("audit: reading endings: %w", err)
	}
	defer rows.Close()
	endings := map[string]Ending{}
	for rows.Next() {
		var canonical []byte
		if err := rows.Scan(&canonical); err != nil {
			return nil, fmt.Errorf("audit: reading endings: %w", err)
		}
		rec, err := Decode(canonical)
		if err != nil {
			return nil, err
		}
		e, known := endings[rec.Exchange]
		switch {
		case rec.Kind == core.RecordOutcome:
			e = Ending{Fallback: rec.Fallback != ""}
			if rec.Settled != nil {
				e.Charge = *rec.Settled
			}
		case !known:
			e = Ending{Fallback: rec.Fallback != "", Open: true}
		}
		endings[rec.Exchange] = e
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("audit: reading endings: %w", err)
	}
	return endings, nil
}

// FallbackCharges calls fn for every settled outcome after a position that was admitted while the ledger could not be
// asked, in the order of Position, and gives the position up to which it has read. It ends with the first error of fn.
func (l *Log) FallbackCharges(ctx context.Context, after int64, fn func(Charged) error) (end int64, err error) {
	if end, err = l.End(ctx); err != nil {
		return 0, err
	}
	for more := true; more && after < end; {
		page, upTo, err := fallbackPage(ctx, l.side, after, end)
		if err != nil {
			return 0, fmt.Errorf("audit: reading charges: %w", err)
		}
		for _, c := range page {
			if err := fn(c); err != nil {
				return 0, err
			}
		}
		after, more = upTo, upTo < end
	}
	return end, nil
}

// fallbackPage looks through some entries. Where a record has no such member, it is not decoded further.
func fallbackPage(ctx context.Context, db *sql.DB, after, end int64) ([]Charged, int64, error) {
	const query = `SELECT e.id, e.exchange, e.user, e.team, e.app, e.model, e.record FROM entries AS e
		WHERE e.id > ? AND e.id <= ? AND e.kind = 'outcome' AND e.admitted IS NOT NULL
			AND json_extract(CAST(e.record AS TEXT), '$.fallback') IS NOT NULL ORDER BY e.id`
	end = min(end, after+chargesAtOnce)
	rows, err := db.QueryContext(ctx, query, after, end)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	var page []Charged
	for rows.Next() {
		var (
			c         Charged
			canonical []byte
		)
		if err := rows.Scan(&c.Position, &c.Exchange, &c.By.User, &c.By.Team, &c.By.App, &c.Model, &canonical); err != nil {
			return nil, 0, err
		}
		rec, err := Decode(canonical)
		if err != nil {
			return nil, 0, err
		}
		c.Charge = *rec.Settled
		page = append(page, c)
	}
	return page, end, rows.Err()
}

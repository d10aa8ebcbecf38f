package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// chargesAtOnce bounds one read of Charges. A long one would keep the WAL from starting over.
const chargesAtOnce = 16 << 10

// Charged is a settled outcome.
type Charged struct {
	// Position is the outcome's place in the order in which records became durable. The one writer of a log gives
	// positions in that order, so that whoever has been given a charge has also been given every charge before it.
	Position int64
	Exchange string
	// By knows user, team and app.
	By     core.Principal
	Model  string
	Charge core.Charge
}

// ChargesQuery says which charges to read. The zero value asks for all.
type ChargesQuery struct {
	// Since leaves out what was admitted before it.
	Since time.Time
	// After leaves out the records up to that position.
	After int64
}

// Charges calls fn for every settled outcome that q asks for, each once, in the order of Position: for all that were
// recorded when it was called, whether in the tables or still in the journal, and for none that came in later. It reads no
// records. It ends with the first error of fn.
func (l *Log) Charges(ctx context.Context, q ChargesQuery, fn func(Charged) error) error {
	var end Position
	if err := l.do(ctx, func() error { end = l.stored; return nil }); err != nil {
		return fmt.Errorf("audit: reading charges: %w", err)
	}
	return eachCharge(ctx, l.side, q, end, fn)
}

// eachCharge gives the charges that q asks for and the tables have, up to a position.
func eachCharge(ctx context.Context, db *sql.DB, q ChargesQuery, end Position, fn func(Charged) error) error {
	for after, more := q.After, true; more; {
		page, err := chargesPage(ctx, db, q.Since, after, end)
		if err != nil {
			return fmt.Errorf("audit: reading charges: %w", err)
		}
		for i := range page {
			if err := fn(page[i]); err != nil {
				return err
			}
			after = page[i].Position
		}
		more = len(page) == chargesAtOnce
	}
	return nil
}

// chargesPage reads the first charges after a position.
func chargesPage(ctx context.Context, db *sql.DB, since time.Time, after int64, end Position) ([]Charged, error) {
	const query = `SELECT entry, admitted, exchange, user, team, app, model, requests, input_tokens, output_tokens, cost
		FROM charges WHERE entry > @after AND entry <= @end AND admitted >= @since AND entry >= coalesce(
			(SELECT first FROM spans WHERE admitted >= @since ORDER BY last LIMIT 1),
			(SELECT value + 1 FROM state WHERE name = 'indexed'))
		UNION ALL SELECT id, admitted, exchange, user, team, app, model, requests, input_tokens, output_tokens, cost
		FROM entries AS e WHERE id > @after AND id <= @end AND admitted >= @since AND ` + unindexed + `
		ORDER BY 1 LIMIT @most`
	rows, err := db.QueryContext(ctx, query, sql.Named("after", after), sql.Named("end", end),
		sql.Named("since", micros(since)), sql.Named("most", chargesAtOnce))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []Charged
	for rows.Next() {
		var (
			c        Charged
			admitted int64
		)
		err := rows.Scan(&c.Position, &admitted, &c.Exchange, &c.By.User, &c.By.Team, &c.By.App, &c.Model,
			&c.Charge.Requests, &c.Charge.InputTokens, &c.Charge.OutputTokens, &c.Charge.Cost)
		if err != nil {
			return nil, err
		}
		c.Charge.Admitted = time.UnixMicro(admitted).UTC()
		page = append(page, c)
	}
	return page, rows.Err()
}

// micros is a time as the tables keep it; the zero time comes before all of them.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return t.UnixMicro()
}

// Leaf gives the hash of the record at a position, which must be one that Charges gave; ok is false when there is none.
func (l *Log) Leaf(ctx context.Context, position int64) (leaf [32]byte, ok bool, err error) {
	var stored []byte
	err = l.side.QueryRowContext(ctx, "SELECT leaf FROM entries WHERE id = ?", position).Scan(&stored)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return leaf, false, nil
	case err != nil:
		return leaf, false, fmt.Errorf("audit: reading the hash of a record: %w", err)
	}
	return leaf, copy(leaf[:], stored) == len(leaf), nil
}

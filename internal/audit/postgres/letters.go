package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Letter is a record that could not be stored with the others.
type Letter struct {
	Writer string `json:"writer"`
	Seq    uint64 `json:"number"`
	// Time is the record's own; zero where the record cannot be read.
	Time   time.Time `json:"time,omitzero"`
	Reason string    `json:"reason"`
	// Record is the record's bytes as they came.
	Record []byte `json:"record"`
}

// Letters gives dead letters in the order of their writers and numbers, at most limit.
func (s *Store) Letters(ctx context.Context, limit int) (letters []Letter, err error) {
	const query = `SELECT writer, seq, recorded_at, reason, record FROM plumbline_audit.dead_letters ORDER BY writer, seq, leaf LIMIT $1::bigint`
	err = s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, limit)
		if err != nil {
			return err
		}
		letters, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l Letter, err error) {
			var seq, at int64
			if err = row.Scan(&l.Writer, &seq, &at, &l.Reason, &l.Record); at != 0 {
				l.Time = time.UnixMicro(at).UTC()
			}
			l.Seq = uint64(seq)
			return l, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("audit: reading the dead letters: %w", err)
	}
	return letters, nil
}

package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
)

// PutCheckpoints keeps checkpoints, and gives those in whose place another stands. See notary.Store.
func (s *Store) PutCheckpoints(ctx context.Context, signed []audit.Checkpoint) (conflicts []audit.Checkpoint, err error) {
	var (
		writers []string
		sizes   []int64
		notes   [][]byte
	)
	for _, c := range signed {
		writers, sizes, notes = append(writers, c.Writer), append(sizes, int64(c.Size)), append(notes, c.Note)
	}
	err = s.pool.Write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		const insert = `INSERT INTO plumbline_audit.checkpoints SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[])
			ON CONFLICT DO NOTHING`
		if _, err := tx.Exec(ctx, insert, writers, sizes, notes); err != nil {
			return err
		}
		const others = `SELECT n FROM unnest($1::text[], $2::bigint[], $3::bytea[]) WITH ORDINALITY AS s (writer, size, note, n)
			JOIN plumbline_audit.checkpoints AS c ON (c.writer, c.size) = (s.writer, s.size) WHERE c.note <> s.note ORDER BY n`
		rows, err := tx.Query(ctx, others, writers, sizes, notes)
		if err != nil {
			return err
		}
		numbers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		conflicts = nil
		for _, n := range numbers {
			conflicts = append(conflicts, signed[n-1])
		}
		return err
	})
	return conflicts, err
}

// checkpointsAtOnce is how many checkpoints are read at a time.
const checkpointsAtOnce = 5000

// Checkpoints calls fn for each checkpoint, those of a writer by their size.
func (s *Snapshot) Checkpoints(ctx context.Context, fn func(audit.Checkpoint) error) error {
	for last := (audit.Checkpoint{}); ; {
		const query = `SELECT writer, size, note FROM plumbline_audit.checkpoints WHERE (writer, size) > ($1::text, $2::bigint)
			ORDER BY writer, size LIMIT $3::bigint`
		rows, err := s.tx.Query(ctx, query, last.Writer, int64(last.Size), checkpointsAtOnce)
		if err != nil {
			return err
		}
		page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c audit.Checkpoint, err error) {
			var size int64
			err = row.Scan(&c.Writer, &size, &c.Note)
			c.Size = uint64(size)
			return c, err
		})
		if err != nil {
			return err
		}
		for _, c := range page {
			if err := fn(c); err != nil {
				return err
			}
			last = c
		}
		if len(page) < checkpointsAtOnce {
			return nil
		}
	}
}

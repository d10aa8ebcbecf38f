package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
)

// Claim implements store.Store. It looks before it locks the file: mostly there is nothing.
func (s *Store) Claim(ctx context.Context, writer string, life time.Duration, limit int) (claimed []store.Change, err error) {
	const owed = `SELECT version FROM changes WHERE recorded = 0 AND (writer IN ('', ?) OR claimed < ?) ORDER BY version LIMIT ?`
	now := time.Now()
	args := []any{writer, store.Micros(now.Add(-life)), max(limit, 0)}
	var first uint64
	switch err := s.read.QueryRowContext(ctx, owed, args...).Scan(&first); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("looking for changes that no audit has: %w", err)
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		const claim = `UPDATE changes SET writer = ?, claimed = ? WHERE version IN (` + owed + `) RETURNING ` + layout.ChangeColumns
		rows, err := tx.QueryContext(ctx, claim, append([]any{writer, store.Micros(now)}, args...)...)
		claimed, err = collect(rows, err, layout.ScanChange)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claiming changes for the audit: %w", err)
	}
	slices.SortFunc(claimed, store.Change.Compare) // RETURNING has no order
	return claimed, nil
}

// Recorded implements store.Store.
func (s *Store) Recorded(ctx context.Context, versions ...uint64) error {
	if len(versions) == 0 {
		return nil
	}
	of, err := json.Marshal(versions)
	if err != nil {
		return err
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, `UPDATE changes SET recorded = 1 WHERE version IN (SELECT value FROM json_each(?))`, string(of))
		return err
	})
	if err != nil {
		return fmt.Errorf("noting that changes are in the audit: %w", err)
	}
	return nil
}

package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
)

// Claim implements store.Store. It does not hold the feed: which audit has a change is no change. Who claims at the same
// time is given others.
func (s *Store) Claim(ctx context.Context, writer string, life time.Duration, limit int) ([]store.Change, error) {
	claimed, err := query(ctx, s, layout.ScanChange, `WITH owed AS (
			SELECT version AS due FROM plumbline.changes WHERE NOT recorded AND (writer IN ('', $1) OR claimed < `+now+` - $2)
			ORDER BY version LIMIT $3 FOR UPDATE SKIP LOCKED)
		UPDATE plumbline.changes SET writer = $1, claimed = `+now+` FROM owed WHERE version = due
		RETURNING `+layout.ChangeColumns, writer, life.Microseconds(), max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("claiming changes for the audit: %w", err)
	}
	slices.SortFunc(claimed, store.Change.Compare) // RETURNING has no order
	return claimed, nil
}

// now is the server's clock: those of the replicas may differ.
const now = `(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint`

// Recorded implements store.Store.
func (s *Store) Recorded(ctx context.Context, versions ...uint64) error {
	if len(versions) == 0 {
		return nil
	}
	of := make([]int64, len(versions))
	for i, v := range versions {
		of[i] = int64(v)
	}
	if _, err := s.exec(ctx, `UPDATE plumbline.changes SET recorded = true WHERE version = ANY ($1::bigint[])`, of); err != nil {
		return fmt.Errorf("noting that changes are in the audit: %w", err)
	}
	return nil
}

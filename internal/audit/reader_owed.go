package audit

import (
	"context"
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
)

// Name is Log.Name.
func (r *Reader) Name(ctx context.Context) (string, error) { return nameOf(ctx, r.db) }

// FellBack gives the exchanges after a position that were settled and had been admitted while the ledger could not be asked.
func (r *Reader) FellBack(ctx context.Context, after int64) (map[string]struct{}, error) {
	recent, err := r.recent(ctx)
	if err != nil {
		return nil, err
	}
	fell := map[string]struct{}{}
	for end := int64(recent.after); after < end; {
		page, upTo, err := fallbackPage(ctx, r.db, after, end)
		if err != nil {
			return nil, fmt.Errorf("audit: reading charges: %w", err)
		}
		for i := range page {
			fell[page[i].Exchange] = struct{}{}
		}
		after = upTo
	}
	for i := range recent.frames {
		e, err := recent.frames[i].entry()
		if err != nil {
			return nil, fmt.Errorf("audit: reading charges: %w", err)
		}
		if e.Record.Kind == core.RecordOutcome && e.Record.Fallback != "" && int64(e.Position) > after {
			fell[e.Record.Exchange] = struct{}{}
		}
	}
	return fell, nil
}

package audit

import (
	"context"
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
)

// Charges is Log.Charges for a log that another process may be writing.
func (r *Reader) Charges(ctx context.Context, q ChargesQuery, fn func(Charged) error) error {
	recent, err := r.recent(ctx)
	if err != nil {
		return err
	}
	// What is moved into the tables after the journal was read is left out, since the journal has it.
	if err := eachCharge(ctx, r.db, q, recent.after, fn); err != nil {
		return err
	}
	return recent.charges(q, fn)
}

// charges gives those that the tables did not hold yet.
func (r *recent) charges(q ChargesQuery, fn func(Charged) error) error {
	for i := range r.frames {
		e, err := r.frames[i].entry()
		if err != nil {
			return fmt.Errorf("audit: reading charges: %w", err)
		}
		rec := e.Record
		if rec.Kind != core.RecordOutcome || rec.Settled == nil || rec.Settled.Admitted.Before(q.Since) || int64(e.Position) <= q.After {
			continue
		}
		by := core.Principal{User: rec.Principal.User, Team: rec.Principal.Team, App: rec.Principal.App}
		if err := fn(Charged{Position: int64(e.Position), Exchange: rec.Exchange, By: by, Model: rec.Model, Charge: *rec.Settled}); err != nil {
			return err
		}
	}
	return nil
}

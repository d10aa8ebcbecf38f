package audit

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Charges calls fn for every settled outcome that was admitted at or after since, in no order, also those that the journal
// still holds. Of the principal, user, team and app are known. It ends with the first error of fn.
func (r *Reader) Charges(ctx context.Context, since time.Time, fn func(p core.Principal, model string, c core.Charge) error) error {
	recent, err := r.recent(ctx)
	if err != nil {
		return err
	}
	// One statement sees one moment of the tables. What is moved into them after the journal was read is left out, since the
	// journal has it.
	const query = `SELECT admitted, user, team, app, model, requests, input_tokens, output_tokens, cost FROM charges
		WHERE admitted >= @since AND entry <= @last
		UNION ALL SELECT admitted, user, team, app, model, requests, input_tokens, output_tokens, cost FROM entries AS e
		WHERE admitted >= @since AND ` + unindexed + ` AND e.id <= @last`
	rows, err := r.db.QueryContext(ctx, query, sql.Named("since", since.UnixMicro()), sql.Named("last", int64(recent.after)))
	if err != nil {
		return fmt.Errorf("audit: reading charges: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			p        core.Principal
			model    string
			c        core.Charge
			admitted int64
		)
		if err := rows.Scan(&admitted, &p.User, &p.Team, &p.App, &model, &c.Requests, &c.InputTokens, &c.OutputTokens, &c.Cost); err != nil {
			return fmt.Errorf("audit: reading charges: %w", err)
		}
		c.Admitted = time.UnixMicro(admitted).UTC()
		if err := fn(p, model, c); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("audit: reading charges: %w", err)
	}
	return recent.charges(since, fn)
}

// charges gives those that the tables did not hold yet.
func (r *recent) charges(since time.Time, fn func(p core.Principal, model string, c core.Charge) error) error {
	for i := range r.frames {
		e, err := r.frames[i].entry()
		if err != nil {
			return fmt.Errorf("audit: reading charges: %w", err)
		}
		rec := e.Record
		if rec.Kind != core.RecordOutcome || rec.Settled == nil || rec.Settled.Admitted.Before(since) {
			continue
		}
		p := core.Principal{User: rec.Principal.User, Team: rec.Principal.Team, App: rec.Principal.App}
		if err := fn(p, rec.Model, *rec.Settled); err != nil {
			return err
		}
	}
	return nil
}

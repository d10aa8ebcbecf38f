package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
)

// Labels implements store.Store.
func (s *Store) Labels() store.Labels { return labels{s} }

// Calibrations implements store.Store.
func (s *Store) Calibrations() store.Table[core.Calibration] {
	return table[core.Calibration]{s, calibrations}
}

// labels implements store.Labels.
type labels struct{ s *Store }

const (
	insertSample = "INSERT INTO samples (" + layout.SampleColumns + `) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
		WHERE NOT EXISTS (SELECT 1 FROM lessons WHERE exchange = ?1) ON CONFLICT DO NOTHING`
	selectLabel = "SELECT " + layout.LabelColumns + " FROM labels "
	putLabel    = "INSERT OR REPLACE INTO labels (" + layout.LabelColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	// anySample is what is known of a sample, from the queue or a label: nothing of one that is learnt from.
	anySample = "SELECT * FROM (SELECT " + layout.SampleColumns + " FROM samples WHERE exchange = ?1 UNION ALL SELECT " + layout.SampleColumns +
		" FROM labels WHERE exchange = ?1) WHERE NOT EXISTS (SELECT 1 FROM lessons WHERE exchange = ?1) LIMIT 1"
)

// Draw implements store.Labels.
func (w labels) Draw(ctx context.Context, samples ...core.Sample) error {
	for _, s := range samples {
		if err := store.ValidateSample(s); err != nil {
			return err
		}
	}
	if len(samples) == 0 {
		return nil
	}
	return w.s.change(ctx, func(tx *sql.Tx) error {
		for _, s := range samples {
			if _, err := tx.ExecContext(ctx, insertSample, layout.SampleValues(s)...); err != nil {
				return fmt.Errorf("queueing a sample: %w", err)
			}
		}
		return nil
	})
}

// Queue implements store.Labels.
func (w labels) Queue(ctx context.Context, q store.QueueQuery) ([]core.Sample, error) {
	const waiting = "SELECT " + layout.SampleColumns + ` FROM samples WHERE place > ?1 AND (?2 = '' OR model = ?2)
		AND (?3 = '' OR NOT EXISTS (SELECT 1 FROM labels l WHERE l.exchange = samples.exchange AND (l.labeller = ?3 OR l.approved <> '')))
		ORDER BY place LIMIT ?4`
	rows, err := w.s.read.QueryContext(ctx, waiting, q.After, q.Model, q.By, q.Size())
	return collect(rows, err, layout.ScanSample)
}

// Expire implements store.Labels.
func (w labels) Expire(ctx context.Context, before time.Time) (n int64, err error) {
	err = w.s.change(ctx, func(tx *sql.Tx) error {
		const proposed = "DELETE FROM proposals WHERE exchange IN (SELECT exchange FROM samples WHERE drawn < ?)"
		if _, err := exec(ctx, tx, proposed, store.Micros(before)); err != nil {
			return err
		}
		n, err = exec(ctx, tx, "DELETE FROM samples WHERE drawn < ?", store.Micros(before))
		return err
	})
	return n, err
}

// Propose implements store.Labels.
func (w labels) Propose(ctx context.Context, p core.Proposal) error {
	if err := store.ValidateProposal(p); err != nil {
		return err
	}
	return w.s.change(ctx, func(tx *sql.Tx) error {
		const propose = "INSERT OR REPLACE INTO proposals (" + layout.ProposalColumns + ") SELECT ?, ?, ?, ?, ? FROM samples WHERE exchange = ?"
		n, err := exec(ctx, tx, propose, append(layout.ProposalValues(p), p.Exchange)...)
		if err == nil && n == 0 {
			err = store.NoSample(p.Exchange)
		}
		return err
	})
}

// Proposals implements store.Labels.
func (w labels) Proposals(ctx context.Context, exchanges ...string) ([]core.Proposal, error) {
	const proposed = "SELECT " + layout.ProposalColumns + " FROM proposals WHERE exchange IN (SELECT value FROM json_each(?)) ORDER BY exchange LIMIT ?"
	rows, err := w.s.read.QueryContext(ctx, proposed, layout.Texts{List: &exchanges}, store.MostListed)
	return collect(rows, err, layout.ScanProposal)
}

// Put implements store.Labels.
func (w labels) Put(ctx context.Context, l core.Label) error {
	if err := store.ValidateLabel(l); err != nil {
		return err
	}
	return w.s.change(ctx, func(tx *sql.Tx) error {
		old, err := w.label(ctx, tx, l.Exchange, l.By)
		if err != nil {
			return err
		}
		if old == nil {
			if l.Sample, err = w.sample(ctx, tx, l.Exchange); err != nil {
				return err
			}
		}
		kept, changed := store.Relabel(old, l)
		if !changed {
			return nil
		}
		if err := w.flood(ctx, tx, kept); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, putLabel, layout.LabelValues(kept)...); err != nil {
			return fmt.Errorf("keeping a label: %w", err)
		}
		return note(ctx, tx, store.LabelAction, store.SampleKind, l.Exchange)
	})
}

// sample gives what is known of a sample.
func (w labels) sample(ctx context.Context, tx *sql.Tx, exchange string) (core.Sample, error) {
	rows, err := tx.QueryContext(ctx, anySample, exchange)
	found, err := collect(rows, err, layout.ScanSample)
	if err == nil && len(found) == 0 {
		err = store.NoSample(exchange)
	}
	if err != nil {
		return core.Sample{}, err
	}
	return found[0], nil
}

// label gives what somebody said of a sample, nil for nothing.
func (w labels) label(ctx context.Context, tx *sql.Tx, exchange, by string) (*core.Label, error) {
	rows, err := tx.QueryContext(ctx, selectLabel+"WHERE exchange = ? AND labeller = ?", exchange, by)
	found, err := collect(rows, err, layout.ScanLabel)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// flood refuses a label that is one too many for its day.
func (w labels) flood(ctx context.Context, tx *sql.Tx, l core.Label) error {
	from, to := store.LabelDay(l.At)
	var n int
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM labels WHERE labeller = ? AND labelled >= ? AND labelled < ? AND exchange <> ?",
		l.By, from, to, l.Exchange).Scan(&n)
	if err == nil && n >= store.LabelsADay(l) {
		err = store.TooManyLabels(l)
	}
	return err
}

// Approve implements store.Labels.
func (w labels) Approve(ctx context.Context, exchange, by string, onTask bool, approver string) error {
	return w.s.change(ctx, func(tx *sql.Tx) error {
		old, err := w.label(ctx, tx, exchange, by)
		switch {
		case err != nil:
			return err
		case old == nil:
			return store.NoLabel(exchange, by)
		case old.OnTask != onTask:
			return store.LabelChanged(*old)
		case old.Approved != "":
			return nil
		}
		if _, err := tx.ExecContext(ctx, "UPDATE labels SET approved = ? WHERE exchange = ? AND labeller = ?", approver, exchange, by); err != nil {
			return err
		}
		return note(ctx, tx, store.ApproveAction, store.SampleKind, exchange)
	})
}

// Withdraw implements store.Labels.
func (w labels) Withdraw(ctx context.Context, exchange, by string) error {
	return w.s.change(ctx, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, "DELETE FROM labels WHERE exchange = ? AND labeller = ?", exchange, by)
		switch {
		case err != nil:
			return err
		case n == 0:
			return store.NoLabel(exchange, by)
		}
		return note(ctx, tx, store.WithdrawAction, store.SampleKind, exchange)
	})
}

// List implements store.Labels.
func (w labels) List(ctx context.Context, since time.Time, after store.LabelKey) ([]core.Label, error) {
	rows, err := w.s.read.QueryContext(ctx, selectLabel+"WHERE drawn >= ? AND (exchange, labeller) > (?, ?) ORDER BY exchange, labeller LIMIT ?",
		store.Micros(since), after.Exchange, after.By, store.MostListed)
	return collect(rows, err, layout.ScanLabel)
}

package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

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

// labels implements store.Labels. The queue does not hold the feed: it is no control data.
type labels struct{ s *Store }

const (
	selectLabel = "SELECT " + layout.LabelColumns + " FROM plumbline.labels "
	putLabel    = "INSERT INTO plumbline.labels (" + layout.LabelColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (exchange, labeller) DO UPDATE SET on_task = excluded.on_task, labelled = excluded.labelled,
			approved = excluded.approved, proposal = excluded.proposal, judge = excluded.judge`
	// anySample is what is known of a sample, from the queue or a label: nothing of one that is learnt from.
	anySample = "SELECT * FROM (SELECT " + layout.SampleColumns + " FROM plumbline.samples WHERE exchange = $1 UNION ALL SELECT " + layout.SampleColumns +
		" FROM plumbline.labels WHERE exchange = $1) AS known WHERE NOT EXISTS (SELECT FROM plumbline.lessons WHERE exchange = $1) LIMIT 1"
)

// Draw implements store.Labels. It is one statement: all of them come, or none.
func (w labels) Draw(ctx context.Context, samples ...core.Sample) error {
	var exchanges, tasks, texts, models []string
	var drawn, places []int64
	var scores []float64
	for _, s := range samples {
		if err := store.ValidateSample(s); err != nil {
			return err
		}
		exchanges, tasks, texts, models = append(exchanges, s.Exchange), append(tasks, s.Task), append(texts, s.Text), append(models, s.Model)
		drawn, places, scores = append(drawn, store.Micros(s.Drawn)), append(places, s.Place), append(scores, s.Score)
	}
	if len(samples) == 0 {
		return nil
	}
	_, err := w.s.exec(ctx, "INSERT INTO plumbline.samples ("+layout.SampleColumns+`) SELECT * FROM
		unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::bigint[]) AS drawn (exchange)
		WHERE NOT EXISTS (SELECT FROM plumbline.lessons AS l WHERE l.exchange = drawn.exchange) ON CONFLICT DO NOTHING`,
		exchanges, drawn, tasks, texts, models, scores, places)
	if err != nil {
		return fmt.Errorf("queueing samples: %w", err)
	}
	return nil
}

// Queue implements store.Labels.
func (w labels) Queue(ctx context.Context, q store.QueueQuery) ([]core.Sample, error) {
	return query(ctx, w.s, layout.ScanSample, "SELECT "+layout.SampleColumns+` FROM plumbline.samples s WHERE place > $1 AND ($2 = '' OR model = $2)
		AND ($3 = '' OR NOT EXISTS (SELECT 1 FROM plumbline.labels l WHERE l.exchange = s.exchange AND (l.labeller = $3 OR l.approved <> '')))
		ORDER BY place LIMIT $4`, q.After, storableText(q.Model), storableText(q.By), q.Size())
}

// Expire implements store.Labels. It is one statement: a proposal goes with its sample. One that came in meanwhile has none any
// more, and goes by its own time.
func (w labels) Expire(ctx context.Context, before time.Time) (int64, error) {
	return w.s.exec(ctx, `WITH proposed AS (DELETE FROM plumbline.proposals WHERE made < $1 OR exchange IN (SELECT exchange FROM plumbline.samples WHERE drawn < $1))
		DELETE FROM plumbline.samples WHERE drawn < $1`, store.Micros(before))
}

// Propose implements store.Labels.
func (w labels) Propose(ctx context.Context, p core.Proposal) error {
	if err := store.ValidateProposal(p); err != nil {
		return err
	}
	n, err := w.s.exec(ctx, "INSERT INTO plumbline.proposals ("+layout.ProposalColumns+`)
		SELECT $1::text, $2::text, $3::text, $4::bytea, $5::bigint FROM plumbline.samples WHERE exchange = $1 FOR KEY SHARE
		ON CONFLICT (exchange) DO UPDATE SET judge = excluded.judge, verdict = excluded.verdict, rationale = excluded.rationale, made = excluded.made`,
		layout.ProposalValues(p)...)
	switch {
	case err != nil:
		return fmt.Errorf("keeping a proposal: %w", err)
	case n == 0:
		return store.NoSample(p.Exchange)
	}
	return nil
}

// Proposals implements store.Labels.
func (w labels) Proposals(ctx context.Context, exchanges ...string) ([]core.Proposal, error) {
	asked := make([]string, len(exchanges))
	for i, x := range exchanges {
		asked[i] = storableText(x)
	}
	return query(ctx, w.s, layout.ScanProposal, "SELECT "+layout.ProposalColumns+" FROM plumbline.proposals WHERE exchange = ANY($1) ORDER BY exchange LIMIT $2",
		asked, store.MostListed)
}

// Put implements store.Labels.
func (w labels) Put(ctx context.Context, l core.Label) error {
	if err := store.ValidateLabel(l); err != nil {
		return err
	}
	return w.s.change(ctx, func(ctx context.Context, c *change) error {
		old, err := label(ctx, c.tx, l.Exchange, l.By)
		if err != nil {
			return err
		}
		if old == nil {
			if l.Sample, err = sample(ctx, c.tx, l.Exchange); err != nil {
				return err
			}
		}
		kept, changed := store.Relabel(old, l)
		if !changed {
			return nil
		}
		if err := flood(ctx, c.tx, kept); err != nil {
			return err
		}
		if _, err := c.tx.Exec(ctx, putLabel, layout.LabelValues(kept)...); err != nil {
			return fmt.Errorf("keeping a label: %w", err)
		}
		c.note(store.Actor(ctx), store.LabelAction, store.SampleKind, l.Exchange)
		return nil
	})
}

// sample gives what is known of a sample.
func sample(ctx context.Context, tx pgx.Tx, exchange string) (core.Sample, error) {
	rows, err := tx.Query(ctx, anySample, exchange)
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
func label(ctx context.Context, tx pgx.Tx, exchange, by string) (*core.Label, error) {
	rows, err := tx.Query(ctx, selectLabel+"WHERE exchange = $1 AND labeller = $2", exchange, by)
	found, err := collect(rows, err, layout.ScanLabel)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// flood refuses a label that is one too many for its day.
func flood(ctx context.Context, tx pgx.Tx, l core.Label) error {
	from, to := store.LabelDay(l.At)
	var n int
	err := tx.QueryRow(ctx, "SELECT count(*) FROM plumbline.labels WHERE labeller = $1 AND labelled >= $2 AND labelled < $3 AND exchange <> $4",
		l.By, from, to, l.Exchange).Scan(&n)
	if err == nil && n >= store.LabelsADay(l) {
		err = store.TooManyLabels(l)
	}
	return err
}

// Approve implements store.Labels.
func (w labels) Approve(ctx context.Context, exchange, by string, onTask bool, approver string) error {
	if !store.Storable(exchange, by) {
		return store.NoLabel(exchange, by)
	}
	return w.s.change(ctx, func(ctx context.Context, c *change) error {
		old, err := label(ctx, c.tx, exchange, by)
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
		_, err = c.tx.Exec(ctx, "UPDATE plumbline.labels SET approved = $1 WHERE exchange = $2 AND labeller = $3", storableText(approver), exchange, by)
		if err != nil {
			return fmt.Errorf("approving a label: %w", err)
		}
		c.note(store.Actor(ctx), store.ApproveAction, store.SampleKind, exchange)
		return nil
	})
}

// Withdraw implements store.Labels.
func (w labels) Withdraw(ctx context.Context, exchange, by string) error {
	if !store.Storable(exchange, by) {
		return store.NoLabel(exchange, by)
	}
	return w.s.change(ctx, func(ctx context.Context, c *change) error {
		tag, err := c.tx.Exec(ctx, "DELETE FROM plumbline.labels WHERE exchange = $1 AND labeller = $2", exchange, by)
		switch {
		case err != nil:
			return fmt.Errorf("taking a label back: %w", err)
		case tag.RowsAffected() == 0:
			return store.NoLabel(exchange, by)
		}
		c.note(store.Actor(ctx), store.WithdrawAction, store.SampleKind, exchange)
		return nil
	})
}

// List implements store.Labels.
func (w labels) List(ctx context.Context, since time.Time, after store.LabelKey) ([]core.Label, error) {
	if !store.Storable(after.Exchange, after.By) {
		return nil, &store.ObjectError{Kind: store.SampleKind, ID: after.Exchange, Detail: "it is no label to go on after", Err: store.ErrInvalid}
	}
	return query(ctx, w.s, layout.ScanLabel, selectLabel+"WHERE drawn >= $1 AND (exchange, labeller) > ($2, $3) ORDER BY exchange, labeller LIMIT $4",
		store.Micros(since), after.Exchange, after.By, store.MostListed)
}

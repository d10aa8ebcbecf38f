package audit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Recover closes the exchanges that earlier processes left open: for each of their intents without an outcome it appends
// one that ended FinishCrashed and is settled at what was reserved, the most that can have been used. It returns how many
// there were. It is called once at the start, before traffic and before Charges; running it again finds nothing.
func (l *Log) Recover(ctx context.Context) (int, error) {
	open, err := l.openIntents(ctx)
	if err != nil {
		return 0, fmt.Errorf("audit: looking for open exchanges: %w", err)
	}
	n := 0
	for chunk := range slices.Chunk(open, maxBatch) {
		if err := l.closeCrashed(ctx, chunk); err != nil {
			return n, fmt.Errorf("audit: closing open exchanges: %w", err)
		}
		n += len(chunk)
	}
	err = l.do(ctx, func() error {
		_, err := l.conn.ExecContext(context.WithoutCancel(ctx), "UPDATE state SET value = ? WHERE name = 'recovered'", l.writer.inherited)
		return err
	})
	if err != nil {
		return n, fmt.Errorf("audit: noting what was closed: %w", err)
	}
	return n, nil
}

// closeCrashed appends the outcomes of intents, in one commit.
func (l *Log) closeCrashed(ctx context.Context, intents []core.Record) error {
	var outcomes []*pending
	for _, intent := range intents {
		p := &pending{done: make(chan error, 1)}
		var err error
		if p.row, err = encode(crashed(intent, l.o.Now())); err != nil {
			return err
		}
		outcomes = append(outcomes, p)
	}
	if err := l.enqueue(outcomes...); err != nil {
		return err
	}
	for _, p := range outcomes {
		select {
		case err := <-p.done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// openIntents reads only what was written since the last Recover: everything before has its outcome. All of it is indexed.
func (l *Log) openIntents(ctx context.Context) ([]core.Record, error) {
	const query = `SELECT record FROM entries AS i
		WHERE i.id > (SELECT value FROM state WHERE name = 'recovered') AND i.id <= ? AND i.kind = 'intent'
		AND NOT EXISTS (SELECT 1 FROM by_exchange AS o WHERE o.exchange = i.exchange AND o.kind = 'outcome')
		ORDER BY i.id`
	rows, err := l.side.QueryContext(ctx, query, l.writer.inherited)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var open []core.Record
	for rows.Next() {
		var canonical []byte
		if err := rows.Scan(&canonical); err != nil {
			return nil, err
		}
		rec, err := Decode(canonical)
		if err != nil {
			return nil, err
		}
		open = append(open, rec)
	}
	return open, rows.Err()
}

// crashed is the outcome of an exchange whose process died.
func crashed(intent core.Record, now time.Time) core.Record {
	out := core.Record{
		Kind:          core.RecordOutcome,
		Time:          now,
		Exchange:      intent.Exchange,
		Trace:         intent.Trace,
		Principal:     intent.Principal,
		Source:        intent.Source,
		Endpoint:      intent.Endpoint,
		Model:         intent.Model,
		PolicyVersion: intent.PolicyVersion,
		PriceVersion:  intent.PriceVersion,
		Finish:        core.FinishCrashed,
		Reason:        core.ReasonNone,
		Settled:       intent.Reserved,
		Fallback:      intent.Fallback,
	}
	if held := intent.Reserved; held != nil {
		out.Usage = &core.Usage{InputTokens: held.InputTokens, OutputTokens: held.OutputTokens, Estimated: true}
	}
	return out
}

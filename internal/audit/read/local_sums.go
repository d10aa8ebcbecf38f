package read

import (
	"context"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/core"
)

// maxSummed is how many records a Local sums at most: it has no sums and reads them, which takes some ten seconds for so
// many.
const maxSummed = 1_000_000

// ErrTooMany is returned for sums over more records than a Local reads.
var ErrTooMany = fmt.Errorf("audit: there are more than %d records in that time, which a single process reads one by one: ask for less time, "+
	"or keep records in Postgres, which has sums", maxSummed)

// Sum implements Reader. It reads the records of the time that is asked for.
func (l Local) Sum(ctx context.Context, q SumQuery) ([]Row, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	from, to := q.Hours()
	s := summing{all: ship.Rollup{}, open: map[string]*core.Record{}}
	span := audit.Query{Since: time.UnixMicro(from), Until: time.UnixMicro(to)}
	err := l.Walk(ctx, span, func(raw audit.Raw) error {
		if s.read++; s.read > maxSummed {
			return ErrTooMany
		}
		return s.add(ctx, l, &raw)
	})
	if err != nil {
		return nil, err
	}
	return q.Collect(s.all), nil
}

// summing is one Sum.
type summing struct {
	read int
	all  ship.Rollup
	open map[string]*core.Record // intents whose outcome was not met yet, by exchange
}

func (s *summing) add(ctx context.Context, l Local, raw *audit.Raw) error {
	if raw.Kind == core.RecordAdmin || raw.Kind == core.RecordRefusals {
		return nil
	}
	rec, err := audit.Decode(raw.Canonical)
	if err != nil {
		return fmt.Errorf("number %d of writer %s: %w", raw.Seq, raw.Writer, err)
	}
	e := audit.Shipment{Entry: audit.Entry{Record: rec}}
	switch rec.Kind {
	case core.RecordIntent:
		// Of the record only what the sums of its outcome need.
		s.open[rec.Exchange] = &core.Record{Kind: rec.Kind, Intent: rec.Intent, Verdict: rec.Verdict}
	case core.RecordOutcome:
		if e.Opening, err = s.opening(ctx, l, rec.Exchange); err != nil {
			return err
		}
	case core.RecordDeny, core.RecordAdmin, core.RecordRefusals:
	}
	s.all.Add(&e)
	return nil
}

// opening is the intent of an exchange, which may have begun before the time that is summed.
func (s *summing) opening(ctx context.Context, l Local, exchange string) (*core.Record, error) {
	if opening := s.open[exchange]; opening != nil {
		delete(s.open, exchange)
		return opening, nil
	}
	found, _, err := l.Search(ctx, audit.Query{Exchange: exchange, Kind: core.RecordIntent, Limit: 1})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0].Record, nil
}

package read

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// resums bounds how often sums are taken again because a month was dropped meanwhile.
const resums = 3

// Sum implements Reader. It reads the records of the time that is asked for; of months that were dropped, their sums.
func (l Local) Sum(ctx context.Context, q SumQuery) ([]Row, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	for range resums {
		kept, err := l.KeptMonths(ctx)
		if err != nil {
			return nil, err
		}
		from, to := q.Hours()
		all, err := l.sum(ctx, from, to, kept)
		if err != nil {
			return nil, err
		}
		now, err := l.KeptMonths(ctx)
		if err != nil {
			return nil, err
		}
		if slices.Equal(kept, now) {
			return q.Collect(all), nil
		}
	}
	return nil, errDropping
}

// errDropping is nothing that lasts: months are dropped seldom.
var errDropping = errors.New("audit: months of the audit are being dropped: ask for the sums again in a minute")

func (l Local) sum(ctx context.Context, from, to int64, kept []audit.KeptMonth) (ship.Rollup, error) {
	s := summing{all: ship.Rollup{}, open: map[string]*core.Record{}, kept: kept}
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
	return s.all, l.KeptSums(ctx, from, to, s.all.Kept)
}

// SumDay gives the sums of what was recorded in a day, as they are kept when its month is dropped.
func (l Local) SumDay(ctx context.Context, day time.Time) (hours map[int64][]byte, err error) {
	s := summing{all: ship.Rollup{}, open: map[string]*core.Record{}}
	err = l.Walk(ctx, audit.Query{Since: day, Until: day.AddDate(0, 0, 1)}, func(raw audit.Raw) error { return s.add(ctx, l, &raw) })
	if err != nil {
		return nil, err
	}
	return s.all.Keep()
}

// summing is one Sum.
type summing struct {
	read int
	all  ship.Rollup
	open map[string]*core.Record // intents whose outcome was not met yet, by exchange
	kept []audit.KeptMonth       // whose sums are there
}

func (s *summing) add(ctx context.Context, l Local, raw *audit.Raw) error {
	if raw.Kind == core.RecordAdmin || raw.Kind == core.RecordRefusals {
		return nil
	}
	rec, err := audit.Decode(raw.Canonical)
	if err != nil {
		return fmt.Errorf("number %d of writer %s: %w", raw.Seq, raw.Writer, err)
	}
	if s.stands(rec.Time) {
		return nil
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

// stands reports whether kept sums stand for a record of that time, which is yet to be deleted.
func (s *summing) stands(at time.Time) bool {
	for i := range s.kept {
		if begin, end := s.kept[i].Span(); !s.kept[i].Done && !at.Before(begin) && at.Before(end) {
			return true
		}
	}
	return false
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

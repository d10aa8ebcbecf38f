package ship

import (
	"context"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
)

// tend lets go of what was shipped long enough ago, and counts what is missing at the store.
func (s *Shipper) tend(ctx context.Context, now time.Time) error {
	if due(&s.times.released, now, releaseEvery) {
		if _, err := s.o.Source.Release(ctx, s.releasable(now), now.Add(-s.owed())); err != nil {
			return err
		}
	}
	if due(&s.times.counted, now, countEvery) {
		s.count(ctx)
	}
	return nil
}

// count notes how much is missing at the store. That it could not be counted is no reason not to ship.
func (s *Shipper) count(ctx context.Context) {
	missing, err := s.o.Destination.Missing(ctx)
	if err != nil {
		if !s.blind {
			s.o.Log.Warn("what is missing at the audit's store cannot be counted now; it is tried again", "error", err)
		}
		s.blind = true
		return
	}
	s.blind = false
	if missing > s.missing.Swap(missing) {
		s.o.Log.Error("audit records are missing at the store; `plumbline audit verify` names the first", "records", missing)
	}
}

// releasable is the position up to which entries were shipped long enough ago.
func (s *Shipper) releasable(now time.Time) audit.Position {
	after := releaseAfter
	if s.filled() >= half {
		after = releaseSoon
	}
	var upTo audit.Position
	n := 0
	for ; n < len(s.marks) && now.Sub(s.marks[n].at) >= after; n++ {
		upTo = s.marks[n].upTo
	}
	if n > 0 {
		s.marks = append(s.marks[:0:0], s.marks[n-1:]...) // the last of them stays, for a hold that moves on
	}
	if s.o.Hold != nil {
		upTo = min(upTo, s.o.Hold())
	}
	return upTo
}

// Hundredths of the spool's bound from which less is kept of what was shipped.
const half, threeQuarters = 50, 75

// filled is how full the spool is, in hundredths of its bound.
func (s *Shipper) filled() int64 {
	bound := s.bound.Load()
	if bound == 0 {
		return 0
	}
	return s.bytes.Load() * 100 / bound
}

// owed is how long charges are kept. A spool that fills keeps fewer days of them: a ledger that has lost all it knew then
// starts the longer windows lower than they were, and calls go on.
func (s *Shipper) owed() time.Duration {
	switch filled := s.filled(); {
	case filled >= threeQuarters:
		return min(s.o.Owed, 2*time.Hour)
	case filled >= half:
		return min(s.o.Owed, 25*time.Hour)
	}
	return s.o.Owed
}

// look notes how the spool is.
func (s *Shipper) look(ctx context.Context) {
	spool, err := s.o.Source.Spool(ctx)
	if err != nil {
		return // the log's own health says why
	}
	s.records.Store(spool.Records)
	s.bytes.Store(spool.Bytes)
	s.bound.Store(spool.Bound)
	at := int64(0)
	if !spool.Oldest.IsZero() {
		at = spool.Oldest.UnixMicro()
	}
	s.oldest.Store(at)
}

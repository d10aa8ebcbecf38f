package ship

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
)

const (
	// batchSize is how many entries one transaction of the store takes.
	batchSize = 2048
	// idle is how long a shipper waits after it has shipped all, and how old an entry may so become.
	idle = 250 * time.Millisecond
	// firstPause and longestPause bound the wait after a failure, which doubles from one to the other.
	firstPause, longestPause = 250 * time.Millisecond, 15 * time.Second
	// longestAwaited is the same where calls wait for what is shipped.
	longestAwaited = time.Second
	// prepareEvery is how often the store is readied for the time to come, and what is missing there counted.
	prepareEvery, countEvery = time.Hour, 10 * time.Second
	// releaseEvery is how often entries are let go of here that were shipped before releaseAfter: until then a step of an
	// exchange that is recorded again is known, and a ledger can ask how an exchange ended.
	releaseEvery, releaseAfter = 10 * time.Second, 10 * time.Minute
	// releaseSoon is the same for a spool that is half full: longer than any step is tried again.
	releaseSoon = time.Minute
)

// Options are what a shipper is made of. Source and Destination are required.
type Options struct {
	Source      Source
	Destination Destination
	// Hold, if set, gives the position that Release must not go beyond, since a reader here is not further yet.
	Hold func() audit.Position
	// Wake, if set, gives a token when something waits to be shipped at once.
	Wake <-chan struct{}
	// Told, if set, is told after each attempt how it went, and failures are then tried again within a second: calls wait.
	Told func(error)
	// Owed is how long charges are kept here after they were admitted.
	Owed time.Duration
	Now  func() time.Time // time.Now if nil
	Log  *slog.Logger     // discards if nil
}

// Shipper moves a spool. Run is called once; the counts are safe for concurrent use.
type Shipper struct {
	o     Options
	marks []mark // what was shipped when, the oldest first
	times struct{ prepared, counted, released time.Time }
	shipped, deadLetters, conflicts, missing,
	records, oldest, bytes, bound atomic.Int64
}

// mark says that what is up to a position was shipped by a time.
type mark struct {
	at   time.Time
	upTo audit.Position
}

// New makes a shipper. It does nothing before Run.
func New(o Options) *Shipper {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Shipper{o: o}
}

// Counts are what a shipper has done since its start, and how the spool is.
type Counts struct {
	// Shipped entries the store has, from this shipper or before. DeadLetters were refused; Conflicts among them are other
	// records than those that the store has under their writer and number, which is a sign of tampering or of a copied log.
	Shipped, DeadLetters, Conflicts int64
	// Missing is how many the store lacks although it has later ones, of all writers.
	Missing int64
	// Records wait in the spool; Oldest is when the first of them happened, zero when there is none.
	Records int64
	Oldest  time.Time
	// Bytes is the room that the spool takes, and Bound how much it may; Bound is zero without one.
	Bytes, Bound int64
}

// Counts gives the counts.
func (s *Shipper) Counts() Counts {
	c := Counts{
		Shipped: s.shipped.Load(), DeadLetters: s.deadLetters.Load(), Conflicts: s.conflicts.Load(),
		Missing: s.missing.Load(), Records: s.records.Load(), Bytes: s.bytes.Load(), Bound: s.bound.Load(),
	}
	if at := s.oldest.Load(); at != 0 {
		c.Oldest = time.UnixMicro(at).UTC()
	}
	return c
}

// Run ships until ctx ends, and returns its error.
func (s *Shipper) Run(ctx context.Context) error {
	for pause := time.Duration(0); ; {
		n, err := s.step(ctx)
		s.look(ctx)
		if s.o.Told != nil && ctx.Err() == nil {
			s.o.Told(err)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			if pause == 0 {
				s.o.Log.Warn("the audit is not shipped now; it is kept here and tried again", "error", err)
			}
			pause = min(max(2*pause, firstPause), s.longest())
		case n == batchSize:
			pause = 0
			continue
		default:
			if pause > 0 {
				s.o.Log.Info("the audit is shipped again")
			}
			pause = 0
		}
		if err := s.rest(ctx, pause); err != nil {
			return err
		}
	}
}

func (s *Shipper) longest() time.Duration {
	if s.o.Told != nil {
		return longestAwaited
	}
	return longestPause
}

// rest waits until it is time for the next batch. After a failure nothing wakes it: the store is not to be asked more often.
func (s *Shipper) rest(ctx context.Context, pause time.Duration) error {
	wake := s.o.Wake
	if pause > 0 {
		wake = nil
	}
	timer := time.NewTimer(max(idle, jitter(pause)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-timer.C:
	}
	return nil
}

// Drain ships all that is in the spool now, or returns why it could not.
func (s *Shipper) Drain(ctx context.Context) error {
	for {
		n, err := s.step(ctx)
		if err != nil || n == 0 {
			s.look(ctx)
			return err
		}
	}
}

// step ships the next batch and gives how many entries it had. From time to time it does what else is due.
func (s *Shipper) step(ctx context.Context) (int, error) {
	now := s.o.Now()
	if due(&s.times.prepared, now, prepareEvery) {
		if err := s.o.Destination.Prepare(ctx, now); err != nil {
			s.times.prepared = time.Time{}
			return 0, err
		}
	}
	batch, err := s.o.Source.Unshipped(ctx, batchSize)
	if err != nil {
		return 0, err
	}
	if len(batch) > 0 {
		if err := s.ship(ctx, batch); err != nil {
			return 0, err
		}
		last := batch[len(batch)-1].Position
		if err := s.o.Source.Shipped(ctx, last); err != nil {
			return 0, err
		}
		s.marks = append(s.marks, mark{now, last})
	}
	return len(batch), s.tend(ctx, now)
}

// ship stores a batch. Where the store refuses it, each half is tried, down to the one entry that is at fault: that one goes
// to the dead letters.
func (s *Shipper) ship(ctx context.Context, batch []audit.Shipment) error {
	for i := range batch {
		if batch[i].Fault != "" {
			return s.around(ctx, batch, i, batch[i].Fault)
		}
	}
	stored, err := s.o.Destination.Store(ctx, batch)
	switch {
	case err == nil:
		s.shipped.Add(int64(stored.New + stored.Known))
		if stored.Conflicts > 0 {
			s.conflicts.Add(int64(stored.Conflicts))
			s.deadLetters.Add(int64(stored.Conflicts))
			s.o.Log.Error("the audit's store has other records under the same writers and numbers: they were changed there, or two processes ship copies of one log; those from here are in the dead letters",
				"records", stored.Conflicts, "from", int64(batch[0].Position), "to", int64(batch[len(batch)-1].Position))
		}
		return nil
	case !errors.Is(err, ErrRefused):
		return err
	case len(batch) == 1:
		return s.bury(ctx, batch[0], err.Error())
	}
	half := len(batch) / 2
	if err := s.ship(ctx, batch[:half]); err != nil {
		return err
	}
	return s.ship(ctx, batch[half:])
}

// around ships a batch but for the one entry that is known to be bad, and buries that.
func (s *Shipper) around(ctx context.Context, batch []audit.Shipment, bad int, why string) error {
	if bad > 0 {
		if err := s.ship(ctx, batch[:bad]); err != nil {
			return err
		}
	}
	if err := s.bury(ctx, batch[bad], why); err != nil {
		return err
	}
	if bad+1 == len(batch) {
		return nil
	}
	return s.ship(ctx, batch[bad+1:])
}

func (s *Shipper) bury(ctx context.Context, e audit.Shipment, why string) error {
	if err := s.o.Destination.Bury(ctx, e, why); err != nil {
		return fmt.Errorf("burying record %d of writer %s: %w", e.Seq, e.Writer, err)
	}
	s.deadLetters.Add(1)
	s.o.Log.Error("an audit record could not be stored and is in the dead letters", "writer", e.Writer, "number", e.Seq, "why", why)
	return nil
}

// tend lets go of what was shipped long enough ago, and counts what is missing at the store.
func (s *Shipper) tend(ctx context.Context, now time.Time) error {
	if due(&s.times.released, now, releaseEvery) {
		if _, err := s.o.Source.Release(ctx, s.releasable(now), now.Add(-s.owed())); err != nil {
			return err
		}
	}
	if due(&s.times.counted, now, countEvery) {
		missing, err := s.o.Destination.Missing(ctx)
		if err != nil {
			s.times.counted = time.Time{}
			return err
		}
		if missing > s.missing.Swap(missing) {
			s.o.Log.Error("audit records are missing at the store; `plumbline audit verify` names the first", "records", missing)
		}
	}
	return nil
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

// due reports whether so much time has passed since the last time, and notes this one.
func due(last *time.Time, now time.Time, every time.Duration) bool {
	if !last.IsZero() && now.Sub(*last) < every && !now.Before(*last) {
		return false
	}
	*last = now
	return true
}

// jitter is between half of d and all of it, so that processes do not come back at once.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1) //nolint:gosec // nobody gains from guessing it
}

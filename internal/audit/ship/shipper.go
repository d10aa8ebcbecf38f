package ship

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/wait"
)

const (
	// batchSize is how many entries one transaction of the store takes.
	batchSize = 2048
	// idle is how long a shipper waits after it has shipped all, and how old an entry may so become.
	idle = 250 * time.Millisecond
	// prepareEvery is how often the store is readied for the time to come, and what is missing there counted.
	prepareEvery, countEvery = time.Hour, 10 * time.Second
	// releaseEvery is how often entries are let go of here that were shipped before releaseAfter: until then a step of an
	// exchange that is recorded again is known, and a ledger can ask how an exchange ended.
	releaseEvery, releaseAfter = 10 * time.Second, 10 * time.Minute
	// lookEvery is how old the figures on the spool may become.
	lookEvery = time.Second
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
	ahead chan read // takes the batch that is read while the one before it is stored; nil when none is
	well  bool      // the last step was done
	marks []mark    // what was shipped when, the oldest first
	times struct{ prepared, counted, released time.Time }
	blind bool // what is missing could not be counted
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
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { s.watch(ctx) })
	for pause := time.Duration(0); ; {
		batch, err := s.step(ctx)
		s.look(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.o.Told != nil {
			s.o.Told(err)
		}
		pause = s.pauseAfter(err, pause)
		switch {
		case pause > 0:
			err = s.again(ctx, pause)
		case !full(batch):
			err = s.rest(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// watch looks at the spool every second, also while the store does not answer.
func (s *Shipper) watch(ctx context.Context) {
	for wait.For(ctx, lookEvery) == nil {
		s.look(ctx)
	}
}

// rest waits, after all was shipped, until something may be there again.
func (s *Shipper) rest(ctx context.Context) error {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.o.Wake:
	case <-timer.C:
	}
	return nil
}

// Drain ships all that is in the spool now, or returns why it could not.
func (s *Shipper) Drain(ctx context.Context) error {
	for {
		batch, err := s.step(ctx)
		if err != nil || len(batch) == 0 {
			s.look(ctx)
			return err
		}
	}
}

// step ships the next batch and gives it. From time to time it does what else is due.
func (s *Shipper) step(ctx context.Context) (batch []audit.Shipment, err error) {
	defer func() {
		if s.well = err == nil; !s.well {
			s.forget()
		}
	}()
	now := s.o.Now()
	if due(&s.times.prepared, now, prepareEvery) {
		if err := s.o.Destination.Prepare(ctx, now); err != nil {
			s.times.prepared = time.Time{}
			return nil, err
		}
	}
	if batch, err = s.next(ctx); err != nil {
		return nil, err
	}
	if len(batch) > 0 {
		if err := s.move(ctx, batch, now); err != nil {
			return nil, err
		}
	}
	return batch, s.tend(ctx, now)
}

// move stores a batch, and tells the source when it is.
func (s *Shipper) move(ctx context.Context, batch []audit.Shipment, now time.Time) error {
	last := batch[len(batch)-1].Position
	if full(batch) && s.well { // a store that is away is not worth the reading
		s.readAhead(ctx, last)
	}
	if err := s.ship(ctx, batch); err != nil {
		return err
	}
	if err := s.o.Source.Shipped(ctx, last); err != nil {
		return err
	}
	s.marks = append(s.marks, mark{now, last})
	return nil
}

// read is what reading a batch gave.
type read struct {
	batch []audit.Shipment
	err   error
}

// readAhead begins to read the batch after a position: the store's server works on one batch while this process works on
// the next. One is stored at a time, so that numbers come there in order and none is missing for a moment.
func (s *Shipper) readAhead(ctx context.Context, after audit.Position) {
	ahead := make(chan read, 1)
	s.ahead = ahead
	go func() {
		batch, err := s.o.Source.Unshipped(ctx, after, batchSize)
		ahead <- read{batch, err}
	}()
}

// next gives the next batch: the one that was read ahead, if there is one.
func (s *Shipper) next(ctx context.Context) ([]audit.Shipment, error) {
	if s.ahead == nil {
		return s.o.Source.Unshipped(ctx, 0, batchSize)
	}
	r := <-s.ahead
	s.ahead = nil
	return r.batch, r.err
}

// forget waits for what is read ahead and drops it.
func (s *Shipper) forget() {
	if s.ahead != nil {
		<-s.ahead
		s.ahead = nil
	}
}

// full reports whether a batch ended because it was large enough, so that more entries may follow it.
func full(batch []audit.Shipment) bool {
	size := 0
	for i := range batch {
		size += len(batch[i].Canonical)
	}
	return len(batch) == batchSize || size >= audit.ShipmentBytes
}

// due reports whether so much time has passed since the last time, and notes this one.
func due(last *time.Time, now time.Time, every time.Duration) bool {
	if !last.IsZero() && now.Sub(*last) < every && !now.Before(*last) {
		return false
	}
	*last = now
	return true
}

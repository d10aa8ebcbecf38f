package ship_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
)

// spool is a source of so many entries, of one writer.
type spool struct {
	mu       sync.Mutex
	entries  []audit.Shipment
	shipped  audit.Position
	released audit.Position
	reads    int
}

func newSpool(n int) *spool {
	s := new(spool)
	for i := range n {
		s.entries = append(s.entries, audit.Shipment{Entry: audit.Entry{Position: audit.Position(i + 1), Writer: "w", Seq: uint64(i + 1)}})
	}
	return s
}

func (s *spool) Unshipped(_ context.Context, after audit.Position, limit int) ([]audit.Shipment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	rest := s.entries[max(after, s.shipped):]
	return rest[:min(limit, len(rest))], nil
}

func (s *spool) Shipped(_ context.Context, upTo audit.Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shipped = upTo
	return nil
}

// far is up to where it was shipped and released.
func (s *spool) far() (shipped, released audit.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shipped, s.released
}

func (s *spool) Release(_ context.Context, upTo audit.Position, _ time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released = max(s.released, upTo)
	return 0, nil
}

func (s *spool) Spool(context.Context) (audit.Spool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return audit.Spool{Records: int64(len(s.entries)) - int64(s.shipped)}, nil
}

// shelf is a destination that refuses some numbers, and fails while away. It may be there and take nothing, as full disks do.
type shelf struct {
	mu             sync.Mutex
	stored, buried []uint64
	calls, asked   int
	refuses        func(seq uint64) bool
	away, blind    error
	full           error
	silent         bool          // it does not even say that it is away
	starts         func()        // has the shipper run
	hangs          chan struct{} // a call waits for it, if it is set
}

func (d *shelf) Usable(ctx context.Context) error {
	d.mu.Lock()
	d.asked++
	silent, away := d.silent, d.away
	d.mu.Unlock()
	if silent {
		<-ctx.Done()
	}
	return away
}

// set changes what it does, while it may be used.
func (d *shelf) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// seen is how many batches and questions it had.
func (d *shelf) seen() (batches, questions int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls, d.asked
}

func (d *shelf) Prepare(context.Context, time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.away
}

func (d *shelf) Store(_ context.Context, batch []audit.Shipment) (ship.Stored, error) {
	d.mu.Lock()
	d.calls++
	hangs := d.hangs
	d.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := errors.Join(d.away, d.full); err != nil {
		return ship.Stored{}, err
	}
	for i := range batch {
		if d.refuses != nil && d.refuses(batch[i].Seq) || batch[i].Fault != "" {
			return ship.Stored{}, fmt.Errorf("no: %w", ship.ErrRefused)
		}
	}
	for i := range batch {
		d.stored = append(d.stored, batch[i].Seq)
	}
	return ship.Stored{New: len(batch)}, nil
}

func (d *shelf) Bury(_ context.Context, e audit.Shipment, _ string) error {
	d.buried = append(d.buried, e.Seq)
	return d.away
}

func (d *shelf) Missing(context.Context) (int64, error) { return 0, d.blind }

// TestOneBadEntryStopsNoOther: what is refused is found by halves, and faults are known before they are sent.
func TestOneBadEntryStopsNoOther(t *testing.T) {
	const n = 3000
	bad := func(seq uint64) bool { return seq%1000 == 7 }
	source, d := newSpool(n), &shelf{refuses: bad, blind: errors.New("may not count")}
	source.entries[0].Fault, source.entries[1].Fault, source.entries[n-1].Fault = "broken", "broken", "broken"
	s := ship.New(ship.Options{Source: source, Destination: d})
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(d.buried)
	if want := []uint64{1, 2, 7, 1007, 2007, n}; !slices.Equal(d.buried, want) || len(d.stored) != n-len(want) || !slices.IsSorted(d.stored) {
		t.Errorf("buried %v, want %v; %d stored", d.buried, want, len(d.stored))
	}
	if d.calls > 100 {
		t.Errorf("%d calls for 3 bad entries", d.calls)
	}
	if c := s.Counts(); c.DeadLetters != 6 || c.Shipped != n-6 || c.Records != 0 {
		t.Errorf("%+v", c)
	}
}

// TestTheNextBatchIsReadMeanwhile: the source is not waited for when the store has done. What is read ahead is not lost, and
// not shipped twice, when the store fails.
func TestTheNextBatchIsReadMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 6000
		source, d := newSpool(n), &shelf{}
		s := ship.New(ship.Options{Source: source, Destination: d})
		source.entries = nil
		if err := s.Drain(t.Context()); err != nil { // all goes well
			t.Fatal(err)
		}
		source.entries, source.reads, d.hangs = newSpool(n).entries, 0, make(chan struct{})
		ended := make(chan error, 1)
		go func() { ended <- s.Drain(t.Context()) }()
		synctest.Wait()
		if source.reads != 2 {
			t.Errorf("%d reads while the first batch is stored", source.reads)
		}
		d.hangs <- struct{}{}
		synctest.Wait() // the second batch is on its way
		d.away = errors.New("away")
		d.hangs <- struct{}{}
		if err := <-ended; !errors.Is(err, d.away) {
			t.Fatal(err)
		}
		d.away, d.hangs = nil, nil
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(d.stored) != n || !slices.IsSorted(d.stored) || d.stored[0] != 1 || d.stored[n-1] != n {
			t.Errorf("%d stored of %d", len(d.stored), n)
		}
	})
}

// TestABatchCutBySizeIsFollowedAtOnce: that it holds few entries does not mean that there are no more.
func TestABatchCutBySizeIsFollowedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, d := newSpool(20), &shelf{}
		for i := range source.entries {
			source.entries[i].Canonical = make([]byte, audit.ShipmentBytes/2)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- ship.New(ship.Options{Source: largeOnly{source}, Destination: d}).Run(ctx) }()
		synctest.Wait()
		if len(d.stored) != 20 || time.Since(began) > 0 {
			t.Errorf("%d stored after %v", len(d.stored), time.Since(began))
		}
		stop()
		<-ended
	})
}

// largeOnly gives as many entries as make a batch by their size.
type largeOnly struct{ *spool }

func (l largeOnly) Unshipped(ctx context.Context, after audit.Position, _ int) ([]audit.Shipment, error) {
	return l.spool.Unshipped(ctx, after, 2)
}

// TestFiguresWhileTheStoreHangs: how much waits is known, and that what is missing cannot be counted stops nothing.
func TestFiguresWhileTheStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, d := newSpool(10), &shelf{hangs: make(chan struct{}), blind: errors.New("may not read")}
		s := ship.New(ship.Options{Source: source, Destination: d})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		<-time.After(1500 * time.Millisecond)
		synctest.Wait()
		if c := s.Counts(); c.Records != 10 || c.Shipped != 0 {
			t.Errorf("%+v", c)
		}
		close(d.hangs)
		<-time.After(500 * time.Millisecond)
		synctest.Wait()
		if c := s.Counts(); c.Records != 0 || c.Shipped != 10 {
			t.Errorf("%+v", c)
		}
		stop()
		<-ended
	})
}

// TestHoldKeepsEntries: what a reader here has not seen is not let go of.
func TestHoldKeepsEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := audit.Position(4)
		source := newSpool(10)
		s := ship.New(ship.Options{Source: source, Destination: &shelf{}, Hold: func() audit.Position { return hold }})
		for _, want := range []audit.Position{0, 4, 9} {
			if err := s.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			if source.released != want {
				t.Errorf("released up to %d, want %d", source.released, want)
			}
			<-time.After(11 * time.Minute)
			if want == 4 {
				hold = 9
			}
		}
	})
}

func FuzzColumn(f *testing.F) {
	for _, s := range []string{"", "ada", "a\x00b", "\xff\xfe", strings.Repeat("ä", 200), strings.Repeat("x", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := ship.Column(s)
		if len(c) > 256 || strings.ToValidUTF8(c, "") != c || strings.Contains(c, "\x00") || ship.Column(c) != c {
			t.Errorf("%q gives %q", s, c)
		}
	})
}

package ship_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
)

// running has a shipper that has shipped ten entries an hour ago run in a bubble of its own, with ten more to ship.
func running(t *testing.T, told func(error), test func(t *testing.T, source *spool, d *shelf)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		source, d := newSpool(10), &shelf{}
		s := ship.New(ship.Options{Source: source, Destination: d, Told: told})
		ctx, stop := context.WithCancel(t.Context())
		<-time.After(time.Hour)
		if err := s.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		source.entries, d.calls = newSpool(20).entries, 0
		ended := make(chan error, 1)
		d.starts = func() { go func() { ended <- s.Run(ctx) }() }
		test(t, source, d)
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestStoreAwayIsAskedUntilItIsBack: with questions, which are cheap, and no more batches; what waits goes at once then.
func TestStoreAwayIsAskedUntilItIsBack(t *testing.T) {
	for name, c := range map[string]struct {
		told        func(error)
		fewest      int // questions in ten minutes
		most        int
		foundWithin time.Duration
	}{
		"nobody waits": {nil, 300, 610, 2 * time.Second},
		"calls wait":   {func(error) {}, 600, 1210, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			running(t, c.told, func(t *testing.T, source *spool, d *shelf) {
				d.away = errors.New("away")
				d.starts()
				<-time.After(10 * time.Minute)
				synctest.Wait()
				batches, questions := d.seen()
				if shipped, _ := source.far(); batches != 1 || questions < c.fewest || questions > c.most || shipped != 10 {
					t.Errorf("%d batches and %d questions in ten minutes, %d shipped", batches, questions, shipped)
				}
				d.set(func() { d.away = nil })
				<-time.After(c.foundWithin)
				synctest.Wait()
				batches, _ = d.seen()
				if shipped, _ := source.far(); batches != 2 || shipped != 20 {
					t.Errorf("%d shipped %v after the store came back, by %d batches", shipped, c.foundWithin, batches-1)
				}
				<-time.After(10 * time.Second)
				synctest.Wait()
				if _, released := source.far(); released != 10 {
					t.Errorf("released up to %d: what was shipped ten minutes ago is 10", released)
				}
			})
		})
	}
}

// TestStoreThatTakesNothingIsGivenTime: one that answers, and fails with what it is sent, is tried with growing pauses.
func TestStoreThatTakesNothingIsGivenTime(t *testing.T) {
	running(t, nil, func(t *testing.T, source *spool, d *shelf) {
		d.full = errors.New("the disk is full")
		d.starts()
		<-time.After(10 * time.Minute)
		synctest.Wait()
		batches, _ := d.seen()
		if shipped, _ := source.far(); batches < 40 || batches > 120 || shipped != 10 {
			t.Errorf("%d attempts in ten minutes, %d shipped", batches, shipped)
		}
		d.set(func() { d.full = nil })
		<-time.After(16 * time.Second)
		synctest.Wait()
		if shipped, _ := source.far(); shipped != 20 {
			t.Errorf("%d shipped when there is room", shipped)
		}
	})
}

// TestQuestionWithoutAnswer: a server whose host is gone does not refuse, and what is asked of it must end by itself.
func TestQuestionWithoutAnswer(t *testing.T) {
	running(t, nil, func(t *testing.T, source *spool, d *shelf) {
		d.away, d.silent = errors.New("away"), true
		d.starts()
		<-time.After(10 * time.Minute)
		synctest.Wait()
		if _, questions := d.seen(); questions < 80 || questions > 110 {
			t.Errorf("%d questions in ten minutes", questions)
		}
		d.set(func() { d.away, d.silent = nil, false })
		<-time.After(7 * time.Second)
		synctest.Wait()
		if shipped, _ := source.far(); shipped != 20 {
			t.Errorf("%d shipped", shipped)
		}
	})
}

// server is a destination of many processes that notes when it is asked something.
type server struct {
	mu             sync.Mutex
	away           error
	asked, batches []time.Time
}

func (d *server) noted(when *[]time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	*when = append(*when, time.Now())
	return d.away
}

func (d *server) Usable(context.Context) error { return d.noted(&d.asked) }

func (d *server) Store(_ context.Context, batch []audit.Shipment) (ship.Stored, error) {
	return ship.Stored{New: len(batch)}, d.noted(&d.batches)
}

func (d *server) Prepare(context.Context, time.Time) error { return nil }

func (d *server) Bury(context.Context, audit.Shipment, string) error { return nil }

func (d *server) Missing(context.Context) (int64, error) { return 0, nil }

// busiest is the most of some moments that lie within so long.
func busiest(moments []time.Time, within time.Duration) (most int) {
	slices.SortFunc(moments, time.Time.Compare)
	first := 0
	for i, at := range moments {
		for at.Sub(moments[first]) >= within {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// TestManyComeBackOneByOne: a hundred processes that lose one server at the same moment do not storm it, neither while it
// starts nor when it takes batches again.
func TestManyComeBackOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const processes = 100
		d := &server{away: errors.New("away")}
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range processes {
			s := ship.New(ship.Options{Source: newSpool(10), Destination: d})
			group.Go(func() { _ = s.Run(ctx) })
		}
		<-time.After(10 * time.Second) // after the first failures, which come together
		d.mu.Lock()
		d.asked, d.batches = nil, nil
		d.mu.Unlock()
		<-time.After(time.Minute)
		d.mu.Lock()
		if n := busiest(d.asked, time.Second); n > processes || len(d.batches) > 0 {
			t.Errorf("%d questions in one second, and %d batches", n, len(d.batches))
		}
		d.away = nil
		d.mu.Unlock()
		<-time.After(2 * time.Second)
		synctest.Wait()
		if n := busiest(d.batches, 100*time.Millisecond); n > processes/4 || len(d.batches) != processes {
			t.Errorf("%d batches within 100 ms, %d in all", n, len(d.batches))
		}
		stop()
		group.Wait()
	})
}

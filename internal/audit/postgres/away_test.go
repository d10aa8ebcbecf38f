package postgres_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/testkit/load"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// rate is how many exchanges begin in a second, and drainAim how many times as fast as they fill a spool it is to drain.
const (
	rate     = 500
	drainAim = 5
)

// recorder records exchanges, one after the other in number.
type recorder struct {
	log  *audit.Log
	next atomic.Int64
}

// both records the next exchange and gives how long each of its two records took.
func (r *recorder) both(ctx context.Context) (intentTook, outcomeTook time.Duration, err error) {
	i := int(r.next.Add(1)) - 1
	began := time.Now()
	if err := r.log.Append(ctx, intent(i)); err != nil {
		return 0, 0, err
	}
	between := time.Now()
	err = r.log.Append(ctx, outcome(i))
	return between.Sub(began), time.Since(between), err
}

// rush records n exchanges as fast as it can.
func (r *recorder) rush(t *testing.T, n int) {
	t.Helper()
	const callers = 32
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for range (n + caller) / callers {
				if _, _, err := r.both(t.Context()); err != nil {
					t.Errorf("recording: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
}

// paces is what recording at the rate took: appends, and how late each exchange began, which is the machine's doing.
type paces struct{ appends, late load.Durations }

// pace records at the rate until enough reports true.
func (r *recorder) pace(t *testing.T, enough func(passed time.Duration) bool) (p paces) {
	t.Helper()
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		start = time.Now()
	)
	for i := 0; !enough(time.Since(start)); i++ {
		due := start.Add(time.Duration(i) * time.Second / rate)
		<-time.After(time.Until(due))
		group.Go(func() {
			late := time.Since(due)
			one, other, err := r.both(t.Context())
			mu.Lock()
			defer mu.Unlock()
			p.appends, p.late = append(p.appends, one, other), append(p.late, late)
			if err != nil {
				t.Errorf("recording: %v", err)
			}
		})
	}
	group.Wait()
	return p
}

// lasting is enough after so long.
func lasting(d time.Duration) func(time.Duration) bool {
	return func(passed time.Duration) bool { return passed >= d }
}

// TestPostgresAwayAtLoad takes Postgres away for as long as PLUMBLINE_OUTAGE says, at 500 exchanges a second. Time is
// compressed: all of the outage's exchanges but the first and last, which are recorded at the rate and measured, are recorded
// as fast as the machine can. Then Postgres comes back while exchanges go on at the rate.
func TestPostgresAwayAtLoad(t *testing.T) {
	length, measured, campaign := 4*time.Second, 500*time.Millisecond, false
	if text := os.Getenv("PLUMBLINE_OUTAGE"); text != "" {
		var err error
		length, err = time.ParseDuration(text)
		must(t, err)
		measured, campaign = 20*time.Second, true
	}
	server := pgproc.Start(t, pgproc.Options{Fsync: true, Settings: []string{"shared_buffers = 256MB", "max_wal_size = 4GB"}})
	db := server.Database(t, records)
	store, log := openStore(t, db.URL), openLog(t, "")
	must(t, store.Prepare(t.Context(), start))
	s := ship.New(ship.Options{Source: log, Destination: store, Owed: time.Hour})
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	r := &recorder{log: log}
	r.pace(t, lasting(measured/5)) // caches, connections
	with := r.pace(t, lasting(measured))

	server.Stop()
	before := r.next.Load()
	away := r.pace(t, lasting(measured/2))
	began := time.Now()
	r.rush(t, int(length.Seconds())*rate-int(measured.Seconds()*rate))
	rushed := time.Since(began)
	away.add(r.pace(t, lasting(measured/2)))
	filled := 2 * (r.next.Load() - before)

	shipped := s.Counts().Shipped
	server.Start(t)
	back := time.Now()
	var waited time.Duration // until the first batch was there
	draining := r.pace(t, func(passed time.Duration) bool {
		c := s.Counts()
		if waited == 0 && c.Shipped > shipped {
			waited = passed
		}
		return c.Shipped-shipped >= filled && c.Records < 2*rate || passed > length
	})
	drained := time.Since(back)

	stop()
	group.Wait()
	settled(t, log)
	must(t, s.Drain(t.Context()))
	holds(t, db, int(2*r.next.Load()))
	speed := func(in time.Duration) float64 { return float64(filled) / in.Seconds() / (2 * rate) }
	t.Logf("Postgres was away for %v of %d exchanges a second, compressed into %v: %d records waited, while more came when it was back", length, rate,
		(rushed + measured).Round(time.Millisecond), filled)
	t.Logf("drained in %v: %.1f times as fast as it filled, and %d times is the aim; without the %v until Postgres was found to be back, %.1f times",
		drained.Round(time.Millisecond), speed(drained), drainAim, waited.Round(time.Millisecond), speed(drained-waited))
	for name, p := range map[string]paces{"with Postgres": with, "without": away, "draining": draining} {
		t.Logf("%s: append p50 %v, p99 %v; the machine was late by %v in p99", name, p.appends.Quantile(0.5), p.appends.Quantile(0.99), p.late.Quantile(0.99))
	}
	if !campaign {
		return
	}
	const most = 2 * time.Millisecond
	added := away.appends.Quantile(0.99) - with.appends.Quantile(0.99)
	if machine := max(0, away.late.Quantile(0.99)-with.late.Quantile(0.99)); added > most+machine {
		t.Errorf("without Postgres p99 is %v longer, and %v is allowed; the machine itself was %v later", added, most, machine)
	}
	if speed(drained) < drainAim {
		t.Errorf("it drains %.1f times as fast as it fills", speed(drained))
	}
}

func (p *paces) add(other paces) {
	p.appends, p.late = append(p.appends, other.appends...), append(p.late, other.late...)
}

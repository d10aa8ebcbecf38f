package main

import (
	"context"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/wait"
)

const (
	// turn is how long one row is loaded before the next one's turn comes. A shared machine changes within tens of seconds.
	turn = 2 * time.Second
	// quiet is how long a row may go on working after its turn: records are indexed and shipped behind it.
	quiet = 3 * time.Second
)

// closedLoops keeps a fixed number of connections busy, in turns through all rows, and counts what gets through and what CPU
// time it takes. A turn begins with a load that is not counted, so that a row that puts work off has as much of it at the
// beginning of what is counted as at its end.
func (b *bench) closedLoops(ctx context.Context, rows []*running) error {
	counts := make([]count, len(rows))
	for range max(1, int(b.o.closed/turn)) {
		for i, r := range rows {
			if err := b.turn(ctx, r, &counts[i]); err != nil {
				return fmt.Errorf("row %s: closed loop: %w", r.sample.row, err)
			}
		}
	}
	for i, r := range rows {
		counts[i].addTo(&r.sample)
	}
	return nil
}

// count is what the turns of one row gave.
type count struct {
	requests int64
	took     time.Duration
	cpu      cpuTimes
	rates    []float64 // requests a second, by turn
	p50, p99 []float64 // microseconds, by turn
}

// turn loads one row once.
func (b *bench) turn(ctx context.Context, r *running, c *count) error {
	if b.o.warmUp > 0 {
		if _, err := b.wrk(ctx, r, b.o.warmUp); err != nil {
			return err
		}
	}
	before, err := r.pids.cpu()
	if err != nil {
		return err
	}
	got, err := b.wrk(ctx, r, min(turn, b.o.closed))
	if err != nil {
		return err
	}
	after, err := r.pids.cpu()
	if err != nil {
		return err
	}
	if err := r.side.backlog(ctx, &r.sample); err != nil {
		return err
	}
	took := time.Duration(got.Duration) * time.Microsecond
	c.requests += got.Requests
	c.took += took
	c.cpu.envoy += after.envoy - before.envoy
	c.cpu.sidecar += after.sidecar - before.sidecar
	c.cpu.stores += after.stores - before.stores
	c.rates = append(c.rates, float64(got.Requests)/took.Seconds())
	c.p50, c.p99 = append(c.p50, float64(got.P50)), append(c.p99, float64(got.P99))
	return r.pids.awaitQuiet(ctx)
}

// awaitQuiet waits until the row's own processes have nothing left to do, for at most quiet: what goes on all the time is
// little.
func (p pids) awaitQuiet(ctx context.Context) error {
	const look, idle = 100 * time.Millisecond, 3 * time.Millisecond
	last, err := p.cpu()
	for end := time.Now().Add(quiet); err == nil && time.Now().Before(end); {
		if err := wait.For(ctx, look); err != nil {
			return err
		}
		var now cpuTimes
		if now, err = p.cpu(); now.sidecar-last.sidecar+now.stores-last.stores <= idle {
			break
		}
		last = now
	}
	return err
}

func (c *count) addTo(s *sample) {
	each := func(d time.Duration) float64 { return microseconds(d) / float64(c.requests) }
	s.RPS = float64(c.requests) / c.took.Seconds()
	s.rates = c.rates
	s.ClosedP50, s.ClosedP99 = median(c.p50), median(c.p99)
	s.CPU, s.EnvoyCPU, s.StoresCPU = each(c.cpu.sidecar), each(c.cpu.envoy), each(c.cpu.stores)
}

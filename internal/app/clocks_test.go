package app

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

// clocks is two nodes on a Redis whose clock jumps, and whose own clocks do.
type clocks struct {
	server *redisproc.Server
	clock  *redisproc.Clock
	own    atomic.Int64 // how far ahead the first node's clock is, a duration
	nodes  []*node
	n      int
}

// noon is in the middle of a month, so that a day is none of another month.
var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func startClocks(t *testing.T) *clocks {
	t.Helper()
	c := &clocks{}
	c.server, c.clock = redisproc.StartWithClock(t, noon)
	began := time.Now()
	for i := range 2 {
		o := config.Default().Redis
		o.Addresses = []string{c.server.Addr}
		// A deadline that a busy machine keeps: what is looked at here is what the clocks do.
		n := openNode(t, nodeSetup{redis: o, dir: t.TempDir(), limits: outageLimits, deadline: 2 * time.Second, now: func() time.Time {
			now := noon.Add(time.Since(began))
			if i == 0 {
				now = now.Add(time.Duration(c.own.Load()))
			}
			return now
		}})
		awaitNode(t, n)
		c.nodes = append(c.nodes, n)
	}
	return c
}

// spend runs an exchange on each node, which must be admitted by Redis.
func (c *clocks) spend(t *testing.T, when string) {
	t.Helper()
	for _, n := range c.nodes {
		c.n++
		id := fmt.Sprint(when, "-", c.n)
		r, err := n.begin(t.Context(), "ann", id, 4)
		if err == nil {
			err = n.finish(t.Context(), "ann", r, 4)
		}
		if err != nil || r.Fallback != "" {
			t.Errorf("%s: %v, fallback %q", when, err, r.Fallback)
		}
		if d := r.Admitted.Sub(c.clock.Now()).Abs(); err == nil && d > time.Minute {
			t.Errorf("%s: admitted at %v, when Redis had %v", when, r.Admitted, c.clock.Now())
		}
	}
}

// open leaves an exchange in flight on each node.
func (c *clocks) open(t *testing.T, when string) (all []quota.Reservation) {
	t.Helper()
	for _, n := range c.nodes {
		r, err := n.begin(t.Context(), "ann", when, 4)
		if err != nil {
			t.Fatal(err)
		}
		when += "'"
		all = append(all, r)
	}
	return all
}

func (c *clocks) finish(t *testing.T, all []quota.Reservation) {
	t.Helper()
	for i, r := range all {
		if err := c.nodes[i].finish(t.Context(), "ann", r, 4); err != nil {
			t.Errorf("%s: %v", r.ID, err)
		}
	}
}

// sweep ends leases as each node's own clock and that of Redis have it.
func (c *clocks) sweep(t *testing.T, nodes ...*node) (ended int) {
	t.Helper()
	for _, n := range nodes {
		ids, err := n.guard.Expire(t.Context(), n.now())
		if err != nil {
			t.Error(err)
		}
		ended += len(ids)
	}
	return ended
}

// TestClockOfRedisJumps sets the clock of a real Redis a day ahead and back, with exchanges in flight over each jump, whose
// leases end by it. Each is charged once.
func TestClockOfRedisJumps(t *testing.T) {
	t.Parallel()
	c := startClocks(t)
	c.spend(t, "at noon")
	for _, day := range []time.Duration{24 * time.Hour, -24 * time.Hour, -24 * time.Hour, 24 * time.Hour} {
		open := c.open(t, fmt.Sprint("over ", day, c.n))
		c.clock.Jump(t, day)
		n := c.sweep(t, c.nodes...)
		ended, err := c.nodes[0].shared.Expire(t.Context(), time.Time{}) // by Redis' clock, whatever a replica's says
		if n += len(ended); err != nil || (n == len(open)) != (day > 0) {
			t.Errorf("%d of %d leases ended after a jump of %v, %v", n, len(open), day, err)
		}
		c.spend(t, fmt.Sprint("after ", day))
		c.finish(t, open)
		c.spend(t, "and again")
	}
	c.sweep(t, c.nodes...)
	wantNoDrift(t, c.nodes...)
}

// TestOwnClockJumps does the same to the clock of one replica, with Redis there and away.
func TestOwnClockJumps(t *testing.T) {
	t.Parallel()
	for _, day := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		t.Run(day.String(), func(t *testing.T) {
			t.Parallel()
			c := startClocks(t)
			open := c.open(t, "over the jump")
			c.own.Store(int64(day))
			c.spend(t, "after it")
			if n := c.sweep(t, c.nodes...); n != 0 {
				t.Errorf("%d leases ended by the clock of a replica", n)
			}
			c.finish(t, open)

			open = c.open(t, "when Redis goes")
			c.server.Pause()
			c.own.Store(0)
			admitted := c.without(t, "back")
			c.own.Store(int64(day))
			admitted += c.without(t, "ahead")
			c.sweep(t, c.nodes[0])
			c.finish(t, open)
			if admitted != benHas {
				t.Errorf("%d calls of ben were admitted, who has %d", admitted, benHas)
			}
			c.server.Resume()
			for _, n := range c.nodes {
				awaitServing(t, n)
			}
			wantNoDrift(t, c.nodes...)
		})
	}
}

// without asks for more than ben has on the replica whose clock jumps, while Redis is away, and gives what was admitted. Money
// is closed.
func (c *clocks) without(t *testing.T, name string) (admitted int) {
	t.Helper()
	n, ctx := c.nodes[0], context.Background()
	for i := range 2 * benHas {
		r, err := n.begin(ctx, "ben", fmt.Sprint(name, "-", i), 0)
		if err != nil {
			continue
		}
		admitted++
		if err := n.finish(ctx, "ben", r, 0); err != nil {
			t.Error(err)
		}
	}
	if _, err := n.begin(ctx, "ann", name, 4); core.AsError(err).Reason != core.ReasonQuotaUnavailable {
		t.Errorf("money is not closed: %v", err)
	}
	return admitted
}

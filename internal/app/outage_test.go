package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/guard"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

// outage is a node on a real Redis that can be taken from it, with a proxy between both.
type outage struct {
	*node
	server *redisproc.Server
	proxy  *redisproc.Proxy
	asked  *asked
	told   *told
}

// outages are the ways in which Redis can be away.
var outages = map[string]struct{ leave, come func(testing.TB, *outage) }{
	"stopped": { // SIGSTOP
		func(_ testing.TB, o *outage) { o.server.Pause() },
		func(_ testing.TB, o *outage) { o.server.Resume() },
	},
	"killed": {
		func(_ testing.TB, o *outage) { o.server.Kill() },
		func(t testing.TB, o *outage) { o.server.Restart(t) },
	},
	"bytes held on their way": {
		func(_ testing.TB, o *outage) { o.proxy.Hold() },
		func(_ testing.TB, o *outage) { o.proxy.Pass() },
	},
	"a port that accepts and does not answer": {
		func(_ testing.TB, o *outage) { o.proxy.Hold(); o.proxy.Cut() },
		func(_ testing.TB, o *outage) { o.proxy.Pass() },
	},
	"five seconds of latency": {
		func(_ testing.TB, o *outage) { o.proxy.Delay(5 * time.Second) },
		func(_ testing.TB, o *outage) { o.proxy.Pass() },
	},
}

// benHas is how many requests ben has in a month, where each replica counts alone without Redis.
const benHas = 20

var outageLimits = []quota.Limit{
	{ID: "money", Scope: quota.ScopeUser, Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: 1 << 40},
	{ID: "ben", Scope: quota.ScopeUser, Subject: "ben", Dimension: quota.DimensionRequests, Window: quota.WindowMonth, Value: benHas},
	{
		ID: "cy", Scope: quota.ScopeUser, Subject: "cy", Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: 1 << 40,
		Unreachable: quota.UnreachableOpen,
	},
}

// newOutage starts both, and waits until the node is served. The server wants a password, so that a new connection has
// something to ask before it can be used.
func newOutage(t testing.TB) *outage {
	t.Helper()
	o := &outage{server: redisproc.StartTCP(t, "--requirepass", "secret"), told: &told{fell: map[quota.Unreachable]int{}}}
	o.proxy = redisproc.NewProxy(t, o.server.Addr)
	c := config.Default().Redis
	c.Addresses, c.Password = []string{o.proxy.Addr}, config.NewSecret("secret")
	o.node = openNode(t, nodeSetup{
		redis: c, dir: t.TempDir(), limits: outageLimits, metrics: o.told,
		wrap: func(s guard.Shared) guard.Shared {
			o.asked = &asked{Shared: s}
			return o.asked
		},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	if err := o.guard.Await(ctx); err != nil {
		t.Fatal("the shared ledger was not found")
	}
	return o
}

// asked notes what is asked of the shared ledger for requests.
type asked struct {
	guard.Shared
	mu     sync.Mutex
	within []time.Duration // the time that each Reserve was given
}

func (a *asked) Reserve(ctx context.Context, r quota.Request) (quota.Reservation, error) {
	rest := time.Hour // none; less than nothing is left where the machine was slow
	if deadline, ok := ctx.Deadline(); ok {
		rest = time.Until(deadline)
	}
	a.mu.Lock()
	a.within = append(a.within, rest)
	a.mu.Unlock()
	return a.Shared.Reserve(ctx, r)
}

func (a *asked) times() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.within)
}

// told is guard.Metrics that a test reads.
type told struct {
	mu      sync.Mutex
	breaker guard.Breaker
	fell    map[quota.Unreachable]int
}

func (m *told) LedgerBreaker(b guard.Breaker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.breaker = b
}

func (m *told) LedgerFellBack(u quota.Unreachable) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fell[u]++
}

func (m *told) LedgerBooked(int, int) {}

func (m *told) now() (guard.Breaker, map[quota.Unreachable]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fell := map[quota.Unreachable]int{}
	for u, n := range m.fell {
		fell[u] = n
	}
	return m.breaker, fell
}

// TestRedisAway takes a real Redis from a node in each way: one decision asks it, for less than 25 ms, and none after that; money
// is closed, ben has what was left, cy is let through. When Redis is back nothing is pending and nothing drifts, although what
// was on its way may have arrived late.
func TestRedisAway(t *testing.T) {
	for name, way := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			o, streams := steadyOutage(t)
			before := len(o.asked.times())
			way.leave(t, o)

			if _, err := o.begin(ctx, "ann", "first", 4); core.AsError(err).Reason != core.ReasonQuotaUnavailable {
				t.Errorf("the first call under a money limit: %v", err)
			}
			for i := range 100 {
				if _, err := o.begin(ctx, "ann", fmt.Sprint("money-", i), 4); core.AsError(err).Reason != core.ReasonQuotaUnavailable {
					t.Fatalf("a call under a money limit: %v", err)
				}
			}
			for i := range benHas - 4 {
				o.mustPass(t, "ben", fmt.Sprint("local-", i), 0)
			}
			var exhausted *quota.ExhaustedError
			if _, err := o.begin(ctx, "ben", "one too many", 0); !errors.As(err, &exhausted) {
				t.Errorf("more than ben has: %v", err)
			}
			for i := range 10 {
				o.mustPass(t, "cy", fmt.Sprint("open-", i), 0)
			}
			for _, r := range streams { // what Redis holds ends without it
				if err := o.finish(ctx, "ann", r, 4); err != nil {
					t.Errorf("settling without Redis: %v", err)
				}
			}
			o.wantFallback(t, o.asked.times()[before:])
			way.come(t, o)
			awaitServing(t, o.node)
			wantNoDrift(t, o.node)
			if n := o.guard.Pending(); n != 0 {
				t.Errorf("%d exchanges are held here", n)
			}
		})
	}
}

// steadyOutage gives one in which ben has used four requests and five exchanges of ann's are in flight, all of it through Redis:
// on a busy machine it may not have answered in time, and another one is begun.
func steadyOutage(t *testing.T) (*outage, []quota.Reservation) {
	t.Helper()
	for range 10 {
		o := newOutage(t)
		var streams []quota.Reservation
		for i := range 5 {
			r, err := o.begin(t.Context(), "ann", fmt.Sprint("stream-", i), 4)
			if err != nil {
				break
			}
			streams = append(streams, r)
			if i < 4 {
				o.mustPass(t, "ben", fmt.Sprint("before-", i), 0)
			}
		}
		if breaker, fell := o.told.now(); breaker == guard.BreakerClosed && len(fell) == 0 && len(streams) == 5 {
			return o, streams
		}
		o.end()
	}
	t.Fatal("Redis does not answer in time")
	return nil, nil
}

func (o *outage) mustPass(t testing.TB, user, id string, cost core.MicroUSD) {
	t.Helper()
	r, err := o.begin(t.Context(), user, id, cost)
	if err == nil {
		err = o.finish(t.Context(), user, r, cost)
	}
	if err != nil {
		t.Fatalf("%s of %s: %v", id, user, err)
	}
}

// wantFallback checks that one decision asked Redis, within its deadline, and what was counted.
func (o *outage) wantFallback(t testing.TB, within []time.Duration) {
	t.Helper()
	// None where Run was first to find it gone.
	if len(within) > 1 || len(within) == 1 && within[0] > 24*time.Millisecond {
		t.Errorf("Redis was asked within %v, want once, with a millisecond of the 25 left", within)
	}
	breaker, fell := o.told.now()
	if breaker == guard.BreakerClosed {
		t.Errorf("the breaker is %s", breaker)
	}
	if fell[quota.UnreachableClosed] != 101 || fell[quota.UnreachableLocal] != benHas-4 || fell[quota.UnreachableOpen] != 10 {
		t.Errorf("counted %v", fell)
	}
}

// wantNoDrift waits until Redis is what the records say, for two rounds of tidying and what comes late.
func wantNoDrift(t testing.TB, nodes ...*node) {
	t.Helper()
	wrong := ""
	for deadline := time.Now().Add(45 * time.Second); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		if wrong = driftOf(t, nodes...); wrong == "" {
			return
		}
	}
	t.Errorf("it drifts: %s", wrong)
}

// driftOf says where Redis is not what the records of all nodes say, empty where it is.
func driftOf(t testing.TB, nodes ...*node) (wrong string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	used := map[string]quota.Amounts{}
	for _, n := range nodes {
		if err := n.log.Charges(ctx, audit.ChargesQuery{}, func(c audit.Charged) error {
			used[c.By.User] = used[c.By.User].Add(quota.ChargeAmounts(c.Charge))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	pending, err := nodes[0].shared.Pending(ctx)
	if err != nil || pending != 0 {
		wrong = fmt.Sprintf("%d pending, %v; ", pending, err)
	}
	for _, user := range []string{"ann", "ben", "cy"} {
		all, err := nodes[0].shared.Standings(ctx, quota.Subject{User: user, Model: "m"}, nodes[0].limits, time.Time{})
		if err != nil {
			return wrong + err.Error()
		}
		for _, s := range all {
			if want := used[user].In(s.Limit.Dimension); s.Posted != want || s.Used != want {
				wrong += fmt.Sprintf("%s of %s: %d posted, %d used, the records say %d; ", s.Limit.ID, user, s.Posted, s.Used, want)
			}
		}
	}
	return wrong
}

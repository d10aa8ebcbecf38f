package guard

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/quota"
)

// TestLimitsThatComeAndGoCountEveryCharge sets, changes and deletes limits at any moment among all that a ledger meets, and
// lets replicas hear of it at different times. In the end each limit that is in force has counted every charge of the
// records, once.
func TestLimitsThatComeAndGoCountEveryCharge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"reserve": m.reserve, "reserve again": m.reserve, "and again": m.reserve, "extend": m.extend,
			"settle": m.settle, "settle again": m.settle, "void": m.void, "pass": m.pass, "pass again": m.pass, "all pass": m.allPass,
			"set": m.set, "see": m.see, "all see": m.allSee, "expire": m.expire, "faults": m.faults, "no faults": m.noFaults,
			"flush": m.flush, "die": m.die, "arrive": func(*rapid.T) { m.server.arrive() }, "time": m.time,
		})
		m.check(t)
	})
}

// set puts other limits in the control data.
func (m *model) set(t *rapid.T) {
	var limits []quota.Limit
	for _, id := range []string{"a", "b", "c"} {
		some := []quota.Limit{
			limit(id, quota.DimensionTokens, 4000), limit(id, quota.DimensionTokens, 9000), limit(id, quota.DimensionRequests, 50),
			{ID: id, Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: 5000},
			{ID: id, Scope: quota.ScopeUser, Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: 5000},
			limit(id, quota.DimensionConcurrency, 9),
		}
		if i := rapid.IntRange(-2, len(some)-1).Draw(t, "limit "+id); i >= 0 {
			limits = append(limits, some[i])
		}
	}
	m.limits = mustCompileIn(t, limits)
}

func mustCompileIn(t *rapid.T, limits []quota.Limit) *quota.LimitSet {
	set, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func (m *model) see(t *rapid.T) { m.seen[m.some(t)] = m.limits }

func (m *model) allSee(t *rapid.T) {
	for i := range m.seen {
		m.seen[i] = m.limits
	}
	m.allPass(t)
}

func (m *model) allPass(*rapid.T) {
	for _, r := range m.replicas {
		r.pass(context.Background())
	}
}

func (m *model) noFaults(*rapid.T) { m.server.fault = nil }

package guard

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/quota"
)

// TestEveryFaultEndsWithoutDrift drives three replicas through faults of every kind: operations that are refused, not heard
// of or late, a server that is away, emptied or failed over, replicas that die and come back. When all is well again nothing is
// pending, and what is posted is the sum of the records.
func TestEveryFaultEndsWithoutDrift(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		actions := map[string]func(*rapid.T){
			"reserve": m.reserve, "reserve again": m.reserve, "extend": m.extend, "settle": m.settle, "settle again": m.settle, "void": m.void,
			"pass": m.pass, "pass again": m.pass, "expire": m.expire, "faults": m.faults, "away": m.away, "flush": m.flush,
			"fail over": m.failOver, "die": m.die, "arrive": func(*rapid.T) { m.server.arrive() }, "time": m.time,
		}
		t.Repeat(actions)
		m.check(t)
	})
}

type model struct {
	server   *server
	limits   *quota.LimitSet   // those that were set last
	seen     []*quota.LimitSet // by each replica
	replicas []*replica
	open     []*exchange
	subjects map[string]quota.Subject
	n        int
}

type exchange struct {
	replica     int
	reservation quota.Reservation
	forwarded   bool
	tokens      int64
}

func newModel(t *rapid.T) *model {
	set, err := quota.Compile([]quota.Limit{
		limit("tokens", quota.DimensionTokens, 4000), limit("calls", quota.DimensionConcurrency, 6),
		{ID: "open", Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowDay, Value: 30, Unreachable: quota.UnreachableOpen},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &model{limits: set, subjects: map[string]quota.Subject{}}
	m.server = newServer(&clock{now: start})
	for i := range 3 {
		m.seen = append(m.seen, set)
		m.replicas = append(m.replicas, m.newReplica(i, newBook()))
	}
	return m
}

func (m *model) newReplica(i int, b *book) *replica {
	return newReplicaUnder(m.server, b, fmt.Sprint("book", i), func() *quota.LimitSet { return m.seen[i] })
}

func (m *model) some(t *rapid.T) int { return rapid.IntRange(0, len(m.replicas)-1).Draw(t, "replica") }

func (m *model) reserve(t *rapid.T) {
	i := m.some(t)
	m.n++
	tokens := rapid.Int64Range(1, 500).Draw(t, "tokens")
	q := request(fmt.Sprint("x", m.n), m.seen[i], m.server.clock.Now(), tokens, 0)
	m.subjects[q.ID] = q.Subject
	r, err := m.replicas[i].Reserve(context.Background(), q)
	if err != nil {
		return
	}
	x := &exchange{i, r, rapid.IntRange(0, 9).Draw(t, "forwarded") > 0, tokens}
	if x.forwarded {
		m.replicas[i].book.intent(r)
	}
	m.open = append(m.open, x)
}

func (m *model) extend(t *rapid.T) {
	if len(m.open) == 0 {
		t.Skip("nothing is open")
	}
	x := rapid.SampledFrom(m.open).Draw(t, "exchange")
	if r, err := m.replicas[x.replica].Extend(context.Background(), x.reservation.ID, x.reservation.Held.Add(quota.Amounts{OutputTokens: 50})); err == nil {
		x.reservation.Held = r.Held
	}
}

func (m *model) take(t *rapid.T) *exchange {
	if len(m.open) == 0 {
		t.Skip("nothing is open")
	}
	i := rapid.IntRange(0, len(m.open)-1).Draw(t, "exchange")
	x := m.open[i]
	m.open = append(m.open[:i], m.open[i+1:]...)
	return x
}

func (m *model) settle(t *rapid.T) {
	m.end(m.take(t), rapid.Int64Range(0, 600).Draw(t, "used"))
}

func (m *model) end(x *exchange, tokens int64) {
	r := m.replicas[x.replica]
	if !x.forwarded {
		_ = r.Void(context.Background(), x.reservation.ID)
		return
	}
	used := quota.Amounts{Requests: 1, OutputTokens: tokens}
	r.book.outcome(m.subjects[x.reservation.ID], x.reservation, used)
	_, _ = r.Settle(context.Background(), x.reservation.ID, used)
}

func (m *model) void(t *rapid.T) {
	x := m.take(t)
	if x.forwarded { // its record says that nothing was forwarded after all
		m.replicas[x.replica].book.outcome(m.subjects[x.reservation.ID], x.reservation, quota.Amounts{})
	}
	_ = m.replicas[x.replica].Void(context.Background(), x.reservation.ID)
}

func (m *model) pass(t *rapid.T) { m.replicas[m.some(t)].pass(context.Background()) }

func (m *model) expire(t *rapid.T) {
	i := m.some(t)
	var live []quota.Progress
	for _, x := range m.open {
		if x.replica == i && x.forwarded {
			live = append(live, quota.Progress{ID: x.reservation.ID, Used: quota.Amounts{OutputTokens: x.tokens / 2}})
		}
	}
	if rapid.Bool().Draw(t, "touches") {
		_ = m.replicas[i].Touch(context.Background(), live...)
	}
	_, _ = m.replicas[i].Expire(context.Background(), m.server.clock.Now())
}

// faults has each operation meet one, or none again.
func (m *model) faults(t *rapid.T) {
	odds := rapid.IntRange(0, 5).Draw(t, "odds")
	seed := rapid.Uint64().Draw(t, "seed")
	m.server.fault = func(string) fault {
		seed = seed*6364136223846793005 + 1442695040888963407
		if int(seed>>33%10) >= odds {
			return none
		}
		return fault(seed>>50%3) + refused
	}
}

func (m *model) away(*rapid.T) { m.server.fault = func(string) fault { return refused } }

func (m *model) flush(*rapid.T) { m.server.flush() }

func (m *model) failOver(*rapid.T) {
	m.server.mu.Lock()
	defer m.server.mu.Unlock()
	m.server.lost = true
}

// die ends a process, and starts it again on the same records.
func (m *model) die(t *rapid.T) {
	i := m.some(t)
	rest := m.open[:0]
	for _, x := range m.open {
		if x.replica != i {
			rest = append(rest, x)
		}
	}
	m.open = rest
	b := m.replicas[i].book
	b.recover(m.subjects)
	if rapid.Bool().Draw(t, "sees") {
		m.seen[i] = m.limits
	}
	m.replicas[i] = m.newReplica(i, b)
}

func (m *model) time(t *rapid.T) {
	m.server.clock.add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
}

func (m *model) check(t *rapid.T) {
	m.server.fault = nil
	m.server.arrive()
	for i := range m.seen {
		m.seen[i] = m.limits
	}
	for range rapid.IntRange(0, 2).Draw(t, "passes before the end") {
		for _, r := range m.replicas {
			r.pass(context.Background())
		}
	}
	for _, x := range m.open {
		m.end(x, x.tokens)
	}
	for range 80 {
		m.server.clock.add(tidyEvery + time.Second)
		for _, r := range m.replicas {
			r.pass(context.Background())
		}
	}
	for i, r := range m.replicas {
		if !r.serving.Load() {
			t.Fatalf("replica %d does not serve: %v", i, r.mender.cause)
		}
		if n := r.Pending(); n != 0 {
			t.Errorf("replica %d has %d exchanges in flight", i, n)
		}
	}
	for id, h := range m.server.holds {
		if h.state == "live" {
			t.Errorf("%s is pending", id)
		}
	}
	want, inForce := newSums(m.limits, m.server.clock.Now()), map[string]bool{}
	for counts := range m.limits.Named() {
		inForce[counts] = true
	}
	for _, r := range m.replicas {
		for _, c := range r.book.charges {
			want.add(c)
		}
	}
	for key, p := range want.byKey {
		if got := m.server.posted[sumKey{key: key.key}]; got != p.Amount {
			t.Errorf("%s: posted %d, the records say %d", key.key.Limit, got, p.Amount)
		}
	}
	for key, got := range m.server.posted {
		if want.byKey[key] == nil && got != 0 && inForce[key.key.Limit] {
			t.Errorf("%s: posted %d, the records say nothing", key.key.Limit, got)
		}
	}
}

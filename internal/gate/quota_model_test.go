package gate_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/quota"
)

// counters are limits that only count, so that all that was posted can be read.
func counters() []quota.Limit {
	var limits []quota.Limit
	for _, d := range []quota.Dimension{
		quota.DimensionRequests, quota.DimensionInputTokens, quota.DimensionOutputTokens, quota.DimensionCost,
	} {
		limits = append(limits, quota.Limit{
			ID: "count-" + string(d), Scope: quota.ScopeEveryone, Dimension: d, Window: quota.WindowMonth,
			Value: quota.MaxValue, Enforcement: quota.EnforceObserve,
		})
	}
	return limits
}

// metered is a gate of which the model knows what every exchange has had.
type metered struct {
	t           *testing.T
	w           *gatetest.World
	now         time.Time     // true time
	gateIs      time.Duration // how wrong the gate's clock is
	ledgerIs    time.Duration // how wrong the ledger's clock is
	calls       []*metric
	extendFails bool
}

// metric is one call of the model.
type metric struct {
	x         *gate.Exchange
	stream    bool
	passed    bool
	answering bool
	failed    bool // what follows is an error, and nobody's output
	over      bool
	delivered int64 // tokens that the caller got
}

func newMetered(t *testing.T, rt *rapid.T) *metered {
	m := &metered{t: t, now: time.Date(2030, 6, 15, 12, 0, 0, 0, time.UTC)}
	m.w = gatetest.New(t, gatetest.Options{
		Now:       func() time.Time { return m.now.Add(m.gateIs) },
		LedgerNow: func() time.Time { return m.now.Add(m.ledgerIs) },
	})
	m.w.Classify = unjudged
	m.w.Fail = func(_ context.Context, step string) error {
		if step == "extend" && m.extendFails || step == "reserve" && rapid.IntRange(0, 19).Draw(rt, "reserve fails") == 0 {
			return gatetest.ErrDown
		}
		return nil
	}
	m.limit(rt)
	return m
}

// limit puts other hard limits in force.
func (m *metered) limit(rt *rapid.T) {
	pick := func(name string, d quota.Dimension, window quota.Window, most int64) quota.Limit {
		return quota.Limit{
			ID: name, Scope: quota.ScopeUser, Dimension: d, Window: window, Value: rapid.Int64Range(0, most).Draw(rt, name),
		}
	}
	m.w.SetLimits(m.t, append(counters(),
		pick("tokens", quota.DimensionTokens, quota.WindowMonth, 60_000),
		pick("output", quota.DimensionOutputTokens, quota.WindowDay, 30_000),
		pick("rate", quota.DimensionTokens, quota.WindowMinute, 30_000),
		pick("cost", quota.DimensionCost, quota.WindowMonth, 40_000),
		pick("flight", quota.DimensionConcurrency, quota.WindowNone, 4),
	)...)
}

// some draws one of the calls that can take a step.
func (m *metered) some(rt *rapid.T, can func(*metric) bool) *metric {
	var usable []*metric
	for _, c := range m.calls {
		if !c.over && can(c) {
			usable = append(usable, c)
		}
	}
	if len(usable) == 0 {
		rt.Skip("nobody")
	}
	return rapid.SampledFrom(usable).Draw(rt, "call")
}

func (m *metered) open(rt *rapid.T) {
	x, reply := m.w.Gate.Open(m.t.Context(), chatHead())
	if reply != nil {
		rt.Fatalf("refused: %s", reply.Body)
	}
	m.calls = append(m.calls, &metric{x: x})
}

func (m *metered) admit(rt *rapid.T) {
	c := m.some(rt, func(c *metric) bool { return !c.passed })
	more := rapid.SampledFrom([]string{
		"", `,"max_completion_tokens":300`, `,"n":3`, streaming, streaming, streaming + `,"max_tokens":16`, streaming + `,"n":2`,
	}).Draw(rt, "body")
	_, reply := c.x.Admit(m.t.Context(), chat(more))
	c.passed, c.over = reply == nil, reply != nil
	c.stream = strings.HasPrefix(more, streaming)
}

func (m *metered) head(rt *rapid.T) {
	c := m.some(rt, func(c *metric) bool { return c.passed && !c.answering })
	h := gate.AnswerHead{Status: rapid.SampledFrom([]int{200, 200, 200, 200, 429, 500}).Draw(rt, "status"), ContentType: jsonType}
	if c.stream && h.Status == 200 {
		h.ContentType = eventStream
	}
	_, reply := c.x.ObserveHead(m.t.Context(), h, false)
	c.answering, c.over, c.failed = true, reply != nil, h.Status >= 400
}

func (m *metered) piece(rt *rapid.T) {
	c := m.some(rt, func(c *metric) bool { return c.answering && c.stream && !c.failed })
	words := rapid.SampledFrom([]int{1, 12, 200, 1500}).Draw(rt, "words")
	p, err := c.x.ObserveBody(m.t.Context(), piece(strings.Repeat(" word", words)), false)
	switch {
	case err != nil:
		c.over = true // the front end resets it
	case !p.Replace:
		c.delivered += int64(words)
	}
}

// end has the provider end its answer: with a report that is true, one that is above all maxima, or none.
func (m *metered) end(rt *rapid.T) {
	c := m.some(rt, func(c *metric) bool { return c.answering })
	used := max(c.delivered, 1) * rapid.SampledFrom([]int64{1, 1, 1, 20}).Draw(rt, "times")
	reports := rapid.Bool().Draw(rt, "report")
	body := []byte(whole + `}`)
	switch {
	case c.stream && reports:
		body = append(usageEvent(20, used), done...)
	case c.stream:
		body = []byte(done)
	case reports:
		body = []byte(answered)
	}
	if _, err := c.x.ObserveBody(m.t.Context(), body, true); err != nil {
		rt.Fatal(err)
	}
	c.over = true
}

func (m *metered) hangUp(rt *rapid.T) {
	c := m.some(rt, func(*metric) bool { return true })
	c.x.Close(m.t.Context(), core.FinishInterrupted)
	c.over = true
}

// keep renews the leases of some, and tells the ledger what they used.
func (m *metered) keep(rt *rapid.T) {
	for _, p := range m.w.Gate.Live() {
		if !rapid.Bool().Draw(rt, "kept") {
			continue
		}
		if err := m.w.Ledger.Touch(m.t.Context(), p); err != nil {
			rt.Fatal(err)
		}
	}
}

// leases lets some time pass, and ends what nobody renewed.
func (m *metered) leases(rt *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(rt, "seconds")) * time.Second)
	m.expire(rt)
}

func (m *metered) expire(rt *rapid.T) {
	if _, err := m.w.Ledger.Expire(m.t.Context(), m.now.Add(m.ledgerIs)); err != nil {
		rt.Fatal(err)
	}
}

// jump sets one of the clocks a day wrong, in either direction, or right again.
func (m *metered) jump(rt *rapid.T) {
	wrong := time.Duration(rapid.IntRange(-1, 1).Draw(rt, "days")) * 24 * time.Hour
	if rapid.Bool().Draw(rt, "the gate's") {
		m.gateIs = wrong
	} else {
		m.ledgerIs = wrong
	}
}

// Whatever callers, the provider, clocks, leases and those who change limits do, in any interleaving: no limit is exceeded
// but by what a provider made beyond its maximum, which is counted; nothing stays held; what is posted is what the records
// say; and what was delivered is charged.
func TestModelOfQuotas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMetered(t, rt)
		rt.Repeat(map[string]func(*rapid.T){
			"open": m.open, "open another": m.open, "admit": m.admit, "admit another": m.admit, "head": m.head, "piece": m.piece,
			"another piece": m.piece, "end": m.end, "hang up": m.hangUp, "keep": m.keep, "leases": m.leases, "jump": m.jump,
			"limits":   m.limit,
			"extends?": func(rt *rapid.T) { m.extendFails = rapid.IntRange(0, 3).Draw(rt, "fails") == 0 },
			"":         m.check,
		})
		for _, c := range m.calls {
			c.x.Close(t.Context(), core.FinishInterrupted)
		}
		m.check(rt)
		m.checkEnd(rt)
	})
}

// check holds at every moment.
func (m *metered) check(rt *rapid.T) {
	if above := m.w.Above(); len(above) != 0 {
		rt.Fatalf("I1: hard limits were exceeded: %v", above)
	}
	for _, s := range m.standings(rt) {
		if s.Used < 0 || s.Posted < 0 || s.Used < s.Posted {
			rt.Fatalf("I6: %s has %d used, %d posted", s.Limit.ID, s.Used, s.Posted)
		}
	}
}

func (m *metered) standings(rt *rapid.T) []quota.Standing {
	subject := quota.Subject{User: gatetest.User, Team: "support", Model: "gpt-4o-mini"}
	standings, err := m.w.Ledger.Standings(m.t.Context(), subject, m.w.Limits(), m.now)
	if err != nil {
		rt.Fatal(err)
	}
	return standings
}

// checkEnd holds when all exchanges are over.
func (m *metered) checkEnd(rt *rapid.T) {
	if n := m.w.Ledger.Pending(); n != 0 {
		rt.Fatalf("I4: %d reservations are held", n)
	}
	delivered := map[string]int64{}
	for _, c := range m.calls {
		delivered[c.x.ID()] = c.delivered
	}
	var sum quota.Amounts
	overruns := uint64(0)
	for _, r := range m.w.Records() {
		if r.Kind != core.RecordOutcome {
			continue
		}
		settled, held := quota.ChargeAmounts(*r.Settled), m.w.Held(r.Exchange)
		if settled.OutputTokens < delivered[r.Exchange] {
			rt.Errorf("%d tokens were delivered and %d charged, %s", delivered[r.Exchange], settled.OutputTokens, r.Finish)
		}
		if r.Usage.Estimated && settled.Exceeds(held) {
			rt.Errorf("an estimate of %+v is above the %+v held", settled, held)
		}
		sum = sum.Add(settled) // also of one whose lease had ended: its late settlement takes the place of what was booked then
		if settled.Exceeds(held) {
			overruns++
		}
	}
	if got := m.w.Ledger.Overruns(); got != overruns {
		rt.Errorf("I1b: %d overruns are counted, want %d", got, overruns)
	}
	for _, s := range m.standings(rt) {
		if s.Limit.Enforcement == quota.EnforceObserve && (s.Posted != sum.In(s.Limit.Dimension) || s.Used != s.Posted) {
			rt.Errorf("I5: %s has %d posted and %d used, the records say %d", s.Limit.ID, s.Posted, s.Used, sum.In(s.Limit.Dimension))
		}
	}
}

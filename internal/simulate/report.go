package simulate

import (
	"math/bits"

	"github.com/plumbline/plumbline/internal/quota"
)

// Report is what the models came to on the same traffic.
type Report struct {
	Options Options   `json:"options"`
	Models  []Figures `json:"models"`
}

// Figures are what one model came to.
type Figures struct {
	Model string `json:"model"`
	// Exact says that the model promises to pass no limit.
	Exact    bool   `json:"exact"`
	Calls    uint64 `json:"calls"`
	Admitted uint64 `json:"admitted"`
	// OfOracle is Admitted as a share of what an oracle admits, who knows what each call will use; CostOfOracle is what
	// was spent as a share of what was spent under the oracle.
	OfOracle     float64 `json:"of_oracle"`
	CostOfOracle float64 `json:"cost_of_oracle"`
	Refused      uint64  `json:"refused"`
	// WithRoom is how many of Refused would have found room, had everybody known what all had used and held.
	WithRoom uint64 `json:"refused_with_room"`
	// Unanswered is how many were refused because no ledger answered in time.
	Unanswered uint64 `json:"unanswered"`
	// Cut is how many streams ended early because there was no room for more.
	Cut uint64 `json:"cut"`
	// Over is how many counters passed a hard limit, and Overshoot by how much at most, as a share of the limit.
	Over      int     `json:"counters_over"`
	Overshoot float64 `json:"overshoot"`
	// Messages is how many requests ledgers got for each admitted call.
	Messages float64 `json:"messages_per_admission"`
	// WaitP50 and WaitP99 are how long an admission was at ledgers, in the time that one operation takes there.
	WaitP50 float64 `json:"wait_p50_ops"`
	WaitP99 float64 `json:"wait_p99_ops"`
	// Busiest is the share of the traffic's time that the busiest ledger worked.
	Busiest float64 `json:"busiest_ledger"`
	// Pending is how many reservations were live in the end, when no call was.
	Pending int `json:"pending_at_end"`
	// Stranded is the largest share of what a shared limit was charged that nobody had used: slabs of replicas that died.
	Stranded float64 `json:"stranded"`
	// Unbooked is how many tokens were delivered after the last report of calls whose lease passed before they were settled.
	Unbooked int64 `json:"unbooked_tokens"`
	// Crashed is how many calls their replica's crash ended.
	Crashed int `json:"crashed_calls"`

	// heldOver is the most that was used and held above a hard limit: 0 for an exact model also where overshoot hides it.
	heldOver int64
	cost     int64
}

// counts are what happened so far.
type counts struct {
	calls, admitted, refused, withRoom, unanswered, cut uint64
	messages                                            uint64
	crashed                                             int
	unbooked, cost                                      int64
	waits                                               histogram
}

func (c *counts) spent(a quota.Amounts) { c.cost += int64(a.Cost) }

// models gives all models. The first is the oracle.
func models() []model {
	one := func(Options) int { return 1 }
	return []model{
		{name: "oracle", shards: one, lease: forever, make: func(s *sim) keeper { return &oracle{s} }},
		{name: "exact", shards: one, lease: leaseTime, exact: true, make: func(s *sim) keeper { return newCentral(s) }},
		{name: "escrow", shards: func(o Options) int { return o.Shards }, lease: leaseTime, exact: true, make: newEscrow},
		{name: "charge-after", shards: one, lease: leaseTime, make: func(s *sim) keeper {
			k := newCentral(s)
			k.hold, k.used = nothing, true
			return k
		}},
		{name: "leaky-reserve", shards: one, lease: forever, make: func(s *sim) keeper {
			k := newCentral(s)
			k.hold, k.leaks = worstCase, true
			return k
		}},
	}
}

func (s *sim) figures() Figures {
	n := &s.count
	f := Figures{
		Model: s.name, Exact: s.exact, Calls: n.calls, Admitted: n.admitted, Refused: n.refused, WithRoom: n.withRoom,
		Unanswered: n.calls - n.admitted - n.refused, Cut: n.cut, WaitP50: n.waits.quantile(0.5), WaitP99: n.waits.quantile(0.99),
		Messages: float64(n.messages) / float64(max(n.admitted, 1)), Stranded: s.keeper.stranded(), Unbooked: n.unbooked,
		Crashed: n.crashed, cost: n.cost,
	}
	f.Over, f.Overshoot, f.heldOver = s.truth.overshoot()
	for _, sh := range s.shards {
		f.Busiest = max(f.Busiest, float64(sh.busy)/float64(s.o.Duration))
		f.Pending += sh.ledger.Pending()
	}
	return f
}

// newReport compares each model with the first, the oracle.
func newReport(o Options, all []Figures) Report {
	best := all[0]
	for i := range all {
		all[i].OfOracle = float64(all[i].Admitted) / float64(max(best.Admitted, 1))
		all[i].CostOfOracle = float64(all[i].cost) / float64(max(best.cost, 1))
	}
	return Report{Options: o, Models: all}
}

// histogram counts values in steps of a sixteenth of their size.
type histogram struct {
	buckets [64 * 16]uint64
	n       uint64
}

// add counts a value, which is kept in hundredths.
func (h *histogram) add(v float64) {
	n := uint64(v * 100)
	i := n
	if n >= 32 {
		shift := bits.Len64(n) - 5
		i = uint64(shift)*16 + n>>shift
	}
	h.buckets[i]++
	h.n++
}

// quantile gives the upper bound of the step that contains the quantile q.
func (h *histogram) quantile(q float64) float64 {
	rank, seen := uint64(q*float64(h.n)), uint64(0)
	for i, n := range h.buckets {
		if seen += n; seen > rank {
			return upper(uint64(i)) / 100
		}
	}
	return 0
}

// upper gives the largest value of a step.
func upper(i uint64) float64 {
	if i < 32 {
		return float64(i)
	}
	shift := i/16 - 1
	return float64((i-shift*16+1)<<shift - 1)
}

package drift

import (
	"cmp"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// State is what the comparison of one counter came to.
type State string

// The states.
const (
	StateAgrees   State = "agrees"
	StateInFlight State = "in_flight" // it agrees but for what was on its way whenever it was read
	StateDrift    State = "drift"
)

// Row is one window of a counter, in the unit of its dimension.
type Row struct {
	Limit     string          `json:"limit"`
	For       string          `json:"for,omitempty"` // the team, user or app that is counted, empty for everyone
	Dimension quota.Dimension `json:"dimension"`
	Window    quota.Window    `json:"window"`
	Since     time.Time       `json:"since,omitzero"` // of the calendar window
	Until     time.Time       `json:"until,omitzero"`
	Ledger    int64           `json:"ledger"`
	Records   int64           `json:"records"`
	// Difference is Ledger less Records.
	Difference int64 `json:"difference"`
	State      State `json:"state"`
	// InFlight is how much of Records may or may not have been posted when the ledger was read.
	InFlight int64 `json:"in_flight,omitempty"`
	// Younger says that the limit was made within the window and the ledger counts since then.
	Younger bool `json:"younger,omitempty"`

	// Witness is a subject that counts under the counter.
	Witness quota.Subject `json:"-"`
}

// Total sums the rows of one dimension.
type Total struct {
	Dimension  quota.Dimension `json:"dimension"`
	Ledger     int64           `json:"ledger"`
	Records    int64           `json:"records"`
	Difference int64           `json:"difference"`
}

// Report is what a comparison came to.
type Report struct {
	At       time.Time `json:"at"`
	Counters []Row     `json:"counters"` // those with anything in them
	Totals   []Total   `json:"totals"`
	Drift    int       `json:"drift"`     // how many counters differ
	InFlight int       `json:"in_flight"` // how many could not be read with nothing on its way
	// Strays are exchanges that ended with their lease and of which no record says what they held. What is booked of them is
	// among the differences.
	Strays int `json:"strays,omitempty"`
}

// report gives the counters in the order of the limits, then of whom they count.
func (c *comparison) report(at time.Time) *Report {
	r := &Report{At: at.UTC(), Counters: []Row{}, Totals: []Total{}, Strays: c.strays}
	for _, k := range c.counters {
		if k.look != nil || k.done {
			if row := k.row(); row.Ledger != 0 || row.Records != 0 {
				r.Counters = append(r.Counters, row)
			}
		}
	}
	order := map[string]int{}
	for i, l := range c.Limits.Limits() {
		order[l.ID] = i
	}
	slices.SortFunc(r.Counters, func(a, b Row) int {
		return cmp.Or(cmp.Compare(order[a.Limit], order[b.Limit]), cmp.Compare(a.For, b.For))
	})
	for i := range r.Counters {
		r.count(&r.Counters[i])
	}
	return r
}

func (r *Report) count(row *Row) {
	switch row.State {
	case StateDrift:
		r.Drift++
	case StateInFlight:
		r.InFlight++
	case StateAgrees:
	}
	i := slices.IndexFunc(r.Totals, func(t Total) bool { return t.Dimension == row.Dimension })
	if i < 0 {
		i, r.Totals = len(r.Totals), append(r.Totals, Total{Dimension: row.Dimension})
	}
	t := &r.Totals[i]
	t.Ledger = quota.SaturatingAdd(t.Ledger, row.Ledger)
	t.Records = quota.SaturatingAdd(t.Records, row.Records)
	t.Difference = t.Ledger - t.Records
}

func (k *counter) row() Row {
	l := k.match.Limit
	row := Row{
		Limit: l.ID, For: k.match.Key.Subject, Dimension: l.Dimension, Window: l.Window, Until: k.match.End,
		Ledger: k.ledger, Records: k.records, Difference: k.difference, State: StateAgrees, Younger: k.younger, Witness: k.witness,
	}
	if !k.match.End.IsZero() {
		row.Since = time.Unix(k.match.Key.Start, 0).UTC()
	}
	switch {
	case k.difference != 0:
		row.State = StateDrift
	case !k.done:
		row.State, row.InFlight = StateInFlight, k.uncertain
	}
	return row
}

package memory

import (
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// spareHolds bounds the holds that are kept for the calls to come: about as many as are in flight at once.
const spareHolds = 1024

// entry is what the ledger knows of one reservation, from Reserve until its result is forgotten. There are many more results
// than live reservations, so what only those need is apart.
type entry struct {
	id     string
	hold   *hold         // nil once its owner has resolved it
	booked quota.Amounts // what was settled, nothing while it is live
	until  time.Time     // when the result is forgotten
	next   *entry        // the result after this one
}

// hold is what a reservation holds: one that is live, or that expired and that its owner may still settle.
type hold struct {
	first    quota.Reservation // as Reserve returned it
	held     quota.Amounts
	progress quota.Amounts
	lines    []line
	until    time.Time // end of the lease
	place    int       // among the live ones, -1 for one that expired
	overran  bool
}

// live reports whether the reservation is neither resolved nor expired.
func (e *entry) live() bool { return e.hold != nil && e.hold.place >= 0 }

// entries holds all reservations that are live, and the results of the others for as long as they are remembered.
type entries struct {
	byID        map[string]*entry
	live        []*entry // in no order
	first, last *entry   // the results, in order of time
	spare       []*hold
}

// hold gives a hold that holds nothing.
func (es *entries) hold() *hold {
	last := len(es.spare) - 1
	if last < 0 {
		return &hold{}
	}
	h := es.spare[last]
	es.spare = es.spare[:last]
	return h
}

// open enters a reservation that is live.
func (es *entries) open(id string, h *hold) {
	e := &entry{id: id, hold: h}
	h.place = len(es.live)
	es.live = append(es.live, e)
	es.byID[id] = e
}

// close makes a live reservation a result, to be remembered until a time. Its hold stays until letGo.
func (es *entries) close(e *entry, booked quota.Amounts, until time.Time) {
	last := len(es.live) - 1
	moved := es.live[last]
	es.live[e.hold.place], moved.hold.place = moved, e.hold.place
	es.live[last] = nil
	es.live = es.live[:last]

	e.hold.place, e.booked, e.until = -1, booked, until
	if es.last != nil {
		es.last.next = e
	} else {
		es.first = e
	}
	es.last = e
}

// letGo lets the counters of a hold be forgotten. Nothing is left of it but the result, and the standings that Reserve
// returned.
func (es *entries) letGo(e *entry) {
	h := e.hold
	for i := range h.lines {
		h.lines[i].counter.holds--
	}
	e.hold = nil
	if len(es.spare) < spareHolds {
		clear(h.lines)
		*h = hold{lines: h.lines[:0]}
		es.spare = append(es.spare, h)
	}
}

// tidy forgets results that were remembered for long enough, but never the last.
func (es *entries) tidy(now time.Time) {
	for range tidyStep {
		e := es.first
		if e == es.last || e.until.After(now) {
			return
		}
		if e.hold != nil {
			es.letGo(e)
		}
		delete(es.byID, e.id)
		es.first = e.next
	}
}

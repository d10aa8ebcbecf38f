package memory

import (
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// spareHolds bounds the holds that are kept for the calls to come: about as many as are in flight at once.
const spareHolds = 1024

// entriesAtOnce is how many entries are made at once: one of many is cheaper, for the garbage collector too.
const entriesAtOnce = 128

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
	admitted  time.Time
	reserved  quota.Amounts    // what Reserve held
	standings []quota.Standing // as Reserve returned them
	held      quota.Amounts    // what is held now
	progress  quota.Amounts
	lines     []line    // shared, must not be changed
	buckets   []int64   // where each line counts in a sliding minute, of no meaning in other windows
	until     time.Time // end of the lease
	place     int       // among the live ones, -1 for one that expired
	overran   bool
}

// first gives a live reservation as Reserve returned it.
func (e *entry) first() quota.Reservation {
	return quota.Reservation{ID: e.id, Admitted: e.hold.admitted, Held: e.hold.reserved, Standings: e.hold.standings}
}

// live reports whether the reservation is neither resolved nor expired.
func (e *entry) live() bool { return e.hold != nil && e.hold.place >= 0 }

// entries holds all reservations that are live, and the results of the others for as long as they are remembered.
type entries struct {
	byID        map[string]*entry
	live        []*entry // in no order
	first, last *entry   // the results, in order of time
	free        *entry   // those of no use at present, by next
	spare       []*hold
}

// hold gives a hold of nothing under some lines, in a bucket.
func (es *entries) hold(lines []line, bucket int64) *hold {
	if len(es.spare) == 0 {
		es.spare = append(es.spare, &hold{})
	}
	last := len(es.spare) - 1
	h := es.spare[last]
	es.spare = es.spare[:last]
	h.lines = lines
	for range lines {
		h.buckets = append(h.buckets, bucket)
	}
	return h
}

// discard keeps a hold of no use for another call.
func (es *entries) discard(h *hold) {
	if len(es.spare) < spareHolds {
		*h = hold{buckets: h.buckets[:0]}
		es.spare = append(es.spare, h)
	}
}

// open enters a reservation that is live.
func (es *entries) open(id string, h *hold) *entry {
	if es.free == nil {
		more := make([]entry, entriesAtOnce)
		for i := range more {
			more[i].next, es.free = es.free, &more[i]
		}
	}
	e := es.free
	es.free = e.next
	*e = entry{id: id, hold: h}
	h.place = len(es.live)
	es.live = append(es.live, e)
	es.byID[id] = e
	return e
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
	for _, ln := range e.hold.lines {
		ln.counter.holds--
	}
	es.discard(e.hold)
	e.hold = nil
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
		*e = entry{next: es.free}
		es.free = e
	}
}

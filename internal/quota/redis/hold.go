package redis

import (
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// forget is how long what is known here of a reservation is kept without use, in case that nobody ends it.
const forget = time.Hour

// hold is what this replica knows of a reservation that it made.
type hold struct {
	first quota.Reservation // as Reserve returned it
	bill  *bill
	used  time.Time // last, here
}

// holds spare a second round trip for the names of a reservation's accounts. The server has them too.
type holds struct {
	mu   sync.Mutex
	byID map[string]*hold
}

func (hs *holds) get(id string) *hold {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.byID[id]
	if h != nil {
		h.used = time.Now()
	}
	return h
}

// put keeps what the server has just said of a reservation.
func (hs *holds) put(id string, h *hold) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h.used = time.Now()
	hs.byID[id] = h
}

// drop reports whether there was one.
func (hs *holds) drop(id string) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	_, ok := hs.byID[id]
	delete(hs.byID, id)
	return ok
}

// tidy drops what was not used for long.
func (hs *holds) tidy() {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for id, h := range hs.byID {
		if time.Since(h.used) > forget {
			delete(hs.byID, id)
		}
	}
}

package memory

import "github.com/plumbline/plumbline/internal/quota"

// Outstanding gives the ids of the reservations whose owners have yet to settle or void them: those that are live, and those
// that ended with their lease and are remembered.
func (l *Ledger) Outstanding() map[string]struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := make(map[string]struct{}, len(l.entries.live))
	for id, e := range l.entries.byID {
		if e.hold != nil {
			ids[id] = struct{}{}
		}
	}
	return ids
}

// Owed reports whether the owner of a reservation has yet to settle or void it, as those of Outstanding have.
func (l *Ledger) Owed(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.entries.byID[id]
	return ok && e.hold != nil
}

// Forget forgets what was counted under limits that are not in force, so that it can be booked from the records. What was
// reserved while they were in force keeps what it has of them, and is told apart from what is counted from now on.
func (l *Ledger) Forget(limits *quota.LimitSet) {
	counts := limits.Counting()
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, c := range l.counters.byKey {
		if counts(key.Limit) {
			c.gone = true
			delete(l.counters.byKey, key) // it leaves the queue of what is due by itself
		}
	}
}

package memory

import (
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// Correct adds to what is posted in the calendar window of a match at a time, below zero to take from it, as a comparison with
// the records has found to be wrong. What is posted stops at 0. Of other windows it changes nothing, which it reports.
func (l *Ledger) Correct(m quota.Match, at time.Time, amount int64) bool {
	if m.End.IsZero() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.counters.get(m, at).total
	if amount < 0 {
		amount = max(amount, -c.posted)
	}
	c.add(amount, 0)
	return true
}

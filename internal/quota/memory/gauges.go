package memory

// ReservedTokens is how many tokens live reservations hold.
func (l *Ledger) ReservedTokens() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sum int64
	for _, e := range l.entries.live {
		sum += e.hold.held.InputTokens + e.hold.held.OutputTokens
	}
	return sum
}

package memory

// ReservedTokens is how many tokens live reservations hold.
func (l *Ledger) ReservedTokens() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sum int64
	for _, h := range l.live {
		sum += h.held.InputTokens + h.held.OutputTokens
	}
	return sum
}

package audit

import (
	"slices"
	"sync"
)

const (
	// recentEntries is how many entries are kept at least, if their records fit recentBytes. Both are two seconds' worth at
	// 2,000 records a second. A byte that is kept lets the heap grow by five, see package cli.
	recentEntries = 4096
	recentBytes   = 4 << 20
)

// recentlyStored keeps the last entries that this process put into the tables, so that who signs or ships them need not read them back.
// What it tells is what was written; the tables are asked where it does not reach. It is safe for concurrent use.
type recentlyStored struct {
	mu      sync.Mutex
	entries []recentEntry // without gaps in their positions
	bytes   int           // of their records
}

// recentEntry is an entry of which the record is kept where another store is to have it.
type recentEntry struct {
	Leaf
	canonical []byte
}

// add takes entries that are in the tables now, in the order of their positions.
func (r *recentlyStored) add(entries []recentEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.entries); n > 0 && r.entries[n-1].Position+1 != entries[0].Position {
		r.drop(n)
	}
	if len(r.entries)+len(entries) > 2*recentEntries {
		r.drop(max(0, len(r.entries)-recentEntries))
	}
	r.entries = append(r.entries, entries...)
	for i := range entries {
		r.bytes += len(entries[i].canonical)
	}
	n := 0
	for left := r.bytes; left > recentBytes; n++ {
		left -= len(r.entries[n].canonical)
	}
	r.drop(n)
}

// drop lets go of the first n entries.
func (r *recentlyStored) drop(n int) {
	for i := range r.entries[:n] {
		r.bytes -= len(r.entries[i].canonical)
	}
	r.entries = slices.Delete(r.entries, 0, n)
}

// between gives the entries after a position and up to another, at most limit, and false when some of them may be gone.
func (r *recentlyStored) between(after, upTo Position, limit int) ([]recentEntry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.entries) == 0 || after+1 < r.entries[0].Position {
		return nil, false
	}
	first, n := r.entries[0].Position, Position(len(r.entries))
	from := min(after+1-first, n)
	to := min(max(upTo+1-first, from), n, from+Position(limit))
	return slices.Clone(r.entries[from:to]), true
}

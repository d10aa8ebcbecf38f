package audit

import (
	"slices"
	"sync"
)

// leavesKept is how many leaves are kept at least. At 4,000 records a second it is two seconds' worth, and half a megabyte.
const leavesKept = 8192

// recentLeaves keeps the leaves of the last entries that this process put into the tables, so that who signs them need not read them
// back. It is safe for concurrent use.
type recentLeaves struct {
	mu     sync.Mutex
	leaves []Leaf // without gaps in their positions
}

// add takes leaves that are in the tables now, in the order of their positions.
func (r *recentLeaves) add(leaves []Leaf) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.leaves); n > 0 && r.leaves[n-1].Position+1 != leaves[0].Position {
		r.leaves = r.leaves[:0]
	}
	if len(r.leaves)+len(leaves) > 2*leavesKept {
		r.leaves = slices.Delete(r.leaves, 0, max(0, len(r.leaves)-leavesKept))
	}
	r.leaves = append(r.leaves, leaves...)
}

// between gives the leaves after a position and up to another, at most limit, and false when some of them may be gone.
func (r *recentLeaves) between(after, upTo Position, limit int) ([]Leaf, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.leaves) == 0 || after+1 < r.leaves[0].Position {
		return nil, false
	}
	first := r.leaves[0].Position
	from := min(after+1-first, Position(len(r.leaves)))
	to := min(max(upTo+1-first, from), Position(len(r.leaves)), from+Position(limit))
	return slices.Clone(r.leaves[from:to]), true
}

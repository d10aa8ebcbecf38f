package quota

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
)

// Named gives every limit with what it counts: the Limit of its counters' keys. Two limits of one name have one counter.
func (s *LimitSet) Named() iter.Seq2[string, *Limit] {
	return func(yield func(string, *Limit) bool) {
		if s == nil {
			return
		}
		for i := range s.rules {
			if !yield(s.rules[i].name, s.rules[i].limit) {
				return
			}
		}
	}
}

// Counting tells what limits of the set count.
func (s *LimitSet) Counting() func(counts string) bool {
	names := map[string]bool{}
	for counts := range s.Named() {
		names[counts] = true
	}
	return func(counts string) bool { return names[counts] }
}

// Only gives the set of those limits that count something of which keep reports true.
func (s *LimitSet) Only(keep func(counts string) bool) *LimitSet {
	var some []Limit
	for counts, l := range s.Named() {
		if keep(counts) {
			some = append(some, *l)
		}
	}
	return compiledAgain(some)
}

// Interim gives what can be in force on the way from one set to another, until what is new in the other is counted: its
// limits that count what is counted already, and in place of a limit that begins to count something else, the one of its id
// that was in force. It is the other set itself when nothing in it is new.
func Interim(from, to *LimitSet, counted func(counts string) bool) *LimitSet {
	var some []Limit
	news := false
	for counts, l := range to.Named() {
		if !counted(counts) {
			news = true
			old, ok := from.limit(l.ID)
			if !ok {
				continue
			}
			l = old
		}
		some = append(some, *l)
	}
	if !news {
		return to
	}
	return compiledAgain(some)
}

func (s *LimitSet) limit(id string) (*Limit, bool) {
	if s == nil {
		return nil, false
	}
	i, ok := s.byID[id]
	if !ok {
		return nil, false
	}
	return &s.limits[i], true
}

// compiledAgain makes a set of limits that were valid together, or beside others of other ids, and so are now.
func compiledAgain(limits []Limit) *LimitSet {
	set, err := Compile(limits)
	if err != nil {
		return nil
	}
	return set
}

// InForce holds the limits that a ledger admits under, so that there is one moment at which others take their place. The
// zero value holds none.
type InForce struct {
	set     atomic.Pointer[LimitSet]
	mu      sync.RWMutex // held for reading by whoever admits
	changed chan struct{}
}

// Limits gives those in force, nil before the first Change.
func (f *InForce) Limits() *LimitSet { return f.set.Load() }

// Admit calls do with the limits in force, which stay so until it returns.
func (f *InForce) Admit(do func(*LimitSet) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return do(f.set.Load())
}

// Put puts limits in force from the next admission on.
func (f *InForce) Put(set *LimitSet) {
	_ = f.Change(func() (*LimitSet, error) { return set, nil }) // it fails as its argument does
}

// Change waits until nobody admits, lets nobody begin to, and puts in force what next gives, or nothing if it fails.
func (f *InForce) Change(next func() (*LimitSet, error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	set, err := next()
	if err != nil {
		return err
	}
	f.set.Store(set)
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
	return nil
}

// Await waits until the limits in force are those that are wanted, or ctx ends.
func (f *InForce) Await(ctx context.Context, wanted func() *LimitSet) error {
	for {
		f.mu.Lock()
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		changed := f.changed
		f.mu.Unlock()
		if f.Limits() == wanted() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

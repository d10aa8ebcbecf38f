package deviation

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/intent"
)

// Bounds on what is kept of the traffic.
const (
	// MinTraffic is the number of prompts below which nothing is learnt from them.
	MinTraffic = 500
	// ofOne is the share of the sample that one person's prompts may be, at most: nobody's alone teach the models.
	ofOne = 20
)

// TrafficOptions are what a Traffic is made of. All are required.
type TrafficOptions struct {
	Scorer *Scorer
	// Size is how many prompts are kept in each half of Life, at about 2 kB each and at most 12; MinTraffic or more.
	Size int
	// Life is how long at most anything of a prompt is kept.
	Life time.Duration
	Now  func() time.Time
}

// Traffic keeps features of a random sample of what people ask, without text and without labels, in memory alone: they derive
// from prompts, and must not be written anywhere. It holds at most twice Size, and nothing for longer than Life. It is safe
// for concurrent use.
type Traffic struct {
	o TrafficOptions

	mu      sync.Mutex
	current reservoir
	before  []noted // the sample of the period before
}

// reservoir is a uniform sample of the prompts of a period (Vitter, 1985, algorithm R), but for the bound on one person's.
type reservoir struct {
	since   time.Time
	seen    int
	kept    []noted
	persons map[string]int
}

// noted is what is kept of a prompt, and of whom.
type noted struct {
	person   string
	features *query
}

// NewTraffic gives an empty sample.
func NewTraffic(o TrafficOptions) *Traffic {
	t := &Traffic{o: o}
	t.current.begin(o.Now())
	return t
}

func (r *reservoir) begin(at time.Time) {
	*r = reservoir{since: at, persons: map[string]int{}}
}

// Note may take a prompt of person into the sample. Most are not taken, which costs nothing but a drawn number. A nil t takes
// none.
func (t *Traffic) Note(person string, v *intent.View) {
	if t == nil || v.Unscored != "" {
		return
	}
	by := t.draws()
	if by == nil {
		return
	}
	features := by.sample(v)
	if features == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.o.Scorer != by { // features by another table mean nothing beside these
		return
	}
	t.turn()
	t.current.keep(noted{person, features}, t.o.Size)
}

// draws counts a prompt, and gives the scorer by which it is to be taken, nil if it is not.
func (t *Traffic) draws() *Scorer {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn()
	t.current.seen++
	if rand.IntN(t.current.seen) >= t.o.Size { //nolint:gosec // a sample is no secret
		return nil
	}
	return t.o.Scorer
}

// Use lets go of all that is kept, and keeps what another scorer sees of prompts from now on.
func (t *Traffic) Use(s *Scorer) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.o.Scorer, t.before = s, nil
	t.current.begin(t.o.Now())
}

// turn ends a period when its time is over.
func (t *Traffic) turn() {
	now := t.o.Now()
	past := now.Sub(t.current.since)
	switch {
	case past < t.o.Life/2:
		return
	case past < t.o.Life:
		t.before = t.current.kept
	default:
		t.before = nil
	}
	t.current.begin(now)
}

// keep puts n into the sample: while there is room, or in the place of another. Who has as many as one may have gives one of
// their own for it.
func (r *reservoir) keep(n noted, size int) {
	mine := r.persons[n.person] >= size/ofOne
	switch {
	case mine:
		at := rand.IntN(len(r.kept)) //nolint:gosec // a sample is no secret
		for r.kept[at].person != n.person {
			at = (at + 1) % len(r.kept)
		}
		r.kept[at] = n
	case len(r.kept) < size:
		r.kept = append(r.kept, n)
		r.persons[n.person]++
	default:
		at := rand.IntN(size) //nolint:gosec // a sample is no secret
		r.left(r.kept[at].person)
		r.kept[at] = n
		r.persons[n.person]++
	}
}

func (r *reservoir) left(person string) {
	if r.persons[person]--; r.persons[person] == 0 {
		delete(r.persons, person)
	}
}

// Forget lets go of all that is kept of a person's prompts, and reports whether there was any. What was learnt beside it is
// for the caller to learn anew.
func (t *Traffic) Forget(person string) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	had := len(t.before) + len(t.current.kept)
	t.before = without(t.before, person)
	t.current.kept = without(t.current.kept, person)
	delete(t.current.persons, person)
	return had > len(t.before)+len(t.current.kept)
}

func without(all []noted, person string) []noted {
	var others []noted
	for _, n := range all {
		if n.person != person {
			others = append(others, n)
		}
	}
	return others
}

// Background gives what is kept now, nil while that is less than MinTraffic prompts.
func (t *Traffic) Background() *Background { return t.BackgroundFor(nil) }

// BackgroundFor is Background for tasks that s compiles, nil while what is kept is of another scorer. A nil s is any.
func (t *Traffic) BackgroundFor(s *Scorer) *Background {
	samples := t.samples(s)
	if len(samples) < MinTraffic {
		return nil
	}
	return newBackground(samples)
}

func (t *Traffic) samples(of *Scorer) []*query {
	t.mu.Lock()
	defer t.mu.Unlock()
	if of != nil && of != t.o.Scorer {
		return nil
	}
	t.turn()
	samples := make([]*query, 0, len(t.before)+len(t.current.kept))
	for _, half := range [2][]noted{t.before, t.current.kept} {
		for _, n := range half {
			samples = append(samples, n.features)
		}
	}
	return samples
}

package deviation

import (
	"math"
	"sync"

	"github.com/plumbline/plumbline/internal/intent"
)

// Bounds on a prompt's side: views are bounded already, these only fit the buffers.
const (
	maxQueryWords = 512
	maxStrange    = 24 // words that the background does not have and that are compared by spelling
	querySlots    = 2048
	// longEnough is the number of words from which the model, which learnt on short prompts, takes all prompts as equal.
	longEnough = 12
)

// query is a view made ready for comparison with any number of tasks.
type query struct {
	words  []queryWord
	slots  [querySlots]uint16 // open addressing from stem to word + 1
	total  float32            // sum of the words' weights
	norm   float32            // length of the tf-idf vector
	vector vector
	near   []float64 // cosine to each generic activity
	misses []spelling
}

// queryWord is a distinct content word.
type queryWord struct {
	text    string
	stem    uint32
	row     int32 // of the background, -1 for none
	weight  float32
	strange int32 // index in misses, -1 for none
}

var queryPool = sync.Pool{New: func() any { return new(query) }}

// prepare fills q from words, each counted once however often it is repeated, and reports whether any has content.
func (s *Scorer) prepare(q *query, words []intent.Word) bool {
	q.words, q.near, q.misses = q.words[:0], q.near[:0], q.misses[:0]
	clear(q.slots[:])
	q.total, q.norm, q.vector = 0, 0, vector{}
	for _, w := range words {
		if !w.Content || len(q.words) == maxQueryWords {
			continue
		}
		at, found := q.find(w.Stem)
		if found >= 0 {
			continue
		}
		qw := queryWord{text: w.Text, stem: w.Stem, row: s.row(w.Stem), strange: -1}
		qw.weight = s.idf(qw.row) * w.Weight
		if qw.row >= 0 {
			q.vector.add(&s.vectors[qw.row], qw.weight)
		} else if len(q.misses) < maxStrange {
			qw.strange = int32(len(q.misses))
			q.misses = append(q.misses, spell(w))
		}
		q.words = append(q.words, qw)
		q.slots[at] = uint16(len(q.words))
		q.total += qw.weight
		q.norm += qw.weight * qw.weight
	}
	if len(q.words) == 0 {
		return false
	}
	q.norm = sqrt(q.norm)
	q.vector.normalise()
	for i := range s.generic {
		q.near = append(q.near, q.vector.dot(&s.generic[i]))
	}
	return true
}

// find gives the slot for stem, and its word's index or -1.
func (q *query) find(stem uint32) (at uint32, word int) {
	for at = (stem * 0x9E3779B1) >> 21; ; at = (at + 1) % querySlots {
		word = int(q.slots[at]) - 1
		if word < 0 || q.words[word].stem == stem {
			return at, word
		}
	}
}

// overlap is the tf-idf cosine of q and p.
func (q *query) overlap(p *piece) float64 {
	sum := float32(0)
	for _, stem := range p.stems {
		if _, i := q.find(stem); i >= 0 {
			sum += q.words[i].weight * q.words[i].weight
		}
	}
	if sum == 0 {
		return 0
	}
	return float64(sum / (q.norm * p.norm))
}

// nearestOf gives the best cosine by use and the best by wording to any of pieces.
func (q *query) nearestOf(pieces []piece) (use, wording float64) {
	for i := range pieces {
		use = max(use, q.vector.dot(&pieces[i].vector))
		wording = max(wording, q.overlap(&pieces[i]))
	}
	return use, wording
}

func (s *Scorer) features(q *query, t *Task) (f Features) {
	var alike, shared float32
	for i := range q.words {
		w := &q.words[i]
		a := q.alike(t, w)
		alike += w.weight * a
		if a == 1 {
			shared += w.weight
		}
	}
	f[FeatureAlike] = float64(alike / q.total)
	f[FeatureShared] = float64(shared / q.total)
	f[FeatureWhole] = q.vector.dot(&t.whole)
	f[FeaturePhrase], f[FeatureWording] = q.nearestOf(t.phrases)
	f[FeatureGeneric] = q.generic(t)
	f[FeatureLength] = math.Log1p(float64(min(len(q.words), longEnough)))
	if len(t.examples) > 0 {
		f[FeatureExample], f[FeatureQuoted] = q.nearestOf(t.examples)
		f[FeatureExamples] = math.Log1p(float64(len(t.examples)))
	}
	return f
}

// alike gives how alike w is to its likest word of t, in [0, 1].
func (q *query) alike(t *Task, w *queryWord) float32 {
	if w.row >= 0 {
		return float32(t.alikeRow[w.row]) / same
	}
	best := float32(0)
	if w.strange >= 0 {
		for i := range t.spelled {
			best = max(best, q.misses[w.strange].alike(&t.spelled[i]))
		}
	}
	return best
}

// generic gives the mean cosine to the three nearest activities that t is told from.
func (q *query) generic(t *Task) float64 {
	var first, second, third float64
	for _, i := range t.generic {
		switch near := q.near[i]; {
		case near > first:
			first, second, third = near, first, second
		case near > second:
			second, third = near, second
		case near > third:
			third = near
		}
	}
	return (first + second + third) / 3
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

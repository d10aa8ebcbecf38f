package deviation

import (
	"math"
	"math/bits"
	"slices"

	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/intent"
)

// Bounds on a prompt's side: views are bounded already, these only fit the buffers.
const (
	maxQueryWords = 512
	maxStrange    = 24 // words that are no piece of the table and that are compared by spelling
	minSlots      = 64
)

// query is a view made ready for comparison with any number of tasks.
type query struct {
	words  []queryWord   // distinct, by stem
	pieces []embed.Piece // of the words, and of their repetitions
	slots  []uint16      // open addressing from stem to word + 1, at least twice as many as words
	shift  uint8         // from a stem's hash to its slot
	total  float32       // sum of the content words' weights
	norm   float32       // length of their tf-idf vector
	vector embed.Vector
	probe  embed.Probe // the same, for comparison
	length float32     // of the vector before it was made 1
	near   []float32   // cosine to each generic activity
	misses []spelling
	grams  []uint16 // of the model of words, see examples.go
}

// queryWord is a distinct word.
type queryWord struct {
	text     string
	stem     uint32
	from, to int32 // its pieces
	weight   float32
	strange  int32 // index in misses, -1 for none
	content  bool
}

// prepare fills q from words and their pieces, each word counted once however often it is repeated, and reports whether any has
// content. Pieces may be of more words than these.
func (s *Scorer) prepare(q *query, words []intent.Word, pieces []embed.Piece) bool {
	s.reset(q)
	q.pieces = pieces
	q.makeSlots(min(len(words), maxQueryWords))
	before, turn := int32(-1), float32(0) // the last piece of the word before, in the same turn
	for i := range words {
		w := &words[i]
		if w.Weight != turn {
			before, turn = -1, w.Weight
		}
		at, found := q.find(w.Stem)
		if found < 0 {
			if len(q.words) == maxQueryWords {
				break
			}
			found = len(q.words)
			q.slots[at] = uint16(found + 1)
			q.words = append(q.words, s.readWord(q, w, before))
		}
		if to := q.words[found].to; to > q.words[found].from {
			before = to - 1
		}
	}
	if q.total == 0 {
		return false
	}
	q.norm = sqrt(q.norm)
	q.length = q.vector.Normalise()
	q.probe.Read(q.vector)
	for i := range s.activities {
		q.near = append(q.near, q.probe.Dot(&s.activities[i]))
	}
	q.readGrams()
	return true
}

// prepareText fills q from text that is no prompt.
func (s *Scorer) prepareText(q *query, text string) bool {
	words := intent.Words(text)
	return s.prepare(q, words, intent.Cut(s.table, words))
}

func (s *Scorer) reset(q *query) {
	q.words, q.near, q.misses = q.words[:0], q.near[:0], q.misses[:0]
	q.total, q.norm = 0, 0
	if q.vector == nil {
		q.vector = make(embed.Vector, s.table.Dim())
	}
	clear(q.vector)
}

// makeSlots gives q empty slots for n words.
func (q *query) makeSlots(n int) {
	size := minSlots
	for size < 2*n {
		size *= 2
	}
	if cap(q.slots) < size {
		q.slots = make([]uint16, size)
	}
	q.slots = q.slots[:size]
	clear(q.slots)
	q.shift = uint8(33 - bits.Len(uint(size)))
}

// features gives a copy of q to be kept: what is compared of it by stems and pieces, in as little room as it takes, without
// its text and the spelling of strange words.
func (q *query) features() *query {
	kept := &query{
		words: slices.Clone(q.words), total: q.total, norm: q.norm,
		vector: slices.Clone(q.vector), probe: q.probe.Clone(), near: slices.Clone(q.near), grams: slices.Clone(q.grams),
	}
	kept.makeSlots(len(kept.words))
	for i := range kept.words {
		w := &kept.words[i]
		w.text, w.strange = "", -1
		from := int32(len(kept.pieces))
		kept.pieces = append(kept.pieces, q.pieces[w.from:w.to]...)
		w.from, w.to = from, int32(len(kept.pieces))
		at, _ := kept.find(w.stem)
		kept.slots[at] = uint16(i + 1)
	}
	return kept
}

// readWord adds w, which is new, to q. before is the index of the piece that it follows, -1 for none.
func (s *Scorer) readWord(q *query, w *intent.Word, before int32) queryWord {
	from, to := w.Pieces()
	word := queryWord{text: w.Text, stem: w.Stem, from: from, to: to, strange: -1, content: w.Content}
	rarity := float32(0)
	for i := word.from; i < word.to; i++ {
		p := q.pieces[i]
		s.table.AddPiece(q.vector, p, w.Weight)
		if before >= 0 {
			s.table.AddPair(q.vector, q.pieces[before], p, w.Weight)
		}
		before = i
		rarity = max(rarity, s.table.Rarity(p))
	}
	if !word.content {
		return word
	}
	if word.to-word.from != 1 && len(q.misses) < maxStrange {
		word.strange = int32(len(q.misses))
		q.misses = append(q.misses, spell(*w))
	}
	word.weight = weigh(rarity) * w.Weight
	q.total += word.weight
	q.norm += word.weight * word.weight
	return word
}

// Beyond this rarity, and for words without pieces, a word is as rare as any.
const rarest = 8

func weigh(rarity float32) float32 {
	if rarity == 0 {
		return rarest
	}
	return min(rarity, rarest)
}

// find gives the slot for stem, and its word's index or -1.
func (q *query) find(stem uint32) (at uint32, word int) {
	last := uint32(len(q.slots) - 1)
	for at = stem * 0x9E3779B1 >> q.shift; ; at = (at + 1) & last {
		word = int(q.slots[at]) - 1
		if word < 0 || q.words[word].stem == stem {
			return at, word
		}
	}
}

// overlap is the tf-idf cosine of q and p.
func (q *query) overlap(p *piece) float32 {
	sum := float32(0)
	for _, stem := range p.stems {
		if _, i := q.find(stem); i >= 0 {
			sum += q.words[i].weight * q.words[i].weight
		}
	}
	if sum == 0 {
		return 0
	}
	return sum / (q.norm * p.norm)
}

// likenesses gives the weighted share of the words of q that are words of t, and alike their weighted mean likeness to their
// likest words of t.
func (q *query) likenesses(t *Task) (shared, alike float32) {
	for i := range q.words {
		w := &q.words[i]
		if !w.content {
			continue
		}
		if t.has(w.stem) {
			shared += w.weight
			alike += w.weight
			continue
		}
		alike += w.weight * q.akin(t, w)
	}
	return shared / q.total, alike / q.total
}

// alike gives how alike w is to its likest word of t, in [0, 1].
func (q *query) alike(t *Task, w *queryWord) float32 {
	if t.has(w.stem) {
		return 1
	}
	return q.akin(t, w)
}

// akin is alike for a word that is none of t.
func (q *query) akin(t *Task, w *queryWord) float32 {
	best := float32(0)
	if w.strange >= 0 {
		for i := range t.spelled {
			best = max(best, q.misses[w.strange].alike(&t.spelled[i]))
		}
	}
	if w.to == w.from {
		return best
	}
	sum := float32(0)
	for _, p := range q.pieces[w.from:w.to] {
		sum += t.likeness(p)
	}
	return max(best, sum/float32(w.to-w.from))
}

// meaning is how near q is to t as a whole and to its nearest phrase, less how near it is to what anybody might ask.
func (q *query) meaning(t *Task) float32 {
	best := float32(0)
	for i := range t.phrases {
		best = max(best, q.probe.Dot(&t.phrases[i].vector))
	}
	return q.probe.Dot(&t.whole) + best - contrastWeight*q.contrast(t)
}

// contrast gives the mean cosine to the three nearest activities that t is told from.
func (q *query) contrast(t *Task) float32 {
	var first, second, third float32
	for _, i := range t.activities {
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

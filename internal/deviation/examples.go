package deviation

import (
	"math"

	"github.com/plumbline/plumbline/internal/embed"
)

// quoting is what likeness of wording counts beside likeness of meaning, for the nearest example.
const quoting = 0.7

// nearest gives how near q is to the nearest example of t: by meaning, and by wording.
func (q *query) nearest(t *Task) float32 {
	meaning, wording := float32(0), float32(0)
	for i := range t.examples {
		meaning = max(meaning, q.vector.Dot(t.examples[i].vector))
		wording = max(wording, q.overlap(&t.examples[i]))
	}
	return meaning + quoting*wording
}

// gramSlots is the number of weights of the model of words.
const gramSlots = 1 << 12

// learnt are two logistic models that tell a task's examples from generic sentences.
type learnt struct {
	grams     []float32 // one a slot
	gramsBias float32
	columns   embed.Vector
	bias      float32
}

// byWords gives the log-odds of q by its words and pairs of words, and byMeaning those by its vector.
func (l *learnt) byWords(q *query) float32 {
	sum := float32(0)
	for _, g := range q.grams {
		sum += l.grams[g]
	}
	return l.gramsBias + sum*gramScale(len(q.grams))
}

func (l *learnt) byMeaning(q *query) float32 { return l.bias + spread*q.vector.Dot(l.columns) }

// gramScale makes texts of all lengths alike.
func gramScale(n int) float32 { return 1 / sqrt(float32(max(n, 1))) }

// spread widens unit vectors, so that the weights stay within what regularisation leaves them.
const spread = 4

// readGrams gives q the slots of its distinct words, by stem, and of the pairs of words next to one another.
func (q *query) readGrams() {
	q.grams = q.grams[:0]
	before := uint32(0)
	for i := range q.words {
		stem := q.words[i].stem
		q.grams = append(q.grams, gram(stem), gram(before*31+stem+1))
		before = stem
	}
}

func gram(h uint32) uint16 { return uint16(h * 0x9E3779B1 >> 20) }

// Training of the two models: passes over the examples and as many generic sentences, the rate of the first, and how much of
// each weight a pass takes back.
const (
	passes = 30
	rate   = 0.5
	decay  = 0.002
)

// learn trains on the examples of a task against generic sentences, both sides weighted alike. It is deterministic.
func learn(examples, others []*query, dim int) *learnt {
	l := &learnt{grams: make([]float32, gramSlots), columns: make(embed.Vector, dim)}
	for pass := range passes {
		step := float32(rate) * (1 - float32(pass)/passes)
		// Generic sentences are many: the examples are gone through again and again beside them.
		share := float32(1)
		if len(examples) < len(others) {
			share = float32(len(examples)) / float32(len(others))
		}
		for i, other := range others {
			l.step(other, 0, step*max(share, 0.1))
			l.step(examples[i%len(examples)], 1, step*max(share, 0.1))
		}
		for i := range l.grams {
			l.grams[i] *= 1 - decay
		}
		for i := range l.columns {
			l.columns[i] *= 1 - decay
		}
	}
	return l
}

// step moves both models towards what is true of q, 1 for an example.
func (l *learnt) step(q *query, truth, step float32) {
	off := step * (truth - logistic(l.byWords(q)))
	l.gramsBias += off
	for _, g := range q.grams {
		l.grams[g] += off * gramScale(len(q.grams))
	}
	off = step * (truth - logistic(l.byMeaning(q)))
	l.bias += off
	for i, x := range q.vector {
		l.columns[i] += off * spread * x
	}
}

func logistic(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

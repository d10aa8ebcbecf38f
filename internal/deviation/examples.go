package deviation

import (
	"math"

	"github.com/plumbline/plumbline/internal/embed"
)

// quoting is what likeness of wording counts beside likeness of meaning, for the nearest example.
const quoting = 0.7

// nearest gives how near q is to the nearest of examples: by meaning, and by wording.
func (q *query) nearest(examples []piece) float32 {
	meaning, wording := float32(0), float32(0)
	for i := range examples {
		meaning = max(meaning, q.probe.Dot(&examples[i].vector))
		wording = max(wording, q.overlap(&examples[i]))
	}
	return meaning + quoting*wording
}

// nearOutside is the likeness below which an out-of-scope example says nothing of a prompt: as far, anything is like anything.
const nearOutside = 0.6

// beyond gives how much nearer q is to an out-of-scope example of t than to all that is in its scope, 0 for not at all.
func (q *query) beyond(t *Task) float32 {
	out := q.nearest(t.outside)
	if out <= nearOutside {
		return 0
	}
	return max(out-max(nearOutside, q.nearest(t.examples), q.nearest(t.phrases)), 0)
}

// gramSlots is the number of weights of the model of words.
const gramSlots = 1 << 13

// learnt are two logistic models that tell what is on a task from what is not: as they are kept, the weights of words in half of
// the room that they were learnt in.
type learnt struct {
	grams     []int16 // one a slot
	gramUnit  float32 // what 1 is of them
	gramsBias float32
	columns   embed.Vector
	bias      float32
}

// keep gives what is kept of l, which shares its columns.
func (l *learning) keep() *learnt {
	most := float32(0)
	for _, g := range l.grams {
		most = max(most, g, -g)
	}
	kept := &learnt{make([]int16, gramSlots), most / math.MaxInt16, l.gramsBias, l.columns, l.bias}
	if kept.gramUnit == 0 {
		return kept
	}
	for i, g := range l.grams {
		kept.grams[i] = int16(math.RoundToEven(float64(g / kept.gramUnit)))
	}
	return kept
}

// byWords gives the log-odds of q by its words and pairs of words, and byMeaning those by its vector.
func (l *learnt) byWords(q *query) float32 {
	sum := int32(0)
	for _, g := range q.grams {
		sum += int32(l.grams[g])
	}
	return l.gramsBias + float32(sum)*l.gramUnit*gramScale(len(q.grams))
}

func (l *learnt) byMeaning(q *query) float32 { return l.bias + spread*q.vector.Dot(l.columns) }

// learning is learnt while it learns.
type learning struct {
	grams           []float32
	gramsBias, bias float32
	columns         embed.Vector
}

func (l *learning) byWords(q *query) float32 {
	sum := float32(0)
	for _, g := range q.grams {
		sum += l.grams[g]
	}
	return l.gramsBias + sum*gramScale(len(q.grams))
}

func (l *learning) byMeaning(q *query) float32 { return l.bias + spread*q.vector.Dot(l.columns) }

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

func gram(h uint32) uint16 { return uint16(h * 0x9E3779B1 >> 19) }

// Training of the two models: steps down the gradient of all texts, their size, and how much of each weight a step takes back.
const (
	steps = 60
	rate  = 8
	decay = 0.002
)

// lesson is a text to learn from: what is true of it, 1 for on the task, and what it counts.
type lesson struct {
	*query
	truth, weight float32
}

// lessons weighs both sides alike. Of what is not an example, alike says how far it is taken for one; nil: not at all.
func lessons(examples, others []*query, alike []float32) []lesson {
	on, off := float32(len(examples)), float32(len(others))
	for _, a := range alike {
		on, off = on+a, off-a
	}
	all := make([]lesson, 0, len(examples)+len(others))
	for _, q := range examples {
		all = append(all, lesson{q, 1, 0.5 / on})
	}
	for i, q := range others {
		l := lesson{q, 0, 0.5 / off}
		if alike != nil {
			yes, no := alike[i]*0.5/on, (1-alike[i])*0.5/off
			l.truth, l.weight = yes/(yes+no), yes+no
		}
		all = append(all, l)
	}
	return all
}

// learn trains both models, by steps down the whole gradient: the same lessons give the same models.
func learn(all []lesson, dim int) *learning {
	l := &learning{grams: make([]float32, gramSlots), columns: make(embed.Vector, dim)}
	grams, columns := make([]float32, gramSlots), make(embed.Vector, dim)
	for range steps {
		clear(grams)
		clear(columns)
		gramsBias, bias := float32(0), float32(0)
		for _, q := range all {
			off := q.weight * (q.truth - logistic(l.byWords(q.query)))
			gramsBias += off
			off *= gramScale(len(q.grams))
			for _, g := range q.grams {
				grams[g] += off
			}
			off = q.weight * (q.truth - logistic(l.byMeaning(q.query)))
			bias += off
			add(columns, q.vector, off*spread)
		}
		l.gramsBias += rate * gramsBias
		l.bias += rate * bias
		for i, g := range grams {
			l.grams[i] += rate * (g - decay*l.grams[i])
		}
		for i, g := range columns {
			l.columns[i] += rate * (g - decay*l.columns[i])
		}
	}
	return l
}

func add(to, v embed.Vector, weight float32) {
	v = v[:len(to)]
	for i := range to {
		to[i] += weight * v[i]
	}
}

func logistic(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

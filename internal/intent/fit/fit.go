// Package fit learns the two heads of a classifier of prompts from labelled ones: a linear one on hashed n-grams and a
// softmax one on the vector of the text. Package intent carries what was learnt and classifies by it.
//
// Learning is repeatable bit for bit: one goroutine, fixed seeds, and no product that an architecture might fuse with a sum.
// It serves training and evaluation and must not be imported by the request path. It imports nothing of Plumbline.
package fit

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Example is a labelled prompt.
type Example struct {
	// Rows are the hashed features of its words. A row stands as often as its feature does.
	Rows []uint32
	// Vector is the vector of its text, of length 1.
	Vector []float32
	// Class is the number of its label.
	Class int
	// Weight is how much an error on it costs; 1 is the ordinary.
	Weight float32
}

// Linear is a head with a margin for each class: the weights of the features' rows, summed and divided by the root of the
// number of features, and a bias.
type Linear struct {
	Classes int
	Weights []float32 // a row for each feature, a column for each class
	Bias    []float32
}

// LinearOptions say how a linear head is learnt.
type LinearOptions struct {
	Rows    int // of the table that features are hashed into
	Classes int
	// Cost is the price of an error against that of large weights.
	Cost float64
	// Epochs is how often each example is seen.
	Epochs int
	Seed   uint64
	// Rare lets a feature weigh the more easily the fewer examples have it, by the root of the logarithm: what most prompts
	// have in common is then learnt last.
	Rare bool
}

// NewLinear learns one class against the others by a support vector machine with squared hinge loss, in its dual and by
// coordinates (Hsieh et al., "A Dual Coordinate Descent Method for Large-scale Linear SVM", 2008). All classes are learnt in
// one pass over the examples, so that a row is fetched once.
func NewLinear(examples []Example, o LinearOptions) *Linear {
	l := &Linear{Classes: o.Classes, Weights: make([]float32, o.Rows*o.Classes), Bias: make([]float32, o.Classes)}
	s := solver{Linear: l, alpha: make([]float32, len(examples)*o.Classes), margin: make([]float32, o.Classes)}
	s.features = make([][]feature, len(examples))
	for i, e := range examples {
		s.features[i] = features(e.Rows)
	}
	var ease []float32
	if o.Rare {
		ease = rarities(s.features, o.Rows)
		for _, of := range s.features {
			for i, f := range of {
				of[i].value = float32(f.value * ease[f.row])
			}
		}
	}
	order := make([]int, len(examples))
	for i := range order {
		order[i] = i
	}
	shuffle := rand.New(rand.NewPCG(o.Seed, 1)) //nolint:gosec // the same heads for a seed
	for range o.Epochs {
		shuffle.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			s.step(i, examples[i], float32(1/(2*o.Cost*float64(examples[i].Weight))))
		}
	}
	for row, by := range ease {
		for k := range o.Classes {
			l.Weights[row*o.Classes+k] *= by
		}
	}
	return l
}

// rarities gives each row the root of its share of the greatest logarithm: 1 where no example has it, 0 where all do.
func rarities(features [][]feature, rows int) []float32 {
	having := make([]int, rows)
	for _, of := range features {
		for _, f := range of {
			having[f.row]++
		}
	}
	all := make([]float32, rows)
	most := math.Log(float64(len(features) + 1))
	for row, n := range having {
		all[row] = float32(math.Sqrt(1 - math.Log(float64(n+1))/most))
	}
	return all
}

// Margins puts the margin of each class into m.
func (l *Linear) Margins(m []float32, rows []uint32) {
	clear(m)
	for _, r := range rows {
		w := l.Weights[int(r)*l.Classes : (int(r)+1)*l.Classes]
		for k := range m {
			m[k] += w[k]
		}
	}
	scale := invRoot(len(rows))
	for k := range m {
		m[k] = float32(m[k]*scale) + l.Bias[k]
	}
}

// feature is a row and its value in one example.
type feature struct {
	row   uint32
	value float32
}

// features counts the rows of an example. Values have the length 1/sqrt(n) for each time that a feature stands.
func features(rows []uint32) []feature {
	sorted := slices.Sorted(slices.Values(rows))
	unit := invRoot(len(rows))
	var f []feature
	for _, r := range sorted {
		if n := len(f); n > 0 && f[n-1].row == r {
			f[n-1].value += unit
			continue
		}
		f = append(f, feature{r, unit})
	}
	return f
}

// solver holds the dual variables, one an example and class.
type solver struct {
	*Linear
	features [][]feature
	alpha    []float32
	margin   []float32
}

// step improves the dual variables of example i. diagonal is what squared hinge loss adds to its square.
func (s *solver) step(i int, e Example, diagonal float32) {
	square := 1 + diagonal // of the bias
	clear(s.margin)
	for _, f := range s.features[i] {
		square += f.value * f.value
		w := s.Weights[int(f.row)*s.Classes : (int(f.row)+1)*s.Classes]
		m := s.margin[:len(w)]
		for k, x := range w {
			m[k] += float32(x * f.value)
		}
	}
	alpha := s.alpha[i*s.Classes : (i+1)*s.Classes]
	for k := range alpha {
		side := float32(-1)
		if k == e.Class {
			side = 1
		}
		gradient := float32(side*(s.margin[k]+s.Bias[k])) - 1 + float32(diagonal*alpha[k])
		if alpha[k] == 0 && gradient >= 0 {
			continue
		}
		old := alpha[k]
		alpha[k] = max(old-gradient/square, 0)
		if change := float32((alpha[k] - old) * side); change != 0 {
			s.Bias[k] += change
			for _, f := range s.features[i] {
				s.Weights[int(f.row)*s.Classes+k] += float32(change * f.value)
			}
		}
	}
}

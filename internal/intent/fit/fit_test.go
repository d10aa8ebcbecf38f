package fit

import (
	"math"
	"slices"
	"testing"
)

// apart are examples of three classes that each have a row and a direction of their own, and a row that all share.
func apart() []Example {
	var all []Example
	for i := range 60 {
		class := i % 3
		vector := make([]float32, 4)
		vector[class], vector[3] = 0.8, 0.6
		all = append(all, Example{Rows: []uint32{uint32(class), 7, 7}, Vector: vector, Class: class, Weight: 1})
	}
	return all
}

func TestHeadsTellWhatIsApart(t *testing.T) {
	examples := apart()
	l := NewLinear(examples, LinearOptions{Rows: 8, Classes: 3, Cost: 1, Epochs: 10, Seed: 1})
	s := NewSoftmax(examples, SoftmaxOptions{Classes: 3, Decay: 1e-5, Epochs: 10, Seed: 1})
	margins, logs := make([]float32, 3), make([]float32, 3)
	for _, e := range examples[:3] {
		l.Margins(margins, e.Rows)
		s.LogProbabilities(logs, e.Vector)
		total := 0.0
		for _, x := range logs {
			total += math.Exp(float64(x))
		}
		if slices.Index(margins, slices.Max(margins)) != e.Class || slices.Index(logs, slices.Max(logs)) != e.Class {
			t.Errorf("class %d: margins %v, logarithms %v", e.Class, margins, logs)
		}
		if math.Abs(total-1) > 1e-5 {
			t.Errorf("probabilities sum to %v", total)
		}
	}
}

// TestWhatAllExamplesHaveWeighsNothing holds where rare features are to weigh more easily, and that the head then tells as
// well what is apart.
func TestWhatAllExamplesHaveWeighsNothing(t *testing.T) {
	examples := apart()
	o := LinearOptions{Rows: 8, Classes: 3, Cost: 1, Epochs: 10, Seed: 1}
	plain := NewLinear(examples, o)
	o.Rare = true
	rare := NewLinear(examples, o)
	if plain.Weights[7*3] == 0 {
		t.Error("the row that all share weighs nothing without it either")
	}
	if common := rare.Weights[7*3 : 8*3]; common[0] != 0 || common[1] != 0 || common[2] != 0 {
		t.Errorf("the row that all share weighs %v", common)
	}
	margins := make([]float32, 3)
	for _, e := range examples[:3] {
		if rare.Margins(margins, e.Rows); slices.Index(margins, slices.Max(margins)) != e.Class {
			t.Errorf("class %d: margins %v", e.Class, margins)
		}
	}
}

// TestLinearHeadIsAtItsOptimum compares with the optimum of a problem that is solved by hand: a row of value 1 and a bias,
// one example of each side.
func TestLinearHeadIsAtItsOptimum(t *testing.T) {
	examples := []Example{{Rows: []uint32{0}, Class: 0, Weight: 1}, {Rows: []uint32{1}, Class: 1, Weight: 1}}
	l := NewLinear(examples, LinearOptions{Rows: 2, Classes: 2, Cost: 0.5, Epochs: 200, Seed: 1})
	// By symmetry both dual variables are one number a: of the first class w0 = a, w1 = -a, b = 0, and the gradient
	// a - 1 + a/(2C) = 0 gives a = 1/2 for C = 1/2.
	for i, want := range []float32{0.5, -0.5, -0.5, 0.5} {
		if got := l.Weights[i]; math.Abs(float64(got-want)) > 1e-4 {
			t.Errorf("weight %d: %v, want %v", i, got, want)
		}
	}
	if math.Abs(float64(l.Bias[0])) > 1e-4 || math.Abs(float64(l.Bias[1])) > 1e-4 {
		t.Errorf("biases %v", l.Bias)
	}
}

func TestRowsCountAsOftenAsTheyStand(t *testing.T) {
	got := features([]uint32{5, 2, 5, 5})
	if want := []feature{{2, 0.5}, {5, 1.5}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLearningIsRepeatable(t *testing.T) {
	o := LinearOptions{Rows: 8, Classes: 3, Cost: 1, Epochs: 5, Seed: 9}
	if a, b := NewLinear(apart(), o), NewLinear(apart(), o); !slices.Equal(a.Weights, b.Weights) {
		t.Error("two linear heads of the same examples differ")
	}
	p := SoftmaxOptions{Classes: 3, Decay: 1e-4, Epochs: 5, Seed: 9}
	if a, b := NewSoftmax(apart(), p), NewSoftmax(apart(), p); !slices.Equal(a.Weights, b.Weights) {
		t.Error("two softmax heads of the same examples differ")
	}
}

func TestPrototypesLieAmongTheirExamples(t *testing.T) {
	p := Prototypes(apart(), 4, 2, 1) // the fourth class has no example
	if len(p) != 3*2*4 {
		t.Fatalf("%d numbers", len(p))
	}
	for from := 0; from < len(p); from += 4 {
		v := p[from : from+4]
		if math.Abs(float64(Dot(v, v))-1) > 1e-5 || v[3] < 0.59 || v[3] > 0.61 {
			t.Errorf("%v", v)
		}
	}
}

package fit

import (
	"math"
	"math/rand/v2"
)

// Sharpness is what a vector of length 1 is multiplied by before the softmax head sees it.
const Sharpness = 4

// Softmax is a head that gives each class the logarithm of its probability.
type Softmax struct {
	Classes, Dim int
	Weights      []float32 // a row for each class
	Bias         []float32
}

// SoftmaxOptions say how a softmax head is learnt.
type SoftmaxOptions struct {
	Classes int
	// Decay is the price of large weights.
	Decay  float64
	Epochs int
	Seed   uint64
}

// NewSoftmax learns a multinomial logistic model by stochastic gradient descent with a step per weight (Adagrad).
func NewSoftmax(examples []Example, o SoftmaxOptions) *Softmax {
	dim := len(examples[0].Vector)
	s := &Softmax{Classes: o.Classes, Dim: dim, Weights: make([]float32, o.Classes*dim), Bias: make([]float32, o.Classes)}
	seen := make([]float32, len(s.Weights)+o.Classes)
	order := make([]int, len(examples))
	for i := range order {
		order[i] = i
	}
	p := make([]float32, o.Classes)
	decay := float32(o.Decay)
	shuffle := rand.New(rand.NewPCG(o.Seed, 2)) //nolint:gosec // the same heads for a seed
	for epoch := range o.Epochs {
		rate := float32(0.3 * (1 - float64(epoch)/float64(o.Epochs)))
		shuffle.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			e := examples[i]
			s.LogProbabilities(p, e.Vector)
			for k := range p {
				g := float32(math.Exp(float64(p[k])))
				if k == e.Class {
					g--
				}
				g *= e.Weight
				b := &seen[len(s.Weights)+k]
				*b += float32(g * g)
				s.Bias[k] -= float32(rate * g / root(*b+1e-2))
				w, u := s.Weights[k*dim:(k+1)*dim], seen[k*dim:(k+1)*dim]
				for j, x := range e.Vector {
					gj := float32(g*Sharpness*x) + float32(decay*w[j])
					u[j] += float32(gj * gj)
					w[j] -= float32(rate * gj / root(u[j]+1e-2))
				}
			}
		}
	}
	return s
}

// LogProbabilities puts the logarithm of each class's probability into p.
func (s *Softmax) LogProbabilities(p, vector []float32) {
	most := float32(math.Inf(-1))
	for k := range p {
		sum := float32(0)
		for j, w := range s.Weights[k*s.Dim : (k+1)*s.Dim] {
			sum += float32(w * vector[j])
		}
		p[k] = float32(Sharpness*sum) + s.Bias[k]
		most = max(most, p[k])
	}
	total := 0.0
	for _, x := range p {
		total += math.Exp(float64(x - most))
	}
	log := most + float32(math.Log(total))
	for k := range p {
		p[k] -= log
	}
}

func root(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// invRoot is what sums over n features are multiplied by.
func invRoot(n int) float32 { return 1 / root(float32(max(n, 1))) }

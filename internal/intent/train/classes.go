package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/intent/fit"
)

// What was chosen by the validation prompts: of the settings whose accuracy is within a standard error of the best, the one
// that keeps weights smallest.
const (
	cost       = 2
	mix        = 0.2
	decay      = 1e-3
	prototypes = 8 // a class
	// sureEnough is the share of validation prompts above the floor whose class must be right. Those of CLINC150 are easier than
	// most: of other prompts some points less are.
	sureEnough = 0.8
	// outermost is the share of validation prompts that the floor of the scope makes uncertain.
	outermost = 0.01
)

// alike is the cosine above which a prompt that is learnt from is too much like one of the validation set: a few were written
// after those had been read. Numbers that say how sure the model is are fitted with a model that has not seen these.
const alike = 0.7

// heads are what is learnt from examples.
type heads struct {
	linear  *fit.Linear
	meaning *fit.Softmax
}

func learn(examples []fit.Example, classes int) heads {
	return heads{
		fit.NewLinear(examples, fit.LinearOptions{Rows: intent.Rows, Classes: classes, Cost: cost, Epochs: 8, Seed: seed, Rare: true}),
		fit.NewSoftmax(examples, fit.SoftmaxOptions{Classes: classes, Decay: decay, Epochs: 10, Seed: seed}),
	}
}

// sums gives what both heads give each class.
func (h heads) sums(e fit.Example) []float64 {
	margins, logs := make([]float32, h.linear.Classes), make([]float32, h.linear.Classes)
	h.linear.Margins(margins, e.Rows)
	h.meaning.LogProbabilities(logs, e.Vector)
	all := make([]float64, len(margins))
	for k, m := range margins {
		all[k] = float64(m) + float64(mix*logs[k])
	}
	return all
}

// trainClasses learns both heads, and fits the numbers that say how sure they are.
func trainClasses(c *corpus) (intent.Model, string) {
	var report strings.Builder
	n := len(c.labels)
	apart := slices.DeleteFunc(slices.Clone(c.train), func(e fit.Example) bool {
		return slices.ContainsFunc(c.validation, func(v fit.Example) bool { return fit.Dot(v.Vector, e.Vector) > alike })
	})
	fmt.Fprintf(&report, "learnt from %d prompts, %d of them unlike the validation prompts\n", len(c.train), len(apart))
	near := fit.Prototypes(apart, n, prototypes, seed)
	numbers := calibrate(&report, learn(apart, n), near, c)
	h := learn(append(slices.Clone(c.train), c.real...), n)
	m := intent.Model{
		Table: c.table, Labels: c.labels, Numbers: numbers, Bias: h.linear.Bias,
		MeaningBias: h.meaning.Bias, Meaning: h.meaning.Weights, Prototypes: fit.Prototypes(c.train, n, prototypes, seed),
	}
	m.Rows, m.Scale = quantise(h.linear.Weights)
	m.Version = "intent-" + digest(m.Encode())
	fmt.Fprintf(&report, "%s\n", m.Version)
	return m, report.String()
}

// quantise gives weights as signed bytes and what one unit of them is worth.
func quantise(weights []float32) ([]int8, float32) {
	most := 0.0
	for _, w := range weights {
		most = max(most, math.Abs(float64(w)))
	}
	scale := float32(most / 127)
	rows := make([]int8, len(weights))
	for i, w := range weights {
		rows[i] = int8(math.Round(float64(w / scale)))
	}
	return rows, scale
}

func accuracy(h heads, examples []fit.Example) float64 {
	right := 0
	for _, e := range examples {
		if sums := h.sums(e); slices.Index(sums, slices.Max(sums)) == e.Class {
			right++
		}
	}
	return float64(right) / float64(len(examples))
}

// calibrate fits temperature and floors on the validation prompts.
func calibrate(report *strings.Builder, h heads, near []float32, c *corpus) intent.Numbers {
	n := intent.Numbers{Mix: mix}
	var sums [][]float64
	var most, cosines []float64
	for _, e := range c.validation {
		s := h.sums(e)
		sums = append(sums, s)
		if c.labels[e.Class] == core.LabelUncertain {
			continue
		}
		most = append(most, slices.Max(s))
		cosine := -1.0
		for from := 0; from < len(near); from += len(e.Vector) {
			cosine = max(cosine, float64(fit.Dot(near[from:from+len(e.Vector)], e.Vector)))
		}
		cosines = append(cosines, cosine)
	}
	n.SumMean, n.SumSpread = spread(most)
	n.NearMean, n.NearSpread = spread(cosines)
	scope := make([]float64, len(most))
	for i := range most {
		scope[i] = (most[i]-float64(n.SumMean))/float64(n.SumSpread) + (cosines[i]-float64(n.NearMean))/float64(n.NearSpread)
	}
	slices.Sort(scope)
	n.ScopeFloor = float32(scope[int(outermost*float64(len(scope)))])

	best := math.Inf(1)
	for t := 0.02; t < 4; t *= 1.03 {
		loss := 0.0
		for i, e := range c.validation {
			loss -= math.Log(max(probability(sums[i], t)[e.Class], 1e-6))
		}
		if loss < best {
			best, n.Temperature = loss, float32(t)
		}
	}
	n.Floor = floor(sums, float64(n.Temperature), c.validation)
	fmt.Fprintf(report, "validation, those alike not learnt: accuracy %.3f, log-loss %.3f, temperature %.3f, floor %.3f, scope %.3f\n",
		accuracy(h, c.validation), best/float64(len(sums)), n.Temperature, n.Floor, n.ScopeFloor)
	return n
}

// floor is the least probability at and above which as many classes are right as must be.
func floor(sums [][]float64, temperature float64, examples []fit.Example) float32 {
	type answer struct {
		p     float64
		right bool
	}
	var all []answer
	for i, e := range examples {
		p := probability(sums[i], temperature)
		best := slices.Index(p, slices.Max(p))
		all = append(all, answer{p[best], best == e.Class})
	}
	slices.SortFunc(all, func(a, b answer) int { // the surest first
		switch {
		case a.p > b.p:
			return -1
		case a.p < b.p:
			return 1
		default:
			return 0
		}
	})
	least, right := 1.0, 0
	for i, a := range all {
		if a.right {
			right++
		}
		if float64(right) >= sureEnough*float64(i+1) {
			least = a.p
		}
	}
	return float32(least)
}

func probability(sums []float64, temperature float64) []float64 {
	p := make([]float64, len(sums))
	most, total := slices.Max(sums), 0.0
	for k, s := range sums {
		p[k] = math.Exp((s - most) / temperature)
		total += p[k]
	}
	for k := range p {
		p[k] /= total
	}
	return p
}

func spread(values []float64) (mean, deviation float32) {
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
	}
	m := sum / float64(len(values))
	for _, v := range values {
		squares += float64((v - m) * (v - m))
	}
	return float32(m), float32(math.Sqrt(squares / float64(len(values))))
}

// digest names a model by its bytes.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4])
}

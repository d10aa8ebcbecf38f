package main

import (
	_ "embed" // the tasks
	"encoding/json"
	"math"
	"math/rand/v2"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
)

// domainTasks describes each CLINC150 domain as a task, in words of our own.
//
//go:embed domains.json
var domainTasks []byte

func readTasks() ([]core.Task, error) {
	var tasks []core.Task
	return tasks, json.Unmarshal(domainTasks, &tasks)
}

// withExamples gives tasks with n examples each, drawn from train.
func withExamples(tasks []core.Task, train []sample, n int, seed uint64) []core.Task {
	of := map[string][]string{}
	for _, s := range train {
		of[s.domain] = append(of[s.domain], s.text)
	}
	random := rand.New(rand.NewPCG(seed, uint64(n)))
	out := make([]core.Task, len(tasks))
	for i, t := range tasks {
		for _, at := range random.Perm(len(of[t.ID]))[:n] {
			t.Examples = append(t.Examples, of[t.ID][at])
		}
		out[i] = t
	}
	return out
}

func compile(s *deviation.Scorer, tasks []core.Task) []*deviation.Task {
	var out []*deviation.Task
	for _, t := range tasks {
		out = append(out, s.Compile(t))
	}
	return out
}

// pair is a prompt against a task.
type pair struct {
	features deviation.Features
	on       bool
}

func pairs(s *deviation.Scorer, tasks []core.Task, samples []sample) []pair {
	var out []pair
	for _, t := range tasks {
		compiled := s.Compile(t)
		for _, p := range samples {
			if f, ok := s.Features(p.view.Pooled, compiled); ok {
				out = append(out, pair{f, p.domain == t.ID})
			}
		}
	}
	return out
}

// trainDeviation builds the background and fits the two logistic models on the validation split, each domain a task:
// one without examples, one with five or twenty from the training split.
func trainDeviation(c *corpus) (deviation.Model, error) {
	tasks, err := readTasks()
	if err != nil {
		return deviation.Model{}, err
	}
	m := background(c.sentences)
	s, err := deviation.New(m)
	if err != nil {
		return m, err
	}
	described := pairs(s, tasks, c.val)
	m.Described = fitLogistic(described)
	var exemplified []pair
	for _, n := range []int{5, 20} {
		exemplified = append(exemplified, pairs(s, withExamples(tasks, c.train, n, 5), c.val)...)
	}
	m.Exemplified = fitLogistic(exemplified)
	sum, n := 0.0, 0
	for _, p := range described {
		if !p.on {
			sum += p.features[deviation.FeatureAlike]
			n++
		}
	}
	m.Neutral = float32(sum / float64(n))
	m.Version = "lexical-" + digest(m.Encode())
	return m, nil
}

// fitLogistic fits by Newton's method with a small ridge, both classes weighted alike.
func fitLogistic(pairs []pair) deviation.Logistic {
	const (
		n     = deviation.NumFeatures + 1
		ridge = 1e-3
		steps = 12
	)
	on := 0
	for _, p := range pairs {
		if p.on {
			on++
		}
	}
	w := make([]float64, n)
	for range steps {
		gradient, hessian := make([]float64, n), make([][]float64, n)
		for i := range hessian {
			hessian[i] = make([]float64, n)
			hessian[i][i] = ridge
			gradient[i] = ridge * w[i]
		}
		for _, p := range pairs {
			x := append(append(make([]float64, 0, n), p.features[:]...), 1)
			z, y, weight := 0.0, 0.0, 0.5/float64(len(pairs)-on)
			if p.on {
				y, weight = 1, 0.5/float64(on)
			}
			for i := range x {
				z += float64(w[i] * x[i])
			}
			h := 1 / (1 + math.Exp(-z))
			for i := range x {
				gradient[i] += float64(weight * (h - y) * x[i])
				for j := range x {
					hessian[i][j] += float64(weight * h * (1 - h) * x[i] * x[j])
				}
			}
		}
		for i, d := range solve(hessian, gradient) {
			w[i] -= d
		}
	}
	var out deviation.Logistic
	for i := range out.Weights {
		out.Weights[i] = float32(w[i])
	}
	out.Bias = float32(w[n-1])
	return out
}

// solve gives x of a·x = b for a positive definite a (Gauss). It changes both.
func solve(a [][]float64, b []float64) []float64 {
	for p := range a {
		for r := p + 1; r < len(a); r++ {
			f := a[r][p] / a[p][p]
			for c := p; c < len(a); c++ {
				a[r][c] -= float64(f * a[p][c])
			}
			b[r] -= float64(f * b[p])
		}
	}
	for p := len(a) - 1; p >= 0; p-- {
		for c := p + 1; c < len(a); c++ {
			b[p] -= float64(a[p][c] * b[c])
		}
		b[p] /= a[p][p]
	}
	return b
}

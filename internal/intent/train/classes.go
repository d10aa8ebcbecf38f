package main

import (
	"math"
	"math/rand/v2"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/intent"
)

// falseUncertain is the share of in-scope validation prompts that the floor may turn uncertain.
const falseUncertain = 0.03

// example is a prompt as the model sees it.
type example struct {
	rows  []uint32
	class int
}

// trainClasses fits a multinomial logistic model by stochastic gradient descent with a step per row (Adagrad), then
// quantises it and fits temperature and floor on the validation split. Prompts that are out of scope, and sentences that
// belong to no domain, are the class uncertain.
func trainClasses(c *corpus) (intent.Model, error) {
	labels := append(append([]string(nil), c.domains...), core.LabelUncertain)
	classOf := map[string]int{"": len(labels) - 1}
	for i, d := range c.domains {
		classOf[d] = i
	}
	encode := func(samples []sample) []example {
		var all []example
		for _, s := range samples {
			if s.view.Unscored != "" {
				continue
			}
			all = append(all, example{intent.AppendFeatures(nil, s.view.Asked), classOf[s.domain]})
		}
		return all
	}
	train := encode(c.train)
	for _, text := range c.elsewhere {
		train = append(train, example{intent.AppendFeatures(nil, view(text).Asked), len(labels) - 1})
	}
	weights, bias := fitClasses(train, len(labels))
	m := intent.Model{Labels: labels, Bias: bias, Temperature: 1, Weights: make([]int8, len(weights))}
	most := 0.0
	for _, w := range weights {
		most = max(most, math.Abs(w))
	}
	m.Scale = float32(most / 127)
	for i, w := range weights {
		m.Weights[i] = int8(math.Round(w / float64(m.Scale)))
	}
	if err := calibrateClasses(&m, c.val); err != nil {
		return m, err
	}
	m.Version = "clinc-ngram-" + digest(m.Encode())
	return m, nil
}

func fitClasses(train []example, classes int) (weights []float64, bias []float32) {
	const (
		epochs = 12
		rate   = 0.5
		decay  = 2e-6
	)
	weights = make([]float64, intent.Rows*classes)
	seen := make([]float64, len(weights)+classes)
	b := make([]float64, classes)
	p := make([]float64, classes)
	shuffle := rand.New(rand.NewPCG(1, 2))
	for epoch := range epochs {
		step := rate * (1 - float64(epoch)/epochs)
		shuffle.Shuffle(len(train), func(i, j int) { train[i], train[j] = train[j], train[i] })
		for _, e := range train {
			x := 1 / math.Sqrt(float64(max(len(e.rows), 1)))
			copy(p, b)
			for _, row := range e.rows {
				for k, w := range weights[int(row)*classes : (int(row)+1)*classes] {
					p[k] += float64(w * x)
				}
			}
			softmax(p)
			p[e.class]--
			for k, g := range p {
				seen[len(weights)+k] += float64(g * g)
				b[k] -= step * g / math.Sqrt(seen[len(weights)+k]+1e-6)
			}
			for _, row := range e.rows {
				for k, g := range p {
					i := int(row)*classes + k
					g = float64(g*x) + float64(decay*weights[i])
					seen[i] += float64(g * g)
					weights[i] -= step * g / math.Sqrt(seen[i]+1e-3)
				}
			}
		}
	}
	for _, v := range b {
		bias = append(bias, float32(v))
	}
	return weights, bias
}

func softmax(p []float64) {
	most, total := math.Inf(-1), 0.0
	for _, v := range p {
		most = max(most, v)
	}
	for k, v := range p {
		p[k] = math.Exp(v - most)
		total += p[k]
	}
	for k := range p {
		p[k] /= total
	}
}

// calibrateClasses chooses the temperature with the least log-loss on val, and the floor that turns falseUncertain of the
// prompts in scope uncertain.
func calibrateClasses(m *intent.Model, val []sample) error {
	best := math.Inf(1)
	chosen := m.Temperature
	for t := float32(0.3); t < 4; t *= 1.05 {
		m.Temperature = t
		c, err := intent.New(*m)
		if err != nil {
			return err
		}
		loss := 0.0
		for _, s := range val {
			loss -= math.Log(max(probability(c.Classify(s.view), labelOf(s)), 1e-4))
		}
		if loss < best {
			best, chosen = loss, t
		}
	}
	m.Temperature = chosen
	c, err := intent.New(*m)
	if err != nil {
		return err
	}
	var sure []float64
	for _, s := range val {
		if s.domain != "" {
			in := c.Classify(s.view)
			if in.Label == core.LabelUncertain {
				in.Confidence = 0
			}
			sure = append(sure, in.Confidence)
		}
	}
	m.Floor = float32(quantile(sure, falseUncertain))
	return nil
}

func labelOf(s sample) string {
	if s.domain == "" {
		return core.LabelUncertain
	}
	return s.domain
}

// probability gives that of label, 0 where it is not among the most probable.
func probability(in core.Intent, label string) float64 {
	for _, top := range in.Top {
		if top.Label == label {
			return top.P
		}
	}
	return 0
}

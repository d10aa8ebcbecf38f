package evaluate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/intent/fit"
)

// HeadsReport says how well the two heads of intent do on a task that others publish figures of: the 150 intents of CLINC150
// (Larson et al., 2019), learnt from its training split and judged on its test splits.
type HeadsReport struct {
	Table string `json:"table"`
	Train int    `json:"train"`
	// Accuracy is that over the prompts in scope, with each head alone beside it.
	Accuracy Estimate `json:"accuracy"`
	NGrams   float64  `json:"accuracy_ngrams"`
	Meaning  float64  `json:"accuracy_meaning"`
	// AUROC is the probability that a prompt out of scope is farther out than one in scope, FPR95 the share of those out of
	// scope that pass where 95 % of those in scope do.
	AUROC   float64 `json:"auroc"`
	AUROCSE float64 `json:"auroc_se"`
	FPR95   float64 `json:"fpr95"`
}

// What the heads are learnt with; chosen by the validation split.
const (
	clincCost   = 3
	clincDecay  = 1e-5
	clincMix    = 0.2
	clincEpochs = 20
)

// Heads measures both heads on CLINC150 below folder, on one core in about a minute.
func Heads(folder string) (*HeadsReport, error) {
	table, err := embed.Default()
	if err != nil {
		return nil, err
	}
	splits, err := readSplits(folder)
	if err != nil {
		return nil, err
	}
	c := clinc{table: table, dim: table.Dim(), number: map[string]int{}}
	train := c.examples(splits["train"])
	classes := len(c.number)
	c.linear = fit.NewLinear(train, fit.LinearOptions{Rows: intent.Rows, Classes: classes, Cost: clincCost, Epochs: 8, Seed: 1})
	c.meaning = fit.NewSoftmax(train, fit.SoftmaxOptions{Classes: classes, Decay: clincDecay, Epochs: clincEpochs, Seed: 1})

	r := &HeadsReport{Table: table.Version(), Train: len(train)}
	ordinary := c.judge(c.examples(splits["val"]), train)
	in, out := c.judge(c.examples(splits["test"]), train), c.judge(c.examples(splits["oos_test"]), train)
	r.Accuracy = estimate(asJudged(in), share(func(j judged) bool { return j.got == j.want }))
	for _, a := range in {
		r.NGrams += one(a.ngrams == a.want) / float64(len(in))
		r.Meaning += one(a.meaning == a.want) / float64(len(in))
	}
	inScope, outScope := scopesOf(in, ordinary), scopesOf(out, ordinary)
	auroc, variance := area(inScope, outScope)
	r.AUROC, r.AUROCSE = auroc, math.Sqrt(variance)
	r.FPR95 = above(outScope, inScope[int(0.05*float64(len(inScope)))])
	return r, nil
}

// clinc are the heads learnt, and the number of each intent.
type clinc struct {
	table   *embed.Table
	dim     int
	number  map[string]int
	linear  *fit.Linear
	meaning *fit.Softmax
}

// answer is what the heads say of one prompt.
type answer struct {
	want, got, ngrams, meaning int
	most, near                 float64
}

func readSplits(folder string) (map[string][][2]string, error) {
	raw, err := os.ReadFile(filepath.Join(folder, "data_full.json"))
	if err != nil {
		return nil, err
	}
	var splits map[string][][2]string
	if err := json.Unmarshal(raw, &splits); err != nil {
		return nil, fmt.Errorf("data_full.json: %w", err)
	}
	for _, name := range [...]string{"train", "val", "test", "oos_test"} {
		if len(splits[name]) == 0 {
			return nil, fmt.Errorf("data_full.json has no prompts of the split %q", name)
		}
	}
	return splits, nil
}

// examples prepares prompts as the request path would. A label that is met before the heads are learnt is given a number.
func (c *clinc) examples(rows [][2]string) []fit.Example {
	var all []fit.Example
	for _, row := range rows {
		class, known := c.number[row[1]]
		if !known && c.linear == nil {
			class = len(c.number)
			c.number[row[1]] = class
		} else if !known {
			class = -1
		}
		v := intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: row[0]}}})
		vector := make(embed.Vector, c.dim)
		v.Meaning(c.table, vector)
		all = append(all, fit.Example{Rows: intent.AppendFeatures(nil, v.Asked), Vector: vector, Class: class, Weight: 1})
	}
	return all
}

func (c *clinc) judge(examples, train []fit.Example) []answer {
	margins, logs := make([]float32, len(c.number)), make([]float32, len(c.number))
	sums := make([]float32, len(c.number))
	var all []answer
	for _, e := range examples {
		c.linear.Margins(margins, e.Rows)
		c.meaning.LogProbabilities(logs, e.Vector)
		for k := range sums {
			sums[k] = margins[k] + float32(clincMix*logs[k])
		}
		a := answer{want: e.Class, got: greatest(sums), ngrams: greatest(margins), meaning: greatest(logs), near: -1}
		a.most = float64(sums[a.got])
		for _, t := range train {
			a.near = max(a.near, float64(fit.Dot(t.Vector, e.Vector)))
		}
		all = append(all, a)
	}
	return all
}

// scopesOf gives how far within the scope each answer is, in order: the greatest sum and the cosine to the nearest prompt
// that was learnt from, each in deviations of what ordinary ones have.
func scopesOf(answers, ordinary []answer) []float64 {
	most, near := func(a answer) float64 { return a.most }, func(a answer) float64 { return a.near }
	var all []float64
	mean, deviation := moments(ordinary, most)
	nearMean, nearDeviation := moments(ordinary, near)
	for _, a := range answers {
		all = append(all, (a.most-mean)/deviation+(a.near-nearMean)/nearDeviation)
	}
	slices.Sort(all)
	return all
}

func moments(answers []answer, of func(answer) float64) (mean, deviation float64) {
	var values []float64
	for _, a := range answers {
		values = append(values, of(a))
		mean += of(a) / float64(len(answers))
	}
	return mean, math.Sqrt(spread(values))
}

func asJudged(answers []answer) []judged {
	var all []judged
	for _, a := range answers {
		all = append(all, judged{want: a.want, got: a.got})
	}
	return all
}

func greatest[T cmp.Ordered](values []T) int { return slices.Index(values, slices.Max(values)) }

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

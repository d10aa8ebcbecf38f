package evaluate

import (
	"math"
	"slices"
	"sort"
)

// FewestLabelled is how many prompts on task, and how many off it, two scorers are compared by at least.
const FewestLabelled = 20

// Scored is a prompt that people labelled, as two scorers score it.
type Scored struct {
	OnTask        bool
	Before, After float64
}

// Labelled is how two scorers part the same labelled prompts.
type Labelled struct {
	OnTask  int     `json:"on_task"`
	OffTask int     `json:"off_task"`
	Before  Figures `json:"before"`
	After   Figures `json:"after"`
	// AUROC is what is more afterwards, and SE its standard error, over the prompts, each compared with itself.
	AUROC float64 `json:"auroc_difference"`
	SE    float64 `json:"auroc_difference_se"`
}

// CompareLabelled compares two scorers by labelled prompts; nil where there are too few to say anything.
func CompareLabelled(prompts []Scored) *Labelled {
	var before, after parted
	for _, p := range prompts {
		before.add(p.OnTask, p.Before)
		after.add(p.OnTask, p.After)
	}
	l := &Labelled{OnTask: len(before.on), OffTask: len(before.off)}
	if l.OnTask < FewestLabelled || l.OffTask < FewestLabelled {
		return nil
	}
	l.Before, l.After = before.figures(), after.figures()
	l.AUROC = l.After.AUROC - l.Before.AUROC
	l.SE = math.Sqrt(spreadOfDifferences(before.off, after.off, before.on, after.on)/float64(l.OffTask) +
		spreadOfDifferences(before.on, after.on, before.off, after.off)/float64(l.OnTask))
	return l
}

// Worse reports whether there is less afterwards than the error explains.
func (l *Labelled) Worse() bool { return l.AUROC < -l.SE }

// parted are the scores of prompts on and off task, in the order of the prompts.
type parted struct{ on, off []float64 }

func (p *parted) add(onTask bool, score float64) {
	if onTask {
		p.on = append(p.on, score)
	} else {
		p.off = append(p.off, score)
	}
}

func (p *parted) figures() Figures {
	on, off := slices.Sorted(slices.Values(p.on)), slices.Sorted(slices.Values(p.off))
	auroc, variance := area(off, on)
	return Figures{
		AUROC: auroc, AUROCSE: math.Sqrt(variance),
		FPR95: 1 - above(off, limit(on, 0.05)), Caught: above(off, limit(on, 0.01)),
	}
}

// spreadOfDifferences is how much the place of each of a kind among those of the other differs from one scorer to the other: what
// the variance of a difference of areas is made of (DeLong and others, 1988).
func spreadOfDifferences(before, after, othersBefore, othersAfter []float64) float64 {
	b, a := placesOf(before, othersBefore), placesOf(after, othersAfter)
	for i := range a {
		a[i] -= b[i]
	}
	return spread(a)
}

// placesOf is places for values in any order.
func placesOf(values, others []float64) []float64 {
	sorted := slices.Sorted(slices.Values(others))
	out := make([]float64, len(values))
	for i, v := range values {
		below := sort.SearchFloat64s(sorted, v)
		upTo := sort.Search(len(sorted), func(i int) bool { return sorted[i] > v })
		out[i] = float64(below+upTo) / 2 / float64(len(sorted))
	}
	return out
}

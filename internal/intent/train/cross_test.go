package main

import (
	"math"
	"strings"
	"testing"
)

// lines are prompts of n lines, the i-th of which has i+1.
func lines(n int) []labelled {
	var all []labelled
	for i := range n {
		for range i + 1 {
			all = append(all, labelled{text: strings.Repeat("x", len(all)), label: "maths", group: strings.Repeat("g", i+1)})
		}
	}
	return all
}

func TestEachLineJudgesOnceAndIsNotLearntThen(t *testing.T) {
	all := lines(12)
	times := map[string]int{}
	for fold := range folds {
		train, judged := apart(all, fold)
		if len(judged) == 0 {
			t.Errorf("part %d judges nothing", fold)
		}
		left := map[string]bool{}
		for _, p := range judged {
			times[p.group]++
			left[p.group] = true
		}
		for _, p := range train {
			if left[p.group] {
				t.Errorf("%q is learnt and judges", p.group)
			}
		}
	}
	for _, p := range all {
		if times[p.group] != 1 {
			t.Errorf("%q judges %d times", p.group, times[p.group])
		}
	}
}

func TestALineOfManyPromptsCountsByTheRoot(t *testing.T) {
	all := lines(20)
	weigh(all)
	total := map[string]float64{}
	for _, p := range all {
		total[p.group] += float64(p.weight)
	}
	whole, long := total[strings.Repeat("g", variants)], total[strings.Repeat("g", 4*variants)]
	if math.Abs(whole-variants) > 1e-4 || math.Abs(long-2*variants) > 1e-4 {
		t.Errorf("a whole prompt counts %g, a line of four times as many %g", whole, long)
	}
}

func TestConfusionNamesTheMeansAndWhatIsTakenForWhat(t *testing.T) {
	c := newConfusion([]string{"a", "b", "uncertain"})
	c.add(0, []float64{1, 0, 2}) // uncertain is no answer to a prompt of a class
	c.add(1, []float64{2, 1, 0})
	c.add(2, []float64{0, 0, 1})
	var b strings.Builder
	c.write(&b)
	for _, want := range []string{"F1 0.667, taken for b 0", "1 lines, F1 0.000, taken for a 1", "accuracy 0.667, macro-F1 0.556 over 3 lines"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
}

package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/embed"
)

// folds is how many parts the lines are cut into. Each is left out once and judged by what the others teach.
const folds = 5

// crossValidate says how well prompts are told that come of no line that is learnt from. The first prompt of each line is
// judged, as it was written, so that a line with many fillings counts no more than another. It says which prompts of a class
// are missing; it flatters, as all lines are of one hand.
func crossValidate(w io.Writer, data string) error {
	table, err := embed.Default()
	if err != nil {
		return err
	}
	e := encoder{table, labels()}
	prompts, err := learnt(data, e.labels)
	if err != nil {
		return err
	}
	taken := newConfusion(e.labels)
	for fold := range folds {
		train, judged := apart(prompts, fold)
		h := learn(e.examples(train), len(e.labels))
		for _, p := range e.examples(judged) {
			taken.add(p.Class, h.sums(p))
		}
	}
	taken.write(w)
	return nil
}

// apart gives the prompts of the lines that are learnt, and the first of each line of the part that is left out.
func apart(prompts []labelled, fold int) (train, judged []labelled) {
	part := map[string]int{}
	for _, p := range prompts {
		of, met := part[p.group]
		if !met {
			of = len(part) % folds
			part[p.group] = of
		}
		switch {
		case of != fold:
			train = append(train, p)
		case !met:
			judged = append(judged, p)
		}
	}
	return train, judged
}

// confusion counts what prompts of each class were taken for.
type confusion struct {
	labels []string
	taken  [][]int
}

func newConfusion(labels []string) confusion {
	c := confusion{labels, make([][]int, len(labels))}
	for k := range c.taken {
		c.taken[k] = make([]int, len(labels))
	}
	return c
}

// add counts a prompt as of the class with the greatest sum. "uncertain", the last, is no answer to one that has a class.
func (c confusion) add(class int, sums []float64) {
	if none := slices.Index(c.labels, core.LabelUncertain); class != none {
		sums = sums[:none]
	}
	c.taken[class][slices.Index(sums, slices.Max(sums))]++
}

// write tells F1 of each class and what its prompts are most often taken for, and the means.
func (c confusion) write(w io.Writer) {
	right, all, mean := 0, 0, 0.0
	for k, label := range c.labels {
		prompts, given, wrong := 0, 0, 0
		most := (k + 1) % len(c.labels)
		for j := range c.labels {
			prompts += c.taken[k][j]
			given += c.taken[j][k]
			if n := c.taken[k][j]; j != k && n > wrong {
				wrong, most = n, j
			}
		}
		f1 := 2 * float64(c.taken[k][k]) / float64(max(prompts+given, 1))
		right, all, mean = right+c.taken[k][k], all+prompts, mean+f1/float64(len(c.labels))
		fmt.Fprintf(w, "%-20s %4d lines, F1 %.3f, taken for %s %d\n", label, prompts, f1, c.labels[most], wrong)
	}
	fmt.Fprintf(w, "accuracy %.3f, macro-F1 %.3f over %d lines\n", float64(right)/float64(all), mean, all)
}

// Package evaluate measures how well deviation tells prompts that are on a task from others, on labelled prompts.
//
// It scores as the request path does: the same view of a prompt, the same scorer. A report is a pure function of tasks,
// prompts and options. It imports core, intent, deviation and describe, and must not import gate, policy or any front or back end.
package evaluate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/describe"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

// Options say what is measured.
type Options struct {
	// Examples is the number of prompts that each task is given as examples: drawn from those on it, and not judged.
	Examples int
	// OutOfScope is the number of prompts that each task is given as out-of-scope examples: drawn from its neighbours, the tenth
	// of those off it that its description is nearest to, and not judged.
	OutOfScope int
	// Withhold draws out-of-scope examples and does not give them to the task: what to compare with, on the same prompts.
	Withhold bool
	// Seeds is how often they are drawn. Without examples there is one round.
	Seeds int
	// Traffic are prompts without labels that tasks are compiled beside, as a deployment's own: [MaxTraffic] of them, drawn
	// at random. Prompts that are judged are left out of it. Empty: tasks are compiled beside generic sentences.
	Traffic []string
	// Disguise hides from each task the prompts that are off it. Those on it stay as they are.
	Disguise Disguise
	// Draft judges tasks by their titles, with topics that are drafted from them (package describe).
	Draft *describe.Editor
}

// MaxTraffic is how many prompts of the traffic are drawn: as many as a deployment keeps by default.
const MaxTraffic = 2000

// Report is what was measured.
type Report struct {
	Model      string `json:"model"`
	Examples   int    `json:"examples"`
	OutOfScope int    `json:"out_of_scope,omitempty"`
	Seeds      int    `json:"seeds"`
	// Traffic is the number of prompts without labels that tasks were compiled beside.
	Traffic  int      `json:"traffic"`
	Disguise Disguise `json:"disguise,omitempty"`
	Tasks    []Result `json:"tasks"`
	Macro    Figures  `json:"macro"`
}

// Result is that of one task, as the mean over the seeds.
type Result struct {
	ID string `json:"id"`
	Figures
	// Positives and Negatives are the prompts that are judged in a round, on the task and off it. Unscored are those of
	// both that had nothing to be scored by, and are left out.
	Positives int `json:"positives"`
	Negatives int `json:"negatives"`
	Unscored  int `json:"unscored"`
}

// Figures tell how well scores part two kinds of prompts.
type Figures struct {
	// AUROC is the probability that a prompt off the task is farther from it than one on it.
	AUROC float64 `json:"auroc"`
	// AUROCSE is its standard error: of a task over its prompts (DeLong, DeLong and Clarke-Pearson, 1988) and over the
	// examples drawn; of all tasks together over the tasks.
	AUROCSE float64 `json:"auroc_se"`
	// FPR95 is the share of prompts off the task that pass where 95 % of those on it do.
	FPR95 float64 `json:"fpr95"`
	// Caught is the share of prompts off the task that are stopped where at most 1 % of those on it are.
	Caught float64 `json:"caught_at_1pct"`
}

// Deviation measures s. An error says what of the input does not fit together.
func Deviation(ctx context.Context, s *deviation.Scorer, tasks []Task, prompts []Prompt, o Options) (*Report, error) {
	if o.Examples < 0 || o.OutOfScope < 0 || o.Seeds < 1 {
		return nil, fmt.Errorf("%d examples, %d out of scope and %d seeds: examples must not be negative, and seeds at least 1",
			o.Examples, o.OutOfScope, o.Seeds)
	}
	if o.Examples+o.OutOfScope == 0 {
		o.Seeds = 1
	}
	views := make([]*intent.View, len(prompts))
	for i, p := range prompts {
		views[i] = viewOf(p.Text)
	}
	background := drawTraffic(s, prompts, o.Traffic)
	if o.Draft != nil {
		tasks = drafted(tasks, o.Draft)
	}
	r := &Report{Model: s.Version(), Examples: o.Examples, OutOfScope: o.OutOfScope, Seeds: o.Seeds, Traffic: background.Len(), Disguise: o.Disguise}
	for _, t := range tasks {
		on, off, err := t.part(prompts, o.Examples)
		if err != nil {
			return nil, err
		}
		e := evaluation{s, background, t, prompts, views, on, off, nil}
		if o.OutOfScope > 0 {
			if err := e.findNeighbours(o.OutOfScope); err != nil {
				return nil, err
			}
		}
		if o.Disguise != DisguiseNone {
			e.disguise(o.Disguise)
		}
		result, err := e.measure(ctx, o)
		if err != nil {
			return nil, err
		}
		r.Tasks = append(r.Tasks, result)
	}
	r.Macro = macro(r.Tasks)
	return r, nil
}

// drafted gives tasks as they are when only their titles were written.
func drafted(tasks []Task, e *describe.Editor) []Task {
	all := slices.Clone(tasks)
	for i := range all {
		all[i].Description, all[i].Topics = "", e.Draft(core.Task{Title: all[i].Title})
	}
	return all
}

func viewOf(text string) *intent.View {
	return intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}})
}

// drawTraffic gives the background that traffic makes. What is judged must not be known before: it is left out.
func drawTraffic(s *deviation.Scorer, judged []Prompt, traffic []string) *deviation.Background {
	known := make(map[string]bool, len(judged))
	for _, p := range judged {
		known[p.Text] = true
	}
	var others []string
	for _, text := range traffic {
		if !known[text] {
			others = append(others, text)
		}
	}
	random := rand.New(rand.NewPCG(0, MaxTraffic)) //nolint:gosec // a report must be the same for the same input
	random.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	var views []*intent.View
	for _, text := range others[:min(len(others), MaxTraffic)] {
		views = append(views, viewOf(text))
	}
	return s.NewBackground(views)
}

// part gives the indexes of the prompts that are on the task and of those that are off it.
func (t Task) part(prompts []Prompt, examples int) (on, off []int, err error) {
	found := map[string]bool{}
	for i, p := range prompts {
		switch {
		case p.Set == t.Set && slices.Contains(t.Labels, p.Label):
			on = append(on, i)
			found[p.Label] = true
		case p.Set == t.Set, slices.Contains(t.NegativeSets, p.Set):
			off = append(off, i)
			found[p.Set] = true
		}
	}
	for _, label := range t.Labels {
		if !found[label] {
			return nil, nil, fmt.Errorf("task %q: no prompt of set %q has the label %q", t.ID, t.Set, label)
		}
	}
	for _, set := range t.NegativeSets {
		if !found[set] {
			return nil, nil, fmt.Errorf("task %q: there is no prompt of the negative set %q", t.ID, set)
		}
	}
	switch {
	case len(off) == 0:
		return nil, nil, fmt.Errorf("task %q: no prompt is off it: its set has no other label, and negative_sets names none", t.ID)
	case len(on) < examples+2:
		return nil, nil, fmt.Errorf("task %q: %d prompts are on it: too few for %d examples and two to judge", t.ID, len(on), examples)
	}
	return on, off, nil
}

// evaluation is that of one task.
type evaluation struct {
	scorer     *deviation.Scorer
	background *deviation.Background
	task       Task
	prompts    []Prompt
	views      []*intent.View
	on, off    []int
	neighbours []int // those of off that the task's description is nearest to
}

// neighbourhood is the share of the prompts off a task that are its neighbours.
const neighbourhood = 0.1

// findNeighbours finds those that n out-of-scope examples are drawn from.
func (e *evaluation) findNeighbours(n int) error {
	t := []*deviation.Task{e.compile(nil, nil)}
	score := make(map[int]float64, len(e.off))
	for _, i := range e.off {
		if d := e.scorer.Score(e.views[i], t); d.Unscored == "" {
			score[i] = d.Score
			e.neighbours = append(e.neighbours, i)
		}
	}
	slices.SortStableFunc(e.neighbours, func(a, b int) int { return cmp.Compare(score[a], score[b]) })
	e.neighbours = e.neighbours[:int(neighbourhood*float64(len(e.neighbours)))]
	if len(e.neighbours) < n {
		return fmt.Errorf("task %q: %d prompts off it are its neighbours: too few for %d out-of-scope examples", e.task.ID, len(e.neighbours), n)
	}
	return nil
}

// disguise hides the prompts that are off the task.
func (e *evaluation) disguise(d Disguise) {
	random := rand.New(rand.NewPCG(0, 0)) //nolint:gosec // a report must be the same for the same input
	e.views = slices.Clone(e.views)
	for _, i := range e.off {
		e.views[i] = viewOf(d.of(&e.task, e.prompts[i].Text, random))
	}
}

func (e *evaluation) measure(ctx context.Context, o Options) (Result, error) {
	r := Result{ID: e.task.ID, Positives: len(e.on) - o.Examples, Negatives: len(e.off) - o.OutOfScope}
	var aurocs []float64
	within := 0.0
	n := float64(o.Seeds)
	for seed := range o.Seeds {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		random := rand.New(rand.NewPCG(uint64(seed), uint64(o.Examples))) //nolint:gosec // a report must be the same for a seed
		on := shuffled(random, e.on)
		outside := shuffled(random, e.neighbours)[:o.OutOfScope]
		off := slices.DeleteFunc(slices.Clone(e.off), func(i int) bool { return slices.Contains(outside, i) })
		if o.Withhold {
			outside = nil
		}
		t := e.compile(on[:o.Examples], outside)
		near, lost := e.scores(t, on[o.Examples:])
		far, lostToo := e.scores(t, off)
		if len(near) < 2 || len(far) < 2 {
			return r, fmt.Errorf("task %q: %d prompts on it and %d off it have words to be scored by: too few", e.task.ID, len(near), len(far))
		}
		r.Unscored = lost + lostToo
		auroc, variance := area(far, near)
		aurocs = append(aurocs, auroc)
		within += variance / n
		r.AUROC += auroc / n
		r.FPR95 += (1 - above(far, limit(near, 0.05))) / n
		r.Caught += above(far, limit(near, 0.01)) / n
	}
	r.AUROCSE = math.Sqrt(within + spread(aurocs)/n)
	return r, nil
}

func shuffled(random *rand.Rand, which []int) []int {
	which = slices.Clone(which)
	random.Shuffle(len(which), func(i, j int) { which[i], which[j] = which[j], which[i] })
	return which
}

func (e *evaluation) compile(examples, outside []int) *deviation.Task {
	t := core.Task{ID: e.task.ID, Title: e.task.Title, Description: e.task.Description, Topics: e.task.Topics}
	for _, i := range examples {
		t.Examples = append(t.Examples, e.prompts[i].Text)
	}
	for _, i := range outside {
		t.OutOfScope = append(t.OutOfScope, e.prompts[i].Text)
	}
	return e.scorer.CompileBeside(t, e.background)
}

// scores gives the deviation of the prompts of which, in order, and how many have none.
func (e *evaluation) scores(t *deviation.Task, which []int) (scores []float64, unscored int) {
	tasks := []*deviation.Task{t}
	for _, i := range which {
		if d := e.scorer.Score(e.views[i], tasks); d.Unscored == "" {
			scores = append(scores, d.Score)
		} else {
			unscored++
		}
	}
	slices.Sort(scores)
	return scores, unscored
}

// macro is the mean over the tasks, with the standard error over them.
func macro(results []Result) Figures {
	var f Figures
	var aurocs []float64
	n := float64(len(results))
	for _, r := range results {
		aurocs = append(aurocs, r.AUROC)
		f.AUROC += r.AUROC / n
		f.FPR95 += r.FPR95 / n
		f.Caught += r.Caught / n
	}
	f.AUROCSE = math.Sqrt(spread(aurocs) / n)
	return f
}

// area gives the probability that one of high is above one of low, equals by half, and the variance of that. Both are in
// order.
func area(high, low []float64) (auroc, variance float64) {
	over, under := places(high, low), places(low, high)
	for i := range under {
		under[i] = 1 - under[i]
	}
	for _, p := range over {
		auroc += p / float64(len(over))
	}
	return auroc, spread(over)/float64(len(over)) + spread(under)/float64(len(under))
}

// places gives for each of values the share of others below it, equals by half.
func places(values, others []float64) []float64 {
	out := make([]float64, len(values))
	below, upTo := 0, 0
	for i, v := range values {
		for below < len(others) && others[below] < v {
			below++
		}
		for upTo = max(upTo, below); upTo < len(others) && others[upTo] == v; {
			upTo++
		}
		out[i] = float64(below+upTo) / 2 / float64(len(others))
	}
	return out
}

// limit gives the least value above which at most the given share of sorted is.
func limit(sorted []float64, share float64) float64 {
	return sorted[len(sorted)-1-int(share*float64(len(sorted)))]
}

// above is the share of sorted that is above at.
func above(sorted []float64, at float64) float64 {
	n, _ := slices.BinarySearchFunc(sorted, at, func(v, at float64) int {
		if v <= at {
			return -1
		}
		return 1
	})
	return float64(len(sorted)-n) / float64(len(sorted))
}

// spread is the variance of values, 0 for fewer than two.
func spread(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	mean, sum := 0.0, 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return sum / float64(len(values)-1)
}

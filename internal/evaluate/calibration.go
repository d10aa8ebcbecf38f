package evaluate

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

// CalibrationOptions say how a promise is tried.
type CalibrationOptions struct {
	Promises []PromiseOptions
	// Draws is how often prompts on task are parted anew into those that calibrate and those that test.
	Draws int
	// Examples is how many prompts each task is given, which neither calibrate nor test.
	Examples int
	// Trained are texts that something was trained with. None of them may calibrate or test.
	Trained []string
}

// PromiseOptions are a promise that is tried.
type PromiseOptions struct {
	Alpha float64
	// Pooled prompts of all tasks together calibrate in a draw, and PerTask of each task alone. The others test.
	Pooled, PerTask int
}

// CalibrationReport is what became of promises.
type CalibrationReport struct {
	Model    string     `json:"model"`
	Draws    int        `json:"draws"`
	Examples int        `json:"examples"`
	Promises []Promised `json:"promises"`
}

// Holds reports whether every promise held in as many draws as it says.
func (r *CalibrationReport) Holds() bool {
	return !slices.ContainsFunc(r.Promises, func(p Promised) bool { return p.Held < calibrate.Confidence })
}

// Promised is what became of one promise.
type Promised struct {
	Alpha float64 `json:"alpha"`
	// Scope is "pooled", or "per task" for the tasks one by one.
	Scope string `json:"scope"`
	// Calibrating prompts are drawn each time and Testing are left; of tasks one by one, on average.
	Calibrating int `json:"calibrating"`
	Testing     int `json:"testing"`
	// Held is the share of draws in which at most Alpha of those that test were stopped. Expected is what it is on average over
	// all draws that there are, if no two scores are equal.
	Held     float64 `json:"held"`
	Expected float64 `json:"expected"`
	// Realised is the mean share of prompts on task that were stopped, Worst that of the worst draw, and Caught the mean share
	// of prompts off task that were.
	Realised float64 `json:"realised"`
	Worst    float64 `json:"worst"`
	Caught   float64 `json:"caught"`
}

// maxOff bounds how many prompts off a task are scored, the same number of each label's neighbours in the file.
const maxOff = 2000

// Calibration tries promises on prompts that are labelled. It refuses prompts that something was trained with.
func Calibration(ctx context.Context, s *deviation.Scorer, tasks []Task, prompts []Prompt, o CalibrationOptions) (*CalibrationReport, error) {
	if o.Draws < 1 || o.Examples < 0 || len(o.Promises) == 0 {
		return nil, fmt.Errorf("%d draws for %d promises with %d examples: there must be at least one draw and one promise", o.Draws, len(o.Promises), o.Examples)
	}
	for _, p := range o.Promises {
		if calibrate.Most(p.Alpha, min(p.Pooled, p.PerTask)) < 1 {
			return nil, fmt.Errorf("%g %% cannot be promised by %d prompts, and %d of a task: it takes %d", 100*p.Alpha, p.Pooled, p.PerTask, calibrate.Enough(p.Alpha))
		}
	}
	trial := trial{o: o, scorer: s, prompts: prompts, trained: map[string]bool{}}
	for _, text := range o.Trained {
		trial.trained[calibrate.Plain(text)] = true
	}
	for _, t := range tasks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := trial.score(t); err != nil {
			return nil, err
		}
	}
	r := &CalibrationReport{Model: s.Version(), Draws: o.Draws, Examples: o.Examples}
	for _, p := range o.Promises {
		pooled, err := trial.try(p.Alpha, p.Pooled, slices.Concat(trial.on...), slices.Concat(trial.off...))
		if err != nil {
			return nil, err
		}
		pooled.Scope = "pooled"
		each, err := trial.tryEach(p)
		if err != nil {
			return nil, err
		}
		r.Promises = append(r.Promises, pooled, each)
	}
	return r, nil
}

// trial holds the scores of each task's prompts.
type trial struct {
	o       CalibrationOptions
	scorer  *deviation.Scorer
	prompts []Prompt
	trained map[string]bool
	on, off [][]float64
}

// score scores the prompts of a task, each text once.
func (t *trial) score(task Task) error {
	on, off, err := task.part(t.prompts, t.o.Examples)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	on = slices.DeleteFunc(on, func(i int) bool {
		text := calibrate.Plain(t.prompts[i].Text)
		twice := seen[text]
		seen[text] = true
		return twice
	})
	random := rand.New(rand.NewPCG(0, uint64(t.o.Examples))) //nolint:gosec // a report must be the same again
	random.Shuffle(len(on), func(i, j int) { on[i], on[j] = on[j], on[i] })
	random.Shuffle(len(off), func(i, j int) { off[i], off[j] = off[j], off[i] })
	examples, on := on[:min(t.o.Examples, len(on))], on[min(t.o.Examples, len(on)):]
	compiled := core.Task{ID: task.ID, Title: task.Title, Description: task.Description, Topics: task.Topics}
	trained := map[string]bool{}
	for _, i := range examples {
		compiled.Examples = append(compiled.Examples, t.prompts[i].Text)
		trained[calibrate.Plain(t.prompts[i].Text)] = true
	}
	if err := t.leaks(task, on, trained); err != nil {
		return err
	}
	c := t.scorer.Compile(compiled)
	t.on = append(t.on, t.scores(c, on))
	t.off = append(t.off, t.scores(c, off[:min(maxOff, len(off))]))
	return nil
}

// LeakError says that prompts which something was trained with would have calibrated or tested it: what they say of it is
// better than the truth.
type LeakError struct {
	Task  string
	Count int
}

func (e *LeakError) Error() string {
	return fmt.Sprintf("task %q: %d prompts that are to calibrate or test were trained with: take them out of one or the other", e.Task, e.Count)
}

func (t *trial) leaks(task Task, on []int, examples map[string]bool) error {
	n := 0
	for _, i := range on {
		if text := calibrate.Plain(t.prompts[i].Text); t.trained[text] || examples[text] {
			n++
		}
	}
	if n > 0 {
		return &LeakError{task.ID, n}
	}
	return nil
}

// scores gives the deviations of prompts that have one.
func (t *trial) scores(task *deviation.Task, which []int) (scores []float64) {
	only := []*deviation.Task{task}
	for _, i := range which {
		view := intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: t.prompts[i].Text}}})
		if d := t.scorer.Score(view, only); d.Unscored == "" {
			scores = append(scores, d.Score)
		}
	}
	return scores
}

// tryEach tries the promise for each task alone, and gives the means.
func (t *trial) tryEach(o PromiseOptions) (Promised, error) {
	all := Promised{Scope: "per task", Alpha: o.Alpha, Calibrating: o.PerTask}
	n := float64(len(t.on))
	for i := range t.on {
		p, err := t.try(o.Alpha, o.PerTask, t.on[i], t.off[i])
		if err != nil {
			return all, err
		}
		all.Testing += p.Testing / len(t.on)
		all.Held += p.Held / n
		all.Realised += p.Realised / n
		all.Caught += p.Caught / n
		all.Worst = max(all.Worst, p.Worst)
		all.Expected += p.Expected / n
	}
	return all, nil
}

// try parts the scores of prompts on task again and again, and stops what the promise allows to.
func (t *trial) try(alpha float64, n int, on, off []float64) (Promised, error) {
	p := Promised{Alpha: alpha, Calibrating: n, Testing: len(on) - n}
	if p.Testing < n {
		return p, fmt.Errorf("%d prompts on task are too few to draw %d and test with as many others", len(on), n)
	}
	k := calibrate.Most(alpha, n)
	p.Expected = expected(alpha, k, n, p.Testing)
	on = slices.Clone(on)
	random := rand.New(rand.NewPCG(1, uint64(n))) //nolint:gosec // a report must be the same again
	draws := float64(t.o.Draws)
	for range t.o.Draws {
		random.Shuffle(len(on), func(i, j int) { on[i], on[j] = on[j], on[i] })
		calibrating := slices.Clone(on[:n])
		slices.Sort(calibrating)
		farthest := calibrating[n-k] // the k-th farthest: what is farther is stopped
		wrong := fartherThan(farthest, on[n:])
		if wrong <= alpha {
			p.Held += 1 / draws
		}
		p.Realised += wrong / draws
		p.Worst = max(p.Worst, wrong)
		p.Caught += fartherThan(farthest, off) / draws
	}
	return p, nil
}

// expected is the probability that at most a share alpha of m prompts is farther than the k-th farthest of n others, all drawn
// at random: that of the k + w farthest of both, where w is the most that may be wrong, k or more calibrate.
func expected(alpha float64, k, n, m int) float64 {
	top := k + int(alpha*float64(m)+1e-9)
	fewer := 0.0
	for i := range k {
		fewer += math.Exp(logChoose(n, i) + logChoose(m, top-i) - logChoose(n+m, top))
	}
	return 1 - fewer
}

func logChoose(n, k int) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	whole, _ := math.Lgamma(float64(n + 1))
	in, _ := math.Lgamma(float64(k + 1))
	out, _ := math.Lgamma(float64(n - k + 1))
	return whole - in - out
}

// fartherThan is the share of scores that are above a limit.
func fartherThan(limit float64, scores []float64) float64 {
	n := 0
	for _, s := range scores {
		if s > limit {
			n++
		}
	}
	return float64(n) / float64(max(1, len(scores)))
}

package calibrate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// TextVersion names what a task is compared by. Every text that a scorer reads of a task has to be in it: scores against
// another text are no calibration of this one.
func TextVersion(t core.Task) string {
	if len(t.OutOfScope) == 0 { // as it was before there were any
		return digest(t.Title, t.Description, t.Topics, t.Examples)
	}
	return digest(t.Title, t.Description, t.Topics, t.Examples, t.OutOfScope)
}

// digest names values by the first 12 hexadecimal digits of a SHA-256 of their JSON.
func digest(of ...any) string {
	text, err := json.Marshal(of)
	if err != nil { // a score that is no number, which no store keeps
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// New makes a version of the samples that were labelled on-task, all scored by one model: of more than core.MostScores those
// that were drawn last. Its id is made of its content; who keeps it says when.
func New(model string, onTask []core.Sample) core.Calibration {
	c := core.Calibration{Model: model}
	if len(onTask) > core.MostScores {
		onTask = slices.Clone(onTask)
		slices.SortStableFunc(onTask, func(a, b core.Sample) int { return b.Drawn.Compare(a.Drawn) })
		onTask = onTask[:core.MostScores]
	}
	byTask := map[string]*core.CalibratedTask{}
	for _, s := range onTask {
		t := byTask[s.Task]
		if t == nil {
			t = &core.CalibratedTask{Task: s.Task, Text: s.Text}
			byTask[s.Task] = t
		}
		t.Scores = append(t.Scores, s.Score)
	}
	for _, t := range byTask {
		slices.Sort(t.Scores)
		c.Tasks = append(c.Tasks, *t)
	}
	slices.SortFunc(c.Tasks, func(a, b core.CalibratedTask) int { return strings.Compare(a.Task, b.Task) })
	c.ID = "cal-" + digest(c.Model, c.Tasks)
	return c
}

// InForce is a version as far as it speaks of the tasks as they are now. It never changes, and a nil one calibrates nothing.
type InForce struct {
	id      string
	model   string
	demoted bool
	texts   map[string]string // of all tasks
	pooled  Scores
	byTask  map[string]Scores // of the tasks whose text is still the one that was scored against
}

// TextVersions gives the versions of the texts of tasks, by task.
func TextVersions(tasks []core.Task) map[string]string {
	texts := make(map[string]string, len(tasks))
	for _, t := range tasks {
		texts[t.ID] = TextVersion(t)
	}
	return texts
}

// Apply gives what is in force of a version, nil for none, where texts are the versions of the tasks' texts as they are, which
// must not be changed any more. A task whose text is another one by now is not covered: its scores leave the pool, and its
// prompts are not calibrated.
func Apply(c *core.Calibration, texts map[string]string) *InForce {
	f := &InForce{texts: texts}
	if c == nil {
		return f
	}
	f.id, f.model, f.demoted, f.byTask = c.ID, c.Model, !c.Demoted.IsZero(), map[string]Scores{}
	for _, t := range c.Tasks {
		if f.texts[t.Task] != t.Text || len(t.Scores) == 0 {
			continue
		}
		f.byTask[t.Task] = sorted(t.Scores)
		f.pooled = append(f.pooled, t.Scores...)
	}
	slices.Sort(f.pooled)
	if len(f.byTask) < len(c.Tasks) { // what is left is another version
		f.id = "cal-" + digest(c.ID, f.pooled)
	}
	return f
}

// Judged is what a calibration says of a score.
type Judged struct {
	// P and N are for core.Deviation. P is nil unless the score is calibrated.
	P *float64
	N int
	// Version is the calibration that was asked, empty for none, and Text the version of the nearest task's text.
	Version, Text string
}

// Judge says how the score of d stands among the calibration prompts, where enough of them are needed (Enough of what is
// promised): among those of its own task when they are enough, else among all. It allocates where there is a p value.
func (f *InForce) Judge(d *core.Deviation, enough int) Judged {
	if f == nil || d.Unscored != "" || d.Task == "" {
		return Judged{}
	}
	j := Judged{Text: f.texts[d.Task]}
	own, covered := f.byTask[d.Task]
	if !covered || d.Model != f.model {
		return j
	}
	scores := f.pooled
	if len(own) >= enough {
		scores = own
	}
	j.N, j.Version = len(scores), f.id
	if j.N >= enough && !f.demoted {
		p := scores.P(d.Score)
		j.P = &p
	}
	return j
}

// N is how many prompts stand behind a task, and behind all of them.
func (f *InForce) N(task string) (own, pooled int) {
	if f == nil {
		return 0, 0
	}
	return len(f.byTask[task]), len(f.pooled)
}

// Version names what is in force, empty for nothing.
func (f *InForce) Version() string {
	if f == nil {
		return ""
	}
	return f.id
}

// Demoted reports whether it was found to stop more than was promised.
func (f *InForce) Demoted() bool { return f != nil && f.demoted }

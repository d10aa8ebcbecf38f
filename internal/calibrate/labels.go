package calibrate

import (
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// JudgePrefix begins the name of a judge that is no person. What it says is a proposal, whoever approves.
const JudgePrefix = "judge:"

// Tally is what the labels of samples come to.
type Tally struct {
	// OnTask and OffTask are the samples on which those who answer for a label agree.
	OnTask, OffTask []core.Sample
	// Disputed are samples on which they do not: they count for nothing until one is taken back. Pending have labels that
	// nobody answers for yet, and Stale are scored by another model or against another text of their task.
	Disputed, Pending, Stale []core.Sample
}

// Count sorts labels, in any order, by what they say of each sample. current reports whether a sample was scored as prompts
// are scored now.
func Count(labels []core.Label, current func(core.Sample) bool) Tally {
	type said struct {
		sample  core.Sample
		on, off bool
	}
	var order []string
	all := map[string]*said{}
	for _, l := range labels {
		s := all[l.Exchange]
		if s == nil {
			s = &said{sample: l.Sample}
			all[l.Exchange] = s
			order = append(order, l.Exchange)
		}
		if l.Approved != "" && !strings.HasPrefix(l.By, JudgePrefix) {
			s.on, s.off = s.on || l.OnTask, s.off || !l.OnTask
		}
	}
	var t Tally
	for _, exchange := range order {
		s := all[exchange]
		into := &t.Pending
		switch {
		case !current(s.sample):
			into = &t.Stale
		case s.on && s.off:
			into = &t.Disputed
		case s.on:
			into = &t.OnTask
		case s.off:
			into = &t.OffTask
		}
		*into = append(*into, s.sample)
	}
	return t
}

// Realised is what a version does to prompts that were drawn after it was made.
type Realised struct {
	// Wrong of OnTask prompts on task are stopped: the share that is promised to be at most alpha.
	Wrong  int `json:"wrong"`
	OnTask int `json:"on_task"`
	// Right of OffTask prompts off task are.
	Right   int `json:"right"`
	OffTask int `json:"off_task"`
}

// Realise counts what c, made at the time that it says, does to samples that were drawn later.
func Realise(f *InForce, c *core.Calibration, alpha float64, t Tally) Realised {
	var r Realised
	enough := Enough(alpha)
	stops := func(s core.Sample) (stopped, counts bool) {
		if c == nil || !s.Drawn.After(c.Created) {
			return false, false
		}
		d := core.Deviation{Score: s.Score, Task: s.Task, Model: s.Model}
		j := f.asIfTrusted().Judge(&d, enough)
		return j.P != nil && Stops(alpha, *j.P, j.N), j.P != nil
	}
	for _, s := range t.OnTask {
		if stopped, counts := stops(s); counts {
			r.OnTask++
			r.Wrong += one(stopped)
		}
	}
	for _, s := range t.OffTask {
		if stopped, counts := stops(s); counts {
			r.OffTask++
			r.Right += one(stopped)
		}
	}
	return r
}

// asIfTrusted is what is in force without its demotion: what a demoted version would stop is still counted.
func (f *InForce) asIfTrusted() *InForce {
	if f == nil || !f.demoted {
		return f
	}
	trusted := *f
	trusted.demoted = false
	return &trusted
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Same reports whether two prompts are the same but for case and white space: one that was trained with must not calibrate.
func Same(a, b string) bool { return Plain(a) == Plain(b) }

// Plain is a prompt without what Same does not look at.
func Plain(prompt string) string { return strings.ToLower(strings.Join(strings.Fields(prompt), " ")) }

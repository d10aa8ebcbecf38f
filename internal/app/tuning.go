package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/evaluate"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/models"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/tune"
)

const (
	// lessonsOfOne is the part of what is learnt from that one person's prompts are at most: a twentieth.
	lessonsOfOne = 20
	// lessonPage is how many lessons are read at once, and lessonLooks how many are looked at for each that is to be learnt from.
	lessonPage, lessonLooks = 1000, 2
	// mostJudged is how many labelled prompts a model is judged by at most: those that were labelled first, which are a random
	// part of all.
	mostJudged = 2000
)

// TuneOptions say what the table in use is adapted with. Prompts that were set aside are opened in the name and for the reason
// of the context, which are recorded.
type TuneOptions struct {
	Store   store.Store
	Masters *seal.MasterKeys
	Records read.Reader
	Models  models.Dir
	Teacher tune.Teacher
	// Prompts is how many are learnt from at most.
	Prompts int
	Seed    uint64
	// Told, if set, is called with how many of all texts the teacher has read.
	Told func(done, all int)
}

// Tuned is a table that was adapted to prompts that were set aside.
type Tuned struct {
	*tune.Result
	// Beside is the table that it was compared with: the one in use.
	Beside string
	// Labelled is how it parts the labelled prompts of the deployment, nil where there are too few.
	Labelled *evaluate.Labelled
}

// Worse reports whether it judges worse than the table in use.
func (t *Tuned) Worse() bool { return t.Labelled != nil && t.Labelled.Worse() }

// Tune adapts the table in use, or what that was adapted of, to prompts that were set aside, and judges it beside the one in use
// by prompts that people labelled. Nothing is written anywhere. What was labelled teaches nothing, nor does a prompt with the
// same words.
func Tune(ctx context.Context, o TuneOptions) (*Tuned, error) {
	inUse, err := o.Models.Table()
	if err != nil {
		return nil, err
	}
	base, err := o.Models.Base()
	if err != nil {
		return nil, err
	}
	before, err := deviation.New(inUse)
	if err != nil {
		return nil, err
	}
	l := looker{o.Store, o.Masters, o.Records}
	labelled, tasks, err := readLabelled(ctx, l)
	if err != nil {
		return nil, err
	}
	texts, by, err := readLessons(ctx, l, o.Prompts, labelled.plain())
	if err != nil {
		return nil, err
	}
	result, err := tune.Tune(ctx, tune.Options{
		Base: base, Teacher: o.Teacher, Texts: texts, By: by, Limit: o.Prompts, Anchors: deviation.Generic(), Seed: o.Seed, Told: o.Told,
	})
	if err != nil {
		return nil, err
	}
	after, err := deviation.New(result.Table)
	if err != nil {
		return nil, err
	}
	return &Tuned{result, inUse.Version(), labelled.compare(before, after, tasks)}, nil
}

// readLessons gives what prompts that were set aside ask, and who asked, at random. It leaves out what is in except, and prompts
// that hold a secret or attack: neither is to be learnt from.
func readLessons(ctx context.Context, l looker, most int, except map[string]bool) (texts, by []string, err error) {
	ofOne := map[string]int{}
	take := func(_ string, s seen) bool {
		view := intent.NewView(s.prompt)
		who := s.record.Principal.Subject()
		if view.Unscored != "" || ofOne[who] >= max(1, most/lessonsOfOne) || except[calibrate.Plain(view.Instruction)] || detect.Prompt(s.prompt).Any() {
			return true
		}
		ofOne[who]++
		texts, by = append(texts, view.Instruction), append(by, who)
		return len(texts) < most
	}
	for after, looked := int64(0), 0; len(texts) < most && looked < lessonLooks*most; {
		page, err := l.store.Lessons().List(ctx, after, min(lessonPage, lessonLooks*most-looked))
		if err != nil || len(page) == 0 {
			return texts, by, err
		}
		exchanges := make([]string, len(page))
		for i, lesson := range page {
			exchanges[i] = lesson.Exchange
		}
		after, looked = page[len(page)-1].Place, looked+len(page)
		if err := l.each(ctx, exchanges, take); err != nil {
			return nil, nil, err
		}
	}
	return texts, by, nil
}

// labelledPrompts are prompts of which people said whether they are on task.
type labelledPrompts []labelledPrompt

type labelledPrompt struct {
	view   *intent.View
	tasks  []string // of whoever asked
	onTask bool
}

// readLabelled opens prompts whose labels count, whatever model scored them, and gives the tasks by id. They judge, and teach
// nothing.
func readLabelled(ctx context.Context, l looker) (labelledPrompts, map[string]core.Task, error) {
	objects, _, err := l.store.Load(ctx)
	if err != nil {
		return nil, nil, err
	}
	labels, err := store.AllLabels(ctx, l.store.Labels(), time.Time{})
	if err != nil {
		return nil, nil, err
	}
	tasks, texts := map[string]core.Task{}, calibrate.TextVersions(objects.Tasks)
	for _, t := range objects.Tasks {
		tasks[t.ID] = t
	}
	tally := calibrate.Count(labels, func(s core.Sample) bool { return s.Text == texts[s.Task] })
	samples := slices.Concat(tally.OnTask, tally.OffTask)
	slices.SortFunc(samples, func(a, b core.Sample) int { return cmp.Compare(a.Place, b.Place) })
	onTask := map[string]bool{}
	for _, s := range tally.OnTask {
		onTask[s.Exchange] = true
	}
	var exchanges []string
	for _, s := range samples[:min(len(samples), mostJudged)] {
		exchanges = append(exchanges, s.Exchange)
	}
	var all labelledPrompts
	err = l.each(ctx, exchanges, func(exchange string, s seen) bool {
		if facts, err := policy.FactsOf(s.record); err == nil {
			all = append(all, labelledPrompt{intent.NewView(s.prompt), facts.Tasks, onTask[exchange]})
		}
		return true
	})
	return all, tasks, err
}

// plain gives what the prompts ask, to be known again.
func (ps labelledPrompts) plain() map[string]bool {
	known := make(map[string]bool, len(ps))
	for _, p := range ps {
		known[calibrate.Plain(p.view.Instruction)] = true
	}
	return known
}

// compare scores the prompts by two scorers, against the tasks that are still there of those that their people had.
func (ps labelledPrompts) compare(before, after *deviation.Scorer, tasks map[string]core.Task) *evaluate.Labelled {
	scorers := [2]*deviation.Scorer{before, after}
	compiled := [2]map[string]*deviation.Task{{}, {}}
	var all []evaluate.Scored
	for _, p := range ps {
		var scores [2]core.Deviation
		for i, s := range scorers {
			scores[i] = s.Score(p.view, compileAll(s, p.tasks, tasks, compiled[i]))
		}
		if scores[0].Unscored == "" && scores[1].Unscored == "" {
			all = append(all, evaluate.Scored{OnTask: p.onTask, Before: scores[0].Score, After: scores[1].Score})
		}
	}
	return evaluate.CompareLabelled(all)
}

// compileAll gives the tasks with ids that there are, compiled once.
func compileAll(s *deviation.Scorer, ids []string, tasks map[string]core.Task, once map[string]*deviation.Task) (all []*deviation.Task) {
	for _, id := range ids {
		t, there := tasks[id]
		if !there {
			continue
		}
		if once[id] == nil {
			once[id] = s.Compile(t)
		}
		all = append(all, once[id])
	}
	return all
}

// Card is what is to be said of the table beside others.
func (t *Tuned) Card(why string, now time.Time) models.Card {
	c := models.Card{
		Version: t.Version, Made: now.UTC().Truncate(time.Second), Base: t.Base, From: "prompts set aside from the calibration sample", Why: why,
		Learnt: t.Learnt, HeldOut: t.HeldOut, Rows: t.Rows, Before: t.Before, After: t.After,
	}
	if l := t.Labelled; l != nil {
		c.Judged = &models.Judged{
			Beside: t.Beside, By: fmt.Sprintf("%d labelled prompts on task and %d off it", l.OnTask, l.OffTask),
			AUROCBefore: l.Before.AUROC, AUROCAfter: l.After.AUROC, Difference: l.AUROC, SE: l.SE,
			CaughtBefore: l.Before.Caught, CaughtAfter: l.After.Caught,
		}
	}
	return c
}

// Propose puts the table beside the one in use, for somebody to choose it: that it is there is recorded, and changes nothing.
func (t *Tuned) Propose(ctx context.Context, st store.Store, into models.Dir, now time.Time) (models.Card, error) {
	card := t.Card(store.Reason(ctx), now)
	if err := st.NoteModel(ctx, store.ProposeAction, t.Version); err != nil {
		return card, err
	}
	return card, into.Propose(t.File, card)
}

package app

import (
	"context"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/trial"
)

// NewJudge gives what judges made-up requests under a policy. It has nothing registered and nothing calibrated: that is in a
// store.
func NewJudge(c config.Deviation, rules *policy.Snapshot, prices *openai.PriceTable) (trial.Judge, error) {
	classifier, err := ClassifierFor(rules)
	if err != nil {
		return trial.Judge{}, err
	}
	scorer, _, err := LoadScorer(c)
	if err != nil {
		return trial.Judge{}, err
	}
	priced := func(model string) bool { _, ok := prices.Model(model); return ok }
	return trial.Judge{Policy: rules, Classifier: classifier, Scorer: scorer, Priced: priced}, nil
}

// Trial judges made-up requests as a process with this control data would judge real ones now, but for models that a replica
// trained beside its own traffic.
type Trial struct {
	judge trial.Judge
	view  *view
}

// NewTrial gives what judges as j would with what st holds now: its tasks, its registered system prompts and its calibration.
func NewTrial(ctx context.Context, j trial.Judge, st store.Store) (*Trial, error) {
	directory, err := store.NewDirectory(ctx, store.DirectoryOptions{Store: st})
	if err != nil {
		return nil, err
	}
	p := newPeople(j.Scorer)
	p.load(directory.Snapshot())
	v := p.current.Load()
	j.Prompts, j.Calibration = v.prompts, v.Calibration()
	return &Trial{judge: j, view: v}, nil
}

// Policy is what decides.
func (t *Trial) Policy() *policy.Snapshot { return t.judge.Policy }

// Person gives the principal that somebody is who calls by a token of their own.
func (t *Trial) Person(id string) (core.Principal, error) {
	u, ok := t.view.snapshot.User(id)
	if !ok {
		return core.Principal{}, &store.ObjectError{Kind: "user", ID: id, Err: store.ErrNotFound}
	}
	return core.Principal{User: u.ID, Team: u.Team, Method: core.MethodToken}, nil
}

// Through adds to a principal the app by way of which it calls. One that calls in nobody's name is of the app's team, and has a key.
func (t *Trial) Through(p core.Principal, app string) (core.Principal, error) {
	a, ok := t.view.snapshot.App(app)
	if !ok {
		return p, &store.ObjectError{Kind: "app", ID: app, Err: store.ErrNotFound}
	}
	p.App = a.ID
	if p.User == "" {
		p.Team, p.Method = a.Team, core.MethodAppKey
	}
	return p, nil
}

// Assigned gives the tasks of a principal. They must not be changed.
func (t *Trial) Assigned(p core.Principal) []core.Task { return t.view.snapshot.TasksFor(p) }

// Tasks gives tasks by their ids, whoever has them. They must not be changed.
func (t *Trial) Tasks(ids ...string) (tasks []core.Task, err error) {
	for _, id := range ids {
		task, ok := t.view.sources[id]
		if !ok {
			return nil, &store.ObjectError{Kind: "task", ID: id, Err: store.ErrNotFound}
		}
		tasks = append(tasks, task)
	}
	return tasks, nil
}

// Facts gives what is decided on about a request of somebody who has these tasks, which t gave.
func (t *Trial) Facts(r trial.Request, tasks ...core.Task) policy.Facts {
	compiled := make([]*deviation.Task, len(tasks))
	for i, task := range tasks {
		compiled[i] = t.view.compiled[task.ID]()
	}
	return t.judge.Facts(r, compiled)
}

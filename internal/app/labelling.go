package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
)

// Labelling asks one person about samples, one after another.
type Labelling struct {
	store   store.Store
	masters *seal.MasterKeys
	records func(ctx context.Context, exchange string) ([]core.Record, error)
	by      string
	look    calibrationLook
	tasks   map[string]core.Task
	after   int64
	page    []core.Sample
}

// mostUnreadable is how many samples in a row may be unreadable until the reason is looked for elsewhere: each of them is a look
// that is recorded.
const mostUnreadable = 50

// Unreadable is a sample that nobody can be asked about, and why.
type Unreadable struct {
	Exchange string
	Why      error
}

// Question is a sample that somebody is asked about.
type Question struct {
	core.Sample
	// Assigned is the nearest task as it is assigned, and Who the person that asked.
	Assigned core.Task      `json:"assigned"`
	Who      core.Principal `json:"principal"`
	Prompt   *seal.Text     `json:"prompt"`
	// Proposal is what a judge that is no person thinks, and why; empty for nothing. It is no label.
	Proposal  core.Proposed `json:"proposal,omitempty"`
	Judge     string        `json:"judge,omitempty"`
	Rationale string        `json:"rationale,omitempty"`
}

// NewLabelling starts to ask by, about samples that were scored by the model that is in use: a scorer's version. records gives
// those of an exchange. Whoever has the master keys may look; why they do is the reason of the contexts that follow.
func NewLabelling(
	ctx context.Context, st store.Store, model string, masters *seal.MasterKeys, records func(context.Context, string) ([]core.Record, error), by string,
) (*Labelling, error) {
	look, err := lookAtCalibration(ctx, st, model, everything)
	if err != nil {
		return nil, err
	}
	l := &Labelling{store: st, masters: masters, records: records, by: by, look: look, tasks: map[string]core.Task{}}
	for _, t := range look.tasks {
		l.tasks[t.ID] = t
	}
	return l, nil
}

// Next gives the next sample that can be asked about, nil when there is none, and those before it that cannot be read, which
// are left in the queue until their time is over. That its content is looked at, by whom and why, is on its way into the audit
// before it is opened.
func (l *Labelling) Next(ctx context.Context) (q *Question, passed []Unreadable, err error) {
	for {
		if len(l.page) == 0 {
			page, err := l.store.Labels().Queue(ctx, store.QueueQuery{By: l.by, Model: l.look.model, After: l.after})
			if err != nil || len(page) == 0 {
				return nil, passed, err
			}
			l.page = page
		}
		s := l.page[0]
		l.page, l.after = l.page[1:], s.Place
		task, known := l.tasks[s.Task]
		if !known || calibrate.TextVersion(task) != s.Text {
			continue // a label would count for nothing
		}
		q, err := l.ask(ctx, s)
		switch {
		case errors.Is(err, ErrUnreadable), errors.Is(err, audit.ErrUndecodable):
			if passed = append(passed, Unreadable{s.Exchange, err}); len(passed) == mostUnreadable {
				return nil, passed, fmt.Errorf("%d prompts in a row cannot be read: look whether audit.master_key_file has the keys that they were sealed with", len(passed))
			}
		case err != nil || q != nil && !isExample(task, q.Prompt):
			return q, passed, err
		}
	}
}

// ask opens a sample, nil for one that is not there any more.
func (l *Labelling) ask(ctx context.Context, s core.Sample) (*Question, error) {
	records, err := l.records(ctx, s.Exchange)
	if err != nil {
		return nil, err
	}
	held := withSample(records)
	if len(held) == 0 {
		return nil, nil // it was queued and never recorded, or its records are dropped
	}
	opened, err := openSample(ctx, l.store, l.masters, s.Exchange, held)
	if err != nil || opened == nil {
		return nil, err
	}
	q := &Question{Sample: s, Assigned: l.tasks[s.Task], Who: opened.Who, Prompt: opened.Sample}
	return q, l.propose(ctx, q, opened)
}

// propose adds what a judge says of the sample, if one was asked.
func (l *Labelling) propose(ctx context.Context, q *Question, opened *openedSample) error {
	proposals, err := l.store.Labels().Proposals(ctx, q.Exchange)
	if err != nil || len(proposals) == 0 || proposals[0].Verdict == "" {
		return err
	}
	q.Proposal, q.Judge = proposals[0].Verdict, proposals[0].Judge
	q.Rationale, err = opened.openNote(ctx, l.store, l.masters, proposals[0].Rationale)
	if errors.Is(err, ErrUnreadable) { // which is no reason not to ask
		q.Rationale, err = "its reason "+ErrUnreadable.Error(), nil
	}
	return err
}

// isExample reports whether a prompt is one that its task was described by: it has trained the score, and must not judge it.
func isExample(t core.Task, prompt *seal.Text) bool {
	for _, p := range prompt.Parts {
		is := func(example string) bool { return calibrate.Same(example, p.Text) }
		if p.Role == core.RoleUser && (slices.ContainsFunc(t.Examples, is) || slices.ContainsFunc(t.OutOfScope, is)) {
			return true
		}
	}
	return false
}

// Answer keeps what the person says of a sample. answers says whether they answer for it themselves.
func (l *Labelling) Answer(ctx context.Context, q *Question, onTask, answers bool) error {
	label := core.Label{Sample: q.Sample, By: l.by, OnTask: onTask, At: time.Now().UTC().Truncate(time.Microsecond), Proposal: q.Proposal, Judge: q.Judge}
	if answers {
		label.Approved = l.by
	}
	return l.store.Labels().Put(ctx, label)
}

// Approve has somebody answer for what another said of a sample: onTask, as whoever approves saw it.
func Approve(ctx context.Context, st store.Store, exchange, by string, onTask bool, approver string) error {
	if strings.HasPrefix(by, calibrate.JudgePrefix) {
		return fmt.Errorf("%s is no person: what it says is a proposal, which somebody has to confirm by a label of their own", by)
	}
	return st.Labels().Approve(ctx, exchange, by, onTask, approver)
}

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/models"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/teacher"
	"github.com/plumbline/plumbline/internal/tune"
	"github.com/plumbline/plumbline/internal/wait"
)

const (
	// tuneActor and tuneReason are who looks at prompts for the job, and why: they stand in the record of each look.
	tuneActor  = "job:" + jobTune
	tuneReason = "learnt from, or judged by, as deviation.tune says"
	// mostCandidates is how many models may wait beside the one in use before the job makes no more.
	mostCandidates = 8
	// teachAtOnce is how many texts the teacher reads until it rests.
	teachAtOnce = 64
)

// tuner is the job that adapts the table in use to prompts that were set aside. What comes of it lies beside that one until
// somebody chooses it: the job changes nothing that prompts are judged by. All that it opens is in its memory alone.
type tuner struct {
	store   store.Store
	masters func() (*seal.MasterKeys, error)
	records func(context.Context) (r read.Reader, done func() error, err error)
	models  models.Dir
	teacher func() (tune.Teacher, error)
	prompts int
	now     func() time.Time
	log     *slog.Logger
}

// newTuner makes the job. It says that prompts are opened by it.
func (a *App) newTuner(records func(context.Context) (read.Reader, func() error, error)) tuner {
	c := a.cfg.Deviation
	a.log.Info("prompts that were set aside from the calibration sample are opened by a background job, to adapt the embedding table to them (deviation.tune)",
		"every", c.Tune.Every, "prompts", c.Tune.Prompts)
	return tuner{
		store: a.store, masters: a.masters, records: records, models: models.Dir(c.Models), prompts: c.Tune.Prompts, now: time.Now, log: a.log,
		teacher: func() (tune.Teacher, error) { return openTeacher(c.Tune.Teacher) },
	}
}

func (t tuner) run(ctx context.Context) error {
	candidates, err := t.models.Candidates()
	if err != nil {
		return err
	}
	waiting, err := t.store.Lessons().Count(ctx)
	switch {
	case err != nil:
		return err
	case waiting < tune.MinTexts:
		t.log.Info("no model is adapted: too few prompts are set aside", "prompts", waiting, "needed", tune.MinTexts)
		return nil
	case len(candidates) >= mostCandidates:
		t.log.Warn("no model is adapted: many that were are not used yet; remove those that nobody wants", "models", len(candidates), "directory", string(t.models))
		return nil
	}
	return t.tune(store.WithReason(store.WithActor(ctx, tuneActor), tuneReason))
}

func (t tuner) tune(ctx context.Context) (err error) {
	masters, err := t.masters()
	if err != nil {
		return err
	}
	by, err := t.teacher()
	if err != nil {
		return err
	}
	records, done, err := t.records(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	tuned, err := Tune(ctx, TuneOptions{
		Store: t.store, Masters: masters, Records: records, Models: t.models, Teacher: resting{by}, Prompts: t.prompts, Seed: 1,
	})
	switch {
	case errors.Is(err, tune.ErrTooFew):
		t.log.Info("no model is adapted: too few of the prompts that are set aside can be learnt from", "needed", tune.MinTexts)
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return &core.Error{Public: "the time for a job was not enough: lower deviation.tune.prompts, or give the process more of a processor", Cause: err}
	case err != nil:
		return err
	case tuned.Worse():
		t.log.Warn("a model that was adapted judges worse than the one in use, and is not kept", "model", tuned.Version, "beside", tuned.Beside,
			"auroc_difference", tuned.Labelled.AUROC, "standard_error", tuned.Labelled.SE)
		return nil
	}
	card, err := tuned.Propose(ctx, t.store, t.models, t.now())
	if err != nil {
		return err
	}
	t.log.Info("a model was adapted to prompts that were set aside; plumbline model list shows it, and plumbline model use takes it",
		"model", card.Version, "base", card.Base, "prompts", card.Learnt, "cosine_before", card.Before, "cosine_after", card.After, "judged", card.Judged != nil)
	return nil
}

// openTeacher reads the teacher of the configuration. Its errors name files, and nothing that was read in them.
func openTeacher(path string) (tune.Teacher, error) {
	t, err := teacher.Open(path)
	if err != nil {
		return nil, &core.Error{Public: fmt.Sprintf("deviation.tune.teacher cannot be read: %v", err), Cause: err}
	}
	return t, nil
}

// resting is a teacher that rests as long as it works, so that requests keep the processor.
type resting struct{ tune.Teacher }

// Encode implements tune.Teacher.
func (r resting) Encode(ctx context.Context, texts []string, told func(done int)) ([]embed.Vector, error) {
	all := make([]embed.Vector, 0, len(texts))
	for len(all) < len(texts) {
		from := len(all)
		start := time.Now()
		some, err := r.Teacher.Encode(ctx, texts[from:min(len(texts), from+teachAtOnce)], func(done int) { told(from + done) })
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if err := wait.For(ctx, time.Since(start)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

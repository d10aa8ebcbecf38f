package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// CalibrationStatus is how far a deployment is with its promise, and what became of it.
type CalibrationStatus struct {
	// Promise is the largest share of prompts on task that may be blocked, and Needed how many of them have to be labelled.
	Promise float64 `json:"promise"`
	Needed  int     `json:"needed"`
	// Model is the scorer's version now.
	Model string `json:"model"`
	// Version is what is in force, empty for nothing. N prompts on task are behind it as far as texts of tasks are still as
	// they were; Demoted is when it was found to break its promise.
	Version string    `json:"version,omitempty"`
	Created time.Time `json:"created,omitzero"`
	N       int       `json:"n"`
	Demoted time.Time `json:"demoted,omitzero"`
	// Enforced reports whether the promise is backed: then a policy in the mode enforce blocks by it.
	Enforced bool `json:"enforced"`
	// Labels of samples that are scored as prompts are scored now, and Stale of others.
	Labels LabelCounts       `json:"labels"`
	Tasks  []CalibrationTask `json:"tasks"`
	// Realised is what the version did to samples that were drawn and labelled later, with the 95 % interval of the share.
	Realised calibrate.Realised `json:"realised"`
	Share    float64            `json:"share"`
	Low      float64            `json:"low"`
	High     float64            `json:"high"`
	// Blocked is how many calls were blocked for their deviation since the version was made; nil where that was not counted.
	Blocked *int `json:"blocked,omitempty"`
	// Judges is how far people agree with what judges that are no people proposed to them.
	Judges []calibrate.Agreement `json:"judges,omitempty"`
}

// LabelCounts counts samples by what their labels come to.
type LabelCounts struct {
	OnTask   int `json:"on_task"`
	OffTask  int `json:"off_task"`
	Pending  int `json:"pending"`
	Disputed int `json:"disputed"`
	Stale    int `json:"stale"`
}

// CalibrationTask is a task in the status.
type CalibrationTask struct {
	Task string `json:"task"`
	// N prompts on task are behind the version, Labelled would be behind one that was made now.
	N        int `json:"n"`
	Labelled int `json:"labelled"`
	// Own reports whether the promise holds for the task alone and not just for all of them together.
	Own bool `json:"own"`
}

// calibrationLook is the calibration of a store as of one moment.
type calibrationLook struct {
	latest  *core.Calibration
	tasks   []core.Task
	model   string
	inForce *calibrate.InForce
	labels  []core.Label
	tally   calibrate.Tally
}

// lookAtCalibration reads what there is of a model, which is a scorer's version: labels of samples drawn since a time among it.
func lookAtCalibration(ctx context.Context, st store.Store, model string, since func(*core.Calibration) time.Time) (calibrationLook, error) {
	var l calibrationLook
	objects, _, err := st.Load(ctx)
	if err != nil {
		return l, err
	}
	l.latest, l.tasks, l.model = store.LatestCalibration(objects.Calibrations, model), objects.Tasks, model
	texts := calibrate.TextVersions(l.tasks)
	l.inForce = calibrate.Apply(l.latest, texts)
	if l.labels, err = store.AllLabels(ctx, st.Labels(), since(l.latest)); err != nil {
		return l, err
	}
	l.tally = calibrate.Count(l.labels, func(s core.Sample) bool { return s.Model == l.model && s.Text == texts[s.Task] })
	return l, nil
}

func everything(*core.Calibration) time.Time { return time.Time{} }

// later is when samples count for what a version realised.
func later(c *core.Calibration) time.Time {
	if c == nil {
		return time.Now()
	}
	return c.Created
}

// StatusOfCalibration says how far the deployment is under a promise, with the model that is in use: a scorer's version.
func StatusOfCalibration(ctx context.Context, st store.Store, model string, promise float64) (CalibrationStatus, error) {
	l, err := lookAtCalibration(ctx, st, model, everything)
	if err != nil {
		return CalibrationStatus{}, err
	}
	t := l.tally
	s := CalibrationStatus{
		Promise: promise, Needed: calibrate.Enough(promise), Model: l.model, Version: l.inForce.Version(),
		Labels:   LabelCounts{len(t.OnTask), len(t.OffTask), len(t.Pending), len(t.Disputed), len(t.Stale)},
		Realised: calibrate.Realise(l.inForce, l.latest, promise, t), Judges: calibrate.Agreements(l.labels),
	}
	if l.latest != nil {
		s.Created, s.Demoted = l.latest.Created, l.latest.Demoted
	}
	_, s.N = l.inForce.N("")
	s.Enforced = s.N >= s.Needed && s.Demoted.IsZero()
	for _, task := range l.tasks {
		own, _ := l.inForce.N(task.ID)
		ready := 0
		for _, sample := range t.OnTask {
			if sample.Task == task.ID {
				ready++
			}
		}
		s.Tasks = append(s.Tasks, CalibrationTask{task.ID, own, ready, s.Enforced && own >= s.Needed})
	}
	s.Share = share(s.Realised)
	s.Low, s.High = calibrate.Interval(s.Realised.Wrong, s.Realised.OnTask, calibrate.Confidence)
	return s, nil
}

// MostCounted bounds what BlockedSince counts.
const MostCounted = 100_000

var errEnough = errors.New("enough")

// BlockedSince counts the calls that were blocked for their deviation since a time, up to MostCounted.
func BlockedSince(ctx context.Context, r read.Reader, since time.Time) (n int, err error) {
	q := audit.Query{Kind: core.RecordDeny, Reason: core.ReasonOffTask, Since: since}
	err = r.Walk(ctx, q, func(audit.Raw) error {
		if n++; n == MostCounted {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return n, err
}

func share(r calibrate.Realised) float64 { return float64(r.Wrong) / float64(max(1, r.OnTask)) }

// keptCalibrations is how many versions are kept, and keptModels of how many models the last one is besides, so that going back
// to a model finds its calibration: each replica has all of them in memory.
const keptCalibrations, keptModels = 3, 4

// ErrTooFewLabels is returned where there are not enough labels for a promise, ErrDemoted where they are those of a version that
// broke it, and ErrClock where a version would not come into force, because it would not be the last one.
var (
	ErrTooFewLabels = errors.New("too few prompts on task are labelled")
	ErrDemoted      = errors.New("nothing was labelled since the calibration was demoted: label more, or have somebody look at those labels")
	ErrClock        = errors.New("the calibration in force was made later than now: set the clocks right")
)

// MakeCalibration puts a version in force, for a model, of what is labelled on task by now, and forgets all but the last few. The
// reason of ctx is recorded. Of what was drawn after now, by whose clock ever, nothing is in it: that will test it.
func MakeCalibration(ctx context.Context, st store.Store, model string, promise float64, now time.Time) (core.Calibration, error) {
	l, err := lookAtCalibration(ctx, st, model, everything)
	if err != nil {
		return core.Calibration{}, err
	}
	now = now.UTC().Truncate(time.Microsecond)
	onTask := slices.DeleteFunc(l.tally.OnTask, func(s core.Sample) bool { return s.Drawn.After(now) })
	if n, needed := len(onTask), calibrate.Enough(promise); n < needed {
		return core.Calibration{}, fmt.Errorf("%w: %d of %d", ErrTooFewLabels, n, needed)
	}
	c := calibrate.New(l.model, onTask)
	switch latest := l.latest; {
	case latest == nil:
	case latest.ID == c.ID && !latest.Demoted.IsZero():
		return core.Calibration{}, ErrDemoted
	case latest.ID == c.ID:
		return *latest, nil // nothing has changed
	case !now.After(latest.Created):
		return core.Calibration{}, fmt.Errorf("%w: %s is of %s", ErrClock, latest.ID, latest.Created.Format(time.RFC3339))
	}
	c.Created = now
	if err := st.Calibrations().Put(ctx, c); err != nil {
		return c, err
	}
	return c, forgetCalibrations(ctx, st)
}

func forgetCalibrations(ctx context.Context, st store.Store) error {
	objects, _, err := st.Load(ctx)
	if err != nil {
		return err
	}
	all := objects.Calibrations
	slices.SortFunc(all, func(a, b core.Calibration) int { return b.Created.Compare(a.Created) })
	models := map[string]bool{}
	for i, old := range all {
		if i < keptCalibrations || !models[old.Model] && len(models) < keptModels {
			models[old.Model] = true
			continue
		}
		if err := st.Calibrations().Delete(ctx, old.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// calibrationCheck compares what is promised with what is realised.
type calibrationCheck struct {
	store   store.Store
	model   func() string // the version of the scorer in use
	promise func() float64
	now     func() time.Time
	log     *slog.Logger
	last    atomic.Pointer[calibrate.Realised]
}

// calibrationInterval is how often it is compared: labels come by hand.
const calibrationInterval = time.Minute

// run keeps the metrics of this process up to date until ctx ends.
func (c *calibrationCheck) run(ctx context.Context) error {
	return every(ctx, calibrationInterval, func() {
		if _, _, err := c.realised(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("what a calibration realised could not be looked up; tried again in a minute", "error", err)
		}
	})
}

func (c *calibrationCheck) realised(ctx context.Context) (*core.Calibration, calibrate.Realised, error) {
	l, err := lookAtCalibration(ctx, c.store, c.model(), later)
	if err != nil {
		return nil, calibrate.Realised{}, err
	}
	r := calibrate.Realise(l.inForce, l.latest, c.promise(), l.tally)
	c.last.Store(&r)
	return l.latest, r, nil
}

// demote is the job that ends the trust in a version which stops more than was promised.
func (c *calibrationCheck) demote(ctx context.Context) error {
	latest, r, err := c.realised(ctx)
	if err != nil || latest == nil || !latest.Demoted.IsZero() || !calibrate.Overrun(c.promise(), r.Wrong, r.OnTask) {
		return err
	}
	demoted := *latest
	demoted.Demoted = c.now().UTC().Truncate(time.Microsecond)
	why := fmt.Sprintf("%d of %d later prompts on task are stopped, more than twice the promised %.4g %%", r.Wrong, r.OnTask, 100*c.promise())
	c.log.Warn("a calibration breaks its promise: no promise holds until another one is made", "calibration", latest.ID, "why", why)
	return c.store.Calibrations().Put(store.WithReason(store.WithActor(ctx, store.System), why), demoted)
}

// gauges are the figures of v and of what it realised.
func (c *calibrationCheck) gauges(v *view) telemetry.Calibration {
	_, n := v.inForce.N("")
	g := telemetry.Calibration{N: n, Demoted: v.inForce.Demoted()}
	if r := c.last.Load(); r != nil {
		g.Later, g.Realised = r.OnTask, share(*r)
	}
	return g
}

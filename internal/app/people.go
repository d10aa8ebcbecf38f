package app

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/sysprompt"
)

// people gives the gate its view of the directory, with tasks compiled once when they change: by whoever needs one first, a
// request or warm.
type people struct {
	fresh   func() error // reports a directory that is too old to be trusted
	current atomic.Pointer[view]
	making  sync.Mutex        // held while a new view is made of the current one
	scorer  *deviation.Scorer // what compiles tasks of the next view; under making
	loaded  chan struct{}
}

func newPeople(s *deviation.Scorer) *people {
	return &people{scorer: s, loaded: make(chan struct{}, 1)}
}

// view is one snapshot of the directory with its tasks, all of them compiled by one scorer. It never changes.
type view struct {
	snapshot *store.Snapshot
	scorer   *deviation.Scorer
	sources  map[string]core.Task
	compiled map[string]func() *deviation.Task // compiles at the first call
	inForce  *calibrate.InForce
	prompts  map[string]*sysprompt.Set // by app
}

// load takes a new snapshot. The directory calls it, one call at a time.
func (p *people) load(s *store.Snapshot) {
	p.making.Lock()
	defer p.making.Unlock()
	old, scorer := p.current.Load(), p.scorer
	tasks := s.Tasks()
	v := &view{
		snapshot: s, scorer: scorer, sources: make(map[string]core.Task, len(tasks)), compiled: make(map[string]func() *deviation.Task, len(tasks)),
		prompts: sysprompt.Sets(s.SystemPrompts()),
	}
	for _, t := range tasks {
		v.sources[t.ID] = t
		if old != nil && sameText(old.sources[t.ID], t) {
			v.compiled[t.ID] = old.compiled[t.ID]
			continue
		}
		v.compiled[t.ID] = sync.OnceValue(func() *deviation.Task { return scorer.Compile(t) })
	}
	v.calibrate()
	p.put(v)
}

// put puts a view in force, for new exchanges and for warm.
func (p *people) put(v *view) {
	p.current.Store(v)
	select {
	case p.loaded <- struct{}{}:
	default: // warm knows already
	}
}

// calibrate puts in force what was calibrated with the scorer of the view.
func (v *view) calibrate() {
	v.inForce = calibrate.Apply(v.snapshot.Calibration(v.scorer.Version()), calibrate.TextVersions(v.snapshot.Tasks()))
}

// use has exchanges that begin from now on scored by another scorer, whose tasks are compiled before: no request waits for that.
// Those that have begun go on with what they pinned. It ends early with the error of ctx, and changes nothing then.
func (p *people) use(ctx context.Context, s *deviation.Scorer) error {
	before := p.current.Load()
	compiled := make(map[string]*deviation.Task, len(before.sources))
	for id, t := range before.sources {
		if err := ctx.Err(); err != nil {
			return err
		}
		compiled[id] = s.Compile(t)
	}
	p.making.Lock()
	defer p.making.Unlock()
	p.scorer = s
	v := *p.current.Load()
	v.scorer, v.compiled = s, make(map[string]func() *deviation.Task, len(v.sources))
	for id, t := range v.sources {
		if c := compiled[id]; c != nil && sameText(before.sources[id], t) {
			v.compiled[id] = func() *deviation.Task { return c }
			continue
		}
		v.compiled[id] = sync.OnceValue(func() *deviation.Task { return s.Compile(t) }) // it changed meanwhile
	}
	v.calibrate()
	p.put(&v)
	return nil
}

// inUse is what scores an exchange that begins now.
func (p *people) inUse() *deviation.Scorer { return p.current.Load().scorer }

// model is its version, which labels and calibrations name.
func (p *people) model() string { return p.inUse().Version() }

// Score implements gate.Scorer: by what compiled the tasks, which an exchange has pinned, whatever is in use by now.
func (p *people) Score(v *intent.View, tasks []*deviation.Task) core.Deviation {
	if len(tasks) == 0 {
		return p.inUse().Score(v, nil)
	}
	return tasks[0].Scorer().Score(v, tasks)
}

// warm compiles what was loaded until ctx ends, so that no request has to but those of the first moments. A start need not wait
// for it: with many tasks and examples it takes seconds.
func (p *people) warm(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.loaded:
		}
		for _, task := range p.current.Load().compiled {
			if ctx.Err() != nil {
				break
			}
			task()
		}
	}
}

func sameText(a, b core.Task) bool {
	return a.ID == b.ID && a.Title == b.Title && a.Description == b.Description &&
		slices.Equal(a.Topics, b.Topics) && slices.Equal(a.Examples, b.Examples) && slices.Equal(a.OutOfScope, b.OutOfScope)
}

// inForce is the view that a new exchange pins.
func (p *people) inForce() (gate.Directory, error) {
	if err := p.fresh(); err != nil {
		return nil, err
	}
	return p.current.Load(), nil
}

func (v *view) Limits() *quota.LimitSet { return v.snapshot.Limits() }

func (v *view) Calibration() *calibrate.InForce { return v.inForce }

func (v *view) SystemPrompts(app string) *sysprompt.Set { return v.prompts[app] }

func (v *view) Tasks(p core.Principal) []*deviation.Task {
	assigned := v.snapshot.TasksFor(p)
	tasks := make([]*deviation.Task, len(assigned))
	for i, t := range assigned {
		tasks[i] = v.compiled[t.ID]()
	}
	return tasks
}

package app

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/wait"
)

const (
	// trafficLife is how long features of a prompt are kept at most.
	trafficLife = 48 * time.Hour
	// learnLook is how often it is looked whether there is something to train, and learnLimit the time that one training has.
	learnLook, learnLimit = time.Minute, 10 * time.Minute
)

// learner trains the models of tasks beside the traffic of this process. It is no job of the queue: what it learns from must
// not leave the memory of the process. One task is trained at a time, and as long again it rests, so that requests keep the
// processor.
type learner struct {
	traffic *deviation.Traffic // nil where none is kept
	people  *people
	every   time.Duration
	now     func() time.Time
	log     *slog.Logger

	scorer *deviation.Scorer     // whose tasks are trained
	beside *deviation.Background // what they are trained beside; nil before the first training
	since  time.Time
	forgot chan struct{}
}

func newLearner(c config.Deviation, s *deviation.Scorer, p *people, log *slog.Logger) *learner {
	l := &learner{people: p, every: c.TrainEvery, now: time.Now, log: log, forgot: make(chan struct{}, 1)}
	if c.Traffic > 0 {
		l.traffic = deviation.NewTraffic(deviation.TrafficOptions{Scorer: s, Size: c.Traffic, Life: trafficLife, Now: time.Now})
	}
	return l
}

// forget lets go of what is kept of a subject's prompts, and has the models trained anew that were trained beside them.
func (l *learner) forget(subject string) {
	if l.traffic.Forget(subject) {
		select {
		case l.forgot <- struct{}{}:
		default:
		}
	}
}

// run works until ctx ends.
func (l *learner) run(ctx context.Context) error {
	if l.traffic == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	tick := time.NewTicker(learnLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.forgot:
			l.beside = nil
		case <-tick.C:
		}
		l.look(ctx)
	}
}

// look takes a new background when it is time for one, and trains the tasks that were not trained beside it.
func (l *learner) look(ctx context.Context) {
	if now := l.people.inUse(); now != l.scorer {
		l.scorer, l.beside = now, nil
	}
	if l.beside == nil || l.now().Sub(l.since) >= l.every {
		if b := l.traffic.BackgroundFor(l.scorer); b != nil {
			l.beside, l.since = b, l.now()
		}
	}
	within, cancel := context.WithTimeout(ctx, learnLimit)
	defer cancel()
	start := l.now()
	trained, err := l.people.train(within, l.scorer, l.beside)
	switch {
	case err != nil && ctx.Err() == nil:
		l.log.Warn("training tasks beside traffic took too long; the rest is trained in a minute", "tasks", trained)
	case trained > 0:
		l.log.Info("trained tasks beside traffic", "tasks", trained, "prompts", l.beside.Len(), "version", l.beside.Version(), "took", l.now().Sub(start))
	}
}

// train compiles the tasks beside b that were not, and puts each into force at once. Those that change meanwhile, or that ctx
// ends before, are left to the next call. It gives how many were compiled.
func (p *people) train(ctx context.Context, s *deviation.Scorer, b *deviation.Background) (int, error) {
	trained := 0
	v := p.current.Load()
	if v == nil || v.scorer != s {
		return 0, nil
	}
	for id, t := range v.sources {
		if v.compiled[id]().Beside() == b.Version() {
			continue
		}
		start := time.Now()
		c := s.CompileBeside(t, b)
		p.replace(t, c)
		trained++
		if err := wait.For(ctx, time.Since(start)); err != nil {
			return trained, err
		}
	}
	return trained, nil
}

// replace puts a task that was compiled anew into force, unless its text or the scorer has changed.
func (p *people) replace(t core.Task, c *deviation.Task) {
	p.making.Lock()
	defer p.making.Unlock()
	old := p.current.Load()
	if now, there := old.sources[t.ID]; !there || !sameText(now, t) || old.scorer != c.Scorer() {
		return
	}
	v := *old
	v.compiled = maps.Clone(old.compiled)
	v.compiled[t.ID] = func() *deviation.Task { return c }
	p.current.Store(&v)
}

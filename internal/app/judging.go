package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/judge"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
)

const (
	// judgeInterval is how often the judge is asked, and judgeTime how long it is gone on with then. Runs do not overlap, so
	// that all replicas together keep to the rate.
	judgeInterval, judgeTime = time.Minute, 55 * time.Second
	// judgedAtOnce is how many prompts are asked about at the same time.
	judgedAtOnce = 4
	// judgedAhead is how many prompts the judge is ahead of those who label: no more is sent out than can be of use soon.
	judgedAhead = 300
	// judgedTries is in how many runs a prompt is tried at which the judge fails while it answers to others.
	judgedTries = 3
	// judgeRest is how long the judge is left alone after a run without an answer, doubled by each further one up to
	// judgeLongRest.
	judgeRest, judgeLongRest = time.Minute, time.Hour
	// judgedLate is how long after it was drawn the record of a sample is waited for: one that never comes must not keep the
	// judge from those behind it.
	judgedLate = time.Hour
	// queuePage is how much of the queue is read at once, and queueLook how much at most to find what can be asked about.
	queuePage, queueLook = 1000, 20_000
)

// judgeReason is why the judge looks at prompts: it stands in the record of each look.
const judgeReason = "asked for a label, as calibration.judge says"

// proposer is the job that has a judge propose labels for the prompts that people will be asked about next.
type proposer struct {
	store   store.Store
	judge   *judge.Judge
	name    string        // of the judge, as labels and records have it
	model   func() string // the version of the scorer in use: labels are of its scores
	timeout time.Duration // of one attempt
	most    int           // prompts in one run
	masters func() (*seal.MasterKeys, error)
	records func(context.Context) (r read.Reader, done func() error, err error)
	now     func() time.Time
	log     *slog.Logger

	running sync.Mutex     // held by a run; the rest is that run's
	tries   map[string]int // in how many runs a prompt had no answer, by exchange
	vain    int            // runs in a row that had none at all
	rest    time.Time      // until when the judge is left alone
}

// newProposer makes the job. It says that prompts leave the deployment by it.
func (a *App) newProposer(metrics *telemetry.Metrics, records func(context.Context) (read.Reader, func() error, error)) (*proposer, error) {
	c := a.cfg.Calibration.Judge
	j, err := judge.New(judge.Options{
		URL: c.URL, Model: c.Model, Key: c.Key.Reveal, PerMinute: c.PerMinute, Timeout: c.Timeout,
		Asked: func(r judge.Result, took time.Duration) { metrics.JudgeAsked(string(r), took) },
	})
	if err != nil {
		return nil, err
	}
	a.log.Warn("prompts LEAVE this deployment (calibration.judge): the text of those that were drawn for calibration is sent to a judge, secrets and personal data of a known form masked",
		"url", c.URL, "model", c.Model, "per_minute", c.PerMinute)
	return &proposer{
		store: a.store, judge: j, name: calibrate.JudgePrefix + c.Model, model: a.people.model, timeout: c.Timeout, most: c.PerMinute,
		masters: a.masters,
		records: records, now: time.Now, log: a.log, tries: map[string]int{},
	}, nil
}

// masters reads the master keys for a run of a job.
func (a *App) masters() (*seal.MasterKeys, error) {
	return seal.ReadMasterKeys(a.cfg.Audit.MasterKeyFile)
}

// localRecords opens the log of this process for a run of a job.
func (a *App) localRecords(ctx context.Context) (read.Reader, func() error, error) {
	log, err := audit.OpenReader(ctx, AuditPath(a.cfg.DataDir))
	if err != nil {
		return nil, nil, err
	}
	return read.Local{Reader: log}, log.Close, nil
}

// run asks about what waits, as far as the rate and the time allow.
func (p *proposer) run(ctx context.Context) error {
	if !p.running.TryLock() {
		return nil
	}
	defer p.running.Unlock()
	if p.now().Before(p.rest) {
		return nil
	}
	ctx = store.WithReason(store.WithActor(ctx, p.name), judgeReason)
	waiting, tasks, err := p.waiting(ctx)
	if err != nil || len(waiting) == 0 {
		return err
	}
	masters, err := p.masters()
	if err != nil {
		return err
	}
	records, done, err := p.records(ctx)
	if err != nil {
		return err
	}
	r := &judgeRun{p: p, masters: masters, records: records, tasks: tasks}
	asking, cancel := context.WithTimeout(ctx, judgeTime)
	defer cancel()
	r.ask(asking, waiting)
	return errors.Join(p.conclude(ctx, r), done())
}

// waiting gives the prompts that people will be asked about next and the judge was not, with the tasks by id.
func (p *proposer) waiting(ctx context.Context) (waiting []core.Sample, tasks map[string]core.Task, err error) {
	objects, _, err := p.store.Load(ctx)
	if err != nil {
		return nil, nil, err
	}
	tasks = map[string]core.Task{}
	for _, t := range objects.Tasks {
		tasks[t.ID] = t
	}
	texts := calibrate.TextVersions(objects.Tasks)
	ahead := 0
	q := store.QueueQuery{By: p.name, Model: p.model(), Limit: queuePage}
	for looked := 0; looked < queueLook; looked += queuePage {
		page, err := p.store.Labels().Queue(ctx, q)
		if err != nil || len(page) == 0 {
			return waiting, tasks, err
		}
		q.After = page[len(page)-1].Place
		page = slices.DeleteFunc(page, func(s core.Sample) bool { return texts[s.Task] != s.Text }) // nobody is asked about those
		page = page[:min(len(page), judgedAhead-ahead)]
		ahead += len(page)
		if page, err = p.unjudged(ctx, page); err != nil {
			return nil, nil, err
		}
		waiting = append(waiting, page...)
		if len(waiting) >= p.most {
			return waiting[:p.most], tasks, nil
		}
		if ahead >= judgedAhead {
			break
		}
	}
	return waiting, tasks, nil
}

// unjudged leaves those of which nothing is proposed.
func (p *proposer) unjudged(ctx context.Context, page []core.Sample) ([]core.Sample, error) {
	exchanges := make([]string, len(page))
	for i, s := range page {
		exchanges[i] = s.Exchange
	}
	proposals, err := p.store.Labels().Proposals(ctx, exchanges...)
	if err != nil {
		return nil, err
	}
	judged := map[string]bool{}
	for _, o := range proposals {
		judged[o.Exchange] = true
	}
	return slices.DeleteFunc(page, func(s core.Sample) bool { return judged[s.Exchange] }), nil
}

// conclude draws the consequences of a run. A prompt is given up when the judge answered to others meanwhile; a judge that
// answered to none is left alone for a while.
func (p *proposer) conclude(ctx context.Context, r *judgeRun) error {
	if r.answered == 0 && r.err != nil {
		p.vain++
		p.rest = p.now().Add(max(r.after, min(judgeRest<<min(p.vain-1, 10), judgeLongRest)))
		return r.err
	}
	p.vain, p.rest = 0, p.now().Add(r.after)
	if len(p.tries) > judgedAhead { // of prompts that are not waiting any more
		clear(p.tries)
	}
	for _, exchange := range r.failed {
		if p.tries[exchange]++; p.tries[exchange] < judgedTries {
			continue
		}
		delete(p.tries, exchange)
		p.log.Warn("the judge is not asked about a prompt any more, since it failed each time", "exchange", exchange, "times", judgedTries, "error", r.err)
		if err := p.propose(ctx, core.Proposal{Exchange: exchange}); err != nil {
			return err
		}
	}
	return nil
}

// propose keeps what the judge says, unless the sample's time is over meanwhile.
func (p *proposer) propose(ctx context.Context, o core.Proposal) error {
	o.Judge, o.At = p.name, p.now().UTC().Truncate(time.Microsecond)
	err := p.store.Labels().Propose(ctx, o)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// judgeRun is one run of a proposer.
type judgeRun struct {
	p       *proposer
	masters *seal.MasterKeys
	records read.Reader
	tasks   map[string]core.Task

	mu       sync.Mutex
	answered int
	failed   []string      // exchanges that the judge, or what they are read from, failed at
	after    time.Duration // how long the judge wants to be left alone
	limited  bool
	err      error // the last one of a prompt
}

// ask asks about all of them, as far as there is time.
func (r *judgeRun) ask(ctx context.Context, waiting []core.Sample) {
	var asking sync.WaitGroup
	defer asking.Wait()
	room := make(chan struct{}, judgedAtOnce)
	for _, s := range waiting {
		room <- struct{}{}
		if r.over(ctx) {
			return
		}
		asking.Go(func() {
			defer func() { <-room }()
			r.note(ctx, s, r.one(ctx, s))
		})
	}
}

// over reports whether no further question is to be begun: the judge has enough, or it could not answer in time.
func (r *judgeRun) over(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	end, _ := ctx.Deadline()
	return r.limited || ctx.Err() != nil || time.Until(end) < r.p.timeout
}

// note takes note of how a question ended.
func (r *judgeRun) note(ctx context.Context, s core.Sample, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var bad *judge.Error
	switch {
	case err == nil:
		delete(r.p.tries, s.Exchange)
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded): // the run is over, which says nothing of the prompt
	case errors.As(err, &bad) && bad.Result == judge.Limited:
		r.limited, r.err, r.after = true, err, max(r.after, bad.After)
	default:
		if bad != nil {
			r.after = max(r.after, bad.After)
		}
		r.failed, r.err = append(r.failed, s.Exchange), err
	}
}

// one asks about a prompt and keeps what comes of it. That the judge looks at it is recorded before it is opened.
func (r *judgeRun) one(ctx context.Context, s core.Sample) error {
	all, err := RecordsOf(ctx, r.records, s.Exchange)
	held := withSample(all)
	proposal := core.Proposal{Exchange: s.Exchange}
	switch {
	case err != nil:
		return err
	case len(held) == 0 && r.p.now().Sub(s.Drawn) < judgedLate:
		return nil // it may be on its way still
	case len(held) == 0:
		return r.p.propose(ctx, proposal)
	}
	opened, err := openSample(ctx, r.p.store, r.masters, s.Exchange, held)
	if err != nil {
		return err
	}
	task := r.tasks[s.Task]
	if opened == nil || isExample(task, opened.Sample) { // nobody will be asked about it
		return r.p.propose(ctx, proposal)
	}
	answer, err := r.p.judge.Ask(ctx, questionOf(task, opened.Sample))
	var bad *judge.Error
	if err != nil && (!errors.As(err, &bad) || bad.Result != judge.Unusable) {
		return err
	}
	r.mu.Lock()
	r.answered++
	r.mu.Unlock()
	if err == nil && answer.Verdict != judge.Unsure {
		proposal.Verdict = core.Proposed(answer.Verdict)
		if proposal.Rationale, err = opened.sealNote(ctx, r.p.store, r.masters, answer.Rationale); err != nil {
			return err
		}
	}
	return r.p.propose(ctx, proposal)
}

// questionOf is what the judge is asked about a sample.
func questionOf(t core.Task, prompt *seal.Text) judge.Question {
	q := judge.Question{Title: t.Title, Description: t.Description, Topics: t.Topics}
	for _, p := range prompt.Parts {
		q.Prompt = append(q.Prompt, judge.Part{Role: string(p.Role), Text: p.Text})
	}
	return q
}

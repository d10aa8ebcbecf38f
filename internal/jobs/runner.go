package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/riverqueue/river"

	"github.com/plumbline/plumbline/internal/wait"
)

const (
	// rescueAfter is when a job that runs is taken for one whose process died. It is above Longest.
	rescueAfter = 15 * time.Minute
	// pollEvery is how often a process looks for jobs that others have put into the queue, or whose time came.
	pollEvery = 5 * time.Second
	// atOnce is how many jobs one process runs at a time.
	atOnce = 2
	// startAgain is the pause before a start that failed is tried again.
	startAgain = 5 * time.Second
	// stopLimit bounds the wait for jobs whose context ended.
	stopLimit = 5 * time.Second
	// unknownPause is how long a job that this version does not know is left to another, for unknownLimit.
	unknownPause, unknownLimit = time.Minute, 24 * time.Hour
)

// Result is how a run of a job ended, as the metric's label names it.
type Result string

// The results.
const (
	Done      Result = "done"
	Postponed Result = "postponed" // it is called again in the same period, as it asked for
	Failed    Result = "failed"    // it is tried again
	Discarded Result = "discarded" // it failed for the last time in its period
)

// Results lists every result.
func Results() []Result { return []Result{Done, Postponed, Failed, Discarded} }

// Metrics are told of each run.
type Metrics interface {
	JobEnded(job string, result string, took time.Duration)
}

// Options are what a runner is made of. Jobs and Metrics are required.
type Options struct {
	Jobs    []Job
	Metrics Metrics
	// Words gives what may be kept and listed of an error: no text of a prompt, no credential. If nil, nothing of it is.
	Words func(error) string
	// RescueAfter is how long a run may be silent before it is taken for one whose process died; 15 minutes if zero. It
	// must be longer than the jobs' timeouts.
	RescueAfter time.Duration
	// Poll is how often a process looks for jobs that others have put into the queue or whose time came; 5 s if zero.
	Poll time.Duration
	Log  *slog.Logger // discards if nil
}

// Runner runs the jobs of one process. Run is called once.
type Runner struct {
	o      Options
	queue  Queue
	byName map[string]Job
	client client
}

// New makes a runner. It does nothing before Run.
func New(q Queue, o Options) (*Runner, error) {
	if err := check(o.Jobs); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Words == nil {
		o.Words = func(error) string { return "" }
	}
	o.RescueAfter, o.Poll = cmp.Or(o.RescueAfter, rescueAfter), cmp.Or(o.Poll, pollEvery)
	r := &Runner{o: o, queue: q, byName: map[string]Job{}}
	for _, j := range o.Jobs {
		r.byName[j.Name] = j
	}
	var err error
	if r.client, err = r.open(); err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return r, nil
}

// open makes a client, which connects to nothing yet.
func (r *Runner) open() (client, error) {
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, &worker{r: r}); err != nil {
		return nil, err
	}
	return r.queue.client(&river.Config{
		Workers: workers, PeriodicJobs: r.periodic(),
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: atOnce}},
		FetchPollInterval: r.o.Poll, RescueStuckJobsAfter: r.o.RescueAfter, JobTimeout: r.o.RescueAfter / 2,
		CompletedJobRetentionPeriod: keepDone, CancelledJobRetentionPeriod: keepDiscarded, DiscardedJobRetentionPeriod: keepDiscarded,
		// Only the tables' owner may, and they stay small.
		ReindexerSchedule: river.NeverSchedule(),
		Logger:            slog.New(newSparse(r.o.Log.Handler())),
	})
}

// periodic says what a leader puts into the queue: each job at once, and again when a period has passed. What was put there
// in this period already is not put there again.
func (r *Runner) periodic() (all []*river.PeriodicJob) {
	for _, j := range r.o.Jobs {
		add := func() (river.JobArgs, *river.InsertOpts) {
			return args{j.Name}, &river.InsertOpts{MaxAttempts: attempts, UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: j.Every}}
		}
		all = append(all, river.NewPeriodicJob(river.PeriodicInterval(j.Every), add, &river.PeriodicJobOpts{ID: j.Name, RunOnStart: true}))
	}
	return all
}

// Run runs jobs until ctx ends. A database that is away is waited for.
func (r *Runner) Run(ctx context.Context) error {
	// River stops gently only as long as the context that it was started with goes on.
	started, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	unlink := context.AfterFunc(ctx, stop) // a server that does not answer would hold a start up for good
	err := r.start(ctx, started)
	unlink()
	if err != nil {
		return err
	}
	<-ctx.Done()
	limited, cancel := context.WithTimeout(started, stopLimit)
	defer cancel()
	if err := r.client.StopAndCancel(limited); err != nil {
		r.o.Log.Warn("background jobs did not stop in time; another process goes on with them", "why", r.words(err))
	}
	return ctx.Err()
}

// start starts the client, and tries again until ctx ends.
func (r *Runner) start(ctx, started context.Context) error {
	for said := false; ; {
		err := r.client.Start(started)
		if err == nil {
			return nil
		}
		if !said {
			r.o.Log.Warn("background jobs cannot start now; it is tried again", "why", r.words(err))
			said = true
		}
		if err := wait.For(ctx, startAgain); err != nil {
			return err
		}
		if r.client, err = r.open(); err != nil { // one that did not start does not start again
			return fmt.Errorf("jobs: %w", err)
		}
	}
}

// words is what may be told of an error.
func (r *Runner) words(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "it took too long"
	}
	if words := r.o.Words(err); words != "" {
		return words
	}
	return "it failed; the log says why"
}

// args are the arguments of a job in the queue: which one it is.
type args struct {
	Job string `json:"job" river:"unique"`
}

// Kind is the same for all jobs of Plumbline.
func (args) Kind() string { return "plumbline" }

// worker calls jobs.
type worker struct {
	river.WorkerDefaults[args]
	r *Runner
}

// Timeout implements river.Worker.
func (w *worker) Timeout(job *river.Job[args]) time.Duration { return w.r.byName[job.Args.Job].Timeout }

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, job *river.Job[args]) error {
	j, known := w.r.byName[job.Args.Job]
	if !known { // of another version, whose replicas may run beside this one
		if time.Since(job.CreatedAt) > unknownLimit {
			return river.JobCancel(errors.New("no Plumbline that runs knows this job"))
		}
		return river.JobSnooze(unknownPause)
	}
	begin := time.Now()
	err := call(ctx, j)
	ended := func(result Result) { w.r.o.Metrics.JobEnded(j.Name, string(result), time.Since(begin)) }
	var later *laterError
	switch {
	case err == nil:
		ended(Done)
		return nil
	case errors.As(err, &later):
		ended(Postponed)
		return river.JobSnooze(later.after)
	case errors.Is(ctx.Err(), context.Canceled): // this process stops: it is no failure of the job
		return river.JobSnooze(0)
	}
	log, result := w.r.o.Log.Warn, Failed
	if job.Attempt >= job.MaxAttempts {
		log, result = w.r.o.Log.Error, Discarded
	}
	ended(result)
	log("a background job failed", "job", j.Name, "id", job.ID, "attempt", job.Attempt, "of", job.MaxAttempts, "error", err)
	return errors.New(w.r.words(err)) // the words alone are kept; the cause stays in the log
}

// panicError says that a job panicked. What it panicked with is not told: it may be anything.
type panicError struct{ stack []byte }

func (e *panicError) Error() string { return "it panicked\n" + string(e.stack) }

func call(ctx context.Context, j Job) (err error) {
	defer func() {
		if recover() != nil {
			err = &panicError{debug.Stack()}
		}
	}()
	return j.Run(ctx)
}

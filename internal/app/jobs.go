package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	auditpg "github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/jobs"
	"github.com/plumbline/plumbline/internal/judge"
	pgpool "github.com/plumbline/plumbline/internal/postgres"
	filesqlite "github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/postgres"
	"github.com/plumbline/plumbline/internal/telemetry"
	"github.com/plumbline/plumbline/migrations"
)

// Names of the background jobs, in the queue, the lists and the metrics.
const (
	jobObjects    = "objects_sweep"
	jobSamples    = "samples_end"
	jobDemote     = "calibration_check"
	jobPartitions = "audit_partitions"
	jobRollups    = "audit_rollup_check"
	jobRetention  = "audit_retention"
	jobJudge      = "calibration_judge"
	jobTune       = "model_tune"
)

// queueConns is how many connections a process has for the queue and what its jobs read.
const queueConns = 2

// Queue is the queue of background jobs, which lies in the control data.
type Queue struct {
	jobs.Queue
	io.Closer
	pool *pgpool.Pool // nil without Postgres
	db   *sql.DB      // nil with Postgres
}

// OpenQueue opens the queue of background jobs for who has not opened the control data, and refuses one of another version.
// Whoever asked for it closes it.
func OpenQueue(ctx context.Context, c config.Config) (*Queue, error) {
	path := StorePath(c.DataDir)
	if _, err := os.Stat(path); c.Postgres.URL.IsZero() && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there are no jobs yet: plumbline serve makes them in %s", path)
	}
	q, err := openQueue(ctx, c)
	if err != nil {
		return nil, err
	}
	if q.pool != nil {
		err = postgres.Schema.Ready(ctx, q.pool, c.Postgres.Migrate)
	} else if err = filesqlite.CheckSchema(ctx, q.db, migrations.SQLiteControl); err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	if err != nil {
		return nil, errors.Join(err, q.Close())
	}
	return q, nil
}

// openQueue opens the queue of a process that has opened the control data, which it then found or brought up to date.
func openQueue(ctx context.Context, c config.Config) (*Queue, error) {
	if c.Postgres.URL.IsZero() {
		// A job that was done and is not known to be after a loss of power is done again.
		db, err := filesqlite.Open(ctx, StorePath(c.DataDir), filesqlite.Options{Synchronous: filesqlite.SynchronousNormal})
		if err != nil {
			return nil, err
		}
		return &Queue{Queue: jobs.InSQLite(db), Closer: db, db: db}, nil
	}
	o := poolOptions(c.Postgres)
	o.MaxConns, o.Describe = queueConns, true
	pool, err := pgpool.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Queue{Queue: jobs.InPostgres(pool), Closer: pool, pool: pool}, nil
}

// background is the work of this process that no request waits for.
type background struct {
	runner *jobs.Runner
	queue  *Queue
}

// openJobs makes the runner of background jobs, unless they are left to other processes.
func (a *App) openJobs(ctx context.Context, metrics *telemetry.Metrics) error {
	for _, r := range judge.Results() {
		metrics.JudgeResults(string(r))
	}
	if !a.cfg.Jobs.Run {
		return nil
	}
	queue, err := openQueue(ctx, a.cfg)
	if err != nil {
		return fmt.Errorf("background jobs: %w", err)
	}
	all, err := a.jobs(queue.pool, metrics)
	if err != nil {
		return errors.Join(err, queue.Close())
	}
	runner, err := jobs.New(queue.Queue, jobs.Options{Jobs: all, Metrics: metrics, Words: jobWords, Log: a.log})
	if err != nil {
		return errors.Join(err, queue.Close())
	}
	metrics.Jobs(jobNames(all), jobResults())
	a.background = &background{runner, queue}
	return nil
}

// jobs are the background jobs of this way to run: without Postgres, pool is nil. This is where a part registers its job.
func (a *App) jobs(pool *pgpool.Pool, metrics *telemetry.Metrics) ([]jobs.Job, error) {
	samples := samplesEnd{a.store.SubjectKeys(), a.store.Labels(), a.store.Lessons(), a.cfg.Audit.CalibrationKeep, time.Now, a.log}
	all := []jobs.Job{
		{Name: jobObjects, Every: 10 * time.Minute, Timeout: 5 * time.Minute, Run: sweep(a.store.Ownership(), time.Now, a.log)},
		{Name: jobSamples, Every: samplesInterval, Timeout: time.Minute, Run: samples.run},
		{Name: jobDemote, Every: calibrationInterval, Timeout: time.Minute, Run: a.calibration.demote},
	}
	if kept := a.cfg.Audit.Retention; !kept.IsZero() {
		r := retention{open: a.openRetention, record: a.audit.Append, kept: kept, now: time.Now, log: a.log}
		all = append(all, jobs.Job{Name: jobRetention, Every: time.Hour, Timeout: jobs.Longest, Run: r.run})
	}
	openRecords := a.localRecords
	if pool != nil {
		openRecords = func(context.Context) (read.Reader, func() error, error) {
			return auditpg.New(pool), func() error { return nil }, nil
		}
	}
	if a.cfg.Calibration.Judge.URL != "" { // prompts leave by it: never by default
		p, err := a.newProposer(metrics, openRecords)
		if err != nil {
			return nil, fmt.Errorf("calibration.judge: %w", err)
		}
		all = append(all, jobs.Job{Name: jobJudge, Every: judgeInterval, Timeout: judgeInterval, Run: p.run})
	}
	if every := a.cfg.Deviation.Tune.Every; every > 0 { // prompts are opened by it: never by default
		all = append(all, jobs.Job{Name: jobTune, Every: every, Timeout: jobs.Longest, Run: a.newTuner(openRecords).run})
	}
	if pool == nil {
		return all, nil
	}
	records := auditpg.New(pool)
	return append(all,
		jobs.Job{Name: jobPartitions, Every: time.Hour, Timeout: time.Minute, Run: partitions{records, time.Now, a.log}.run},
		jobs.Job{Name: jobRollups, Every: time.Hour, Timeout: jobs.Longest, Run: rollupCheck{records, metrics.RollupDiffers, time.Now, a.log}.run},
	), nil
}

// run takes jobs from the queue until ctx ends.
func (b *background) run(ctx context.Context) error {
	if b == nil {
		return nil
	}
	return b.runner.Run(ctx)
}

func (b *background) close() error {
	if b == nil {
		return nil
	}
	return b.queue.Close()
}

// jobWords is what may be told of a job's error: words of ours, which quote nothing.
func jobWords(err error) string {
	var own *core.Error
	var bad *audit.BadEntryError
	var unanswered *judge.Error
	switch {
	case errors.As(err, &unanswered):
		return unanswered.Error()
	case errors.As(err, &bad):
		return bad.Error() + "; run plumbline audit verify"
	case errors.As(err, &own):
		return own.Public
	case errors.Is(err, audit.ErrUndeclared):
		return audit.ErrUndeclared.Error()
	case filesqlite.IsFull(err):
		return "the disk is full: make room on it"
	case filesqlite.IsReadOnly(err):
		return "plumbline.db cannot be written: look at its owner and at the file system"
	case filesqlite.IsBusy(err):
		return "plumbline.db is held by another process for too long"
	}
	return pgpool.Words(err)
}

func jobNames(all []jobs.Job) (names []string) {
	for _, j := range all {
		names = append(names, j.Name)
	}
	return names
}

func jobResults() (all []string) {
	for _, r := range jobs.Results() {
		all = append(all, string(r))
	}
	return all
}

const (
	// responseLife is how long it is known whose a response is: the provider deletes responses after 30 days.
	responseLife = 32 * 24 * time.Hour
	// mostOwned is how many objects of one kind one user or app is known to own, the newest. A million are 260 MB. Until the
	// next sweep, more are kept.
	mostOwned = 100_000
)

// keepOwned bounds what is known of objects at the provider.
func keepOwned(now time.Time) store.Keep {
	return store.Keep{ResponsesSince: now.Add(-responseLife), PerOwner: mostOwned}
}

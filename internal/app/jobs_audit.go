package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	auditpg "github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/jobs"
	pgpool "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/store"
)

// sweep gives the job that keeps what is known of objects at the provider within bounds.
func sweep(objects store.Ownership, now func() time.Time, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		n, err := store.Sweep(ctx, objects, keepOwned(now()))
		if n > 0 {
			log.Info("objects at the provider that were too old or too many were forgotten", "objects", n)
		}
		return err
	}
}

const (
	// samplesInterval is the time between two looks for samples whose time is nearly over.
	samplesInterval = 10 * time.Minute
	// samplesMargin is how long before that they go: a look may fail, or the process that is at it die.
	samplesMargin = 3 * samplesInterval
)

// samplesEnd is the job that destroys the keys of days of which some sample has been kept for its time. A day ends as a whole,
// with its first.
type samplesEnd struct {
	keys interface {
		EraseSamples(ctx context.Context, before time.Time) (int64, error)
	}
	queue, lessons expirer
	keep           time.Duration
	now            func() time.Time
	log            *slog.Logger
}

// expirer forgets what was drawn before a time.
type expirer interface {
	Expire(ctx context.Context, before time.Time) (int64, error)
}

func (s samplesEnd) run(ctx context.Context) error {
	before := s.now().Add(24*time.Hour - s.keep + samplesMargin)
	for _, drawn := range []expirer{s.queue, s.lessons} { // what nobody can read any more
		if _, err := drawn.Expire(ctx, before.UTC().Truncate(24*time.Hour)); err != nil {
			return err
		}
	}
	n, err := s.keys.EraseSamples(ctx, before)
	if n > 0 {
		s.log.Info("samples whose time is over were ended", "days", n)
	}
	return err
}

// partitions is the job that makes the audit's partitions before their months begin, and tells of records that have none.
type partitions struct {
	store interface {
		Prepare(ctx context.Context, at time.Time) error
		Stray(ctx context.Context) (int64, error)
	}
	now func() time.Time
	log *slog.Logger
}

func (p partitions) run(ctx context.Context) error {
	if err := p.store.Prepare(ctx, p.now()); err != nil {
		return err
	}
	stray, err := p.store.Stray(ctx)
	if stray > 0 {
		p.log.Warn("audit records lie in no month's partition: a clock was wrong, or a month's partition was made too late; retention leaves them", "records", stray)
	}
	return err
}

// checkedAfter is how long an hour is left alone after its end: most of what is recorded in it was shipped by then.
const checkedAfter = time.Hour

// rollupCheck is the job that recounts a closed hour of the audit. What it finds wrong it tells, and never mends.
type rollupCheck struct {
	store interface {
		Recount(ctx context.Context, hour time.Time) (auditpg.Recounted, error)
	}
	wrong func(sums int64)
	now   func() time.Time
	log   *slog.Logger
}

func (c rollupCheck) run(ctx context.Context) error {
	hour := c.now().UTC().Add(-checkedAfter).Truncate(time.Hour).Add(-time.Hour)
	r, err := c.store.Recount(ctx, hour)
	switch {
	case errors.Is(err, auditpg.ErrMoving):
		return jobs.Later(time.Minute)
	case err != nil:
		return err
	case r.Wrong > 0:
		c.wrong(r.Wrong)
		c.log.Error("sums of the audit differ from a recount of their records: rows were changed in Postgres, or there is a fault; nothing was mended",
			"hour", hour, "sums", r.Sums, "wrong", r.Wrong, "records", r.Records)
	}
	return nil
}

// recordedSoon is how long the record of a drop takes to where the audit is kept, and until a checkpoint fixes it; recordedLate when that
// takes longer.
const recordedSoon, recordedLate = 15 * time.Second, time.Minute

// retention is the job that drops what the audit need not keep any longer: whole months, each only after the audit has a record
// that declares it.
type retention struct {
	open   func(ctx context.Context) (retainer, func() error, error)
	record func(ctx context.Context, r core.Record) error
	kept   config.Retention
	now    func() time.Time
	log    *slog.Logger
}

// retainer is the audit as whoever may drop sees it.
type retainer interface {
	Past(ctx context.Context, class string, before time.Time) ([]audit.Month, error)
	Declaration(ctx context.Context, m audit.Month, actor string, now time.Time) (core.Record, error)
	Retire(ctx context.Context, m audit.Month, before time.Time) (int64, error)
}

// openRetention opens the audit for dropping: in Postgres it connects as the user who may drop, with time for a large month.
func (a *App) openRetention(ctx context.Context) (retainer, func() error, error) {
	if a.cfg.Postgres.URL.IsZero() {
		log, err := audit.OpenReader(ctx, AuditPath(a.cfg.DataDir))
		if err != nil {
			return nil, nil, err
		}
		return localRetainer{a.audit, read.Local{Reader: log}}, log.Close, nil
	}
	o := poolOptions(a.cfg.Postgres)
	if url := a.cfg.Postgres.RetentionURL; !url.IsZero() {
		o.URL = url.Reveal()
	}
	o.MaxConns, o.Timeout = 1, jobs.Longest
	pool, err := pgpool.Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	return auditpg.New(pool), pool.Close, nil
}

// localRetainer is the log of a process that is its own store.
type localRetainer struct {
	*audit.Log
	reader read.Local
}

func (l localRetainer) Retire(ctx context.Context, m audit.Month, before time.Time) (int64, error) {
	return l.Log.Retire(ctx, m, before, l.reader.SumDay)
}

func (r retention) run(ctx context.Context) (err error) {
	from, closer, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	var wait time.Duration
	for _, class := range []struct {
		name string
		days config.Days
	}{{audit.ClassExchange, r.kept.Records}, {audit.ClassAdmin, r.kept.Admin}, {audit.ClassRollups, r.kept.Rollups}} {
		if class.days == 0 {
			continue
		}
		again, err := r.retire(ctx, from, class.name, r.now().UTC().Add(-class.days.Duration()))
		if pgpool.IsForbidden(err) {
			return &core.Error{Public: "the user who drops what audit.retention does not keep lacks the right to: grant it plumbline_retention, or set postgres.retention_url to one who has it", Cause: err}
		}
		if err != nil {
			return err
		}
		wait = max(wait, again)
	}
	if wait > 0 {
		return jobs.Later(wait)
	}
	return nil
}

// retire drops a class's months that ended before a time. It gives after how long it is to be called again for those that had
// to be declared first.
func (r retention) retire(ctx context.Context, from retainer, class string, before time.Time) (wait time.Duration, err error) {
	months, err := from.Past(ctx, class, before)
	if err != nil {
		return 0, err
	}
	for _, m := range months {
		gone, err := from.Retire(ctx, m, before)
		switch {
		case errors.Is(err, audit.ErrUndeclared):
			again, err := r.declare(ctx, from, m)
			if errors.Is(err, audit.ErrHeld) {
				r.held(m, err)
				continue
			}
			if err != nil {
				return wait, err
			}
			wait = max(wait, again)
		case errors.Is(err, audit.ErrHeld):
			r.held(m, err)
		case err != nil:
			return wait, err
		case gone > 0:
			r.log.Info("a month of the audit was dropped, as audit.retention says", "class", class, "month", m.Name(), "rows", gone)
		}
	}
	return wait, nil
}

// held tells of a month that stays for now. The others go.
func (r retention) held(m audit.Month, err error) {
	r.log.Warn("a month of the audit is due and stays; it is tried again in an hour", "class", m.Class, "month", m.Name(), "error", err)
}

// declare records that a month goes, and gives how long to wait for that.
func (r retention) declare(ctx context.Context, from retainer, m audit.Month) (time.Duration, error) {
	declaration, err := from.Declaration(ctx, m, store.System, r.now().UTC())
	if err != nil {
		return 0, err
	}
	err = r.record(ctx, declaration)
	if errors.Is(err, audit.ErrDuplicate) { // it is on its way, or will be when Postgres takes records again
		return recordedLate, nil
	}
	return recordedSoon, err
}

package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	auditpg "github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/jobs"
	pgpool "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

var halfPast = time.Date(2026, 7, 1, 12, 20, 0, 0, time.UTC)

func atHalfPast() time.Time { return halfPast }

// isLater reports whether a job asked to be called again.
func isLater(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "to be gone on with")
}

// owned is an ownership with so many objects too many, of which forgetting some fails.
type owned struct {
	store.Ownership
	left int
	keep store.Keep
	err  error
}

func (o *owned) Surplus(_ context.Context, k store.Keep, _ int) ([]core.ObjectRef, error) {
	o.keep = k
	return make([]core.ObjectRef, o.left), nil
}

func (o *owned) Forget(_ context.Context, refs []core.ObjectRef) (int64, error) {
	if o.left < len(refs) || o.err != nil {
		return 0, o.err
	}
	o.left -= len(refs)
	return int64(len(refs)), nil
}

// erased are keys of days, as EraseSamples sees them.
type erased struct {
	before time.Time
	n      int64
	err    error
}

func (e *erased) EraseSamples(_ context.Context, before time.Time) (int64, error) {
	e.before = before
	return e.n, e.err
}

// expired is a queue of samples, as Expire sees it.
type expired struct{ before time.Time }

func (e *expired) Expire(_ context.Context, before time.Time) (int64, error) {
	e.before = before
	return 1, nil
}

// TestSamplesEnd: a day's samples go before the first of them was kept for its time, though one look in between fails; a
// failure is the job's.
func TestSamplesEnd(t *testing.T) {
	var log bytes.Buffer
	keys, queue, lessons := &erased{n: 2}, &expired{}, &expired{}
	s := samplesEnd{keys, queue, lessons, 30 * 24 * time.Hour, atHalfPast, slog.New(slog.NewTextHandler(&log, nil))}
	if err := s.run(t.Context()); err != nil || !strings.Contains(log.String(), "days=2") {
		t.Errorf("%v, the log: %s", err, log.String())
	}
	first := keys.before.Add(-24 * time.Hour) // the earliest sample of the last day that goes
	if kept := halfPast.Sub(first); kept > s.keep-2*samplesInterval || kept < s.keep-24*time.Hour {
		t.Errorf("samples go after %s of %s", kept, s.keep)
	}
	if !queue.before.Equal(keys.before.Truncate(24*time.Hour)) || !lessons.before.Equal(queue.before) {
		t.Errorf("samples before %s are queued no more, and keys of days before %s destroyed", queue.before, keys.before)
	}
	keys.n, keys.err = 0, errors.New("away")
	if err := s.run(t.Context()); !errors.Is(err, keys.err) {
		t.Errorf("a failure is told as %v", err)
	}
}

func TestSweepForgetsByTheHundred(t *testing.T) {
	var log bytes.Buffer
	o := &owned{left: 1234}
	run := sweep(o, atHalfPast, slog.New(slog.NewTextHandler(&log, nil)))
	if err := run(t.Context()); err != nil || o.left != 0 || !strings.Contains(log.String(), "objects=1234") {
		t.Errorf("%v, %d left, the log: %s", err, o.left, log.String())
	}
	if o.keep.PerOwner != mostOwned || !o.keep.ResponsesSince.Equal(halfPast.Add(-responseLife)) {
		t.Errorf("it kept %+v", o.keep)
	}
	o.left, o.err = 3, errors.New("disk on fire")
	if err := run(t.Context()); !errors.Is(err, o.err) {
		t.Errorf("a failure is told as %v", err)
	}
}

// fakeRetainer notes what happens in order, together with the records.
type fakeRetainer struct {
	events   []string
	declared map[string]bool
	months   []audit.Month
	err      error
}

func (f *fakeRetainer) Past(_ context.Context, class string, before time.Time) (past []audit.Month, err error) {
	f.events = append(f.events, "past "+class+" "+before.Format(time.DateOnly))
	for _, m := range f.months {
		if m.Class == class {
			past = append(past, m)
		}
	}
	return past, f.err
}

func (f *fakeRetainer) Retire(_ context.Context, m audit.Month, _ time.Time) (int64, error) {
	if !f.declared[m.Class+m.Name()] {
		return 0, audit.ErrUndeclared
	}
	f.events = append(f.events, "drop "+m.Class+" "+m.Name())
	return 1, nil
}

func (f *fakeRetainer) Declaration(_ context.Context, m audit.Month, actor string, now time.Time) (core.Record, error) {
	return core.Record{
		Kind: core.RecordAdmin, Time: now, Exchange: m.Class + m.Name(), Admin: &core.Change{Actor: actor, Action: "drop", Object: m.Class + "/" + m.Name()},
	}, nil
}

func (f *fakeRetainer) record(_ context.Context, r core.Record) error {
	if f.declared[r.Exchange] {
		return audit.ErrDuplicate
	}
	f.events = append(f.events, "record "+r.Admin.Object)
	f.declared[r.Exchange] = true
	return nil
}

// TestRetentionDeclaresFirst: nothing is dropped in the run that declares it, nor when it cannot be declared.
func TestRetentionDeclaresFirst(t *testing.T) {
	march := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
	f := &fakeRetainer{declared: map[string]bool{}, months: []audit.Month{{Class: "exchange", Begin: march}, {Class: "admin", Begin: march}, {Class: "rollups", Begin: march}}}
	closed := 0
	r := retention{
		open: func(context.Context) (retainer, func() error, error) {
			return f, func() error { closed++; return nil }, nil
		},
		record: f.record, kept: config.Retention{Records: 400, Rollups: 500}, now: atHalfPast, log: slog.New(slog.DiscardHandler),
	}
	if err := r.run(t.Context()); !isLater(err) {
		t.Errorf("after declaring: %v", err)
	}
	if err := r.run(t.Context()); err != nil {
		t.Error(err)
	}
	want := []string{
		"past exchange 2025-05-27", "record exchange/2025_03", "past rollups 2025-02-16", "record rollups/2025_03",
		"past exchange 2025-05-27", "drop exchange 2025_03", "past rollups 2025-02-16", "drop rollups 2025_03",
	}
	if !slices.Equal(f.events, want) || closed != 2 {
		t.Errorf("%q, closed %d times", f.events, closed)
	}
	f.events, f.declared = nil, map[string]bool{}
	r.record = func(context.Context, core.Record) error { return audit.ErrUnavailable }
	if err := r.run(t.Context()); !errors.Is(err, audit.ErrUnavailable) || isLater(err) {
		t.Errorf("when nothing can be recorded: %v", err)
	}
	r.record = func(context.Context, core.Record) error { return audit.ErrDuplicate }
	if err := r.run(t.Context()); !isLater(err) {
		t.Errorf("when the declaration is on its way: %v", err)
	}
	if slices.ContainsFunc(f.events, func(e string) bool { return strings.HasPrefix(e, "drop") }) {
		t.Errorf("dropped without a record: %q", f.events)
	}
}

// recounter is a store whose recounts are given.
type recounter struct {
	hour   time.Time
	result auditpg.Recounted
	err    error
}

func (r *recounter) Recount(_ context.Context, hour time.Time) (auditpg.Recounted, error) {
	r.hour = hour
	return r.result, r.err
}

func TestRollupCheckTells(t *testing.T) {
	var log bytes.Buffer
	told := int64(0)
	r := &recounter{result: auditpg.Recounted{Records: 10, Sums: 3}}
	c := rollupCheck{r, func(n int64) { told += n }, atHalfPast, slog.New(slog.NewTextHandler(&log, nil))}
	if err := c.run(t.Context()); err != nil || told != 0 || log.Len() > 0 {
		t.Errorf("without a difference: %v, %d, %s", err, told, log.String())
	}
	if want := time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC); !r.hour.Equal(want) {
		t.Errorf("it counted %s, want %s", r.hour, want)
	}
	r.result.Wrong = 2
	if err := c.run(t.Context()); err != nil || told != 2 || !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("with a difference: %v, %d, %s", err, told, log.String())
	}
	r.err = auditpg.ErrMoving
	if err := c.run(t.Context()); !isLater(err) {
		t.Errorf("while records come: %v", err)
	}
}

// TestJobWordsQuoteNothing: neither what a database says nor what a job's error says.
func TestJobWordsQuoteNothing(t *testing.T) {
	db := pgproc.Shared(t).Database(t, pgproc.Template{})
	pool, err := pgpool.Open(t.Context(), pgpool.Options{URL: db.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	_, refused := pool.Exec(t.Context(), "SELECT $1::text::bigint", "sk-123")
	if refused == nil || !strings.Contains(refused.Error(), "sk-123") {
		t.Fatalf("the server says %v", refused)
	}
	for _, err := range []error{refused, fmt.Errorf("x: %w", refused), errors.New("sk-123"), &core.Error{Public: "told", Cause: errors.New("sk-123")}} {
		if words := jobWords(err); strings.Contains(words, "sk-123") {
			t.Errorf("%v is told as %q", err, words)
		}
	}
	if words := jobWords(refused); !strings.Contains(words, "22P02") {
		t.Errorf("told as %q", words)
	}
}

// listed gives the jobs in the queue of a configuration.
func listed(t *testing.T, cfg config.Config) (all []string) {
	t.Helper()
	queue, err := OpenQueue(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer queue.Close()
	entries, err := jobs.List(t.Context(), queue.Queue, jobs.Filter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Job+" "+e.State)
	}
	slices.Sort(all)
	return all
}

// TestJobsRun: on both databases, and not where they are left to others.
func TestJobsRun(t *testing.T) {
	idle := testConfig(t, map[string]string{"jobs.run": "false"})
	_, stop := running(t, idle)
	stop()
	if all := listed(t, idle); all != nil {
		t.Errorf("jobs that are left to others: %v", all)
	}
	embedded := testConfig(t, nil)
	_, stop = running(t, embedded)
	await(t, "the jobs run", func() bool {
		return slices.Equal(listed(t, embedded), []string{"calibration_check completed", "objects_sweep completed", "samples_end completed"})
	})
	stop()
}

// TestOneLookAtASchema: a start looks once at each schema, whatever opens connections beside.
func TestOneLookAtASchema(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{})
	cfg, db := onPostgres(t, server, nil)
	if _, err := Migrate(t.Context(), cfg, nil); err != nil {
		t.Fatal(err)
	}
	db.Exec(t, "ALTER SYSTEM SET log_statement = 'all'")
	db.Exec(t, "SELECT pg_reload_conf()")
	const looks = `FROM "plumbline%s"."schema_version" ORDER BY`
	for _, migrate := range []bool{true, false} {
		cfg.Postgres.Migrate = migrate
		before := server.Log()
		_, stop := running(t, cfg)
		stop()
		said := strings.TrimPrefix(server.Log(), before)
		for _, schema := range []string{"", "_audit"} {
			if n := strings.Count(said, fmt.Sprintf(looks, schema)); n != 1 {
				t.Errorf("migrate %v: %d looks at plumbline%s", migrate, n, schema)
			}
		}
	}
}

// TestRetentionWithoutPostgres: a month that is old at the start goes after the audit has said so.
func TestRetentionWithoutPostgres(t *testing.T) {
	cfg := testConfig(t, nil)
	cfg.Audit.Retention = config.Retention{Records: 100}
	must(t, os.MkdirAll(cfg.DataDir, 0o700))
	log, err := audit.Open(t.Context(), audit.Options{Path: AuditPath(cfg.DataDir), Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 1 << 20})
	must(t, err)
	old := time.Date(2025, 3, 10, 0, 0, 0, 0, time.UTC)
	must(t, log.Append(t.Context(), core.Record{Kind: core.RecordDeny, Time: old, Exchange: "e", Reason: core.ReasonOffTask}))
	must(t, log.Close(t.Context()))
	_, stop := running(t, cfg)
	defer stop()
	r, err := audit.OpenReader(t.Context(), AuditPath(cfg.DataDir))
	must(t, err)
	defer r.Close()
	eventually(t, "the month is not dropped", func() bool {
		kept, err := r.KeptMonths(t.Context())
		must(t, err)
		return len(kept) == 1 && kept[0].Name() == "2025_03" && kept[0].Done
	})
	found, _, err := r.Search(t.Context(), audit.Query{Exchange: "e"})
	must(t, err)
	declared, _, err := r.Search(t.Context(), audit.Query{Kind: core.RecordAdmin, Text: "drop"})
	must(t, err)
	if len(found) != 0 || len(declared) != 1 || !strings.HasPrefix(declared[0].Record.Admin.Object, "records/exchange/2025_03/1/") {
		t.Errorf("%d records are left, %+v declare it", len(found), declared)
	}
	await(t, "every job is done", func() bool {
		return slices.Equal(listed(t, cfg), []string{"audit_retention completed", "calibration_check completed", "objects_sweep completed", "samples_end completed"})
	})
}

// TestRetentionInTheWhole: with two users, of whom neither can do the other's part, an old month goes after the audit in
// Postgres has the record that says so.
func TestRetentionInTheWhole(t *testing.T) {
	cfg, db := onPostgres(t, pgproc.Shared(t), nil)
	if _, err := Migrate(t.Context(), cfg, nil); err != nil {
		t.Fatal(err)
	}
	old := time.Date(2025, 3, 10, 0, 0, 0, 0, time.UTC).UnixMicro()
	db.Exec(t, fmt.Sprintf("SELECT plumbline_audit.create_partitions(%d, 0)", old))
	db.Exec(t, fmt.Sprintf(`INSERT INTO plumbline_audit.records SELECT 'exchange', %d, 'w', 1, sha256('\x00'::bytea || convert_to(E'w\n1\n' || r, 'UTF8')),
		'deny', 'e', '', '', '', '', '', '', convert_to(r, 'UTF8') FROM (VALUES ('{"kind":"deny","time":"2025-03-10T00:00:00Z"}')) AS v (r)`, old))
	serves := db.Role(t, append([]string{"GRANT plumbline_writer TO %s"},
		"GRANT USAGE ON SCHEMA plumbline TO %s", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plumbline TO %s",
		"GRANT USAGE ON ALL SEQUENCES IN SCHEMA plumbline TO %s")...)
	cfg.Postgres.URL, cfg.Postgres.Migrate = config.NewSecret(serves), false
	cfg.Postgres.RetentionURL = config.NewSecret(db.Role(t, "GRANT plumbline_retention TO %s"))
	cfg.Audit.Retention = config.Retention{Records: 100}
	_, stop := running(t, cfg)
	defer stop()
	const exists = "SELECT count(*) FROM pg_tables WHERE tablename = 'records_exchange_2025_03'"
	eventually(t, "the month is not dropped", func() bool { return pgproc.One[int](t, db, exists) == 0 })
	const declared = "SELECT count(*) FROM plumbline_audit.records WHERE class = 'admin' AND exchange LIKE 'drop/exchange/2025\\_03/%'"
	if n := pgproc.One[int](t, db, declared); n != 1 {
		t.Errorf("%d records say that it goes", n)
	}
	if n := pgproc.One[int](t, db, "SELECT records::int FROM plumbline_audit.dropped"); n != 1 {
		t.Errorf("%d hashes are kept", n)
	}
	await(t, "every job is done", func() bool {
		return slices.Equal(listed(t, cfg), []string{
			"audit_partitions completed", "audit_retention completed", "audit_rollup_check completed", "calibration_check completed",
			"objects_sweep completed", "samples_end completed",
		})
	})
}

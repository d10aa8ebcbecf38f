package jobs_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/plumbline/plumbline/internal/jobs"
	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
	"github.com/plumbline/plumbline/migrations"
)

// childURL has this test program be a replica that dies in the middle of a job: see TestKilledInTheMiddle.
const childURL = "PLUMBLINE_TEST_JOBS_CHILD"

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		runUntilKilled(url)
		return
	}
	verify(m)
}

// TestMigrationIsRivers: the tables of jobs are those of the module in use, in both dialects.
func TestMigrationIsRivers(t *testing.T) {
	for name, c := range map[string]struct {
		ours   fs.FS
		rivers fs.FS
		schema string
	}{
		"postgres": {migrations.PostgresControl, riverpgxv5.New(nil).GetMigrationFS("main"), "plumbline."},
		"sqlite":   {migrations.SQLiteControl, riversqlite.New(nil).GetMigrationFS("main"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := fs.Glob(c.ours, "*_jobs.sql")
			if err != nil || len(found) == 0 {
				t.Fatalf("%v, %v", found, err)
			}
			var ours strings.Builder
			for _, name := range found {
				text, err := fs.ReadFile(c.ours, name)
				if err != nil {
					t.Fatal(err)
				}
				ours.Write(text)
			}
			ups, err := fs.Glob(c.rivers, "migration/main/*.up.sql")
			if err != nil || len(ups) != 8 {
				t.Fatalf("River has %d migrations, not 8: write a migration of ours with those that came (%v)", len(ups), err)
			}
			rest := statements(ours.String())
			for _, up := range ups {
				text, err := fs.ReadFile(c.rivers, up)
				if err != nil {
					t.Fatal(err)
				}
				want := statements(strings.ReplaceAll(string(text), "/* TEMPLATE: schema */", c.schema))
				want = strings.Replace(want, "'discarded',\n'retryable',", "'discarded',\n'pending',\n'retryable',", 1)
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("%v do not hold %s as it is, in order", found, up)
				}
				rest = after
			}
		})
	}
}

// statements is SQL without comments, which River rewords in migrations that it has published, and without what only fills
// a migration that has nothing to do.
func statements(sql string) string {
	var kept []string
	for line := range strings.Lines(sql) {
		code, _, _ := strings.Cut(line, "--")
		if code = strings.TrimSpace(code); code != "" && code != "SELECT 1;" {
			kept = append(kept, code)
		}
	}
	return strings.Join(kept, "\n")
}

// TestOnceAPeriod: of two replicas one runs a job, and none again in the same period, also after all were started anew.
func TestOnceAPeriod(t *testing.T) {
	w := inPostgres(t, pgproc.Shared(t))
	var runs, beats atomic.Int64
	all := []jobs.Job{
		{Name: "daily", Every: 24 * time.Hour, Timeout: time.Minute, Run: func(context.Context) error { runs.Add(1); return nil }},
		{Name: "beat", Every: time.Second, Timeout: time.Minute, Run: func(context.Context) error { beats.Add(1); return nil }},
	}
	one, two := start(t, w.queue, jobs.Options{Jobs: all}), start(t, w.queue, jobs.Options{Jobs: all})
	await(t, "both jobs run", func() bool { return runs.Load() > 0 && beats.Load() > 1 })
	one()
	two()
	seen := beats.Load()
	start(t, w.queue, jobs.Options{Jobs: all})
	await(t, "jobs go on", func() bool { return beats.Load() > seen+1 })
	if n := runs.Load(); n != 1 {
		t.Errorf("the daily job ran %d times", n)
	}
	if n := w.one(t, "SELECT count(*) FROM "+w.table+" AS a JOIN "+w.table+" AS b ON a.id < b.id AND a.unique_key = b.unique_key"); n != 0 {
		t.Errorf("%d runs share a period with another", n)
	}
}

// TestPoison: a job that always fails is tried a few times and then discarded, listed and counted. What it failed with is
// kept nowhere, also when it panicked; another job is not held up.
func TestPoison(t *testing.T) {
	const secret = "the prompt said sk-123"
	each(t, func(t *testing.T, w world) {
		var metrics counts
		tried := make(chan struct{}, 100)
		fail := func(context.Context) error { tried <- struct{}{}; return errors.New(secret) }
		all := []jobs.Job{
			{Name: "poison", Every: 24 * time.Hour, Timeout: time.Minute, Run: fail},
			{Name: "panics", Every: 24 * time.Hour, Timeout: time.Minute, Run: func(context.Context) error { panic(secret) }},
			{Name: "well", Every: 24 * time.Hour, Timeout: time.Minute, Run: func(context.Context) error { return nil }},
		}
		words := func(err error) string {
			if err.Error() == secret {
				return "fit to be told"
			}
			return ""
		}
		start(t, w.queue, jobs.Options{Jobs: all, Metrics: &metrics, Words: words})
		receive(t, "the first attempt", tried)
		await(t, "the others run", func() bool {
			return metrics.of("well", jobs.Done) == 1 && metrics.of("panics", jobs.Failed) > 0
		})
		await(t, "both are discarded", func() bool {
			// Their time comes, and all but the last attempt were made.
			w.exec(t, "UPDATE "+w.table+" SET attempt = max_attempts - 1, state = 'available', scheduled_at = created_at WHERE state = 'retryable'")
			return metrics.of("poison", jobs.Discarded) == 1 && len(list(t, w.queue, "discarded")) == 2
		})
		for _, e := range list(t, w.queue, "") {
			want := map[string]string{"poison": "fit to be told", "panics": "it failed; the log says why", "well": ""}[e.Job]
			if e.Error != want || e.MaxAttempts != 5 || e.By == "" || e.Finished.IsZero() {
				t.Errorf("listed as %+v", e)
			}
		}
		if n := w.one(t, "SELECT count(*) FROM "+w.table+" WHERE CAST(errors AS text) LIKE '%sk-123%' OR CAST(args AS text) LIKE '%sk-123%'"); n != 0 {
			t.Error("the queue keeps what a job failed with")
		}
		poison := list(t, w.queue, "discarded")[0]
		again, err := jobs.Retry(t.Context(), w.queue, poison.ID)
		if err != nil || again.State != "available" || again.MaxAttempts != 6 {
			t.Errorf("tried again: %+v, %v", again, err)
		}
		if _, err := jobs.Retry(t.Context(), w.queue, 12345); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("a job that there is not: %v", err)
		}
	})
}

// TestStoppedInTheMiddle: a process that stops gives its job back, which is no failure, and the next one takes it.
func TestStoppedInTheMiddle(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		begun := make(chan struct{}, 10)
		slow := []jobs.Job{{Name: "slow", Every: 24 * time.Hour, Timeout: time.Minute, Run: func(ctx context.Context) error {
			begun <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}}}
		var first, second counts
		stop := start(t, w.queue, jobs.Options{Jobs: slow, Metrics: &first})
		receive(t, "the job begins", begun)
		if all := list(t, w.queue, "running"); len(all) != 1 {
			t.Fatalf("running: %+v", all)
		} else if _, err := jobs.Retry(t.Context(), w.queue, all[0].ID); !errors.Is(err, jobs.ErrRunning) {
			t.Errorf("trying again what runs: %v", err)
		}
		stop()
		if all := list(t, w.queue, ""); len(all) != 1 || all[0].Error != "" || all[0].State != "available" && all[0].State != "scheduled" {
			t.Errorf("after the stop: %+v", all)
		}
		slow[0].Run = func(context.Context) error { return nil }
		start(t, w.queue, jobs.Options{Jobs: slow, Metrics: &second})
		await(t, "another does it", func() bool { return second.of("slow", jobs.Done) == 1 })
		if first.all != nil {
			t.Errorf("the first counted %v", first.all)
		}
	})
}

// TestLater: a job may ask to be called again in its period.
func TestLater(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		var metrics counts
		var calls atomic.Int64
		all := []jobs.Job{{Name: "twice", Every: 24 * time.Hour, Timeout: time.Minute, Run: func(context.Context) error {
			if calls.Add(1) == 1 {
				return jobs.Later(time.Millisecond)
			}
			return nil
		}}}
		start(t, w.queue, jobs.Options{Jobs: all, Metrics: &metrics})
		await(t, "it is called again", func() bool { return metrics.of("twice", jobs.Done) == 1 })
		if metrics.of("twice", jobs.Postponed) != 1 || calls.Load() != 2 {
			t.Errorf("%d calls, counted %v", calls.Load(), metrics.all)
		}
	})
}

// TestUnknownJobIsLeft: what a newer version put into the queue is left to it.
func TestUnknownJobIsLeft(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		nothing := func(context.Context) error { return nil }
		stop := start(t, w.queue, jobs.Options{Jobs: []jobs.Job{{Name: "old", Every: time.Hour, Timeout: time.Minute, Run: nothing}}})
		await(t, "there is a job", func() bool { return len(list(t, w.queue, "completed")) == 1 })
		stop()
		w.exec(t, "UPDATE "+w.table+" SET args = '{\"job\": \"newer\"}', state = 'available', finalized_at = NULL, unique_key = NULL")
		stop = start(t, w.queue, jobs.Options{Jobs: []jobs.Job{{Name: "old", Every: time.Hour, Timeout: time.Minute, Run: nothing}}})
		newer := func() jobs.Entry {
			all := list(t, w.queue, "")
			return all[len(all)-1]
		}
		await(t, "it is put off", func() bool { return newer().State == "scheduled" })
		if e := newer(); e.Job != "newer" || e.Error != "" {
			t.Errorf("left as %+v", e)
		}
		stop()
	})
}

// TestRetryBesideAnother: what was discarded is not done again in a period in which another run waits or is done.
func TestRetryBesideAnother(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		nothing := func(context.Context) error { return nil }
		stop := start(t, w.queue, jobs.Options{Jobs: []jobs.Job{{Name: "daily", Every: 24 * time.Hour, Timeout: time.Minute, Run: nothing}}})
		await(t, "it is done", func() bool { return len(list(t, w.queue, "completed")) == 1 })
		stop()
		w.exec(t, "INSERT INTO "+w.table+" (args, attempt, max_attempts, finalized_at, kind, state, unique_key, unique_states)"+
			" SELECT args, 5, 5, finalized_at, kind, 'discarded', unique_key, unique_states FROM "+w.table)
		if _, err := jobs.Retry(t.Context(), w.queue, list(t, w.queue, "discarded")[0].ID); !errors.Is(err, jobs.ErrAnother) {
			t.Errorf("trying it again: %v", err)
		}
	})
}

// TestKilledInTheMiddle: what a killed process was at is done by another.
func TestKilledInTheMiddle(t *testing.T) {
	w := inPostgres(t, pgproc.Shared(t))
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childURL+"="+w.url)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the other process is at it", func() bool { return len(list(t, w.queue, "running")) == 1 })
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()                                // it was killed
	w.exec(t, "DELETE FROM plumbline.river_leader") // its time as leader is over, and the job silent for long
	w.exec(t, "UPDATE plumbline.river_job SET attempted_at = now() - interval '1 hour'")
	var metrics counts
	all := []jobs.Job{{Name: "slow", Every: 24 * time.Hour, Timeout: time.Minute, Run: func(context.Context) error { return nil }}}
	start(t, w.queue, jobs.Options{Jobs: all, Metrics: &metrics})
	await(t, "it is done", func() bool { return metrics.of("slow", jobs.Done) == 1 })
	if e := list(t, w.queue, ""); len(e) != 1 || e[0].Attempt != 2 {
		t.Errorf("listed as %+v", e)
	}
}

// runUntilKilled is the other process of TestKilledInTheMiddle.
func runUntilKilled(url string) {
	pool, err := pg.Open(context.Background(), pg.Options{URL: url, Describe: true})
	if err != nil {
		panic(err)
	}
	slow := jobs.Job{Name: "slow", Every: 24 * time.Hour, Timeout: time.Minute, Run: func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	r, err := jobs.New(jobs.InPostgres(pool), jobs.Options{Jobs: []jobs.Job{slow}, Metrics: &counts{}})
	if err != nil {
		panic(err)
	}
	panic(r.Run(context.Background()))
}

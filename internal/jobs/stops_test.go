package jobs_test

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/plumbline/plumbline/internal/jobs"
	filesqlite "github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
	"github.com/plumbline/plumbline/migrations"
)

// stops is how many starts and stops TestStopsWhenItStarts makes, where the environment names another number.
const stops = "PLUMBLINE_STOPS"

// TestStopsWhenItStarts: whatever a runner is at, a stop ends it, and nothing of it is left, which TestMain holds. Others
// want the processor at every moment, so that what runs beside one another meets in unusual orders. Versions of River
// before 0.35 never ended where the stop met an election: once in some thousand.
func TestStopsWhenItStarts(t *testing.T) {
	total := 60
	if s := os.Getenv(stops); s != "" {
		var err error
		if total, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	server := pgproc.Shared(t)
	busy, rest := context.WithCancel(t.Context())
	defer rest()
	for range 6 {
		go func() {
			for busy.Err() == nil {
			}
		}()
	}
	beat := []jobs.Job{{Name: "beat", Every: time.Second, Timeout: time.Minute, Run: func(context.Context) error { return nil }}}
	var made atomic.Int64
	var wg sync.WaitGroup
	for range 12 {
		w := inPostgres(t, server)
		wg.Go(func() {
			for made.Add(1) <= int64(total) {
				stop := start(t, w.queue, jobs.Options{Jobs: beat})
				<-time.After(rand.N(400 * time.Millisecond))
				stop()
			}
		})
	}
	wg.Wait()
}

// TestJobsOfAnOlderRiver: what waited in plumbline.db before the tables were rebuilt is done after it, once.
func TestJobsOfAnOlderRiver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plumbline.db")
	db, err := filesqlite.Open(t.Context(), path, filesqlite.Options{Synchronous: filesqlite.SynchronousNormal})
	if err != nil {
		t.Fatal(err)
	}
	if err := filesqlite.Migrate(t.Context(), db, before(t, migrations.SQLiteControl, "0014")); err != nil {
		t.Fatal(err)
	}
	execIn(t, db, `INSERT INTO river_job (args, attempt, attempted_by, errors, kind, max_attempts, metadata, state, tags)
		VALUES ('{"job": "old"}', 1, '["gone_2026"]', '[{"at": "2026-11-01T00:00:00Z", "attempt": 1, "error": "it took too long", "trace": ""}]',
			'plumbline', 5, '{"snoozes": 1}', 'retryable', '[]')`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	w := inSQLite(t, path)
	var runs atomic.Int64
	old := jobs.Job{Name: "old", Every: 24 * time.Hour, Timeout: time.Minute, Run: func(context.Context) error { runs.Add(1); return nil }}
	// A period of its own begins at the start: the one that waited is the other.
	start(t, w.queue, jobs.Options{Jobs: []jobs.Job{old}})
	await(t, "both are done", func() bool { return len(list(t, w.queue, "completed")) == 2 })
	first := list(t, w.queue, "completed")[1]
	if first.Attempt != 2 || first.Error != "it took too long" || runs.Load() != 2 {
		t.Errorf("after %d runs the one that waited is %+v", runs.Load(), first)
	}
}

// before is what all has up to the migration of that number.
func before(t *testing.T, all fs.FS, number string) fs.FS {
	t.Helper()
	names, err := fs.Glob(all, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	some := fstest.MapFS{}
	for _, name := range names {
		if name < number {
			text, err := fs.ReadFile(all, name)
			if err != nil {
				t.Fatal(err)
			}
			some[name] = &fstest.MapFile{Data: text}
		}
	}
	return some
}

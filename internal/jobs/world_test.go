package jobs_test

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/jobs"
	pg "github.com/plumbline/plumbline/internal/postgres"
	filesqlite "github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/store/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
	"github.com/plumbline/plumbline/migrations"
)

// world is a queue in a database of the test's own.
type world struct {
	queue jobs.Queue
	table string // of the jobs
	url   string // of the database, in Postgres
	exec  func(t *testing.T, statement string)
	one   func(t *testing.T, query string) int64
}

// each runs a test on both databases.
func each(t *testing.T, test func(t *testing.T, w world)) {
	t.Run("postgres", func(t *testing.T) { test(t, inPostgres(t, pgproc.Shared(t))) })
	t.Run("sqlite", func(t *testing.T) { test(t, inSQLite(t, filepath.Join(t.TempDir(), "plumbline.db"))) })
}

func inPostgres(t *testing.T, server *pgproc.Server) world {
	t.Helper()
	db := server.Database(t, pgproc.Template{Name: "control", Make: func(ctx context.Context, url string) error {
		pool, err := pg.Open(ctx, pg.Options{URL: url})
		if err != nil {
			return err
		}
		defer pool.Close()
		_, err = postgres.Schema.Migrate(ctx, pool)
		return err
	}})
	w := onPostgres(t, db.URL)
	w.exec = func(t *testing.T, statement string) { t.Helper(); db.Exec(t, statement) }
	w.one = func(t *testing.T, query string) int64 { t.Helper(); return pgproc.One[int64](t, db, query) }
	return w
}

func onPostgres(t *testing.T, url string) world {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Options{URL: url, MaxConns: 2, Describe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return world{queue: jobs.InPostgres(pool), table: "plumbline.river_job", url: url}
}

func inSQLite(t *testing.T, path string) world {
	t.Helper()
	db, err := filesqlite.Open(t.Context(), path, filesqlite.Options{Synchronous: filesqlite.SynchronousNormal})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := filesqlite.Migrate(t.Context(), db, migrations.SQLiteControl); err != nil {
		t.Fatal(err)
	}
	return world{
		queue: jobs.InSQLite(db), table: "river_job",
		exec: func(t *testing.T, statement string) { t.Helper(); execIn(t, db, statement) },
		one: func(t *testing.T, query string) (n int64) {
			t.Helper()
			if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			return n
		},
	}
}

func execIn(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// counts are what a runner told its metrics.
type counts struct {
	mu  sync.Mutex
	all map[string]int // by job and result
}

func (c *counts) JobEnded(job, result string, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string]int{}
	}
	c.all[job+" "+result]++
}

func (c *counts) of(job string, result jobs.Result) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[job+" "+string(result)]
}

// start runs jobs and gives what stops them.
func start(t *testing.T, q jobs.Queue, o jobs.Options) (stop func()) {
	t.Helper()
	if o.Poll == 0 {
		o.Poll = 100 * time.Millisecond
	}
	if o.Metrics == nil {
		o.Metrics = &counts{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	r, err := jobs.New(q, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.Run(ctx) // it ends with the reason of ctx
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	t.Cleanup(stop)
	return stop
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for too long: %s", what)
		}
	}
}

// receive waits for the next value.
func receive[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(time.Minute):
		t.Fatalf("waited for too long: %s", what)
	}
	return v
}

func list(t *testing.T, q jobs.Queue, state string) []jobs.Entry {
	t.Helper()
	all, err := jobs.List(t.Context(), q, jobs.Filter{State: state, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func verify(m *testing.M) { goleak.VerifyTestMain(m) }

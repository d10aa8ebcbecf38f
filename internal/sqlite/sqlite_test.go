package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string, o sqlite.Options) *sql.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func exec(t *testing.T, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func query(t *testing.T, db *sql.DB, q string) string {
	t.Helper()
	var s string
	if err := db.QueryRowContext(t.Context(), q).Scan(&s); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return s
}

func TestOpenSettings(t *testing.T) {
	// A path with every character that means something in a URI.
	dir := filepath.Join(t.TempDir(), "a b?c#d%20&e=f")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "x.db")
	db := open(t, path, sqlite.Options{ManualCheckpoint: true})
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "wal_autocheckpoint": "0",
	} {
		if got := query(t, db, "PRAGMA "+pragma); got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
	normal := open(t, path, sqlite.Options{Synchronous: sqlite.SynchronousNormal})
	if got := query(t, normal, "PRAGMA synchronous"); got != "1" {
		t.Errorf("synchronous is %s, want 1", got)
	}
	exec(t, db, "CREATE TABLE t (a)")
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 3 {
		t.Fatalf("want the file with -wal and -shm, got %v, %v", names, err)
	}
	for _, e := range names {
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, %v; want only its owner to read it", e.Name(), info.Mode(), err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if _, err := sqlite.Open(t.Context(), path, sqlite.Options{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading a missing file: %v, want fs.ErrNotExist", err)
	}
	db := open(t, path, sqlite.Options{})
	exec(t, db, "CREATE TABLE t (a)")
	r := open(t, path, sqlite.Options{ReadOnly: true})
	if _, err := r.ExecContext(t.Context(), "INSERT INTO t VALUES (1)"); !sqlite.IsReadOnly(err) {
		t.Errorf("writing: %v, want IsReadOnly", err)
	}
	exec(t, db, "INSERT INTO t VALUES (7)")
	if got := query(t, r, "SELECT a FROM t"); got != "7" {
		t.Errorf("the reader sees %s, want 7", got)
	}
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if db, err := sqlite.Open(t.Context(), path, sqlite.Options{}); err == nil {
		db.Close()
		t.Error("a text file was opened as a database")
	}
}

func TestErrorClasses(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
	exec(t, db, "CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n INTEGER NOT NULL CHECK (n > 0)) STRICT")
	exec(t, db, "CREATE TABLE c (p INTEGER REFERENCES p)")
	exec(t, db, "INSERT INTO p VALUES (1, 'a', 1)")
	exec(t, db, "PRAGMA max_page_count = 8")
	type class struct {
		name string
		is   func(error) bool
	}
	classes := []class{
		{"full", sqlite.IsFull},
		{"read-only", sqlite.IsReadOnly},
		{"busy", sqlite.IsBusy},
		{"conflict", sqlite.IsConflict},
		{"unique", sqlite.IsUnique},
		{"foreign", sqlite.IsForeign},
		{"sync", sqlite.IsSync},
		{"own fault", sqlite.IsOwnFault},
	}
	for _, c := range []struct{ statement, want string }{
		{"INSERT INTO p VALUES (1, 'b', 1)", "conflict unique own fault"},
		{"INSERT INTO p VALUES (2, 'a', 1)", "conflict unique own fault"},
		{"INSERT INTO p VALUES (2, 'b', 0)", "conflict own fault"},
		{"INSERT INTO p VALUES (2, 'b', 'x')", "conflict own fault"},
		{"INSERT INTO c VALUES (9)", "conflict foreign own fault"},
		{"INSERT INTO p VALUES (2, hex(zeroblob(100000)), 1)", "full"},
		{"INSERT INTO p VALUES (2, zeroblob(2000000000), 1)", "own fault"},
		{"nonsense", ""},
	} {
		_, err := db.ExecContext(t.Context(), c.statement)
		var got []string
		for _, k := range classes {
			if k.is(err) {
				got = append(got, k.name)
			}
		}
		if err == nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v is %v, want %s", c.statement, err, got, c.want)
		}
	}
	if sqlite.IsFull(nil) || sqlite.IsFull(errors.New("full")) {
		t.Error("an error of somebody else is full")
	}
}

// files makes migrations 1 to n. The last one fails when broken.
func files(n int, broken bool) fstest.MapFS {
	all := []string{"CREATE TABLE a (x);", "-- nothing to do", "CREATE TABLE b (x); INSERT INTO b VALUES (1);"}
	m := fstest.MapFS{}
	for i, name := range []string{"0001_a.sql", "0002_none.sql", "0003_b.sql"}[:n] {
		text := all[i]
		if broken && i == n-1 {
			text += "; INSERT INTO missing VALUES (1)"
		}
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func TestMigrateForward(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
	if err := sqlite.CheckSchema(t.Context(), db, files(1, false)); !errors.Is(err, sqlite.ErrSchema) {
		t.Errorf("an empty file: %v, want ErrSchema", err)
	}
	for n := 1; n <= 3; n++ {
		for range 2 { // the second time there is nothing to do
			if err := sqlite.Migrate(t.Context(), db, files(n, false)); err != nil {
				t.Fatal(err)
			}
		}
		if err := sqlite.CheckSchema(t.Context(), db, files(n, false)); err != nil {
			t.Error(err)
		}
	}
	if got := query(t, db, "SELECT count(*) FROM b"); got != "1" {
		t.Errorf("migration 3 ran %s times", got)
	}
	err := sqlite.Migrate(t.Context(), db, files(2, false))
	if !errors.Is(err, sqlite.ErrSchema) || !strings.Contains(err.Error(), "run the newer Plumbline") {
		t.Errorf("an older program: %v", err)
	}
}

func TestMigrateRefuses(t *testing.T) {
	t.Run("half a change", func(t *testing.T) {
		db := open(t, filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
		if err := sqlite.Migrate(t.Context(), db, files(1, false)); err != nil {
			t.Fatal(err)
		}
		if err := sqlite.Migrate(t.Context(), db, files(3, true)); err == nil || !strings.Contains(err.Error(), "0003_b.sql") {
			t.Errorf("a broken migration: %v", err)
		}
		if got := query(t, db, "SELECT group_concat(name) FROM sqlite_schema WHERE name IN ('a', 'b')"); got != "a" {
			t.Errorf("tables after a failure: %s, want a", got)
		}
		if err := sqlite.Migrate(t.Context(), db, files(3, false)); err != nil {
			t.Errorf("after it was repaired: %v", err)
		}
	})
	t.Run("another's file", func(t *testing.T) {
		db := open(t, filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
		exec(t, db, "CREATE TABLE somebody_elses (x)")
		if err := sqlite.Migrate(t.Context(), db, files(1, false)); !errors.Is(err, sqlite.ErrSchema) {
			t.Errorf("got %v, want ErrSchema", err)
		}
	})
	t.Run("another kind", func(t *testing.T) {
		db := open(t, filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
		if err := sqlite.Migrate(t.Context(), db, migrations.SQLiteControl); err != nil {
			t.Fatal(err)
		}
		err := sqlite.Migrate(t.Context(), db, migrations.SQLiteAudit)
		if !errors.Is(err, sqlite.ErrSchema) || !strings.Contains(err.Error(), "another kind of database") {
			t.Errorf("got %v, want ErrSchema", err)
		}
	})
	for name, m := range map[string]fs.FS{
		"none": fstest.MapFS{}, "gap": fstest.MapFS{"0002_b.sql": {}}, "short": fstest.MapFS{"1_a.sql": {}}, "no name": fstest.MapFS{"0001.sql": {}},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
			if err := sqlite.Migrate(t.Context(), db, m); err == nil {
				t.Error("taken")
			}
		})
	}
}

// TestMigrateAtOnce: of several processes that start together, one migrates and the others wait.
func TestMigrateAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			if err := sqlite.Migrate(t.Context(), db, files(3, false)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := query(t, open(t, path, sqlite.Options{}), "SELECT count(*) FROM b"); got != "1" {
		t.Errorf("migration 3 ran %s times", got)
	}
}

// cancelling ends a context when a file is read.
type cancelling struct {
	fstest.MapFS
	cancel context.CancelFunc
}

func (c cancelling) ReadFile(name string) ([]byte, error) {
	c.cancel()
	return c.MapFS.ReadFile(name)
}

func TestMigrateLeavesNoTransactionBehind(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	if err := sqlite.Migrate(ctx, db, cancelling{files(3, false), cancel}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if err := sqlite.Migrate(t.Context(), db, files(3, false)); err != nil {
		t.Error(err)
	}
}

func TestCheckpoint(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), sqlite.Options{ManualCheckpoint: true})
	exec(t, db, "CREATE TABLE t (a)")
	pages, moved, err := sqlite.Checkpoint(t.Context(), db)
	if err != nil || pages == 0 || moved != pages {
		t.Errorf("%d of %d pages moved, %v", moved, pages, err)
	}
}

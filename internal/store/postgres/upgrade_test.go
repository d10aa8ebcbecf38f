package postgres_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	pg "github.com/plumbline/plumbline/internal/postgres"
	filesqlite "github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
	"github.com/plumbline/plumbline/migrations"
)

// dump writes the dumps that do not exist. The dumps are what people have in their databases:
// one by each version of the schema, never made again. A new migration brings a new dump.
var dump = flag.Bool("dump", false, "write testdata/schema_NNNN.sql where it is missing")

// rows is what every dump holds.
const rows = `
INSERT INTO plumbline.teams (id, name, created) VALUES ('support', 'Support ''quoted'' 漢字', 1773190800123456);
INSERT INTO plumbline.users (id, name, team, blocked, created) VALUES ('ann', 'Ann', 'support', true, 1773190800123456);
INSERT INTO plumbline.apps (id, name, team, created) VALUES ('ide', '', NULL, 1773190800123456);
INSERT INTO plumbline.tasks (id, title, description, topics, examples, created) VALUES ('refunds', 'Refunds', E'Two\nlines', '["late \"parcels\""]', '[]', 1773190800123456);
INSERT INTO plumbline.task_users (task, "user") VALUES ('refunds', 'ann');
INSERT INTO plumbline.app_keys (id, app, "user", hash, hint, created, expires, revoked) VALUES ('key-1', 'ide', 'ann', '\x01ff000000000000000000000000000000000000000000000000000000000000', 'wxyz', 1773190800123456, 1773190800123457, 0);
INSERT INTO plumbline.changes (version, time, actor, action, object) VALUES (1, 1773190800123456, 'cli:root', 'put', 'team/support'), (2, 1773190800123456, 'cli:root', 'put', 'user/ann');
UPDATE plumbline.feed SET version = 2;
`

func inTheDump() store.Objects {
	at := time.UnixMicro(1773190800123456).UTC()
	return store.Objects{
		Teams: []core.Team{{ID: "support", Name: "Support 'quoted' 漢字", Created: at}},
		Users: []core.User{{ID: "ann", Name: "Ann", Team: "support", Blocked: true, Created: at}},
		Apps:  []core.App{{ID: "ide", Created: at}},
		Tasks: []core.Task{{ID: "refunds", Title: "Refunds", Description: "Two\nlines", Topics: []string{`late "parcels"`}, Users: []string{"ann"}, Created: at}},
		Keys:  []core.AppKey{{ID: "key-1", App: "ide", User: "ann", Hash: [32]byte{1, 255}, Hint: "wxyz", Created: at, Expires: at.Add(time.Microsecond)}},
	}
}

// upTo is a template of the first n migrations.
func upTo(t *testing.T, n int) pg.Schema {
	t.Helper()
	names := files(t, migrations.PostgresControl)
	some := fstest.MapFS{}
	for _, name := range names[:n] {
		data, err := fs.ReadFile(migrations.PostgresControl, name)
		if err != nil {
			t.Fatal(err)
		}
		some[name] = &fstest.MapFile{Data: data}
	}
	return pg.Schema{Name: "plumbline", Migrations: some}
}

func files(t *testing.T, migrations fs.FS) []string {
	t.Helper()
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	return names
}

func migrate(t *testing.T, s pg.Schema, url string) []string {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	pending, err := s.Pending(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	done, err := s.Migrate(t.Context(), pool)
	if err != nil || !slices.Equal(pending, done) {
		t.Fatalf("applied %v of %v: %v", done, pending, err)
	}
	if again, err := s.Migrate(t.Context(), pool); err != nil || len(again) > 0 {
		t.Fatalf("applied %v again: %v", again, err)
	}
	return done
}

func TestUpgradeKeepsEverything(t *testing.T) {
	names := files(t, migrations.PostgresControl)
	for i, name := range names {
		t.Run(name[:4], func(t *testing.T) {
			path := "testdata/schema_" + name[:4] + ".sql"
			if _, err := os.Stat(path); *dump && errors.Is(err, fs.ErrNotExist) {
				writeDump(t, i+1, path)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v: go test ./internal/store/postgres -run Upgrade -dump writes it", err)
			}
			db := pgproc.Shared(t).Database(t, pgproc.Template{})
			db.Exec(t, string(text))
			restored := db.Layout(t, "plumbline")
			fresh := pgproc.Shared(t).Database(t, pgproc.Template{})
			migrate(t, upTo(t, i+1), fresh.URL)
			if diff := cmp.Diff(restored, fresh.Layout(t, "plumbline")); diff != "" {
				t.Errorf("%s is not what it was when the dump was made (-dump +now); write a new migration:\n%s", name, diff)
			}
			if done := migrate(t, postgres.Schema, db.URL); !slices.Equal(done, names[i+1:]) {
				t.Errorf("applied %v", done)
			}
			st := open(t, db.URL)
			got, version, err := st.Load(t.Context())
			if diff := cmp.Diff(inTheDump(), got); err != nil || diff != "" || version != 2 {
				t.Errorf("version %d, %v; objects after the upgrade (-want +got):\n%s", version, err, diff)
			}
			if err := st.Users().Delete(t.Context(), "ann"); !errors.Is(err, store.ErrConflict) {
				t.Errorf("deleting somebody with a task: %v, want ErrConflict", err)
			}
			if err := st.Tasks().Delete(t.Context(), "refunds"); err != nil {
				t.Error(err)
			}
			if v, err := st.Version(t.Context()); v != 3 || err != nil {
				t.Errorf("version %d, %v", v, err)
			}
		})
	}
}

// writeDump makes a database of the first n migrations and dumps it.
func writeDump(t *testing.T, n int, path string) {
	t.Helper()
	db := pgproc.Shared(t).Database(t, pgproc.Template{})
	migrate(t, upTo(t, n), db.URL)
	db.Exec(t, rows)
	db.Dump(t, path)
}

// TestDialectsAgree: both have the same numbers and names of migrations, and after each of them the same columns.
func TestDialectsAgree(t *testing.T) {
	names := files(t, migrations.PostgresControl)
	if diff := cmp.Diff(files(t, migrations.SQLiteControl), names); diff != "" {
		t.Fatalf("migrations (-sqlite +postgres):\n%s", diff)
	}
	for i := range names {
		db := pgproc.Shared(t).Database(t, pgproc.Template{})
		migrate(t, upTo(t, i+1), db.URL)
		// feed stands for SQLite's AUTOINCREMENT; a truth value is a whole number there. River's tables are its own in each.
		inPostgres := db.Lines(t, `SELECT format('%s.%s %s', table_name, column_name,
			CASE data_type WHEN 'bigint' THEN 'INTEGER' WHEN 'boolean' THEN 'INTEGER' WHEN 'bytea' THEN 'BLOB' WHEN 'text' THEN 'TEXT' WHEN 'double precision' THEN 'REAL' ELSE data_type END)
			FROM information_schema.columns WHERE table_schema = 'plumbline' AND table_name NOT IN ('feed', 'schema_version') AND table_name NOT LIKE 'river%'`)
		slices.Sort(inPostgres)
		if diff := cmp.Diff(inSQLite(t, i+1), inPostgres); diff != "" {
			t.Errorf("columns after %s (-sqlite +postgres):\n%s", names[i], diff)
		}
	}
}

func inSQLite(t *testing.T, n int) (all []string) {
	t.Helper()
	some := fstest.MapFS{}
	for _, name := range files(t, migrations.SQLiteControl)[:n] {
		data, err := fs.ReadFile(migrations.SQLiteControl, name)
		if err != nil {
			t.Fatal(err)
		}
		some[name] = &fstest.MapFile{Data: data}
	}
	db, err := filesqlite.Open(t.Context(), filepath.Join(t.TempDir(), "plumbline.db"), filesqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := filesqlite.Migrate(t.Context(), db, some); err != nil {
		t.Fatal(err)
	}
	rows, err := db.QueryContext(t.Context(), `SELECT t.name || '.' || c.name || ' ' || c.type FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
		WHERE t.type = 'table' AND t.name NOT IN ('schema_version', 'sqlite_sequence') AND t.name NOT LIKE 'river%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// TestFailedMigration: one that fails leaves the database as the one before it did, and says which it was.
func TestFailedMigration(t *testing.T) {
	db := pgproc.Shared(t).Database(t, pgproc.Template{})
	broken := upTo(t, 2)
	broken.Migrations.(fstest.MapFS)["0003_broken.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE plumbline.half (n int); SELECT 1/0;")}
	pool, err := pg.Open(t.Context(), pg.Options{URL: db.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	done, err := broken.Migrate(t.Context(), pool)
	if err == nil || !strings.Contains(err.Error(), "0003_broken.sql") || len(done) != 2 {
		t.Errorf("applied %v, %v", done, err)
	}
	if n := pgproc.One[int](t, db, "SELECT count(*) FROM pg_tables WHERE tablename = 'half'"); n != 0 {
		t.Error("a half migration stays")
	}
	migrate(t, postgres.Schema, db.URL)
}

package sqlite_test

import (
	"database/sql"
	"errors"
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
	"github.com/plumbline/plumbline/internal/quota"
	filesqlite "github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/sqlite"
	"github.com/plumbline/plumbline/migrations"
)

// The dumps in testdata were made with `sqlite3 plumbline.db .dump`, one by each version of the schema, and are never
// made again: they are what people have on their disks. A new migration brings a new dump.

// inTheDump is what every dump holds. Fields that came later are as their migration leaves them.
func inTheDump() store.Objects {
	at := func(hour int) time.Time { return time.Date(2026, 3, 11, hour, 0, 0, 123_456_000, time.UTC) }
	return store.Objects{
		Teams: []core.Team{{ID: "sales", Name: "Sales & co 'quoted' 漢字", Created: at(1)}, {ID: "support", Created: at(2)}},
		Users: []core.User{{ID: "ann@example.com", Name: "Ann", Team: "support", Created: at(3)}, {ID: "ben", Blocked: true, Created: at(4)}},
		Apps:  []core.App{{ID: "helpdesk", Name: "Helpdesk", Team: "support", Created: at(5)}, {ID: "ide", Created: at(5)}},
		Tasks: []core.Task{{
			ID: "refunds", Title: "Refunds", Description: "Answer refund requests.\nBe kind.", Topics: []string{"refunds", "late parcels"},
			Examples: []string{`How do I say "no" <politely>?`}, Users: []string{"ann@example.com", "ben"}, Teams: []string{"sales"}, Created: at(6),
		}},
		Limits: []quota.Limit{
			{ID: "ann-day", Scope: quota.ScopeUser, Subject: "ann@example.com", Model: "gpt-*", Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: 100_000, Zone: "Europe/Berlin", Enforcement: quota.EnforceSoft, Created: at(7)},
			{ID: "everyone", Scope: quota.ScopeEveryone, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 16, Enforcement: quota.EnforceHard, Created: at(7)},
			{ID: "helpdesk", Scope: quota.ScopeApp, Subject: "helpdesk", Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: 5_000_000, Created: at(7)},
			{ID: "support", Scope: quota.ScopeTeam, Subject: "support", Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Value: 60, Created: at(7)},
		},
		Keys: []core.AppKey{
			{ID: "key-1", App: "helpdesk", User: "ben", Hash: [32]byte{1, 2, 3, 0xff}, Hint: "wxyz", Created: at(8), Expires: at(9)},
			{ID: "key-2", App: "ide", Hash: [32]byte{4}, Hint: "abcd", Created: at(8), Expires: at(9), Revoked: at(8)},
		},
		Revocations: []core.Revocation{
			{ID: "rev-1", TokenID: "jti-1", Created: at(10), Expires: at(11)},
			{ID: "rev-2", Subject: "ben", IssuedBefore: at(10), Created: at(10), Expires: at(11)},
		},
		SigningKeys: []core.SigningKey{{ID: "kid-1", Alg: "EdDSA", Public: []byte("public, not a key"), Private: []byte("private, not a key"), Created: at(12), Retired: at(13)}},
	}
}

// objectsInTheDump are whose objects at the provider the dumps since the second hold.
func objectsInTheDump() []core.OwnedObject {
	at := func(hour int) time.Time { return time.Date(2026, 3, 11, hour, 0, 0, 123_456_000, time.UTC) }
	return []core.OwnedObject{
		{
			ObjectRef: core.ObjectRef{Kind: core.ObjectResponse, ID: "resp_67ccd2bed1ec8190"}, Owner: core.Owner{User: "ann@example.com"},
			App: "helpdesk", Team: "support", Endpoint: "responses", Created: at(14), Tokens: 1234, Model: "gpt-4o-mini",
		},
		{
			ObjectRef: core.ObjectRef{Kind: core.ObjectFile, ID: "file-abc123"}, Owner: core.Owner{App: "ide"},
			App: "ide", Endpoint: "files.create", Created: at(15),
		},
	}
}

func TestUpgradeKeepsEverything(t *testing.T) {
	dumps, err := filepath.Glob("testdata/schema_*.sql")
	if err != nil {
		t.Fatal(err)
	}
	known, err := fs.Glob(migrations.SQLiteControl, "*.sql")
	if err != nil || len(dumps) != len(known) {
		t.Fatalf("%d dumps for %d migrations (%v): add testdata/schema_%04d.sql", len(dumps), len(known), err, len(known))
	}
	for _, dump := range dumps {
		t.Run(filepath.Base(dump), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "plumbline.db")
			restore(t, dump, path)
			st := open(t, path)
			got, version, err := st.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(inTheDump(), got); diff != "" {
				t.Errorf("objects after the upgrade (-want +got):\n%s", diff)
			}
			changes, err := st.Changes(t.Context(), 0, 1000)
			if err != nil || len(changes) == 0 || changes[len(changes)-1].Version != version || changes[0].Actor != "cli:root" {
				t.Errorf("version %d and changes %+v, %v", version, changes, err)
			}
			for _, want := range objectsInTheDump() {
				ref := want.ObjectRef
				if filepath.Base(dump) < "schema_0002.sql" {
					want = core.OwnedObject{} // nobody owned anything
				}
				got, _, err := st.Ownership().Owned(t.Context(), ref)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("whose an object is after the upgrade, %v (-want +got):\n%s", err, diff)
				}
			}
			// The file is in use as any other: numbers go on, references hold.
			if err := st.Users().Delete(t.Context(), "ann@example.com"); !errors.Is(err, store.ErrConflict) {
				t.Errorf("deleting somebody with a task: %v, want ErrConflict", err)
			}
			if err := st.Tasks().Delete(t.Context(), "refunds"); err != nil {
				t.Error(err)
			}
			if v, err := st.Version(t.Context()); err != nil || v <= version {
				t.Errorf("the version went from %d to %d, %v", version, v, err)
			}
		})
	}
}

// TestMigrationsStayAsTheyWere: each dump has the schema that the migrations up to its number make, so that nobody edits
// one which people have run.
func TestMigrationsStayAsTheyWere(t *testing.T) {
	names, err := fs.Glob(migrations.SQLiteControl, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	upTo := fstest.MapFS{}
	for _, name := range names {
		data, err := fs.ReadFile(migrations.SQLiteControl, name)
		if err != nil {
			t.Fatal(err)
		}
		upTo[name] = &fstest.MapFile{Data: data}
		dir := t.TempDir()
		restore(t, "testdata/schema_"+name[:4]+".sql", filepath.Join(dir, "restored.db"))
		restored := openFile(t, filepath.Join(dir, "restored.db"))
		fresh := openFile(t, filepath.Join(dir, "fresh.db"))
		if err := filesqlite.Migrate(t.Context(), fresh, upTo); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(schema(t, restored), schema(t, fresh)); diff != "" {
			t.Errorf("%s is not what it was when the dump was made (-dump +now); write a new migration:\n%s", name, diff)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plumbline.db")
	open(t, path).Close()
	db := openFile(t, path)
	if _, err := db.ExecContext(t.Context(), "INSERT INTO schema_version VALUES (9999, '9999_later.sql', 0)"); err != nil {
		t.Fatal(err)
	}
	st, err := sqlite.Open(t.Context(), path)
	if !errors.Is(err, filesqlite.ErrSchema) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "9999_later.sql") {
		t.Errorf("%v, %v: want ErrSchema with the file and what it has", st, err)
	}
}

func openFile(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := filesqlite.Open(t.Context(), path, filesqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// restore makes the file of a dump. As the sqlite3 command does, it has references checked from then on only.
func restore(t *testing.T, dump, path string) {
	t.Helper()
	text, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	db, err := filesqlite.Open(t.Context(), path, filesqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), string(text)); err != nil {
		t.Fatalf("%s: %v", dump, err)
	}
	if broken := texts(t, db, `SELECT "table" FROM pragma_foreign_key_check`); len(broken) > 0 {
		t.Fatalf("%s breaks references of %v", dump, broken)
	}
}

// schema gives the statements that make db, without the differences in spelling that a dump brings.
func schema(t *testing.T, db *sql.DB) []string {
	t.Helper()
	all := texts(t, db, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'")
	for i, s := range all {
		all[i] = strings.Join(strings.Fields(strings.Replace(s, "IF NOT EXISTS ", "", 1)), " ")
	}
	slices.Sort(all)
	return all
}

func texts(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
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
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

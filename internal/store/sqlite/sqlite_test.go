package sqlite_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/core"
	filesqlite "github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/sqlite"
	"github.com/plumbline/plumbline/internal/store/storetest"
	"github.com/plumbline/plumbline/migrations"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		if err := child(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1) // it ends when it is killed
	}
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB) func() store.Store {
		path := filepath.Join(t.TempDir(), "plumbline.db")
		return func() store.Store { return open(t, path) }
	})
}

func TestSetAsideAnyway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plumbline.db")
	st, db := open(t, path), openFile(t, path)
	storetest.SetAsideAnyway(t, st, func(exchange string) {
		if _, err := db.Exec("INSERT INTO lessons (exchange, drawn, place) VALUES (?, 1, 7)", exchange); err != nil {
			t.Fatal(err)
		}
	})
}

// TestOnlyTheOwnerReadsSecrets: the file has private keys in it, and so have its companions.
func TestOnlyTheOwnerReadsSecrets(t *testing.T) {
	dir := t.TempDir()
	st := open(t, filepath.Join(dir, "plumbline.db"))
	err := st.SigningKeys().Put(t.Context(), core.SigningKey{ID: "s", Alg: "EdDSA", Public: []byte{1}, Private: []byte{2}})
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v: want the file and its log", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	rubbish := filepath.Join(dir, "rubbish.db")
	if err := os.WriteFile(rubbish, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	audit := filepath.Join(dir, "audit.db")
	if err := filesqlite.Migrate(t.Context(), openFile(t, audit), migrations.SQLiteAudit); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		filepath.Join(dir, "missing", "plumbline.db"): fs.ErrNotExist,
		audit:   filesqlite.ErrSchema,
		rubbish: nil, // any error
	} {
		st, err := sqlite.Open(t.Context(), path)
		if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", path, st, err)
		}
	}
}

// TestRowsThatNobodyWrote: what was changed by hand into something else is an error, and no object with a hole.
func TestRowsThatNobodyWrote(t *testing.T) {
	for name, statement := range map[string]string{
		"a short hash": `INSERT INTO apps VALUES ('ide', '', NULL, 0); INSERT INTO app_keys VALUES ('k', 'ide', NULL, X'01', '', 0, 0, 0)`,
		"no list":      `INSERT INTO tasks VALUES ('t', 'T', '', '{"a": 1}', '[]', 0, '[]')`,
		"no JSON":      `INSERT INTO tasks VALUES ('t', 'T', '', '[]', 'x', 0, '[]')`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "plumbline.db")
			st := open(t, path)
			if _, err := openFile(t, path).ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
			if o, _, err := st.Load(t.Context()); err == nil || len(o.Keys)+len(o.Tasks)+len(o.Apps) > 0 {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
}

func TestClosedStoreAnswersWithErrors(t *testing.T) {
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "plumbline.db"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := st.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	_, versionErr := st.Version(t.Context())
	_, _, loadErr := st.Load(t.Context())
	for what, err := range map[string]error{
		"put": st.Teams().Put(t.Context(), core.Team{ID: "red"}), "apply": st.Apply(t.Context(), store.Objects{}),
		"version": versionErr, "load": loadErr,
	} {
		if err == nil {
			t.Errorf("%s works on a closed store", what)
		}
	}
}

func BenchmarkVersion(b *testing.B) {
	st := open(b, filepath.Join(b.TempDir(), "plumbline.db"))
	for b.Loop() {
		if _, err := st.Version(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad loads 10,000 people, 100 teams and 10,000 tasks of three people and a team each.
func BenchmarkLoad(b *testing.B) {
	const many = 10_000
	st := open(b, filepath.Join(b.TempDir(), "plumbline.db"))
	var o store.Objects
	for i := range 100 {
		o.Teams = append(o.Teams, core.Team{ID: fmt.Sprintf("team-%02d", i)})
	}
	for i := range many {
		o.Users = append(o.Users, core.User{ID: fmt.Sprintf("user-%05d", i)})
	}
	for i := range many {
		task := core.Task{ID: fmt.Sprintf("task-%05d", i), Title: "T", Description: strings.Repeat("word ", 50), Teams: []string{o.Teams[i%100].ID}}
		for j := range 3 {
			task.Users = append(task.Users, o.Users[(i+j)%many].ID)
		}
		o.Tasks = append(o.Tasks, task)
	}
	if err := st.Apply(b.Context(), o); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if got, _, err := st.Load(b.Context()); err != nil || len(got.Tasks) != many {
			b.Fatal(err)
		}
	}
}

// ownedStore is a store in which somebody has made many objects, as many as one may.
func ownedStore(b *testing.B) (*sqlite.Store, func(i int) core.OwnedObject) {
	st := open(b, filepath.Join(b.TempDir(), "plumbline.db"))
	object := func(i int) core.OwnedObject {
		return core.OwnedObject{
			ObjectRef: core.ObjectRef{Kind: core.ObjectResponse, ID: fmt.Sprintf("resp_%048x", i*2654435761)}, Owner: core.Owner{User: "ann@example.com"},
			App: "helpdesk", Team: "support", Endpoint: "responses", Created: time.UnixMicro(int64(i) + 1), Tokens: int64(i), Model: "gpt-4o-mini",
		}
	}
	const many = 100_000
	for i := range many {
		if err := st.Ownership().Own(b.Context(), object(i)); err != nil {
			b.Fatal(err)
		}
	}
	return st, object
}

func BenchmarkOwn(b *testing.B) {
	st, object := ownedStore(b)
	for i := 1 << 20; b.Loop(); i++ {
		if err := st.Ownership().Own(b.Context(), object(i)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOwned(b *testing.B) {
	st, object := ownedStore(b)
	for i := 0; b.Loop(); i++ {
		if _, known, err := st.Ownership().Owned(b.Context(), object(i%100_000).ObjectRef); err != nil || !known {
			b.Fatal(err)
		}
	}
}

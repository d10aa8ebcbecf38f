package postgres_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// appRights are what docs/how-to/postgres.md grants to the user that serves.
var appRights = []string{
	"GRANT USAGE ON SCHEMA plumbline TO %s",
	"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plumbline TO %s",
	"GRANT USAGE ON ALL SEQUENCES IN SCHEMA plumbline TO %s",
}

// TestRightsAsDocumented: with the rights of the documentation a store that may not migrate does everything, and cannot
// change the schema.
func TestRightsAsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/how-to/postgres.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, grant := range appRights {
		if words := strings.Replace(grant, "%s", "plumbline_app", 1); !strings.Contains(string(page), words) {
			t.Errorf("docs/how-to/postgres.md does not say %q", words)
		}
	}
	db := pgproc.Shared(t).Database(t, control)
	st := open(t, db.Role(t, appRights...))
	set := store.Objects{
		Teams: []core.Team{{ID: "red"}}, Users: []core.User{{ID: "ann", Team: "red"}},
		Tasks: []core.Task{{ID: "t", Title: "T", Users: []string{"ann"}}},
	}
	if err := st.Apply(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	if err := st.Tasks().Delete(t.Context(), "t"); err != nil {
		t.Error(err)
	}
	own := core.OwnedObject{ObjectRef: core.ObjectRef{Kind: core.ObjectFile, ID: "file-1"}, Owner: core.Owner{User: "ann"}}
	if err := st.Ownership().Own(t.Context(), own); err != nil {
		t.Error(err)
	}
	if err := st.Users().Delete(t.Context(), "ann"); err != nil {
		t.Error(err)
	}
	if _, known, err := st.Ownership().Owned(t.Context(), own.ObjectRef); known || err != nil {
		t.Errorf("what a deleted user had is owned: %v, %v", known, err)
	}
}

// TestEachMissingRight: who serves is told at the start which right is missing, on whichever table. Whoever only looks may
// lack those that change.
func TestEachMissingRight(t *testing.T) {
	db := pgproc.Shared(t).Database(t, control)
	tables := strings.Fields(pgproc.One[string](t, db, `SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
		WHERE relnamespace = 'plumbline'::regnamespace AND relkind = 'r' AND relname <> 'schema_version'`))
	if len(tables) < 12 {
		t.Fatalf("tables %v", tables)
	}
	role := db.Role(t, appRights...)
	name := pgproc.One[string](t, db, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'test%role%' ORDER BY oid DESC LIMIT 1")
	serve := func() error {
		st, err := postgres.Open(t.Context(), postgres.Options{Options: pg.Options{URL: role, MaxConns: 1}, Serve: true})
		if err == nil {
			st.Close()
		}
		return err
	}
	if err := serve(); err != nil {
		t.Fatalf("with every right: %v", err)
	}
	for i, table := range tables {
		right := []string{"SELECT", "INSERT", "UPDATE", "DELETE"}[i%4]
		db.Exec(t, "REVOKE "+right+" ON plumbline."+table+" FROM "+name)
		err := serve()
		says(t, err, "lacks a right: "+right+" on plumbline."+table+": grant it as docs/how-to/postgres.md shows")
		if looked := openError(t, role); looked != nil {
			t.Errorf("a command without %s on %s: %v", right, table, looked)
		}
		db.Exec(t, "GRANT "+right+" ON plumbline."+table+" TO "+name)
	}
	db.Exec(t, "REVOKE ALL ON ALL TABLES IN SCHEMA plumbline FROM "+name+"; GRANT SELECT ON ALL TABLES IN SCHEMA plumbline TO "+name)
	st := open(t, role)
	if _, _, err := st.Load(t.Context()); err != nil {
		t.Errorf("a reader: %v", err)
	}
	says(t, st.Teams().Put(t.Context(), core.Team{ID: "red"}), "lacks a right: grant it")
}

// TestOwnerMadeAnEmptySchema: an administrator makes the schema for a user who may make none.
func TestOwnerMadeAnEmptySchema(t *testing.T) {
	db := pgproc.Shared(t).Database(t, pgproc.Template{})
	owner := db.Role(t, "CREATE SCHEMA plumbline AUTHORIZATION %s")
	st, err := postgres.Open(t.Context(), postgres.Options{Options: pg.Options{URL: owner}, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	st.Close()
}

// TestEveryStatementNamesTheSchema: a pooler may give each transaction another session, whose search_path is anything.
func TestEveryStatementNamesTheSchema(t *testing.T) {
	bare := regexp.MustCompile(`(?i)\b(from|into|update|join|table|references|on) ("?)(teams|users|apps|tasks|task_users|task_teams|limits|app_keys|revocations|signing_keys|changes|feed|provider_objects|issued_tokens|subject_keys|samples|labels|calibrations|policies|system_prompts)\b`)
	for _, dir := range []string{".", "../../../migrations/postgres/control"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			text, err := os.ReadFile(dir + "/" + e.Name())
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range strings.Split(string(text), "\n") {
				if !strings.Contains(line, "//") && !strings.HasPrefix(strings.TrimSpace(line), "--") && bare.MatchString(line) {
					t.Errorf("%s/%s: %s", dir, e.Name(), line)
				}
			}
		}
	}
}

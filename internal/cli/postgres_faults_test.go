package cli

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// migrated is a database with every schema.
var migrated = pgproc.Template{Name: "migrated", Make: func(ctx context.Context, url string) error {
	c := config.Default()
	c.Postgres.URL = config.NewSecret(url)
	_, err := app.Migrate(ctx, c, nil)
	return err
}}

// TestPostgresThatCannotBeUsed: a start and a command end with status 1, and say what to do without showing the password.
func TestPostgresThatCannotBeUsed(t *testing.T) {
	const password = "canary-password"
	server := pgproc.Shared(t)
	newer, older := server.Database(t, migrated), server.Database(t, pgproc.Template{})
	newer.Exec(t, "INSERT INTO plumbline.schema_version VALUES (9999, '9999_later.sql', 0)")
	good := server.Database(t, migrated)
	standby := pgproc.Start(t, pgproc.Options{Fsync: true})
	behind := standby.Database(t, migrated)
	standby.Standby(t)
	onlyReads := good.Role(t, "GRANT USAGE ON SCHEMA plumbline TO %s", "GRANT SELECT ON ALL TABLES IN SCHEMA plumbline TO %s")
	change := []string{"user", "put", "ann"}
	for name, c := range map[string]struct {
		url, words string
		args       []string
	}{
		"wrong password, a start":       {strings.Replace(onlyReads, "role-password", password, 1), "check the user and the password in postgres.url", []string{"serve"}},
		"wrong password, a command":     {strings.Replace(onlyReads, "role-password", password, 1), "check the user and the password in postgres.url", change},
		"no such database":              {server.URL("postgres", "missing", ""), "create it, or name another in postgres.url", change},
		"a newer schema, a start":       {newer.URL, "run the newer Plumbline", []string{"serve"}},
		"a newer schema, a command":     {newer.URL, "run the newer Plumbline", change},
		"an older schema":               {older.URL, "run `plumbline migrate`", append(change, "--set", "postgres.migrate=false")},
		"a standby, a start":            {behind.URL, "point postgres.url at the primary", []string{"serve"}},
		"a standby, a command":          {behind.URL, "point postgres.url at the primary", change},
		"a right is missing, a start":   {onlyReads, "lacks a right: DELETE on plumbline.app_keys, ", []string{"serve"}},
		"a right is missing, a command": {onlyReads, "lacks a right: grant it as docs/how-to/postgres.md shows", change},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			env := []string{"PLUMBLINE_DATA_DIR=" + dir, "PLUMBLINE_POSTGRES_URL=" + c.url, "PLUMBLINE_OPS_LISTEN=127.0.0.1:0"}
			out, talk, code := plumbline(t, env, c.args...)
			if code != exitFailed || !strings.Contains(talk, c.words) {
				t.Errorf("exit status %d, want %d and %q:\n%s%s", code, exitFailed, c.words, out, talk)
			}
			for _, secret := range []string{password, "role-password"} {
				if strings.Contains(out+talk, secret) {
					t.Errorf("the password is shown:\n%s%s", out, talk)
				}
			}
		})
	}
	out, talk, code := plumbline(t, []string{"PLUMBLINE_DATA_DIR=" + t.TempDir(), "PLUMBLINE_POSTGRES_URL=" + onlyReads}, "user", "list")
	if code != exitDone {
		t.Errorf("somebody who only reads: exit status %d\n%s%s", code, out, talk)
	}
}

// TestMigrateSaysWhatIsLeftToDo: an owner who may make no roles is told who has to, and a program reads what was applied.
func TestMigrateSaysWhatIsLeftToDo(t *testing.T) {
	empty := pgproc.Start(t, pgproc.Options{}).Database(t, pgproc.Template{})
	owner := empty.Role(t, `GRANT CREATE ON DATABASE "`+empty.Name+`" TO %s`)
	env := []string{"PLUMBLINE_DATA_DIR=" + t.TempDir(), "PLUMBLINE_POSTGRES_URL=" + owner}
	out, talk, code := plumbline(t, env, "migrate")
	if code != exitDone {
		t.Fatalf("exit status %d:\n%s%s", code, out, talk)
	}
	for _, role := range []string{"plumbline_writer", "plumbline_retention", "plumbline_reader"} {
		if words := "have an administrator run CREATE ROLE " + role + " NOLOGIN"; !strings.Contains(talk, words) {
			t.Errorf("%q is not said:\n%s", words, talk)
		}
	}
	if out, talk, code := plumbline(t, env, "migrate", "-o", "json"); out != "[]\n" || code != exitDone {
		t.Errorf("with nothing to apply: exit status %d\n%s%s", code, out, talk)
	}
}

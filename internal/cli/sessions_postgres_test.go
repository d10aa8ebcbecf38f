package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/testkit"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// inFilesAlone are the sessions that say the same with Postgres only by chance, each with its reason.
var inFilesAlone = map[string]string{
	"audit":        "reads the files of records that were seeded",
	"replay":       "reads the files of records that were seeded",
	"settings":     "shows the configuration itself",
	"audit_verify": "the records are in files, and so are their checkpoints",
	"export":       "the records are in files",
	"jobs":         "the jobs are in a file; TestJobsOnPostgres has the same session",
}

// TestSessionsOnPostgres: what a person types does the same, to the letter, with the control data in Postgres.
func TestSessionsOnPostgres(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	envoy, changed := "ENVOY="+testkit.EnvoyBinary(t), 0
	for _, path := range cases {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		if inFilesAlone[name] != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			path, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			db := pgproc.Shared(t).Database(t, pgproc.Template{})
			_, script, got := replaySession(t, path, envoy, "PLUMBLINE_POSTGRES_URL="+db.URL)
			if diff := cmp.Diff(string(script.Data), got); diff != "" {
				t.Errorf("the session differs from the one on SQLite (-sqlite +postgres):\n%s", diff)
			}
			if pgproc.One[bool](t, db, "SELECT to_regclass('plumbline.changes') IS NOT NULL") {
				changed += min(1, pgproc.One[int](t, db, "SELECT count(*) FROM plumbline.changes"))
			}
		})
	}
	if changed < 4 {
		t.Errorf("%d sessions changed something in Postgres", changed)
	}
}

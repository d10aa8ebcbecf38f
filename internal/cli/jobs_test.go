package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/config"
	filesqlite "github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// queued are jobs as River keeps them: one that was done, one that failed for good, one that runs.
const queued = `INSERT INTO @river_job (id, args, attempt, max_attempts, attempted_by, created_at, scheduled_at, finalized_at, kind, state, errors) VALUES
	(1, '{"job":"objects_sweep"}', 1, 5, @by, '2020-05-04 09:00:00', '2020-05-04 09:00:00', '2020-05-04 09:00:01', 'plumbline', 'completed', NULL),
	(2, '{"job":"audit_retention"}', 5, 5, @by, '2020-05-04 09:00:00', '2020-05-04 09:06:00', '2020-05-04 09:06:01', 'plumbline', 'discarded', @errors),
	(3, '{"job":"objects_sweep"}', 1, 5, @by, '2020-05-04 09:10:00', '2020-05-04 09:10:00', NULL, 'plumbline', 'running', NULL)`

// seedJobs fills the queue of a data directory, jobs, and one in Postgres, whose URL is in the file jobs-url.
func seedJobs(t *testing.T) {
	t.Helper()
	failed := `{"at":"2020-05-04T09:06:00Z","attempt":5,"error":"the user of postgres.url lacks a right","trace":""}`
	st, err := app.OpenStore(t.Context(), config.Config{DataDir: "jobs"})
	if err != nil {
		t.Fatal(err)
	}
	st.Close()
	db, err := filesqlite.Open(t.Context(), filepath.Join("jobs", "plumbline.db"), filesqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	in := strings.NewReplacer("@river_job", "river_job", "@by", `'["replica-1"]'`, "@errors", "'["+failed+"]'")
	if _, err := db.ExecContext(t.Context(), in.Replace(queued)); err != nil {
		t.Fatal(err)
	}

	pg := pgproc.Shared(t).Database(t, pgproc.Template{})
	if err := os.WriteFile("jobs-url", []byte(pg.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, talk, code := plumbline(t, nil, "migrate", "--set", "postgres.url=file:jobs-url"); code != 0 {
		t.Fatal(talk)
	}
	in = strings.NewReplacer("@river_job", "plumbline.river_job", "@by", "ARRAY['replica-1']", "@errors", "ARRAY['"+failed+"'::jsonb]")
	pg.Exec(t, in.Replace(queued))
}

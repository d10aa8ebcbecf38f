package cli

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	auditpg "github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/audit/ship"
	pgpool "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// TestAuditInPostgres: whoever looks at the records sees the same, whether they lie in the data directory or in Postgres.
func TestAuditInPostgres(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	seedTraffic(t, dir, false)
	db := pgproc.Shared(t).Database(t, pgproc.Template{})
	shipAll(t, app.AuditPath(dir), db.URL)
	local := []string{"PLUMBLINE_DATA_DIR=" + dir}
	shared := []string{"PLUMBLINE_POSTGRES_URL=" + db.URL, "PLUMBLINE_DATA_DIR=" + t.TempDir()}
	for _, args := range [][]string{
		{"audit", "search"},
		{"audit", "search", "--action", "block", "-o", "json"},
		{"audit", "search", "--text", "deviation."},
		{"audit", "summary", "--since", "1970-01-01T00:00:00Z", "--by", "user", "--by", "verdict"},
		{"audit", "summary", "--since", "1970-01-01T00:00:00Z", "--by", "intent", "-o", "json"},
		{"audit", "export", "--since", "1970-01-01T00:00:00Z", "--format", "csv"},
		{"audit", "show", "no such exchange"},
		{"audit", "verify"},
		{"policy", "replay", "--since", "1970-01-01T00:00:00Z", "-o", "json"},
	} {
		out, talk, code := plumbline(t, local, args...)
		gotOut, gotTalk, gotCode := plumbline(t, shared, args...)
		// One process gives records in the order in which it wrote them, Postgres by their times; the sum of a file tells them apart.
		talk, gotTalk = beforeSum(talk), beforeSum(gotTalk)
		if args[1] == "verify" { // Postgres alone keeps sums
			out += "13 sums are those of a recount\n"
		}
		if diff := cmp.Diff(sortedLines(out), sortedLines(gotOut)); diff != "" || talk != gotTalk || code != gotCode {
			t.Errorf("%v: exit status %d and %d, %q and %q (-data directory +Postgres):\n%s", args, code, gotCode, talk, gotTalk, diff)
		}
	}
}

func beforeSum(talk string) string {
	before, _, _ := strings.Cut(talk, "SHA-256")
	return before
}

func sortedLines(text string) []string { return slices.Sorted(strings.Lines(text)) }

// shipAll moves what a log holds to Postgres.
func shipAll(t *testing.T, path, url string) {
	t.Helper()
	log, err := audit.Open(t.Context(), audit.Options{Path: path, Durability: audit.CrashSafe, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close(t.Context())
	pool, err := pgpool.Open(t.Context(), pgpool.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := auditpg.Schema.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if err := ship.New(ship.Options{Source: log, Destination: auditpg.New(pool), Owed: time.Hour}).Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

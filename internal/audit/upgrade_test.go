package audit_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/migrations"
)

// The dumps in testdata were made with `sqlite3 audit.db .dump`, one by each version of the schema, and are never made
// again: they are what people have on their disks. A new migration brings a new dump. Each holds the exchanges 0, 1, 2 and
// 7, of which the last is not indexed yet.
func TestUpgradeKeepsEverything(t *testing.T) {
	dumps, err := filepath.Glob("testdata/schema_*.sql")
	must(t, err)
	known, err := fs.Glob(migrations.SQLiteAudit, "*.sql")
	if err != nil || len(dumps) != len(known) {
		t.Fatalf("%d dumps for %d migrations (%v): add testdata/schema_%04d.sql", len(dumps), len(known), err, len(known))
	}
	for _, dump := range dumps {
		t.Run(filepath.Base(dump), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.db")
			text, err := os.ReadFile(dump)
			must(t, err)
			db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
			must(t, err)
			_, err = db.ExecContext(t.Context(), string(text))
			must(t, err)
			must(t, db.Close())

			log := openLog(t, audit.Options{Path: path})
			must(t, log.Append(t.Context(), intentRecord(8)))
			must(t, log.Append(t.Context(), outcomeRecord(8)))
			var want []audit.Charged
			for i, n := range []int{0, 1, 2, 7, 8} {
				rec := outcomeRecord(n)
				want = append(want, audit.Charged{
					Position: int64(2 * (i + 1)), Exchange: rec.Exchange,
					By:    core.Principal{User: rec.Principal.User, Team: rec.Principal.Team, App: rec.Principal.App},
					Model: rec.Model, Charge: *rec.Settled,
				})
			}
			if diff := cmp.Diff(want, charges(t, log, audit.ChargesQuery{})); diff != "" {
				t.Errorf("charges (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want[1:], charges(t, log, audit.ChargesQuery{Since: intentRecord(1).Time})); diff != "" {
				t.Errorf("charges since the second (-want +got):\n%s", diff)
			}
			if got, err := openReader(t, path).Verify(t.Context()); err != nil || got.Records != 10 {
				t.Errorf("Verify: %+v, %v", got, err)
			}
		})
	}
}

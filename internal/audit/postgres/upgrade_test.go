package postgres_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/audit/read"
	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
	"github.com/plumbline/plumbline/migrations"
)

// dump writes the dumps that do not exist. The dumps are what people have in their databases: one by each version of the
// schema, never made again. A new migration brings a new dump.
var dump = flag.Bool("dump", false, "write testdata/schema_NNNN.sql where it is missing")

// dumped are the records of every dump, one of each kind that differs to a search.
func dumped() []string {
	return []string{
		`{"kind":"deny","time":"2026-03-31T23:30:00Z","exchange":"0195-1","principal":{"user":"ann","team":"support","app":"ide","method":"app_key"},` +
			`"model":"gpt-4o","intent":{"label":"banking","confidence":0.9,"model":"m"},"deviation":{"score":0.8,"n":0,"calibrated":false,"task":"refunds",` +
			`"phrase":"Late parcels","model":"m"},"verdict":{"action":"block","decided":"block","reason":"off_task","rule":"deviation.block"},"reason":"off_task"}`,
		`{"kind":"admin","time":"2026-03-31T23:40:00Z","principal":{"method":""},"admin":{"actor":"cli:root","action":"put","object":"user/ann"}}`,
		`{"kind":"intent","time":"2026-04-01T00:10:00Z","exchange":"0195-2","principal":{"user":"a\u0000b","method":""},"reason":"none"}`,
	}
}

// rowsOf are the statements that put them into a database of version n.
func rowsOf(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	for i, canonical := range dumped() {
		rec, err := audit.Decode([]byte(canonical))
		must(t, err)
		leaf := audit.LeafHash([]byte(canonical), "w1", uint64(i+1))
		class, action := "exchange", ""
		if rec.Admin != nil {
			class = "admin"
		}
		if rec.Verdict != nil {
			action = string(rec.Verdict.Action)
		}
		p := rec.Principal
		fmt.Fprintf(&b, `INSERT INTO plumbline_audit.records (class, recorded_at, writer, seq, leaf, kind, exchange, "user", team, app, action, reason, model, record)
			VALUES ('%s', %d, 'w1', %d, '\x%x', '%s', '%s', '%s', '%s', '%s', '%s', '%s', '%s', '\x%x');`, class, rec.Time.UnixMicro(), i+1, leaf,
			rec.Kind, rec.Exchange, strings.ReplaceAll(p.User, "\x00", "\uFFFD"), p.Team, p.App, action, rec.Reason, rec.Model, canonical)
	}
	b.WriteString(`INSERT INTO plumbline_audit.writers VALUES ('w1', 3, 0, 3);`)
	hour := time.Date(2026, 3, 31, 23, 0, 0, 0, time.UTC)
	for i, verdict := range []string{"block", "allow"} {
		fmt.Fprintf(&b, `INSERT INTO plumbline_audit.rollups VALUES (%d, 'ann', 'support', 'ide', 'gpt-4o', 'banking', '%s', 1, 2, 3, 4, 5, 6,
			'{1,0,0,0,0,0,0,0,0,0,0,2}', '{0,0,0,0,0,0,0,0,1,0}');`, hour.Add(time.Duration(-i)*time.Hour).UnixMicro(), verdict)
	}
	if n >= 4 {
		text := "off_task\ndeviation.block\nrefunds\nlate parcels"
		fmt.Fprintf(&b, `UPDATE plumbline_audit.records SET task = 'refunds', intent = 'banking', explanation = %[1]d WHERE seq = 1;
			UPDATE plumbline_audit.records SET explanation = %[2]d WHERE seq = 2;
			INSERT INTO plumbline_audit.explanations VALUES (%[1]d, 'off_task', '%[3]s'), (%[2]d, '', 'put
user');`, audit.ExplanationID(text), audit.ExplanationID("put\nuser"), text)
		for _, table := range []string{"rollups_day", "rollups_day_user"} {
			user, rest := "", "'ide', 'gpt-4o', 'banking'"
			if table == "rollups_day_user" {
				user, rest = "ann", "'', '', ''"
			}
			for _, verdict := range []string{"block", "allow"} {
				fmt.Fprintf(&b, `INSERT INTO plumbline_audit.%s VALUES (%d, '%s', 'support', %s, '%s', 1, 2, 3, 4, 5, 6,
					'{1,0,0,0,0,0,0,0,0,0,0,2}', '{0,0,0,0,0,0,0,0,1,0}');`, table, hour.Add(-23*time.Hour).UnixMicro(), user, rest, verdict)
			}
		}
	}
	return b.String()
}

// upTo are the first n migrations.
func upTo(t *testing.T, n int) pg.Schema {
	t.Helper()
	some := fstest.MapFS{}
	for _, name := range files(t)[:n] {
		data, err := fs.ReadFile(migrations.PostgresAudit, name)
		must(t, err)
		some[name] = &fstest.MapFile{Data: data}
	}
	return pg.Schema{Name: "plumbline_audit", Migrations: some}
}

func files(t *testing.T) []string {
	t.Helper()
	names, err := fs.Glob(migrations.PostgresAudit, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	return names
}

func migrate(t *testing.T, s pg.Schema, url string) []string {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Options{URL: url})
	must(t, err)
	defer pool.Close()
	done, err := s.Migrate(t.Context(), pool)
	must(t, err)
	return done
}

func TestUpgradeKeepsEverything(t *testing.T) {
	names := files(t)
	for i, name := range names {
		t.Run(name[:4], func(t *testing.T) {
			path := "testdata/schema_" + name[:4] + ".sql"
			if _, err := os.Stat(path); *dump && errors.Is(err, fs.ErrNotExist) {
				writeDump(t, i+1, path)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v: go test ./internal/audit/postgres -run Upgrade -dump writes it", err)
			}
			db, fresh := pgproc.Shared(t).Database(t, pgproc.Template{}), pgproc.Shared(t).Database(t, pgproc.Template{})
			db.Exec(t, string(text))
			migrate(t, upTo(t, i+1), fresh.URL)
			fresh.Exec(t, monthsOfTheDump)
			if diff := cmp.Diff(db.Layout(t, "plumbline_audit"), fresh.Layout(t, "plumbline_audit")); diff != "" {
				t.Errorf("%s is not what it was when the dump was made (-dump +now); write a new migration:\n%s", name, diff)
			}
			if done := migrate(t, postgres.Schema, db.URL); !slices.Equal(done, names[i+1:]) {
				t.Errorf("applied %v", done)
			}
			upgraded(t, openStore(t, db.URL))
		})
	}
}

// upgraded checks what the dump must hold after the upgrade.
func upgraded(t *testing.T, store *postgres.Store) {
	t.Helper()
	var made *audit.BadSumError // the dump's sums are made up; all of its records are right
	if seen, err := store.Verify(t.Context()); !errors.As(err, &made) || seen.Records != 3 {
		t.Errorf("verify: %+v, %v", seen, err)
	}
	for what, q := range map[string]audit.Query{
		"task": {Task: "refunds"}, "intent": {Intent: "banking"}, "phrase": {Text: "LATE parcels"}, "meaning": {Text: "too far from"},
		"change": {Text: "put"}, "name with NUL": {User: "a\x00b"},
	} {
		if found, _, err := store.Search(t.Context(), q); err != nil || len(found) != 1 {
			t.Errorf("by %s: %d found, %v", what, len(found), err)
		}
	}
	month := read.SumQuery{Since: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}
	for _, by := range [][]read.Dimension{{read.ByUser}, {read.ByModel}, {read.ByUser, read.ByModel}} {
		month.By = by
		rows, err := store.Sum(t.Context(), month)
		if err != nil || len(rows) != 1 || rows[0].Decided != 2 || rows[0].Cost != 12 || rows[0].Latency[11] != 4 || rows[0].Deviation[8] != 2 {
			t.Errorf("sums by %v: %+v, %v", by, rows, err)
		}
	}
}

// monthsOfTheDump makes the partitions that records of the dump lie in.
const monthsOfTheDump = "SELECT plumbline_audit.create_partitions(1772323200000000, 1)"

// writeDump makes a database of the first n migrations and dumps it.
func writeDump(t *testing.T, n int, path string) {
	t.Helper()
	db := pgproc.Shared(t).Database(t, pgproc.Template{})
	migrate(t, upTo(t, n), db.URL)
	db.Exec(t, monthsOfTheDump)
	db.Exec(t, rowsOf(t, n))
	db.Dump(t, path)
}

package app

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// withPostgres is a configuration with a database.
func withPostgres(t *testing.T, db *pgproc.Database) config.Config {
	t.Helper()
	url := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(url, []byte(db.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	return testConfig(t, map[string]string{"postgres.url": "file:" + url})
}

func recordDeny(t *testing.T, a *App, exchange, model string) {
	t.Helper()
	rec := core.Record{Kind: core.RecordDeny, Time: time.Now().UTC(), Exchange: exchange, Model: model, Reason: core.ReasonOffTask}
	if err := a.audit.Append(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
}

// TestAuditReachesPostgres: while it runs, what is recorded while Postgres is away, and the rest at the stop.
func TestAuditReachesPostgres(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{Fsync: true}) // what it has said it has, it has after its death
	cfg := withPostgres(t, server.Database(t, pgproc.Template{}))
	a, stop := running(t, cfg)
	record := func(exchange string) {
		t.Helper()
		recordDeny(t, a, exchange, "")
	}
	arrives := func(n int64) {
		t.Helper()
		for a.records.shipper.Counts().Shipped < n {
			select {
			case <-t.Context().Done():
				t.Fatal("it is not shipped")
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	record("first")
	arrives(1)
	server.Kill()
	record("while it is away")
	if err := a.audit.Healthy(); err != nil {
		t.Errorf("without Postgres: %v", err)
	}
	server.Start(t)
	arrives(2)
	record("last")
	stop()

	ctx := context.Background()
	store, pool, err := OpenRecords(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	found, _, err := store.Search(ctx, audit.Query{Reason: core.ReasonOffTask})
	if err != nil || len(found) != 3 || found[0].Record.Exchange != "last" {
		t.Errorf("found %d, %v", len(found), err)
	}
	if seen, err := store.Verify(ctx); err != nil || seen.Writers != 1 || seen.Records != 3 {
		t.Errorf("verified %+v, %v", seen, err)
	}
}

// TestStopsWhilePostgresIsSilent: a server that takes what is sent and does not answer holds a stop up for no longer than is
// stated, and the log is closed in order: what is left is shipped by the next start.
func TestStopsWhilePostgresIsSilent(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{})
	cfg := withPostgres(t, server.Database(t, pgproc.Template{}))
	a, stop := running(t, cfg)
	server.Pause()
	recordDeny(t, a, "left", "")
	worst := heldUp(t, func() {})
	began := time.Now()
	stop()
	const other = 3 * time.Second // what else a stop does; the driver alone takes 15 s
	if took := time.Since(began); took > stopLimit+other+steps*worst() {
		t.Errorf("it took %v; the machine held up a timer for %v", took, worst())
	}
	if err := a.audit.Close(t.Context()); err != nil {
		t.Errorf("closing the log: %v", err)
	}
	server.Resume()

	again, stop := running(t, cfg)
	for again.records.shipper.Counts().Shipped < 1 {
		select {
		case <-t.Context().Done():
			t.Fatal("it is not shipped")
		case <-time.After(5 * time.Millisecond):
		}
	}
	stop()
}

// TestMetricsOfShipping breaks what each of them tells of.
func TestMetricsOfShipping(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{Fsync: true})
	db := server.Database(t, pgproc.Template{})
	a, stop := running(t, withPostgres(t, db))
	defer stop()
	reaches := func(name string, ok func(v float64) bool) {
		t.Helper()
		var v float64
		for end := time.Now().Add(60 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
			if v = metric(t, a, name); ok(v) {
				return
			}
		}
		t.Fatalf("%s is %v", name, v)
	}
	is := func(want float64) func(float64) bool { return func(v float64) bool { return v == want } }

	recordDeny(t, a, "good", "")
	reaches("plumbline_audit_shipped_total", is(1))
	reaches("plumbline_spool_records", is(0))
	reaches("plumbline_spool_oldest_seconds", is(0))
	reaches("plumbline_spool_bytes", func(v float64) bool { return v > 0 })

	server.Pause() // it takes what is sent, and does not answer
	recordDeny(t, a, "waits", "")
	reaches("plumbline_spool_records", is(1))
	reaches("plumbline_spool_oldest_seconds", func(v float64) bool { return v > 0.5 && v < 60 })
	server.Resume()
	reaches("plumbline_audit_shipped_total", is(2))
	reaches("plumbline_spool_records", is(0))

	db.Exec(t, "ALTER TABLE plumbline_audit.records ADD CONSTRAINT no_refused CHECK (model <> 'refused')")
	recordDeny(t, a, "bad", "refused")
	reaches("plumbline_audit_deadletter_total", is(1))

	db.Exec(t, "UPDATE plumbline_audit.writers SET last = last + 3")
	reaches("plumbline_audit_missing_records", is(3))
}

// metric reads a metric without labels as Prometheus does.
func metric(t *testing.T, a *App, name string) float64 {
	t.Helper()
	res, err := http.Get(a.OpsURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

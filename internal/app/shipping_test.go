package app

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// TestAuditReachesPostgres: while it runs, what is recorded while Postgres is away, and the rest at the stop.
func TestAuditReachesPostgres(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{Fsync: true}) // what it has said it has, it has after its death
	db := server.Database(t, pgproc.Template{})
	url := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(url, []byte(db.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t, map[string]string{"postgres.url": "file:" + url})
	a, stop := running(t, cfg)
	record := func(exchange string) {
		t.Helper()
		rec := core.Record{Kind: core.RecordDeny, Time: time.Now().UTC(), Exchange: exchange, Reason: core.ReasonOffTask}
		if err := a.audit.Append(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
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

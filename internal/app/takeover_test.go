package app

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// TestStartTakesOverWhatIsLeft: the log of another replica on the volume, and this one's own that was moved aside. With
// durability replicated an intent is in Postgres when it is acknowledged.
func TestStartTakesOverWhatIsLeft(t *testing.T) {
	db := pgproc.Shared(t).Database(t, pgproc.Template{})
	volume := t.TempDir()
	url := filepath.Join(volume, "url")
	if err := os.WriteFile(url, []byte(db.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t, map[string]string{
		"postgres.url": "file:" + url, "audit.take_over": volume, "audit.durability": "replicated",
	})
	leave(t, filepath.Join(volume, "gone", "audit.db"), "of another")
	leave(t, AuditPath(cfg.DataDir), "of this one")
	if err := os.WriteFile(AuditPath(cfg.DataDir)+".unsynced", nil, 0o600); err != nil {
		t.Fatal(err)
	}

	a, stop := running(t, cfg)
	defer stop()
	intents := func(exchange string) int {
		return pgproc.One[int](t, db, "SELECT count(*) FROM plumbline_audit.records WHERE kind = 'intent' AND exchange = '"+exchange+"'")
	}
	if err := a.audit.Append(t.Context(), core.Record{Kind: core.RecordIntent, Time: time.Now().UTC(), Exchange: "new"}); err != nil {
		t.Fatal(err)
	}
	if n := intents("new"); n != 1 {
		t.Errorf("Postgres has the intent %d times when it is acknowledged", n)
	}
	for a.records.sweeper.Counts().Taken < 4 { // each intent, and the outcome that closes it
		select {
		case <-t.Context().Done():
			t.Fatal("what was left is not shipped")
		case <-time.After(5 * time.Millisecond):
		}
	}
	if intents("of another") != 1 || intents("of this one") != 1 {
		t.Error("not all that was left is in Postgres")
	}
	// Each log has two writers: who left it, and who closed what was open. All of what they recorded is fixed.
	for pgproc.One[int](t, db, "SELECT count(DISTINCT writer) FROM plumbline_audit.checkpoints") < 4 {
		select {
		case <-t.Context().Done():
			t.Fatal("of what was left no checkpoint is signed")
		case <-time.After(5 * time.Millisecond):
		}
	}
	if n := pgproc.One[int](t, db, "SELECT count(*) FROM plumbline_audit.records WHERE kind = 'outcome'"); n != 2 {
		t.Errorf("%d exchanges that were left open are closed", n)
	}
}

// leave makes a log with one open exchange.
func leave(t *testing.T, path, exchange string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(t.Context(), audit.Options{Path: path, Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Append(t.Context(), core.Record{Kind: core.RecordIntent, Time: time.Now().UTC(), Exchange: exchange}); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

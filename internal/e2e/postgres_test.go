package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// TestNoQueryOnTheWayOfARequest: people, tasks, limits and credentials are in memory. While requests pass, the server is
// asked for the version and nothing else, but that records are shipped to it in batches. Background jobs, which ask it by the
// clock whether there are requests or not, are left out.
func TestNoQueryOnTheWayOfARequest(t *testing.T) {
	const version = "SELECT version FROM plumbline.feed"
	server := pgproc.Start(t, pgproc.Options{Settings: []string{"log_statement = all"}})
	db := server.Database(t, pgproc.Template{})
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte(db.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, setup{policy: allowAll, settings: map[string]string{"postgres.url": "file:" + path, "jobs.run": "false"}})
	w.chat(chatBody("gpt-4o-mini", onTask, nil)) // the first may find what a start has left to do
	before := len(server.Log())
	polls := func() int { return strings.Count(server.Log()[before:], version) }
	const requests = 50
	for i := range requests {
		if r := w.chat(chatBody("gpt-4o-mini", fmt.Sprint(onTask, i), nil)); r.Status != 200 {
			t.Fatalf("status %d", r.Status)
		}
	}
	for end := time.Now().Add(20 * time.Second); polls() < 2; <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the version is not polled")
		}
	}
	shipments := 0
	for _, line := range strings.Split(server.Log()[before:], "\n") {
		_, statement, ok := strings.Cut(line, "LOG:  ")
		switch {
		case !ok, strings.HasSuffix(statement, version), strings.Contains(statement, "FROM plumbline.changes WHERE version >"):
		case strings.HasPrefix(statement, "statement: BEGIN; SET LOCAL"):
			shipments++
		case strings.Contains(statement, "INSERT INTO plumbline_audit."), statement == "statement: commit":
		default:
			t.Errorf("a statement while requests pass: %s", statement)
		}
	}
	// Records are shipped in batches, beside the requests: at most a few in the time that 50 take.
	if shipments > requests/2 {
		t.Errorf("%d transactions while %d requests passed", shipments, requests)
	}
}

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// TestNoQueryOnTheWayOfARequest: people, tasks, limits and credentials are in memory, and so are the owners of the objects
// that calls name again. While requests pass, the server is asked for the version and for changes that no audit has, and
// nothing else, but that records are shipped to it in batches. Background jobs,
// which ask it by the clock whether there are requests or not, are left out.
func TestNoQueryOnTheWayOfARequest(t *testing.T) {
	const version = "SELECT version FROM plumbline.feed"
	server := pgproc.Start(t, pgproc.Options{Settings: []string{"log_statement = all"}})
	db := server.Database(t, pgproc.Template{})
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte(db.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	masters := filepath.Join(t.TempDir(), "masters")
	must(t, seal.CreateMasterFile(masters, seal.NewMasterKeys()))
	w := start(t, setup{policy: takesFiles, settings: map[string]string{
		"postgres.url": "file:" + path, "audit.content": "sealed", "audit.master_key_file": masters, "jobs.run": "false",
	}})
	eventually(t, "ann's key is there", func() bool { // the first may find what a start has left to do, and no key yet
		return w.records(w.chat(chatBody("gpt-4o-mini", onTask, nil)).Exchange)[0].Sealed.Key != ""
	})
	previous, file := w.newObject(w.key, "/v1/responses", respondTo("")), w.newObject(w.key, "/v1/files", aFile)
	round := func(i int) {
		t.Helper()
		for _, r := range []response{
			w.chat(chatBody("gpt-4o-mini", fmt.Sprint(onTask, i), nil)),
			w.as(w.key, "POST", "/v1/responses", respondTo(`,"store":false,"previous_response_id":"`+previous+`"`)),
			w.as(w.key, "GET", "/v1/responses/"+previous, ""),
			w.as(w.key, "GET", "/v1/files/"+file, ""),
		} {
			if r.Status != http.StatusOK {
				t.Fatalf("status %d: %s", r.Status, r.Body)
			}
		}
	}
	// The first use of an object asks, and the first calls may find what a start has left to do.
	settled := func() int { return len(server.Log()) }
	asks := func(since int) int { return strings.Count(server.Log()[since:], "FROM plumbline.provider_objects") }
	before := 0
	for end := time.Now().Add(20 * time.Second); ; {
		before = settled()
		if round(0); asks(before) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the owner of an object is asked for again and again")
		}
	}
	before = settled()
	polls := func() int { return strings.Count(server.Log()[before:], version) }
	const rounds = 25
	for i := range rounds {
		round(i)
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
		case !ok, strings.HasSuffix(statement, version),
			strings.Contains(statement, ": WITH owed AS"), strings.Contains(statement, ": UPDATE plumbline.changes SET recorded"):
		case strings.HasPrefix(statement, "statement: BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL"):
			shipments++
		case statement == "statement: -- ping": // of a connection that nobody has used for a second
		case strings.HasPrefix(statement, "statement: BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
			strings.Contains(statement, "sum(greatest(last::numeric - records - dead, 0))"): // what is missing there is counted every ten seconds
		case strings.Contains(statement, "INSERT INTO plumbline_audit."), strings.HasPrefix(statement, "statement: COPY plumbline_audit.records "), strings.Contains(statement, "'synchronous_commit'"), statement == "statement: commit":
		default:
			t.Errorf("a statement while requests pass: %s", statement)
		}
	}
	// Records are shipped in batches, beside the requests: at most a few in the time that a hundred take.
	if shipments > 4*rounds/2 {
		t.Errorf("%d transactions while %d requests passed", shipments, 4*rounds)
	}
}

package app

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// onPostgres is a configuration whose control data lies in a database of the test's own.
func onPostgres(t *testing.T, server *pgproc.Server, settings map[string]string) (config.Config, *pgproc.Database) {
	t.Helper()
	db := server.Database(t, pgproc.Template{})
	cfg := testConfig(t, settings)
	cfg.Postgres.URL = config.NewSecret(db.URL)
	return cfg, db
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for too long: %s", what)
		}
	}
}

// TestPostgresAway: without Postgres requests go on until what is known is too old, are refused then, and go on at once
// when it is back. What another process blocked meanwhile holds.
func TestPostgresAway(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{Fsync: true})
	cfg, _ := onPostgres(t, server, nil)
	cfg.Feed.MaxStaleness = 2 * time.Second
	a, stop := running(t, cfg)
	defer stop()
	if err := a.store.Users().Put(t.Context(), core.User{ID: "ann"}); err != nil {
		t.Fatal(err)
	}
	await(t, "ann is known", func() bool { _, ok := a.directory.Snapshot().User("ann"); return ok })
	for name, fault := range map[string]struct {
		begin, end func()
		fails      bool // each look; one that hangs may end well once the server goes on
	}{
		"stopped": {server.Stop, func() { server.Start(t) }, true},
		"hangs":   {server.Pause, server.Resume, false},
	} {
		failures := a.directory.Failures()
		p := &people{fresh: a.directory.Fresh}
		p.current.Store(&view{snapshot: a.directory.Snapshot()})
		begin, age := time.Now(), a.directory.Age()
		fault.begin()
		if _, err := p.inForce(); err != nil && a.directory.Age() < cfg.Feed.MaxStaleness { // unless to begin took as long
			t.Errorf("%s: %v at once", name, err)
		}
		await(t, "what is known becomes too old", func() bool { return a.directory.Fresh() != nil })
		if took := age + time.Since(begin); took < cfg.Feed.MaxStaleness {
			t.Errorf("%s: too old after %s", name, took)
		}
		if _, err := p.inForce(); err == nil {
			t.Errorf("%s: requests go on", name)
		}
		if status, body := get(t, a.OpsURL()+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "could not be refreshed") {
			t.Errorf("%s: ready says %d %s", name, status, body)
		}
		fault.end()
		back := time.Now()
		await(t, "what is known is fresh", func() bool { return a.directory.Fresh() == nil })
		t.Logf("%s: fresh %s after the server was back", name, time.Since(back).Round(time.Millisecond))
		if fault.fails && a.directory.Failures() == failures {
			t.Errorf("%s: no failure was counted", name)
		}
	}
}

// TestBlockHoldsWithinASecond: another process blocks somebody.
func TestBlockHoldsWithinASecond(t *testing.T) {
	cfg, _ := onPostgres(t, pgproc.Shared(t), nil)
	a, stop := running(t, cfg)
	defer stop()
	other, err := OpenStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	worst := looksHeldUp(t, other)
	ctx := store.WithActor(t.Context(), "cli:root")
	if err := other.Users().Put(ctx, core.User{ID: "ann"}); err != nil {
		t.Fatal(err)
	}
	await(t, "ann is known", func() bool { _, ok := a.directory.Snapshot().User("ann"); return ok })
	if err := BlockUser(ctx, other, "ann", true); err != nil {
		t.Fatal(err)
	}
	blocked := time.Now()
	await(t, "ann is blocked", func() bool { u, _ := a.directory.Snapshot().User("ann"); return u.Blocked })
	if took := time.Since(blocked); took > time.Second+steps*worst() {
		t.Errorf("a block holds after %s; the machine held up a look for %s", took, worst())
	}
}

func TestMigrateByCommand(t *testing.T) {
	cfg, _ := onPostgres(t, pgproc.Shared(t), nil)
	cfg.Postgres.Migrate = false
	if _, err := OpenStore(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "plumbline migrate") {
		t.Errorf("an empty database without migrate: %v", err)
	}
	pending, err := PendingMigrations(t.Context(), cfg)
	if err != nil || len(pending) == 0 {
		t.Fatalf("pending %v, %v", pending, err)
	}
	done, err := Migrate(t.Context(), cfg, nil)
	if err != nil || len(done) != len(pending) {
		t.Errorf("applied %v of %v, %v", done, pending, err)
	}
	st, err := OpenStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	st.Close()
	if _, err := Migrate(t.Context(), testConfig(t, nil), nil); err != ErrEmbedded { //nolint:errorlint // it is returned as it is
		t.Errorf("without Postgres: %v", err)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

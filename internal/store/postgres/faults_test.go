package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/core"
	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/schema"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// canary is the password of these tests. No message may hold it.
const canary = "canary-password"

func openError(t *testing.T, url string) error {
	t.Helper()
	st, err := postgres.Open(t.Context(), postgres.Options{Options: pg.Options{URL: url, MaxConns: 2, Timeout: 2 * time.Second}})
	if err == nil {
		st.Close()
	}
	return err
}

// says checks that an error names what happened and what to do, and no password.
func says(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("error %v, want one that says %q", err, words)
	}
	if err != nil && (strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "role-password")) {
		t.Errorf("the error holds the password: %v", err)
	}
}

func TestWrongWayIn(t *testing.T) {
	server := pgproc.Shared(t)
	db := server.Database(t, control)
	role := db.Role(t)
	for name, c := range map[string]struct{ url, words string }{
		"wrong password":      {strings.Replace(role, "role-password", canary, 1), "refuses the password"},
		"unknown user":        {server.URL("nobody-of-that-name", db.Name, canary), "refuses the password"},
		"no such database":    {server.URL("postgres", "missing", ""), "does not exist: create it"},
		"no right":            {role, "lacks a right"},
		"nobody listens":      {"postgres://u:" + canary + "@localhost/db?host=/nowhere", "cannot connect: check that the server runs"},
		"no string at all":    {"postgres://u:" + canary + "@%zz", "must be a connection string"},
		"a setting not known": {"postgres://u:" + canary + "@h/db?sslmode=" + canary, "must be a connection string"},
	} {
		t.Run(name, func(t *testing.T) { says(t, openError(t, c.url), c.words) })
	}
}

// TestTooManyConnections: the server has none left.
func TestTooManyConnections(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{Settings: []string{"max_connections = 8", "superuser_reserved_connections = 1", "max_wal_senders = 0"}})
	db := server.Database(t, control)
	role := db.Role(t, appRights...)
	for {
		c, err := pgx.Connect(t.Context(), role)
		if err != nil {
			break
		}
		t.Cleanup(func() { c.Close(context.Background()) })
	}
	says(t, openError(t, role), "no connection left: raise its max_connections")
}

// TestServerFaults takes the server away in every way and has it back each time, under one store that stays open.
func TestServerFaults(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{Fsync: true})
	db := server.Database(t, control)
	st, err := postgres.Open(t.Context(), postgres.Options{Options: pg.Options{URL: db.URL, MaxConns: 2, Timeout: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	put := func(id string) error { return st.Teams().Put(t.Context(), core.Team{ID: id}) }
	if err := put("first"); err != nil {
		t.Fatal(err)
	}
	for _, fault := range []struct {
		name, words string
		begin, end  func()
	}{
		{"stopped", "cannot connect", server.Stop, func() { server.Start(t) }},
		{"killed", "cannot connect", server.Kill, func() { server.Start(t) }},
		{"hangs", "no answer within 1s", server.Pause, server.Resume},
		{"standby", "read-only standby: point postgres.url at the primary", func() { server.Standby(t) }, func() { server.Promote(t) }},
	} {
		fault.begin()
		_ = put(fault.name) // what was in the pool breaks first, in words of the connection
		says(t, put(fault.name), fault.words)
		if fault.name == "standby" {
			says(t, openError(t, db.URL), fault.words)
			if _, _, err := st.Load(t.Context()); err != nil {
				t.Errorf("a standby is not read: %v", err)
			}
		}
		fault.end()
		for end := time.Now().Add(20 * time.Second); put("after-"+fault.name) != nil; {
			if time.Now().After(end) {
				t.Fatalf("after %s: %v", fault.name, put("after-"+fault.name))
			}
		}
	}
	changes, err := st.Changes(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, c := range changes {
		if c.Version != uint64(i+1) || seen[c.Object] {
			t.Errorf("change %d is %d, %s", i, c.Version, c.Object)
		}
		seen[c.Object] = true
	}
}

// TestChangeLeftByItsClient: who holds the feed and goes silent holds up the others for the timeout, not for ever.
func TestChangeLeftByItsClient(t *testing.T) {
	db := pgproc.Shared(t).Database(t, control)
	st, err := postgres.Open(t.Context(), postgres.Options{Options: pg.Options{URL: db.URL, Timeout: 300 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	silent, err := pgx.Connect(t.Context(), db.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close(context.Background())
	if _, err := silent.Exec(t.Context(), "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 1500; SELECT version FROM plumbline.feed FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	err = st.Teams().Put(t.Context(), core.Team{ID: "red"})
	if err == nil || !strings.Contains(err.Error(), "postgres.timeout") {
		t.Errorf("while the feed is held: %v", err)
	}
	for end := time.Now().Add(20 * time.Second); st.Teams().Put(t.Context(), core.Team{ID: "red"}) != nil; {
		if time.Now().After(end) {
			t.Fatal("the feed stays held")
		}
	}
}

// TestCallerWhoLeaves: an ended context is the caller's, and is not blamed on the server.
func TestCallerWhoLeaves(t *testing.T) {
	st := open(t, pgproc.Shared(t).Database(t, control).URL)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := st.Version(ctx); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "postgres.timeout") {
		t.Errorf("%v, want context.Canceled alone", err)
	}
}

func TestTextThatPostgresCannotHold(t *testing.T) {
	st := open(t, pgproc.Shared(t).Database(t, control).URL)
	for _, bad := range []string{"a\x00b", "a\xffb"} {
		ref := core.ObjectRef{Kind: core.ObjectFile, ID: bad}
		own := core.OwnedObject{ObjectRef: ref, Owner: core.Owner{App: "ide"}}
		if err := st.Ownership().Own(t.Context(), own); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", bad, err)
		}
		if _, known, err := st.Ownership().Owned(t.Context(), ref); known || err != nil {
			t.Errorf("%q: %v, %v", bad, known, err)
		}
		if err := errors.Join(st.Ownership().Disown(t.Context(), ref), st.Ownership().Add(t.Context(), ref, "m", 1)); err != nil {
			t.Error(err)
		}
		if _, err := st.Users().Get(t.Context(), bad); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q: %v, want ErrNotFound", bad, err)
		}
		if err := st.Users().Delete(t.Context(), bad); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q: %v, want ErrNotFound", bad, err)
		}
		if _, err := st.Users().List(t.Context(), store.Page{After: bad}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", bad, err)
		}
		ctx := store.WithActor(t.Context(), bad)
		if err := st.Teams().Put(ctx, core.Team{ID: "red"}); err != nil {
			t.Errorf("in the name of %q: %v", bad, err)
		}
		if err := st.Teams().Delete(ctx, "red"); err != nil {
			t.Errorf("in the name of %q: %v", bad, err)
		}
	}
}

func TestSchemaThatDoesNotFit(t *testing.T) {
	server := pgproc.Shared(t)
	newer := server.Database(t, control)
	newer.Exec(t, "INSERT INTO plumbline.schema_version VALUES (9999, '9999_later.sql', 0)")
	err := openError(t, newer.URL)
	says(t, err, "9999_later.sql, which this Plumbline does not know: run the newer Plumbline")
	if !errors.Is(err, schema.ErrMismatch) {
		t.Errorf("%v, want ErrMismatch", err)
	}

	older := server.Database(t, pgproc.Template{})
	says(t, openError(t, older.URL), "run `plumbline migrate`")

	foreign := server.Database(t, pgproc.Template{})
	foreign.Exec(t, "CREATE SCHEMA plumbline; CREATE TABLE plumbline.theirs (n int)")
	says(t, openError(t, foreign.URL), "was not made by Plumbline")
}

package audit_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/sqlite"
)

// TestVerifyNamesTheFirstBadEntry tampers with a log in each way that its own hashes can show.
func TestVerifyNamesTheFirstBadEntry(t *testing.T) {
	for _, c := range []struct {
		name, statement string
		position        audit.Position
		want            string
	}{
		{"record changed", `UPDATE entries SET record = CAST(replace(CAST(record AS TEXT), '"status":200', '"status":500') AS BLOB) WHERE id = 4`, 4, "its hash"},
		{"record removed", `DELETE FROM entries WHERE id = 3`, 4, "number 3 was expected"},
		{"first removed", `DELETE FROM entries WHERE id = 1`, 2, "number 1 was expected"},
		{"two swapped", `UPDATE entries SET id = CASE id WHEN 5 THEN -6 ELSE -5 END WHERE id IN (5, 6); UPDATE entries SET id = -id WHERE id < 0`, 5, "number 5 was expected"},
		{"number changed", `UPDATE entries SET seq = 60 WHERE id = 6`, 6, "number 6 was expected"},
		{"hash changed", `UPDATE entries SET leaf = zeroblob(32) WHERE id = 2`, 2, "its hash"},
		{"hash cut", `UPDATE entries SET leaf = x'00' WHERE id = 2`, 2, "its hash"},
		{"person changed", `UPDATE entries SET user = 'mallory' WHERE id = 5`, 5, "its columns"},
		{"charge changed", `UPDATE entries SET cost = 0 WHERE id = 6`, 6, "its columns"},
		{"writer renamed", `UPDATE writers SET name = 'X'`, 1, "its hash"},
		{"writer removed", `DELETE FROM writers`, 1, "its writer is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.db")
			log := openLog(t, audit.Options{Path: path})
			for i := range 4 {
				must(t, log.Append(t.Context(), intentRecord(i)))
				must(t, log.Append(t.Context(), outcomeRecord(i)))
			}
			must(t, log.Close(t.Context()))
			r := openReader(t, path)
			if got, err := r.Verify(t.Context()); err != nil || got.Records != 8 {
				t.Fatalf("before: %+v, %v", got, err)
			}
			db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
			must(t, err)
			t.Cleanup(func() { must(t, db.Close()) })
			if _, err := db.ExecContext(t.Context(), c.statement); err != nil {
				t.Fatal(err)
			}
			_, err = r.Verify(t.Context())
			var bad *audit.BadEntryError
			if !errors.As(err, &bad) || bad.Position != c.position || !strings.Contains(bad.Problem, c.want) {
				t.Errorf("got %v, want entry %d and %q", err, c.position, c.want)
			}
		})
	}
}

// TestVerifyFindsWrongIndexes tampers with what is derived from the entries: what a search or the ledger would miss.
func TestVerifyFindsWrongIndexes(t *testing.T) {
	master := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: master})
	for i := range 600 {
		must(t, log.Append(t.Context(), intentRecord(i)))
		must(t, log.Append(t.Context(), outcomeRecord(i)))
	}
	must(t, log.Close(t.Context()))
	if got, err := openReader(t, master).Verify(t.Context()); err != nil || got.Records != 1200 {
		t.Fatalf("before: %+v, %v", got, err)
	}
	whole, err := os.ReadFile(master)
	must(t, err)
	for _, c := range []struct {
		name, statement string
		position        audit.Position
		want            string
	}{
		{"person missing", `DELETE FROM by_user WHERE entry = 7`, 7, "index of persons does not"},
		{"person renamed", `UPDATE by_user SET user = 'mallory' WHERE entry = 9`, 9, "index of persons does not"},
		{"person added", `INSERT INTO by_user VALUES ('mallory', 5)`, 5, "under another one"},
		{"person too early", `INSERT INTO by_user SELECT user, id FROM entries WHERE id = 1030`, 1030, "under another one"},
		{"run missing", `DELETE FROM spans`, 1, "index of times"},
		{"run cut", `UPDATE spans SET first = 3`, 1, "index of times"},
		{"run earlier", `UPDATE spans SET latest = latest - 1`, 1024, "index of times"},
		{"run later", `UPDATE spans SET earliest = earliest + 1`, 1, "index of times"},
		{"charge missing", `DELETE FROM charges WHERE entry = 8`, 8, "index of charges does not"},
		{"charge lowered", `UPDATE charges SET cost = cost - 1 WHERE entry = 8`, 8, "index of charges does not"},
		{"charge of another", `UPDATE charges SET user = 'mallory' WHERE entry = 8`, 8, "index of charges does not"},
		{"charge moved", `UPDATE charges SET admitted = 1 WHERE entry = 8`, 8, "index of charges does not"},
		{"charge of another exchange", `UPDATE charges SET exchange = 'x' WHERE entry = 8`, 8, "index of charges does not"},
		{"charge added", `INSERT INTO charges SELECT 7, admitted, exchange, user, team, app, model, 9, 9, 9, 9 FROM charges WHERE entry = 8`, 7, "another charge"},
		{"run admitted earlier", `UPDATE spans SET admitted = admitted - 1`, 1024, "index of times"},
		{"index claims more", `UPDATE state SET value = 1100 WHERE name = 'indexed'`, 1025, "index of exchanges does not"},
		{"step recorded twice", `UPDATE by_exchange SET entry = 2 WHERE entry = 4`, 4, "recorded twice"},
		{"exchange missing", `DELETE FROM by_exchange WHERE entry = 7`, 7, "index of exchanges does not"},
		{
			"two persons in one row", `DELETE FROM by_user WHERE entry IN (3, 5);
				INSERT INTO by_user SELECT a.user || char(31) || a.id || char(30) || b.user, b.id FROM entries AS a, entries AS b WHERE a.id = 3 AND b.id = 5`,
			3, "index of persons does not",
		},
		{"exchange of no name added", `INSERT INTO by_exchange VALUES ('', '', 5)`, 5, "under another one"},
		{"exchange added", `INSERT INTO by_exchange VALUES ('x', 'deny', 5)`, 5, "under another one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.db")
			must(t, os.WriteFile(path, whole, 0o600))
			db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
			must(t, err)
			if _, err := db.ExecContext(t.Context(), c.statement); err != nil {
				t.Fatal(err)
			}
			must(t, db.Close())
			_, err = openReader(t, path).Verify(t.Context())
			var bad *audit.BadEntryError
			if !errors.As(err, &bad) || bad.Position != c.position || !strings.Contains(bad.Problem, c.want) {
				t.Errorf("got %v, want entry %d and %q", err, c.position, c.want)
			}
		})
	}
}

// TestVerifyReadsWhatPartsColumns: texts that hold what columns are joined with are told apart by their lengths.
func TestVerifyReadsWhatPartsColumns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path})
	rec := intentRecord(0)
	rec.Principal.User, rec.Principal.Team = "a\x1fb", "c"
	must(t, log.Append(t.Context(), rec))
	must(t, log.Close(t.Context()))
	if _, err := openReader(t, path).Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	must(t, err)
	_, err = db.ExecContext(t.Context(), "UPDATE entries SET user = 'a', team = 'b' || char(31) || 'c'")
	must(t, errors.Join(err, db.Close()))
	var bad *audit.BadEntryError
	if _, err := openReader(t, path).Verify(t.Context()); !errors.As(err, &bad) || !strings.Contains(bad.Problem, "its columns") {
		t.Errorf("got %v", err)
	}
}

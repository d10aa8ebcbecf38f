package audit_test

import (
	"errors"
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

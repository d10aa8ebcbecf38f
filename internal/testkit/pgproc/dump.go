package pgproc

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Dump writes a database to a file as statements that Exec takes: what people have in theirs, for tests of upgrades.
func (d *Database) Dump(t testing.TB, path string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), d.server.Program("pg_dump"), "--inserts", "--no-owner", "--no-privileges", "--dbname", d.URL).Output()
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, `\`) { // a command of psql
			kept = append(kept, line)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Join(kept, "")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Layout lists the columns, constraints, indexes and functions of a schema, and the database's triggers.
func (d *Database) Layout(t testing.TB, schema string) []string {
	t.Helper()
	return d.Lines(t, `SELECT format('%s.%s %s %s null=%s default=%s', table_name, column_name, data_type, collation_name, is_nullable, column_default)
			FROM information_schema.columns WHERE table_schema = $1
		UNION ALL SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = $1::regnamespace
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = $1
		UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT prosrc FROM pg_proc WHERE pronamespace = $1::regnamespace ORDER BY 1`, schema)
}

// Lines gives the texts that a query finds, and ends the test if it fails.
func (d *Database) Lines(t testing.TB, sql string, args ...any) []string {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, d.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	rows, err := c.Query(ctx, sql, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return all
}

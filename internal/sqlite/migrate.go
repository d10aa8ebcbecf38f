package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/plumbline/plumbline/internal/schema"
)

// ErrSchema is wrapped by the errors of Migrate and CheckSchema that say that the file is not one this version can use.
var ErrSchema = schema.ErrMismatch

// Migrate applies the files of migrations ("0001_name.sql", numbered from 1 without gaps) that the database does not have
// yet. All run in one transaction that holds the write lock: another process waits, then finds nothing to do; a failure
// leaves the database as it was. It goes forward only, and refuses a database of a newer version or of another kind.
func Migrate(ctx context.Context, db *sql.DB, migrations fs.FS) error {
	known, err := schema.List(migrations)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("sqlite: migrate: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("sqlite: migrate: %w", err)
	}
	err = apply(ctx, conn, migrations, known)
	end := "COMMIT"
	if err != nil {
		end = "ROLLBACK"
	}
	// The end must run even when ctx is over, or the connection would stay in its transaction.
	if _, endErr := conn.ExecContext(context.WithoutCancel(ctx), end); endErr != nil && err == nil {
		_, rollbackErr := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		err = errors.Join(endErr, rollbackErr)
	}
	if err != nil {
		return fmt.Errorf("sqlite: migrate: %w", err)
	}
	return nil
}

func apply(ctx context.Context, conn *sql.Conn, migrations fs.FS, known []schema.Migration) error {
	applied, err := check(ctx, conn, known)
	if err != nil {
		return err
	}
	const table = `CREATE TABLE IF NOT EXISTS schema_version
		(version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied INTEGER NOT NULL) STRICT`
	if _, err := conn.ExecContext(ctx, table); err != nil {
		return err
	}
	for _, m := range known[applied:] {
		text, err := fs.ReadFile(migrations, m.Name)
		if err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		_, err = conn.ExecContext(ctx, "INSERT INTO schema_version VALUES (?, ?, ?)", m.Version, m.Name, time.Now().UnixMicro())
		if err != nil {
			return err
		}
	}
	return nil
}

// CheckSchema returns nil when the database has exactly the given migrations, for those who only read it.
func CheckSchema(ctx context.Context, db *sql.DB, migrations fs.FS) error {
	known, err := schema.List(migrations)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("sqlite: schema: %w", err)
	}
	defer func() { _ = conn.Close() }()
	applied, err := check(ctx, conn, known)
	if err != nil {
		return fmt.Errorf("sqlite: schema: %w", err)
	}
	if applied < len(known) {
		return fmt.Errorf("sqlite: %w: it has version %d, this Plumbline reads %d: run `plumbline serve` once to upgrade it",
			ErrSchema, applied, len(known))
	}
	return nil
}

// check returns how many of the known migrations the database has, or why it is not one of ours.
func check(ctx context.Context, conn *sql.Conn, known []schema.Migration) (applied int, err error) {
	var tables, versioned int
	err = conn.QueryRowContext(ctx,
		"SELECT count(*), count(*) FILTER (WHERE name = 'schema_version') FROM sqlite_schema WHERE type = 'table'").
		Scan(&tables, &versioned)
	if err != nil {
		return 0, err
	}
	return schema.Applied(known, tables, versioned, "data directory", func() ([]schema.Migration, error) { return versions(ctx, conn) })
}

// versions reads which migrations the database has had.
func versions(ctx context.Context, conn *sql.Conn) (found []schema.Migration, err error) {
	rows, err := conn.QueryContext(ctx, "SELECT version, name FROM schema_version ORDER BY version")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var m schema.Migration
		if err := rows.Scan(&m.Version, &m.Name); err != nil {
			return nil, err
		}
		found = append(found, m)
	}
	return found, rows.Err()
}

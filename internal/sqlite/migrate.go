package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// ErrSchema is wrapped by the errors of Migrate and CheckSchema that say that the file is not one this version can use.
var ErrSchema = errors.New("the database's schema does not fit")

// migration is one numbered file.
type migration struct {
	version int
	name    string
}

// Migrate applies the files of migrations ("0001_name.sql", numbered from 1 without gaps) that the database does not have
// yet. All run in one transaction that holds the write lock: another process waits, then finds nothing to do; a failure
// leaves the database as it was. It goes forward only, and refuses a database of a newer version or of another kind.
func Migrate(ctx context.Context, db *sql.DB, migrations fs.FS) error {
	known, err := list(migrations)
	if err != nil {
		return err
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

func apply(ctx context.Context, conn *sql.Conn, migrations fs.FS, known []migration) error {
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
		text, err := fs.ReadFile(migrations, m.name)
		if err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		_, err = conn.ExecContext(ctx, "INSERT INTO schema_version VALUES (?, ?, ?)", m.version, m.name, time.Now().UnixMicro())
		if err != nil {
			return err
		}
	}
	return nil
}

// CheckSchema returns nil when the database has exactly the given migrations, for those who only read it.
func CheckSchema(ctx context.Context, db *sql.DB, migrations fs.FS) error {
	known, err := list(migrations)
	if err != nil {
		return err
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
func check(ctx context.Context, conn *sql.Conn, known []migration) (applied int, err error) {
	var tables, versioned int
	err = conn.QueryRowContext(ctx,
		"SELECT count(*), count(*) FILTER (WHERE name = 'schema_version') FROM sqlite_schema WHERE type = 'table'").
		Scan(&tables, &versioned)
	switch {
	case err != nil:
		return 0, err
	case tables == 0:
		return 0, nil
	case versioned == 0:
		return 0, fmt.Errorf("%w: it was not made by Plumbline: give Plumbline a data directory of its own", ErrSchema)
	}
	rows, err := conn.QueryContext(ctx, "SELECT version, name FROM schema_version ORDER BY version")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var found migration
		if err := rows.Scan(&found.version, &found.name); err != nil {
			return 0, err
		}
		switch {
		case applied == len(known):
			return 0, fmt.Errorf("%w: it has %s, which this Plumbline does not know: run the newer Plumbline that upgraded it, or restore the copy from before",
				ErrSchema, found.name)
		case found != known[applied]:
			return 0, fmt.Errorf("%w: it has %s where this Plumbline has %s: it is another kind of file, or comes from another branch of Plumbline",
				ErrSchema, found.name, known[applied].name)
		}
		applied++
	}
	return applied, rows.Err()
}

// list reads the migrations' names, in order.
func list(migrations fs.FS) ([]migration, error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("sqlite: migrations: %w", err)
	}
	if len(names) == 0 {
		return nil, errors.New("sqlite: there are no migrations")
	}
	var all []migration
	for i, name := range names { // Glob sorts
		number, _, ok := strings.Cut(path.Base(name), "_")
		version, err := strconv.Atoi(number)
		if !ok || err != nil || version != i+1 || len(number) != 4 {
			return nil, fmt.Errorf("sqlite: migration %s: want %04d_name.sql here", name, i+1)
		}
		all = append(all, migration{version, name})
	}
	return all, nil
}

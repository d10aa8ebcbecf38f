package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/schema"
)

// Schema is one of Postgres' schemas and the migrations that make it: files as schema.List reads them, which name the
// schema in every statement. Its table schema_version says which of them it has had.
type Schema struct {
	Name       string
	Migrations fs.FS
}

// migrateLimit bounds the wait for another process that migrates, and each migration.
const migrateLimit = 10 * time.Minute

// Pending gives the names of the migrations that the database has not had, or an error that wraps schema.ErrMismatch when
// it is of a newer version or not Plumbline's. It changes nothing.
func (s Schema) Pending(ctx context.Context, p *Pool) (names []string, err error) {
	known, err := schema.List(s.Migrations)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	var applied int
	err = p.Read(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		applied, err = s.check(ctx, tx, known)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", s.Name, err)
	}
	for _, m := range known[applied:] {
		names = append(names, m.Name)
	}
	return names, nil
}

// Check returns nil when the database has had exactly the known migrations, for those who may not migrate.
func (s Schema) Check(ctx context.Context, p *Pool) error {
	pending, err := s.Pending(ctx, p)
	if err == nil && len(pending) > 0 {
		return fmt.Errorf("schema %s: %w: it lacks %s and later ones (%d in all): run `plumbline migrate`, or start with postgres.migrate: true",
			s.Name, schema.ErrMismatch, pending[0], len(pending))
	}
	return err
}

// Ready brings the database up to date where migrate says so, and else refuses one that is not.
func (s Schema) Ready(ctx context.Context, p *Pool, migrate bool) error {
	if !migrate {
		return s.Check(ctx, p)
	}
	_, err := s.Migrate(ctx, p)
	return err
}

// Migrate applies what is pending and gives the names of what it applied, in order. Each migration is a transaction that
// holds a lock of the schema's: another process waits, then finds it done; a failure leaves the database as the last
// whole migration did. It goes forward only, and refuses what Pending refuses. With nothing pending it needs no right but to read.
func (s Schema) Migrate(ctx context.Context, p *Pool) (applied []string, err error) {
	pending, err := s.Pending(ctx, p)
	if err != nil || len(pending) == 0 {
		return nil, err
	}
	known, err := schema.List(s.Migrations)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, migrateLimit)
	defer cancel()
	for {
		name, err := s.next(limited, p, known)
		if err != nil {
			return applied, fmt.Errorf("schema %s: %w", s.Name, err)
		}
		if name == "" {
			return applied, nil
		}
		applied = append(applied, name)
	}
}

// next applies the first migration that the database has not had, and gives its name, empty when there is none.
func (s Schema) next(ctx context.Context, p *Pool, known []schema.Migration) (name string, err error) {
	begin := fmt.Sprintf("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = %d", migrateLimit.Milliseconds())
	err = pgx.BeginTxFunc(ctx, p.Pool, pgx.TxOptions{BeginQuery: begin}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_catalog.pg_advisory_xact_lock($1)", s.lock()); err != nil {
			return err
		}
		applied, err := s.check(ctx, tx, known)
		if err != nil || applied == len(known) {
			return err
		}
		name = known[applied].Name
		if err := s.apply(ctx, tx, known[applied]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	return name, Explain(err)
}

// lock is the number of the advisory lock that a migration holds, one for each schema.
func (s Schema) lock() int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("plumbline/migrate/" + s.Name))
	return int64(h.Sum64())
}

func (s Schema) apply(ctx context.Context, tx pgx.Tx, m schema.Migration) error {
	text, err := fs.ReadFile(s.Migrations, m.Name)
	if err != nil {
		return err
	}
	if m.Version == 1 {
		if err := s.create(ctx, tx); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, string(text)); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO "+s.versions()+" (version, name, applied) VALUES ($1, $2, $3)", m.Version, m.Name, time.Now().UnixMicro())
	return err
}

// create makes the schema, unless an administrator has made it for a user who may not, and its table of versions.
func (s Schema) create(ctx context.Context, tx pgx.Tx) error {
	var exists bool
	err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1)", s.Name).Scan(&exists)
	if err != nil {
		return err
	}
	if !exists {
		if _, err := tx.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{s.Name}.Sanitize()); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, "CREATE TABLE "+s.versions()+" (version bigint PRIMARY KEY, name text NOT NULL, applied bigint NOT NULL)")
	return err
}

func (s Schema) versions() string { return pgx.Identifier{s.Name, "schema_version"}.Sanitize() }

// check returns how many of the known migrations the database has had, or why it is not one of ours.
func (s Schema) check(ctx context.Context, tx pgx.Tx, known []schema.Migration) (applied int, err error) {
	var tables, versioned int
	// The catalogue shows this to users without any right on the schema.
	err = tx.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE relname = 'schema_version')
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')`, s.Name).Scan(&tables, &versioned)
	if err != nil {
		return 0, err
	}
	return schema.Applied(known, tables, versioned, "database", func() ([]schema.Migration, error) {
		rows, err := tx.Query(ctx, "SELECT version, name FROM "+s.versions()+" ORDER BY version")
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowToStructByPos[schema.Migration])
	})
}

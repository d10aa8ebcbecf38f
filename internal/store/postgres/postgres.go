// Package postgres keeps control data in Postgres, for the production mode, where any number of replicas and command
// lines use one database.
//
// Each change locks the one row of plumbline.feed from its beginning to its commit. So changes happen one after another,
// as with SQLite's one writer: references can be checked before they are made, and versions of the feed become visible in
// the order in which they were given. Readers never wait.
//
// The database holds private signing keys as they are: whoever can read it, or a copy of it, can issue tokens. App keys
// are there as hashes.
//
// The package implements store.Store and imports nothing else of Plumbline but core, quota, the layout of the tables, the
// opener of pools and the migrations.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
	"github.com/plumbline/plumbline/migrations"
)

// Schema is where the control data lies, and how it is made.
var Schema = postgres.Schema{Name: "plumbline", Migrations: migrations.PostgresControl}

// Options say how the store is opened.
type Options struct {
	postgres.Options
	// Migrate brings an older schema up to date; without it an older one is refused.
	Migrate bool
	// Serve refuses a user who lacks a right on a table that serving needs, now and not at the first use.
	Serve bool
}

// Store implements store.Store.
type Store struct{ pool *postgres.Pool }

var _ store.Store = (*Store)(nil)

// Open connects, and refuses a schema that does not fit and a server that cannot write.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	pool, err := postgres.Open(ctx, o.Options)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, pool.Close())
		}
	}()
	if err := pool.Usable(ctx); err != nil {
		return nil, err
	}
	err = Schema.Ready(ctx, pool, o.Migrate)
	if err == nil && o.Serve {
		err = checkRights(ctx, pool)
	}
	if err != nil {
		return nil, err
	}
	return &Store{pool}, nil
}

// checkRights returns an error that names every right on a table which serving needs and the user lacks.
func checkRights(ctx context.Context, pool *postgres.Pool) error {
	rows, err := pool.Query(ctx, `SELECT wanted.privilege || ' on plumbline.' || c.relname
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wanted (privilege)
		WHERE n.nspname = 'plumbline' AND c.relkind = 'r' AND c.relname <> 'schema_version'
			AND NOT pg_catalog.has_table_privilege(c.oid, wanted.privilege) ORDER BY c.relname, wanted.privilege`)
	lacking, err := collect(rows, err, oneText)
	if err != nil {
		return postgres.Explain(err)
	}
	if len(lacking) > 0 {
		return fmt.Errorf("postgres: the user of postgres.url lacks a right: %s: grant it as docs/how-to/postgres.md shows, or connect as the owner",
			strings.Join(lacking, ", "))
	}
	return nil
}

// Close closes the connections.
func (s *Store) Close() error { return s.pool.Close() }

// Teams implements store.Store.
func (s *Store) Teams() store.Table[core.Team] { return table[core.Team]{s, teams} }

// Users implements store.Store.
func (s *Store) Users() store.Table[core.User] { return table[core.User]{s, users} }

// Apps implements store.Store.
func (s *Store) Apps() store.Table[core.App] { return table[core.App]{s, apps} }

// Tasks implements store.Store.
func (s *Store) Tasks() store.Table[core.Task] { return table[core.Task]{s, tasks} }

// Limits implements store.Store.
func (s *Store) Limits() store.Table[quota.Limit] { return table[quota.Limit]{s, limits} }

// Keys implements store.Store.
func (s *Store) Keys() store.Table[core.AppKey] { return table[core.AppKey]{s, keys} }

// Revocations implements store.Store.
func (s *Store) Revocations() store.Table[core.Revocation] {
	return table[core.Revocation]{s, revocations}
}

// SigningKeys implements store.Store.
func (s *Store) SigningKeys() store.Table[core.SigningKey] {
	return table[core.SigningKey]{s, signingKeys}
}

// Tokens implements store.Store.
func (s *Store) Tokens() store.Table[core.IssuedToken] { return table[core.IssuedToken]{s, tokens} }

const selectVersion = `SELECT version FROM plumbline.feed`

// Version implements store.Store.
func (s *Store) Version(ctx context.Context) (v uint64, err error) {
	ctx, cancel := s.pool.Limit(ctx)
	defer cancel()
	err = s.pool.QueryRow(ctx, selectVersion).Scan(&v)
	return v, s.pool.Explain(ctx, err)
}

// Changes implements store.Store.
func (s *Store) Changes(ctx context.Context, after uint64, limit int) ([]store.Change, error) {
	return query(ctx, s, layout.ScanChange, `SELECT `+layout.ChangeColumns+` FROM plumbline.changes WHERE version > $1 ORDER BY version LIMIT $2`,
		int64(after), max(limit, 0))
}

// Apply implements store.Store.
func (s *Store) Apply(ctx context.Context, o store.Objects) error {
	if err := o.Validate(); err != nil {
		return err
	}
	return s.change(ctx, func(ctx context.Context, c *change) error {
		for _, p := range layout.Parts {
			if err := putAll(ctx, c, kind[any]{p.Kind}, p.In(o)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Provision implements store.Store.
func (s *Store) Provision(ctx context.Context, user core.User, team core.Team) error {
	o := store.Objects{Users: []core.User{user}}
	if team.ID != "" {
		o.Teams = []core.Team{team}
	}
	if err := o.Validate(); err != nil {
		return err
	}
	return s.change(ctx, func(ctx context.Context, c *change) error {
		if err := putMissing(ctx, c, teams, o.Teams); err != nil {
			return err
		}
		return putMissing(ctx, c, users, o.Users)
	})
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context) (o store.Objects, v uint64, err error) {
	batch := &pgx.Batch{}
	batch.Queue(selectVersion)
	for _, p := range layout.Parts {
		batch.Queue(kind[any]{p.Kind}.selects() + " ORDER BY id")
	}
	batch.Queue(newestPolicy)
	err = s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		results := tx.SendBatch(ctx, batch)
		err := results.QueryRow().Scan(&v)
		for _, p := range layout.Parts {
			if err == nil {
				err = loadNext(results, p, &o)
			}
		}
		if err == nil {
			o.Policy, err = loadPolicy(results)
		}
		return errors.Join(err, results.Close())
	})
	if err != nil {
		return store.Objects{}, 0, err
	}
	return o, v, nil
}

func loadNext(results pgx.BatchResults, p layout.Part, into *store.Objects) error {
	rows, err := results.Query()
	_, err = collect(rows, err, func(row layout.Scanner) (struct{}, error) { return struct{}{}, p.Read(row, into) })
	return err
}

func loadPolicy(results pgx.BatchResults) (*core.PolicyVersion, error) {
	rows, err := results.Query()
	newest, err := collect(rows, err, layout.ScanPolicy)
	if err != nil || len(newest) == 0 {
		return nil, err
	}
	return &newest[0], nil
}

// change is one change of the control data, on its way.
type change struct {
	tx      pgx.Tx
	version uint64 // of the store, this change's notes included
	// The notes, as columns.
	versions, times         []int64
	actors, actions, things []string
	reason                  string // of all of them
}

// change runs one change in a transaction that holds the feed from its beginning: changes wait for each other.
func (s *Store) change(ctx context.Context, do func(ctx context.Context, c *change) error) error {
	return s.pool.Write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		c := &change{tx: tx, reason: storableText(store.Reason(ctx))}
		if err := tx.QueryRow(ctx, selectVersion+" FOR UPDATE").Scan(&c.version); err != nil {
			return fmt.Errorf("taking the feed of changes: %w", err)
		}
		if err := do(ctx, c); err != nil {
			return err
		}
		return c.publish(ctx)
	})
}

// note adds an entry to the change feed, which publish writes. An actor is named by the operating system, which may use
// any bytes.
func (c *change) note(actor, action, kind, id string) {
	c.version++
	c.versions = append(c.versions, int64(c.version))
	c.times = append(c.times, store.Micros(time.Now()))
	c.actors = append(c.actors, storableText(actor))
	c.actions = append(c.actions, action)
	c.things = append(c.things, kind+"/"+id)
}

// storableText is text that comes from outside as Postgres can keep it.
func storableText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
}

func (c *change) publish(ctx context.Context) error {
	if len(c.versions) == 0 {
		return nil
	}
	_, err := c.tx.Exec(ctx, `INSERT INTO plumbline.changes (version, time, actor, action, object, reason)
		SELECT *, $6 FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[])`,
		c.versions, c.times, c.actors, c.actions, c.things, c.reason)
	if err == nil {
		_, err = c.tx.Exec(ctx, `UPDATE plumbline.feed SET version = $1`, int64(c.version))
	}
	if err != nil {
		return fmt.Errorf("writing the feed of changes: %w", err)
	}
	return nil
}

// query reads all rows of a statement outside of any transaction.
func query[T any](ctx context.Context, s *Store, scan func(layout.Scanner) (T, error), statement string, args ...any) ([]T, error) {
	ctx, cancel := s.pool.Limit(ctx)
	defer cancel()
	rows, err := s.pool.Query(ctx, statement, args...)
	all, err := collect(rows, err, scan)
	return all, s.pool.Explain(ctx, err)
}

// exec runs one statement and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	ctx, cancel := s.pool.Limit(ctx)
	defer cancel()
	tag, err := s.pool.Exec(ctx, statement, args...)
	return tag.RowsAffected(), s.pool.Explain(ctx, err)
}

// collect reads all rows of a query; none are nil.
func collect[T any](rows pgx.Rows, err error, scan func(layout.Scanner) (T, error)) (all []T, _ error) {
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows(all, rows, func(row pgx.CollectableRow) (T, error) { return scan(row) })
}

func oneText(row layout.Scanner) (s string, err error) { return s, row.Scan(&s) }

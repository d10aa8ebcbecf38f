// Package sqlite keeps control data in one SQLite file, for the embedded mode. Other processes (the command line) may
// change the file while Plumbline serves. Each change is synced to the disk before it is reported as made, but for whose
// the objects at the provider are: that survives the death of the process, and a loss of power may take back the latest.
//
// The file holds private signing keys as they are: whoever can read it, or a copy of it, can issue tokens. It is created
// readable by its owner only, and its copies must be kept like that. App keys are there as hashes.
//
// The package implements store.Store and imports nothing else of Plumbline but core, quota, the opener of SQLite files
// and the migrations.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
	"github.com/plumbline/plumbline/migrations"
)

// Store implements store.Store.
type Store struct {
	write   *sql.DB // one connection: SQLite has one writer
	read    *sql.DB
	objects *sql.DB // writes whose the objects at the provider are, without syncing
}

// Open opens or creates the file at path and brings its schema up to date.
func Open(ctx context.Context, path string) (*Store, error) {
	write, err := sqlite.Open(ctx, path, sqlite.Options{Synchronous: sqlite.SynchronousFull, SecureDelete: true})
	if err != nil {
		return nil, err
	}
	if err := sqlite.Migrate(ctx, write, migrations.SQLiteControl); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), write.Close())
	}
	read, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: true})
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	objects, err := sqlite.Open(ctx, path, sqlite.Options{Synchronous: sqlite.SynchronousNormal})
	if err != nil {
		return nil, errors.Join(err, read.Close(), write.Close())
	}
	return &Store{write, read, objects}, nil
}

// Close lets go of the file.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.objects.Close(), s.write.Close()) }

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

// Version implements store.Store.
func (s *Store) Version(ctx context.Context) (uint64, error) { return version(ctx, s.read) }

func version(ctx context.Context, q queryer) (v uint64, err error) {
	err = q.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM changes`).Scan(&v)
	return v, err
}

// Changes implements store.Store.
func (s *Store) Changes(ctx context.Context, after uint64, limit int) ([]store.Change, error) {
	const statement = `SELECT ` + layout.ChangeColumns + ` FROM changes WHERE version > ? ORDER BY version LIMIT ?`
	rows, err := s.read.QueryContext(ctx, statement, after, max(limit, 0)) // SQLite takes a negative limit for none
	return collect(rows, err, layout.ScanChange)
}

// Apply implements store.Store.
func (s *Store) Apply(ctx context.Context, o store.Objects) error {
	if err := o.Validate(); err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		for _, p := range layout.Parts {
			if err := putAll(ctx, tx, kind[any]{p.Kind}, p.In(o)); err != nil {
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
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := putMissing(ctx, tx, teams, o.Teams); err != nil {
			return err
		}
		return putMissing(ctx, tx, users, o.Users)
	})
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context) (o store.Objects, v uint64, err error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return o, 0, err
	}
	defer tx.Rollback()
	v, err = version(ctx, tx)
	if err != nil {
		return o, 0, err
	}
	for _, p := range layout.Parts {
		if err := load(ctx, tx, p, &o); err != nil {
			return store.Objects{}, 0, err
		}
	}
	if o.Policy, err = onePolicy(ctx, tx, newestPolicy); err != nil {
		return store.Objects{}, 0, err
	}
	return o, v, nil
}

// change runs one change in a transaction that holds the write lock from its beginning.
func (s *Store) change(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// note adds an entry to the change feed.
func note(ctx context.Context, tx *sql.Tx, action, kind, id string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO changes (time, actor, action, object, reason) VALUES (?, ?, ?, ?, ?)`,
		store.Micros(time.Now()), store.Actor(ctx), action, kind+"/"+id, store.Reason(ctx))
	return err
}

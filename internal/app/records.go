package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	auditpg "github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/config"
	pgpool "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/postgres"
	"github.com/plumbline/plumbline/internal/store/sqlite"
)

// OpenStore opens the control data: in Postgres when postgres.url is set, else in the data directory. This is the one
// place that tells the two ways to run apart. It makes the data directory, so that people and work can be set up before
// the first start.
func OpenStore(ctx context.Context, c config.Config) (store.Store, error) {
	st, _, err := openStore(ctx, c, false)
	return st, err
}

// openStore is OpenStore with the bell that changes ring, nil where no others can hear it. To serve takes more rights than
// a command may need.
func openStore(ctx context.Context, c config.Config, serve bool) (store.Store, *bell, error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil { // the audit and the socket lie there either way
		return nil, nil, fmt.Errorf("data_dir: %w", err)
	}
	if c.Postgres.URL.IsZero() {
		st, err := sqlite.Open(ctx, StorePath(c.DataDir))
		if err != nil {
			return nil, nil, err
		}
		return st, nil, nil
	}
	b, err := openBell(c)
	if err != nil {
		return nil, nil, err
	}
	st, err := postgres.Open(ctx, postgres.Options{Options: poolOptions(c.Postgres), Migrate: c.Postgres.Migrate, Serve: serve})
	if err != nil {
		return nil, nil, errors.Join(err, b.close())
	}
	return b.ringing(st), b, nil
}

func poolOptions(c config.Postgres) pgpool.Options {
	return pgpool.Options{URL: c.URL.Reveal(), MaxConns: c.MaxConnections, Timeout: c.Timeout}
}

// schemas are those that Plumbline keeps in Postgres, in the order in which they are migrated.
var schemas = []pgpool.Schema{postgres.Schema, auditpg.Schema}

// ErrEmbedded is what Migrate and PendingMigrations return without postgres.url: there is nothing for them to do.
var ErrEmbedded = errors.New("postgres.url is not set: the SQLite files of data_dir are upgraded by whatever opens them, plumbline serve first of all")

// Migration is one numbered file of a schema.
type Migration struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
}

// PendingMigrations gives what Migrate would apply. It changes nothing.
func PendingMigrations(ctx context.Context, c config.Config) ([]Migration, error) {
	return eachSchema(ctx, c, nil, func(s pgpool.Schema, p *pgpool.Pool) ([]string, error) { return s.Pending(ctx, p) })
}

// Migrate brings every schema in Postgres up to date and gives what it applied, also when a later one fails. While another
// process migrates it waits, and then finds nothing to do. warn, which may be nil, is told of what a migration could not do
// and somebody with more rights has to.
func Migrate(ctx context.Context, c config.Config, warn func(message string)) ([]Migration, error) {
	return eachSchema(ctx, c, warn, func(s pgpool.Schema, p *pgpool.Pool) ([]string, error) { return s.Migrate(ctx, p) })
}

func eachSchema(
	ctx context.Context, c config.Config, warn func(string), do func(pgpool.Schema, *pgpool.Pool) ([]string, error),
) (all []Migration, err error) {
	if c.Postgres.URL.IsZero() {
		return nil, ErrEmbedded
	}
	o := poolOptions(c.Postgres)
	o.Warn = warn
	pool, err := pgpool.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	for _, s := range schemas {
		names, err := do(s, pool)
		for _, name := range names {
			all = append(all, Migration{s.Name, name})
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// openStore opens the control data and keeps it in memory for requests.
func (a *App) openStore(ctx context.Context) error {
	st, b, err := openStore(ctx, a.cfg, true)
	if err != nil {
		return err
	}
	a.store, a.bell, a.wake = st, b, make(chan struct{}, 1)
	a.people = newPeople(a.scorer)
	a.sealing = newSealing(st, a.log)
	load := func(s *store.Snapshot) {
		a.policy.load(s)
		a.people.load(s)
		a.limitsLoaded()
		a.sealing.announce()
	}
	a.directory, err = store.NewDirectory(ctx, store.DirectoryOptions{
		Store: st, Wake: a.wake, MaxStaleness: a.cfg.Feed.MaxStaleness, Now: time.Now, Log: a.log, OnLoad: load,
	})
	if err != nil {
		return err
	}
	a.people.fresh = a.directory.Fresh
	return nil
}

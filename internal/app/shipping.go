package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/notary"
	auditpg "github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/audit/takeover"
	"github.com/plumbline/plumbline/internal/config"
	pgpool "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/telemetry"
)

const (
	// shipConns is how many connections a process ships with: one batch at a time, and one that counts or takes over beside it.
	shipConns = 2
	// chargesOwed is how long charges are kept in a spool: the longest window, and a margin for time zones.
	chargesOwed = 33 * 24 * time.Hour
	// drainLimit bounds the shipping at a stop.
	drainLimit = 5 * time.Second
)

// records is the audit in Postgres and what ships to it.
type records struct {
	pool    *pgpool.Pool
	shipper *ship.Shipper
	sweeper *takeover.Sweeper
}

// OpenRecords opens the audit of all processes in Postgres, which whoever asked for closes. Its schema is upgraded where
// the configuration says so.
func OpenRecords(ctx context.Context, c config.Config) (*auditpg.Store, *pgpool.Pool, error) {
	o := poolOptions(c.Postgres)
	o.MaxConns = shipConns
	pool, err := pgpool.Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	if err := auditpg.Schema.Ready(ctx, pool, c.Postgres.Migrate); err != nil {
		return nil, nil, errors.Join(err, pool.Close())
	}
	return auditpg.New(pool), pool, nil
}

// openRecords makes the shipper, with Postgres; what it ships to is checked at the start, and may be away later.
func (a *App) openRecords(ctx context.Context) error {
	if a.cfg.Postgres.URL.IsZero() {
		_, err := a.openNotary(nil)
		return err
	}
	store, pool, err := OpenRecords(ctx, a.cfg)
	if err != nil {
		return fmt.Errorf("the audit in Postgres: %w", err)
	}
	notaryOf, err := a.openNotary(store)
	if err != nil {
		return errors.Join(err, pool.Close())
	}
	o := ship.Options{Source: a.audit, Destination: store, Owed: chargesOwed, Now: time.Now, Log: a.log}
	o.Hold = a.notary.Hold
	if a.roller != nil {
		o.Hold = func() audit.Position { return min(a.notary.Hold(), a.roller.hold()) }
	}
	if a.cfg.Audit.Durability == config.DurabilityReplicated {
		o.Wake, o.Told = a.audit.Waiting(), a.audit.Shipping
	}
	sweeper := takeover.New(takeover.Options{
		Own: AuditPath(a.cfg.DataDir), Volume: a.cfg.Audit.TakeOver, Destination: store, Now: time.Now, Log: a.log,
		Sign: func(ctx context.Context, log *audit.Log) error { return notaryOf(log).Finish(ctx) },
	})
	a.records = &records{pool, ship.New(o), sweeper}
	return nil
}

// run ships until ctx ends: what is recorded here, and what others have left.
func (r *records) run(ctx context.Context) error {
	if r == nil {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.shipper.Run(ctx) })
	group.Go(func() error { return r.sweeper.Run(ctx) })
	return group.Wait()
}

// close ships and signs what there is, as long as ctx allows: the next start does the rest.
func (r *records) close(ctx context.Context, log *audit.Log, n *notary.Notary) error {
	limited, cancel := context.WithTimeout(ctx, drainLimit) // the log's own end must not wait for a server that is away
	defer cancel()
	_, err := log.End(limited) // the last of it is in the tables then
	if err == nil && r != nil {
		err = r.shipper.Drain(limited)
	}
	if err == nil && n != nil {
		err = n.Finish(limited)
	}
	if err != nil {
		err = fmt.Errorf("shipping and signing the rest of the audit, which the next start does: %w", err)
	}
	if r == nil {
		return err
	}
	return errors.Join(err, r.pool.Close())
}

// spoolGauges are what metrics tell of the spool; nil without Postgres.
func (r *records) spoolGauges() func() telemetry.Spool {
	if r == nil {
		return nil
	}
	return func() telemetry.Spool {
		c, left := r.shipper.Counts(), r.sweeper.Counts()
		s := telemetry.Spool{
			Records: c.Records, Bytes: c.Bytes, Bound: c.Bound, Watermark: audit.Watermark(c.Bytes, c.Bound),
			Left: left.Left, Taken: left.Taken, Shipped: c.Shipped, DeadLetters: c.DeadLetters, Conflicts: c.Conflicts, Missing: c.Missing,
		}
		if !c.Oldest.IsZero() {
			s.Oldest = max(0, time.Since(c.Oldest))
		}
		return s
	}
}

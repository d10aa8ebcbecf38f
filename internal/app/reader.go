package app

import (
	"context"
	"slices"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
)

// OpenReader opens what was recorded, to look at it: that of all processes in Postgres when postgres.url is set, else the log
// of the data directory. done lets go of it.
func OpenReader(ctx context.Context, c config.Config) (r read.Reader, done func() error, err error) {
	if !c.Postgres.URL.IsZero() {
		store, pool, err := OpenRecords(ctx, c)
		if err != nil {
			return nil, nil, err
		}
		return store, pool.Close, nil
	}
	log, err := audit.OpenReader(ctx, AuditPath(c.DataDir))
	if err != nil {
		return nil, nil, err
	}
	return read.Local{Reader: log}, log.Close, nil
}

// RecordsOf gives all records of an exchange, the oldest first. Pages may be short because little of what was looked through
// matched.
func RecordsOf(ctx context.Context, r read.Reader, exchange string) (records []core.Record, err error) {
	q := audit.Query{Exchange: exchange, Limit: audit.MaxLimit}
	for {
		entries, next, err := r.Search(ctx, q)
		for _, e := range entries {
			records = append(records, e.Record)
		}
		if err != nil || next == "" || len(records) >= audit.MaxLimit {
			slices.Reverse(records)
			return records, err
		}
		q.After = next
	}
}

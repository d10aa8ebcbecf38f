package app

import (
	"context"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/config"
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

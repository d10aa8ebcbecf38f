package postgres_test

import (
	"context"
	"sync"
	"testing"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/audittest"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

func TestConformance(t *testing.T) {
	audittest.Run(t, func(t testing.TB) (func(int, ...core.Record) error, read.Reader) {
		db := pgproc.Shared(t).Database(t, records)
		store := openStore(t, db.URL)
		var (
			mu       sync.Mutex
			prepared = map[string]bool{}
			logs     [2]*audit.Log
			shippers [2]*ship.Shipper
		)
		for writer := range logs {
			logs[writer] = openLog(t, "")
			shippers[writer] = newShipper(logs[writer], store)
		}
		record := func(writer int, all ...core.Record) error {
			mu.Lock()
			defer mu.Unlock()
			for _, rec := range all {
				if err := logs[writer].Append(context.Background(), rec); err != nil {
					return err
				}
				month := rec.Time.Format("2006-01")
				if !prepared[month] {
					if err := store.Prepare(context.Background(), rec.Time); err != nil {
						return err
					}
					prepared[month] = true
				}
			}
			if _, err := logs[writer].End(context.Background()); err != nil {
				return err
			}
			return shippers[writer].Drain(context.Background())
		}
		return record, store
	})
}

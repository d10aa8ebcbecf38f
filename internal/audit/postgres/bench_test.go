package postgres_test

import (
	"testing"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// BenchmarkShip measures draining a spool, with the server, its indexes and the sums, on the same machine.
func BenchmarkShip(b *testing.B) {
	const exchanges = 20_000
	server := pgproc.Start(b, pgproc.Options{Fsync: true, Settings: []string{"shared_buffers = 256MB", "max_wal_size = 4GB"}})
	for b.Loop() {
		b.StopTimer()
		db := server.Database(b, records)
		store, log := openStore(b, db.URL), openLog(b, "")
		must(b, store.Prepare(b.Context(), start))
		appendAll(b, log, exchanges)
		b.StartTimer()
		must(b, newShipper(log, store).Drain(b.Context()))
	}
	b.ReportMetric(float64(b.N)*2*exchanges/b.Elapsed().Seconds(), "records/s")
}

// appendAll appends exchanges by sixteen callers.
func appendAll(b *testing.B, log *audit.Log, exchanges int) {
	b.Helper()
	done := make(chan error, 16)
	for caller := range 16 {
		go func() {
			for i := caller; i < exchanges; i += 16 {
				if err := appendBoth(b, log, i); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 16 {
		must(b, <-done)
	}
	settled(b, log)
}

func appendBoth(b *testing.B, log *audit.Log, i int) error {
	if err := log.Append(b.Context(), intent(i)); err != nil {
		return err
	}
	return log.Append(b.Context(), outcome(i))
}

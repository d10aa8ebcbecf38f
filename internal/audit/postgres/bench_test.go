package postgres_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
		b.StartTimer()
		must(b, newShipper(log, store).Drain(b.Context()))
	}
	b.ReportMetric(float64(b.N)*2*exchanges/b.Elapsed().Seconds(), "records/s")
}

func appendBoth(b *testing.B, log *audit.Log, i int) error {
	if err := log.Append(b.Context(), intent(i)); err != nil {
		return err
	}
	return log.Append(b.Context(), outcome(i))
}

// BenchmarkReplicated measures how long an intent takes with durability replicated, for so many callers at a time.
func BenchmarkReplicated(b *testing.B) {
	server := pgproc.Start(b, pgproc.Options{Fsync: true})
	for _, callers := range []int{1, 16, 128} {
		b.Run(strconv.Itoa(callers), func(b *testing.B) {
			db := server.Database(b, records)
			r, err := newReplica(b.Context(), filepath.Join(b.TempDir(), "log", "audit.db"), audit.Replicated, db.URL)
			must(b, err)
			ctx, stop := context.WithCancel(b.Context())
			var running, asking sync.WaitGroup
			running.Go(func() { _ = r.shipper.Run(ctx) })
			must(b, r.log.Append(b.Context(), intent(0))) // partitions are made
			took := make([]time.Duration, b.N)
			var next atomic.Int64
			b.ResetTimer()
			for range callers {
				asking.Go(func() {
					for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
						began := time.Now()
						if err := r.log.Append(b.Context(), intent(i)); err != nil {
							b.Error(err)
						}
						took[i-1] = time.Since(began)
					}
				})
			}
			asking.Wait()
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[b.N/2].Microseconds())/1e3, "p50-ms")
			b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1e3, "p99-ms")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "intents/s")
			stop()
			running.Wait()
			must(b, errors.Join(r.log.Close(context.Background()), r.pool.Close()))
		})
	}
}

package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// shipAim is how many records a second are to be shipped, with all indexes and sums.
const shipAim = 8000

// BenchmarkShip measures draining a spool, with the server, its indexes and the sums, on the same machine: records a second,
// and the CPU time that this process and the server take for each. The run called all is the one that has an aim. The others
// leave out one of the indexes for searching each, and then all of them: what an index costs is the difference.
func BenchmarkShip(b *testing.B) {
	const exchanges = 20_000
	server := pgproc.Start(b, pgproc.Options{Fsync: true, Settings: []string{"shared_buffers = 256MB", "min_wal_size = 2GB", "max_wal_size = 4GB"}})
	spool := filledSpool(b, exchanges)
	// A server that has run for a while writes over files of its WAL; making each anew takes a third of the time.
	must(b, newShipper(openLog(b, copied(b, spool)), openStore(b, server.Database(b, records).URL)).Drain(b.Context()))
	run := func(name string, without ...string) (speed float64) {
		b.Run(name, func(b *testing.B) { speed = drain(b, server, spool, 2*exchanges, without) })
		return speed
	}
	indexes := searchIndexes(b, server.Database(b, records))
	if speed := run("all"); speed > 0 {
		b.Logf("%.0f records/s with all %d indexes for searching and the sums by hour and day: %.2f of the aim of %d", speed, len(indexes), speed/shipAim, shipAim)
	}
	for _, index := range indexes {
		run("without="+index, index)
	}
	run("without-any", indexes...)
}

// drain ships copies of a spool into fresh databases without some indexes, and gives how many records a second. The months
// that the records lie in have their partitions: a shipper makes those once in a month.
func drain(b *testing.B, server *pgproc.Server, spool string, n int, without []string) float64 {
	var own, servers time.Duration
	for b.Loop() {
		b.StopTimer()
		db := server.Database(b, records)
		store, log := openStore(b, db.URL), openLog(b, copied(b, spool))
		must(b, store.Prepare(b.Context(), start))
		for _, index := range without {
			db.Exec(b, "DROP INDEX plumbline_audit."+pgx.Identifier{index}.Sanitize())
		}
		server.Exec(b, "CHECKPOINT")
		ownBefore, serversBefore := ownCPU(b), server.CPU()
		b.StartTimer()
		s := ship.New(ship.Options{Source: log, Destination: store, Owed: time.Hour, Now: func() time.Time { return start }})
		must(b, s.Drain(b.Context()))
		own, servers = own+ownCPU(b)-ownBefore, servers+server.CPU()-serversBefore
	}
	shipped := float64(b.N * n)
	speed := shipped / b.Elapsed().Seconds()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(speed, "records/s")
	b.ReportMetric(float64(own.Microseconds())/shipped, "own-µs/record")
	b.ReportMetric(float64(servers.Microseconds())/shipped, "server-µs/record")
	return speed
}

// searchIndexes are the names of the indexes of records but the key.
func searchIndexes(b *testing.B, db *pgproc.Database) []string {
	return pgproc.One[[]string](b, db, `SELECT array_agg(c.relname::text ORDER BY c.relname) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
		WHERE i.indrelid = 'plumbline_audit.records'::regclass AND NOT i.indisprimary`)
}

// filledSpool gives the path of a closed log that so many exchanges were recorded in.
func filledSpool(b *testing.B, exchanges int) string {
	path := filepath.Join(b.TempDir(), "audit.db")
	log, err := audit.Open(b.Context(), audit.Options{Path: path, Durability: audit.CrashSafe, Ballast: 64 << 10})
	must(b, err)
	appendAll(b, log, exchanges)
	must(b, log.Close(context.Background()))
	return path
}

// BenchmarkVerify verifies records against signed checkpoints in the store and at the second place, on the machine that the
// server runs on too.
func BenchmarkVerify(b *testing.B) {
	const exchanges = 15_000
	s := newSigned(b)
	log := openLog(b, "")
	var group errgroup.Group
	for caller := range 16 {
		group.Go(func() error {
			for i := caller; i < exchanges; i += 16 {
				if err := appendBoth(b, log, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(b, group.Wait())
	s.write(log, s.notary(log))
	s.db.Exec(b, "VACUUM ANALYZE plumbline_audit.records")
	b.ReportAllocs()
	for b.Loop() {
		if report, err := s.verify(); err != nil || report.FixedOutside != 2*exchanges {
			b.Fatalf("%+v, %v", report, err)
		}
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

// copied gives the path of a copy of a closed log.
func copied(b *testing.B, path string) string {
	data, err := os.ReadFile(path)
	must(b, err)
	to := filepath.Join(b.TempDir(), "audit.db")
	must(b, os.WriteFile(to, data, 0o600))
	return to
}

// ownCPU is the CPU time that this process has used.
func ownCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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

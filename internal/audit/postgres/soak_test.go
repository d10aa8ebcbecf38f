package postgres_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// memory is what a process holds, in bytes.
type memory struct{ heap, resident float64 }

// TestSoakMemoryStaysFlat records and ships what an hour brings, PLUMBLINE_SOAK exchanges or a few, while the clock goes
// through that hour: records are let go of ten minutes after they were shipped. Neither the heap nor the process grows.
func TestSoakMemoryStaysFlat(t *testing.T) {
	exchanges := 3_000
	if text := os.Getenv("PLUMBLINE_SOAK"); text != "" {
		var err error
		exchanges, err = strconv.Atoi(text)
		must(t, err)
	}
	const looks = 30
	var clock atomic.Int64
	clock.Store(start.UnixMicro())
	now := func() time.Time { return time.UnixMicro(clock.Load()) }

	db := pgproc.Shared(t).Database(t, records)
	store, log := openStore(t, db.URL), openLogAt(t, now)
	must(t, store.Prepare(t.Context(), start))
	s := ship.New(ship.Options{Source: log, Destination: store, Owed: 15 * time.Minute, Now: now})
	r := &recorder{log: log}
	var seen []memory
	for range looks {
		r.rush(t, exchanges/looks)
		settled(t, log)
		must(t, s.Drain(t.Context()))
		clock.Add(time.Hour.Microseconds() / looks)
		db.Exec(t, "TRUNCATE plumbline_audit.records") // its disk is not what is measured
		seen = append(seen, held(t))
	}
	if c := s.Counts(); c.Shipped != 2*r.next.Load() || c.Missing != 0 || c.Records != 0 {
		t.Errorf("%+v of %d", c, 2*r.next.Load())
	}
	settledDown := seen[looks/3:]
	heap := growth(settledDown, func(m memory) float64 { return m.heap })
	resident := growth(settledDown, func(m memory) float64 { return m.resident })
	t.Logf("%d records: over the last %d of %d looks the heap grew by %.2f MiB to %.1f, the process by %.2f MiB to %.1f", 2*r.next.Load(),
		len(settledDown), looks, heap, seen[looks-1].heap/(1<<20), resident, seen[looks-1].resident/(1<<20))
	if heap > 2 || resident > 16 {
		t.Error("memory grows")
	}
}

func openLogAt(t *testing.T, now func() time.Time) *audit.Log {
	t.Helper()
	log, err := audit.Open(t.Context(), audit.Options{
		Path: t.TempDir() + "/audit.db", Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 1 << 20, Now: now,
	})
	must(t, err)
	t.Cleanup(func() { _ = log.Close(context.Background()) })
	return log
}

// held looks at the memory after a collection.
func held(t *testing.T) memory {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	text, err := os.ReadFile("/proc/self/statm")
	must(t, err)
	var size, resident int
	if _, err := fmt.Fscan(strings.NewReader(string(text)), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return memory{float64(m.HeapAlloc), float64(resident * os.Getpagesize())}
}

// growth is by how much a figure grew over all looks, in MiB, along the line of least squares.
func growth(seen []memory, figure func(memory) float64) float64 {
	n := float64(len(seen))
	var sx, sy, sxx, sxy float64
	for i, m := range seen {
		x, y := float64(i), figure(m)
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx) * (n - 1) / (1 << 20)
}

package audit_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/plumbline/plumbline/internal/audit"
)

// BenchmarkAppend measures records of the usual size, alternating intents and outcomes. writers is how many callers wait
// at a time.
func BenchmarkAppend(b *testing.B) {
	for _, durability := range []audit.Durability{audit.CrashSafe, audit.Strict} {
		for _, writers := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("%s/writers=%d", durability, writers), func(b *testing.B) {
				log, err := audit.Open(b.Context(), audit.Options{Path: filepath.Join(b.TempDir(), "audit.db"), Durability: durability})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { log.Close(b.Context()) })
				var n atomic.Int64
				work := make(chan struct{}, writers)
				done := make(chan error, writers)
				for range writers {
					go func() {
						for range work {
							i := n.Add(1)
							rec := intentRecord(int(i / 2))
							if i%2 == 1 {
								rec = outcomeRecord(int(i / 2))
							}
							if err := log.Append(b.Context(), rec); err != nil {
								done <- err
								return
							}
						}
						done <- nil
					}()
				}
				for b.Loop() {
					work <- struct{}{}
				}
				close(work)
				for range writers {
					if err := <-done; err != nil {
						b.Error(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

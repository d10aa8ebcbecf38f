package audit_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
)

// BenchmarkAppendWhileDropping measures appends at a steady 500/s, as percentiles, while months are dropped and while nothing
// else goes on.
func BenchmarkAppendWhileDropping(b *testing.B) {
	for _, dropping := range []bool{false, true} {
		b.Run(fmt.Sprintf("dropping=%t", dropping), func(b *testing.B) {
			const calls = 20_000
			log, err := audit.Open(b.Context(), audit.Options{Path: filepath.Join(b.TempDir(), "audit.db"), Durability: audit.CrashSafe})
			must(b, err)
			b.Cleanup(func() { log.Close(context.Background()) })
			for i := range calls {
				must(b, errors.Join(log.Append(b.Context(), intentRecord(i)), log.Append(b.Context(), outcomeRecord(i))))
			}
			month := audit.Month{Class: audit.ClassExchange, Begin: start}
			must(b, declared(b.Context(), log, month))
			ctx, stop := context.WithCancel(b.Context())
			dropped := make(chan int64, 1)
			go func() {
				n := int64(0)
				if dropping {
					n, _ = log.Retire(ctx, month, time.Now(), func(context.Context, time.Time) (map[int64][]byte, error) { return nil, nil })
				}
				dropped <- n
			}()
			var took []time.Duration
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for i := calls; b.Loop(); i++ {
				<-tick.C
				began := time.Now()
				must(b, errors.Join(log.Append(b.Context(), intentRecord(i)), log.Append(b.Context(), outcomeRecord(i))))
				took = append(took, time.Since(began)/2)
			}
			stop()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(<-dropped), "dropped")
		})
	}
}

// declared records that a month goes, and has a checkpoint fix it that nobody verifies.
func declared(ctx context.Context, log *audit.Log, m audit.Month) error {
	declaration, err := log.Declaration(ctx, m, "system", time.Now())
	if err == nil {
		err = log.Append(ctx, declaration)
	}
	if err != nil {
		return err
	}
	end, err := log.End(ctx)
	if err != nil {
		return err
	}
	name, err := log.Name(ctx)
	if err != nil {
		return err
	}
	one := audit.Checkpoint{Writer: name, Size: uint64(end), Note: []byte("a note"), Subtrees: []byte{}}
	return log.Fix(ctx, []audit.Checkpoint{one}, audit.Position(end), audit.Marks{}, false)
}

package read_test

import (
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit/read"
)

func TestQuantiles(t *testing.T) {
	var r read.Row
	if bound, longer := r.LatencyQuantile(0.5); bound != 0 || longer || r.DeviationQuantile(0.5) >= 0 {
		t.Error("there are quantiles of nothing")
	}
	r.Latency[0], r.Latency[1], r.Latency[11] = 50, 45, 5 // up to 50 ms, up to 100 ms, above five minutes
	for p, want := range map[float64]time.Duration{0: 50 * time.Millisecond, 0.5: 50 * time.Millisecond, 0.51: 100 * time.Millisecond, 0.95: 100 * time.Millisecond} {
		if bound, longer := r.LatencyQuantile(p); bound != want || longer {
			t.Errorf("latency at %g: %s, %t", p, bound, longer)
		}
	}
	if bound, longer := r.LatencyQuantile(0.96); bound != 5*time.Minute || !longer {
		t.Errorf("the longest: %s, %t", bound, longer)
	}
	r.Deviation[9] = 1
	if got := r.DeviationQuantile(0.5); got != 1 {
		t.Errorf("deviation: %g", got)
	}
}

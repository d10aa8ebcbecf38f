package audit_test

import (
	"testing"

	"github.com/plumbline/plumbline/internal/audit"
)

func TestWatermark(t *testing.T) {
	for _, c := range []struct{ bytes, bound, want int64 }{
		{0, 0, 0}, {1 << 40, 0, 0}, {0, 1000, 0}, {799, 1000, 0}, {800, 1000, 80}, {949, 1000, 80}, {950, 1000, 95}, {2000, 1000, 95},
	} {
		if got := audit.Watermark(c.bytes, c.bound); got != c.want {
			t.Errorf("%d of %d: %d, want %d", c.bytes, c.bound, got, c.want)
		}
	}
}

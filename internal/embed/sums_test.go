package embed

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestSumsAgree: what the processor's vectors give is what the portable sums give, at every length, within rounding.
func TestSumsAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := 4; n <= MaxDim; n += 4 {
		v, w, row := make([]float32, n), make([]float32, n), make([]byte, n)
		size := 0.0
		for i := range v {
			v[i], w[i], row[i] = float32(random.NormFloat64()), float32(random.NormFloat64()), byte(random.Uint32())
			size += math.Abs(float64(v[i] * w[i]))
		}
		if got, want := dot(v, w), portableDot(v, w); math.Abs(float64(got-want)) > 1e-6*size {
			t.Errorf("%d columns: %v, want %v", n, got, want)
		}
		added := append([]float32(nil), v...)
		addScaled(added, row, 0.37)
		portableAddScaled(v, row, 0.37)
		for i := range v {
			if math.Abs(float64(added[i]-v[i])) > 1e-5 {
				t.Errorf("%d columns, the one at %d: %v, want %v", n, i, added[i], v[i])
			}
		}
	}
}

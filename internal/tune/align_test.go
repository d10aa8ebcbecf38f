package tune

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestOrthogonalFactor: what a rotation and a stretching make is taken apart again, the stretching however uneven.
func TestOrthogonalFactor(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const rows, columns = 12, 8
	rotation := make([]float64, rows*columns)
	for i := range rotation {
		rotation[i] = random.NormFloat64()
	}
	for c := range columns { // by Gram and Schmidt
		for before := range c {
			dot := 0.0
			for r := range rows {
				dot += rotation[r*columns+c] * rotation[r*columns+before]
			}
			for r := range rows {
				rotation[r*columns+c] -= dot * rotation[r*columns+before]
			}
		}
		size := 0.0
		for r := range rows {
			size += rotation[r*columns+c] * rotation[r*columns+c]
		}
		for r := range rows {
			rotation[r*columns+c] /= math.Sqrt(size)
		}
	}
	stretched := make([]float64, len(rotation))
	for i := range stretched {
		stretched[i] = rotation[i] * math.Pow(10, -float64(i%columns)/2) // its columns, by 1 to 0.0003
	}
	if !orthogonal(stretched, rows, columns) {
		t.Fatal("nothing to go by")
	}
	for i, want := range rotation {
		if math.Abs(stretched[i]-want) > 1e-6 {
			t.Fatalf("element %d is %v, want %v", i, stretched[i], want)
		}
	}
	if orthogonal(make([]float64, 4), 2, 2) || orthogonal([]float64{math.NaN()}, 1, 1) {
		t.Error("found in nothing")
	}
}

package intent

import (
	"math/rand/v2"
	"testing"
)

// TestRowsAgree: what the processor's vectors give is what the portable sums give, at every length, the greatest sums among it.
func TestRowsAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	rows := make([]row, Rows)
	for i := range rows {
		rows[i] = row{random.Uint64(), random.Uint64()}
	}
	rows[7] = row{1<<64 - 1, 1<<64 - 1}
	var features []uint32
	for n := range laneRows + 1 {
		if got, want := sumRows(rows, features), portableSumRows(rows, features); got != want {
			t.Errorf("%d rows: %v, want %v", n, got, want)
		}
		features = append(features, random.Uint32N(Rows))
	}
	for i := range features {
		features[i] = 7
	}
	if got, want := sumRows(rows, features[:laneRows]), portableSumRows(rows, features[:laneRows]); got != want || got[15] != laneRows*255 {
		t.Errorf("the greatest: %v, want %v", got, want)
	}
}

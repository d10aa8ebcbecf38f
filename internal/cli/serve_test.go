package cli

import "testing"

func TestProcessors(t *testing.T) {
	for _, c := range []struct {
		usable, cores int
		besideEnvoy   bool
		want          int
	}{
		{1, 1, true, 1},
		{2, 2, true, 1},
		{3, 3, true, 1},
		{8, 8, true, 4},
		{2, 2, false, 2}, // Envoy is elsewhere
		{2, 8, true, 2},  // a container's limit
		{1, 2, true, 1},
	} {
		if got := processors(c.usable, c.cores, c.besideEnvoy); got != c.want {
			t.Errorf("%d of %d cores, beside Envoy %t: %d, want %d", c.usable, c.cores, c.besideEnvoy, got, c.want)
		}
	}
}

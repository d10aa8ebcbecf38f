package guard

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestAShortStallIsOverWithItsEnd: of a server that answers nothing for 30 ms, as while it forks, calls of its first 7 ms miss
// their deadline, and those of its last 7 ms come to an open breaker. Those between them wait for it, and those after it are
// its own again.
func TestAShortStallIsOverWithItsEnd(t *testing.T) {
	slowly(t, func(t *testing.T, w *world, s *slow) {
		const stall = 30
		s.mute.Store(time.Now().Add(stall * time.Millisecond).UnixNano())
		var mu sync.Mutex
		var apart []int
		var calls sync.WaitGroup
		for n := range 2 * stall {
			calls.Go(func() {
				r, err := w.reserve(t, 0, fmt.Sprint(n), 1, 0)
				if err != nil {
					t.Errorf("call %d: %v", n, err)
				}
				if r.Fallback != "" {
					mu.Lock()
					defer mu.Unlock()
					apart = append(apart, n)
				}
			})
			time.Sleep(time.Millisecond) //nolint:forbidigo // the clock of the bubble
		}
		calls.Wait()
		slices.Sort(apart)
		apart = slices.DeleteFunc(apart, func(n int) bool { return n == stall }) // it comes at the moment of the end
		if want := []int{0, 1, 2, 3, 4, 5, 6, 24, 25, 26, 27, 28, 29}; !slices.Equal(apart, want) {
			t.Errorf("calls without the ledger: %v, want %v", apart, want)
		}
	})
}

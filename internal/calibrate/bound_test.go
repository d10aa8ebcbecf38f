package calibrate

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// tail is P(Binomial(n, x) >= k), summed term by term with 300 bits.
func tail(x float64, k, n int) float64 {
	const bits = 300
	number := func(v float64) *big.Float { return new(big.Float).SetPrec(bits).SetFloat64(v) }
	p := number(x)
	q := new(big.Float).SetPrec(bits).Sub(number(1), p)
	term, sum := number(1), number(0) // of i = 0: q^n
	for range n {
		term.Mul(term, q)
	}
	odds := new(big.Float).SetPrec(bits).Quo(p, q)
	for i := range k {
		sum.Add(sum, term)
		term.Mul(term, odds)
		term.Mul(term, number(float64(n-i)))
		term.Quo(term, number(float64(i+1)))
	}
	above, _ := new(big.Float).SetPrec(bits).Sub(number(1), sum).Float64()
	return above
}

func TestBetaIsTheTailOfABinomial(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 59, 298, 299, 300, 1000, 2994, 2995, 5000} {
		for _, x := range []float64{0.0001, 0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.9, 0.999} {
			for _, k := range []int{1, 2, 3, 5, n / 100, n / 20, n / 2, n - 1, n} {
				if k < 1 || k > n {
					continue
				}
				got, want := betaCDF(x, float64(k), float64(n+1-k)), tail(x, k, n)
				if math.Abs(got-want) > 1e-10 {
					t.Errorf("P(Binomial(%d, %v) >= %d) = %.15g, want %.15g", n, x, k, got, want)
				}
			}
		}
	}
}

func TestEnough(t *testing.T) {
	for _, tt := range []struct {
		alpha float64
		want  int
	}{
		{0.5, 5},
		{0.1, 29},
		{0.05, 59},
		{0.02, 149},
		{0.01, 299},
		{0.001, 2995},
		{0, math.MaxInt},
		{-1, math.MaxInt},
		{0.51, math.MaxInt},
		{math.NaN(), math.MaxInt},
		{1e-300, math.MaxInt},
		{math.Inf(1), math.MaxInt},
	} {
		n := Enough(tt.alpha)
		if n != tt.want {
			t.Errorf("Enough(%v) = %d, want %d", tt.alpha, n, tt.want)
		}
		if n < math.MaxInt && (tail(tt.alpha, 1, n) < Confidence || tail(tt.alpha, 1, n-1) >= Confidence) {
			t.Errorf("Enough(%v) = %d is not the least", tt.alpha, n)
		}
	}
}

// TestMost: the rank is the largest that the exact binomial allows.
func TestMost(t *testing.T) {
	for _, tt := range []struct {
		alpha   float64
		n, want int
	}{
		{0.01, 298, 0},
		{0.01, 299, 1},
		{0.01, 472, 1},
		{0.01, 473, 2},
		{0.01, 1000, 5},
		{0.05, 58, 0},
		{0.05, 59, 1},
		{0.05, 1000, 39},
		{0.001, 2994, 0},
		{0.001, 2995, 1},
		{0.5, 1, 0},
		{0.01, 0, 0},
		{0.01, -1, 0},
		{0, 1000, 0},
		{math.NaN(), 1000, 0},
	} {
		k := Most(tt.alpha, tt.n)
		if k != tt.want {
			t.Errorf("Most(%v, %d) = %d, want %d", tt.alpha, tt.n, k, tt.want)
		}
		if k > 0 && (tail(tt.alpha, k, tt.n) < Confidence || tail(tt.alpha, k+1, tt.n) >= Confidence) {
			t.Errorf("Most(%v, %d) = %d is not the largest", tt.alpha, tt.n, k)
		}
	}
}

// TestStopsUpToTheRank: a p value stops exactly where its rank is at most Most.
func TestStopsUpToTheRank(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		alpha := rapid.SampledFrom([]float64{0.001, 0.01, 0.05, 0.5}).Draw(rt, "alpha")
		n := rapid.IntRange(1, 6000).Draw(rt, "n")
		rank := rapid.IntRange(1, min(n+1, 1+2*Most(alpha, n)+2)).Draw(rt, "rank")
		p := float64(rank) / float64(n+1)
		if got, want := Stops(alpha, p, n), rank <= Most(alpha, n); got != want {
			rt.Fatalf("Stops(%v, %d/%d) = %v; Most is %d", alpha, rank, n+1, got, Most(alpha, n))
		}
	})
	for _, p := range []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1), 1} {
		if Stops(0.01, p, 1000) {
			t.Errorf("p = %v stops", p)
		}
	}
	if Stops(0.01, 0.001, 0) || Stops(0.01, 0.001, -5) || Stops(math.NaN(), 0.001, 1000) {
		t.Error("what is no calibration stops")
	}
}

// TestStopsAtEveryRank: a p value is a rank over n+1, and the rank comes back from it whatever rounding did.
func TestStopsAtEveryRank(t *testing.T) {
	for n := 299; n < 6000; n++ {
		k := Most(0.01, n)
		if !Stops(0.01, float64(k)/float64(n+1), n) || Stops(0.01, float64(k+1)/float64(n+1), n) {
			t.Fatalf("of %d prompts, not the farthest %d are stopped", n, k)
		}
	}
}

// TestInterval: at its ends the exact tails are what is left out on either side.
func TestInterval(t *testing.T) {
	for _, tt := range []struct{ hits, n int }{{0, 1}, {0, 299}, {1, 299}, {3, 100}, {50, 100}, {99, 100}, {100, 100}, {7, 5000}} {
		low, high := Interval(tt.hits, tt.n, 0.95)
		if tt.hits == 0 && low != 0 || tt.hits == tt.n && high != 1 || !(low <= high) {
			t.Errorf("%d of %d: from %v to %v", tt.hits, tt.n, low, high)
		}
		if tt.hits > 0 && math.Abs(tail(low, tt.hits, tt.n)-0.025) > 1e-9 {
			t.Errorf("%d of %d: at the lower end the tail is %v", tt.hits, tt.n, tail(low, tt.hits, tt.n))
		}
		if tt.hits < tt.n && math.Abs(1-tail(high, tt.hits+1, tt.n)-0.025) > 1e-9 {
			t.Errorf("%d of %d: at the upper end the tail is %v", tt.hits, tt.n, 1-tail(high, tt.hits+1, tt.n))
		}
	}
	if low, high := Interval(0, 0, 0.95); low != 0 || high != 1 {
		t.Errorf("of nothing: from %v to %v", low, high)
	}
}

func TestOverrun(t *testing.T) {
	for _, tt := range []struct {
		wrong, n int
		want     bool
	}{{0, 0, false}, {1, 1, false}, {2, 2, true}, {2, 100, false}, {3, 150, false}, {3, 149, true}, {20, 1000, false}, {21, 1000, true}} {
		if got := Overrun(0.01, tt.wrong, tt.n); got != tt.want {
			t.Errorf("%d of %d: %v, want %v", tt.wrong, tt.n, got, tt.want)
		}
	}
}

// TestCoverage: over draws of calibration scores, the share of on-task prompts that would be stopped is above alpha in at
// most 5 % of draws. The share of a draw is exact, since scores are uniform; how many draws may fail is bounded by the
// binomial: more than the bound come by chance in one of a million runs, and the seed is fixed.
func TestCoverage(t *testing.T) {
	const draws = 2000
	random := rand.New(rand.NewPCG(1, 2))
	allowed := 0
	for 1-tail(1-Confidence, allowed+1, draws) < 1-1e-6 {
		allowed++
	}
	for _, tt := range []struct {
		alpha float64
		n     int
	}{{0.01, 299}, {0.01, 472}, {0.01, 1000}, {0.05, 59}, {0.05, 300}} {
		t.Run(fmt.Sprintf("%v of %d", tt.alpha, tt.n), func(t *testing.T) {
			over, stopped := 0, 0.0
			for range draws {
				scores := make(Scores, tt.n)
				for i := range scores {
					scores[i] = random.Float64()
				}
				scores = sorted(scores)
				share := sharedAbove(tt.alpha, scores)
				stopped += share / draws
				if share > tt.alpha {
					over++
				}
			}
			if over > allowed {
				t.Errorf("%d of %d draws stop more than %v, %d may by chance", over, draws, tt.alpha, allowed)
			}
			if k := Most(tt.alpha, tt.n); math.Abs(stopped-float64(k)/float64(tt.n+1)) > 0.1*float64(k)/float64(tt.n+1)+1e-3 {
				t.Errorf("%v are stopped on average, want %v: the bound is not used", stopped, float64(k)/float64(tt.n+1))
			}
		})
	}
}

// sharedAbove finds by halving from which uniform score on prompts are stopped, and gives the share of those.
func sharedAbove(alpha float64, scores Scores) float64 {
	low, high := 0.0, 1.0
	for range 60 {
		middle := (low + high) / 2
		if Stops(alpha, scores.P(middle), len(scores)) {
			high = middle
		} else {
			low = middle
		}
	}
	return 1 - high
}

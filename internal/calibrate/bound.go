package calibrate

import "math"

// Confidence is how sure the promise is over the draw of the calibration prompts.
const Confidence = 0.95

// maxAlpha bounds the shares that are promised: more than half of what is on task is no promise.
const maxAlpha = 0.5

// Most is the largest rank k at which stopping still keeps the promise: with n calibration scores, stopping what is farther
// than the k-th farthest of them stops at most alpha of the prompts on task, with Confidence. It is 0 where no rank does.
func Most(alpha float64, n int) int {
	if !valid(alpha) || n < 1 {
		return 0
	}
	low, high := 0, n // keeps holds at low and not above high
	for low < high {
		middle := low + (high-low+1)/2
		if keeps(alpha, middle, n) {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// Enough is the least number of calibration prompts by which alpha can be promised: 299 for 1 %, 2,995 for 0.1 %. It is
// math.MaxInt for what cannot be promised.
func Enough(alpha float64) int {
	if !valid(alpha) {
		return math.MaxInt
	}
	about := math.Ceil(math.Log1p(-Confidence) / math.Log1p(-alpha)) // of (1 - alpha)^n <= 1 - Confidence
	if about > 1<<40 {
		return math.MaxInt
	}
	n := int(about)
	for n > 1 && keeps(alpha, 1, n-1) { // rounding may have gone either way
		n--
	}
	for !keeps(alpha, 1, n) {
		n++
	}
	return n
}

// Stops reports whether a prompt with the p value p among n calibration prompts is stopped under the promise alpha.
func Stops(alpha, p float64, n int) bool {
	if !valid(alpha) || n < 1 || !(p > 0 && p <= alpha+1/float64(n+1)) { // also not a number; no rank so far in keeps the promise
		return false
	}
	return keeps(alpha, max(1, int(math.Round(p*float64(n+1)))), n)
}

func valid(alpha float64) bool { return alpha > 0 && alpha <= maxAlpha }

// keeps reports whether stopping up to rank k keeps the promise. The share that is then stopped is distributed as
// Beta(k, n+1-k) over the draw of the calibration prompts (Vovk, 2012, "Conditional validity of inductive conformal
// predictors"), and smaller where scores are equal.
func keeps(alpha float64, k, n int) bool {
	return k <= n && betaCDF(alpha, float64(k), float64(n+1-k)) >= Confidence
}

// Interval is the exact (Clopper-Pearson) interval of a share of which hits of n were seen. Without any it is from 0 to 1.
func Interval(hits, n int, confidence float64) (low, high float64) {
	tail := (1 - confidence) / 2
	low, high = 0, 1
	if hits > 0 && n > 0 {
		low = betaQuantile(tail, float64(hits), float64(n-hits+1))
	}
	if hits < n {
		high = betaQuantile(1-tail, float64(hits+1), float64(n-hits))
	}
	return low, high
}

// Overrun reports whether a realised share of wrongly stopped prompts ends the trust in a promise: it is above twice of what
// was promised, and not by a single prompt, which is no share of anything yet.
func Overrun(alpha float64, wrong, n int) bool {
	return wrong >= 2 && float64(wrong) > 2*alpha*float64(n)
}

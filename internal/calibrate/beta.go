package calibrate

import "math"

// betaCDF is the regularised incomplete beta function I_x(a, b) for a, b >= 1 and x in [0, 1], by Lentz's evaluation of its
// continued fraction (DLMF 8.17.22). For whole a and b it is the upper tail of a binomial distribution:
// I_x(k, n+1-k) = P(Binomial(n, x) >= k), against which it is tested.
func betaCDF(x, a, b float64) float64 {
	switch {
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	case x > (a+1)/(a+b+2): // the fraction converges fast below the mean
		return 1 - betaCDF(1-x, b, a)
	}
	front := math.Exp(a*math.Log(x) + b*math.Log1p(-x) - logBeta(a, b))
	return front / a / betaFraction(x, a, b)
}

func logBeta(a, b float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	return la + lb - lab
}

const (
	// closeTo ends the fraction where another term changes nothing that a double could hold.
	closeTo = 1e-15
	// mostTerms bounds it. It needs about the root of the larger of a and b.
	mostTerms = 10_000
	tiny      = 1e-300 // in place of a zero that would be divided by
)

// betaFraction is the denominator of the continued fraction.
func betaFraction(x, a, b float64) float64 {
	value, c, d := 1.0, 1.0, 0.0
	for i := range mostTerms {
		d = away(1 + betaTerm(x, a, b, i+1)*d)
		c = away(1 + betaTerm(x, a, b, i+1)/c)
		d = 1 / d
		value *= c * d
		if math.Abs(c*d-1) < closeTo {
			break
		}
	}
	return value
}

// betaTerm is the i-th partial numerator.
func betaTerm(x, a, b float64, i int) float64 {
	m := float64(i / 2)
	if i%2 == 0 {
		return m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
	}
	return -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
}

func away(v float64) float64 {
	if math.Abs(v) < tiny {
		return tiny
	}
	return v
}

// betaQuantile gives the x at which betaCDF is p, to the last bits, by halving.
func betaQuantile(p, a, b float64) float64 {
	low, high := 0.0, 1.0
	for range 64 {
		middle := low + (high-low)/2
		if betaCDF(middle, a, b) < p {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

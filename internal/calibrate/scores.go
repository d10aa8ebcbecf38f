package calibrate

import "slices"

// Scores are those of calibration prompts that are on task, in rising order.
type Scores []float64

// P is the conformal p value of a score: the share of calibration prompts, itself counted among them, that are as far from
// their task or farther. It is from 1/(n+1) to 1.
func (s Scores) P(score float64) float64 {
	below, _ := slices.BinarySearch(s, score)
	return float64(1+len(s)-below) / float64(1+len(s))
}

func sorted(s Scores) Scores {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

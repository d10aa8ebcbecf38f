package evaluate

import "math"

// Compared is how one scorer differs from another on the same tasks and prompts.
type Compared struct {
	Before *Report `json:"before"`
	After  *Report `json:"after"`
	// AUROC and Caught are the means over the tasks of what is more afterwards, and SE is the standard error of the first: over the
	// tasks, each compared with itself; of a single task, that of both measurements.
	AUROC  float64 `json:"auroc_difference"`
	SE     float64 `json:"auroc_difference_se"`
	Caught float64 `json:"caught_difference"`
}

// Compare compares two reports on the same tasks in the same order.
func Compare(before, after *Report) Compared {
	c := Compared{Before: before, After: after}
	var differences []float64
	n := float64(len(before.Tasks))
	for i := range before.Tasks {
		b, a := before.Tasks[i], after.Tasks[i]
		differences = append(differences, a.AUROC-b.AUROC)
		c.AUROC += (a.AUROC - b.AUROC) / n
		c.Caught += (a.Caught - b.Caught) / n
		c.SE = math.Hypot(b.AUROCSE, a.AUROCSE)
	}
	if len(differences) > 1 {
		c.SE = math.Sqrt(spread(differences) / n)
	}
	return c
}

// Worse reports whether there is less afterwards than the error explains.
func (c Compared) Worse() bool { return c.AUROC < -c.SE }

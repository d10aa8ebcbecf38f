package calibrate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// mostJudges is how many judges are told apart, those with the most labels.
const mostJudges = 10

// Agreement is how often people, who saw what a judge proposed, said the same.
type Agreement struct {
	Judge string `json:"judge"`
	// Agreed of N labels say what was proposed, Share of them, with the 95 % interval of that.
	N      int     `json:"n"`
	Agreed int     `json:"agreed"`
	Share  float64 `json:"share"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// Agreements compares labels that somebody answers for with what was proposed to whoever gave them, for each judge.
func Agreements(labels []core.Label) []Agreement {
	by := map[string]*Agreement{}
	for _, l := range labels {
		if l.Approved == "" || l.Proposal == "" || strings.HasPrefix(l.By, JudgePrefix) {
			continue
		}
		a := by[l.Judge]
		if a == nil {
			a = &Agreement{Judge: l.Judge}
			by[l.Judge] = a
		}
		a.N++
		a.Agreed += one(l.OnTask == (l.Proposal == core.ProposedOn))
	}
	var all []Agreement
	for _, a := range by {
		a.Share = float64(a.Agreed) / float64(a.N)
		a.Low, a.High = Interval(a.Agreed, a.N, Confidence)
		all = append(all, *a)
	}
	slices.SortFunc(all, func(a, b Agreement) int { return cmp.Or(b.N-a.N, strings.Compare(a.Judge, b.Judge)) })
	return all[:min(len(all), mostJudges)]
}

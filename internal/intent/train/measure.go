package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

func measureClasses(w io.Writer, c *intent.Classifier, test []sample) {
	var right, inScope, kept, outKept, out, unscored int
	var inScore, outScore []float64
	hits, given, wanted := map[string]float64{}, map[string]float64{}, map[string]float64{}
	bins := make([][3]float64, 15) // confidence, right, count
	for _, s := range test {
		in := c.Classify(s.view)
		top := core.LabelScore{} // the most probable domain
		for _, t := range in.Top {
			if t.Label != core.LabelUncertain {
				top = t
				break
			}
		}
		if in.Unscored != "" {
			unscored++
			continue
		}
		if s.domain == "" {
			out++
			outScore = append(outScore, top.P)
			if in.Label == core.LabelUncertain {
				outKept++
			}
			continue
		}
		inScope++
		inScore = append(inScore, top.P)
		wanted[s.domain]++
		given[top.Label]++
		ok := 0.0
		if top.Label == s.domain {
			ok = 1
			right++
			hits[s.domain]++
		}
		if in.Label == s.domain {
			kept++
		}
		bin := min(int(in.Confidence*float64(len(bins))), len(bins)-1)
		if in.Top[0].Label != s.domain {
			ok = 0
		}
		bins[bin] = [3]float64{bins[bin][0] + in.Confidence, bins[bin][1] + ok, bins[bin][2] + 1}
	}
	f1 := 0.0
	for domain := range wanted {
		f1 += 2 * hits[domain] / (given[domain] + wanted[domain]) / float64(len(wanted))
	}
	ece := 0.0
	for _, b := range bins {
		ece += math.Abs(b[0]-b[1]) / float64(inScope)
	}
	fmt.Fprintf(w, "intent  %s: test accuracy %.4f  macro-F1 %.4f  OOS AUROC %.4f  ECE %.4f\n", c.Version(),
		float64(right)/float64(inScope), f1, auroc(inScore, outScore), ece)
	fmt.Fprintf(w, "        with the floor: in scope and right %.4f, out of scope uncertain %.4f; unscored %d of %d\n",
		float64(kept)/float64(inScope), float64(outKept)/float64(out), unscored, len(test))
}

func measureDeviation(w io.Writer, s *deviation.Scorer, c *corpus) error {
	tasks, err := readTasks()
	if err != nil {
		return err
	}
	for _, n := range []int{0, 5, 20, 100} {
		var aurocs, val, on, off []float64
		caught := 0.0
		for i, t := range compile(s, withExamples(tasks, c.train, n, 9)) {
			ours, others := scores(s, t, tasks[i].ID, c.test)
			aurocs = append(aurocs, auroc(others, ours))
			caught += share(others, quantile(ours, 0.99)) / float64(len(tasks))
			on, off = append(on, ours...), append(off, others...)
			known, _ := scores(s, t, tasks[i].ID, c.val)
			val = append(val, known...)
		}
		fmt.Fprintf(w, "deviation %s, %d examples: AUROC %.4f (by task %.3f)  caught at 1%% wrong, by task %.3f\n", s.Version(), n,
			mean(aurocs), aurocs, caught)
		for _, at := range []float64{0.75, 0.80, 0.88, 0.93} {
			fmt.Fprintf(w, "        above %.2f: on task, validation %.4f, test %.4f; off task, test %.4f\n", at,
				share(val, at), share(on, at), share(off, at))
		}
	}
	return nil
}

// scores gives the deviation of the samples that belong to a task and of those that do not. A prompt without a content
// word is left out, as it is unscored.
func scores(s *deviation.Scorer, t *deviation.Task, domain string, samples []sample) (on, off []float64) {
	for _, p := range samples {
		d := s.Score(p.view, []*deviation.Task{t})
		switch {
		case d.Unscored != "":
		case p.domain == domain:
			on = append(on, d.Score)
		default:
			off = append(off, d.Score)
		}
	}
	return on, off
}

// auroc is the probability that one of high is above one of low.
func auroc(high, low []float64) float64 {
	low = slices.Sorted(slices.Values(low))
	sum := 0.0
	for _, h := range high {
		below, _ := slices.BinarySearch(low, h)
		upTo := below
		for upTo < len(low) && low[upTo] == h {
			upTo++
		}
		sum += float64(below) + float64(upTo-below)/2
	}
	return sum / float64(len(high)) / float64(len(low))
}

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// share is that of values above at.
func share(values []float64, at float64) float64 {
	n := 0
	for _, v := range values {
		if v > at {
			n++
		}
	}
	return float64(n) / float64(len(values))
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// digest names a model by its bytes.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4])
}

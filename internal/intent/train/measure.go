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

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// digest names a model by its bytes.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4])
}

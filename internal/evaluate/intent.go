package evaluate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/intent"
)

// IntentReport says how well a classifier tells what prompts are for.
type IntentReport struct {
	Model    string `json:"model"`
	Prompts  int    `json:"prompts"`
	Unscored int    `json:"unscored"`
	// Forced is measured on the prompts that have a class, each given its most probable one.
	Forced Forced `json:"forced"`
	// Floor is measured on all prompts, with those that are called uncertain.
	Floor   WithFloor     `json:"floor"`
	Classes []ClassResult `json:"classes"`
}

// Estimate is a figure and its standard error over the prompts, by 1,000 draws with replacement.
type Estimate struct {
	Value float64 `json:"value"`
	SE    float64 `json:"se"`
}

// Forced are figures of a classifier that must name a class.
type Forced struct {
	Prompts  int      `json:"prompts"`
	Accuracy Estimate `json:"accuracy"`
	// MacroF1 is the mean of F1 over the classes that have prompts, MacroF1Ten that over the classes that have ten or more.
	MacroF1    Estimate `json:"macro_f1"`
	MacroF1Ten Estimate `json:"macro_f1_ten"`
	// Top2 is the share of prompts whose class is among the two most probable.
	Top2 Estimate `json:"top2"`
	// ECE is the expected calibration error of the most probable class, in 15 bins of equal width.
	ECE Estimate `json:"ece"`
}

// WithFloor are figures of the classifier as it answers.
type WithFloor struct {
	// Named is the share of the prompts with a class that are given one, Right the share of those that are given the right one.
	Named Estimate `json:"named"`
	Right Estimate `json:"right"`
	// Uncertain is the share of prompts without a class that are called uncertain, OutAUROC the probability that one of
	// them is farther out of scope than one with a class. Both are 0 where there are none.
	Uncertain Estimate `json:"uncertain"`
	OutAUROC  float64  `json:"out_auroc"`
	Out       int      `json:"out"`
}

// ClassResult is that of one class, each prompt given its most probable one.
type ClassResult struct {
	Label     string   `json:"label"`
	Prompts   int      `json:"prompts"`
	Precision float64  `json:"precision"`
	Recall    float64  `json:"recall"`
	F1        Estimate `json:"f1"`
	// Mistaken are the labels that its prompts are most often given instead, at most three.
	Mistaken []string `json:"mistaken,omitempty"`
}

// judged is a prompt as it was labelled and as it is classified.
type judged struct {
	want, got, second int // classes, -1 for uncertain; got is the most probable that has a name
	label             int // as answered, -1 for uncertain
	confidence, scope float64
}

// draws is how often prompts are drawn for a standard error.
const draws = 1000

// Intent measures c. The labels of prompts must be classes of c or uncertain.
func Intent(c *intent.Classifier, prompts []Prompt) (*IntentReport, error) {
	classes := slices.DeleteFunc(c.Labels(), func(l string) bool { return l == core.LabelUncertain })
	r := &IntentReport{Model: c.Version(), Prompts: len(prompts)}
	var all []judged
	for i, p := range prompts {
		want := slices.Index(classes, p.Label)
		if want < 0 && p.Label != core.LabelUncertain {
			return nil, fmt.Errorf("prompt %d has the label %q, which is no class", i+1, p.Label)
		}
		j, ok := judge(c, classes, p.Text)
		if !ok {
			r.Unscored++
			continue
		}
		j.want = want
		all = append(all, j)
	}
	named := slices.DeleteFunc(slices.Clone(all), func(j judged) bool { return j.want < 0 })
	if len(named) == 0 {
		return nil, fmt.Errorf("no prompt has a class")
	}
	r.forced(named, len(classes))
	r.floor(all, named)
	r.classes(named, classes)
	return r, nil
}

// judge classifies one prompt, unless it is unscored.
func judge(c *intent.Classifier, classes []string, text string) (judged, bool) {
	v := intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}})
	in := c.Classify(v)
	if in.Unscored != "" {
		return judged{}, false
	}
	j := judged{got: -1, second: -1, label: slices.Index(classes, in.Label), scope: c.InScope(v)}
	for _, top := range in.Top {
		switch k := slices.Index(classes, top.Label); {
		case k < 0:
		case j.got < 0:
			j.got, j.confidence = k, top.P
		case j.second < 0:
			j.second = k
		}
	}
	return j, true
}

func (r *IntentReport) forced(named []judged, classes int) {
	often := make([]bool, classes)
	for k := range often {
		often[k] = count(named, func(j judged) bool { return j.want == k }) >= 10
	}
	r.Forced = Forced{
		Prompts:    len(named),
		Accuracy:   estimate(named, share(func(j judged) bool { return j.got == j.want })),
		MacroF1:    estimate(named, func(js []judged) float64 { return macroF1(js, classes, nil) }),
		MacroF1Ten: estimate(named, func(js []judged) float64 { return macroF1(js, classes, often) }),
		Top2:       estimate(named, share(func(j judged) bool { return j.got == j.want || j.second == j.want })),
		ECE:        estimate(named, calibrationError),
	}
}

func (r *IntentReport) floor(all, named []judged) {
	given := slices.DeleteFunc(slices.Clone(named), func(j judged) bool { return j.label < 0 })
	out := slices.DeleteFunc(slices.Clone(all), func(j judged) bool { return j.want >= 0 })
	r.Floor = WithFloor{
		Named: estimate(named, share(func(j judged) bool { return j.label >= 0 })),
		Right: estimate(given, share(func(j judged) bool { return j.label == j.want })),
		Out:   len(out),
	}
	if len(out) == 0 {
		return
	}
	r.Floor.Uncertain = estimate(out, share(func(j judged) bool { return j.label < 0 }))
	r.Floor.OutAUROC = apart(scopes(named), scopes(out))
}

func scopes(js []judged) []float64 {
	var all []float64
	for _, j := range js {
		all = append(all, j.scope)
	}
	return all
}

// apart is the probability that one of high is above one of low.
func apart(high, low []float64) float64 {
	sum := 0.0
	for _, h := range high {
		for _, l := range low {
			switch {
			case h > l:
				sum++
			case h == l:
				sum += 0.5
			}
		}
	}
	return sum / float64(len(high)) / float64(len(low))
}

func (r *IntentReport) classes(named []judged, classes []string) {
	for k, label := range classes {
		c := ClassResult{Label: label, Prompts: count(named, func(j judged) bool { return j.want == k })}
		hits := float64(count(named, func(j judged) bool { return j.want == k && j.got == k }))
		if given := count(named, func(j judged) bool { return j.got == k }); given > 0 {
			c.Precision = hits / float64(given)
		}
		if c.Prompts > 0 {
			c.Recall = hits / float64(c.Prompts)
			c.F1 = estimate(named, func(js []judged) float64 { f, _ := f1(js, k); return f })
		}
		c.Mistaken = mistaken(named, k, classes)
		r.Classes = append(r.Classes, c)
	}
}

// mistaken gives the labels that prompts of class k are given instead, the most frequent first.
func mistaken(named []judged, k int, classes []string) []string {
	times := make([]int, len(classes))
	for _, j := range named {
		if j.want == k && j.got != k && j.got >= 0 {
			times[j.got]++
		}
	}
	var labels []string
	for range 3 {
		most := slices.Index(times, slices.Max(times))
		if times[most] == 0 {
			break
		}
		labels = append(labels, fmt.Sprintf("%s %d", classes[most], times[most]))
		times[most] = 0
	}
	return labels
}

func count(js []judged, is func(judged) bool) int {
	n := 0
	for _, j := range js {
		if is(j) {
			n++
		}
	}
	return n
}

// share is the share of prompts of which is is true.
func share(is func(judged) bool) func([]judged) float64 {
	return func(js []judged) float64 { return float64(count(js, is)) / float64(max(len(js), 1)) }
}

// f1 is that of class k, and whether it has prompts.
func f1(js []judged, k int) (f float64, wanted bool) {
	hits, given, own := 0, 0, 0
	for _, j := range js {
		if j.got == k {
			given++
		}
		if j.want == k {
			own++
			if j.got == k {
				hits++
			}
		}
	}
	return 2 * float64(hits) / float64(max(given+own, 1)), own > 0
}

// macroF1 is the mean of F1 over the classes that have prompts, and that among says, if it is there.
func macroF1(js []judged, classes int, among []bool) float64 {
	sum, n := 0.0, 0
	for k := range classes {
		if f, wanted := f1(js, k); wanted && (among == nil || among[k]) {
			sum += f
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// calibrationError is the mean distance of what the classifier says its classes are worth from how often they are right.
func calibrationError(js []judged) float64 {
	const bins = 15
	var difference [bins]float64
	for _, j := range js {
		d := j.confidence
		if j.got == j.want {
			d--
		}
		difference[min(int(j.confidence*bins), bins-1)] += d
	}
	sum := 0.0
	for _, d := range difference {
		sum += math.Abs(d)
	}
	return sum / float64(max(len(js), 1))
}

// estimate gives figure of js, with its deviation over draws of as many prompts with replacement.
func estimate(js []judged, figure func([]judged) float64) Estimate {
	if len(js) == 0 {
		return Estimate{}
	}
	random := rand.New(rand.NewPCG(1, 4)) //nolint:gosec // a report must be the same each time
	drawn := make([]judged, len(js))
	sum, squares := 0.0, 0.0
	for range draws {
		for i := range drawn {
			drawn[i] = js[random.IntN(len(js))]
		}
		f := figure(drawn)
		sum += f
		squares += float64(f * f)
	}
	mean := sum / draws
	return Estimate{figure(js), math.Sqrt(max(squares/draws-float64(mean*mean), 0))}
}

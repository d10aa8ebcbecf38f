package intent

import (
	_ "embed" // the weights
	"errors"
	"math"
	"sync"

	"github.com/plumbline/plumbline/internal/core"
)

//go:embed weights.bin
var embedded []byte

// maxClasses bounds the classes of a model, so that the sums of one prompt need no memory of their own.
const maxClasses = 16

// topClasses is how many classes an Intent lists.
const topClasses = 3

// Classifier gives a view its class: a multinomial logistic model on hashed n-grams of words and letters. It is
// immutable and safe for concurrent use.
type Classifier struct {
	m    Model
	rows []row
}

// Default gives the classifier with the embedded weights. MODEL.md says where they come from and what they are worth.
func Default() (*Classifier, error) {
	m, err := ParseModel(embedded)
	if err != nil {
		return nil, err
	}
	return New(m)
}

// New gives a classifier of m, which must not be changed any more.
func New(m Model) (*Classifier, error) {
	n := len(m.Labels)
	if n == 0 || n > maxClasses || len(m.Bias) != n || len(m.Weights) != n*Rows {
		return nil, errors.New("intent: the model's parts do not fit together")
	}
	c := &Classifier{m: m, rows: make([]row, Rows)}
	for i := range c.rows {
		c.rows[i] = packRow(m.Weights[i*n : i*n+n])
	}
	return c, nil
}

// Version names the weights, e.g. for audit records.
func (c *Classifier) Version() string { return c.m.Version }

// Labels gives a copy of the classes, [core.LabelUncertain] among them, in a fixed order.
func (c *Classifier) Labels() []string { return append([]string(nil), c.m.Labels...) }

// Classify says what v asks for. The label is [core.LabelUncertain] where no class is as probable as the model's floor;
// Confidence and Top then still tell how probable the classes were.
func (c *Classifier) Classify(v *View) core.Intent {
	in := core.Intent{Unscored: v.Unscored, Model: c.m.Version}
	if v.Unscored != "" {
		return in
	}
	var p [maxClasses]float64
	c.probabilities(&p, v.Asked)
	in.Top = make([]core.LabelScore, 0, topClasses)
	for range min(topClasses, len(c.m.Labels)) {
		best := 0
		for k := range c.m.Labels {
			if p[k] > p[best] {
				best = k
			}
		}
		in.Top = append(in.Top, core.LabelScore{Label: c.m.Labels[best], P: p[best]})
		p[best] = -1
	}
	in.Label, in.Confidence = in.Top[0].Label, in.Top[0].P
	if in.Confidence < float64(c.m.Floor) {
		in.Label = core.LabelUncertain
	}
	return in
}

// featurePool holds buffers of rows, which are as many as a view has letters.
var featurePool = sync.Pool{New: func() any { return new([]uint32) }}

// probabilities gives the calibrated probability of each class.
func (c *Classifier) probabilities(p *[maxClasses]float64, words []Word) {
	rows := featurePool.Get().(*[]uint32)
	*rows = AppendFeatures((*rows)[:0], words)
	sum, n := c.sum(*rows), len(c.m.Labels)
	scale := float64(c.m.Scale) / math.Sqrt(float64(max(len(*rows), 1)))
	featurePool.Put(rows)

	most := math.Inf(-1)
	for k := range n {
		p[k] = (float64(sum[k])*scale + float64(c.m.Bias[k])) / float64(c.m.Temperature)
		most = max(most, p[k])
	}
	total := 0.0
	for k := range n {
		p[k] = math.Exp(p[k] - most)
		total += p[k]
	}
	for k := range n {
		p[k] /= total
	}
}

package intent

import (
	_ "embed" // the weights
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/hugepage"
)

//go:embed weights.bin
var shippedWeights []byte

// topClasses is how many classes an Intent lists.
const topClasses = 3

// sharpness is what a vector of length 1 is multiplied by before the softmax head sees it.
const sharpness = 4

// Classifier gives a view its class by two heads: one on hashed n-grams of words and letters, and one on the vector of the
// words. It is immutable and safe for concurrent use.
type Classifier struct {
	m     Model
	table *embed.Table
	dim   int
	rows  []row
}

// Default gives the classifier with the weights that the program carries. MODEL.md says where they come from and what they
// are worth.
func Default() (*Classifier, error) {
	table, err := embed.Default()
	if err != nil {
		return nil, err
	}
	m, err := ParseModel(shippedWeights)
	if err != nil {
		return nil, err
	}
	return New(m, table)
}

// New gives a classifier of m, which must not be changed any more, and of the table that m was learnt with.
func New(m Model, table *embed.Table) (*Classifier, error) {
	n, dim := len(m.Labels), table.Dim()
	if m.Table != table.Version() {
		return nil, fmt.Errorf("intent: the model %s was learnt with the table %s, and this is %s: train it again (make models)",
			m.Version, m.Table, table.Version())
	}
	if n == 0 || n > maxClasses || len(m.Bias) != n || len(m.Rows) != n*Rows || len(m.MeaningBias) != n ||
		len(m.Meaning) != n*dim || len(m.Prototypes) == 0 || len(m.Prototypes)%dim != 0 {
		return nil, errors.New("intent: the model's parts do not fit together")
	}
	c := &Classifier{m: m, table: table, dim: dim, rows: make([]row, Rows)}
	for i := range c.rows {
		c.rows[i] = packRow(m.Rows[i*n : i*n+n])
	}
	room := hugepage.NewRoom(hugepage.Size(c.rows))
	c.rows = hugepage.Put(room, c.rows)
	room.Collapse()
	return c, nil
}

// Version names the weights, e.g. for audit records.
func (c *Classifier) Version() string { return c.m.Version }

// Labels gives a copy of the classes, [core.LabelUncertain] among them, in a fixed order.
func (c *Classifier) Labels() []string { return append([]string(nil), c.m.Labels...) }

// Classify says what v asks for. The label is [core.LabelUncertain] where no class is as probable as the model's floor, and
// where the prompt is unlike all that the model learnt from: the greatest sum of a class and the cosine to the nearest
// prototype, each in deviations of what ordinary prompts have, are together below the floor of the scope. Confidence and Top
// then still tell how probable the classes were.
func (c *Classifier) Classify(v *View) core.Intent {
	in := core.Intent{Unscored: v.Unscored, Model: c.m.Version}
	if v.Unscored != "" {
		return in
	}
	var p [maxClasses]float64
	scope := c.probabilities(&p, v)
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
	if in.Confidence < float64(c.m.Floor) || scope < float64(c.m.ScopeFloor) {
		in.Label = core.LabelUncertain
	}
	return in
}

// InScope says how alike v is to the prompts that the model learnt from, in deviations of what ordinary prompts are: the
// less, the farther out. It is 0 for a view that is unscored.
func (c *Classifier) InScope(v *View) float64 {
	if v.Unscored != "" {
		return 0
	}
	var p [maxClasses]float64
	return c.probabilities(&p, v)
}

// work holds what one prompt is judged in: as many rows as it has letters, and its vector.
type work struct {
	rows   []uint32
	vector embed.Vector
}

var works = sync.Pool{New: func() any { return new(work) }}

// probabilities gives the calibrated probability of each class, and how far within the scope v is.
func (c *Classifier) probabilities(p *[maxClasses]float64, v *View) (scope float64) {
	w := works.Get().(*work)
	if len(w.vector) != c.dim {
		w.vector = make(embed.Vector, c.dim)
	}
	w.rows = AppendFeatures(w.rows[:0], v.Asked)
	v.Meaning(c.table, w.vector)
	c.sums(p, w)
	near := c.nearest(w.vector)
	works.Put(w)

	n := len(c.m.Labels)
	most := math.Inf(-1)
	for k := range n {
		most = max(most, p[k])
	}
	total := 0.0
	for k := range n {
		p[k] = math.Exp((p[k] - most) / float64(c.m.Temperature))
		total += p[k]
	}
	for k := range n {
		p[k] /= total
	}
	return (most-float64(c.m.SumMean))/float64(c.m.SumSpread) + (near-float64(c.m.NearMean))/float64(c.m.NearSpread)
}

// sums puts into p what both heads give each class: the margin of the one and the logarithm of the other's probability.
func (c *Classifier) sums(p *[maxClasses]float64, w *work) {
	sum, n := c.sum(w.rows), len(c.m.Labels)
	scale := float64(c.m.Scale) / math.Sqrt(float64(max(len(w.rows), 1)))
	var meaning [maxClasses]float64
	most := math.Inf(-1)
	for k := range n {
		meaning[k] = sharpness*float64(w.vector.Dot(c.m.Meaning[k*c.dim:(k+1)*c.dim])) + float64(c.m.MeaningBias[k])
		most = max(most, meaning[k])
	}
	total := 0.0
	for k := range n {
		total += math.Exp(meaning[k] - most)
	}
	log := most + math.Log(total)
	for k := range n {
		p[k] = float64(sum[k])*scale + float64(c.m.Bias[k]) + float64(c.m.Mix)*(meaning[k]-log)
	}
}

// nearest gives the cosine of v and the nearest prototype.
func (c *Classifier) nearest(v embed.Vector) float64 {
	near := float32(-1)
	for from := 0; from < len(c.m.Prototypes); from += c.dim {
		near = max(near, v.Dot(c.m.Prototypes[from:from+c.dim]))
	}
	return float64(near)
}

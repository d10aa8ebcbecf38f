package deviation

import "math"

// The parts of a score, each made comparable by its mean and deviation over generic sentences, and then weighed.
const (
	partShared    = iota // weighted share of the prompt's words that are words of the task
	partAlike            // mean likeness of the prompt's words to their likest words of the task
	partMeaning          // cosine to the task's whole and to its best phrase, less that to other activities
	partDescribed        // the weighed sum of those
	partNearest          // likeness to the nearest example
	partOutside          // likeness to the nearest out-of-scope example
	partWords            // log-odds of the model of words
	partColumns          // log-odds of the model of vectors
	numParts
)

// What the parts of a description count, and what other activities count against its meaning. Chosen on CLINC150's training
// split, each domain a task: MODEL.md.
const (
	sharedWeight   = 0.5
	meaningWeight  = 2.5
	contrastWeight = 1.5
)

// outsideWeight is what being nearer to an out-of-scope example takes away, of what the description and the nearest example
// count. Chosen on the validation split of CLINC150 and on the development data of the eight tasks at a company.
const outsideWeight = 0.5

// usual is how generic sentences score against a task.
type usual [numParts]moments

type moments struct{ mean, deviation float32 }

func (u *usual) z(part int, x float32) float32 { return (x - u[part].mean) / u[part].deviation }

// parts are those of a description, as they are.
type parts struct{ shared, alike, meaning float32 }

func (t *Task) parts(q *query) (p parts) {
	p.shared, p.alike = q.likenesses(t)
	p.meaning = q.meaning(t)
	return p
}

// described gives how near parts are to the description, in no unit.
func (u *usual) described(p parts) float32 {
	return sharedWeight*u.z(partShared, p.shared) + u.z(partAlike, p.alike) + meaningWeight*u.z(partMeaning, p.meaning)
}

// near gives how near q is to t, in deviations of generic sentences from their mean.
func (t *Task) near(q *query) float32 {
	near := t.mix.described * t.usual.z(partDescribed, t.usual.described(t.parts(q)))
	if t.mix.nearest > 0 {
		near += t.mix.nearest * t.usual.z(partNearest, q.nearest(t.examples))
	}
	if len(t.outside) > 0 {
		near -= outsideWeight * (t.mix.described + t.mix.nearest) * q.beyond(t) / t.usual[partOutside].deviation
	}
	if t.learnt != nil {
		near += t.mix.learnt * (t.usual.z(partWords, t.learnt.byWords(q)) + t.usual.z(partColumns, t.learnt.byMeaning(q)))
	}
	return near
}

// mix says, for a number of examples, what the description, the nearest example and the models count, and which nearness is
// how far: the log-odds of a score are slope times (middle - nearness).
type mix struct {
	examples                   float32
	described, nearest, learnt float32
	// taught is how far what the description says of traffic is believed, when the models are trained beside it.
	taught float32
	// again is how the models teach others.
	again         again
	middle, slope float32
}

// mixes are measured, by the number of examples: beside generic sentences alone, and beside traffic. Middle and slope put
// 3.5 % of the prompts that are on a task above a score of 0.80, and 1 % above 0.88. See MODEL.md.
var (
	described = mix{described: 1, middle: 2.05, slope: 1.1}
	mixes     = []mix{
		{examples: 1, described: 3, nearest: 1, learnt: 0.25, middle: 8.1, slope: 0.245},
		{examples: 5, described: 3, nearest: 1, learnt: 0.25, middle: 9.3, slope: 0.25},
		{examples: 20, described: 2, nearest: 1, learnt: 0.5, middle: 9.1, slope: 0.265},
		{examples: 100, described: 1, nearest: 1, learnt: 1, middle: 12, slope: 0.22},
	}
	describedBeside = mix{described: 1, learnt: 0.5, taught: 0.5, middle: 4, slope: 0.54}
	mixesBeside     = []mix{
		{examples: 1, described: 1, nearest: 0.2, learnt: 0.45, taught: 0.4, again: again{middle: 2.58, slope: 0.32}, middle: 4.5, slope: 0.475},
		{examples: 5, described: 1, nearest: 0.2, learnt: 0.45, taught: 0.3, again: again{share: 1, middle: 2.58, slope: 0.32}, middle: 4.12, slope: 0.509},
		{examples: 20, described: 1, nearest: 0.35, learnt: 0.75, taught: 0.05, again: again{share: 1, middle: 3, slope: 0.26}, middle: 5.58, slope: 0.353},
		{examples: 100, described: 1, nearest: 1, learnt: 1.25, again: again{middle: 3, slope: 0.26}, middle: 11.15, slope: 0.213},
	}
)

// mixOf gives the mix for a number of examples. Between two that are measured each weight goes by the logarithm of it.
func mixOf(examples int, b *Background) mix {
	none, some := described, mixes
	if b != nil {
		none, some = describedBeside, mixesBeside
	}
	n := float32(examples)
	switch last := some[len(some)-1]; {
	case examples == 0:
		return none
	case n <= some[0].examples:
		return some[0]
	case n >= last.examples:
		return last
	}
	i := 1
	for n > some[i].examples {
		i++
	}
	from, to := some[i-1], some[i]
	at := float32(math.Log(float64(n/from.examples)) / math.Log(float64(to.examples/from.examples)))
	between := func(x, y float32) float32 { return x + at*(y-x) }
	return mix{
		examples: n, described: between(from.described, to.described), nearest: between(from.nearest, to.nearest),
		learnt: between(from.learnt, to.learnt), taught: between(from.taught, to.taught),
		again: again{
			share: between(from.again.share, to.again.share), middle: between(from.again.middle, to.again.middle), slope: between(from.again.slope, to.again.slope),
		},
		middle: between(from.middle, to.middle), slope: between(from.slope, to.slope),
	}
}

// score gives how far q is from t, in [0, 1].
func (t *Task) score(q *query) float64 {
	return 1 / (1 + math.Exp(float64(t.mix.slope*(t.near(q)-t.mix.middle))))
}

// measureUsual finds how generic sentences score against t, and trains its models. Sentences that the models are trained
// beside are not among those that measure them.
func (s *Scorer) measureUsual(t *Task, b *Background) {
	half := len(s.generic) / 2
	sentences := s.generic[half:]
	t.measureDescribed(sentences)
	if t.mix.nearest > 0 {
		t.usual.measure(partNearest, sentences, func(q *query) float32 { return q.nearest(t.examples) })
	}
	if len(t.outside) > 0 {
		t.usual.measure(partOutside, sentences, func(q *query) float32 { return q.nearest(t.outside) })
	}
	switch {
	case b != nil:
		s.learnBeside(t, b, sentences)
	case len(t.examples) > 0:
		t.learnt = learn(lessons(s.read(t.examples), s.generic[:half], nil), s.table.Dim()).keep()
		t.measureLearnt(sentences)
	}
}

// read gives the examples as texts to learn from.
func (s *Scorer) read(examples []piece) []*query {
	all := make([]*query, len(examples))
	for i, p := range examples {
		all[i] = s.query(p.text)
	}
	return all
}

// measureDescribed compares sentences with the description of t.
func (t *Task) measureDescribed(sentences []*query) {
	all := make([]parts, len(sentences))
	for i, q := range sentences {
		all[i] = t.parts(q)
	}
	u := &t.usual
	u[partShared] = measured(len(all), func(i int) float32 { return all[i].shared })
	u[partAlike] = measured(len(all), func(i int) float32 { return all[i].alike })
	u[partMeaning] = measured(len(all), func(i int) float32 { return all[i].meaning })
	u[partDescribed] = measured(len(all), func(i int) float32 { return u.described(all[i]) })
}

func (u *usual) measure(part int, sentences []*query, of func(*query) float32) {
	u[part] = measured(len(sentences), func(i int) float32 { return of(sentences[i]) })
}

// measured gives the mean and the deviation of n numbers.
func measured(n int, of func(i int) float32) moments {
	var sum, squares float64
	for i := range n {
		x := float64(of(i))
		sum += x
		squares += float64(x * x)
	}
	mean := sum / float64(n)
	m := moments{mean: float32(mean), deviation: 1}
	if d := float32(math.Sqrt(max(squares/float64(n)-mean*mean, 0))); d > least {
		m.deviation = d
	}
	return m
}

// least is the deviation below which generic sentences tell nothing, as where none has a word of the task.
const least = 1e-3

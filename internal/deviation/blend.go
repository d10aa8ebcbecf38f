package deviation

import "math"

// The parts of a score, each made comparable by its mean and deviation over generic sentences, and then weighed.
const (
	partShared    = iota // weighted share of the prompt's words that are words of the task
	partAlike            // mean likeness of the prompt's words to their likest words of the task
	partMeaning          // cosine to the task's whole and to its best phrase, less that to other activities
	partDescribed        // the weighed sum of those
	partNearest          // likeness to the nearest example
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

// usual is how generic sentences score against a task.
type usual [numParts]struct{ mean, deviation float32 }

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
	near := t.usual.z(partDescribed, t.usual.described(t.parts(q)))
	if t.learnt == nil {
		return near
	}
	return t.mix.described*near + t.usual.z(partNearest, q.nearest(t)) +
		t.mix.learnt*(t.usual.z(partWords, t.learnt.byWords(q))+t.usual.z(partColumns, t.learnt.byMeaning(q)))
}

// mix says, for a number of examples, what the description and what the models count beside the nearest example, and
// which nearness is how far: the log-odds of a score are slope times (middle - nearness).
type mix struct {
	examples          float32
	described, learnt float32
	middle, slope     float32
}

// mixes are measured; between them each number is taken by the logarithm of the number of examples. Middle and slope put
// 3.5 % of the prompts that are on a task above a score of 0.80, and 1 % above 0.88.
var mixes = [...]mix{
	{examples: 1, described: 3, learnt: 0.25, middle: 8.1, slope: 0.245},
	{examples: 5, described: 3, learnt: 0.25, middle: 9.3, slope: 0.25},
	{examples: 20, described: 2, learnt: 0.5, middle: 7.8, slope: 0.33},
	{examples: 100, described: 1, learnt: 1, middle: 10.5, slope: 0.265},
}

// described is the mix of a task without examples.
var described = mix{described: 1, middle: 2.05, slope: 1.1}

func mixOf(examples int) mix {
	n := float32(examples)
	switch last := mixes[len(mixes)-1]; {
	case examples == 0:
		return described
	case n <= mixes[0].examples:
		return mixes[0]
	case n >= last.examples:
		return last
	}
	i := 1
	for n > mixes[i].examples {
		i++
	}
	a, b := mixes[i-1], mixes[i]
	at := float32(math.Log(float64(n/a.examples)) / math.Log(float64(b.examples/a.examples)))
	between := func(x, y float32) float32 { return x + at*(y-x) }
	return mix{
		n, between(a.described, b.described), between(a.learnt, b.learnt), between(a.middle, b.middle), between(a.slope, b.slope),
	}
}

// score gives how far q is from t, in [0, 1].
func (t *Task) score(q *query) float64 {
	return 1 / (1 + math.Exp(float64(t.mix.slope*(t.near(q)-t.mix.middle))))
}

// measureUsual finds how generic sentences score against t: those of one half, where the other half trained the models of
// its examples.
func (s *Scorer) measureUsual(t *Task) {
	for i := range t.usual {
		t.usual[i].deviation = 1
	}
	half := len(s.generic) / 2
	if len(t.examples) > 0 {
		examples := make([]*query, len(t.examples))
		for i, p := range t.examples {
			examples[i] = s.query(p.text)
		}
		t.learnt = learn(examples, s.generic[:half], s.table.Dim())
	}
	sentences := s.generic[half:]
	all := make([]parts, len(sentences))
	for i, q := range sentences {
		all[i] = t.parts(q)
	}
	measure := func(part int, of func(i int) float32) {
		var sum, squares float64
		for i := range sentences {
			x := float64(of(i))
			sum += x
			squares += float64(x * x)
		}
		n := float64(len(sentences))
		mean := sum / n
		t.usual[part].mean = float32(mean)
		if d := float32(math.Sqrt(max(squares/n-mean*mean, 0))); d > least {
			t.usual[part].deviation = d
		}
	}
	measure(partShared, func(i int) float32 { return all[i].shared })
	measure(partAlike, func(i int) float32 { return all[i].alike })
	measure(partMeaning, func(i int) float32 { return all[i].meaning })
	measure(partDescribed, func(i int) float32 { return t.usual.described(all[i]) })
	if t.learnt != nil {
		measure(partNearest, func(i int) float32 { return sentences[i].nearest(t) })
		measure(partWords, func(i int) float32 { return t.learnt.byWords(sentences[i]) })
		measure(partColumns, func(i int) float32 { return t.learnt.byMeaning(sentences[i]) })
	}
}

// least is the deviation below which generic sentences tell nothing, as where none has a word of the task.
const least = 1e-3

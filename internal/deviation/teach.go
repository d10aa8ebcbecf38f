package deviation

// againMost is how far, at most, a prompt of the traffic is taken for an example by the models that teach others. A few examples
// and many prompts are weighed alike: with much more the traffic would outvote the examples.
const againMost = 0.03

// again is how models teach others, for a number of examples: how far they make way for those, at which nearness of a prompt half
// of againMost is believed of it, and how steeply that rises. It is gentle on purpose: what the first models doubt must
// not be taken for off the task.
type again struct{ share, middle, slope float32 }

// learnBeside trains the models of t beside b, and measures them by sentences. The first are taught by the description and the
// examples. They know more of how people word the task than their teachers did, and teach the second.
func (s *Scorer) learnBeside(t *Task, b *Background, sentences []*query) {
	examples := s.read(t.examples)
	first := learn(lessons(examples, b.samples, t.taught(b.samples)), s.table.Dim())
	t.learnt = first.keep()
	t.measureLearnt(sentences)
	if t.mix.again.share == 0 {
		return
	}
	second := learn(lessons(examples, b.samples, t.taughtAgain(b.samples)), s.table.Dim())
	first.moveTo(second, t.mix.again.share)
	t.learnt = first.keep()
	t.measureLearnt(sentences)
}

func (t *Task) measureLearnt(sentences []*query) {
	t.usual.measure(partWords, sentences, t.learnt.byWords)
	t.usual.measure(partColumns, sentences, t.learnt.byMeaning)
}

// taughtAgain says of each of samples how far it is taken for an example, by the models that are there.
func (t *Task) taughtAgain(samples []*query) []float32 {
	all := make([]float32, len(samples))
	for i, q := range samples {
		all[i] = againMost * logistic(t.mix.again.slope*(t.near(q)-t.mix.again.middle))
	}
	return all
}

// moveTo moves the log-odds of l by a share of the way to those of o.
func (l *learning) moveTo(o *learning, share float32) {
	between := func(x, y float32) float32 { return x + share*(y-x) }
	for i := range l.grams {
		l.grams[i] = between(l.grams[i], o.grams[i])
	}
	for i := range l.columns {
		l.columns[i] = between(l.columns[i], o.columns[i])
	}
	l.gramsBias, l.bias = between(l.gramsBias, o.gramsBias), between(l.bias, o.bias)
}

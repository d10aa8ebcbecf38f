package deviation

import (
	order "cmp"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/intent"
)

// cases are tasks of each kind, and prompts near to them and far.
var (
	caseTask = core.Task{
		ID: "trips", Title: "Business travel", Description: "Book trips for colleagues. Never forget the visa.",
		Topics: []string{"flight and hotel for a conference", "passport and visa rules", "zyzzyva rental"},
	}
	caseExamples = []string{"Which hotel is near the fair in Oslo?", "Move my flight to Friday", "Do we need a visa for Japan?"}
	caseOutside  = []string{"Plan a honeymoon in Bali", "Find a cheap beach hotel for my family"}
	casePrompts  = []string{
		"Book a flight to Oslo for the fair", "Find a beach hotel for my family in Bali", "Which passport do I need?", "rent a zyzzyvas",
		"Write a poem about rain", "Recommend a book", "Which hotel is near the fair in Oslo?", "Plan a honeymoon in Bali",
	}
)

func caseTasks(t *testing.T) (*Scorer, map[string]*Task) {
	t.Helper()
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	with := caseTask
	with.Examples = caseExamples
	outside, both := caseTask, with
	outside.OutOfScope, both.OutOfScope = caseOutside, caseOutside
	var samples []*query
	for _, text := range slices.Repeat(append(slices.Clone(casePrompts), caseExamples...), 20) {
		samples = append(samples, s.query(text).features())
	}
	b := newBackground(samples)
	tasks := map[string]*Task{}
	for name, task := range map[string]core.Task{"described": caseTask, "examples": with, "outside": outside, "both": both} {
		tasks[name], tasks[name+" beside traffic"] = s.Compile(task), s.CompileBeside(task, b)
	}
	return s, tasks
}

// TestNearnessIsTheSumOfItsParts works out nearness from the words and vectors anew, with the weights of MODEL.md.
func TestNearnessIsTheSumOfItsParts(t *testing.T) {
	s, tasks := caseTasks(t)
	for name, task := range tasks {
		moved := 0
		for _, text := range casePrompts {
			q := s.query(text)
			want, outside := referenceNear(s, task, q)
			if outside > 0 {
				moved++
			}
			if got := float64(task.near(q)); math.Abs(got-want) > 1e-3*max(1, math.Abs(want)) {
				t.Errorf("%s: %q: %v, want %v", name, text, got, want)
			}
		}
		if has := strings.Contains(name, "outside") || strings.Contains(name, "both"); has != (moved > 0) {
			t.Errorf("%s: %d prompts are moved by out-of-scope examples", name, moved)
		}
	}
}

func referenceNear(s *Scorer, t *Task, q *query) (near, outside float64) {
	z := func(part int, x float64) float64 {
		return (x - float64(t.usual[part].mean)) / float64(t.usual[part].deviation)
	}
	shared, alike, total := 0.0, 0.0, 0.0
	for i := range q.words {
		if w := &q.words[i]; w.content {
			a := float64(q.alike(t, w))
			total += float64(w.weight)
			alike += float64(w.weight) * a
			if t.has(w.stem) {
				shared += float64(w.weight)
			}
		}
	}
	described := 0.5*z(partShared, shared/total) + z(partAlike, alike/total) + 2.5*z(partMeaning, referenceMeaning(s, t, q))
	near = float64(t.mix.described) * z(partDescribed, described)
	nearest := func(pieces []piece) float64 {
		meaning, wording := 0.0, 0.0
		for i := range pieces {
			meaning, wording = max(meaning, float64(q.vector.Dot(pieces[i].vector.Vector()))), max(wording, float64(q.overlap(&pieces[i])))
		}
		return meaning + 0.7*wording
	}
	if len(t.examples) > 0 || t.mix.nearest > 0 {
		near += float64(t.mix.nearest) * z(partNearest, nearest(t.examples))
	}
	if len(t.outside) > 0 {
		outside = max(0, nearest(t.outside)-max(0.6, nearest(t.examples), nearest(t.phrases)))
		near -= 0.5 * float64(t.mix.described+t.mix.nearest) * outside / float64(t.usual[partOutside].deviation)
	}
	if t.learnt != nil {
		near += float64(t.mix.learnt) * (z(partWords, float64(t.learnt.byWords(q))) + z(partColumns, float64(t.learnt.byMeaning(q))))
	}
	return near, outside
}

// referenceMeaning sorts the generic activities: the fifth that is nearest to the task does not count, and of the others the
// three that are nearest to the prompt do.
func referenceMeaning(s *Scorer, t *Task, q *query) float64 {
	type activity struct{ toTask, toPrompt float64 }
	var all []activity
	for i := range s.activities {
		v := s.activities[i].Vector()
		all = append(all, activity{float64(t.whole.Vector().Dot(v)), float64(q.vector.Dot(v))})
	}
	slices.SortFunc(all, func(a, b activity) int { return order.Compare(a.toTask, b.toTask) })
	all = all[:len(all)-len(all)/5]
	slices.SortFunc(all, func(a, b activity) int { return order.Compare(b.toPrompt, a.toPrompt) })
	contrast := (max(0, all[0].toPrompt) + max(0, all[1].toPrompt) + max(0, all[2].toPrompt)) / 3
	best := 0.0
	for i := range t.phrases {
		best = max(best, float64(q.vector.Dot(t.phrases[i].vector.Vector())))
	}
	return float64(q.vector.Dot(t.whole.Vector())) + best - 1.5*contrast
}

// TestFeaturesAreAsNear: what is kept of a prompt is as near to each task as the prompt.
func TestFeaturesAreAsNear(t *testing.T) {
	s, tasks := caseTasks(t)
	for name, task := range tasks {
		for _, text := range casePrompts {
			q := s.query(text)
			kept := q.features()
			s.prepareText(q, "something else that is read into the same room")
			if got, want := task.near(kept), task.near(s.query(text)); got != want {
				t.Errorf("%s: %q: what is kept is at %v, the prompt at %v", name, text, got, want)
			}
		}
	}
}

// TestColdWordsAreKept: a word's likeness is its cosine to the likest of the task's, squared, whichever of the four pieces of
// a slot is asked for first, and is kept.
func TestColdWordsAreKept(t *testing.T) {
	s, tasks := caseTasks(t)
	task := tasks["described"]
	p := s.query("aeroplane").pieces[0]
	first := task.likeness(p)
	if kept := task.liked[p/4].Load() >> (p % 4 * 8) & 0xFF; kept == 0 {
		t.Error("what was compared is not kept")
	}
	if again := task.likeness(p); again != first {
		t.Errorf("%v at first, then %v", first, again)
	}
}

// TestMeasuredByOtherSentencesThanLearntFrom: the models of a task are not measured by what they learnt from, or what is off the
// task would look farther than it is.
func TestMeasuredByOtherSentencesThanLearntFrom(t *testing.T) {
	s, tasks := caseTasks(t)
	task := tasks["examples"]
	half := len(s.generic) / 2
	want := measured(half, func(i int) float32 { return task.learnt.byWords(s.generic[half+i]) })
	if got := task.usual[partWords]; math.Abs(float64(got.mean-want.mean)) > 1e-3 {
		t.Errorf("mean %v, of the sentences that it did not learn from %v", got.mean, want.mean)
	}
	if learnt := measured(half, func(i int) float32 { return task.learnt.byWords(s.generic[i]) }); learnt.mean >= want.mean {
		t.Errorf("what was learnt from is no farther: %v, others %v", learnt.mean, want.mean)
	}
}

// TestWeightsGoBetween: between two numbers of examples that are measured each weight goes by the logarithm.
func TestWeightsGoBetween(t *testing.T) {
	m := mixOf(10, nil) // half way from 5 to 20
	for name, pair := range map[string][2]float32{
		"described": {m.described, 2.5}, "nearest": {m.nearest, 1}, "learnt": {m.learnt, 0.375}, "middle": {m.middle, 9.2}, "slope": {m.slope, 0.2575},
	} {
		if math.Abs(float64(pair[0]-pair[1])) > 1e-4 {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
}

// TestMisspeltWordsAreFoundBySpelling: a word that the table lacks is as like a word of the task as their letters are.
func TestMisspeltWordsAreFoundBySpelling(t *testing.T) {
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	task := s.Compile(core.Task{ID: "t", Title: "quxbarrington"})
	q := s.query("quxbarringtom")
	want := spell(intent.Word{Text: "quxbarringtom", Stem: 1})
	other := spell(intent.Word{Text: "quxbarrington", Stem: 2})
	if len(q.misses) != 1 || q.alike(task, &q.words[0]) < want.alike(&other) {
		t.Errorf("%v alike, by spelling %v", q.alike(task, &q.words[0]), want.alike(&other))
	}
	task.own, task.liked = nil, make([]atomic.Uint32, len(task.liked)) // by nothing but spelling
	if got := q.alike(task, &q.words[0]); got != want.alike(&other) {
		t.Errorf("by spelling alone %v, want %v", got, want.alike(&other))
	}
}

// TestRareWordsCountMore: what is rare says more of what a prompt is about.
func TestRareWordsCountMore(t *testing.T) {
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	q := s.query("work honeymoon")
	if common, rare := q.words[0].weight, q.words[1].weight; common >= rare {
		t.Errorf("a common word weighs %v, a rare one %v", common, rare)
	}
}

// TestTheFirstOfEqualsIsNearest: of two tasks that say the same the one that is assigned first is named, always.
func TestTheFirstOfEqualsIsNearest(t *testing.T) {
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	first, second := s.Compile(core.Task{ID: "first", Title: "Business travel"}), s.Compile(core.Task{ID: "second", Title: "Business travel"})
	if at, _ := nearest(s.query("book a flight"), []*Task{first, second}); at != 0 {
		t.Error("the second of equals is nearest")
	}
}

// TestTrafficTeachesByTheDescription: of the traffic, what the description is near to counts as far on the task as the mix says.
func TestTrafficTeachesByTheDescription(t *testing.T) {
	s, tasks := caseTasks(t)
	task := tasks["described beside traffic"]
	alike := task.taughtBy(t, s, "Book a flight and a hotel for the conference", "Write a poem about rain")
	if alike[0] < 0.4 || alike[0] > 0.5 || alike[1] > 0.01 {
		t.Errorf("taken for examples by %v", alike)
	}
}

func (t *Task) taughtBy(tb testing.TB, s *Scorer, texts ...string) []float32 {
	tb.Helper()
	samples := make([]*query, len(texts))
	for i, text := range texts {
		samples[i] = s.query(text)
	}
	alone := *s.Compile(caseTask) // the models are not there when the traffic is read
	alone.mix = t.mix
	taught := alone.taught(samples)
	if len(taught) != len(texts) {
		tb.Fatalf("%d of %d are looked at", len(taught), len(texts))
	}
	return taught
}

// TestSharedIsByStem: a word that has its pieces in common with words of the task, and its stem with none, is no word of the task,
// however the pieces' cosine is rounded.
func TestSharedIsByStem(t *testing.T) {
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	words, alikes := s.table.Words(2000)[1500:], 0
	for some := range slices.Chunk(words, 60) {
		task := s.Compile(core.Task{ID: "t", Title: strings.Join(some, "zq ") + "zq"}) // cut into the word, and what is behind it
		for _, word := range some {
			q := s.query(word)
			if q == nil {
				continue
			}
			shared, alike := q.likenesses(task)
			if shared != 0 {
				t.Errorf("%s is taken for a word of the task by %v", word, shared)
			}
			if alike > 0.99 {
				alikes++
			}
		}
	}
	if alikes < 100 {
		t.Errorf("%d words have their pieces in common with the tasks'", alikes)
	}
}

package deviation_test

import (
	order "cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

func shipped(t testing.TB) *deviation.Scorer {
	t.Helper()
	s, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func all() []*deviation.Task {
	return []*deviation.Task{deviation.Compile(support), deviation.Compile(analyst), deviation.Compile(travel)}
}

func turns(texts ...string) *intent.View {
	var p core.Prompt
	for i, text := range texts {
		p.Parts = append(p.Parts, core.Part{Role: core.RoleUser, Kind: core.KindText, Turn: i, Text: text})
	}
	return intent.NewView(p)
}

func TestNearestTaskCounts(t *testing.T) {
	s, tasks := shipped(t), all()
	for text, want := range map[string]string{
		"Book a flight to Lisbon and a hotel near the conference":    "trips",
		"Write a SQL query for the churn rate of each cohort":        "churn",
		"The customer disputes a charge on her invoice":              "disputes",
		"Which visa and passport do I need for Japan":                "trips",
		"refund of a duplicate payment for an angry customer please": "disputes",
	} {
		d := s.Score(view(text), tasks)
		if d.Task != want || d.Score > warn/2 || d.Phrase == "" || d.Model != s.Version() {
			t.Errorf("%s: %+v", text, d)
		}
		for _, one := range tasks {
			if alone := s.Score(view(text), []*deviation.Task{one}); alone.Score < d.Score {
				t.Errorf("%s: %s alone is nearer: %v < %v", text, alone.Task, alone.Score, d.Score)
			}
		}
	}
}

func TestNothingIsCalibrated(t *testing.T) {
	if d := shipped(t).Score(view("book a hotel"), all()); d.Calibrated || d.P != nil || d.N != 0 {
		t.Errorf("%+v", d)
	}
}

func TestTaskAgainstItsOwnWords(t *testing.T) {
	s := shipped(t)
	for _, task := range []core.Task{support, analyst, travel} {
		compiled := []*deviation.Task{deviation.Compile(task)}
		for _, text := range append([]string{task.Description}, task.Topics...) {
			if d := s.Score(view(text), compiled); d.Unscored == "" && d.Score > 0.2 {
				t.Errorf("%s: %.3f for its own %q", task.ID, d.Score, text)
			}
		}
	}
}

// TestNearestPieceIsNamed: the likest piece of the description by its words, and the likest example by its number alone. An
// example of which nothing can be compared keeps its number.
func TestNearestPieceIsNamed(t *testing.T) {
	task := travel
	task.Examples = []string{"...", "What is the visa fee for Japan?", "Our sales team flies to Oslo on Tuesday, find seats together"}
	compiled := []*deviation.Task{deviation.Compile(task)}
	described := strings.Join(append([]string{task.Title, task.Description}, task.Topics...), "\n")
	for text, want := range map[string]int{
		"which visa and passport do we need":                    2,
		"find seats together for the sales team flying to Oslo": 3,
	} {
		d := shipped(t).Score(view(text), compiled)
		if d.Example != want || d.Phrase == "" || !strings.Contains(described, d.Phrase) {
			t.Errorf("%s: example %d, want %d; phrase %q, which has to be of the description", text, d.Example, want, d.Phrase)
		}
	}
	d := shipped(t).Score(view("which visa and passport do we need"), []*deviation.Task{deviation.Compile(travel)})
	if d.Example != 0 || d.Phrase != "visa and passport requirements" {
		t.Errorf("example %d of none, phrase %q", d.Example, d.Phrase)
	}
}

func TestExamplesBringPromptsNearer(t *testing.T) {
	s := shipped(t)
	text := "Who approves the gala dinner for the northern region?"
	task := travel
	before := s.Score(view(text), []*deviation.Task{deviation.Compile(task)})
	task.Examples = []string{"Get approval for the gala dinner of the southern region", "Seat plan for the gala dinner"}
	after := s.Score(view(text), []*deviation.Task{deviation.Compile(task)})
	if after.Score >= before.Score-0.1 {
		t.Errorf("%.3f without examples, %.3f with", before.Score, after.Score)
	}
}

func TestWordsExplain(t *testing.T) {
	d := shipped(t).Score(view("refund the disputed invoice and bake lasagna with zucchini"), all()[:1])
	weight := map[string]float64{}
	for _, w := range d.Words {
		weight[w.Word] = w.Weight
	}
	for _, w := range []string{"refund", "disputed", "invoice"} {
		if weight[w] >= 0 {
			t.Errorf("%s: %v, want towards the task", w, weight[w])
		}
	}
	if weight["zucchini"] <= 0 {
		t.Errorf("zucchini: %v, want away from the task", weight["zucchini"])
	}
	if !slices.IsSortedFunc(d.Words, func(a, b core.WordWeight) int {
		return order.Compare(math.Abs(b.Weight), math.Abs(a.Weight))
	}) {
		t.Errorf("not sorted by weight: %v", d.Words)
	}
}

func TestSwitchOfSubjectDoesNotHideInAConversation(t *testing.T) {
	s, tasks := shipped(t), all()
	before := []string{"Book a flight to Lisbon for the team and a hotel near the conference", "Change the flight to Monday and add a rental car"}
	swap := "Now write my cover letter for the game studio job, mention painting, guitars and my love of fantasy novels"
	whole, alone := s.Score(turns(append(before, swap)...), tasks), s.Score(turns(swap), tasks)
	if whole.Score < alone.Score {
		t.Errorf("%.3f in a conversation, %.3f alone", whole.Score, alone.Score)
	}
	if short := s.Score(turns(append(before, "yes, do that")...), tasks); short.Score > warn/2 {
		t.Errorf("a short answer in a conversation on task: %.3f", short.Score)
	}
}

func TestRepeatingTheTasksWordsAddsNothing(t *testing.T) {
	s, tasks := shipped(t), all()[:1]
	text := "Write my cover letter for the game studio and mention my love of guitars. refund"
	once, often := s.Score(view(text), tasks), s.Score(view(text+strings.Repeat(" refund", 40)), tasks)
	if math.Abs(once.Score-often.Score) > 0.02 {
		t.Errorf("%.3f once, %.3f stuffed", once.Score, often.Score)
	}
}

func TestUnscored(t *testing.T) {
	s := shipped(t)
	for _, c := range []struct {
		name  string
		view  *intent.View
		tasks []*deviation.Task
		want  core.Unscored
	}{
		{"no task", view("book a flight"), nil, core.UnscoredNoTask},
		{"nothing to go by", view("and what of it?"), all(), core.UnscoredTooShort},
		{"another language", view("请帮我写一封求职信"), all(), core.UnscoredLanguage},
		{"another language and no task", view("请帮我写一封求职信"), nil, core.UnscoredLanguage},
	} {
		want := core.Deviation{Unscored: c.want, Model: s.Version()}
		if diff := cmp.Diff(want, s.Score(c.view, c.tasks)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestTaskWithoutWordsIsFar(t *testing.T) {
	d := shipped(t).Score(view("book a flight to Lisbon"), []*deviation.Task{deviation.Compile(core.Task{ID: "empty", Title: "的"})})
	if d.Score < warn || d.Task != "empty" {
		t.Errorf("%+v", d)
	}
}

func TestScoreHolds(t *testing.T) {
	s := shipped(t)
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.SampledFrom([]string{"refund", "flight", "SQL", "zyzzyva", "the", "ａｂｃ", "naïve", "`", "?", "\U000E0041"}))
		task := core.Task{
			ID: "t", Title: strings.Join(words.Draw(t, "title"), " "), Topics: words.Draw(t, "topics"),
			Examples: words.Draw(t, "examples"),
		}
		v := turns(strings.Join(words.Draw(t, "first"), " "), strings.Join(words.Draw(t, "second"), " "))
		tasks := []*deviation.Task{deviation.Compile(task), deviation.Compile(travel)}
		d := s.Score(v, tasks)
		if d.Unscored == "" && !(d.Score >= 0 && d.Score <= 1) || d.Unscored != "" && d.Task != "" {
			t.Fatalf("%+v", d)
		}
		if diff := cmp.Diff(d, s.Score(v, tasks)); diff != "" {
			t.Fatalf("a second time: %s", diff)
		}
	})
}

func TestScoringAllocatesTheExplanationAlone(t *testing.T) {
	s, tasks, v := shipped(t), all(), intent.NewView(ordinary())
	for range 10 {
		s.Score(v, tasks) // the buffers grow, and each piece is compared once
	}
	if n := testing.AllocsPerRun(100, func() { s.Score(v, tasks) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// TestManyAtOnce gives several prompts to a task at once that nobody has compared yet, and the same score to each. It says
// more under the race detector.
func TestManyAtOnce(t *testing.T) {
	s := shipped(t)
	want := s.Score(view("Which visa do we need for Japan?"), all())
	tasks := all()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if diff := cmp.Diff(want, s.Score(view("Which visa do we need for Japan?"), tasks)); diff != "" {
				t.Error(diff)
			}
		})
	}
	group.Wait()
}

// ordinary is a prompt of 2 kB, of many different words, with more requests than a view has room for.
func ordinary() core.Prompt {
	return core.Prompt{Parts: []core.Part{
		{Role: core.RoleSystem, Kind: core.KindText, Text: "You are a helpful assistant. Answer concisely."},
		{Role: core.RoleUser, Kind: core.KindText, Turn: 1, Text: "You are helping our support desk. Below is a message from a customer of " +
			"the business plan. " + strings.Repeat("She writes that her company was billed for twelve seats in April although two "+
			"people left in February, that the invoice shows an amount which nobody explained, and that her bank opened a dispute. ", 7) +
			"Write a polite reply which explains how the refund is calculated. When does the credit appear on the next invoice? " +
			"Tell her what she must send us so that we can answer the bank. Keep it under two hundred words. " +
			"Which rule of our handbook forbids promises about the late fee? Translate technical terms for a lay reader."},
	}}
}

func BenchmarkScore(b *testing.B) {
	s, tasks, v := shipped(b), all(), intent.NewView(ordinary())
	b.ReportAllocs()
	for b.Loop() {
		s.Score(v, tasks)
	}
}

func BenchmarkScore100Examples(b *testing.B) {
	var tasks []*deviation.Task
	for _, task := range []core.Task{support, analyst, travel} {
		for range 100 {
			task.Examples = append(task.Examples, strings.Join(task.Topics[:2], " and "))
		}
		tasks = append(tasks, deviation.Compile(task))
	}
	s, v := shipped(b), intent.NewView(ordinary())
	b.ReportAllocs()
	for b.Loop() {
		s.Score(v, tasks)
	}
}

// hundred are three tasks with a hundred examples each, all different.
func hundred(b *testing.B, beside *deviation.Background) []*deviation.Task {
	var tasks []*deviation.Task
	for i, task := range []core.Task{support, analyst, travel} {
		for j := range 100 {
			about := task.Topics[j%len(task.Topics)]
			task.Examples = append(task.Examples, strings.Join(office[(i+7*j)%60:(i+7*j)%60+8], " ")+" "+about)
		}
		tasks = append(tasks, shipped(b).CompileBeside(task, beside))
	}
	return tasks
}

// BenchmarkJudgeExamples classifies and scores a view, against tasks with examples: beside generic sentences and beside traffic.
func BenchmarkJudgeExamples(b *testing.B) {
	c, err := intent.Default()
	if err != nil {
		b.Fatal(err)
	}
	s := shipped(b)
	for _, beside := range []struct {
		name string
		*deviation.Background
	}{{"alone", nil}, {"beside", s.NewBackground(everyday())}} {
		tasks := hundred(b, beside.Background)
		for _, size := range []int{400, 2000} {
			v := view((ordinary().Parts[1].Text + " " + ordinary().Parts[1].Text)[:size])
			b.Run(fmt.Sprintf("%s/%dB", beside.name, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.Classify(v)
					s.Score(v, tasks)
				}
			})
		}
	}
}

func BenchmarkCompileBeside(b *testing.B) {
	beside := shipped(b).NewBackground(slices.Repeat(everyday(), 5))
	for b.Loop() {
		shipped(b).CompileBeside(support, beside)
	}
}

// BenchmarkJudge is all that the request path does: the view, its intent, and its deviation from three tasks.
func BenchmarkJudge(b *testing.B) {
	c, err := intent.Default()
	if err != nil {
		b.Fatal(err)
	}
	s, tasks, p := shipped(b), all(), ordinary()
	b.ReportAllocs()
	for b.Loop() {
		v := intent.NewView(p)
		c.Classify(v)
		s.Score(v, tasks)
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		deviation.Compile(support)
	}
}

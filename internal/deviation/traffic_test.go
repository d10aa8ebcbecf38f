package deviation_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

const life = 48 * time.Hour

func sampling(t *testing.T, size int) *deviation.Traffic {
	return deviation.NewTraffic(deviation.TrafficOptions{Scorer: shipped(t), Size: size, Life: life, Now: time.Now})
}

// note has n prompts of each of people noted.
func note(traffic *deviation.Traffic, people, n int) {
	for i := range n {
		for person := range people {
			traffic.Note(fmt.Sprintf("user/%d", person), view(fmt.Sprintf("draft item %d of report %d", i, person)))
		}
	}
}

func TestNothingIsLearntFromLittleTraffic(t *testing.T) {
	traffic := sampling(t, 1000)
	note(traffic, 20, 24)
	if b := traffic.Background(); b != nil {
		t.Errorf("%d prompts make a background", b.Len())
	}
	note(traffic, 20, 2)
	if b := traffic.Background(); b.Len() != 520 {
		t.Errorf("%d prompts of 520", b.Len())
	}
}

func TestNobodyIsMoreThanTheirShareOfTraffic(t *testing.T) {
	traffic := sampling(t, 1000)
	note(traffic, 20, 30)
	for i := range 5000 {
		traffic.Note("user/loud", view(fmt.Sprintf("cover letter %d", i)))
	}
	before := traffic.Background().Len()
	if !traffic.Forget("user/loud") {
		t.Fatal("nothing of a loud person was kept")
	}
	after := 0
	if b := traffic.Background(); b != nil {
		after = b.Len()
	}
	if loud := before - after; loud > 1000/20 {
		t.Errorf("%d of %d prompts are of one person", loud, before)
	}
	if traffic.Forget("user/loud") {
		t.Error("a person is forgotten twice")
	}
}

func TestTrafficIsBoundedAndEnds(t *testing.T) {
	now := time.Unix(0, 0)
	traffic := deviation.NewTraffic(deviation.TrafficOptions{
		Scorer: shipped(t), Size: 500, Life: life, Now: func() time.Time { return now },
	})
	note(traffic, 50, 100)
	if n := traffic.Background().Len(); n != 500 {
		t.Fatalf("%d prompts are kept, want 500", n)
	}
	now = now.Add(life / 2)
	note(traffic, 50, 100)
	if n := traffic.Background().Len(); n != 1000 {
		t.Errorf("%d prompts of two periods, want 1000", n)
	}
	now = now.Add(life / 2)
	if n := traffic.Background().Len(); n != 500 {
		t.Errorf("%d prompts when the first period is over, want 500", n)
	}
	now = now.Add(life)
	if b := traffic.Background(); b != nil {
		t.Errorf("%d prompts are kept when their time is over", b.Len())
	}
}

// everyday are prompts of people at work, of which some are on a task about travel.
func everyday() []*intent.View {
	var views []*intent.View
	for i := range 40 {
		for _, text := range []string{
			"Book the %d o'clock flight to Oslo", "Which hotel near the fair has %d rooms left", "Is a visa needed for a stay of %d days",
			"Explain clause %d of the supply contract", "Sum column %d of the sales sheet", "Recommend %d thrillers for the weekend",
			"Write a limerick with %d lines", "Why does test %d fail with a timeout", "Cook pasta for %d people", "Translate page %d",
		} {
			views = append(views, view(fmt.Sprintf(text, i)))
		}
	}
	return views
}

func TestTasksBesideTraffic(t *testing.T) {
	s := shipped(t)
	b, again := s.NewBackground(everyday()), s.NewBackground(everyday())
	if b.Version() == "" || b.Version() != again.Version() || b.Version() == s.NewBackground(everyday()[1:]).Version() {
		t.Fatalf("versions %q and %q", b.Version(), again.Version())
	}
	task := travel
	task.Examples = []string{"Find a seat on the early flight to Bergen", "Which hotel is near the fair", "Do we need a visa for Japan"}
	for _, task := range []core.Task{travel, task} {
		first, second := s.CompileBeside(task, b), s.CompileBeside(task, again)
		for text, on := range map[string]bool{
			"Which flight leaves for Oslo in the morning": true, "Write a limerick about a cat": false, "Why does the test fail": false,
		} {
			d, repeated := s.Score(view(text), []*deviation.Task{first}), s.Score(view(text), []*deviation.Task{second})
			if d.Score != repeated.Score {
				t.Errorf("%s: %v, trained again %v", text, d.Score, repeated.Score)
			}
			if d.Model != s.Version()+"+"+b.Version() {
				t.Errorf("model %s", d.Model)
			}
			if on != (d.Score < 0.5) {
				t.Errorf("%s: %.3f", text, d.Score)
			}
		}
	}
}

func TestNoBackgroundOfNothing(t *testing.T) {
	s := shipped(t)
	if b := s.NewBackground([]*intent.View{view("请帮我写一封求职信"), view("")}); b != nil || b.Len() != 0 || b.Version() != "" {
		t.Errorf("%+v", b)
	}
	if d := s.Score(view("book a hotel"), []*deviation.Task{s.CompileBeside(travel, nil)}); d.Model != s.Version() {
		t.Errorf("model %s", d.Model)
	}
}

// hostile are prompts and texts of tasks that nobody writes, but somebody sends.
func hostile() map[string]string {
	var many strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&many, "w%dx ", i)
	}
	return map[string]string{
		"4 MB of words": strings.Repeat("refund the invoice of the customer ", 4<<20/35), "4 MB without a space": strings.Repeat("a", 4<<20),
		"one token": "a", "only emoji": strings.Repeat("🙂🚀", 500), "mixed scripts": strings.Repeat("refund возврат 返金 استرداد ", 200),
		"100000 distinct words": many.String(), "not UTF-8": strings.Repeat("\xff\xfe refund", 100), "zeros": strings.Repeat("\x00", 1000),
	}
}

func TestHostileTexts(t *testing.T) {
	s := shipped(t)
	b := s.NewBackground(everyday())
	tasks := map[string]core.Task{"ordinary": support, "empty": {ID: "empty"}}
	for name, text := range hostile() {
		tasks["of "+name] = core.Task{ID: "h", Title: text, Description: text, Topics: []string{text}, Examples: []string{text, text}}
	}
	long := support
	for i := range 500 {
		long.Examples = append(long.Examples, fmt.Sprintf("refund invoice %d", i))
	}
	tasks["500 examples"] = long
	for name, task := range tasks {
		start := time.Now()
		compiled := []*deviation.Task{s.Compile(task), s.CompileBeside(task, b)}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("task %s takes %v to compile", name, took)
		}
		for what, text := range hostile() {
			if testing.Short() && name != "ordinary" {
				continue
			}
			v := view(text)
			start := time.Now()
			d := s.Score(v, compiled)
			if took := time.Since(start); took > time.Second {
				t.Errorf("%s against %s takes %v", what, name, took)
			}
			if math.IsNaN(d.Score) || d.Score < 0 || d.Score > 1 || d.Unscored == "" && d.Task == "" && name != "empty" {
				t.Errorf("%s against %s: %+v", what, name, d)
			}
		}
	}
}

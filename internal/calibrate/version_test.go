package calibrate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

func at(task string, score float64) core.Sample {
	return core.Sample{Exchange: task, Task: task, Text: "t-" + task, Model: "m", Score: score, Drawn: time.Unix(1, 0)}
}

func many(task string, score float64, n int) (all []core.Sample) {
	for range n {
		all = append(all, at(task, score))
	}
	return all
}

func texts(tasks ...string) map[string]string {
	m := map[string]string{}
	for _, t := range tasks {
		m[t] = "t-" + t
	}
	return m
}

func deviating(task string, score float64) *core.Deviation {
	return &core.Deviation{Task: task, Score: score, Model: "m"}
}

// TestJudge: a task with enough of its own is judged by those, others by all, and what is not covered by none.
func TestJudge(t *testing.T) {
	c := New("m", append(many("large", 0.4, 299), many("small", 0.8, 10)...))
	f := Apply(&c, texts("large", "small", "new"))
	for _, tt := range []struct {
		name    string
		d       *core.Deviation
		n       int
		p       float64 // 0 for none
		version string
	}{
		{"own", deviating("large", 0.5), 299, 1.0 / 300, c.ID},
		{"as far as others", deviating("large", 0.4), 299, 1, c.ID},
		{"pooled", deviating("small", 0.5), 309, 11.0 / 310, c.ID},
		{"a new task", deviating("new", 0.5), 0, 0, ""},
		{"another model", &core.Deviation{Task: "large", Score: 0.5, Model: "other"}, 0, 0, ""},
		{"unscored", &core.Deviation{Task: "large", Model: "m", Unscored: core.UnscoredTooShort}, 0, 0, ""},
	} {
		j := f.Judge(tt.d, 299)
		if p := value(j.P); p != tt.p || j.N != tt.n || j.Version != tt.version {
			t.Errorf("%s: p %v of n %d by %q, want %v of %d by %q", tt.name, p, j.N, j.Version, tt.p, tt.n, tt.version)
		}
	}
	if j := f.Judge(deviating("large", 0.5), 2995); j.P != nil || j.N != 309 {
		t.Errorf("for 0.1 %%: p %v of n %d", value(j.P), j.N)
	}
	if j := (*InForce)(nil).Judge(deviating("large", 0.5), 299); j != (Judged{}) {
		t.Errorf("nothing in force says %+v", j)
	}
	if j := Apply(nil, texts("large")).Judge(deviating("large", 0.5), 299); j.P != nil || j.Text != "t-large" {
		t.Errorf("no version says %+v", j)
	}
}

func value(p *float64) float64 {
	if p == nil {
		return 0
	}
	return *p
}

// TestAnotherTextIsAnotherVersion: what was scored against another text leaves the pool, and the version is called otherwise.
func TestAnotherTextIsAnotherVersion(t *testing.T) {
	c := New("m", append(many("a", 0.4, 200), many("b", 0.8, 200)...))
	f := Apply(&c, texts("a", "b"))
	now := texts("a", "b")
	now["b"] = "another"
	g := Apply(&c, now)
	if _, n := g.N("b"); n != 200 || g.Version() == f.Version() || f.Version() != c.ID {
		t.Errorf("n %d of %s; with both texts %s", n, g.Version(), f.Version())
	}
	for _, task := range []string{"a", "b"} {
		if j := g.Judge(deviating(task, 1), 299); j.P != nil {
			t.Errorf("task %s: p %v of %d", task, *j.P, j.N)
		}
	}
	if j := g.Judge(deviating("b", 1), 299); j.Text != "another" || j.N != 0 {
		t.Errorf("the changed task: %+v", j)
	}
}

func TestDemotedCalibratesNothing(t *testing.T) {
	c := New("m", many("a", 0.4, 299))
	c.Demoted = time.Unix(5, 0)
	f := Apply(&c, texts("a"))
	if j := f.Judge(deviating("a", 1), 299); j.P != nil || j.N != 299 || !f.Demoted() {
		t.Errorf("%+v", j)
	}
	later := at("a", 0.9)
	later.Drawn = c.Created.Add(time.Hour)
	then := later
	then.Drawn = c.Created // it may be one of those that made the version
	if r := Realise(f, &c, 0.01, Tally{OnTask: []core.Sample{later, then}, OffTask: []core.Sample{then}}); r != (Realised{Wrong: 1, OnTask: 1}) {
		t.Errorf("what it would stop is not counted: %+v", r)
	}
}

// TestAVersionIsItsContent: another model, text, task or score is another version, and the order of samples is none.
func TestAVersionIsItsContent(t *testing.T) {
	a, b := at("a", 0.4), at("b", 0.5)
	c := New("m", []core.Sample{a, b})
	if New("m", []core.Sample{b, a}).ID != c.ID {
		t.Error("the order of samples names another version")
	}
	text, score := b, b
	text.Text, score.Score = "other", 0.6
	for name, other := range map[string]core.Calibration{
		"model": New("n", []core.Sample{a, b}), "text": New("m", []core.Sample{a, text}), "score": New("m", []core.Sample{a, score}),
		"task": New("m", []core.Sample{a, at("c", 0.5)}), "fewer": New("m", []core.Sample{a}), "more": New("m", []core.Sample{a, b, b}),
	} {
		if other.ID == c.ID {
			t.Errorf("another %s has the same name", name)
		}
	}
}

// TestTheLatestCalibrate: of a flood of labels a version has as many as may be kept, those drawn last.
func TestTheLatestCalibrate(t *testing.T) {
	old := many("a", 0.9, 5)
	late := many("a", 0.4, core.MostScores)
	for i := range late {
		late[i].Drawn = time.Unix(2, 0)
	}
	all := slices.Concat(old, late)
	c := New("m", all)
	if scores := c.Tasks[0].Scores; len(scores) != core.MostScores || scores[len(scores)-1] != 0.4 || all[0].Score != 0.9 {
		t.Errorf("%d scores up to %v", len(scores), scores[len(scores)-1])
	}
	if got := len(New("m", all[:core.MostScores]).Tasks[0].Scores); got != core.MostScores {
		t.Errorf("%d of as many as there may be", got)
	}
}

// TestTextVersionHasEveryText: whatever a scorer reads of a task names another version, and nothing else does.
func TestTextVersionHasEveryText(t *testing.T) {
	base := core.Task{ID: "t", Title: "A", Description: "B", Topics: []string{"C"}, Examples: []string{"D"}}
	seen := map[string]string{TextVersion(base): "base"}
	for name, change := range map[string]func(*core.Task){
		"title": func(t *core.Task) { t.Title = "X" }, "description": func(t *core.Task) { t.Description = "X" },
		"topics": func(t *core.Task) { t.Topics = []string{"C", "X"} }, "examples": func(t *core.Task) { t.Examples = nil },
		"out of scope": func(t *core.Task) { t.OutOfScope = []string{"E"} }, "out of its scope": func(t *core.Task) { t.Examples, t.OutOfScope = nil, []string{"D"} },
		"moved": func(t *core.Task) { t.Title, t.Description = "", "AB" },
	} {
		other := base
		change(&other)
		if was, twice := seen[TextVersion(other)]; twice {
			t.Errorf("%s: the version of %s", name, was)
		}
		seen[TextVersion(other)] = name
	}
	other := base
	other.ID, other.Users, other.Created = "u", []string{"ann"}, time.Now()
	if TextVersion(other) != TextVersion(base) {
		t.Error("who is assigned changes the version of the text")
	}
}

// TestCount: what counts is what somebody answers for, and what nobody contradicts.
func TestCount(t *testing.T) {
	label := func(exchange, by, approved string, on bool) core.Label {
		s := at("a", 0.5)
		s.Exchange = exchange
		return core.Label{Sample: s, By: by, Approved: approved, OnTask: on}
	}
	stale := label("stale", "eve", "eve", true)
	stale.Model = "old"
	got := Count([]core.Label{
		label("on", "eve", "eve", true), label("on", "ann", "", false), // who is not answered for contradicts nobody
		label("off", "ann", "eve", false),
		label("disputed", "ann", "eve", true), label("disputed", "eve", "eve", false),
		label("pending", "ann", "", true),
		label("judged", "judge:m", "eve", true), // no person
		stale,
	}, func(s core.Sample) bool { return s.Model == "m" })
	for name, have := range map[string][]core.Sample{
		"on": got.OnTask, "off": got.OffTask, "disputed": got.Disputed, "pending": got.Pending[:1], "judged": got.Pending[1:], "stale": got.Stale,
	} {
		if len(have) != 1 || have[0].Exchange != name {
			t.Errorf("%s: %+v", name, have)
		}
	}
}

// TestAgreements: of what judges proposed that counts which people who are answered for said too, for each judge.
func TestAgreements(t *testing.T) {
	label := func(judge string, proposed core.Proposed, on bool, approved string) core.Label {
		return core.Label{By: "ann", Approved: approved, OnTask: on, Proposal: proposed, Judge: judge}
	}
	got := Agreements([]core.Label{
		label("judge:a", core.ProposedOn, true, "eve"), label("judge:a", core.ProposedOff, false, "eve"),
		label("judge:a", core.ProposedOff, true, "eve"), label("judge:a", core.ProposedOn, false, "eve"),
		label("judge:a", core.ProposedOn, true, ""), // nobody answers for it
		label("", "", true, "eve"),                  // nothing was proposed
		{By: "judge:a", Approved: "eve", OnTask: true, Proposal: core.ProposedOn, Judge: "judge:a"}, // no person
		label("judge:b", core.ProposedOn, true, "eve"),
	})
	if len(got) != 2 || got[0].Judge != "judge:a" || got[0].N != 4 || got[0].Agreed != 2 || got[0].Share != 0.5 || got[1].N != 1 || got[1].Agreed != 1 {
		t.Fatalf("%+v", got)
	}
	if low, high := Interval(2, 4, Confidence); got[0].Low != low || got[0].High != high {
		t.Errorf("interval of %+v", got[0])
	}
	var many []core.Label
	for i := range 2 * mostJudges {
		many = append(many, label(fmt.Sprint("judge:", i), core.ProposedOn, true, "eve"))
	}
	if got := Agreements(many); len(got) != mostJudges {
		t.Errorf("%d judges are told apart", len(got))
	}
}

func BenchmarkJudge(b *testing.B) {
	c := New("m", append(many("a", 0.4, 2000), many("b", 0.8, 2000)...))
	f, d := Apply(&c, texts("a", "b")), deviating("a", 0.5)
	b.ReportAllocs()
	for b.Loop() {
		f.Judge(d, 299)
	}
}

func BenchmarkStops(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Stops(0.01, 0.005, 4000)
	}
}

package describe_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/describe"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

func editor(t testing.TB) *describe.Editor {
	t.Helper()
	e, err := describe.Default()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var good = core.Task{
	ID: "trips", Title: "Business travel", Description: "Book and change trips for colleagues.",
	Topics:   []string{"book a flight", "hotel near the office", "rental car for a visit", "visa and passport", "lost luggage", "travel expenses"},
	Examples: []string{"Which hotel is near the fair in Oslo?", "Move my flight to Friday"},
}

func TestLint(t *testing.T) {
	with := func(change func(*core.Task)) core.Task {
		task := good
		task.Topics, task.Examples = slices.Clone(good.Topics), slices.Clone(good.Examples)
		change(&task)
		return task
	}
	for name, c := range map[string]struct {
		task core.Task
		want []string
	}{
		"good":         {good, nil},
		"empty":        {core.Task{ID: "x", Title: "..."}, []string{"title nothing_to_compare"}},
		"only a title": {core.Task{ID: "x", Title: "Business travel"}, []string{"topics title_only"}},
		"no topics":    {with(func(t *core.Task) { t.Topics = nil }), []string{"topics no_topics"}},
		"few topics":   {with(func(t *core.Task) { t.Topics = t.Topics[:2] }), []string{"topics few_topics"}},
		"short": {
			core.Task{ID: "x", Title: "Trips", Topics: []string{"flights", "hotels", "cars", "visas", "luggage"}}, []string{"topics too_short"},
		},
		"a topic twice":      {with(func(t *core.Task) { t.Topics[5] = "Book a flight" }), []string{"topics[5] twice"}},
		"an example twice":   {with(func(t *core.Task) { t.Examples[1] = t.Examples[0] }), []string{"examples[1] twice"}},
		"an example off it":  {with(func(t *core.Task) { t.Examples[1] = "Write a poem about the autumn rain" }), []string{"examples[1] off_task"}},
		"an example of none": {with(func(t *core.Task) { t.Examples[1] = "and what of it" }), []string{"examples[1] too_short"}},
		"what it is not":     {with(func(t *core.Task) { t.OutOfScope = []string{"Book a honeymoon for two", "Write a blog on Oslo"} }), nil},
		"in and out of scope": {
			with(func(t *core.Task) { t.OutOfScope = []string{"Plan my honeymoon", "move my flight to friday"} }), []string{"out_of_scope[1] contradiction"},
		},
		"nearly the same in and out of scope": {
			with(func(t *core.Task) { t.OutOfScope = []string{"Please move my flight to Friday."} }), []string{"out_of_scope[0] contradiction"},
		},
		"a topic out of scope": {with(func(t *core.Task) { t.OutOfScope = []string{"visa and passports"} }), []string{"out_of_scope[0] contradiction"}},
		"out of scope twice":   {with(func(t *core.Task) { t.OutOfScope = []string{"Plan my honeymoon", "Plan my honeymoon"} }), []string{"out_of_scope[1] twice"}},
		"out of scope of none": {with(func(t *core.Task) { t.OutOfScope = []string{"and what of it"} }), []string{"out_of_scope[0] too_short"}},
		"German out of scope": {
			with(func(t *core.Task) {
				t.OutOfScope = []string{"Die Kollegen und ihre Reisen mit der Bahn und dem Flugzeug"}
			}), []string{"out_of_scope[0] language"},
		},
		"German": {
			with(func(t *core.Task) { t.Description = "Die Kollegen und ihre Reisen mit der Bahn und dem Flugzeug" }), []string{"description language"},
		},
		"another script": {with(func(t *core.Task) { t.Topics[1] = "予約 ホテル 変更" }), []string{"topics[1] language"}},
	} {
		var got []string
		for _, p := range editor(t).Lint([]core.Task{c.task}, []core.Task{c.task}) {
			got = append(got, p.Where+" "+p.Kind)
			if p.Task != c.task.ID || p.Text == "" {
				t.Errorf("%s: %+v", name, p)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLintTellsTasksThatSayTheSame(t *testing.T) {
	other, third := good, core.Task{
		ID: "bills", Title: "Billing", Description: "Explain invoices to customers.",
		Topics: []string{"refund of a payment", "late fee", "disputed charge", "renewal of a subscription", "wrong amount on an invoice"},
	}
	other.ID, other.Title = "travel", "Trips for colleagues"
	all := []core.Task{good, other, third}
	found := editor(t).Lint(all, all)
	if len(found) != 2 || found[0].Kind != describe.NearDuplicate || found[1].Task != "travel" {
		t.Errorf("%+v", found)
	}
}

func TestDraftFromEachSource(t *testing.T) {
	e := editor(t)
	for name, c := range map[string]struct {
		task core.Task
		want string
	}{
		"title":       {core.Task{Title: "Payroll"}, "salary and payday"},
		"description": {core.Task{Title: "Desk", Description: "Calibrate lab thermometers, log the humidity readings."}, "Calibrate lab thermometers"},
		"examples":    {core.Task{Title: "Desk", Examples: []string{"Which torque do the flange bolts need?"}}, "Which torque do the flange bolts need?"},
	} {
		got := e.Draft(c.task)
		if !slices.Contains(got, c.want) || len(got) > 12 {
			t.Errorf("%s: %q", name, got)
		}
		if diff := cmp.Diff(got, e.Draft(c.task)); diff != "" {
			t.Errorf("%s, a second time: %s", name, diff)
		}
	}
	if got := e.Draft(core.Task{Title: "..."}); got != nil {
		t.Errorf("of nothing: %q", got)
	}
	full := core.Task{Title: "Payroll", Topics: make([]string, 12)}
	if got := e.Draft(full); got != nil {
		t.Errorf("of a task with topics enough: %q", got)
	}
	own := core.Task{Title: "Payroll", Topics: []string{"salary and payday"}}
	if got := e.Draft(own); slices.Contains(got, own.Topics[0]) || len(got) == 0 {
		t.Errorf("beside its own topic: %q", got)
	}
}

// TestDraftFindsTheFieldOfATitle: by the words that a title shares with a field before what it means as a whole, and a second one
// only where the title names it.
func TestDraftFindsTheFieldOfATitle(t *testing.T) {
	e := editor(t)
	for title, c := range map[string]struct{ has, hasNot []string }{
		"Questions to human resources": {[]string{"sick leave"}, []string{"schedule and milestones"}},
		"Human resources and payroll":  {[]string{"sick leave", "salary and payday"}, nil},
		"Business travel desk":         {[]string{"book a flight"}, []string{"reset a password"}},
		"Cooking and restaurants":      {[]string{"recipe of a dish", "reserve a table"}, nil},
		"Bank account service":         {[]string{"balance of an account"}, []string{"journal entry", "local service"}},
	} {
		got := e.Draft(core.Task{Title: title})
		for _, topic := range c.has {
			if !slices.Contains(got, topic) {
				t.Errorf("%s: %q lacks %q", title, got, topic)
			}
		}
		for _, topic := range c.hasNot {
			if slices.Contains(got, topic) {
				t.Errorf("%s: %q has %q", title, got, topic)
			}
		}
	}
}

// TestDraftedTopicsBringPromptsNearer compiles what is drafted and compares it with a prompt that the title alone is far from.
func TestDraftedTopicsBringPromptsNearer(t *testing.T) {
	s, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	bare := core.Task{Title: "Help for drivers and their cars"}
	drafted := bare
	drafted.Topics = editor(t).Draft(bare)
	v := view("My battery is dead, how do I jump start it?")
	before, after := s.Score(v, []*deviation.Task{s.Compile(bare)}), s.Score(v, []*deviation.Task{s.Compile(drafted)})
	if before.Score < 0.5 || after.Score > 0.2 {
		t.Errorf("%.3f with a title, %.3f with topics %q", before.Score, after.Score, drafted.Topics)
	}
}

func TestHostileTasks(t *testing.T) {
	e := editor(t)
	long := strings.Repeat("refund the invoice ", 200_000)
	for name, task := range map[string]core.Task{
		"nothing": {}, "not UTF-8": {Title: strings.Repeat("\xff", 100_000)}, "long": {Title: long, Description: long, Topics: []string{long}, Examples: []string{long}},
		"500 of each": {Title: "Many", Topics: slices.Repeat([]string{"refund a payment"}, 500), Examples: slices.Repeat([]string{"请帮我写一封求职信"}, 500)},
		"500 others":  {Title: "Many", Examples: numbered(500)},
	} {
		start := time.Now()
		found := e.Lint([]core.Task{task}, []core.Task{task})
		drafted := e.Draft(task)
		if took := time.Since(start); took > 10*time.Second || len(found) > 50 {
			t.Errorf("%s: %v, %d problems", name, took, len(found))
		}
		for _, topic := range drafted {
			if len(topic) > deviation.MaxText {
				t.Errorf("%s: a topic of %d bytes", name, len(topic))
			}
		}
	}
}

func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("refund invoice %d of the customer", i)
	}
	return all
}

func view(text string) *intent.View {
	return intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}})
}

package cli

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/describe"
	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
)

type taskLintCmd struct {
	ID    []string `arg:"" optional:"" help:"The tasks; without, all."`
	File  string   `short:"f" help:"Look at the tasks of a YAML file, as for apply, in place of those that are stored." type:"existingfile"`
	Draft bool     `help:"Draft topics for tasks that have few."`
}

// linted is what lint prints.
type linted struct {
	Problems []describe.Problem `json:"problems"`
	Drafts   []draft            `json:"drafts,omitempty"`
}

type draft struct {
	Task   string   `json:"task"`
	Topics []string `json:"topics"`
}

func (c taskLintCmd) Run(s *session) error {
	editor, err := s.editor()
	if err != nil {
		return err
	}
	all, err := c.tasks(s)
	if err != nil {
		return err
	}
	some := all
	if len(c.ID) > 0 {
		some = nil
		for _, id := range c.ID {
			i := slices.IndexFunc(all, func(t core.Task) bool { return t.ID == id })
			if i < 0 {
				return fmt.Errorf("task %q does not exist", id)
			}
			some = append(some, all[i])
		}
	}
	result := linted{Problems: editor.Lint(some, all)}
	if result.Problems == nil {
		result.Problems = []describe.Problem{}
	}
	if c.Draft {
		for _, t := range some {
			if topics := editor.Draft(t); len(topics) > 0 && len(t.Topics) < describe.EnoughTopics {
				result.Drafts = append(result.Drafts, draft{t.ID, topics})
			}
		}
	}
	return result.print(s, len(some))
}

// tasks are those of the file, or else those that are stored.
func (c taskLintCmd) tasks(s *session) (all []core.Task, err error) {
	if c.File != "" {
		data, err := os.ReadFile(c.File)
		if err != nil {
			return nil, err
		}
		objects, err := app.ParseObjects(c.File, data)
		if err != nil {
			return nil, configError{err}
		}
		return objects.Tasks, nil
	}
	err = s.withStore(func(st store.Store) error {
		all, err = store.All(s.ctx, st.Tasks(), func(t core.Task) string { return t.ID })
		return err
	})
	return all, err
}

// print shows what was found, and says by the exit status whether anything was.
func (l linted) print(s *session, looked int) error {
	var rows [][]string
	for _, p := range l.Problems {
		rows = append(rows, []string{p.Task, p.Where, p.Text})
	}
	for _, d := range l.Drafts {
		for _, topic := range d.Topics {
			rows = append(rows, []string{d.Task, "draft", topic})
		}
	}
	if err := s.printOne(l, []string{"TASK", "WHERE", "WHAT"}, len(rows), func(i int) []string { return rows[i] }); err != nil {
		return err
	}
	if len(l.Problems) > 0 {
		return errProblems
	}
	fmt.Fprintf(s.talk, "no problem found in %d tasks\n", looked)
	return nil
}

type taskTryCmd struct {
	Text  string   `arg:"" help:"The prompt."`
	User  string   `help:"Against the tasks that are assigned to this person." xor:"whose" required:""`
	Task  []string `help:"Against this task; repeat it." xor:"whose" required:""`
	Model string   `help:"The model that is asked for, if rules on models are to count." placeholder:"NAME"`
}

// tried is what try prints. It holds the prompt's words: it goes to the person who typed them.
type tried struct {
	Deviation core.Deviation    `json:"deviation"`
	Phrase    string            `json:"phrase,omitempty"`
	Example   string            `json:"example,omitempty"`
	Toward    []core.WordWeight `json:"toward,omitempty"`
	Away      []core.WordWeight `json:"away,omitempty"`
	Tasks     []taskScore       `json:"tasks"`
	Intent    core.Intent       `json:"intent"`
	Found     core.Found        `json:"found,omitzero"`
	Verdict   core.Verdict      `json:"verdict"`
	Policy    string            `json:"policy_version"`
}

type taskScore struct {
	Task  string  `json:"task"`
	Score float64 `json:"score"`
}

func (c taskTryCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	rules, err := s.policyInForce()
	if err != nil {
		return err
	}
	prices, err := app.LoadPrices(cfg.Prices)
	if err != nil {
		return configError{err}
	}
	principal, assigned, err := c.assigned(s)
	if err != nil {
		return err
	}
	facts := policy.Facts{At: time.Now().UTC(), PolicyVersion: rules.Version(), Principal: principal, Endpoint: "chat", Model: c.Model}
	_, facts.Priced = prices.Model(c.Model)
	result, err := c.judge(s, rules, &facts, assigned)
	if err != nil {
		return err
	}
	result.Verdict, result.Policy = rules.Decide(facts), rules.Version()
	rows := result.rows()
	return s.printOne(result, []string{"WHAT", "VALUE"}, len(rows), func(i int) []string { return rows[i] })
}

// assigned gives who asks, and the tasks that the prompt is compared with.
func (c taskTryCmd) assigned(s *session) (p core.Principal, tasks []core.Task, err error) {
	err = s.withStore(func(st store.Store) error {
		for _, id := range c.Task {
			t, err := st.Tasks().Get(s.ctx, id)
			if err != nil {
				return err
			}
			tasks = append(tasks, t)
		}
		if c.User == "" {
			return nil
		}
		u, err := st.Users().Get(s.ctx, c.User)
		if err != nil {
			return err
		}
		p = core.Principal{User: u.ID, Team: u.Team}
		all, err := store.All(s.ctx, st.Tasks(), func(t core.Task) string { return t.ID })
		for _, t := range all {
			if slices.Contains(t.Users, u.ID) || u.Team != "" && slices.Contains(t.Teams, u.Team) {
				tasks = append(tasks, t)
			}
		}
		return err
	})
	return p, tasks, err
}

// judge gathers the facts as the request path does, and what explains them.
func (c taskTryCmd) judge(s *session, rules *policy.Snapshot, f *policy.Facts, assigned []core.Task) (r tried, err error) {
	classifier, err := app.ClassifierFor(rules)
	if err != nil {
		return r, err
	}
	scorer, err := s.scorer()
	if err != nil {
		return r, err
	}
	prompt := core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: c.Text}}}
	view := intent.NewView(prompt)
	f.Intent, f.Found = classifier.Classify(view), detect.Prompt(prompt)
	compiled := make([]*deviation.Task, len(assigned))
	for i, t := range assigned {
		compiled[i] = scorer.Compile(t)
		f.Tasks = append(f.Tasks, t.ID)
	}
	f.Deviation = scorer.Score(view, compiled)
	r = tried{Deviation: f.Deviation, Intent: f.Intent, Found: f.Found, Tasks: []taskScore{}}
	for _, t := range compiled {
		d := scorer.Score(view, []*deviation.Task{t})
		if d.Unscored != "" {
			continue
		}
		r.Tasks = append(r.Tasks, taskScore{t.ID(), d.Score})
		if t.ID() == f.Deviation.Task {
			r.Phrase, r.Example = scorer.Match(view, t)
		}
	}
	slices.SortStableFunc(r.Tasks, func(a, b taskScore) int { return cmp.Compare(a.Score, b.Score) })
	for _, w := range f.Deviation.Words {
		if w.Weight < 0 {
			r.Toward = append(r.Toward, w)
		} else {
			r.Away = append(r.Away, w)
		}
	}
	return r, nil
}

// rows are the lines of the table.
func (r tried) rows() [][]string {
	d := r.Deviation
	var rows [][]string
	add := func(what, format string, args ...any) {
		rows = append(rows, []string{what, fmt.Sprintf(format, args...)})
	}
	switch {
	case d.Unscored != "":
		add("unscored", "%s", d.Unscored)
	case d.Calibrated && d.P != nil:
		add("deviation", "%.3f (0 on task, 1 nothing in common; p %.4f of n %d)", d.Score, *d.P, d.N)
	default:
		add("deviation", "%.3f (0 on task, 1 nothing in common; not calibrated: p unknown, n 0)", d.Score)
	}
	for i, t := range r.Tasks {
		what := "task"
		if i == 0 {
			what = "nearest task"
		}
		add(what, "%s (%.3f)", t.Task, t.Score)
	}
	for _, line := range [][2]string{
		{"phrase", r.Phrase}, {"example", r.Example}, {"out of scope", d.OutOfScope}, {"words towards", words(r.Toward)}, {"words away", words(r.Away)},
	} {
		if line[1] != "" {
			add(line[0], "%s", line[1])
		}
	}
	add("intent", "%s (%.2f)", r.Intent.Label, r.Intent.Confidence)
	for _, sightings := range [][]core.Sighting{r.Found.Secrets, r.Found.Attacks} {
		for _, one := range sightings {
			add("found", "%s", sighting(one))
		}
	}
	v := r.Verdict
	add("verdict", "%s", v.Action)
	if v.Decided != v.Action {
		add("if enforced", "%s", v.Decided)
	}
	if v.Rule != "" {
		add("rule", "%s (%s)", v.Rule, v.Reason)
	}
	add("versions", "%s, policy %s", d.Model, r.Policy)
	return rows
}

func words(all []core.WordWeight) string {
	texts := make([]string, len(all))
	for i, w := range all {
		texts[i] = fmt.Sprintf("%s %+.2f", w.Word, w.Weight)
	}
	return strings.Join(texts, ", ")
}

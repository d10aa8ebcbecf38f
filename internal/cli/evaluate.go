package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/plumbline/plumbline/internal/describe"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/evaluate"
)

type evalCmd struct {
	Attack      evalAttackCmd      `cmd:"" help:"How well secrets and attacks are found: false alarms on ordinary prompts, and attacks by source."`
	Deviation   evalDeviationCmd   `cmd:"" help:"How well deviation tells prompts on a task from others."`
	Calibration evalCalibrationCmd `cmd:"" help:"Whether the promise about wrongly blocked prompts holds over many draws of what calibrates."`
	Intent      evalIntentCmd      `cmd:"" help:"How well the classifier tells what prompts are for."`
}

type evalDeviationCmd struct {
	Tasks      string            `help:"JSON array of tasks: id, title, description, topics, set, labels of the prompts that are on it, negative_sets." required:"" placeholder:"FILE" type:"existingfile"`
	Prompts    string            `help:"Labelled prompts, a JSON object a line: set, label, text. May be packed with gzip." required:"" placeholder:"FILE" type:"existingfile"`
	Examples   int               `help:"Prompts that each task is given as examples, and that are not judged." default:"0" placeholder:"K"`
	OutOfScope int               `help:"Prompts that each task is given as out-of-scope examples, and that are not judged: drawn from those off it that its description is nearest to." default:"0" placeholder:"K"`
	Withhold   bool              `help:"Draw out-of-scope examples, and do not give them to the tasks: what to compare with."`
	Disguise   evaluate.Disguise `help:"Hide from each task the prompts that are off it: by its title, a topic, all topics, its words mixed among theirs, or in other words (title, topic, topics, mixed, reword)." enum:",title,topic,topics,mixed,reword" default:"" placeholder:"HOW"`
	Seeds      int               `help:"How often examples are drawn." default:"5" placeholder:"S"`
	Traffic    string            `help:"Prompts without labels that tasks are trained beside, in the form of the others. Those that are judged are left out." placeholder:"FILE" type:"existingfile"`
	Titles     bool              `help:"Judge the tasks by their titles alone, with topics drafted from them."`
	Table      string            `help:"The embedding table to judge by. Default: the shipped one, whatever is in use." placeholder:"FILE" type:"existingfile"`
}

// readLabelled reads tasks and the prompts that are judged against them.
func readLabelled(tasksFile, promptsFile string) (tasks []evaluate.Task, prompts []evaluate.Prompt, err error) {
	if tasks, err = readFile(tasksFile, evaluate.ReadTasks); err == nil {
		prompts, err = readFile(promptsFile, evaluate.ReadPrompts)
	}
	if err != nil {
		return nil, nil, configError{err}
	}
	return tasks, prompts, nil
}

// scorerOf gives the scorer by the table in a file, that by the shipped one for none.
func scorerOf(file string) (*deviation.Scorer, *embed.Table, error) {
	if file == "" {
		table, err := embed.Default()
		if err != nil {
			return nil, nil, err
		}
		scorer, err := deviation.Default()
		return scorer, table, err
	}
	table, err := embed.Load(file)
	if err != nil {
		return nil, nil, configError{err}
	}
	scorer, err := deviation.New(table)
	return scorer, table, err
}

func (c evalDeviationCmd) Run(s *session) error {
	tasks, prompts, err := readLabelled(c.Tasks, c.Prompts)
	if err != nil {
		return err
	}
	scorer, table, err := scorerOf(c.Table)
	if err != nil {
		return err
	}
	o := evaluate.Options{Examples: c.Examples, OutOfScope: c.OutOfScope, Withhold: c.Withhold, Disguise: c.Disguise, Seeds: c.Seeds}
	if c.Traffic != "" {
		if o.Traffic, err = readFile(c.Traffic, evaluate.ReadTraffic); err != nil {
			return configError{err}
		}
	}
	if c.Titles {
		o.Draft = describe.New(scorer, table)
	}
	report, err := evaluate.Deviation(s.ctx, scorer, tasks, prompts, o)
	if err != nil {
		return configError{err}
	}
	rows := evaluationRows(report)
	header := []string{"TASK", "AUROC", "±", "FPR AT 95 %", "CAUGHT AT 1 %", "ON", "OFF", "UNSCORED"}
	return s.printOne(report, header, len(rows), func(i int) []string { return rows[i] })
}

// readFile opens a file for read, which is told its name for its errors.
func readFile[T any](name string, read func(string, io.Reader) (T, error)) (T, error) {
	f, err := os.Open(name)
	if err != nil {
		var none T
		return none, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	return read(name, f)
}

func evaluationRows(r *evaluate.Report) [][]string {
	row := func(name string, f evaluate.Figures) []string {
		return []string{
			name, fmt.Sprintf("%.4f", f.AUROC), fmt.Sprintf("%.4f", f.AUROCSE), fmt.Sprintf("%.1f %%", 100*f.FPR95),
			fmt.Sprintf("%.1f %%", 100*f.Caught),
		}
	}
	var rows [][]string
	for _, t := range r.Tasks {
		rows = append(rows, append(row(t.ID, t.Figures), strconv.Itoa(t.Positives), strconv.Itoa(t.Negatives), strconv.Itoa(t.Unscored)))
	}
	return append(rows, append(row("macro", r.Macro), "", "", ""))
}

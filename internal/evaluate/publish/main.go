// Command publish measures the shipped scorer and classifier on public prompts and writes docs/evaluation.md and
// docs/evaluation-intent.md. Run it at the root of the
// repository:
//
//	go run ./internal/evaluate/publish
//
// It serves development only; the program must not import it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/evaluate"
)

// seeds is how often examples are drawn.
const seeds = 5

func main() {
	data := flag.String("data", "../shared/data", "folder with intent/clinc150")
	tasks := flag.String("tasks", "internal/evaluate/publish/domains.json", "the tasks' own words")
	out := flag.String("out", "docs/evaluation.md", "the page on deviation to write, none where empty")
	intents := flag.String("intent", "docs/evaluation-intent.md", "the page on intents to write, none where empty")
	flag.Parse()
	if err := publish(*data, *tasks, *out, *intents); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

func publish(data, tasksFile, out, intents string) error {
	if intents != "" {
		if err := publishIntent(data, intents); err != nil {
			return err
		}
	}
	if out == "" {
		return nil
	}
	return run(data, tasksFile, out)
}

func run(data, tasksFile, out string) error {
	tasks, prompts, err := readCLINC(filepath.Join(data, "intent", "clinc150"), tasksFile)
	if err != nil {
		return err
	}
	scorer, err := deviation.Default()
	if err != nil {
		return err
	}
	var reports []*evaluate.Report
	for _, examples := range []int{0, 5, 20, 100} {
		r, err := evaluate.Deviation(context.Background(), scorer, tasks, prompts, evaluate.Options{Examples: examples, Seeds: seeds})
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	var page bytes.Buffer
	write(&page, reports)
	return os.WriteFile(out, page.Bytes(), 0o644)
}

// readCLINC gives the ten domains of CLINC150 as tasks and the prompts of its test splits. Those out of scope are a set of
// their own, and off every task.
func readCLINC(folder, tasksFile string) ([]evaluate.Task, []evaluate.Prompt, error) {
	var tasks []evaluate.Task
	var intents map[string][]string
	var splits map[string][][2]string
	for name, into := range map[string]any{
		tasksFile: &tasks, filepath.Join(folder, "domains.json"): &intents, filepath.Join(folder, "data_full.json"): &splits,
	} {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for i := range tasks {
		t := &tasks[i]
		t.Set, t.Labels, t.NegativeSets = "clinc", intents[t.ID], []string{"oos"}
	}
	var prompts []evaluate.Prompt
	for _, part := range [][2]string{{"test", "clinc"}, {"oos_test", "oos"}} {
		for _, row := range splits[part[0]] {
			prompts = append(prompts, evaluate.Prompt{Set: part[1], Label: row[1], Text: row[0]})
		}
	}
	return tasks, prompts, nil
}

const head = `# How good the judgement is

Written by ` + "`go run ./internal/evaluate/publish`" + `; the same command gives the same page. What the figures mean, and how to measure prompts of your own: [Measure deviation](how-to/evaluate.md).

## Deviation: the domains of CLINC150 as tasks
Model ` + "`%s`" + `. The ten domains of CLINC150 (CC BY 3.0) are tasks, described in words of our own with eight topics each. Prompts are those of its test splits, the out-of-scope ones among those that are off every task. Examples are drawn %d times from the prompts that are on a task, and are not judged in that round.

| examples a task | AUROC | passes at 95 %% right | caught at 1 %% wrong |
|---|---|---|---|
`

func write(w io.Writer, reports []*evaluate.Report) {
	fmt.Fprintf(w, head, reports[0].Model, seeds)
	for _, r := range reports {
		m := r.Macro
		fmt.Fprintf(w, "| %d | %.3f ± %.3f | %.1f %% | %.1f %% |\n", r.Examples, m.AUROC, m.AUROCSE, 100*m.FPR95, 100*m.Caught)
	}
	fmt.Fprint(w, "\nThe standard error is over the ten tasks. Of each task, AUROC with the standard error over its prompts and examples:\n\n| task |")
	for _, r := range reports {
		fmt.Fprintf(w, " %d |", r.Examples)
	}
	fmt.Fprint(w, "\n|---|---|---|---|---|\n")
	for i, t := range reports[0].Tasks {
		fmt.Fprintf(w, "| %s |", t.ID)
		for _, r := range reports {
			fmt.Fprintf(w, " %.3f ± %.3f |", r.Tasks[i].AUROC, r.Tasks[i].AUROCSE)
		}
		fmt.Fprintln(w)
	}
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/plumbline/plumbline/internal/describe"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/evaluate"
)

// seeds is how often examples are drawn.
const seeds = 5

// figures are those of one set of tasks: by the number of examples, beside generic sentences and beside traffic.
type figures struct {
	alone, beside []*evaluate.Report
	// bare are the tasks by their titles alone, drafted those with topics drafted from them, without examples.
	bare, drafted, draftedBeside *evaluate.Report
}

// publishDeviation measures the shipped scorer, alone and beside traffic, and writes the page.
func publishDeviation(data, tasks, out string) error {
	scorer, err := deviation.Default()
	if err != nil {
		return err
	}
	var page bytes.Buffer
	fmt.Fprintf(&page, head, scorer.Version(), seeds, evaluate.MaxTraffic)
	for _, section := range []struct {
		text, file string
		read       func(data string, tasks []evaluate.Task) (*corpus, error)
	}{{clincText, "domains.json", readCLINC}, {officeText, "office.json", readOffice}} {
		set, err := readTasks(filepath.Join(tasks, section.file))
		if err != nil {
			return err
		}
		c, err := section.read(filepath.Join(data, "intent"), set)
		if err != nil {
			return err
		}
		f, err := measure(scorer, c)
		if err != nil {
			return err
		}
		page.WriteString(section.text)
		write(&page, f)
	}
	return os.WriteFile(out, page.Bytes(), 0o644)
}

func measure(scorer *deviation.Scorer, c *corpus) (f figures, err error) {
	for _, examples := range []int{0, 5, 20, 100} {
		for _, into := range []struct {
			reports *[]*evaluate.Report
			traffic []string
		}{{&f.alone, nil}, {&f.beside, c.traffic}} {
			o := evaluate.Options{Examples: examples, Seeds: seeds, Traffic: into.traffic}
			r, err := evaluate.Deviation(context.Background(), scorer, c.tasks, c.prompts, o)
			if err != nil {
				return f, err
			}
			*into.reports = append(*into.reports, r)
		}
	}
	editor, err := describe.Default()
	if err != nil {
		return f, err
	}
	titles := slices.Clone(c.tasks)
	for i := range titles {
		titles[i].Description, titles[i].Topics = "", nil
	}
	for _, t := range []struct {
		into    **evaluate.Report
		tasks   []evaluate.Task
		draft   *describe.Editor
		traffic []string
	}{{&f.bare, titles, nil, nil}, {&f.drafted, titles, editor, nil}, {&f.draftedBeside, titles, editor, c.traffic}} {
		o := evaluate.Options{Seeds: 1, Draft: t.draft, Traffic: t.traffic}
		if *t.into, err = evaluate.Deviation(context.Background(), scorer, t.tasks, c.prompts, o); err != nil {
			return f, err
		}
	}
	return f, nil
}

const head = `# How good the judgement is

Written by ` + "`go run ./internal/evaluate/publish`" + `; the same command gives the same page. What the figures mean, and how to measure prompts of your own: [Measure deviation](how-to/evaluate.md).

Model ` + "`%s`" + `. Examples are drawn %d times from the prompts that are on a task, and are not judged in that round. *Beside traffic*: the models of a task are trained beside %d prompts without labels, drawn from the parts of the sets that are not judged, as they would be beside a deployment's own traffic. *Alone*: beside generic sentences, as they are where no traffic is sampled.
`

const clincText = `
## Deviation: the domains of CLINC150 as tasks
The ten domains of CLINC150 (CC BY 3.0) are tasks, described in words of our own with eight topics each. Prompts are those of its test splits, the out-of-scope ones among those that are off every task; traffic is its training split.

`

const officeText = `
## Deviation: eight tasks at a company
Tasks of our own with eight topics each, of which public sets hold prompts: BANKING77 (CC BY 4.0) for two that are near one another, CLINC150 for four, HumanEval (MIT) and GSM8K (MIT). All prompts of these, of self-instruct (Apache-2.0) and of MT-bench (Apache-2.0) that are not on a task are off it. Traffic is of the training splits of BANKING77 and CLINC150, of the seed tasks of self-instruct and of the part of GSM8K that is not judged.

`

func write(w io.Writer, f figures) {
	fmt.Fprint(w, "| examples a task | AUROC alone | AUROC beside traffic | passes at 95 % right | caught at 1 % wrong |\n|---|---|---|---|---|\n")
	for i, r := range f.alone {
		a, b := r.Macro, f.beside[i].Macro
		fmt.Fprintf(w, "| %d | %.3f ± %.3f | %.3f ± %.3f | %.1f → %.1f %% | %.1f → %.1f %% |\n", r.Examples,
			a.AUROC, a.AUROCSE, b.AUROC, b.AUROCSE, 100*a.FPR95, 100*b.FPR95, 100*a.Caught, 100*b.Caught)
	}
	a, b, c := f.bare.Macro, f.drafted.Macro, f.draftedBeside.Macro
	fmt.Fprintf(w, "\nWith bare titles and no examples: AUROC %.3f ± %.3f; with topics that `plumbline task lint --draft` drafts from the titles %.3f ± %.3f, beside traffic %.3f ± %.3f.\n",
		a.AUROC, a.AUROCSE, b.AUROC, b.AUROCSE, c.AUROC, c.AUROCSE)
	fmt.Fprint(w, "\nThe standard error is over the tasks; an arrow leads from alone to beside traffic. Of each task, AUROC beside traffic with the standard error over its prompts and examples:\n\n| task |")
	for _, r := range f.beside {
		fmt.Fprintf(w, " %d |", r.Examples)
	}
	fmt.Fprint(w, "\n|---|---|---|---|---|\n")
	for i, t := range f.beside[0].Tasks {
		fmt.Fprintf(w, "| %s |", t.ID)
		for _, r := range f.beside {
			fmt.Fprintf(w, " %.3f ± %.3f |", r.Tasks[i].AUROC, r.Tasks[i].AUROCSE)
		}
		fmt.Fprintln(w)
	}
}

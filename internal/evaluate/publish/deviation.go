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
	// outside are pairs: on the same prompts without out-of-scope examples, and with them. hidden are off-task prompts in
	// disguise, the first as they are.
	outside [][2]*evaluate.Report
	hidden  []*evaluate.Report
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
	if f.outside, err = measureOutside(scorer, c); err != nil {
		return f, err
	}
	f.hidden, err = measureHidden(scorer, c)
	return f, err
}

// outOfScope is how many out-of-scope examples a task is given where it has some.
const outOfScope = 5

func measureOutside(scorer *deviation.Scorer, c *corpus) (pairs [][2]*evaluate.Report, err error) {
	for _, examples := range []int{0, 5, 20} {
		var pair [2]*evaluate.Report
		for i, withhold := range []bool{true, false} {
			o := evaluate.Options{Examples: examples, OutOfScope: outOfScope, Withhold: withhold, Seeds: seeds}
			if pair[i], err = evaluate.Deviation(context.Background(), scorer, c.tasks, c.prompts, o); err != nil {
				return nil, err
			}
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

func measureHidden(scorer *deviation.Scorer, c *corpus) (reports []*evaluate.Report, err error) {
	for _, d := range append([]evaluate.Disguise{evaluate.DisguiseNone}, evaluate.Disguises()...) {
		r, err := evaluate.Deviation(context.Background(), scorer, c.tasks, c.prompts, evaluate.Options{Seeds: 1, Disguise: d})
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
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
	writeOutside(w, f.outside)
	writeHidden(w, f.hidden)
}

func writeOutside(w io.Writer, pairs [][2]*evaluate.Report) {
	fmt.Fprintf(w, "\nWith %d out-of-scope examples, drawn from the tenth of the prompts off a task that its description is nearest to and not judged; an arrow leads from the same prompts without them. Beside generic sentences:\n\n", outOfScope)
	fmt.Fprint(w, "| examples a task | AUROC | passes at 95 % right | caught at 1 % wrong |\n|---|---|---|---|\n")
	for _, pair := range pairs {
		a, b := pair[0].Macro, pair[1].Macro
		fmt.Fprintf(w, "| %d | %.3f → %.3f ± %.3f | %.1f → %.1f %% | %.1f → %.1f %% |\n", pair[0].Examples,
			a.AUROC, b.AUROC, b.AUROCSE, 100*a.FPR95, 100*b.FPR95, 100*a.Caught, 100*b.Caught)
	}
}

// hiding says how prompts are disguised.
var hiding = map[evaluate.Disguise]string{
	evaluate.DisguiseNone: "as they are", evaluate.DisguiseTitle: "with the task's title as a reason", evaluate.DisguiseTopic: "with one of its topics as a second request",
	evaluate.DisguiseTopics: "with all its topics behind", evaluate.DisguiseMixed: "with a word of the task after every third of theirs",
	evaluate.DisguiseReword: "in other words, with something around",
}

func writeHidden(w io.Writer, reports []*evaluate.Report) {
	fmt.Fprint(w, "\nPrompts off a task that hide from it, without examples and beside generic sentences; what is caught is what the threshold of 1 % wrong catches:\n\n| off-task prompts | AUROC | caught at 1 % wrong | of those caught as they are |\n|---|---|---|---|\n")
	for _, r := range reports {
		m := r.Macro
		fmt.Fprintf(w, "| %s | %.3f ± %.3f | %.1f %% | %.0f %% |\n", hiding[r.Disguise], m.AUROC, m.AUROCSE, 100*m.Caught, 100*m.Caught/reports[0].Macro.Caught)
	}
}

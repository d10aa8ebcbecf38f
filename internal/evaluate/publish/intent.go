package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/plumbline/plumbline/internal/evaluate"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/intent/testset"
)

// publishIntent measures the shipped classifier on Plumbline's test set, and its heads on CLINC150.
func publishIntent(data, _, out string) error {
	classifier, err := intent.Default()
	if err != nil {
		return err
	}
	set, err := testset.Load(data)
	if err != nil {
		return err
	}
	var prompts []evaluate.Prompt
	for _, p := range set {
		prompts = append(prompts, evaluate.Prompt{Set: p.Source, Label: p.Label, Text: p.Text})
	}
	r, err := evaluate.Intent(classifier, prompts)
	if err != nil {
		return err
	}
	heads, err := evaluate.Heads(filepath.Join(data, "intent", "clinc150"))
	if err != nil {
		return err
	}
	var page bytes.Buffer
	writeIntent(&page, r)
	writeHeads(&page, heads)
	return os.WriteFile(out, page.Bytes(), 0o644)
}

const intentHead = `# How well intents are told

Written by ` + "`go run ./internal/evaluate/publish`" + `; ` + "`plumbline eval intent --data ../shared/data`" + ` measures the same. What the classes are: [Intents](explanation/intents.md). How to measure prompts of your own: [Measure](how-to/evaluate.md).

## Prompts that were labelled by hand
Model ` + "`%s`" + `, %d prompts of public sets, labelled one by one by [rules](../internal/intent/testset/RULES.md) that were written before. None of them is learnt from, which a test holds. Two thirds of the prompts to learn from are of before the labelling; more were written after the first measurement, which gave a macro-F1 of .573, in the knowledge of what kinds of prompts the set has. The figures are therefore somewhat kinder than a set would give that nobody had seen. Standard errors are over the prompts.

| | |
|---|---|
`

func writeIntent(w io.Writer, r *evaluate.IntentReport) {
	fmt.Fprintf(w, intentHead, r.Model, r.Prompts)
	row := func(name string, e evaluate.Estimate) { fmt.Fprintf(w, "| %s | %.3f ± %.3f |\n", name, e.Value, e.SE) }
	row(fmt.Sprintf("macro-F1 over the fifteen classes, the most probable one named (%d prompts with a class)", r.Forced.Prompts), r.Forced.MacroF1)
	row("the same, over the classes of ten prompts or more", r.Forced.MacroF1Ten)
	row("accuracy", r.Forced.Accuracy)
	row("right class among the first two", r.Forced.Top2)
	row("expected calibration error, 15 bins", r.Forced.ECE)
	row("given a class when the floor holds, of those with one", r.Floor.Named)
	row("of these given the right one", r.Floor.Right)
	row(fmt.Sprintf("called uncertain, of the %d without a class", r.Floor.Out), r.Floor.Uncertain)
	fmt.Fprint(w, "\n| class | prompts | precision | recall | F1 | most often taken for |\n|---|---|---|---|---|---|\n")
	for _, c := range r.Classes {
		fmt.Fprintf(w, "| %s | %d | %.2f | %.2f | %.3f ± %.3f | %s |\n", c.Label, c.Prompts, c.Precision, c.Recall, c.F1.Value, c.F1.SE,
			strings.Join(c.Mistaken, ", "))
	}
	fmt.Fprint(w, "\nOf debugging the sets hold two prompts: its F1, and its share of the macro-F1, say little.\n")
}

const headsText = `
## The two heads on CLINC150
The heads learn the 150 intents of CLINC150 (CC BY 3.0) from its training split (%d prompts) and are judged on its test splits. Their settings were chosen by its validation split. The embedding table, ` + "`%s`" + `, has seen nothing of it. Out of scope is told by the greatest sum of an intent and the cosine to the nearest prompt learnt from, each in deviations of what the validation prompts have.

| | both heads | n-grams alone | meaning alone |
|---|---|---|---|
| accuracy in scope, 4,500 prompts | %.2f %% ± %.2f | %.2f %% | %.2f %% |
| AUROC of in scope against out of scope, 1,000 prompts | %.2f %% ± %.2f | | |
| out of scope that passes where 95 %% in scope do | %.1f %% | | |
`

func writeHeads(w io.Writer, h *evaluate.HeadsReport) {
	fmt.Fprintf(w, headsText, h.Train, h.Table, 100*h.Accuracy.Value, 100*h.Accuracy.SE, 100*h.NGrams, 100*h.Meaning,
		100*h.AUROC, 100*h.AUROCSE, 100*h.FPR95)
}
